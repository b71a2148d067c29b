"""How often, how fast, how often wrong, how quickly repaired?  PYTEST_DONT_REWRITE"""
