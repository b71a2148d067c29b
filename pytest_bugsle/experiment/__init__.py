"""May this A/B result ship? Four outcomes, and the n that is missing.  PYTEST_DONT_REWRITE"""
