"""Try a session's failures again, in three ways: alone, once more in one process, and after the same tests.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.flaky.attempts import stable_id
from pytest_bugsle.flaky.explaining import Explanation, Sighting, Verdict, explain, plural
from pytest_bugsle.flaky.failures import Failure
from pytest_bugsle.probes import drive
from pytest_bugsle.stats.power import sentence

if TYPE_CHECKING:
    from pytest_bugsle.flaky.probing import Prober


@dataclass(frozen=True, slots=True)
class Examined:
    """What the experiments say of a failure; `found` is None where there was no time for them.

    `why_not` says why they are missing, or did not come to their end.
    """

    failure: Failure
    found: Explanation | None
    why_not: str = ""

    @property
    def outcomes(self) -> list[Verdict]:
        """Return the planned outcomes: those of the search were chosen by what came before."""
        found = self.found
        return [one for one in (*found.alone, *found.replayed) if one != "skipped"] if found else []

    @property
    def is_flaky(self) -> bool:
        """Say whether the same code was seen to pass and to fail with the same test."""
        return self.failure.passed_too or "passed" in self.outcomes

    @property
    def fails(self) -> bool:
        """Say whether any of the planned runs failed."""
        return "failed" in self.outcomes

    @property
    def is_same(self) -> bool:
        """Say whether the error in the clean copy is the session's."""
        errors = self.found.errors - {""} if self.found else set()  # '' is a pass
        return not errors or self.failure.fingerprint in errors

    @property
    def is_only_here(self) -> bool:
        """Say whether the clean copy never showed it, nor an attempt of the session: it may differ from the tree."""
        return self.is_flaky and not self.fails and not self.failure.passed_too

    @property
    def sentence(self) -> str:
        """Say what was seen, with the numbers."""
        found = self.found
        if found is None:
            return self.why_not
        parts = []
        if found.alone:
            parts.append(f"alone it failed {found.alone.count('failed')} of {len(found.alone)} times")
        if found.replayed:
            replays = f"{found.replayed.count('failed')} of {len(found.replayed)} times"
            parts.append(f"after the same {plural(len(self.failure.before), 'test')} {replays}")
        if self.failure.is_cut:
            parts.append("not tried after the same tests: they take too long")
        if self.why_not:
            parts.append(self.why_not)
        text = "; ".join(parts)
        if self.outcomes and "failed" not in self.outcomes:
            text += f" ({sentence(len(self.outcomes))})"
        return text


def examine(
    failures: Sequence[Failure],
    prober: Prober,
    numbers: dict[str, int],
    until: float,
    say: Callable[[str], None],
) -> Iterator[Examined]:
    """Yield what the experiments say of each failure, in their order, until the time is over."""
    known: dict[tuple[int, ...], None] = {}
    for done, failure in enumerate(failures):
        number = numbers.get(stable_id(failure.id))
        if number is None:
            yield Examined(failure, None, "it is not collected in a clean copy of the tree")
            continue
        if time.monotonic() >= until:
            yield Examined(failure, None, "not tried again: the time was used up")
            continue
        say(f"failed: {failure.id}, tried again ({done + 1} of {len(failures)})")
        before = tuple(_numbers(failure.before, numbers))
        found = Explanation()
        judge = explain(number, [Sighting(before, "failed")], tuple(known), replays=2, found=found)
        ended = drive({number: judge}, prober.run_all, lambda: time.monotonic() < until)[number]
        if found.polluters or found.setters:
            known[found.polluters or found.setters] = None
        tried = found if ended is not None or found.categories else None
        yield Examined(failure, tried, "not tried to the end: the time was used up" if ended is None else "")


def _numbers(ids: Iterable[str], numbers: dict[str, int]) -> Iterator[int]:
    """Yield the numbers of the tests that ran before; one that is not collected there is left out."""
    for id_ in ids:
        if stable_id(id_) in numbers:
            yield numbers[stable_id(id_)]
