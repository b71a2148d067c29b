"""Deployments that were made only to repair: the deployment rework rate.  PYTEST_DONT_REWRITE

DORA's question is how many deployments were not planned but made to mend what users saw. In a repository
that is a deployment of which all that it brings to users is fixes and reverts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from pytest_bugsle.history import signs
from pytest_bugsle.history.judgement import NO_POLICY, Facts, Policy, judge
from pytest_bugsle.history.messages import headline
from pytest_bugsle.history.reverts import revert_of
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.releases import Deployment

Kind = Literal["bot", "upkeep", "repair", "work"]
_MERGED = lazy_pattern(r"Merge (?:pull request|branch|remote-tracking branch|tag|commit)\b")
_FEATURE = lazy_pattern(r"feat(?:ure)?(?:\([^()\n]{0,60}\))?!?: ")
_NO_SOURCE = lazy_pattern(
    r"(?:[^/]+/)*(?:docs?|documentation|tests?|testing|changelog(?:\.d)?|changes|news|newsfragments|\.[^/]+)/.*"
    r"|(?:[^/]+/)*(?:test_[^/]*\.py|[^/]*_test\.py|conftest\.py|\.[^/]+|[^/]+\.(?:md|rst|txt))"
    r"|tox\.ini|noxfile\.py|authors|changelog|changes|contributors|license|news",
    re.IGNORECASE | re.DOTALL,
)
_DULL = lazy_pattern(
    r"\b(?:docs?|tests?|ci|typos?|bump|releas|changelog|prepar|chore|readme|lint|mypy|pre-commit|merge|updat|build)",
    re.IGNORECASE,
)
"""What is seldom work: such a commit is read last."""
_SAMPLE = 2
"""Commits of a deployment that are read first."""
_NO_WORK = frozenset({"docs", "style", "test", "ci", "build", "chore"})


class Reworked(msgspec.Struct, frozen=True):
    """Places of the deployments that only repair, how many ship any work (n), and how many none."""

    deployments: tuple[int, ...]
    n: int
    empty: int


def kind_of(facts: Facts, policy: Policy = NO_POLICY) -> Kind:
    """Say what a commit that is no merge is for: a bot's, upkeep that reaches no user, a repair, or other work.

    Upkeep is a release's own commit, what changes no source (where `source_changed` says so), and what its
    header calls documentation, tests, CI, build or chore.
    """
    if signs.bot(facts.author, facts.author_email):
        return "bot"
    if _MERGED.match(facts.subject) and facts.body.strip():
        # A merge that was picked or squashed says what it does in the first line of its body.
        first, _, rest = facts.body.strip().partition("\n")
        facts = replace(facts, subject=first.strip(), body=rest)
    if facts.source_changed is False:
        return "upkeep"
    if revert_of(facts.subject, facts.body) is not None:
        return "repair"
    if _FEATURE.match(facts.subject):
        return "work"
    head = headline(facts.subject)
    if signs.RELEASE.match(head.text) or signs.RELEASE.match(facts.subject):
        return "upkeep"
    if judge(facts, policy).is_fix:
        return "repair"
    if head.type in _NO_WORK or signs.veto(head.text, head.type, head.scope) is not None:
        return "upkeep"
    return "work"


def brought(graph: Graph, deployments: Iterable[int], labels: Sequence[int]) -> dict[int, list[int]]:
    """Give the commits that each of these deployments is the first to contain, but merges."""
    found: dict[int, list[int]] = {number: [] for number in deployments}
    for commit, label in enumerate(labels):
        if label in found and len(graph.parents[commit]) < 2:
            found[label].append(commit)
    return found


def shipped_kinds(
    shipped: Mapping[int, Sequence[int]],
    subjects: Sequence[str],
    bots: Sequence[int],
    last: Collection[int],
    read: Callable[[Sequence[int]], Mapping[int, Facts]],
    policy: Policy = NO_POLICY,
) -> dict[int, set[Kind]]:
    """Give the kinds of commit that each deployment ships; one that ships work is not looked at any further.

    Judging costs much more than reading, so that a header that says `feat` decides alone, and those of
    `last` (what looks like a fix) are read only where nothing else was work.
    """
    found: dict[int, set[Kind]] = {number: set() for number in shipped}
    is_feature, is_dull = _FEATURE.match, _DULL.search
    waiting: dict[int, list[int]] = {}
    for number, commits in shipped.items():
        if any(subjects[c].startswith("feat") and not bots[c] and is_feature(subjects[c]) for c in commits):
            found[number].add("work")
        else:
            # The unlikely ones last, and of equals the newest first.
            likely = islice(
                (c for c in commits if not (bots[c] or c in last or is_dull(subjects[c]))), _SAMPLE
            )
            waiting[number] = list(dict.fromkeys([*likely, *commits]))
    for start, end in pairwise((0, _SAMPLE, 4 * _SAMPLE, None)):
        asked = {
            number: commits[start:end] for number, commits in waiting.items() if "work" not in found[number]
        }
        facts = read([commit for commits in asked.values() for commit in commits])
        for number, commits in asked.items():
            for commit in commits:
                found[number].add(kind_of(facts[commit], policy))
                if "work" in found[number]:
                    break
    return found


def kinds_by_subject(
    shipped: Mapping[int, Sequence[int]],
    subjects: Sequence[str],
    bots: Sequence[int],
    fixes: Collection[int],
    reverts: Collection[int],
) -> dict[int, set[Kind]]:
    """Give the kinds of commit that each deployment ships by their subjects alone, for windows of very many."""
    found: dict[int, set[Kind]] = {number: set() for number in shipped}
    is_dull = _DULL.search
    for number, commits in shipped.items():
        kinds = found[number]
        for commit in commits:
            if bots[commit]:
                kinds.add("bot")
            elif commit in fixes or commit in reverts:
                kinds.add("repair")
            elif is_dull(subjects[commit]):
                kinds.add("upkeep")
            else:
                kinds.add("work")
                break
    return found


def reaches_users(path: str) -> bool:
    """Say whether a file may be part of the product, by its path: no documentation, no test, nothing of CI."""
    return _NO_SOURCE.fullmatch(path) is None


def ships_work(kinds: Iterable[Kind]) -> bool:
    """Say whether a deployment brings anything to users."""
    return not {"repair", "work"}.isdisjoint(kinds)


def rework(
    deployments: Sequence[Deployment], kinds: Mapping[int, Iterable[Kind]], since: int, until: int
) -> Reworked:
    """Count the deployments with since < time <= until that only repair; all times in seconds.

    One that ships no work at all (another tag of the same commit, a rebuild, a bot's update) is neither
    rework nor part of n.
    """
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for number, deployment in enumerate(deployments):
        if since < deployment.time <= until:
            shipped = set(kinds.get(number, ()))
            by_kind["work" if "work" in shipped else "repair" if "repair" in shipped else "empty"].append(
                number
            )
    reworked = by_kind["repair"]
    return Reworked(tuple(reworked), len(reworked) + len(by_kind["work"]), len(by_kind["empty"]))
