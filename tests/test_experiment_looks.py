"""Looks that are remembered: which look it is, what it may spend, and by what identical data are known."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.experiment import means
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_means, judge_proportions
from pytest_bugsle.experiment.looks import (
    Memory,
    PastLook,
    before,
    data_digest,
    information,
    is_of,
    look_of,
    terms_of,
    united,
)
from pytest_bugsle.experiment.proportions import evidence_of
from pytest_bugsle.experiment.sequential import LEAST_LEVEL, is_spent, look_at
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.stats import spending
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.proportions import normal_tail

NEEDED = (1000.0, 1000.0)
PLAN = Design(mde=0.1)


def past_look(n: int, level: float, number: int = 1, **more: Any) -> PastLook:
    """A look at n units in each arm."""
    values: dict[str, Any] = {
        "metric": "metric",
        "data": f"d{number}",
        "n": (n, n),
        "at": f"2026-01-{number:02d}T00:00:00Z",
        "number": number,
        "method": "spending",
        "level": level,
        "share": n / 1000,
        "spent": None,
        "z": None,
        "outcome": "undecided",
        "terms": terms_of(PLAN),
    }
    return PastLook(**{**values, **more})


def followed(ns: Sequence[int], design: Design = PLAN) -> list[PastLook]:
    """The looks that the gate has at these sizes, one after the other."""
    past: list[PastLook] = []
    for number, n in enumerate(ns, start=1):
        look = look_at(design, (n, n), NEEDED, past, f"d{number}")
        past.append(
            past_look(n, look.alpha, number, spent=look.spent, method=look.method, terms=terms_of(design))
        )
    return past


@pytest.mark.parametrize("kind", ["obrien-fleming", "pocock", "power"])
@pytest.mark.parametrize("sides", [1, 2])
def test_looks_at_planned_shares_have_the_bounds_of_the_plan(kind: spending.Spending, sides: Any) -> None:
    """One at a time as all at once."""
    design = Design(mde=0.1, spending=kind, sides=sides)
    wanted = spending.bounds([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, kind, sides)
    found = followed([200, 400, 600, 800, 1000], design)
    assert [look.level for look in found] == pytest.approx([2 * normal_tail(z) for z in wanted], rel=1e-6)
    assert found[-1].spent == pytest.approx(0.05)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(20, 1000), min_size=1, max_size=8, unique=True))
def test_all_looks_together_spend_no_more_than_alpha(ns: list[int]) -> None:
    """Whenever they come; what is spent never falls."""
    spent = [look.spent or 0.0 for look in followed(sorted(ns))]
    assert spent == sorted(spent) and spent[-1] <= 0.05 + 1e-9
    assert spent[-1] == pytest.approx(spending.spent(max(ns) / 1000, 0.05, "obrien-fleming"), abs=1e-6)


def test_a_look_at_data_that_were_seen_is_the_look_that_it_was() -> None:
    """However many looks there have been since."""
    past = followed([300, 500, 700])
    again = look_at(PLAN, (500, 500), NEEDED, past, "d2")
    assert (again.number, again.alpha, again.spent) == (2, past[1].level, past[1].spent)
    assert before(past, "d2") == past[:1] and before(past, "new") == past


def test_other_risks_give_the_same_data_another_level_at_the_same_number() -> None:
    """A level that was worked out for an alpha of 0.2 is none for 0.05."""
    past = followed([500], Design(mde=0.1, alpha=0.2))
    again = look_at(PLAN, (500, 500), NEEDED, past, "d1")
    assert again.number == 1 and again.alpha < past[0].level / 3


def test_what_a_look_spent_stays_spent_where_the_plan_changes() -> None:
    """A larger plan makes the share smaller: a look that spent more leaves nothing until that is made up for."""
    past = followed([900])
    look = look_at(PLAN, (1000, 1000), (5000.0, 5000.0), past)
    assert look.alpha == LEAST_LEVEL and "was spent at earlier looks" in look.why


@pytest.mark.parametrize(
    ("n", "words"),
    [
        ((490, 490), "the data shrank, from 500 and 500 units at look 1 to 490 and 490"),
        ((500, 500), "as many as at look 1, and say something else"),
    ],
)
def test_data_that_have_not_grown_pass_nothing(n: tuple[int, int], words: str) -> None:
    """They are a look, and what is spent stays."""
    past = followed([500])
    look = look_at(PLAN, n, NEEDED, past, "other")
    assert look.alpha == LEAST_LEVEL and words in look.why
    assert look.number == 2 and look.spent == past[0].spent
    assert not is_spent(PLAN, look)


def test_a_look_that_passed_nothing_costs_the_next_one_nothing() -> None:
    """Units that were taken out by mistake and given back leave the test as it was."""
    past = followed([500])
    shrunk = look_at(PLAN, (490, 490), NEEDED, past, "other")
    more = [*past, past_look(490, shrunk.alpha, 2, spent=shrunk.spent)]
    assert look_at(PLAN, (700, 700), NEEDED, more).alpha == look_at(PLAN, (700, 700), NEEDED, past).alpha


def test_after_the_planned_size_no_alpha_is_left() -> None:
    """The next look fails, even where its plan has become a larger one."""
    past = followed([500, 1000])
    look = look_at(PLAN, (1500, 1500), (2000.0, 2000.0), past)
    assert is_spent(PLAN, look) and "alpha was spent by look 2" in look.why
    counts = {"control": (300, 3000), "treatment": (390, 3000)}
    gone = [past_look(2000, 0.05, spent=0.05)]
    made = judge_proportions(**counts, past=Memory("x", lambda _: gone), mde=0.1)
    assert made.outcome == "fail" and "no alpha is left" in made.why
    assert (
        judge_proportions(**counts, past=Memory("x", lambda _: []), mde=0.1, look="final").outcome != "fail"
    )


def test_after_a_pass_the_level_stays_that_of_the_pass() -> None:
    """A wrong pass was made there: data that grow on do not turn it into a fail by their size."""
    past = [*followed([500, 1000])]
    past[1] = past_look(1000, past[1].level, 2, spent=0.05, outcome="pass")
    look = look_at(PLAN, (3000, 3000), NEEDED, past)
    assert look.alpha == past[1].level and "after the pass of look 2" in look.why
    early = [past_look(200, 1e-6, spent=1e-6, outcome="pass")]
    assert look_at(PLAN, (900, 900), NEEDED, early).alpha > 0.03
    assert look_at(PLAN, (100, 100), NEEDED, early).alpha == 1e-6


def test_without_a_plan_or_a_ledger_the_interval_is_always_valid_and_says_why() -> None:
    """Two reasons, two sentences."""
    no_plan = look_at(Design(), (500, 500), None, [])
    assert no_plan.method == "always-valid" and "no plan (mde=)" in no_plan.why
    unkept = look_at(PLAN, (500, 500), NEEDED, None, unkept="this machine is new")
    assert unkept.method == "always-valid" and "this machine is new" in unkept.why


def test_a_declared_look_counts_for_more_than_the_ledger() -> None:
    """And spends what it says, by its number alone."""
    past = followed([300])
    declared = look_at(Design(mde=0.1, look=(2, 5)), (400, 400), NEEDED, past)
    assert (declared.number, declared.of) == (2, 5) and "declared" in declared.why
    late = look_at(Design(mde=0.1, look=(2, 5)), (4000, 4000), NEEDED, past)
    assert late.alpha == pytest.approx(declared.alpha)


def test_a_declaration_that_the_ledger_denies_is_not_believed() -> None:
    """Else all of alpha could be had at every look."""
    past = followed([300])
    plain = look_at(PLAN, (400, 400), NEEDED, past)
    for look in ("final", (1, 5)):
        denied = look_at(Design(mde=0.1, look=look), (400, 400), NEEDED, past)  # type: ignore[arg-type]
        assert (denied.method, denied.alpha, denied.spent) == ("spending", plain.alpha, plain.spent)
        assert "declared" in denied.why and "the ledger has another, at 300 and 300" in denied.why
    unplanned = look_at(Design(look="final"), (400, 400), None, past)
    assert unplanned.method == "always-valid" and "the ledger has another" in unplanned.why


def test_an_only_look_before_the_planned_size_costs_the_one_at_it_nothing() -> None:
    """It could pass nothing."""
    final = Design(mde=0.1, look="final")
    early = look_at(final, (400, 400), NEEDED, [])
    past = [past_look(400, early.alpha, spent=early.spent, share=early.share, method="fixed")]
    at_size = look_at(final, (1000, 1000), NEEDED, past)
    assert at_size.method == "fixed"
    past.append(
        past_look(1000, at_size.alpha, 2, spent=at_size.spent, share=at_size.share, method="fixed", at="1")
    )
    assert is_spent(final, look_at(final, (1200, 1200), NEEDED, past))


def test_a_look_declared_the_only_one_leaves_nothing_to_a_later_one() -> None:
    """It had all of alpha."""
    final = look_at(Design(mde=0.1, look="final"), (400, 400), NEEDED, [])
    past = [past_look(400, final.alpha, spent=final.spent, method="fixed")]
    assert is_spent(PLAN, look_at(PLAN, (800, 800), NEEDED, past))


def test_of_very_many_looks_some_are_left_out_and_none_of_what_they_spent() -> None:
    """The bound is a little wider than with all of them, and found in the time of fifty."""
    design = Design(mde=0.1, spending="pocock")
    ns = [300 + 5 * place for place in range(80)]
    path: list[tuple[float, float]] = []
    past: list[PastLook] = []
    for place, n in enumerate(ns):
        bound, spent = spending.next_bound(path, n, spending.spent(n / 1000, 0.05, "pocock"))
        path.append((float(n), bound))
        past.append(past_look(n, 2 * normal_tail(bound), place + 1, at=f"{place:04d}", spent=spent))
    exact, _ = spending.next_bound(path, 900, spending.spent(0.9, 0.05, "pocock"))
    look = look_at(design, (900, 900), NEEDED, past)
    assert 0.9 * 2 * normal_tail(exact) < look.alpha < 2 * normal_tail(exact)
    assert look.spent == pytest.approx(spending.spent(0.9, 0.05, "pocock"), rel=1e-6)
    two = spending.next_bound(path[::2], 900, 0.04, spent_before=0.04)
    assert two == (8.0, 0.04)


def test_information_must_rise() -> None:
    """A path cannot go back."""
    with pytest.raises(ValueError, match="must be >"):
        spending.next_bound([(500.0, 2.5)], 500.0, 0.05)
    assert information((100, 300)) == pytest.approx(75)


def test_next_bound_leaves_a_path_as_it_was() -> None:
    """What is kept of a path is not walked on."""
    past = [(200.0, 4.8), (400.0, 3.4)]
    first = spending.next_bound(past, 600.0, 0.02)
    spending.next_bound([*past, (600.0, 2.7)], 800.0, 0.04)
    assert spending.next_bound(past, 600.0, 0.02) == first


# ---- what identical data are


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=40),
    st.floats(0, 1e9),
    st.randoms(use_true_random=False),
)
def test_sums_taken_in_another_order_are_the_same_data(
    values: list[float], offset: float, rng: random.Random
) -> None:
    """Their last digits differ."""
    if max(values) - min(values) < 1e-3:
        values = [*values, max(values) + 1]
    values = [value + offset for value in values]
    mixed = values[:]
    rng.shuffle(mixed)
    digests = {
        data_digest(means.evidence_of(shifted(one), Moments.of([1.0, 2.0, 4.0]))) for one in (values, mixed)
    }
    assert len(digests) == 1


def shifted(values: list[float]) -> Moments:
    """Moments by sums around the first value, plainly added up."""
    first = sorted(values)[len(values) // 2]
    return Moments.shifted(
        len(values),
        first,
        sum(value - first for value in values),
        sum((value - first) ** 2 for value in values),
    )


def test_one_more_success_or_another_value_is_other_data() -> None:
    """And so is one more unit."""
    one = data_digest(evidence_of((50, 500), (62, 520)))
    assert one == data_digest(evidence_of((50, 500), (62, 520)))
    assert (
        len(
            {
                one,
                data_digest(evidence_of((51, 500), (62, 520))),
                data_digest(evidence_of((50, 501), (62, 520))),
            }
        )
        == 3
    )
    base = [1.0, 2.0, 3.0, 4.0]
    seen = {
        data_digest(means.evidence_of(Moments.of(base), Moments.of(other)))
        for other in (
            [1.0, 2.0, 3.0, 5.0],
            [1.0, 2.0, 3.0, 5.001],
            [1.0, 2.0, 3.0, -5.0],
            [0.0, 0.0, 0.0, 0.0],
        )
    }
    assert len(seen) == 4
    assert data_digest(means.evidence_of(Moments.of([2.0, 2.0]), Moments.of([2.0, 2.0])))


def test_means_are_told_apart_under_a_large_offset() -> None:
    """A mean a billion standard errors away from 0 is not all there is to it."""
    seen = {
        data_digest(means.evidence_of(Moments(1000, 1e9, 999.0), Moments(1000, 1e9 + step, 999.0)))
        for step in (0.0, 0.5, 1.0)
    }
    assert len(seen) == 3


looks = st.lists(
    st.builds(
        lambda n, day, data: past_look(n, 0.01, day, data=data),
        st.integers(2, 500),
        st.integers(1, 28),
        st.text("ab", max_size=2),
    ),
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(looks, looks)
def test_two_ledgers_united_have_each_data_once_whichever_comes_first(
    one: list[PastLook], other: list[PastLook]
) -> None:
    """Nothing is lost, and to unite again changes nothing."""
    made = united(one, other)
    assert {look.data for look in made} == {look.data for look in (*one, *other)}
    assert len({look.data for look in made}) == len(made)
    assert united(made, one) == made and [look.data for look in united(other, one)] == [
        look.data for look in made
    ]
    assert made == sorted(made, key=lambda look: look.at)
    assert all(look.at == min(old.at for old in (*one, *other) if old.data == look.data) for look in made)


def test_a_pass_that_one_ledger_knows_was_taken_back_is_none() -> None:
    """Whichever is read first."""
    one, other = past_look(9, 0.1, outcome="pass"), past_look(9, 0.1)
    assert united([one], [other]) == united([other], [one]) == [other]


def test_a_look_is_of_its_metric_in_any_arm_and_of_no_other() -> None:
    """Names that begin alike are not one."""
    assert is_of(past_look(9, 0.1, metric="sales [b]"), "sales") and is_of(
        past_look(9, 0.1, metric="sales #2"), "sales"
    )
    assert not is_of(past_look(9, 0.1, metric="sales per day"), "sales")
    assert not is_of(past_look(9, 0.1, metric="sale"), "sales")


def test_a_result_without_an_effect_is_no_look() -> None:
    """Nobody has seen it."""
    made = judge_proportions((5, 3), (1, 9), past=Memory("x", lambda _: []))
    assert made.outcome == "invalid" and look_of(made, metric="m", number=1, at="") is None


def test_the_result_shows_all_looks_and_by_what_it_is_remembered() -> None:
    """For the report."""
    past = [past_look(500, 0.001)]
    made = judge_proportions((100, 1000), (130, 1000), past=Memory("shop", lambda _: past), mde=0.2)
    assert made.experiment == "shop" and made.data and [look.number for look in made.looks] == [1, 2]
    assert made.looks[-1] == made.look and made.look is not None and made.look.units == 2000
    assert made.look.z == pytest.approx(2.1, abs=0.2)


# ---- error rates


def peeked(rng: Any, ends: Sequence[int], draw: str, **design: Any) -> bool:
    """Say whether an A/A test is ever found to differ, at looks of which each remembers those before."""
    past: list[PastLook] = []
    memory = Memory("peeking", lambda _: past)
    seen = [np.empty(0), np.empty(0)]
    for number, end in enumerate(ends, start=1):
        made: ExperimentResult
        if draw == "means":
            seen = [np.append(one, rng.normal(10, 3, end - len(one))) for one in seen]
            made = judge_means(*(moments(one) for one in seen), past=memory, **design)
        else:
            seen = [np.append(one, rng.random(end - len(one)) < 0.2) for one in seen]
            counts = [(int(one.sum()), end) for one in seen]
            made = judge_proportions(counts[0], counts[1], past=memory, **design)
        assert made.interval is not None
        if made.interval[0] > 0 or made.interval[1] < 0:
            return True
        look = look_of(made, metric="metric", number=number, at=f"{number:04d}")
        assert look is not None
        past.append(look)
    return False


def moments(values: Any) -> Moments:
    """The moments of an array."""
    return Moments(len(values), float(values.mean()), float(((values - values.mean()) ** 2).sum()))


@pytest.mark.parametrize(
    ("draw", "looks", "kind", "runs"), [("counts", 5, "pocock", 250), ("means", 5, "obrien-fleming", 250)]
)
def test_peeking_with_a_ledger_errs_no_more_than_one_look(
    draw: str, looks: int, kind: str, runs: int
) -> None:
    """The same p-value each time errs in 14 % at five looks."""
    rng = np.random.default_rng(7)
    design: dict[str, Any] = {"spending": kind, "mde": 0.2 if draw == "counts" else 0.02}
    ends = [(look + 1) * (1750 if draw == "counts" else 3600) // looks for look in range(looks)]
    wrong = sum(peeked(rng, ends, draw, **design) for _ in range(runs)) / runs
    assert wrong <= 0.055 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.slow
def test_peeking_twenty_times_with_a_ledger_errs_no_more_than_one_look() -> None:
    """The same p-value each time errs in 25 %."""
    rng, runs = np.random.default_rng(8), 300
    ends = [(look + 1) * 1750 // 20 for look in range(20)]
    wrong = sum(peeked(rng, ends, "counts", mde=0.2) for _ in range(runs)) / runs
    assert wrong <= 0.055 + 3 * math.sqrt(0.05 * 0.95 / runs)
