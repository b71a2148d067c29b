"""The only room that runs git.  PYTEST_DONT_REWRITE"""
