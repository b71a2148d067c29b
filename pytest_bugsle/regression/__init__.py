"""Is every bug fix held by a test that fails without it?.  PYTEST_DONT_REWRITE"""
