"""The record of a repository's fixes: the audit, its ledger, and guards that decay.  PYTEST_DONT_REWRITE"""
