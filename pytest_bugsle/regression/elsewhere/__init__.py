"""What else needs a patch: the finders of leads, and how they are ranked.  PYTEST_DONT_REWRITE"""
