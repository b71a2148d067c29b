"""What changes together: how often, how surely, and whether that says anything.  PYTEST_DONT_REWRITE

The rules are those of association mining over commits (Zimmermann et al., "Mining version histories to
guide software changes", ICSE 2004): support, confidence, and lift, without which the changelog is
everybody's partner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pytest_bugsle.stats.intervals import wilson

Thing = TypeVar("Thing", bound=Hashable)

LEAST_SHARED = 5
LEAST_DEGREE = 0.3
LEAST_LIFT = 1.5
LEAST_CONFIDENCE = 0.2
LARGEST_CHANGESET = 30
"""Files; a commit that changes more says nothing of any two of them."""


@dataclass(frozen=True, slots=True)
class Coupling(Generic[Thing]):
    """How `partner` goes with `thing`: in `shared` of the `revisions` of `thing`.

    `lift` is by how much more often than in the commits at large. `confidence` is the lower bound of the
    share (Wilson, 95 %), from 0 to 1. `last` is the place in the sequence of the newest commit that changed both.
    """

    thing: Thing
    partner: Thing
    shared: int
    revisions: int
    lift: float
    confidence: float
    last: int

    @property
    def degree(self) -> float:
        """Return the share of the thing's revisions in which the partner changed."""
        return self.shared / self.revisions


def couplings(
    changesets: Sequence[Collection[Thing]], things: Collection[Thing]
) -> tuple[Coupling[Thing], ...]:
    """Find what changes together with any of `things`, one coupling a partner, the surest first.

    `changesets` (newest first) are what a commit changed, each thing once; they are also what is usual: a
    partner that changes in two thirds of them all has no lift left to show. Too few shared revisions
    (`LEAST_SHARED`), a low share of the thing's (`LEAST_DEGREE`, and its lower bound `LEAST_CONFIDENCE`) and a low
    lift (`LEAST_LIFT`) are no coupling.
    """
    revisions: Counter[Thing] = Counter()
    shared: dict[Thing, Counter[Thing]] = {thing: Counter() for thing in things}
    last: dict[tuple[Thing, Thing], int] = {}
    for place, changed in enumerate(changesets):
        revisions.update(changed)
        for thing in things:
            if thing in changed:
                others = [other for other in changed if other not in shared]
                shared[thing].update(others)
                for other in others:
                    last.setdefault((thing, other), place)
    best: dict[Thing, Coupling[Thing]] = {}
    for thing, partners in shared.items():
        for partner, count in partners.items():
            if count < LEAST_SHARED or count < LEAST_DEGREE * revisions[thing]:
                continue
            lift = count * len(changesets) / (revisions[thing] * revisions[partner])
            if lift < LEAST_LIFT:
                continue
            sure = wilson(count, revisions[thing])[0]
            if sure < LEAST_CONFIDENCE:
                continue
            if partner not in best or sure > best[partner].confidence:
                place = last[thing, partner]
                best[partner] = Coupling(thing, partner, count, revisions[thing], lift, sure, place)
    return tuple(sorted(best.values(), key=lambda c: (-c.confidence, c.last)))
