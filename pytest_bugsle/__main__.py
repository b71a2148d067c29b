"""`python -m pytest_bugsle` is the command `bugsle`.  PYTEST_DONT_REWRITE"""

from pytest_bugsle.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
