"""What is remembered of earlier looks at an experiment, and by what identical data are known.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Literal

import msgspec

from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.evidence import Evidence
from pytest_bugsle.results import ExperimentLook, ExperimentResult


class PastLook(msgspec.Struct, frozen=True, kw_only=True):
    """One look at one metric: what there was, and the two-sided level at which it decided.

    `data` is the digest of what the data said, `n` are the units of control and treatment, `at` is the time of the
    first run that saw them (UTC, ISO 8601), `terms` are the risks that the level comes from, `design` is the digest
    of the design, and `session` tells runs of pytest apart.
    """

    metric: str
    data: str
    n: tuple[int, int]
    at: str
    number: int
    method: Literal["fixed", "spending", "always-valid"]
    level: float
    share: float | None
    spent: float | None
    z: float | None
    outcome: str
    terms: str
    design: str = ""
    test: str = ""
    session: str = ""

    @property
    def information(self) -> float:
        """How much the units of both arms say of a difference: as many units in each arm would say as much."""
        return information(self.n)

    def shown(self) -> ExperimentLook:
        """Return the look as a report shows it."""
        return ExperimentLook(
            method=self.method,
            number=self.number,
            of=None,
            share=self.share,
            alpha=self.level,
            why=f"look {self.number}",
            z=self.z,
            units=sum(self.n),
            spent=self.spent,
            terms=self.terms,
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one experiment when its data are judged.

    `of` gives the looks at a metric, oldest first, None where nothing remembers them from run to run. `unkept` says
    why a new one is not remembered, empty where it is. `notes` are to be said with each result.
    """

    experiment: str
    of: Callable[[str], Sequence[PastLook] | None]
    unkept: str = ""
    notes: tuple[str, ...] = ()

    def forgets(self, metric: str, data: str) -> bool:
        """Say whether these data are a new look that only a commit would keep."""
        seen = self.of(metric)
        return bool(self.unkept) and seen is not None and all(look.data != data for look in seen)


def information(n: Sequence[int]) -> float:
    """Return half the harmonic mean of two arms' sizes: a difference has a variance of 1 over it."""
    return 1 / sum(1 / units for units in n)


def terms_of(design: Design) -> str:
    """Return the risks that the level of a look comes from."""
    return f"{design.alpha!r}, {design.sides}-sided, {design.spending}"


def data_digest(evidence: Evidence) -> str:
    """Return by what data are known again: counts as numbers, all else as the units and the values of each arm.

    Sums of floats that are taken in another order differ in their last digits, so that values are told apart by a
    millionth of the interval's width.
    """
    if evidence.counts is not None:
        said = repr((evidence.kind, evidence.n, evidence.counts))
    else:
        low, high = evidence.interval(0.05) or (0.0, 0.0)
        parts = [
            _coarse(value, (high - low) * 1e-6)
            for value in (evidence.control, evidence.treatment, high - low)
        ]
        said = repr((evidence.kind, evidence.n, parts))
    return hashlib.blake2b(said.encode(), digest_size=12).hexdigest()


def _coarse(value: float, step: float) -> tuple[int, int]:
    """Return a value in steps of a power of ten, no smaller than what rounding of the machine moves it by."""
    step = max(step, abs(value) * 1e-11)
    if not step or not isfinite(step):
        return 0, 0
    power = floor(log10(step))
    return round(value * 10.0**-power), power


def united(*sources: Iterable[PastLook]) -> list[PastLook]:
    """Return the looks of several ledgers, each digest of a metric's data once, oldest first."""
    found: dict[tuple[str, str], PastLook] = {}
    for look in sorted((look for source in sources for look in source), key=_age):
        found.setdefault((look.metric, look.data), look)
    return sorted(found.values(), key=_age)


def _age(look: PastLook) -> tuple[str, int, float, str, bool]:
    # Of a look that one ledger has as a pass and another as taken back, the latter stands.
    return look.at, look.number, look.information, look.data, look.outcome == "pass"


def is_of(look: PastLook, metric: str) -> bool:
    """Say whether a look is at this metric, in whichever arm, with whichever parameters."""
    rest = look.metric.removeprefix(metric)
    return look.metric == metric or (rest != look.metric and rest.startswith((" [", " (", " #")))


def before(past: Sequence[PastLook], data: str) -> list[PastLook]:
    """Return the looks before the one at these data: all, where there was none."""
    place = next((place for place, look in enumerate(past) if look.data == data), len(past))
    return list(past[:place])


def look_of(
    result: ExperimentResult,
    *,
    metric: str,
    number: int,
    at: str,
    test: str = "",
    design: str = "",
    session: str = "",
) -> PastLook | None:
    """Return what is to be remembered of a result; None where no effect was shown."""
    if result.look is None or not result.data:
        return None
    control, treatment = result.n.values()
    return PastLook(
        metric=metric,
        data=result.data,
        n=(control, treatment),
        at=at,
        number=number,
        method=result.look.method,
        level=result.look.alpha,
        share=result.look.share,
        spent=result.look.spent,
        z=result.look.z,
        outcome=result.outcome,
        terms=result.look.terms,
        design=design,
        test=test,
        session=session,
    )
