"""Deployments that were made only to repair: the deployment rework rate.  PYTEST_DONT_REWRITE

DORA's question is how many deployments were not planned but made to mend what users saw. In a repository
that is a deployment of which all that it brings to users is fixes and reverts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from pytest_bugsle.history import signs
from pytest_bugsle.history.judgement import NO_POLICY, Facts, Policy, judge
from pytest_bugsle.history.messages import headline
from pytest_bugsle.history.patterns import lazy_pattern
from pytest_bugsle.history.reverts import revert_of
from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from pytest_bugsle.delivery.releases import Deployment

Kind = Literal["bot", "upkeep", "repair", "work"]
_MERGED = lazy_pattern(r"Merge (?:pull request|branch|remote-tracking branch|tag|commit)\b")
_NO_WORK = frozenset({"docs", "style", "test", "ci", "build", "chore"})


@dataclass(frozen=True, slots=True)
class Rework:
    """Deployments that only repair, of all that ship work; the Wilson interval; `empty` ones ship none.

    `deployments` are the numbers of those that only repair.
    """

    reworked: int
    n: int
    rate: float | None
    interval: tuple[float, float] | None
    empty: int
    deployments: tuple[int, ...]


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
    head = headline(facts.subject)
    if signs.RELEASE.match(head.text) or signs.RELEASE.match(facts.subject):
        return "upkeep"
    if judge(facts, policy).is_fix:
        return "repair"
    if head.type in _NO_WORK or signs.veto(head.text, head.type, head.scope) is not None:
        return "upkeep"
    return "work"


def shipped_kinds(
    deployments: Iterable[int], labels: Sequence[int], kind: Callable[[int], Kind | None]
) -> dict[int, set[Kind]]:
    """Give the kinds of commit that each of these deployments is the first to contain; None is for a merge."""
    wanted = set(deployments)
    found: dict[int, set[Kind]] = {number: set() for number in wanted}
    for commit, label in enumerate(labels):
        if label in wanted and (what := kind(commit)) is not None:
            found[label].add(what)
    return found


def ships_work(kinds: Iterable[Kind]) -> bool:
    """Say whether a deployment brings anything to users."""
    return not {"repair", "work"}.isdisjoint(kinds)


def rework(
    deployments: Sequence[Deployment], kinds: Mapping[int, Iterable[Kind]], since: int, until: int
) -> Rework:
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
    n = len(reworked) + len(by_kind["work"])
    share = len(reworked) / n if n else None
    return Rework(
        len(reworked),
        n,
        share,
        wilson(len(reworked), n) if n else None,
        len(by_kind["empty"]),
        tuple(reworked),
    )
