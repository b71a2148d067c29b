#!/usr/bin/env python3
"""Start bugsle-commit-msg as a plain git hook."""

from pytest_bugsle.hooks.entries import commit_msg

if __name__ == "__main__":
    commit_msg()
