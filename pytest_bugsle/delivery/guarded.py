"""Which change failures cannot come back unseen.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from pytest_bugsle.delivery.links import Link

Status = Literal["guarded", "unguarded", "unknown"]


@dataclass(frozen=True, slots=True)
class Held:
    """One failure (a deployment and a cause), its fixes, and whether a test holds one of them."""

    deployment: int
    cause: int | None
    fixes: tuple[int, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class Guarded:
    """The share of guarded failures among those of which it is known (n), with the Wilson interval.

    `unknown` failures are in no share: their fix is not known, or nobody has made the experiment.
    """

    guarded: int
    unguarded: int
    unknown: int
    n: int
    share: float | None
    interval: tuple[float, float] | None
    each: tuple[Held, ...]


def guarded(
    links: Iterable[Link], shas: Mapping[int, str] | list[str], statuses: Mapping[str, Status]
) -> Guarded:
    """Join each failure to its fixes, and those to what is proven of them.

    `shas` are the commits by number, `statuses` what is known by the fix's sha. One guarded fix guards its
    failure; it is unguarded if a fix is known to be so and none is guarded. A failure on several rungs is
    one, and a rung that knows no cause says nothing of a deployment of which another rung does.
    """
    fixes: defaultdict[tuple[int, int | None], dict[int, None]] = defaultdict(dict)
    for link in links:
        failure = fixes[link.deployment, link.cause]
        if link.fix is not None:
            failure[link.fix] = None
    named = {deployment for deployment, cause in fixes if cause is not None}
    each = []
    for (deployment, cause), found in sorted(fixes.items(), key=lambda item: (item[0][0], item[0][1] or -1)):
        if cause is None and not found and deployment in named:
            continue
        known = {statuses.get(shas[fix], "unknown") for fix in found}
        status: Status = (
            "guarded" if "guarded" in known else "unguarded" if "unguarded" in known else "unknown"
        )
        each.append(Held(deployment, cause, tuple(found), status))
    counts = {name: sum(one.status == name for one in each) for name in ("guarded", "unguarded", "unknown")}
    n = counts["guarded"] + counts["unguarded"]
    return Guarded(
        **counts,
        n=n,
        share=counts["guarded"] / n if n else None,
        interval=wilson(counts["guarded"], n) if n else None,
        each=tuple(each),
    )
