"""Many metrics and many tests: what is decided together, and what only looked at.  PYTEST_DONT_REWRITE

A guardrail needs no adjustment: all of them must pass, which makes a wrong pass of the whole less likely.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.stats import multiplicity


def adjusted(results: Sequence[ExperimentResult]) -> list[ExperimentResult]:
    """Return the results with the p-values of their families, in the same order.

    The decisions of a session are one family (Holm); a pass that does not outlive the others is undecided. What
    is exploratory is another (Benjamini and Hochberg), and changes no outcome.
    """
    made = list(results)
    for role in ("decision", "exploratory"):
        family = [
            place
            for place, result in enumerate(results)
            if result.role == role and result.decision_p_value is not None
        ]
        if len(family) < 2:
            continue
        p_values = [results[place].decision_p_value or 0.0 for place in family]
        found = multiplicity.holm(p_values) if role == "decision" else multiplicity.false_discovery(p_values)
        for place, p_value in zip(family, found, strict=True):
            made[place] = _with_family(results[place], p_value, len(family))
    return made


def _with_family(result: ExperimentResult, p_value: float, size: int) -> ExperimentResult:
    if result.role != "decision" or result.outcome != "pass" or p_value <= result.alpha:
        return msgspec.structs.replace(result, adjusted_p_value=p_value)
    why = (
        f"passes alone (p {result.decision_p_value:.3g}) and not among the {size} decisions of this session: "
        f"Holm makes it {p_value:.3g}, over alpha {result.alpha:g}"
    )
    shown = for_terminal(f"UNDECIDED {result.metric}: {why}")
    analysis = [line for line in result.message.split("\n")[1:] if not line.startswith("  next: ")]
    following = "  next: judge fewer metrics as decisions (role='exploratory' for the others), or let it run"
    return msgspec.structs.replace(
        result,
        adjusted_p_value=p_value,
        outcome="undecided",
        why=why,
        message="\n".join([shown, *analysis, following]),
    )
