"""The only room that knows our database.  PYTEST_DONT_REWRITE"""
