"""What a repository's past says.  PYTEST_DONT_REWRITE"""
