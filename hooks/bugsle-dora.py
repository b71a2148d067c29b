#!/usr/bin/env python3
"""Start bugsle-dora as a plain git hook."""

from pytest_bugsle.hooks.entries import dora

if __name__ == "__main__":
    dora()
