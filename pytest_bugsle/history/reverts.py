"""Which changes take others back, and which are put back again.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.history.messages import bounded, excerpt, headline
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.git.log import Commit

_QUOTED = lazy_pattern(
    r"(?P<verb>Revert|Reapply)[: ]+[\"“](?P<title>[^\n]*)[\"”](?:\s*\([#!]\d+\))*\s*\Z", re.IGNORECASE
)
_PLAIN = lazy_pattern(
    r"(?:revert(?:s|ed|ing)?|back(?:ed|ing|s)? out)\b[:\s]*(?P<title>[^\n]*)", re.IGNORECASE
)
_SENTENCE = lazy_pattern(
    r"^[ \t]*(?:This )?reverts (?:merge )?commits? (?P<rest>[^\n]*(?:\n[^\n]+){0,3})",
    re.IGNORECASE | re.MULTILINE,
)
_SHA = lazy_pattern(r"\b[0-9a-f]{7,64}\b")
_JUST_SHAS = lazy_pattern(
    r"[0-9a-f]{7,64}(?:(?:, ?| and | & |\s)[0-9a-f]{7,64}){0,50}[.,]?\s*(?:reversing\b|\n|\Z)"
)
_PARTLY = lazy_pattern(r"\b(?:partial(?:ly)?|partly|parts? of|some of)\b", re.IGNORECASE)
_TRAILING_NUMBER = lazy_pattern(r"\s*\([#!]\d+\)\s*\Z")
_FOLLOW_UP = lazy_pattern(r"(?P<verb>fixup|squash|amend)! ")


class Revert(msgspec.Struct, frozen=True):
    """What a message says that it takes back: by commit, or by title."""

    shas: tuple[str, ...]
    title: str
    again: bool = False
    partly: bool = False


def revert_of(subject: str, body: str) -> Revert | None:
    """Return what a commit reverts, None for an ordinary one.

    "This reverts a change introduced in …" explains a fix; it is no revert. A body's `This reverts
    commit <sha>` counts under any subject if nothing but commits stands in the sentence.
    """
    subject = " ".join(subject[:2_000].split())
    quoted = _QUOTED.match(subject) or _QUOTED.match(headline(subject).text)
    head = headline(subject)
    plain = None if quoted else _PLAIN.match(head.text)
    names_itself = quoted is not None or plain is not None or head.type == "revert"
    shas: list[str] = []
    partly = _PARTLY.search(quoted.string[: quoted.start("title")] if quoted else subject) is not None
    for match in _SENTENCE.finditer(bounded(body)):
        rest = match["rest"]
        if not names_itself and not _JUST_SHAS.match(rest):
            continue
        partly = partly or _PARTLY.search(rest) is not None
        shas += _SHA.findall(re.split(r"\breversing\b|\.(?:\s|\Z)", rest, maxsplit=1)[0])
    if not names_itself and not shas:
        return None
    title = quoted["title"] if quoted else plain["title"] if plain else head.text if names_itself else ""
    again = quoted is not None and quoted["verb"].lower() == "reapply"
    return Revert(tuple(dict.fromkeys(shas)), title.strip(), again, partly)


def unwrapped(revert: Revert) -> tuple[str, bool]:
    """Return the title at the bottom of a chain of reverts, and whether the chain applies it again."""
    title, applied = revert.title, revert.again
    for _ in range(20):
        inner = _QUOTED.match(title)
        if inner is None:
            break
        applied = not applied if inner["verb"].lower() == "revert" else applied
        title = inner["title"].strip()
    return title, applied


def cancelled(commits: Sequence[Commit], inside: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the commits of a range (newest first) that cancel out, each with the reason.

    The newest revert is heard first: what it takes back takes nothing back itself, so that
    `Revert "Revert "x""` leaves x as it was. `inside` maps a merge to the commits that it brought in.
    """
    reasons: dict[str, str] = {}
    for at, commit in enumerate(commits):
        if commit.sha in reasons:
            continue
        revert = revert_of(commit.subject, commit.body)
        if revert is None or revert.partly:
            continue
        older = [other for other in commits[at + 1 :] if other.sha not in reasons]
        targets = _targets(revert, older)
        if not targets:
            continue
        for target in targets:
            for sha in (target.sha, *inside.get(target.sha, ())):
                reasons[sha] = f"it is taken back in this range, by {commit.sha[:7]}"
        if len(targets) >= len(revert.shas):
            reasons[commit.sha] = f"it takes back {targets[0].sha[:7]} of this range"
    return reasons


def follow_ups(commits: Sequence[Commit]) -> dict[str, str]:
    """Return the `fixup!`, `squash!` and `amend!` commits, each with the commit that it belongs to."""
    found: dict[str, str] = {}
    for at, commit in enumerate(commits):
        wanted = commit.subject
        while match := _FOLLOW_UP.match(wanted):
            wanted = wanted[match.end() :]
        if wanted == commit.subject:
            continue
        for other in commits[at + 1 :]:
            if other.subject == wanted or (len(wanted) >= 7 and other.sha.startswith(wanted)):
                found[commit.sha] = other.sha
                break
    return found


def described(revert: Revert) -> str:
    """Return a short name of what is reverted."""
    return f"“{excerpt(revert.title)}”" if revert.title else ", ".join(sha[:7] for sha in revert.shas)


def _targets(revert: Revert, older: Sequence[Commit]) -> list[Commit]:
    found = [other for sha in revert.shas for other in older if other.sha.startswith(sha)]
    if found or revert.shas:
        return found
    # Without a commit's name only an exact title will do: "Reapply "x"" takes back 'Revert "x"'.
    titles = [f'Revert "{revert.title}"'] if revert.again else [revert.title]
    for strip in (False, True):
        for other in older:
            subject = _TRAILING_NUMBER.sub("", other.subject) if strip else other.subject
            if subject and subject in titles:
                return [other]
    return []
