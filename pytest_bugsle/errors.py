"""Errors that reach a user; each says what, where, why it matters and what to type next."""

from __future__ import annotations

from enum import IntEnum
from operator import methodcaller


class ExitCode(IntEnum):
    """What the command `bugsle` returns to the shell."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    UNDECIDED = 3
    PROGRAM = 4


class BugsleError(Exception):
    """Base of all errors that are shown to a user without a traceback.

    `what` is one sentence, `why` says why it matters, `hint` is what to type or change next.
    """

    exit_code = ExitCode.PROGRAM

    def __init__(self, what: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)


class UsageError(BugsleError):
    """Wrong usage, wrong configuration, or input that contradicts itself."""

    exit_code = ExitCode.USAGE


class UndecidedError(BugsleError):
    """The evidence that a judgement needs is not there (shallow clone, no commit, no data)."""

    exit_code = ExitCode.UNDECIDED


class ProgramError(BugsleError):
    """A program that we called failed (git, the inner pytest, a database)."""

    exit_code = ExitCode.PROGRAM


HIDDEN = methodcaller("errisinstance", BugsleError)
"""As `__tracebackhide__` of a module: what is wrong stands in the user's line, and our frames are not shown."""
