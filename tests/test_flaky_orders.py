"""The orders of a hunt: permutations that hold still for what is left out."""

from __future__ import annotations

import random
from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.flaky.orders import backwards, natural, shuffles

IDS = [
    f"test_{file}.py::{cls}test_{number}{parameters}"
    for file in "abc"
    for cls in ("", "TestOne::", "TestTwo::TestIn::")
    for number in range(3)
    for parameters in ("[1::x]", "[2]", "")
]
ids = st.lists(st.one_of(st.sampled_from(IDS), st.text(max_size=8)), max_size=30)


@given(ids, st.integers(0, 100))
def test_every_order_holds_every_test_once(names: list[str], seed: int) -> None:
    """Also where ids are double, empty or unspeakable."""
    for order in (natural(names), backwards(names), *islice(shuffles(names, seed), 4)):
        assert sorted(order.tests) == list(range(len(names)))


def test_backwards_is_the_order_of_collection_turned_round() -> None:
    """The one further order that shows most."""
    assert natural(IDS).tests[::-1] == backwards(IDS).tests


@given(st.sets(st.integers(0, len(IDS) - 1)), st.integers(0, 100))
def test_tests_that_are_left_out_change_nothing_in_the_order_of_the_others(out: set[int], seed: int) -> None:
    """A part of a suite is shuffled as in the whole."""
    left = [name for number, name in enumerate(IDS) if number not in out]
    for whole, part in zip(islice(shuffles(IDS, seed), 3), islice(shuffles(left, seed), 3), strict=True):
        names = [IDS[number] for number in whole.tests if number not in out]
        assert names == [left[number] for number in part.tests]
        assert whole.name == part.name


def test_one_shuffle_in_three_keeps_modules_and_classes_together() -> None:
    """Fixtures of wide scope are then set up as often as usual; the others go across."""
    for order in islice(shuffles(IDS), 9):
        whole = "within modules" in order.name
        parts = [IDS[number].partition("[")[0].split("::")[:-1] for number in order.tests]
        files = [names[0] for names in parts]
        assert (sum(one != other for one, other in pairwise(files)) == 2) == whole, order.name
        for group in {tuple(names[:depth]) for names in parts for depth in range(1, len(names) + 1)}:
            places = [place for place, names in enumerate(parts) if tuple(names[: len(group)]) == group]
            assert not whole or places == list(range(places[0], places[0] + len(places)))
    assert sum("within modules" in order.name for order in islice(shuffles(IDS), 9)) == 3


def test_shuffles_differ_and_can_be_made_again() -> None:
    """The seed in the name makes the same order; nobody's random numbers are touched."""
    state = random.getstate()
    made = list(islice(shuffles(IDS), 8))
    assert random.getstate() == state
    assert made == list(islice(shuffles(IDS), 8))
    assert len({order.tests for order in made}) == 8
    assert len({order.name for order in made}) == 8
    assert next(shuffles(IDS, 5)).tests == made[5].tests


def test_shuffles_put_each_pair_both_ways() -> None:
    """Of eight, in a suite of some size, one in 128 pairs at most stays as it is on average."""
    orders = [order.tests for order in islice(shuffles(IDS), 8)]
    places = [{test: place for place, test in enumerate(order)} for order in orders]
    pairs = [(one, other) for one in range(len(IDS)) for other in range(one)]
    fixed = sum(len({place[one] < place[other] for place in places}) == 1 for one, other in pairs)
    assert fixed < len(pairs) / 128 * 4
