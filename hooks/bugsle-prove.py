#!/usr/bin/env python3
"""Start bugsle-prove as a plain git hook."""

from pytest_bugsle.hooks.entries import prove

if __name__ == "__main__":
    prove()
