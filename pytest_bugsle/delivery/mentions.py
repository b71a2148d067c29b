"""What messages mention: reverts, fixes, cherry-picks, squash merges; of the others only subjects are kept.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from pytest_bugsle.delivery.repairs import Message

_LONGEST = 1 << 16
"""Of a message, in characters: nobody reverts in the 65,537th."""

_SHA = "[0-9a-f]{7,64}"
_REVERTS = lazy_pattern(rf"This reverts commit ({_SHA})")
_REVERT_SUBJECT = lazy_pattern(r"Revert\b", re.IGNORECASE | re.ASCII)
_FIX = lazy_pattern(
    r"\b(?:fix(?:e[sd]|ing)?|bug ?fix(?:es)?|hotfix(?:es)?|regression)\b", re.IGNORECASE | re.ASCII
)
_FIXES = lazy_pattern(rf"^Fixes:[ \t]*({_SHA})\b", re.MULTILINE | re.IGNORECASE)
_TRAILER = lazy_pattern(r"^[ \t]*fixes:[^\n]{0,200}", re.MULTILINE | re.IGNORECASE)
_PICKED = lazy_pattern(rf"^\(cherry[- ]picked from commit ({_SHA})\)", re.MULTILINE | re.IGNORECASE)
_SQUASHED = lazy_pattern(r"\(#\d+\)\Z", re.ASCII)
_BOT = lazy_pattern(
    r"\[bot\]|dependabot|pre-commit-ci|renovate|github-actions|pyup-bot", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Revert:
    """A commit that takes others back: what its body names, and whether its subject says so."""

    commit: int
    shas: tuple[str, ...]
    subject: str
    by_subject: bool


@dataclass(slots=True)
class Mentions:
    """What the messages of numbered commits mention, in the commits' order."""

    reverts: list[Revert] = field(default_factory=list)
    fixes: array[int] = field(default_factory=lambda: array("i"))
    fixed: list[tuple[int, str]] = field(default_factory=list)
    """Commits with a `Fixes: <sha>` line, and the name in it."""
    picked: list[tuple[int, str]] = field(default_factory=list)
    """Cherry-picks, and the name of the original."""
    squashed: array[int] = field(default_factory=lambda: array("i"))
    """Commits whose subject ends with `(#12)`, as a squash merge leaves it."""

    telling: list[Message] = field(default_factory=list)
    """What takes back or names what it fixes, whole; see `repairs.pairs`."""
    subjects: list[str] = field(default_factory=list)
    """Of every commit, in Latin-1 as they were read: what a revert quotes is found among them."""

    def read(self, first: int, messages: Sequence[str]) -> None:
        """Read the messages of the commits that are numbered from `first` on."""
        is_fix, is_squashed = _FIX.search, _SQUASHED.search
        subjects = [message.partition("\n")[0] for message in messages]
        self.subjects += subjects
        for commit, (message, subject) in enumerate(zip(messages, subjects, strict=True), first):
            # A plain search first: most messages are done with after seven of them.
            lower = subject.lower()
            names_cause = "ixes:" in message
            if ("fix" in lower or "regression" in lower) and is_fix(subject):
                self.fixes.append(commit)
            if "revert" in lower or "everts " in message:
                if lower.startswith("revert") or "This reverts commit " in message:
                    self._reverted(commit, subject, message[:_LONGEST])
                self._tells(commit, message[:_LONGEST])
            elif ("back" in lower and "out" in lower) or "reappl" in lower:
                self._tells(commit, message[:_LONGEST])
            elif names_cause and (named := _TRAILER.findall(message[:_LONGEST])):
                # Of what only names its cause the lines that do are enough: projects with many have long bodies.
                self._tells(commit, "\n".join((subject, "", *named)))
            if names_cause:
                self.fixed += [(commit, name) for name in _FIXES.findall(message[:_LONGEST])]
            if "herry" in message:
                self.picked += [(commit, name) for name in _PICKED.findall(message[:_LONGEST])[:1]]
            if subject.endswith(")") and is_squashed(subject[-20:]):
                self.squashed.append(commit)

    def _tells(self, commit: int, message: str) -> None:
        from pytest_bugsle.delivery.repairs import Message

        text = message if message.isascii() else message.encode("latin-1").decode("utf-8", "surrogateescape")
        subject, _, body = text.partition("\n")
        self.telling.append(Message(commit, subject, body.strip("\n")))

    def _reverted(self, commit: int, subject: str, message: str) -> None:
        # Nothing but white space before it on its line: a sentence that tells of a revert is none.
        shas = tuple(
            found[1]
            for found in _REVERTS.finditer(message)
            if not message[message.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
        )
        by_subject = _REVERT_SUBJECT.match(subject) is not None
        if shas or by_subject:
            self.reverts.append(Revert(commit, shas, subject, by_subject))


class Authors:
    """Which authors are bots; each is looked at once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def bots(self, authors: Iterable[str]) -> bytes:
        """Return a byte for each author (`name <email>`): 1 for a bot."""
        listed = list(authors)
        for author in set(listed).difference(self._known):
            self._known[author] = _BOT.search(author) is not None
        return bytes(map(self._known.__getitem__, listed))
