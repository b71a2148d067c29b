"""What `bugsle init` finds out about a project, and the texts that it proposes.  PYTEST_DONT_REWRITE"""
