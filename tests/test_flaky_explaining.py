"""What is said of a test whose outcome varies: over suites that are pure functions of their order."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from flaky_suites import Simulated, polluted
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.flaky.explaining import (
    CONFIRMATIONS,
    Explanation,
    Sighting,
    clean,
    explain,
    outcome_of,
    verdict,
)
from pytest_bugsle.flaky.search import MOST_MEMBERS, Probe
from pytest_bugsle.runner.outcome import Outcome, Ran

TEST = 0
OTHERS = tuple(range(1, 20))
State = Callable[[tuple[int, ...]], bool]


def suite_of(state: State, *, brittle: bool = False) -> Simulated:
    """Give a suite in which TEST alone depends on others."""
    return Simulated(lambda before, test: test == TEST and state(before) != brittle)


def sightings_of(suite: Simulated, orders: Sequence[Sequence[int]]) -> list[Sighting]:
    """Give what these orders show of TEST."""
    found = []
    for order in orders:
        before = tuple(order[: order.index(TEST)])
        found.append(Sighting(before, "failed" if suite.fails(before, TEST) else "passed"))
    return found


def explained(suite: Simulated, seed: int = 0, known: Sequence[tuple[int, ...]] = ()) -> Explanation:
    """Explain TEST from eight shuffled orders and both ends; look for cleaners where there are polluters."""
    chance = random.Random(seed)  # noqa: S311  # orders, not secrets
    orders = [[*OTHERS, TEST], [TEST, *OTHERS[::-1]], *(chance.sample([TEST, *OTHERS], 20) for _ in range(8))]
    sightings = sightings_of(suite, orders)
    found = suite.answer(explain(TEST, sightings, known), most=2_000)
    assert len(set(suite.asked)) <= found.probes <= len(suite.asked), "probes are counted wrong"
    if found.polluters:
        suite.answer(clean(TEST, found, sightings), most=4_000)
        assert len(set(suite.asked)) <= found.probes <= len(suite.asked), "probes are counted wrong"
    return found


members = st.lists(st.sampled_from(OTHERS), min_size=1, max_size=3, unique=True)


@given(members, st.lists(st.sampled_from(OTHERS), max_size=2, unique=True), st.integers(0, 99))
def test_a_victim_is_told_with_polluters_that_hold_in_clean_processes(
    polluters: list[int], cleaners: list[int], seed: int
) -> None:
    """All of them, no more, in an order that shows it; and a cleaner, where one was between."""
    cleaners = [cleaner for cleaner in cleaners if cleaner not in polluters]
    suite = suite_of(polluted(polluters, cleaners))
    found = explained(suite, seed)
    if "victim" not in found.categories:  # no order has shown it
        assert not found.categories
        return
    assert found.categories == {"victim"}
    assert set(found.polluters) == set(polluters)
    assert (found.shown, found.confirmed) == ((*found.polluters, TEST), CONFIRMATIONS)
    assert found.plain
    apart = [probe.tests for probe in suite.asked if probe.apart]
    assert (TEST,) in apart and apart.count(found.shown) == CONFIRMATIONS
    assert set(found.cleaners) <= set(cleaners)
    assert bool(found.cleaners) <= bool(cleaners)


@given(members, st.sampled_from(OTHERS), st.integers(0, 99))
def test_a_cleaner_is_found_where_the_test_passed_after_its_polluters(
    polluters: list[int], cleaner: int, seed: int
) -> None:
    """It stood between; where there is none, none is looked for."""
    if cleaner in polluters:
        polluters = [one for one in polluters if one != cleaner] or [cleaner % len(OTHERS) + 1]
    suite = suite_of(polluted(polluters, [cleaner]))
    rest = [one for one in OTHERS if one != cleaner and one not in polluters]
    orders = [[*polluters, *rest, TEST, cleaner], [*polluters, *rest, cleaner, TEST]]
    random.Random(seed).shuffle(rest)  # noqa: S311  # orders, not secrets
    sightings = sightings_of(suite, orders)
    found = suite.answer(explain(TEST, sightings))
    assert set(found.polluters) == set(polluters)
    suite.answer(clean(TEST, found, sightings))
    assert found.cleaners == (cleaner,)
    found.cleaners, asked = (), len(suite.asked)
    suite.answer(clean(TEST, found, sightings[:1]))
    assert (found.cleaners, len(suite.asked)) == ((), asked)


@given(st.lists(st.sampled_from(OTHERS), min_size=2, max_size=2, unique=True), st.integers(0, 99))
def test_an_ordered_pair_is_told_in_its_order(pair: list[int], seed: int) -> None:
    """Swapped they do nothing."""
    found = explained(suite_of(polluted(pair, ordered=True)), seed)
    if found.categories:
        assert (found.categories, found.polluters) == ({"victim"}, tuple(pair))


@given(members, st.integers(0, 99))
def test_a_brittle_test_is_told_with_its_setters(setters: list[int], seed: int) -> None:
    """It fails alone, and passes after them."""
    found = explained(suite_of(polluted(setters), brittle=True), seed)
    if found.categories != {"failing"}:
        assert found.categories == {"brittle"}
        assert set(found.setters) == set(setters)
        assert found.shown == (*found.setters, TEST)
        assert not found.polluters and not found.cleaners


@given(members, st.integers(0, 99))
def test_what_pollutes_one_test_is_tried_first_for_the_next(polluters: list[int], seed: int) -> None:
    """A known group that fits saves the search; one that holds more than is needed is cut down."""
    suite = suite_of(polluted(polluters))
    found = suite.answer(explain(TEST, sightings_of(suite, [[*OTHERS, TEST]]), [(*polluters, 19)]))
    assert set(found.polluters) == set(polluters)
    longest = max(len(probe.tests) for probe in suite.asked)
    assert longest <= len(polluters) + 2
    del seed


def test_known_groups_that_do_not_fit_cost_a_probe_each() -> None:
    """And lead nobody astray."""
    suite = suite_of(polluted([5]))
    found = suite.answer(explain(TEST, sightings_of(suite, [[*OTHERS, TEST]]), [(1, 2), (TEST, 5), (3,)]))
    assert found.polluters == (5,)
    asked = [probe.tests for probe in suite.asked]
    assert asked.count((1, 2, TEST)) == asked.count((3, TEST)) == 1
    assert (TEST, 5, TEST) not in asked


def test_a_test_that_fails_the_second_time_is_not_idempotent() -> None:
    """Also where it is a victim of another, too."""
    suite = Simulated(lambda before, test: test == TEST and (TEST in before or 7 in before))
    found = explained(suite)
    assert found.categories == {"not-idempotent", "victim"}
    assert found.polluters == (7,)
    suite = Simulated(lambda before, test: test == TEST and TEST in before)
    found = explained(suite)
    assert (found.categories, found.shown, found.confirmed) == ({"not-idempotent"}, (TEST, TEST), 3)


def test_a_test_that_fails_alone_now_and_then_is_non_deterministic() -> None:
    """No search is begun for it."""
    draws = iter([True, False] * 10)
    suite = Simulated(lambda before, test: next(draws) if not before else False)
    found = suite.answer(explain(TEST, [Sighting((1, 2), "passed"), Sighting((2,), "failed")]))
    assert found.categories == {"non-deterministic"}
    assert not found.polluters


def test_a_prefix_that_shows_both_outcomes_is_probabilistic() -> None:
    """The same tests before it, once with this outcome and once with that."""
    draws = iter([True, False] * 50)
    suite = Simulated(
        lambda before, test: test == TEST and bool(before) and before != (TEST,) and next(draws)
    )
    found = suite.answer(explain(TEST, [Sighting((1, 2, 3), "failed")]))
    assert found.categories == {"probabilistic"}
    assert "2 of 3" in found.why and not found.confirmed


def test_a_failure_that_never_comes_again_is_non_deterministic() -> None:
    """Seen once, and in no replay."""
    suite = Simulated(lambda before, test: False)
    found = suite.answer(explain(TEST, [Sighting((1, 2, 3), "failed")]))
    assert found.categories == {"non-deterministic"}


def test_what_clean_processes_do_not_show_is_not_claimed() -> None:
    """Polluters that work in forks alone are none: the state is then one of what was collected."""

    class InForks(Simulated):
        def ran(self, probe: Probe) -> Ran:
            ran = super().ran(probe)
            return Ran((Outcome("0", "passed"),), "finished", 0.0) if probe.apart else ran

    suite = InForks(lambda before, test: test == TEST and 7 in before)
    found = suite.answer(explain(TEST, [Sighting((5, 7, 9), "failed")]), most=200)
    assert not found.polluters and not found.confirmed and "victim" not in found.categories
    assert found.categories


def test_the_command_of_a_second_run_is_not_that_of_a_search_that_failed() -> None:
    """`pytest ID ID` runs a test once: what another search found plain says nothing of it."""

    class InForks(Simulated):
        def ran(self, probe: Probe) -> Ran:
            ran = replace(super().ran(probe), plain=False)
            if probe.apart and 7 in probe.tests:
                passed = tuple(Outcome(one.id, "passed") for one in ran.outcomes)
                return replace(ran, outcomes=passed, plain=True)
            return ran

    suite = InForks(lambda before, test: test == TEST and (7 in before or TEST in before))
    found = suite.answer(explain(TEST, [Sighting((5, 7, 9), "failed")]), most=200)
    assert "not-idempotent" in found.categories and not found.polluters
    assert (found.shown, found.plain) == ((TEST, TEST), False)


def test_a_test_that_always_fails_varies_in_nothing() -> None:
    """It is failing, and no polluters are looked for."""
    suite = Simulated(lambda before, test: test == TEST)
    found = suite.answer(explain(TEST, [Sighting((1, 2), "failed"), Sighting((), "failed")]))
    assert found.categories == {"failing"}


def test_a_sequence_that_an_earlier_test_cut_short_says_nothing_of_the_last() -> None:
    """A crash of another test before it is no failure of this one: who crashes pollutes nobody."""

    class Crashing(Simulated):
        """Test 8 ends its process where 3 ran before it; TEST fails after 5 alone."""

        def ran(self, probe: Probe) -> Ran:
            ran = super().ran(probe)
            for place, test in enumerate(probe.tests):
                if test == 8 and 3 in probe.tests[:place]:
                    ended = (*ran.outcomes[:place], Outcome("", "died"))
                    return Ran(ended, "died", 0.0, of=len(probe.tests))
            return ran

    suite = Crashing(lambda before, test: test == TEST and 5 in before)
    found = suite.answer(explain(TEST, [Sighting((8, 3, 1, 2, 5), "failed")], [(3, 8)]), most=200)
    assert (found.categories, found.polluters) == ({"victim"}, (5,))


def test_a_crash_of_the_test_itself_is_its_failure() -> None:
    """A test that dies after another one is a victim of it."""

    class Dying(Simulated):
        def ran(self, probe: Probe) -> Ran:
            ran = super().ran(probe)
            for place, outcome in enumerate(ran.outcomes):
                if outcome.status == "failed":
                    return Ran((*ran.outcomes[:place], Outcome("", "died")), "died", 0.0)
            return ran

    found = explained(Dying(lambda before, test: test == TEST and 7 in before))
    assert (found.categories, found.polluters) == ({"victim"}, (7,))


def test_words_for_outcomes() -> None:
    """A skip is neither pass nor failure, nor is what was not run."""
    words = {
        status: verdict(status)
        for status in (
            "passed",
            "xfailed",
            "xpassed",
            "failed",
            "error",
            "died",
            "timeout",
            "skipped",
            "missing",
        )
    }
    assert [name for name, word in words.items() if word == "passed"] == ["passed", "xfailed", "xpassed"]
    assert [name for name, word in words.items() if word == "skipped"] == ["skipped", "missing"]
    assert outcome_of(Ran((), "unable", 0.0)) == "skipped"


def test_what_takes_more_tests_than_a_search_holds_is_a_victim_of_all_of_them() -> None:
    """A cache that fills up: no polluters are named, and clean processes have shown it after the whole prefix."""
    others = tuple(range(1, 200))
    suite = Simulated(lambda before, test: test == TEST and len(before) >= 120)
    found = suite.answer(explain(TEST, [Sighting(others, "failed")]), most=400)
    assert (found.categories, found.polluters, found.shown) == ({"victim"}, (), ())
    assert (found.many, found.confirmed) == (others, CONFIRMATIONS)
    assert found.why == "it failed after 199 other tests, and 20 of them were not found to be enough"
    clean_runs = [probe.tests for probe in suite.asked if probe.apart]
    assert clean_runs.count((*others, TEST)) == CONFIRMATIONS and (TEST,) in clean_runs


def test_what_many_pollute_is_not_shown_by_its_second_run() -> None:
    """A test may be both: the sequence that shows the one is none of the other."""
    suite = Simulated(lambda before, test: test == TEST and (TEST in before or len(before) >= 120))
    found = suite.answer(explain(TEST, [Sighting(tuple(range(1, 200)), "failed")]), most=400)
    assert (found.categories, found.shown) == ({"victim", "not-idempotent"}, ())


def test_a_victim_that_no_clean_process_shows_is_called_one_no_longer() -> None:
    """After the replays it seemed to be: the clean processes have the last word."""

    class InForks(Simulated):
        def ran(self, probe: Probe) -> Ran:
            ran = super().ran(probe)
            return Ran((Outcome("0", "passed"),), "finished", 0.0) if probe.apart else ran

    suite = InForks(lambda before, test: test == TEST and 7 in before)
    found = suite.answer(explain(TEST, [Sighting((5, 7, 9), "failed")], replays=2), most=200)
    assert found.categories == {"probabilistic"}


def test_a_clean_process_that_skips_the_test_confirms_no_pass() -> None:
    """Alone it passed in the forks: only a pass agrees with that."""

    class SkippedApart(Simulated):
        def ran(self, probe: Probe) -> Ran:
            ran = super().ran(probe)
            alone = probe.apart and probe.tests == (TEST,)
            return Ran((Outcome("0", "skipped"),), "finished", 0.0) if alone else ran

    suite = SkippedApart(lambda before, test: test == TEST and 7 in before)
    found = suite.answer(explain(TEST, [Sighting((5, 7, 9), "failed")]), most=200)
    assert not found.confirmed and "victim" not in found.categories


def test_a_group_as_large_as_a_search_holds_is_named() -> None:
    """Twenty are; what is needed in any number is not cut short by it."""
    group = tuple(range(3, 3 + MOST_MEMBERS))
    suite = Simulated(lambda before, test: test == TEST and set(group) <= set(before))
    found = suite.answer(explain(TEST, [Sighting(tuple(range(1, 100)), "failed")]), most=1_000)
    assert (found.categories, found.polluters, found.why) == ({"victim"}, group, "")


@pytest.mark.parametrize(
    ("answered", "categories"),
    [(0, set()), (1, {"not-idempotent"}), (2, {"not-idempotent", "victim"})],
)
def test_what_is_known_when_the_time_ends_is_kept(answered: int, categories: set[str]) -> None:
    """After so many batches beyond the runs alone: the second run in one process, then the replays."""
    suite = Simulated(lambda before, test: test == TEST and (TEST in before or 5 in before))
    found = Explanation()
    judge = explain(TEST, [Sighting(OTHERS, "failed")], replays=2, found=found)
    probes = next(judge)
    for _ in range(1 + answered):
        probes = judge.send({probe: suite.ran(probe) for probe in probes})
    judge.close()
    assert found.categories == categories
    assert found.polluters == ()


class Skipping(Simulated):
    """TEST fails where it is told to, and is skipped elsewhere."""

    def ran(self, probe: Probe) -> Ran:
        """Answer one probe."""
        ran = super().ran(probe)
        outcomes = tuple(
            Outcome(one.id, "skipped") if one.status == "passed" and test == TEST else one
            for test, one in zip(probe.tests, ran.outcomes, strict=True)
        )
        return Ran(outcomes, "finished", 0.0)


def test_a_test_that_is_skipped_alone_and_fails_after_another_is_a_victim() -> None:
    """Its polluter is looked for as that of a test that passes alone."""
    suite = Skipping(lambda before, test: test == TEST and 5 in before)
    found = suite.answer(explain(TEST, [Sighting(OTHERS, "failed"), Sighting((1, 2), "skipped")]))
    assert (found.categories, found.polluters, found.confirmed) == ({"victim"}, (5,), CONFIRMATIONS)


def test_a_failure_that_is_a_skip_from_then_on_is_non_deterministic() -> None:
    """Nothing is claimed of its order."""
    found = Skipping(lambda before, test: False).answer(explain(TEST, [Sighting((1,), "failed")]))
    assert found.categories == {"non-deterministic"}
    assert found.why == "after the same 1 test it failed in 1 of 3 runs"


def test_a_test_that_never_came_to_run_alone_is_not_explained() -> None:
    """Nothing is claimed, and the reason is given."""

    class Silent(Simulated):
        def ran(self, probe: Probe) -> Ran:
            self.asked.append(probe)
            return Ran((), "unable", 0.0)

    found = Silent(lambda before, test: False).answer(explain(TEST, [Sighting((1,), "failed")]))
    assert (found.categories, found.why) == (set(), "it did not come to run alone")


@settings(max_examples=300)
@given(st.data())
def test_whatever_the_suite_does_an_explanation_ends_and_claims_no_more_than_it_saw(
    data: st.DataObject,
) -> None:
    """Any outcome of any probe: bounded probes, and a confirmation only of what clean processes showed."""
    statuses = st.sampled_from(["passed", "failed", "skipped", "died"])
    answers: dict[Probe, Ran] = {}

    class Wild(Simulated):
        def ran(self, probe: Probe) -> Ran:
            self.asked.append(probe)
            if probe not in answers:
                length = data.draw(st.integers(0, len(probe.tests)))
                outcomes = tuple(Outcome("", data.draw(statuses)) for _ in range(length))
                answers[probe] = Ran(outcomes, "finished", 0.0)
            return answers[probe]

    outcome = st.sampled_from(["passed", "failed", "skipped"])
    sightings = data.draw(
        st.lists(st.builds(Sighting, st.permutations([1, 2, 3]).map(tuple), outcome), max_size=3)
    )
    suite = Wild(lambda before, test: False)
    found = suite.answer(explain(TEST, sightings, [(1, 2)]), most=300)
    if found.polluters or found.setters:
        wanted = "failed" if found.polluters else "passed"
        assert found.confirmed == CONFIRMATIONS
        shown = [ran for probe, ran in answers.items() if probe.apart and probe.tests == found.shown]
        assert sum(outcome_of(ran) == wanted for ran in shown) >= CONFIRMATIONS
    if found.polluters:
        suite.answer(clean(TEST, found, sightings), most=600)
