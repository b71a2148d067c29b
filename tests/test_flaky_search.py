"""The search for what turns a test: over suites that are pure functions of their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
from flaky_suites import Simulated, failed, polluted
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from pytest_bugsle.flaky.search import Probe, deciding
from pytest_bugsle.probes import drive
from pytest_bugsle.runner.outcome import Ran

TARGET = 1000
State = Callable[[tuple[int, ...]], bool]
SOME_FIT = settings(suppress_health_check=[HealthCheck.filter_too_much])


def passed(ran: Ran) -> bool:
    """Say whether the last test of a run passed."""
    return not failed(ran)


def most_probes(length: int, members: int) -> int:
    """Bound the probes: a halving and a look for each member, and one round of leaving out."""
    return (members + 1) * (math.ceil(math.log2(max(2, length))) + 1) + members * (members + 1)


def search(
    state: State, prefix: tuple[int, ...], head: tuple[int, ...] = (), *, brittle: bool = False
) -> tuple[tuple[int, ...], Simulated]:
    """Search in a prefix that is known to turn the target, and hold the answer to what it must be."""
    suite = Simulated(lambda before, test: test == TARGET and state(before) != brittle)
    if not state((*head, *prefix)) or state(head):
        reject()
    found = suite.answer(deciding(head, prefix, TARGET, passed if brittle else failed))
    assert found
    left = iter(prefix)
    assert all(member in left for member in found), "not in the order of the prefix"
    assert state((*head, *found)), "it does not turn the outcome"
    for member in found:
        fewer = tuple(test for test in found if test != member)
        assert not state((*head, *fewer)), f"{member} of {found} is not needed"
    assert len(suite.asked) <= most_probes(len(prefix), len(found)) * 3
    assert all(probe.tests[-1] == TARGET and probe.hold < len(probe.tests) for probe in suite.asked)
    assert all(probe.tests[: len(head)] == head for probe in suite.asked)
    return found, suite


orders = st.permutations(range(24)).map(tuple)
several = st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True)


@given(orders, st.integers(0, 23))
def test_a_single_polluter_is_found_by_halving(prefix: tuple[int, ...], polluter: int) -> None:
    """In no more than the logarithm of the tests, and two."""
    found, suite = search(polluted([polluter]), prefix)
    assert found == (polluter,)
    assert len(suite.asked) <= math.ceil(math.log2(24)) + 2


@pytest.mark.parametrize("length", [1, 2, 3, 500, 2000])
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_polluter_is_found_wherever_it_stands(length: int, place: float) -> None:
    """First, in the middle, and right before the target."""
    polluter = round((length - 1) * place)
    found, suite = search(polluted([polluter]), tuple(range(length)))
    assert found == (polluter,)
    assert len(suite.asked) <= math.ceil(math.log2(max(2, length))) + 2


@given(orders, several)
def test_a_conjunction_is_found_whole(prefix: tuple[int, ...], polluters: list[int]) -> None:
    """One, two or three that are needed together, though each half of the tests may hold one of them."""
    found, suite = search(polluted(polluters), prefix)
    assert set(found) == set(polluters)
    assert len(suite.asked) <= most_probes(24, len(polluters))


@given(orders, st.lists(st.integers(0, 23), min_size=2, max_size=4, unique=True))
def test_an_ordered_group_is_found_in_its_order(prefix: tuple[int, ...], group: list[int]) -> None:
    """One before the other: the pair that plain bisection has no answer for."""
    group = sorted(group, key=prefix.index)
    found, _ = search(polluted(group, ordered=True), prefix)
    assert found == tuple(group)


@SOME_FIT
@given(orders, several, st.lists(st.integers(0, 23), max_size=4, unique=True))
def test_cleaners_between_do_not_mislead(
    prefix: tuple[int, ...], polluters: list[int], cleaners: list[int]
) -> None:
    """A half of the tests may pass because a cleaner came last in it."""
    cleaners = [cleaner for cleaner in cleaners if cleaner not in polluters]
    found, _ = search(polluted(polluters, cleaners), prefix)
    assert set(found) == set(polluters)


@SOME_FIT
@given(orders, st.lists(several, min_size=2, max_size=4), st.lists(st.integers(0, 23), max_size=3))
def test_of_several_independent_reasons_one_is_found(
    prefix: tuple[int, ...], groups: list[list[int]], cleaners: list[int]
) -> None:
    """And nothing of the others is told with it."""
    states = [polluted(group, [one for one in cleaners if one not in group]) for group in groups]
    found, _ = search(lambda before: any(state(before) for state in states), prefix)
    assert any(set(found) == set(group) for group in groups)


@given(orders, several)
def test_what_a_brittle_test_needs_is_found_alike(prefix: tuple[int, ...], setters: list[int]) -> None:
    """The same question with the outcomes exchanged."""
    found, _ = search(polluted(setters), prefix, brittle=True)
    assert set(found) == set(setters)


@SOME_FIT
@given(orders, several, st.integers(1, 22))
def test_what_stands_at_the_head_stays(prefix: tuple[int, ...], members: list[int], cut: int) -> None:
    """As where cleaners are looked for after the polluters: they run first in every probe."""
    head, rest = prefix[:cut], prefix[cut:]
    found, _ = search(polluted(members), rest, head)
    assert set(found) == set(members) - set(head)


@settings(max_examples=400)
@given(st.integers(1, 6), st.data())
def test_any_function_of_the_order_is_searched_to_the_end(length: int, data: st.DataObject) -> None:
    """However wild: the search ends, and what it returns turns the outcome."""
    table: dict[tuple[int, ...], bool] = {(): False, tuple(range(length)): True}

    def state(before: tuple[int, ...]) -> bool:
        if before not in table:
            table[before] = data.draw(st.booleans())
        return table[before]

    suite = Simulated(lambda before, test: test == TARGET and state(before))
    found = suite.answer(deciding((), tuple(range(length)), TARGET, failed), most=200)
    assert found and state(found)


@settings(max_examples=400)
@given(st.integers(4, 6), st.data())
def test_of_any_function_of_the_order_no_member_can_be_spared(length: int, data: st.DataObject) -> None:
    """One that could not be spared beside another may be spared without it."""
    table: dict[tuple[int, ...], bool] = {(): False, tuple(range(length)): True}

    def state(before: tuple[int, ...]) -> bool:
        if before not in table:
            table[before] = data.draw(st.booleans())
        return table[before]

    suite = Simulated(lambda before, test: test == TARGET and state(before))
    found = suite.answer(deciding((), tuple(range(length)), TARGET, failed), most=200)
    assert found
    for member in found if len(found) > 1 else ():
        assert not state(tuple(test for test in found if test != member)), (found, member)


@settings(max_examples=200)
@given(st.integers(0, 40), st.randoms(use_true_random=False), st.floats(0, 1))
def test_the_search_ends_where_the_outcome_is_chance(length: int, chance: object, rate: float) -> None:
    """It is then no function of the order: the answer is None or wrong, in a bounded number of probes."""
    draw = chance.random
    suite = Simulated(lambda before, test: bool(draw() < rate))
    found = suite.answer(deciding((), tuple(range(length)), TARGET, failed), most=(length + 2) * (length + 8))
    assert found is None or set(found) <= set(range(length))


def test_nothing_before_the_target_is_no_reason() -> None:
    """An empty prefix has no answer, and asks for nothing."""
    suite = Simulated(lambda before, test: True)
    assert suite.answer(deciding((), (), TARGET, failed)) is None
    assert not suite.asked


def test_probes_say_what_is_likely_to_come_again_and_where_to_run() -> None:
    """All but the target, which differs from probe to probe; `apart` is handed on."""
    for apart in (False, True):
        suite = Simulated(lambda before, test: 3 in before)
        suite.answer(deciding((9,), tuple(range(8)), TARGET, failed, apart=apart))
        assert {probe.apart for probe in suite.asked} == {apart}
        assert all(probe.tests[0] == 9 and probe.hold >= 1 for probe in suite.asked)


def test_the_one_driver_can_drive_searches_side_by_side() -> None:
    """Each gets its own answers; the same probe is run once."""
    suite = Simulated(lambda before, test: (7 if test == 100 else 11) in before)
    ran: list[Probe] = []

    def run(probes: tuple[Probe, ...]) -> Mapping[Probe, Ran]:
        ran.extend(probes)
        return {probe: suite.ran(probe) for probe in probes}

    prefix = tuple(range(16))
    judges = {target: deciding((), prefix, target, failed) for target in (100, 101)}
    assert drive(judges, run) == {100: (7,), 101: (11,)}  # type: ignore[arg-type]
    assert len(ran) == len(set(ran))
