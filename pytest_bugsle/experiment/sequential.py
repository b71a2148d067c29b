"""At which level one look at growing data may decide, so that all looks together err as one would.  PYTEST_DONT_REWRITE

A look has a two-sided nominal level, and every interval is made at that level: a bound of z standard errors is the
level 2·(1 - Phi(z)). So all kinds of metric know looks without knowing it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pytest_bugsle.experiment import looks
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.looks import PastLook, terms_of
from pytest_bugsle.results import ExperimentLook
from pytest_bugsle.stats import spending
from pytest_bugsle.stats.proportions import normal_quantile, normal_tail

LEAST_LEVEL = 1e-12
"""No look has a lower level: the difference is to no one, and quantiles have their digits."""

N_STAR = 5000.0
"""Where an always-valid interval is narrowest when the plan does not say, in units of both arms."""

_MANY = 50
"""More looks than these are not followed one by one."""


def look_at(
    design: Design,
    n: tuple[int, int],
    needed: tuple[float, float] | None,
    past: Sequence[PastLook] | None,
    data: str = "",
    unkept: str = "no ledger remembers any",
) -> ExperimentLook:
    """Return the look that these data are.

    `past` are all looks that are remembered, oldest first, None where nothing remembers them and `unkept` says why;
    the one at the same `data` is this one. A declared look is believed unless the ledger has one that it denies;
    without either, and without a plan to take a share of, the interval is always valid.
    """
    share = None if needed is None else min(n[0] / needed[0], n[1] / needed[1])
    doubt = _contradiction(design, looks.before(past or (), data))
    if design.look is not None and not doubt:
        return _declared(design, share)
    made = _undeclared(design, n, needed, share, past, data, unkept)
    return msgspec.structs.replace(made, why=f"{doubt}; {made.why}") if doubt else made


def _undeclared(
    design: Design,
    n: tuple[int, int],
    needed: tuple[float, float] | None,
    share: float | None,
    past: Sequence[PastLook] | None,
    data: str,
    unkept: str,
) -> ExperimentLook:
    """Return the look by the ledger; always valid without one, or without a plan."""
    if past is None:
        return _always_valid(design, n, needed, share, f"no look was declared, and {unkept}")
    known = next((look for look in past if look.data == data), None)
    # What a look decided by stays what it was, but for other risks: then it is worked out anew.
    same = known if known is not None and known.terms == terms_of(design) else None
    if share is None or (same is not None and same.method == "always-valid"):
        planned = design.mde or design.mde_difference or design.margin
        missing = "the plan names no size from this control" if planned else "the ledger has no plan (mde=)"
        return _always_valid(design, n, needed, share, f"{missing} to take a share of")
    return _by_ledger(design, n, share, looks.before(past, data), same)


def _by_ledger(
    design: Design, n: tuple[int, int], share: float, past: Sequence[PastLook], same: PastLook | None
) -> ExperimentLook:
    number, here = len(past) + 1, looks.information(n)
    passed = next((look for look in past if look.outcome == "pass"), None)
    largest = max(past, key=lambda look: look.information, default=None)
    spent_before = max((look.spent or 0.0 for look in past), default=0.0)
    level, spent = LEAST_LEVEL, spent_before
    if largest is not None and here < largest.information:
        why = (
            f"the data shrank, from {_units(largest.n)} units at look {largest.number} to {_units(n)}: such a "
            "look passes nothing"
        )
    elif largest is not None and here == largest.information:
        why = (
            f"the units are as many as at look {largest.number}, and say something else: such a look passes "
            "nothing"
        )
    elif spent_before >= design.alpha * (1 - 1e-9):
        last = next(look for look in past if (look.spent or 0.0) >= design.alpha * (1 - 1e-9))
        why = f"alpha was spent by look {last.number}: no later look can pass"
    else:
        bound, spent = _bound(design, here, share, past)
        level = max(LEAST_LEVEL, 2 * normal_tail(bound))
        why = f"by {design.spending} spending it decides beyond {bound:.2f} standard errors"
        if level == LEAST_LEVEL and spent > LEAST_LEVEL:
            why = "what may be spent by now was spent at earlier looks: this one passes nothing"
        elif level == LEAST_LEVEL:
            why = f"by {design.spending} spending nothing can pass yet, at {100 * share:.3g} % of the planned size"
    if passed is not None and level <= passed.level:
        # A wrong pass was made there or not at all: to look on costs nothing more.
        level = passed.level
        why = f"after the pass of look {passed.number}, at the level of which this one is shown"
    return ExperimentLook(
        method="spending",
        number=number if same is None else same.number,
        of=None,
        share=share,
        alpha=level if same is None else same.level,
        why=f"look {number if same is None else same.number}, by the ledger of looks: {why}",
        spent=spent if same is None else same.spent,
    )


def _bound(design: Design, here: float, share: float, past: Sequence[PastLook]) -> tuple[float, float]:
    """Return the z of this look and what is spent with it, from the looks that spent anything."""
    allowed = spending.spent(share, design.alpha, design.spending, design.sides)
    counted: dict[float, float] = {}
    for look in past:
        if look.level > LEAST_LEVEL and look.information < here:
            counted[look.information] = max(look.level, counted.get(look.information, 0.0))
    path = [(there, normal_quantile(1 - level / 2)) for there, level in sorted(counted.items())]
    # Of very many looks some are left out of the path, and none of what they have spent.
    step = -(-len(path) // _MANY)
    spent_before = max((look.spent or 0.0 for look in past), default=0.0) if step > 1 else 0.0
    return spending.next_bound(
        path[::-1][::step][::-1] if step > 1 else path, here, allowed, design.sides, spent_before
    )


def _units(n: Sequence[int]) -> str:
    return " and ".join(f"{units:,}" for units in n)


def _always_valid(
    design: Design,
    n: tuple[int, int],
    needed: tuple[float, float] | None,
    share: float | None,
    because: str,
) -> ExperimentLook:
    total = sum(needed) if needed is not None and design.baseline is not None else N_STAR
    z = spending.always_valid_z(sum(n), total, design.alpha)
    return ExperimentLook(
        method="always-valid",
        number=None,
        of=None,
        share=share,
        alpha=max(LEAST_LEVEL, 2 * normal_tail(z)),
        why=f"{because}: the interval, {z:.2f} standard errors to each "
        'side, holds at every look at once. `look="final"` declares that this is the only one',
    )


def is_spent(design: Design, look: ExperimentLook) -> bool:
    """Say whether no alpha is left by which this look, or any later one, could pass."""
    gone = look.spent is not None and look.spent >= design.alpha * (1 - 1e-9)
    return look.method == "spending" and look.alpha <= LEAST_LEVEL and gone


def _fixed(design: Design, share: float | None) -> ExperimentLook:
    return ExperimentLook(
        method="fixed",
        number=1,
        of=1,
        share=share,
        alpha=min(0.999, design.alpha * 2 / design.sides),
        why="the only look, as declared",
        spent=design.alpha,
    )


def _contradiction(design: Design, before: Sequence[PastLook]) -> str:
    """Return why a declared look cannot be what it is said to be; empty where nothing is known against it.

    A look that could pass nothing, as an only look before the planned size, does not count.
    """
    if design.look is None:
        return ""
    number, of = (1, 1) if design.look == "final" else design.look
    against = [
        look
        for look in before
        if look.number >= number
        and look.level > LEAST_LEVEL
        and not (look.method == "fixed" and look.share is not None and look.share < 1)
    ]
    if not against:
        return ""
    said = "the only look" if of == 1 else f"look {number} of {of}"
    return f"this was declared as {said}, and the ledger has another, at {_units(against[-1].n)} units"


def _declared(design: Design, share: float | None) -> ExperimentLook:
    """Return a look as declared; those of several are taken to be as far apart as one another.

    The share of the plan is not asked: what earlier looks spent follows from their numbers alone.
    """
    if design.look in ("final", (1, 1)):
        return _fixed(design, share)
    assert isinstance(design.look, tuple)
    number, of = design.look
    here = number / of
    shares = [look / of for look in range(1, number + 1)]
    bound = spending.bounds(shares, design.alpha, design.spending, design.sides)[-1]
    return ExperimentLook(
        method="spending",
        number=number,
        of=of,
        share=share,
        alpha=max(LEAST_LEVEL, 2 * normal_tail(bound)),
        why=f"look {number} of {of}, declared: by {design.spending} spending it decides beyond {bound:.2f} "
        "standard errors",
        spent=spending.spent(here, design.alpha, design.spending, design.sides),
    )


def look_p(design: Design, look: ExperimentLook, z: float, test_p: float, n: tuple[int, int]) -> float:
    """Return the p-value that this look may show: an always-valid one where the looks are not counted."""
    if look.method != "always-valid":
        return test_p
    total = N_STAR if look.share is None or design.baseline is None else sum(n) / look.share
    return max(test_p, spending.always_valid_p(z, sum(n), total, design.alpha))
