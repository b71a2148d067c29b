"""The git hooks: each a few lines over the gate.  PYTEST_DONT_REWRITE"""
