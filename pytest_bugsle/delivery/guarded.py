"""Which change failures cannot come back unseen.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from pytest_bugsle.results import GuardedFailures
from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from pytest_bugsle.results import Failure

Status = Literal["guarded", "unguarded", "unknown"]


def joined(failures: Iterable[Failure], statuses: Mapping[str, Status]) -> list[Failure]:
    """Return the failures with what is proven of their fixes, by the fix's full sha."""
    return [replace(one, guarded=statuses.get(one.fix or "", "unknown")) for one in failures]


def held(failures: Iterable[Failure]) -> Counter[Status]:
    """Count the failures of one repository by what holds them: a failure is a deployment and a cause.

    One guarded fix guards its failure; it is unguarded if a fix is known to be so and none is guarded. A
    failure on several rungs is one: of a rung that knows no cause only those fixes are another failure that
    belong to no cause of the same deployment.
    """
    fixes: defaultdict[tuple[str, str | None], dict[str, Status]] = defaultdict(dict)
    for failure in failures:
        known = fixes[failure.deployment, failure.cause]
        if failure.fix is not None:
            known[failure.fix] = failure.guarded
    named: defaultdict[str, set[str]] = defaultdict(set)
    for (deployment, cause), found in fixes.items():
        if cause is not None:
            named[deployment].update(found)
    counts: Counter[Status] = Counter()
    for (deployment, cause), found in fixes.items():
        if cause is None and deployment in named:
            found = {fix: status for fix, status in found.items() if fix not in named[deployment]}
            if not found:
                continue
        those = set(found.values())
        counts["guarded" if "guarded" in those else "unguarded" if "unguarded" in those else "unknown"] += 1
    return counts


def shares(counts: Mapping[Status, int]) -> GuardedFailures:
    """Return the share of guarded failures among those of which it is known, with the Wilson interval."""
    guarded, unguarded = counts.get("guarded", 0), counts.get("unguarded", 0)
    known = guarded + unguarded
    return GuardedFailures(
        guarded=guarded,
        unguarded=unguarded,
        unknown=counts.get("unknown", 0),
        share=guarded / known if known else None,
        interval=wilson(guarded, known) if known else None,
    )
