"""From runs to failure rates: k of n with an interval, clusters of failures, and base against head.  PYTEST_DONT_REWRITE

What is counted, and what is not:

- The first attempt of a test in a run alone. A retry is made because something failed: it is selected data.
- No run that is a disaster, in which most tests failed: it says nothing of any one test.
- Tests that fail together, in the same runs with the same error, are one event among the suite's.
- A test that passes and fails at one version of the code is flaky. One that passes at one version and
  fails at the next may have been broken and mended: that is a flip, and no evidence of more.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pytest_bugsle.stats.binomial import check_counts, check_inside, clopper_pearson, fisher_greater
from pytest_bugsle.stats.intervals import LEVEL, wilson
from pytest_bugsle.stats.power import percent, sentence
from pytest_bugsle.stats.sequential import Sampling, SequentialTest, confidence_sequence

Outcome = Literal["passed", "failed", "skipped"]
Stopping = Literal["fixed", "sequential"]
Verdict = Literal["worse", "no worse", "undecided"]

DISASTER_SHARE = 0.5
"""Of the tests of a run; where more failed, the run is left out.

The field leaves out what has more than 80 % failed. That keeps a run whose database was down for two
thirds of the tests, and each of them gets a failure that is not its own. Half is still far from what flaky
tests do by themselves: of 10 tests that each fail once in 20 times, more than half fail together 3 times
in a million. What a true regression of most of the suite loses here is its mark on the rates alone.
"""

DISASTER_TESTS = 10
"""In a run with fewer tests "most failed" says little: somebody is at work on a few of them."""

RULE = SequentialTest()
"""Stable at once in a thousand runs, flaky at once in twenty: sixty straight passes, or a failure among the first."""

LEAST_OVERLAP = 0.5
"""Jaccard: two tests are linked when they share at least this part of the failures that either had."""

MARGIN = 0.1
"""By how much a failure rate may rise unseen where a head is called no worse than its base."""


def _check_stopping(stopping: str) -> None:
    if stopping not in ("fixed", "sequential"):
        raise ValueError(f"stopping == {stopping!r}, must be fixed or sequential.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a test: a failure in any phase is `failed`; the fingerprint of its error, "" if unknown."""

    outcome: Outcome
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.outcome not in ("passed", "failed", "skipped"):
            raise ValueError(f"outcome == {self.outcome!r}, must be passed, failed or skipped.")


@dataclass(frozen=True, slots=True)
class Run:
    """One run: which code it was, why it was made, and the attempts of each test, first to last.

    `stopping` is `fixed` if the run would have been made whatever came before, and `sequential` if an earlier
    outcome asked for it: a rerun after a failure, a burn-in or a hunt that ends when it has seen enough. Runs
    of one mode belong together; a test alone in its process is another experiment than the suite.
    ValueError for another word.
    """

    id: str
    version: str
    stopping: Stopping
    tests: Mapping[str, Sequence[Attempt]]

    def __post_init__(self) -> None:
        _check_stopping(self.stopping)


@dataclass(frozen=True, slots=True)
class Rate:
    """`failures` of `trials` independent trials, and how it was decided that there are so many.

    The interval follows from that and can not be chosen: Wilson's for a number fixed beforehand, the
    anytime-valid one where outcomes decided. ValueError for counts that contradict themselves.
    """

    failures: int
    trials: int
    stopping: Stopping

    def __post_init__(self) -> None:
        check_counts(self.failures, self.trials)
        _check_stopping(self.stopping)

    @classmethod
    def of(cls, sampling: Sampling) -> Rate:
        """Return the rate of a sampling that a sequential test has stopped or may stop."""
        return cls(sampling.failures, sampling.trials, "sequential")

    def __add__(self, other: Rate) -> Rate:
        fixed = self.stopping == other.stopping == "fixed"
        return Rate(
            self.failures + other.failures, self.trials + other.trials, "fixed" if fixed else "sequential"
        )

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of the failure rate that the way of stopping allows; (0, 1) without trials."""
        check_inside("level", level)
        if self.stopping == "sequential" or not self.trials:
            return confidence_sequence(self.failures, self.trials, level)
        return wilson(self.failures, self.trials, level)

    def sure(self, error: float) -> tuple[float, float]:
        """Return two bounds that are each wrong with a chance of at most error / 2, at any true rate.

        Wilson's keeps its level on average over rates; where an error is promised, the exact one of Clopper
        and Pearson takes its place.
        """
        if self.stopping == "sequential":
            return confidence_sequence(self.failures, self.trials, 1 - error / 2)
        return clopper_pearson(self.failures, self.trials, 1 - error)

    def sentence(self) -> str:
        """Say the rate with its interval and, where nothing failed, what it may have missed."""
        if not self.trials:
            return "no runs: nothing is known"
        low, high = self.interval()
        if self.failures:
            share = percent(self.failures / self.trials)
            between = f"{percent(LEVEL)} interval {percent(low)} to {percent(high)}"
            return f"{self.failures:,} of {self.trials:,} failed, {share}, {between}"
        return f"0 of {self.trials:,} failed, may still be up to {percent(high)}; {sentence(self.trials)}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runs say of one test.

    `mixed` are the versions, oldest first, at which it both passed and failed, on any attempt. Of the
    other versions `flips` counts the neighbours, among `neighbours` pairs, that differ in their outcome.
    `retries` are the attempts that the rate leaves out.
    """

    test: str
    rate: Rate
    retries: int
    mixed: tuple[str, ...]
    flips: int
    neighbours: int

    @property
    def flip_rate(self) -> float | None:
        """Return flips per pair of neighbouring versions; None without a pair."""
        return self.flips / self.neighbours if self.neighbours else None


@dataclass(frozen=True, slots=True)
class Cluster:
    """Tests that fail together: the rate is of runs in which any of them failed, among those that ran any."""

    tests: tuple[str, ...]
    rate: Rate


@dataclass(frozen=True, slots=True)
class Rates:
    """What a number of runs say: tests by name, clusters with the most events first, runs left out."""

    tests: tuple[Evidence, ...]
    clusters: tuple[Cluster, ...]
    disasters: tuple[str, ...]
    counted: int

    @property
    def events(self) -> int:
        """Return in how many separate events something failed: clusters, not tests, times runs."""
        return sum(cluster.rate.failures for cluster in self.clusters)


def is_disaster(run: Run, share: float = DISASTER_SHARE, least: int = DISASTER_TESTS) -> bool:
    """Say whether more than this share of the run's tests failed, of at least so many that were not skipped."""
    first = [attempts[0].outcome for attempts in run.tests.values() if attempts]
    failed, ran = first.count("failed"), len(first) - first.count("skipped")
    return ran >= least and failed > share * ran


def rates(runs: Iterable[Run], family: Callable[[str], str] = str) -> Rates:
    """Count what these runs, oldest first, say of their tests.

    A test that was skipped or has no attempt in a run has no trial in it. `family` maps the fingerprint of
    an error to what errors of one cause share; by itself each is its own. A test's rate is `sequential` if
    any run that it was counted in was. ValueError where a run comes twice: it would count twice.
    """
    ran: defaultdict[str, list[int]] = defaultdict(list)
    failed: defaultdict[str, dict[int, str]] = defaultdict(dict)
    retries: Counter[str] = Counter()
    seen: defaultdict[str, dict[str, set[str]]] = defaultdict(dict)
    disasters: list[str] = []
    sequential: set[int] = set()
    ids: set[str] = set()
    for place, run in enumerate(runs):
        if run.id in ids:
            raise ValueError(f"run.id == {run.id!r} comes twice, must be counted once.")
        ids.add(run.id)
        if is_disaster(run):
            disasters.append(run.id)
            continue
        if run.stopping != "fixed":
            sequential.add(place)
        for test, attempts in run.tests.items():
            if not attempts:
                continue
            first = attempts[0]
            outcomes = seen[test].setdefault(run.version, set())
            outcomes.add(first.outcome)
            for attempt in attempts[1:]:
                retries[test] += 1
                outcomes.add(attempt.outcome)
            if first.outcome != "skipped":
                ran[test].append(place)
                if first.outcome == "failed":
                    failed[test][place] = family(first.fingerprint)

    def rate(failures: int, trials: Iterable[int]) -> Rate:
        places = set(trials)
        return Rate(failures, len(places), "fixed" if places.isdisjoint(sequential) else "sequential")

    tests = []
    for test in sorted(seen):
        mixed, flips, neighbours = _across(seen[test])
        of_test = rate(len(failed.get(test, ())), ran.get(test, ()))
        tests.append(Evidence(test, of_test, retries[test], mixed, flips, neighbours))
    clusters = [
        Cluster(
            members,
            rate(
                len({place for test in members for place in failed[test]}),
                (place for test in members for place in ran[test]),
            ),
        )
        for members in _clusters(failed)
    ]
    clusters.sort(key=lambda cluster: (-cluster.rate.failures, cluster.tests))
    return Rates(tuple(tests), tuple(clusters), tuple(disasters), len(ids) - len(disasters))


def _across(versions: Mapping[str, set[str]]) -> tuple[tuple[str, ...], int, int]:
    """Return the versions with both outcomes, and of the others the flips and the neighbouring pairs."""
    mixed = tuple(version for version, outcomes in versions.items() if {"passed", "failed"} <= outcomes)
    clear = [
        "failed" in outcomes
        for version, outcomes in versions.items()
        if version not in mixed and outcomes & {"passed", "failed"}
    ]
    pairs = list(pairwise(clear))
    return mixed, sum(one != other for one, other in pairs), len(pairs)


def _clusters(failed: Mapping[str, Mapping[int, str]]) -> list[tuple[str, ...]]:
    """Group the tests that failed: single linkage of those whose events overlap by `LEAST_OVERLAP`.

    A test's events are the runs in which it failed, each with its error's family; where that is not known,
    the event is its own. Tests with the very same events are joined first, so that a hundred tests that
    always fail together cost one comparison and not five thousand.
    """
    alike: defaultdict[frozenset[tuple[int, str, str]], list[str]] = defaultdict(list)
    for test, failures in failed.items():
        events = frozenset((place, kind, "" if kind else test) for place, kind in failures.items())
        alike[events].append(test)
    groups = list(alike)
    at: defaultdict[tuple[int, str, str], list[int]] = defaultdict(list)
    for number, events in enumerate(groups):
        for event in events:
            at[event].append(number)
    root = list(range(len(groups)))

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    for number, events in enumerate(groups):
        shared = Counter(other for event in events for other in at[event] if other > number)
        for other, count in shared.items():
            if count >= LEAST_OVERLAP * (len(events) + len(groups[other]) - count):
                root[find(other)] = find(number)
    members: defaultdict[int, list[str]] = defaultdict(list)
    for number, events in enumerate(groups):
        members[find(number)].extend(alike[events])
    return [tuple(sorted(tests)) for tests in members.values()]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A head's failure rate beside its base's; `p_value` is Fisher's, None where outcomes stopped a side."""

    base: Rate
    head: Rate
    verdict: Verdict
    p_value: float | None


def compare(base: Rate, head: Rate, error: float = 0.05, margin: float = MARGIN) -> Comparison:
    """Judge whether a test fails more often at the head than at the base.

    `worse`, wrongly with a chance of at most `error`, where the head fails no more often than the base:
    Fisher's exact test, and where outcomes stopped a side, intervals that lie apart. `no worse`, wrongly
    with a chance of at most `error`, where the head's rate lies `margin` or more above the base's: the
    highest rate that the head may have is less than the lowest of the base plus the margin. No difference
    seen is `undecided`: a head needs 36 straight passes to be no worse than a base that never failed.

    The failure that raised the question is selected data and must not be among the head's trials.
    """
    check_inside("error", error)
    check_inside("margin", margin)
    base_low, base_high = base.sure(error)
    head_low, head_high = head.sure(error)
    p_value = None
    if base.stopping == head.stopping == "fixed":
        p_value = fisher_greater(head.failures, head.trials, base.failures, base.trials)
    if head_low > base_high if p_value is None else p_value <= error:
        return Comparison(base, head, "worse", p_value)
    verdict: Verdict = "no worse" if base.trials and head_high < base_low + margin else "undecided"
    return Comparison(base, head, verdict, p_value)
