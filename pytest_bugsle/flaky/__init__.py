"""Which tests cannot be trusted, why, and since when?  PYTEST_DONT_REWRITE"""
