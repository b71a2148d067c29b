"""What must hold before an effect may be read; where one fires, the effect is withheld.  PYTEST_DONT_REWRITE

They are looked at with every look at the data, and an alarm costs the whole test: their level is strict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_bugsle.experiment import simpson, srm
from pytest_bugsle.experiment.messages import number, p_text
from pytest_bugsle.report.escape import visible
from pytest_bugsle.results import ExperimentCheck, Outcome
from pytest_bugsle.stats import means, stratified
from pytest_bugsle.stats.moments import Moments
from pytest_bugsle.stats.proportions import difference

ALPHA = srm.ALPHA


def _check(name: str, rule: str, p_value: float, fired: str, fine: str) -> ExperimentCheck:
    bad = p_value < ALPHA
    return ExperimentCheck(
        name=name,
        rule=rule if bad else None,
        outcome="invalid" if bad else "pass",
        message=visible(fired if bad else fine),
        p_value=p_value,
    )


def sample_ratio(
    n: Mapping[str, int], split: Mapping[str, float], *, repeated: bool = False
) -> ExperimentCheck:
    """Check the arms' sizes against the designed split; the message names the arm that is furthest off.

    Where looks are `repeated`, a test decides that holds at all of them at once. What one look alone would call a
    mismatch is then a doubt, with which nothing passes.
    """
    total, whole = sum(n.values()), sum(split.values())
    p_value = srm.p_value([n[arm] for arm in split], list(split.values()))
    wanted = {arm: total * share / whole for arm, share in split.items()}
    worst = max(split, key=lambda arm: (n[arm] - wanted[arm]) ** 2 / wanted[arm])
    seen = ", ".join(f"{arm} {n[arm]:,} of {wanted[arm]:,.0f} expected" for arm in split)
    said = p_text(p_value)
    outcome: Outcome = "invalid" if p_value < ALPHA else "pass"
    if repeated:
        always = srm.always_valid_p([n[arm] for arm in split], list(split.values()))
        said += f", always-valid {p_text(always)}"
        if always < srm.ALWAYS_VALID_ALPHA:
            outcome = "invalid"
        elif outcome == "invalid":
            outcome = "undecided"
    message = f"{seen} ({said})"
    if outcome != "pass":
        message = (
            f"the arms do not have their designed sizes: {message}; furthest off is {worst}, "
            f"{100 * (n[worst] / wanted[worst] - 1):+.2f} %"
        )
    if outcome == "undecided":
        message += "; over all looks that may still be chance, so that nothing passes yet"
    return ExperimentCheck(
        name="sample-ratio-mismatch",
        rule="BUG301" if outcome == "invalid" else None,
        outcome=outcome,
        message=visible(message),
        p_value=p_value,
    )


def in_two_arms(units: int, total: int) -> ExperimentCheck:
    """Check that no unit is in more than one arm."""
    return ExperimentCheck(
        name="unit-in-two-arms",
        rule="BUG303" if units else None,
        outcome="invalid" if units else "pass",
        message=f"{units:,} of {total:,} units are in more than one arm",
    )


def missingness(missing: Mapping[str, int], n: Mapping[str, int]) -> ExperimentCheck:
    """Check that the metric is missing as often in each arm."""
    found = stratified.independence([[missing[arm] for arm in n], [n[arm] - missing[arm] for arm in n]])
    p_value = 1.0 if found is None else found[1]
    text = ", ".join(f"{arm} {missing[arm]:,} of {n[arm]:,}" for arm in n)
    return _check(
        "differential-missingness",
        "BUG304",
        p_value,
        f"the metric is missing more often in one arm: {text} ({p_text(p_value)})",
        f"missing: {text}",
    )


def copied_rows(copies: Mapping[str, tuple[int, int]]) -> ExperimentCheck:
    """Check that rows repeat another as often in each arm; each arm has (copies, rows)."""
    found = stratified.independence(
        [[copied for copied, _ in copies.values()], [rows - copied for copied, rows in copies.values()]]
    )
    p_value = 1.0 if found is None else found[1]
    text = ", ".join(f"{arm} {copied:,} of {rows:,}" for arm, (copied, rows) in copies.items())
    return _check(
        "duplicated-rows",
        "BUG302",
        p_value,
        f"rows repeat another in all columns more often in one arm: {text} ({p_text(p_value)})",
        f"rows that repeat another in all columns: {text}",
    )


def balance(name: str, control: Moments, treatment: Moments) -> ExperimentCheck:
    """Check that the arms did not differ before, in the mean of a covariate."""
    found = means.welch(control, treatment)
    constant = 1.0 if found.value == 0 else 0.0
    p_value = found.p_value() if found.error > 0 else constant
    seen = f"{name}: {number(control.mean)} in control, {number(treatment.mean)} in treatment ({p_text(p_value)})"
    return _check(
        "arms-differ-before",
        "BUG305",
        p_value,
        f"before the exposure the arms differ by more than chance, or the covariate is none: {seen}",
        seen,
    )


def paradox(
    column: str, segments: Mapping[str, tuple[Moments, Moments]], *, shares: bool, alpha: float
) -> ExperimentCheck:
    """Check that the whole does not say the opposite of its segments; the message is the table that shows it."""
    named = {visible(name): pair for name, pair in segments.items()}
    whole = {name: pair for name, pair in named.items() if pair[0].n and pair[1].n}
    left_out = [name for name in named if name not in whole]
    if not whole:
        return ExperimentCheck(
            name="simpsons-paradox", outcome="pass", message=f"{visible(column)}: no segment has both arms"
        )
    if shares:
        counts: list[stratified.Segment] = [
            ((round(c.mean * c.n), c.n), (round(t.mean * t.n), t.n)) for c, t in whole.values()
        ]
        found = simpson.examine(counts, alpha)
        rows = [
            f"{visible(name)}: control {c[0]:,} of {c[1]:,}, treatment {t[0]:,} of {t[1]:,}, {100 * difference(c, t):+.2f} points"
            for name, (c, t) in zip(whole, counts, strict=True)
        ]
    else:
        found = simpson.examine_means(list(whole.values()), alpha)
        rows = [
            f"{visible(name)}: control {number(c.mean)} (n = {c.n:,}), treatment {number(t.mean)} (n = {t.n:,}), {t.mean - c.mean:+.4g}"
            for name, (c, t) in whole.items()
        ]
    message = (
        f"by {visible(column)}: whole {found.aggregate:+.4g}, within segments {found.within or 0.0:+.4g}"
    )
    if left_out:
        message += f"; in one arm only, and left out: {', '.join(map(visible, left_out[:10]))}"
    if found.heterogeneity is not None and found.heterogeneity < 0.01:
        message += f"; the segments differ in their effect (advisory, {p_text(found.heterogeneity)})"
    if found.reversed:
        shown = rows[:20] + ([f"and {len(rows) - 20} more"] if len(rows) > 20 else [])
        message += "\n    " + "\n    ".join(shown)
    return ExperimentCheck(
        name="simpsons-paradox",
        rule="BUG307" if found.reversed else None,
        outcome="invalid" if found.reversed else "pass",
        message=message,
        p_value=found.mix_p_value,
    )


def known_arms(found: Sequence[str | None], wanted: Sequence[str]) -> ExperimentCheck | None:
    """Return the check that fires where an arm has no units, or is none of the design; None where all is well."""
    problems = []
    if None in found:
        problems.append("rows without an arm")
    extra = [arm for arm in found if arm is not None and arm not in wanted]
    if extra:
        problems.append(f"arms that the design does not know: {', '.join(map(repr, extra[:10]))}")
    empty = [arm for arm in wanted if arm not in found]
    if empty:
        problems.append(f"no unit in {', '.join(map(repr, empty))}")
    if not problems:
        return None
    return ExperimentCheck(
        name="contradictory-data",
        rule="BUG302",
        outcome="invalid",
        message=f"{'; '.join(problems)} (designed: {', '.join(map(repr, wanted))})",
    )
