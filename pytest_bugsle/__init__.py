"""Prove that every bug fix is held by a test that fails without it.  PYTEST_DONT_REWRITE"""

__version__ = "0.1.0"
