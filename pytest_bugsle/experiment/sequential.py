"""At which level one look at growing data may decide, so that all looks together err as one would.  PYTEST_DONT_REWRITE

A look has a two-sided nominal level, and every interval is made at that level: a bound of z standard errors is the
level 2·(1 - Phi(z)). So all kinds of metric know looks without knowing it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_bugsle.experiment.design import Design
from pytest_bugsle.results import ExperimentLook
from pytest_bugsle.stats import spending
from pytest_bugsle.stats.proportions import normal_tail

LEAST_LEVEL = 1e-12
"""No look has a lower level: the difference is to no one, and quantiles have their digits."""

N_STAR = 5000.0
"""Where an always-valid interval is narrowest when the plan does not say, in units of both arms."""


def look_at(
    design: Design, n: tuple[int, int], needed: tuple[float, float] | None, past: Sequence[float] | None
) -> ExperimentLook:
    """Return the look that these data are.

    `past` are the shares of the plan at which there was a look before, None where nothing remembers them.
    A declared look counts for more than the ledger; without either the interval is always valid.
    """
    share = None if needed is None else min(n[0] / needed[0], n[1] / needed[1])
    if design.look in ("final", (1, 1)):
        return _fixed(design, share)
    if isinstance(design.look, tuple):
        number, of = design.look
        here = number / of if share is None else min(1.0, share)
        before = [here * look / number for look in range(1, number)]
        # The last look decides by all that is left, whatever the share is by now.
        made = spending.bounds(
            [*before, here if number < of else 1.0], design.alpha, design.spending, design.sides
        )
        return _spending(design, made, number, of, share, "declared")
    if past is not None and share is not None and (not past or share > past[-1]) and all(s < 1 for s in past):
        made = spending.bounds([*past, min(1.0, share)], design.alpha, design.spending, design.sides)
        return _spending(design, made, len(past) + 1, None, share, "by the ledger of looks")
    total = sum(needed) if needed is not None and design.baseline is not None else N_STAR
    z = spending.always_valid_z(sum(n), total, design.alpha)
    return ExperimentLook(
        method="always-valid",
        number=None,
        of=None,
        share=share,
        alpha=max(LEAST_LEVEL, 2 * normal_tail(z)),
        why=f"no look was declared, and no ledger remembers any: the interval, {z:.2f} standard errors to each "
        'side, holds at every look at once. `look="final"` declares that this is the only one',
    )


def _fixed(design: Design, share: float | None) -> ExperimentLook:
    return ExperimentLook(
        method="fixed",
        number=1,
        of=1,
        share=share,
        alpha=min(0.999, design.alpha * 2 / design.sides),
        why="the only look, as declared",
    )


def _spending(
    design: Design, made: Sequence[float], number: int, of: int | None, share: float | None, origin: str
) -> ExperimentLook:
    many = f"{number} of {of}" if of else f"{number}"
    return ExperimentLook(
        method="spending",
        number=number,
        of=of,
        share=share,
        alpha=max(LEAST_LEVEL, 2 * normal_tail(made[-1])),
        why=f"look {many}, {origin}: by {design.spending} spending it decides beyond {made[-1]:.2f} standard errors",
    )


def look_p(design: Design, look: ExperimentLook, z: float, test_p: float, n: tuple[int, int]) -> float:
    """Return the p-value that this look may show: an always-valid one where the looks are not counted."""
    if look.method != "always-valid":
        return test_p
    total = N_STAR if look.share is None or design.baseline is None else sum(n) / look.share
    return max(test_p, spending.always_valid_p(z, sum(n), total, design.alpha))
