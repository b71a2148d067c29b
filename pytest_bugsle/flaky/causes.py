"""Why a test both passes and fails: the cause, by controlled experiment.  PYTEST_DONT_REWRITE

Pure. `investigate` is a generator in the sense of `pytest_bugsle.probes`: one factor after another is varied
while the rest is held, and a cause is named only when its experiment turns the outcome.

*Settings* (RNG seed, clock, hash seed …). Search: each setting once, until one passed and one failed.
Confirm: up to three settings of either side again, in an order drawn by lot; every repeat must agree with
the search. The search may choose as it likes, as the repeats are new data: where the setting has no effect,
a coin of any rate, and any drift or alternation of the outcome in time, agrees with the lot in at most 1 of
`comb(repeats, failing repeats)` cases. (The randomisation test of R. A. Fisher, "The Design of Experiments",
1935, chapter II. For a coin that fails with rate p the chance is p^f·(1−p)^(n−f) ≤ 1 / comb(n, f).) So the
error needs no belief about the rate k/n; the rate decides how many settings the search needs.

*Stress* (threads switched, load, network cut, few descriptors). As many attempts with it as without, by lot;
the cause is named when the test fails more often with it: Fisher's exact test, one-sided, at three looks
that share the error.

The error is that of the whole investigation: each factor has an equal share of it (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import ceil, comb, log
from typing import TYPE_CHECKING, Literal, TypeVar

from pytest_bugsle.flaky.factors import MOST_SETTINGS, Name, World

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from pytest_bugsle.flaky.factors import Factor, Setting

T = TypeVar("T")

Answer = Literal["passed", "failed", "skipped"] | None
"""The outcome of a probe's last test; one that was stopped at its time limit failed.

None where there is none: the world was refused, the test not found, or the budget at its end.
"""
ERROR = 0.001
"""The chance that an investigation of a test without any of these causes names one."""
POWER = 0.95
"""The chance that the search meets both outcomes, if the share of failing settings is the failure rate."""
MOST_PROBES = 600
"""Probes that an investigation asks for at most."""
LOOKS = (10, 20, 40)
"""Attempts under stress, and as many without, after which the outcomes are counted."""
_SIDE = 3  # settings of either outcome that are repeated
_BATCH = 6
_OUTCOMES: tuple[Answer, Answer] = ("passed", "failed")


@dataclass(frozen=True, slots=True)
class Probe:
    """One run that the judge asks for: these tests, in this order, in this world.

    `repeat` tells equal runs apart. `fresh`: in a process of its own. All probes that do not say `hashseed`
    must run under one and the same hash seed, as the forks of one process do.
    """

    tests: tuple[str, ...]
    world: World = ()
    repeat: int = 0
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Cause:
    """What turns the outcome of a test, the evidence in words, and a world for each outcome."""

    name: Name
    evidence: str
    passing: World
    failing: World
    error: float
    """The chance of this evidence, at most, where the factor has no effect."""


Verdict = Literal["shown", "not shown", "undecided", "not tried"]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one factor, with the number of probes that had an answer."""

    name: Name
    verdict: Verdict
    evidence: str
    probes: int = 0


@dataclass(frozen=True, slots=True)
class Investigation:
    """The cause, if one was shown, and what was tried, in order, up to the end or the end of the budget."""

    cause: Cause | None
    trials: tuple[Trial, ...]
    probes: int


def investigate(
    test: str,
    failures: int,
    attempts: int,
    factors: Sequence[Factor],
    *,
    before: Sequence[str] = (),
    lot: int = 0,
    most: int = MOST_PROBES,
) -> Generator[tuple[Probe, ...], Mapping[Probe, Answer], Investigation]:
    """Look for the factor that turns the outcome of a test that failed in some of its plain attempts.

    `before` are tests that must run first in the same process. `lot` draws the order of repeats. `factors`
    come in the order in which they are tried (`standard_factors`). Where the budget ends, the driver answers
    None to every probe: what was not tried is said.
    """
    if not 0 <= failures <= attempts or not attempts:
        raise ValueError(f"{failures} failures of {attempts} attempts")
    experiment = _Experiment((*before, test), lot, most)
    trials: list[Trial] = []
    cause = None
    for factor in factors:
        earlier, error = experiment.answered, ERROR / len(factors)
        if factor.settings:
            needed = settings_needed(failures, attempts)
            verdict, evidence, cause = yield from _by_settings(experiment, factor, error, needed)
        else:
            verdict, evidence, cause = yield from _by_stress(experiment, factor, error)
        trials.append(Trial(factor.name, verdict, evidence, experiment.answered - earlier))
        if cause is not None:
            break
    return Investigation(cause, tuple(trials), experiment.answered)


def suspects_of_worlds(
    test: str, factors: Sequence[Factor], *, before: Sequence[str] = (), lot: int = 0, most: int = MOST_PROBES
) -> Generator[tuple[Probe, ...], Mapping[Probe, Answer], tuple[Cause, ...]]:
    """Name every factor that turns the outcome of a test that is stable here: it would fail elsewhere.

    Stress is left out: a test that needs the network is not flaky for that.
    """
    experiment = _Experiment((*before, test), lot, most)
    causes: list[Cause] = []
    for factor in factors:
        if factor.settings:
            _, _, cause = yield from _by_settings(experiment, factor, ERROR / len(factors), _SIDE * _BATCH)
            causes.extend([cause] if cause is not None else [])
    return tuple(causes)


def settings_needed(failures: int, attempts: int) -> int:
    """Count the settings of which, with chance `POWER`, one passes and one fails, at the rate of the test.

    The rate is the mean of the posterior under a uniform prior (Laplace), (k + 1) / (n + 2): never 0 or 1.
    """
    rare = (failures + 1) / (attempts + 2)
    rare = min(rare, 1 - rare)
    return min(MOST_SETTINGS, max(_BATCH, ceil(log(1 - POWER) / log(1 - rare))))


def repeats_needed(error: float) -> int:
    """Count the repeats of either side that a coin agrees with at a chance of at most `error`."""
    if not 0 < error < 1:
        raise ValueError(f"error == {error}, must be between 0 and 1.")
    count = 1
    while comb(2 * count, count) * error < 1:
        count += 1
    return count


# -- experiments


class _Experiment:
    """The probes of one test: they are counted, repeated under a new number and limited."""

    def __init__(self, tests: tuple[str, ...], lot: int, most: int) -> None:
        self.tests = tests
        self.lot = lot
        self.left = most
        self.asked = 0
        self.answered = 0

    def order(self, slots: Iterable[T], salt: str) -> list[T]:
        """Draw an order by lot."""
        numbered = list(enumerate(slots))
        text = f"{self.lot}\0{self.tests}\0{salt}\0"
        numbered.sort(key=lambda pair: sha256(f"{text}{pair[0]}".encode("utf-8", "replace")).digest())
        return [slot for _, slot in numbered]

    def ask(
        self, asked: Sequence[tuple[World, int]], fresh: bool
    ) -> Generator[tuple[Probe, ...], Mapping[Probe, Answer], list[Answer]]:
        """Run worlds, each with the number of its repeat, in this order; beyond the limit there is no answer."""
        probes = tuple(Probe(self.tests, world, repeat, fresh) for world, repeat in asked)[: self.left]
        if not probes:
            return [None] * len(asked)
        self.left -= len(probes)
        self.asked += len(probes)
        answers = yield probes
        found = [answers.get(probe) for probe in probes]
        self.answered += sum(answer is not None for answer in found)
        return found + [None] * (len(asked) - len(found))


def _by_settings(
    experiment: _Experiment, factor: Factor, error: float, needed: int
) -> Generator[tuple[Probe, ...], Mapping[Probe, Answer], tuple[Verdict, str, Cause | None]]:
    """Find a setting that fails and one that passes, and see whether they always do."""
    settings = factor.settings[:needed] if factor.alike else factor.settings
    found: dict[Answer, list[Setting]] = {"passed": [], "failed": [], "skipped": [], None: []}
    for start in range(0, len(settings), _BATCH):
        batch = settings[start : start + _BATCH]
        answers = yield from experiment.ask([(setting.worlds[0], 0) for setting in batch], factor.fresh)
        for setting, answer in zip(batch, answers, strict=True):
            found[answer].append(setting)
        if (found["passed"] and found["failed"]) or all(answer is None for answer in answers):
            break
    tried = sum(map(len, found.values())) - len(found[None])
    if not tried:
        return "not tried", "no attempt had an answer", None
    if not (found["passed"] and found["failed"]):
        outcome = max(found, key=lambda answer: len(found[answer]) if answer else 0)
        evidence = f"{outcome} under {len(found[outcome])} of {tried} settings of {factor.title}"
        return ("not shown" if tried == len(settings) else "undecided"), evidence, None

    sides = [(outcome, found[outcome][:_SIDE]) for outcome in _OUTCOMES]
    least = repeats_needed(error)
    times = {outcome: max(_SIDE, ceil(least / len(chosen))) for outcome, chosen in sides}
    slots = [
        (setting, outcome, repeat)
        for outcome, chosen in sides
        for setting in chosen
        for repeat in range(1, times[outcome] + 1)
    ]
    slots = experiment.order(slots, factor.title)
    done, size = 0, 2
    while done < len(slots):
        part = slots[done : done + size]
        worlds = [(setting.worlds[repeat % len(setting.worlds)], repeat) for setting, _, repeat in part]
        answers = yield from experiment.ask(worlds, factor.fresh)
        for (setting, outcome, _), answer in zip(part, answers, strict=True):
            if answer is None:
                evidence = f"{done} of {len(slots)} repeats agreed, then one had no answer"
                return "undecided", evidence, None
            if answer != outcome:
                evidence = f"{outcome} and {answer} under the same setting of {factor.title}, {setting.label}"
                return "not shown", evidence, None
        done, size = done + len(part), 2 * size

    words = []
    for outcome, chosen in sides:
        labels, runs = ", ".join(setting.label for setting in chosen), times[outcome] + 1
        words.append(f"{labels} always {outcome} ({runs} of {runs}{' each' * (len(chosen) > 1)})")
    evidence = f"a function of {factor.title}: {', '.join(words)}"
    cause = Cause(
        factor.name,
        evidence,
        found["passed"][0].worlds[0],
        found["failed"][0].worlds[0],
        1 / comb(len(slots), times["failed"] * len(sides[1][1])),
    )
    return "shown", evidence, cause


def _by_stress(
    experiment: _Experiment, factor: Factor, error: float
) -> Generator[tuple[Probe, ...], Mapping[Probe, Answer], tuple[Verdict, str, Cause | None]]:
    """See whether the test fails more often under stress than without."""
    failed, counted, done = {True: 0, False: 0}, {True: 0, False: 0}, 0
    evidence = "no attempt had an answer"
    for look in LOOKS:
        slots = experiment.order([True, False] * (look - done), f"{factor.title} {look}")
        first = experiment.asked  # attempts without stress are new ones for each factor
        worlds = [
            (factor.stress if stressed else (), first + number) for number, stressed in enumerate(slots)
        ]
        answers = yield from experiment.ask(worlds, factor.fresh)
        for stressed, answer in zip(slots, answers, strict=True):
            failed[stressed] += answer == "failed"
            counted[stressed] += answer in ("passed", "failed")
        if not (counted[True] and counted[False]):
            return "not tried", evidence, None
        evidence = (
            f"with {factor.title}, {failed[True]} of {counted[True]} attempts fail; "
            f"without, {failed[False]} of {counted[False]}"
        )
        chance = fisher(failed[True], counted[True], failed[False], counted[False])
        if chance * len(LOOKS) <= error:
            return "shown", evidence, Cause(factor.name, evidence, (), factor.stress, chance * len(LOOKS))
        if None in answers:
            return "undecided", evidence, None
        if failed[True] * counted[False] <= failed[False] * counted[True]:
            break
        done = look
    return "not shown", evidence, None


def fisher(failed: int, attempts: int, other_failed: int, other_attempts: int) -> float:
    """Return the chance of at least so many failures of the first kind, where both kinds fail alike.

    Fisher's exact test, one-sided: the tail of the hypergeometric distribution. Source: R. A. Fisher, "The
    logic of inductive inference", Journal of the Royal Statistical Society 98 (1935), 39-82.
    """
    if not (0 <= failed <= attempts and 0 <= other_failed <= other_attempts):
        raise ValueError(f"{failed} of {attempts} and {other_failed} of {other_attempts} are no counts")
    total = failed + other_failed
    ways = sum(
        comb(attempts, count) * comb(other_attempts, total - count)
        for count in range(failed, min(attempts, total) + 1)
    )
    return ways / comb(attempts + other_attempts, total)
