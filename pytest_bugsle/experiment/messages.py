"""What a user reads of an A/B test: the numbers, the reason, and what to do next.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_bugsle.experiment.picture import interval_picture
from pytest_bugsle.report.escape import for_terminal

if TYPE_CHECKING:
    from pytest_bugsle.experiment.design import Design
    from pytest_bugsle.experiment.evidence import Evidence
    from pytest_bugsle.results import ExperimentLook, ExperimentResult

Kind = Literal["share", "mean", "ratio", "quantile", "shift"]


def p_text(p_value: float) -> str:
    """Write a p-value: three decimals, as a power below that, never 0."""
    if p_value < 1e-300:
        return "p < 1e-300"
    return f"p = {p_value:.3f}" if p_value >= 0.001 else f"p = {p_value:.1e}"


def number(value: float) -> str:
    """Write a value with four significant digits, and whole thousands apart."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"


def signed(value: float, digits: str) -> str:
    """Write a value with its sign; 0, and what is rounded to it, has none."""
    text = format(value, f"+{digits}")
    return text if text.strip("+-0.") else text[1:]


def effect_text(value: float, kind: Kind, *, relative: bool) -> str:
    """Write an effect: a lift in per cent, a difference of shares in points, else as it is."""
    if relative:
        return f"{signed(100 * value, '.1f')} %"
    if kind == "share":
        return f"{signed(100 * value, '.2f')} points" if value else "0"
    return signed(value, ".4g") if value else "0"


def level_text(alpha: float) -> str:
    """Write the level of an interval in per cent, with the digits that it needs."""
    level = 100 * (1 - alpha)
    for digits in range(8):
        text = f"{level:.{digits}f}"
        if abs(float(text) - level) < 0.05 * (100 - level) and float(text) < 100:
            return f"{text} %"
    return "almost 100 %"


def _value(value: float, kind: Kind) -> str:
    return f"{100 * value:.2f} %" if kind == "share" else number(value)


def with_message(result: ExperimentResult, design: Design, evidence: Evidence | None) -> ExperimentResult:
    """Return the result with the lines that a user reads."""
    lines = _withheld(result) if evidence is None else _lines(result, design, evidence)
    return msgspec.structs.replace(result, message="\n".join(for_terminal(line) for line in lines))


def _withheld(result: ExperimentResult) -> list[str]:
    changed = all(check.rule == "BUG309" for check in result.checks)
    because = "the design has changed since the data were seen" if changed else "the data cannot be trusted"
    lines = [f"INVALID {result.metric}: the effect is withheld, {because}"]
    lines += _fired(result)
    if result.n:
        lines.append("  units: " + ", ".join(f"{arm} {n:,}" for arm, n in result.n.items()))
    lines.append(
        "  next: give the design back as it was locked, or begin a new experiment under a new name"
        if changed
        else "  next: mend the data or the assignment, then judge again; no effect from them means anything"
    )
    return lines


def _fired(result: ExperimentResult) -> list[str]:
    """Return the lines of the checks that fired; the table of one is several."""
    lines = []
    for check in result.checks:
        if check.outcome != "pass":
            lines += f"  {check.rule + ' ' if check.rule else ''}{check.name}: {check.message}".split("\n")
    return lines


def _arm(name: str, evidence: Evidence, place: int) -> str:
    n, value = evidence.n[place], (evidence.control, evidence.treatment)[place]
    of = f"n = {n:,}" if evidence.counts is None else f"{evidence.counts[place]:,} of {n:,}"
    label = f"{evidence.label} " if evidence.label else ""
    return f"{name} {label}{_value(value, evidence.kind)} ({of})"


def within(design: Design, kind: Kind) -> str:
    """Name the margins of equivalence."""
    margin = design.margin or 0.0
    low, high = (effect_text(end, kind, relative=design.is_relative) for end in (-margin, margin))
    return f"within {low} and {high}"


def _lines(result: ExperimentResult, design: Design, evidence: Evidence) -> list[str]:
    kind, look = evidence.kind, result.look
    assert look is not None and result.relative is not None
    arms = list(result.n)
    role = " (guardrail)" if result.role == "guardrail" else ""
    lines = [
        f"{result.outcome.upper()} {result.metric}{role}: {result.why}",
        f"  {_arm(arms[1], evidence, 1)} against {_arm(arms[0], evidence, 0)}",
        _difference(result, design, evidence),
    ]
    drawn = interval_picture(result)
    if drawn:
        lines.append(f"  {drawn}")
    if result.relative.effect is not None:
        bounds = result.relative.interval
        text = f", interval {_span(bounds, kind, relative=True)}" if bounds else ", without bounds"
        lines.append(f"  lift {effect_text(result.relative.effect, kind, relative=True)}{text}")
    lines.append(f"  {_wanted(design, kind)}")
    lines.extend(f"  {line}" for line in _plan(result, design, evidence))
    lines.append(f"  look: {look.why}")
    lines.extend(f"  note: {note}" for note in result.notes)
    lines += _fired(result)
    lines.append(f"  next: {_next(result, design)}")
    return lines


def _difference(result: ExperimentResult, design: Design, evidence: Evidence) -> str:
    assert result.look is not None and result.p_value is not None
    effect = effect_text(evidence.effect, evidence.kind, relative=False)
    interval = _interval_name(result.look, design)
    if result.interval is None:
        interval = f"no {interval}"
    else:
        interval += f" {_span(result.interval, evidence.kind, relative=False)}"
    p_value = "always-valid " * (result.look.method == "always-valid") + p_text(result.p_value)
    return f"  difference {effect}, {interval} ({evidence.method}); {p_value} ({evidence.test})"


def _interval_name(look: ExperimentLook, design: Design) -> str:
    if look.method == "fixed":
        return f"{level_text(look.alpha)} interval"
    kind = "always-valid" if look.method == "always-valid" else "repeated"
    return f"{level_text(design.alpha)} {kind} interval"


def _span(interval: Sequence[float], kind: Kind, *, relative: bool) -> str:
    if kind == "share" or relative:
        unit = " %" if relative else " points"
        digits = ".1f" if relative else ".2f"
        return f"{signed(100 * interval[0], digits)} to {signed(100 * interval[1], digits)}{unit}"
    return f"{signed(interval[0], '.4g')} to {signed(interval[1], '.4g')}"


def _wanted(design: Design, kind: Kind) -> str:
    if design.margin is not None:
        return f"ships where the effect lies {within(design, kind)} (alpha {design.alpha:g}, two one-sided tests)"
    level = f"alpha {design.alpha:g}" + (", one-sided" if design.sides == 1 else "")
    more, less = ("more", "less") if design.direction == "up" else ("less", "more")
    size = effect_text(abs(design.least), kind, relative=design.is_relative).removeprefix("+")
    if design.least < 0:
        return f"ships where treatment has not {less} than control by {size} or more ({level})"
    if design.least > 0:
        return f"ships where treatment has {more} than control by over {size} ({level})"
    return f"ships where the effect is {'over' if design.direction == 'up' else 'below'} 0 ({level})"


def _plan(result: ExperimentResult, design: Design, evidence: Evidence) -> list[str]:
    lines = []
    planned = design.mde if design.mde is not None else design.mde_difference
    if planned is not None or design.margin is not None:
        effect = (
            f"no effect, {within(design, evidence.kind)},"
            if planned is None
            else effect_text(design.sign * planned, evidence.kind, relative=design.mde is not None)
        )
        if not result.n_needed_by_arm:
            return [f"planned: {effect.removesuffix(',')}, for which no size can be named from this control"]
        sizes = list(result.n_needed_by_arm.values())
        many = (
            f"{sizes[0]:,} per arm"
            if sizes[0] == sizes[1]
            else " and ".join(f"{n:,} in {arm}" for arm, n in result.n_needed_by_arm.items())
        )
        start = result.values[next(iter(result.values))] if design.baseline is None else design.baseline
        lines.append(
            f"planned: {effect} from {_value(start, evidence.kind)} at power {design.power:g} needs {many}; "
            f"there are {result.n[next(iter(result.n))]:,} and {list(result.n.values())[1]:,}"
        )
    if result.outcome == "undecided" and design.margin is None:
        least = evidence.detectable(design)
        if least is not None:
            off = design.margin_difference(evidence.control)
            shown = effect_text(design.sign * least + off, evidence.kind, relative=False)
            lift = (design.sign * least + off) / abs(evidence.control) if evidence.control else None
            relative = "" if lift is None else f" ({effect_text(lift, evidence.kind, relative=True)})"
            lines.append(
                f"so few units show a true effect of {shown}{relative} or better with power {design.power:g}"
            )
    return lines


def _next(result: ExperimentResult, design: Design) -> str:
    if result.outcome == "pass":
        return "it may ship"
    if result.outcome == "fail":
        return "do not ship it on this evidence; a new idea needs a new test"
    missing = {
        arm: want - result.n[arm] for arm, want in result.n_needed_by_arm.items() if want > result.n[arm]
    }
    if missing:
        more = " and ".join(f"{many:,} more in {arm}" for arm, many in missing.items())
        days = "" if result.days_needed is None else f", about {_days(result.days_needed)} at the rate so far"
        return f"let it run: {more}{days}; do not ship it on this"
    planned = (design.mde, design.mde_difference, design.margin)
    # A guardrail of a table has no planned effect: it takes none.
    if all(value is None for value in planned) and result.role != "guardrail":
        return "say with mde= which effect the test was planned to show, to be told how many units that needs"
    return "let it run; do not ship it on this"


def _days(days: float) -> str:
    from math import ceil

    whole = ceil(days)
    return "1 day" if whole == 1 else f"{whole:,} days"
