"""Failure rates from runs: what is counted, with which interval, and base against head."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from itertools import combinations
from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.flaky.rates import (
    DISASTER_TESTS,
    LEAST_OVERLAP,
    Attempt,
    Cluster,
    Evidence,
    Rate,
    Run,
    Stopping,
    compare,
    is_disaster,
    rates,
)
from pytest_bugsle.stats.binomial import clopper_pearson, upper_tail
from pytest_bugsle.stats.intervals import wilson
from pytest_bugsle.stats.sequential import SequentialTest, confidence_sequence

RATES = [0.0, 0.005, 0.01, 0.05, 0.2, 0.5]
PASSED, FAILED, SKIPPED = Attempt("passed"), Attempt("failed"), Attempt("skipped")
SIDES = st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def history(*lines: str, stopping: Stopping = "fixed", name: str = "test_a") -> list[Run]:
    """One run a line, `version outcomes`: a letter an attempt, p, f or s; `.` for a test that did not run."""
    letters = {"p": PASSED, "f": FAILED, "s": SKIPPED}
    runs = []
    for number, line in enumerate(lines):
        version, outcomes = line.split()
        attempts = [letters[letter] for letter in outcomes if letter != "."]
        runs.append(Run(f"run{number}", version, stopping, {name: attempts}))
    return runs


def only(runs: Iterable[Run]) -> Evidence:
    """The evidence on the one test of these runs."""
    (evidence,) = rates(runs).tests
    return evidence


def together(*runs: str, error: str = "E") -> list[Run]:
    """One run a text: the letters in it are the tests that failed, of `abcdef`, all with one error."""
    return [
        Run(
            str(number),
            "v",
            "fixed",
            {test: [Attempt("failed", error) if test in text else PASSED] for test in "abcdef"},
        )
        for number, text in enumerate(runs)
    ]


# What is counted


def test_first_attempts_alone_are_counted() -> None:
    """A retry after a failure is selected data, whichever way it went."""
    evidence = only(history("v fp", "v p", "v fff", "v pp"))
    assert evidence.rate == Rate(2, 4, "fixed")
    assert evidence.retries == 4


def test_a_skip_and_a_test_without_attempts_are_no_trials() -> None:
    """Neither pass nor failure; a skipped first attempt does not let the second one in."""
    evidence = only(history("v s", "v .", "v sf", "v p"))
    assert evidence.rate == Rate(0, 1, "fixed")
    assert rates(history("v .")).tests == ()


def test_a_run_that_comes_twice_is_an_error() -> None:
    """It would count twice."""
    run = history("v p")[0]
    with pytest.raises(ValueError, match=r"run.id == 'run0' comes twice"):
        rates([run, run])


def test_one_run_that_an_outcome_asked_for_makes_the_rate_sequential() -> None:
    """And with it the interval, which nobody can choose."""
    fixed = history("v p", "v f")
    asked = Run("asked", "v", "sequential", {"test_a": [PASSED]})
    other = Run("other", "v", "sequential", {"test_b": [PASSED]})
    assert only(fixed).rate.interval() == wilson(1, 2)
    assert only([*fixed, asked]).rate == Rate(1, 3, "sequential")
    assert only([*fixed, asked]).rate.interval() == confidence_sequence(1, 3)
    assert rates([*fixed, other]).tests[0].rate.stopping == "fixed"


@pytest.mark.parametrize(
    ("failed", "ran", "skipped", "left_out"),
    [
        (6, 10, 0, True),
        (5, 10, 0, False),
        (6, 9, 0, False),
        (9, 9, 50, False),
        (6, 10, 50, True),
        (0, 0, 3, False),
    ],
)
def test_a_run_in_which_most_tests_failed_is_left_out(
    failed: int, ran: int, skipped: int, left_out: bool
) -> None:
    """More than half of at least ten that ran; skipped ones are none of them."""
    assert DISASTER_TESTS == 10
    attempts = [[FAILED, PASSED]] * failed + [[PASSED, FAILED]] * (ran - failed) + [[SKIPPED]] * skipped
    run = Run("bad", "v", "fixed", {f"test_{n}": tried for n, tried in enumerate(attempts)})
    assert is_disaster(run) == left_out
    found = rates([run])
    assert found.disasters == (("bad",) if left_out else ())
    assert found.counted == 1 - left_out
    assert found.tests == () if left_out else len(found.tests) == ran + skipped


def test_what_says_why_half_is_no_chance() -> None:
    """More than half of ten tests that each fail once in 20 times: 3 in a million."""
    assert isclose(upper_tail(6, 10, 0.05), 2.75e-6, rel_tol=0.01)


def test_both_outcomes_at_one_version_are_evidence_of_a_flake() -> None:
    """Within a run by a retry, and across runs; skips are no outcome."""
    assert only(history("v fp")).mixed == ("v",)
    assert only(history("v p", "w p", "v f")).mixed == ("v",)
    assert only(history("v f", "v s", "w p")).mixed == ()


def test_a_change_across_versions_is_a_flip_and_no_evidence() -> None:
    """Broken and mended: two flips of three; a mixed version and a skipped one are no neighbours."""
    evidence = only(history("v p", "w f", "x p", "y p"))
    assert evidence.mixed == ()
    assert (evidence.flips, evidence.neighbours) == (2, 3)
    assert evidence.flip_rate == 2 / 3
    evidence = only(history("v p", "w fp", "x s", "y p"))
    assert (evidence.mixed, evidence.flips, evidence.neighbours) == (("w",), 0, 1)
    assert only(history("v p")).flip_rate is None


# Clusters


def test_tests_that_fail_together_are_one_event() -> None:
    """Six failures of tests, three events."""
    found = rates(together("abc", "", "abc", "d"))
    assert found.clusters == (
        Cluster(("a", "b", "c"), Rate(2, 4, "fixed")),
        Cluster(("d",), Rate(1, 4, "fixed")),
    )
    assert found.events == 3
    assert [evidence.rate.failures for evidence in found.tests] == [2, 2, 2, 1, 0, 0]


def test_failing_in_one_run_by_different_errors_is_no_cluster() -> None:
    """Nor by errors of which nothing is known."""
    runs = [Run("r", "v", "fixed", {"a": [Attempt("failed", "E:1")], "b": [Attempt("failed", "F:1")]})]
    assert [cluster.tests for cluster in rates(runs).clusters] == [("a",), ("b",)]
    assert len(rates(together("ab", error="")).clusters) == 2


def test_a_family_brings_errors_of_one_cause_together() -> None:
    """As the caller knows them."""
    runs = [Run("r", "v", "fixed", {"a": [Attempt("failed", "E:1")], "b": [Attempt("failed", "E:2")]})]
    assert len(rates(runs).clusters) == 2
    (cluster,) = rates(runs, lambda fingerprint: fingerprint.split(":", maxsplit=1)[0]).clusters
    assert cluster == Cluster(("a", "b"), Rate(1, 1, "fixed"))


def test_a_cluster_is_counted_over_all_runs_of_its_tests() -> None:
    """Also those in which only some of them ran, and as they were stopped."""
    runs = together("ab", "a", "ab")
    runs.append(Run("more", "v", "sequential", {"b": [PASSED]}))
    assert rates(runs).clusters == (Cluster(("a", "b"), Rate(3, 4, "sequential")),)


@given(st.lists(st.sets(st.sampled_from("abcdef")), min_size=1, max_size=12))
def test_clusters_are_the_connected_parts_of_what_overlaps(failing: list[set[str]]) -> None:
    """By comparing each test with each other."""
    runs = together(*("".join(sorted(tests)) for tests in failing))
    events = {test: {n for n, tests in enumerate(failing) if test in tests} for test in "abcdef"}
    parts = [{test} for test in "abcdef" if events[test]]
    for one, other in combinations("abcdef", 2):
        shared, either = events[one] & events[other], events[one] | events[other]
        if shared and len(shared) >= LEAST_OVERLAP * len(either):
            touched = [part for part in parts if part & {one, other}]
            parts = [part for part in parts if not part & {one, other}] + [set().union(*touched)]
    found = rates(runs)
    assert sorted(cluster.tests for cluster in found.clusters) == sorted(tuple(sorted(p)) for p in parts)
    assert found.events == sum(len(set().union(*(events[test] for test in part))) for part in parts)


@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_runs_and_tests_changes_no_count(failing: list[set[str]], chance: random.Random) -> None:
    """Of one version."""
    runs = together(*("".join(sorted(tests)) for tests in failing))
    mixed = [Run(run.id, run.version, run.stopping, dict(reversed(run.tests.items()))) for run in runs]
    chance.shuffle(mixed)
    assert rates(mixed) == rates(runs)


# Rates and their intervals


@given(SIDES, SIDES)
def test_rates_add_up_and_a_sequential_part_stays_one(one: tuple[int, int], other: tuple[int, int]) -> None:
    """No sum makes a naive interval of it."""
    for first, second in (("fixed", "sequential"), ("sequential", "fixed"), ("sequential", "sequential")):
        total = Rate(*one, first) + Rate(*other, second)
        assert total == Rate(one[0] + other[0], one[1] + other[1], "sequential")
    assert (Rate(*one, "fixed") + Rate(*other, "fixed")).stopping == "fixed"


def test_the_rate_of_a_sampling_is_sequential() -> None:
    """It keeps the interval that the sampling has."""
    sampling = SequentialTest().replay([False, True])
    rate = Rate.of(sampling)
    assert rate == Rate(1, 2, "sequential")
    assert rate.interval() == sampling.interval()
    assert rate.interval(0.9) == sampling.interval(0.9)


@given(SIDES, st.sampled_from(["fixed", "sequential"]))
def test_an_interval_holds_the_share_and_grows_with_failures(
    counts: tuple[int, int], stopping: Stopping
) -> None:
    """Within 0 and 1; and the promised bounds keep what they promise."""
    failures, trials = counts
    rate = Rate(failures, trials, stopping)
    low, high = rate.interval()
    assert 0 <= low <= (failures / trials if trials else 0) <= high <= 1
    if failures < trials:
        more = Rate(failures + 1, trials, stopping).interval()
        assert more[0] >= low
        assert more[1] >= high
    expected = confidence_sequence(failures, trials, 0.975)
    if stopping == "fixed":
        expected = clopper_pearson(failures, trials, 0.95)
    assert rate.sure(0.05) == expected


@pytest.mark.parametrize("stopping", ["fixed", "sequential"])
def test_without_trials_nothing_is_known(stopping: Stopping) -> None:
    """From 0 to 1."""
    rate = Rate(0, 0, stopping)
    assert rate.interval() == rate.sure(0.05) == (0, 1)
    assert rate.sentence() == "no runs: nothing is known"


def test_a_rate_is_said_with_its_interval_and_its_power() -> None:
    """3 of 40, 0 of 10, and 0 of 60 after a rule that looked."""
    assert Rate(3, 40, "fixed").sentence() == "3 of 40 failed, 7.5 %, 95 % interval 2.58 % to 19.9 %"
    assert Rate(0, 10, "fixed").sentence() == (
        "0 of 10 failed, may still be up to 27.8 %; 10 passes would miss a 1 % flake 9 times in 10"
    )
    assert "up to 8.94 %" in Rate(0, 60, "sequential").sentence()


# Simulated suites with known rates


@cache
def suite() -> tuple[dict[str, float], tuple[Run, ...]]:
    """2,000 tests of each rate, run 40 times; what failed is retried once."""
    draw = random.Random(4).random  # noqa: S311 - a seeded simulation
    truth = {f"test_{rate}_{number}": rate for rate in RATES for number in range(2_000)}
    passed, failed_passed, failed_failed = [PASSED], [FAILED, PASSED], [FAILED, FAILED]

    def tried(rate: float) -> list[Attempt]:
        if draw() >= rate:
            return passed
        return failed_failed if draw() < rate else failed_passed

    return truth, tuple(
        Run(str(n), "v", "fixed", {test: tried(rate) for test, rate in truth.items()}) for n in range(40)
    )


@cache
def interval(rate: Rate) -> tuple[float, float]:
    """The interval that this rate carries, worked out once."""
    return rate.interval()


def test_the_intervals_of_a_simulated_suite_hold_its_rates() -> None:
    """Wilson's, of 40 runs: about as often as exactly expected, at each rate, and nowhere far below its level.

    Its coverage swings around the level (Brown, Cai and DasGupta, "Interval estimation for a binomial
    proportion", 2001, section 3.1.1).
    """
    truth, runs = suite()
    held = dict.fromkeys(RATES, 0)
    for evidence in rates(runs).tests:
        low, high = interval(evidence.rate)
        held[truth[evidence.test]] += low <= truth[evidence.test] <= high
    for rate, count in held.items():
        exact = sum(
            comb(40, k) * rate**k * (1 - rate) ** (40 - k)
            for k in range(41)
            if wilson(k, 40)[0] <= rate <= wilson(k, 40)[1]
        )
        assert abs(count / 2_000 - exact) < 0.02
        assert exact > 0.9
    assert 0.94 < sum(held.values()) / 12_000 < 0.99


@pytest.mark.parametrize("trials", [10, 50, 170])
def test_wilsons_interval_holds_its_level_on_average_over_rates(trials: int) -> None:
    """As known: the mean over all rates is very near 95 %, a little above it."""
    ends = [wilson(k, trials) for k in range(trials + 1)]
    grid = [(step + 0.5) / 400 for step in range(400)]
    mean = sum(
        comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
        for rate in grid
        for k, (low, high) in enumerate(ends)
        if low <= rate <= high
    ) / len(grid)
    assert 0.948 < mean < 0.957


def test_retries_would_have_spoilt_the_rates() -> None:
    """By its last attempt, a test that fails every second time would seem to fail every fourth."""
    truth, runs = suite()
    name = [test for test, rate in truth.items() if rate == 0.5]
    first = [run.tests[test][0].outcome == "failed" for run in runs for test in name]
    last = [run.tests[test][-1].outcome == "failed" for run in runs for test in name]
    assert isclose(sum(first) / len(first), 0.5, abs_tol=0.01)
    assert isclose(sum(last) / len(last), 0.25, abs_tol=0.01)
    counted = [evidence.rate.failures for evidence in rates(runs).tests if truth[evidence.test] == 0.5]
    assert sum(counted) == sum(first)


@pytest.mark.parametrize("rate", RATES)
def test_a_rate_that_a_rule_has_stopped_holds_the_truth(rate: float) -> None:
    """2,000 samplings until decided or 100 trials: at least 95 %."""
    draw = random.Random(5).random  # noqa: S311 - a seeded simulation
    rule = SequentialTest(0.01, 0.1, limit=100)
    held = 0
    for _ in range(2_000):
        sampling = rule.start()
        while sampling.decision == "continue":
            sampling = sampling.record(draw() < rate)
        low, high = interval(Rate.of(sampling))
        held += low <= rate <= high
    assert held >= 0.95 * 2_000


# Base against head


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        ((0, 20), (3, 3), "worse"),
        ((1, 50), (3, 3), "worse"),
        ((10, 20), (3, 3), "undecided"),
        ((0, 1), (1, 1), "undecided"),
        ((0, 100), (0, 36), "no worse"),
        ((0, 100), (0, 35), "undecided"),
        ((40, 100), (3, 30), "no worse"),
        ((0, 0), (3, 3), "undecided"),
        ((3, 3), (0, 0), "undecided"),
        ((0, 0), (0, 500), "undecided"),
        ((1_000, 100_000), (1_200, 100_000), "worse"),
    ],
)
def test_a_head_is_worse_no_worse_or_undecided(
    base: tuple[int, int], head: tuple[int, int], verdict: str
) -> None:
    """No difference seen is no proof that there is none."""
    found = compare(Rate(*base, "fixed"), Rate(*head, "fixed"))
    assert found.verdict == verdict
    assert found.p_value is not None


def test_where_outcomes_stopped_a_side_only_intervals_that_lie_apart_decide() -> None:
    """Fisher's test knows fixed numbers alone."""
    base, head = Rate(0, 20, "fixed"), Rate(2, 2, "sequential")
    assert compare(base, head).p_value is None
    assert compare(base, head).verdict == "undecided"
    assert compare(base, Rate(2, 2, "fixed")).verdict == "worse"
    assert compare(base, Rate(3, 3, "sequential")).verdict == "worse"
    assert compare(Rate(0, 200, "sequential"), Rate(0, 200, "sequential")).verdict == "no worse"


@pytest.mark.parametrize("stopping", ["fixed", "sequential"])
def test_its_two_errors_are_as_stated(stopping: Stopping) -> None:
    """Over all outcomes of 40 and 40 runs: worse at equal rates, and no worse at a rate higher by the margin."""

    def chance(verdict: str, base: float, head: float, margin: float) -> float:
        weights = [
            [comb(40, k) * rate**k * (1 - rate) ** (40 - k) for k in range(41)] for rate in (base, head)
        ]
        return sum(
            weights[0][k] * weights[1][m]
            for k in range(41)
            for m in range(41)
            if weights[0][k] * weights[1][m] > 1e-9 and judged(k, m, margin) == verdict
        )

    @cache
    def judged(k: int, m: int, margin: float) -> str:
        return compare(Rate(k, 40, stopping), Rate(m, 40, stopping), margin=margin).verdict

    for rate in (*RATES, 0.1, 0.7):
        assert chance("worse", rate, rate, 0.2) <= 0.05
        assert chance("no worse", rate, rate + 0.2, 0.2) <= 0.05
    assert chance("worse", 0.01, 0.9, 0.2) > 0.99
    assert chance("no worse", 0.01, 0.01, 0.2) > 0.6


@given(SIDES, SIDES, st.sampled_from(["fixed", "sequential"]))
def test_one_more_failure_never_makes_a_head_better(
    base: tuple[int, int], head: tuple[int, int], stopping: Stopping
) -> None:
    """In the order no worse, undecided, worse."""
    order = ["no worse", "undecided", "worse"]
    if head[0] < head[1]:
        before = compare(Rate(*base, "fixed"), Rate(*head, stopping)).verdict
        after = compare(Rate(*base, "fixed"), Rate(head[0] + 1, head[1], stopping)).verdict
        assert order.index(after) >= order.index(before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Attempt("error"), "outcome == 'error', must be passed, failed or skipped"),
        (lambda: Rate(2, 1, "fixed"), "failures == 2, must be between 0 and 1"),
        (lambda: Rate(0, -1, "fixed"), "trials == -1, must be >= 0"),
        (lambda: Rate(0, 1, "whenever"), "stopping == 'whenever', must be fixed or sequential"),
        (lambda: Rate(0, 0, "fixed").interval(1), "level == 1, must be between 0 and 1"),
        (lambda: compare(Rate(0, 1, "fixed"), Rate(0, 1, "fixed"), error=0), "error == 0, must be between"),
        (lambda: compare(Rate(0, 1, "fixed"), Rate(0, 1, "fixed"), margin=1), "margin == 1, must be between"),
        (lambda: rates([Run("r", "v", "asked", {})]), "stopping == 'asked', must be fixed or sequential"),
    ],
)
def test_what_makes_no_sense_is_an_error(make: Callable[[], object], message: str) -> None:
    """By the name of the value and what it may be."""
    with pytest.raises(ValueError, match=message):
        make()
