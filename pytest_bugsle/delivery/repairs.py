"""Which commits take which back, and which name what they fix: resolved in the graph.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from pytest_bugsle.history.messages import bounded
from pytest_bugsle.history.reverts import Revert, revert_of, unwrapped
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph

_BODY = lazy_pattern(r"^\s*This reverts commit ([0-9a-f]{7,64})", re.MULTILINE)
_FIXES = lazy_pattern(r"^[ \t]*fixes:[ \t]*(?:commit[ \t]+)?([0-9a-f]{7,64})\b", re.IGNORECASE | re.MULTILINE)
_REQUEST = lazy_pattern(
    r"^[ \t]*reverts (?:[\w.-]{1,100}/[\w.-]{1,100})?[#!](\d{1,9})\b", re.IGNORECASE | re.MULTILINE
)
_NUMBERED = lazy_pattern(r"\([#!](\d{1,9})\)\s*\Z")
_MERGED = lazy_pattern(r"Merge pull request #(\d{1,9})\b")
_DEEPEST = 20
"""Reverts of reverts that are followed."""
_BEGINNING = 12
"""Characters of a title by which most commits are told not to be meant."""
_FARTHEST = 5_000
"""Commits that are walked to find a title: what is taken back is nearly always near."""

How = Literal["body", "sha", "title", "number", "trailer"]


class Message(msgspec.Struct, frozen=True, dict=True):
    """What one commit says, by its number in the graph."""

    commit: int
    subject: str
    body: str = ""

    @cached_property
    def revert(self) -> Revert | None:
        """Give what it takes back."""
        return revert_of(self.subject, self.body)


class Pair(msgspec.Struct, frozen=True):
    """A commit that takes another back, or names it as what it fixes.

    `how` says by what it is named: `body` is git's own sentence `This reverts commit <sha>`, `sha` another.
    """

    fix: int
    target: int
    how: How
    partly: bool = False


def pairs(
    graph: Graph,
    messages: Iterable[Message],
    titles: Mapping[str, Sequence[int]],
    copies: Mapping[int, Sequence[int]] = MappingProxyType({}),
) -> list[Pair]:
    """Resolve what messages take back or fix: those of commits that HEAD or a deployment contains.

    A sha in the body wins; a title or a number of a pull request is looked for among the ancestors, the
    nearest first, never by dates. What names no commit that is here is left out. `titles` are the commits
    by subject (see `titles_of`), `copies` the cherry-picks of each commit: a revert that was picked to another
    line still names the original, and takes back the copy that it has among its ancestors.
    """
    found: dict[tuple[int, int], Pair] = {}
    for message in messages:
        for pair in _pairs_of(graph, message, titles):
            if pair.target in copies:
                near = _nearest(graph, pair.fix, [pair.target, *copies[pair.target]])
                pair = pair if near is None else replace(pair, target=near)
            if pair.target != pair.fix:
                found.setdefault((pair.fix, pair.target), pair)
    return list(found.values())


def copies_of(graph: Graph, picked: Iterable[tuple[int, str]]) -> dict[int, list[int]]:
    """Give the cherry-picks of each commit, by the line that `git cherry-pick -x` leaves (pick, original)."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for commit, sha in picked:
        original = graph.find(sha)
        if original is not None and original != commit:
            found[original].append(commit)
    return dict(found)


def quoting(graph: Graph, messages: Iterable[Message]) -> list[Message]:
    """Give the messages that take something back and name no commit that is here: titles must be looked for."""
    return [
        message
        for message in messages
        if (revert := message.revert) is not None and all(graph.find(sha) is None for sha in revert.shas)
    ]


def titles_of(subjects: Iterable[tuple[int, str]], messages: Iterable[Message]) -> dict[str, list[int]]:
    """Index the commits whose subject or number some message names; all others take no room."""
    wanted: set[str] = set()
    for message in messages:
        wanted.update(_wanted(message))
    found: defaultdict[str, list[int]] = defaultdict(list)
    if not wanted:
        return {}
    # This is asked of every commit of a history: nearly all are told by how they begin.
    titles = [name for name in wanted if not name.startswith("#")]
    length = min([_BEGINNING, *map(len, titles)])
    beginnings = {name[:length] for name in titles}
    numbers = re.compile(rf"[#!](?:{'|'.join(name[1:] for name in wanted - set(titles)) or '(?!)'})\b")
    is_number = numbers.search
    for commit, subject in subjects:
        if (
            subject[:length].lower() in beginnings
            or is_number(subject)
            or not subject.isascii()
            or "  " in subject[: length + 1]
            or "\t" in subject[: length + 1]
        ):
            for name in _names(subject):
                if name in wanted:
                    found[name].append(commit)
    return dict(found)


def idle(every: Iterable[Pair], labels: Sequence[int], is_revert: Callable[[int], bool]) -> frozenset[Pair]:
    """Give the pairs that are no failure though they cross a deployment.

    A revert that is itself taken back before it was deployed never took anything away; and taking a revert
    back (“Reapply”) lands a change again, which says nothing against the deployment of the revert.
    """
    every = list(every)
    takers: defaultdict[int, list[int]] = defaultdict(list)
    for pair in every:
        if pair.how != "trailer" and labels[pair.target] == labels[pair.fix]:
            takers[pair.target].append(pair.fix)

    def lasts(commit: int, depth: int) -> bool:
        return depth == 0 or not any(lasts(taker, depth - 1) for taker in takers.get(commit, ()))

    return frozenset(
        pair
        for pair in every
        if pair.how != "trailer"
        and (is_revert(pair.target) or (not lasts(pair.fix, _DEEPEST) and is_revert(pair.fix)))
    )


def _pairs_of(graph: Graph, message: Message, titles: Mapping[str, Sequence[int]]) -> Iterable[Pair]:
    body = bounded(message.body)
    for sha in _FIXES.findall(body):
        target = graph.find(sha.lower())
        if target is not None:
            yield Pair(message.commit, target, "trailer")
    revert = message.revert
    partly = revert is not None and revert.partly
    shas: dict[str, How] = dict.fromkeys(revert.shas if revert else (), "sha")
    shas |= dict.fromkeys(_BODY.findall(body), "body")
    resolved = [(target, how) for sha, how in shas.items() if (target := graph.find(sha)) is not None]
    yield from (Pair(message.commit, target, how, partly) for target, how in resolved)
    if resolved or revert is None:
        return
    for how, name in _asked(revert.title, revert.again, body):
        target = _nearest(graph, message.commit, titles.get(name, ()))
        if target is not None:
            yield Pair(message.commit, target, how, partly)
            return


def _wanted(message: Message) -> Iterable[str]:
    revert = message.revert
    if revert is not None:
        yield from (name for _, name in _asked(revert.title, revert.again, bounded(message.body)))


def _asked(title: str, again: bool, body: str) -> Iterable[tuple[How, str]]:
    """Give what to look for, the surest first: a pull request's number, the whole title, the bare one."""
    for number in _REQUEST.findall(body)[:3]:
        yield "number", f"#{number}"
    if title:
        whole = f'Revert "{title}"' if again else title
        yield "title", _plain(whole)
        yield "title", _plain(_NUMBERED.sub("", whole))


def _names(subject: str) -> set[str]:
    subject = subject[:1_000]
    bare = _NUMBERED.sub("", subject)
    numbers = [match[1] for pattern in (_NUMBERED, _MERGED) if (match := pattern.search(subject))]
    return {_plain(subject), _plain(bare), *(f"#{number}" for number in numbers)} - {""}


def _plain(title: str) -> str:
    if not title.isascii():
        title = title.replace("“", '"').replace("”", '"')
    return " ".join(title.split()).rstrip(".").lower()


def _nearest(graph: Graph, start: int, wanted: Sequence[int]) -> int | None:
    """Give the nearest ancestor among `wanted`, by a walk over all parents."""
    if not wanted:
        return None
    among = set(wanted)
    seen = {start}
    waiting = [start]
    for commit in waiting:  # grows while it is walked
        if commit in among:
            return commit
        if len(waiting) > _FARTHEST:
            return None
        for parent in graph.parents[commit]:
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return None


def is_revert(message: Message) -> bool:
    """Say whether a message takes something back, and puts nothing back in doing so."""
    revert = message.revert
    return revert is not None and not unwrapped(revert)[1]
