#!/usr/bin/env python3
"""Start bugsle-complexity as a plain git hook."""

from pytest_bugsle.hooks.entries import complexity

if __name__ == "__main__":
    complexity()
