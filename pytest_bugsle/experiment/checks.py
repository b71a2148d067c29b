"""What must hold before an effect may be read; where one fires, the effect is withheld.  PYTEST_DONT_REWRITE

They are looked at with every look at the data, and an alarm costs the whole test: their level is strict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_bugsle.experiment import simpson, srm
from pytest_bugsle.experiment.messages import number, p_text
from pytest_bugsle.results import ExperimentCheck
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
        message=fired if bad else fine,
        p_value=p_value,
    )


def sample_ratio(n: Mapping[str, int], split: Mapping[str, float]) -> ExperimentCheck:
    """Check the arms' sizes against the designed split; the message names the arm that is furthest off."""
    total, whole = sum(n.values()), sum(split.values())
    p_value = srm.p_value([n[arm] for arm in split], list(split.values()))
    wanted = {arm: total * share / whole for arm, share in split.items()}
    worst = max(split, key=lambda arm: (n[arm] - wanted[arm]) ** 2 / wanted[arm])
    seen = ", ".join(f"{arm} {n[arm]:,} of {wanted[arm]:,.0f} expected" for arm in split)
    return _check(
        "sample-ratio-mismatch",
        "BUG301",
        p_value,
        f"the arms do not have their designed sizes: {seen} ({p_text(p_value)}); furthest off is {worst}, "
        f"{100 * (n[worst] / wanted[worst] - 1):+.2f} %",
        f"{seen} ({p_text(p_value)})",
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
    whole = {name: pair for name, pair in segments.items() if pair[0].n and pair[1].n}
    left_out = [name for name in segments if name not in whole]
    if not whole:
        return ExperimentCheck(
            name="simpsons-paradox", outcome="pass", message=f"{column}: no segment has both arms"
        )
    if shares:
        counts: list[stratified.Segment] = [
            ((round(c.mean * c.n), c.n), (round(t.mean * t.n), t.n)) for c, t in whole.values()
        ]
        found = simpson.examine(counts, alpha)
        rows = [
            f"{name}: control {c[0]:,} of {c[1]:,}, treatment {t[0]:,} of {t[1]:,}, {100 * difference(c, t):+.2f} points"
            for name, (c, t) in zip(whole, counts, strict=True)
        ]
    else:
        found = simpson.examine_means(list(whole.values()), alpha)
        rows = [
            f"{name}: control {number(c.mean)} (n = {c.n:,}), treatment {number(t.mean)} (n = {t.n:,}), {t.mean - c.mean:+.4g}"
            for name, (c, t) in whole.items()
        ]
    message = f"by {column}: whole {found.aggregate:+.4g}, within segments {found.within or 0.0:+.4g}"
    if left_out:
        message += f"; in one arm only, and left out: {', '.join(left_out[:10])}"
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
