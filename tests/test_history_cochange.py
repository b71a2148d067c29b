"""What changes together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.cochange import (
    LEAST_CONFIDENCE,
    LEAST_DEGREE,
    LEAST_LIFT,
    LEAST_SHARED,
    couplings,
)

NOISE = [frozenset({"z"})] * 40


def test_what_changed_together_often_enough_is_coupled() -> None:
    """Shared revisions, those of the thing, how unusual that is, how sure, and where it was last seen."""
    changes = [frozenset("a"), *[frozenset("ab")] * 6, frozenset("a"), *NOISE]
    (found,) = couplings(changes, {"a"})
    assert (found.thing, found.partner, found.shared, found.revisions, found.last) == ("a", "b", 6, 8, 1)
    assert found.degree == 0.75
    assert found.lift == pytest.approx(6 / 8 / (6 / 48))
    assert found.confidence == pytest.approx(0.4093, abs=1e-4)


def test_four_shared_revisions_are_no_coupling_and_five_are() -> None:
    """Support is asked for, however sure the rest."""
    assert couplings([frozenset("ab")] * 4 + NOISE, {"a"}) == ()
    assert [c.partner for c in couplings([frozenset("ab")] * 5 + NOISE, {"a"})] == ["b"]


def test_a_small_share_is_no_coupling() -> None:
    """Below three tenths of the thing's revisions nothing is said, nor where chance may have made them."""
    many = [frozenset({"z"})] * 4000
    assert couplings([frozenset("ab")] * 29 + [frozenset("a")] * 71 + many, {"a"}) == ()
    assert len(couplings([frozenset("ab")] * 30 + [frozenset("a")] * 70 + many, {"a"})) == 1
    assert couplings([frozenset("ab")] * 5 + [frozenset("a")] * 8 + many, {"a"}) == ()  # 38 %, but of 13


def test_what_changes_with_everything_is_no_partner() -> None:
    """A changelog that changes in nearly every commit has confidence, and no lift."""
    changes = [frozenset({"a", "b", "log"})] * 6 + [frozenset({"x", "log"})] * 30 + [frozenset({"y"})] * 4
    assert [c.partner for c in couplings(changes, {"a"})] == ["b"]


def test_the_surest_of_several_things_speaks_for_a_partner() -> None:
    """A partner of two fixed things is told once; the fixed ones are no partners of each other."""
    changes = [frozenset("abp")] * 6 + [frozenset("b")] * 4 + [frozenset("bq")] * 5 + NOISE
    found = couplings(changes, {"a", "b"})
    assert [(c.thing, c.partner) for c in found] == [("a", "p")]


def test_nothing_is_known_without_a_history() -> None:
    """No commits, or none of the thing."""
    assert couplings([], {"a"}) == couplings(NOISE, {"a"}) == couplings(NOISE, set()) == ()


@given(
    st.lists(st.frozensets(st.integers(0, 6), min_size=1), max_size=60),
    st.frozensets(st.integers(0, 6), max_size=3),
)
def test_every_coupling_keeps_its_promises(changes: list[frozenset[int]], things: frozenset[int]) -> None:
    """Counts are those of the commits, thresholds are kept, partners are told once, the surest first."""
    found = couplings(changes, things)
    for c in found:
        both = [place for place, changed in enumerate(changes) if {c.thing, c.partner} <= changed]
        assert c.thing in things and c.partner not in things
        assert c.shared == len(both) >= LEAST_SHARED and c.last == both[0]
        assert c.revisions == sum(c.thing in changed for changed in changes)
        assert c.degree >= LEAST_DEGREE and c.lift >= LEAST_LIFT
        assert LEAST_CONFIDENCE <= c.confidence <= c.degree
    assert len({c.partner for c in found}) == len(found)
    assert [c.confidence for c in found] == sorted((c.confidence for c in found), reverse=True)
    assert found == couplings(changes, things)
