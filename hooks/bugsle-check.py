#!/usr/bin/env python3
"""Start bugsle-check as a plain git hook."""

from pytest_bugsle.hooks.entries import check

if __name__ == "__main__":
    check()
