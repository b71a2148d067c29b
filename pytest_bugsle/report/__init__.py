"""One module per format.  PYTEST_DONT_REWRITE"""
