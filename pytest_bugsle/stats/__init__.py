"""Statistics in closed form, by the standard library alone.  PYTEST_DONT_REWRITE"""
