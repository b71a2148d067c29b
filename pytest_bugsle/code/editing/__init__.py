"""The edits of a change, each of which can be put back alone, and their inverses for later texts.  PYTEST_DONT_REWRITE"""
