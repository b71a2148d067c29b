"""Is a model worse than the one before it, on the same examples?  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from pytest_bugsle.robustness.bounds import LEVEL, least
from pytest_bugsle.robustness.judgement import (
    WORSE_THAN_BASELINE,
    Figure,
    Judgement,
    Listed,
    Outcome,
    Remark,
    headline,
    listing,
    named,
    percent,
    shown,
    unjudged,
)
from pytest_bugsle.stats.beta import at_least
from pytest_bugsle.stats.binomial import check_rate
from pytest_bugsle.stats.paired import mcnemar_greater, paired_bounds

MARGIN = 0.01
"""The loss of accuracy that is let through; at 0 only a better model could be shown to be no worse."""


def not_worse_than(
    predicted: Sequence[Hashable],
    baseline: Sequence[Hashable],
    labels: Sequence[Hashable],
    *,
    margin: float = MARGIN,
    ids: Sequence[str] | None = None,
    inputs: Sequence[Any] | None = None,
    level: float = LEVEL,
) -> Judgement:
    """Judge whether the model loses no more than `margin` of the baseline's accuracy.

    By the examples on which one is right and the other wrong. Fail where the lower bound of the loss is over the
    margin, and the exact test says so too (of a few hundred examples the bound alone fails 8 in 100 models that
    lose just the margin); pass where the upper bound is within it,
    else undecided. The newly wrong examples are listed whatever the outcome, the newly right ones counted.
    """
    gate = "not worse than baseline"
    check_rate("margin", margin)
    if not len(predicted) == len(baseline) == len(labels):
        raise ValueError(
            f"{len(predicted)} predictions, {len(baseline)} of the baseline and {len(labels)} labels, must be as many."
        )
    if inputs is not None and len(inputs) != len(labels):
        raise ValueError(f"{len(inputs)} inputs for {len(labels)} labels, must be as many.")
    n = len(labels)
    names = named(ids, n)
    if not n:
        return unjudged(gate, "no examples", 0, margin)
    now = [said == label for said, label in zip(predicted, labels, strict=True)]
    then = [said == label for said, label in zip(baseline, labels, strict=True)]
    lost = [place for place in range(n) if then[place] and not now[place]]
    gained = sum(right and not before for right, before in zip(now, then, strict=True))
    both = sum(said != old for said, old in zip(predicted, baseline, strict=True)) - len(lost) - gained
    loss = (len(lost) - gained) / n
    low, high = paired_bounds(len(lost), gained, n, level)
    worse = mcnemar_greater(len(lost), gained)
    outcome: Outcome = "undecided"
    if high <= margin:
        outcome = "pass"
    elif low > margin and over_margin(len(lost), gained, n, margin) <= 1 - level:
        outcome = "fail"
    needed = _needed(len(lost), gained, n, margin, level) if outcome == "undecided" else None
    listed = tuple(
        Listed(
            names[place],
            f"{shown(baseline[place], 30)} -> {shown(predicted[place], 30)}, is {shown(labels[place], 30)}"
            + ("" if inputs is None else f": {shown(inputs[place])}"),
        )
        for place in lost
    )
    lines = [
        headline(
            gate,
            outcome,
            f"accuracy {percent(sum(now) / n)} against {percent(sum(then) / n)}, a loss of {100 * loss:+.2f} points,"
            f" margin {100 * margin:g}",
        ),
        f"  bounds {100 * low:+.2f} to {100 * high:+.2f} points, {level:.0%} each; exact McNemar p = {worse:.3g}",
        f"  {len(lost)} newly wrong, {gained} newly right of {n}; {both} wrong in another way",
    ]
    if outcome == "undecided" and low > margin:
        over = over_margin(len(lost), gained, n, margin)
        lines.append(
            f"  the lower bound is over the margin; by the exact test of so few it may be chance (p = {over:.2g})"
        )
    if outcome == "undecided":
        lines.append(
            f"  next: {needed:,} examples would settle it, were what is seen the truth"
            if needed
            else "  next: no number of examples shows a loss that is exactly the margin"
        )
    lines += listing(listed)
    remarks: tuple[Remark, ...] = ()
    if outcome == "fail":
        text = f"{100 * loss:.2f} points less accurate: {len(lost)} newly wrong and {gained} newly right of {n} examples"
        remarks = (Remark(WORSE_THAN_BASELINE, text),)
    return Judgement(
        gate=gate,
        outcome=outcome,
        n=n,
        message=tuple(lines),
        figures=(
            Figure("loss of accuracy", loss, n, low, high, margin),
            Figure("newly wrong", len(lost) / n, n),
            Figure("newly right", gained / n, n),
            Figure("McNemar p-value", worse, len(lost) + gained),
        ),
        limit=margin,
        n_needed=needed,
        remarks=remarks,
        examples=listed,
        tests=1,
    )


def over_margin(lost: int, gained: int, n: int, margin: float) -> float:
    """Return the p-value of "the loss is at most the margin", given how many examples are answered otherwise.

    The exact McNemar test, whose even chance is shifted by the margin: it is McNemar's at a margin of 0.
    """
    both = lost + gained
    if not both:
        return 1.0
    return at_least(lost, both, min(1.0, (1 + margin * n / both) / 2))


def _needed(lost: int, gained: int, n: int, margin: float, level: float) -> int | None:
    """Return the examples that would settle it, were the shares of lost and gained those that were seen."""
    if (lost - gained) / n == margin:
        return None

    def settled(times: int) -> bool:
        low, high = paired_bounds(lost * times, gained * times, n * times, level)
        over = over_margin(lost * times, gained * times, n * times, margin)
        return high <= margin or (low > margin and over <= 1 - level)

    times = least(settled, 10**6 // n + 1)
    return None if times is None else times * n
