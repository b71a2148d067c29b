"""The only room that starts pytest.  PYTEST_DONT_REWRITE"""
