"""What a source text says.  PYTEST_DONT_REWRITE"""
