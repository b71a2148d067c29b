"""Numbers at the edge of what is defined, and arguments that are none: no pass, no crash, and no figure that is none.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.arguments import check_names, check_shapes
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_means, judge_proportions, judge_quantile
from pytest_bugsle.experiment.multiple import adjusted
from pytest_bugsle.experiment.tables import judge_table
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.stats.binomial import fisher_two_sided
from pytest_bugsle.stats.proportions import koopman


@pytest.mark.parametrize("method", ["welch", "bootstrap"])
@pytest.mark.parametrize("design", [{"min_lift": -0.1}, {"min_difference": -1}, {"equivalence": 0.1}, {}])
def test_two_arms_of_one_value_pass_nothing(method: Any, design: dict[str, Any]) -> None:
    """Neither as no worse nor as the same: nothing says how far chance would carry them."""
    found = judge_means([7.0] * 5, [7.0] * 5, method=method, look="final", **design)
    assert found.outcome == "undecided" and found.interval is None and found.decision_p_value is None
    assert "all values of both arms are the same" in found.why and "0 to 0" not in found.message


def test_every_pass_has_a_p_value_for_its_family() -> None:
    """At a level over 0.05, and by a margin that no share can exceed: what has none escapes Holm."""
    lenient = judge_means([0.0, 1, 1], [7.0] * 200, min_lift=1e-9, alpha=0.2, look="final")
    wide = judge_proportions((246, 1000), (128, 1000), min_lift=-2, look="final")
    alone = judge_means([4.0, 5.0, 6.0] * 9, [7.0] * 9, min_lift=-1, look="final")
    for found in (lenient, wide, alone):
        assert found.outcome == "pass"
        assert found.decision_p_value is not None and found.decision_p_value <= found.alpha


def test_a_level_of_a_half_or_more_is_none() -> None:
    """Two one-sided tests at it would have an interval without a level."""
    with pytest.raises(UsageError, match=r"alpha is 0\.5, and must lie between 0 and 0\.5"):
        Design(alpha=0.5)


_COUNTS = st.sampled_from([2, 3, 10, 60, 400]).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(_COUNTS, _COUNTS)
def test_fishers_test_is_scipys(one: tuple[int, int], other: tuple[int, int]) -> None:
    """For counts that scipy can do."""
    table = [[one[0], one[1] - one[0]], [other[0], other[1] - other[0]]]
    wanted = float(stats.fisher_exact(table)[1])
    assert fisher_two_sided(*one, *other) == pytest.approx(wanted, rel=1e-7, abs=1e-290)
    assert fisher_two_sided(*other, *one) == pytest.approx(wanted, rel=1e-7, abs=1e-290)


def test_fishers_test_takes_any_number_of_trials() -> None:
    """As Poisson counts they have 8 of a half: 0.727."""
    for n in (10**6, 10**9, 10**15, 10**18):
        assert fisher_two_sided(3, n, 5, n) == pytest.approx(0.7265625, abs=1e-4)
    assert fisher_two_sided(1, 3, 2**59, 2**60) == pytest.approx(1.0)


def test_the_interval_of_a_lift_is_in_order_however_unequal_the_arms_are() -> None:
    """And holds the lift."""
    for control, treatment in (((10, 10), (1, 10**15)), ((1, 10**15), (5, 5)), ((5, 50), (0, 50))):
        low, high = koopman(control, treatment, 0.05) or (0.0, 0.0)
        lift = treatment[0] * control[1] / (treatment[1] * control[0]) - 1
        assert -1 <= low <= lift <= high


_VALUES = st.lists(
    st.one_of(
        st.sampled_from([0.0, 7.0, 1e-201, -1e-300, 1e69, -1e69, 1e9]), st.floats(-1e4, 1e4, allow_nan=False)
    ),
    min_size=2,
    max_size=8,
)


def _is_sound(found: ExperimentResult) -> bool:
    def finite(value: Any) -> bool:
        if isinstance(value, dict | list | tuple):
            return all(map(finite, value.values() if isinstance(value, dict) else value))
        return not isinstance(value, float) or isfinite(value)

    words = found.message.lower().replace("(", " ").replace("+", " ").split()
    return finite(msgspec.to_builtins(found)) and not {"nan", "inf", "-inf", "none"} & set(words)


@given(_VALUES, _VALUES, st.sampled_from([{}, {"min_lift": 0.1}, {"equivalence": 0.2}, {"mde": 0.1}]))
def test_no_values_make_a_figure_that_is_none(
    control: list[float], treatment: list[float], design: dict[str, Any]
) -> None:
    """However large, small or equal they are."""
    for look in ("final", None):
        assert _is_sound(judge_means(control, treatment, look=look, **design))
        assert _is_sound(judge_quantile(control, treatment, look=look, **design))


@pytest.mark.parametrize("deviation", [1e71, 1e200])
def test_what_is_too_large_to_be_squared_is_invalid(deviation: float) -> None:
    """In a summary, in values, in a table and in a design."""
    arm = {"mean": 1.0, "deviation": deviation, "n": 100}
    assert judge_means(arm, arm).outcome == "invalid"
    assert judge_means([deviation, 1.0], [1.0, 2.0]).outcome == "invalid"
    table = {"arm": ["control", "treatment"] * 20, "spent": [1.0, 2.0, 3.0, deviation] * 10}
    assert judge_table(table, arm="arm", metric="spent")[0].outcome == "invalid"
    with pytest.raises(UsageError, match="must be a finite number"):
        Design(mde_difference=deviation)


def test_a_resampled_lift_of_nothing_but_zeros_has_no_bounds() -> None:
    """Its error is 0 by chance alone."""
    found = judge_means([1.0, 2.0, 4.0, 3.0] * 5, [0.0] * 20, method="bootstrap", min_lift=-0.5, look="final")
    assert found.relative is not None and found.relative.interval is None


@pytest.mark.parametrize("metric", [None, "", " ", 3, ["a"]])
def test_a_metric_has_a_name(metric: Any) -> None:
    """A result without one would end the run where all results are gathered."""
    with pytest.raises(UsageError, match="must be a name"):
        judge_proportions((5, 50), (9, 50), metric=metric)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"guardrails": {"latency": 0.01}}, "guardrail 'latency' is 0.01, and must be a table with a margin"),
        ({"guardrails": ["latency"]}, "guardrails is .*, and must be a table for each column"),
        ({"split": [0.5, 0.5]}, "split is .*, and must be a share for each arm"),
        ({"split": {"control": "half", "treatment": 0.5}}, "the share of 'control' is 'half'"),
        ({"segments": 3}, "segments is 3, and must be names of columns"),
        ({"unit": 5}, "unit is 5, and must be the name of a column"),
    ],
)
def test_an_argument_that_is_no_table_is_said(given: dict[str, Any], said: str) -> None:
    """With what it must be."""
    with pytest.raises(UsageError, match=said):
        check_shapes(given)
    with pytest.raises(UsageError, match=said):
        judge_table({"arm": ["a"], "spent": [1.0]}, **{"arm": "arm", "metric": "spent", **given})


def test_one_segment_may_stand_alone() -> None:
    """A text is the name of a column, not letters."""
    table = {
        "arm": ["control", "treatment"] * 50,
        "spent": [1.0, 2.0, 3.0, 4.5] * 25,
        "land": ["a", "b"] * 50,
    }
    found = judge_table(table, arm="arm", metric="spent", segments="land")[0]
    assert {check.name for check in found.checks} >= {"simpsons-paradox"}


def test_an_argument_that_there_is_not_gets_the_nearest_name() -> None:
    """For counts and for tables."""
    with pytest.raises(UsageError, match=r"no argument 'min_lfit'.\n.*did you mean min_lift="):
        check_names(judge_proportions, {"min_lfit": 0.1})
    with pytest.raises(UsageError, match="did you mean guardrails="):
        check_names(judge_table, {"guardrail": {}})
    check_names(judge_table, {"guardrails": {}, "mde": 0.1, "aa": 100})


def test_a_guardrail_of_the_metric_itself_is_refused() -> None:
    """Both would be looks at one metric."""
    with pytest.raises(UsageError, match="is the metric itself"):
        judge_table(
            {"a": ["x"], "m": [1]}, arm="a", metric="m", guardrails={"m": {"margin": 0.1, "quantile": 0.9}}
        )


def test_a_metric_without_a_name_fails_its_test_alone(pytester: pytest.Pytester) -> None:
    """And not the whole run."""
    pytester.makepyfile(
        """
        def test_none(ab_gate):
            ab_gate.proportions(control=(5, 50), treatment=(9, 50), metric=None)

        def test_typo(ab_gate):
            ab_gate.table({"a": ["x"]}, arm="a", metric="a", guardrail={})
        """
    )
    made = pytester.runpytest_subprocess()
    made.assert_outcomes(failed=2)
    for said in ("metric is None, and must be a name", "did you mean guardrails=?"):
        assert said in made.stdout.str()
    assert made.ret == pytest.ExitCode.TESTS_FAILED


def test_a_declared_look_that_is_not_the_last_does_not_end_the_test() -> None:
    """Also where the planned size is reached early."""
    arms = {"control": (500, 5000), "treatment": (520, 5000)}
    early = judge_proportions(**arms, mde=0.2, look=(1, 5))
    last = judge_proportions(**arms, mde=0.2, look=(5, 5))
    assert (early.outcome, last.outcome) == ("undecided", "fail")


def test_a_guardrail_is_not_told_to_plan_an_effect() -> None:
    """It takes none in a table."""
    table = {
        "arm": ["control", "treatment"] * 20,
        "m": [1.0, 2.0, 4.0, 3.0] * 10,
        "ms": [9.0, 8.0, 7.0, 9.5] * 10,
    }
    found = judge_table(
        table, arm="arm", metric="m", guardrails={"ms": {"margin": 0.01, "direction": "down"}}
    )
    assert "say with mde=" in found[0].message and "say with mde=" not in found[1].message
    assert "or better with power" in found[1].message


def test_what_fails_among_others_keeps_its_analysis() -> None:
    """The numbers stay, and what to do next is another."""
    found = [judge_proportions((500, 5000), (570, 5000), look="final", metric=name) for name in ("a", "b")]
    found.append(judge_proportions((500, 5000), (500, 5000), look="final", metric="c"))
    first = adjusted(found)[0]
    assert first.outcome == "undecided" and "difference +1.40 points" in first.message
    assert "it may ship" not in first.message and "role='exploratory'" in first.message


def test_a_plan_from_a_share_that_is_none_names_no_size() -> None:
    """Of a baseline out of 0 to 1, and of one so near 0 that rounding leaves nothing."""
    odd = judge_proportions((1, 50), (1, 5), baseline=-3, mde_difference=3, look="final")
    tiny = judge_proportions((1, 2**60), (2, 3), mde=0.01, power=0.5, look="final")
    assert odd.n_needed is None and tiny.n_needed is None
