"""The page's templates, its style, and its charts.  PYTEST_DONT_REWRITE"""
