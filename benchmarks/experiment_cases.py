"""Hold the statistics of the experiment room against a list of reference values.

    python -m benchmarks.experiment_cases CASES.json

CASES.json is a list of objects with `name`, `inputs`, `expected` and `tol`, on which independent
implementations agree. Prints each value that is off by more than its tolerance, and the worst of all.
"""

from __future__ import annotations

import argparse
import json
from math import isclose, sqrt
from pathlib import Path
from typing import Any

from pytest_bugsle.experiment import cuped, ratios, srm
from pytest_bugsle.stats import means, multiplicity, proportions, sizes, spending, stratified, trends
from pytest_bugsle.stats.moments import Moments, PairedMoments

Values = dict[str, Any]


def main() -> int:
    """Print the worst value; exit 1 when one is beyond its tolerance, or expressed by nothing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    cases = json.loads(parser.parse_args().cases.read_text(encoding="utf-8"))
    worst = (0.0, "")
    held = wrong = missing = 0
    for case in cases:
        try:
            ours = values_of(case["name"], case["inputs"])
        except KeyError as error:
            missing += 1
            print(f"not expressed: {case['name']} ({error})")
            continue
        for key, expected in case["expected"].items():
            if key not in ours:
                missing += 1
                print(f"not expressed: {case['name']} {key}")
                continue
            off = distance(ours[key], expected)
            worst = max(
                worst, (off / case["tol"], f"{case['name']} {key}: off by {off:.2g}, allowed {case['tol']:g}")
            )
            good = off <= case["tol"]
            held, wrong = held + good, wrong + (not good)
            if not good:
                print(f"WRONG {case['name']} {key}: {ours[key]!r}, not {expected!r}")
    print(f"{len(cases)} cases: {held} values held, {wrong} wrong, {missing} not expressed")
    print(f"worst: {worst[1]}")
    return int(wrong > 0 or missing > 0)


def distance(ours: Any, expected: Any) -> float:
    """Return how far off a value is, relative to the expected one where that is not small."""
    if isinstance(expected, bool) or expected is None or ours is None:
        return 0.0 if ours is expected else float("inf")
    if isclose(ours, expected, rel_tol=0, abs_tol=1e-300):
        return 0.0
    return abs(ours - expected) / max(abs(expected), 1e-6)


def _two(pair: tuple[float, float] | None) -> Values:
    assert pair is not None
    return {"lower": pair[0], "upper": pair[1]}


def _counts(inputs: Values) -> tuple[tuple[int, int], tuple[int, int]]:
    return tuple(inputs["control"]), tuple(inputs["treatment"])


def _means(inputs: Values) -> tuple[Moments, Moments]:
    return Moments.of(inputs["control"]), Moments.of(inputs["treatment"])


def values_of(name: str, inputs: Values) -> Values:
    """Return our values of one case; KeyError where nothing expresses it."""
    for start, compute in COMPUTED.items():
        if name.startswith(start):
            return compute(name, inputs)
    raise KeyError(name)


def _z_test(name: str, inputs: Values) -> Values:
    z = proportions.pooled_z(*_counts(inputs))
    side = inputs.get("alternative")
    if side:
        return {"pvalue": proportions.normal_tail(z if side == "greater" else -z)}
    return {"statistic": z, "pvalue": 2 * proportions.normal_tail(abs(z))}


def _continuity(name: str, inputs: Values) -> Values:
    from scipy import stats

    (x_c, n_c), (x_t, n_t) = _counts(inputs)
    return {
        "pvalue": float(stats.chi2_contingency([[x_c, n_c - x_c], [x_t, n_t - x_t]], correction=True).pvalue)
    }


def _interval(method: str) -> Any:
    def compute(name: str, inputs: Values) -> Values:
        return _two(getattr(proportions, method)(*_counts(inputs), inputs["alpha"]))

    return compute


def _katz(name: str, inputs: Values) -> Values:
    control, treatment = _counts(inputs)
    lift = treatment[0] / treatment[1] / (control[0] / control[1]) - 1
    return {"lift": lift, **_two(proportions.katz(control, treatment, inputs["alpha"]))}


def _welch(name: str, inputs: Values) -> Values:
    made = means.welch(*_means(inputs))
    return {
        "statistic": made.statistic(),
        "pvalue": made.p_value(),
        "df": made.df,
        **_two(made.interval(inputs["alpha"])),
    }


def _delta(name: str, inputs: Values) -> Values:
    control, treatment = _means(inputs)
    return {"lift": treatment.mean / control.mean - 1, "se": means.lift_error(control, treatment)}


def _log_lift(name: str, inputs: Values) -> Values:
    control, treatment = _means(inputs)
    lift = treatment.mean / control.mean - 1
    return {"lift": lift, **_two(means.log_lift(control, treatment, inputs["alpha"]))}


def _fieller(name: str, inputs: Values) -> Values:
    control, treatment = _means(inputs)
    variance = (treatment.variance / treatment.n, 0.0, control.variance / control.n)
    z = proportions.normal_quantile(1 - inputs["alpha"] / 2)
    made = means.fieller(control.mean, treatment.mean, variance, z)
    return {"bounded": made is not None, **_two(made)}


def _n_arcsine(name: str, inputs: Values) -> Values:
    h = sizes.effect_h(inputs["p_control"], inputs["p_treatment"])
    return {"h": h, "n_per_arm": sizes.arcsine_size(h, alpha=inputs["alpha"], power=inputs["power"])}


def _n_normal(name: str, inputs: Values) -> Values:
    many = inputs.get("ratio_control_to_treatment", 1)
    made = sizes.shares_size(
        inputs["p_control"],
        inputs["p_treatment"],
        alpha=inputs["alpha"],
        power=inputs["power"],
        ratio=1 / many,
    )
    return {"n_per_arm": made, "n_treatment": made / many}


def _n_t(name: str, inputs: Values) -> Values:
    return {"n_per_arm": sizes.t_test_size(inputs["d"], alpha=inputs["alpha"], power=inputs["power"])}


def _power(name: str, inputs: Values) -> Values:
    return {
        "power": sizes.shares_power(
            inputs["p_control"], inputs["p_treatment"], inputs["n"], alpha=inputs["alpha"]
        )
    }


def _mde(name: str, inputs: Values) -> Values:
    return {"h": sizes.arcsine_detectable(inputs["n"], alpha=inputs["alpha"], power=inputs["power"])}


def _design_effect(name: str, inputs: Values) -> Values:
    effect = sizes.design_effect(inputs["m"], inputs["icc"])
    return {"deff": effect, "n": inputs["n"] * effect}


def _srm(name: str, inputs: Values) -> Values:
    statistic, p_value = srm.chi_square(inputs["observed"], inputs["expected_ratio"])
    return {"statistic": statistic, "pvalue": p_value}


def _srm_exact(name: str, inputs: Values) -> Values:
    return {"pvalue": srm.exact(inputs["observed"], inputs["expected_ratio"])}


def _scipy_counts(method: str) -> Any:
    def compute(name: str, inputs: Values) -> Values:
        from pytest_bugsle.experiment.proportions import exact_p

        return {"pvalue": exact_p(*_counts(inputs), method)}

    return compute


def _mann_whitney(name: str, inputs: Values) -> Values:
    from scipy import stats

    made = stats.mannwhitneyu(inputs["treatment"], inputs["control"], method="asymptotic")
    return {"pvalue": float(made.pvalue)}


def _permutation(name: str, inputs: Values) -> Values:
    import numpy as np
    from scipy import stats

    made = stats.permutation_test(
        (inputs["treatment"], inputs["control"]), lambda a, b: np.mean(a) - np.mean(b), n_resamples=np.inf
    )
    return {"pvalue": float(made.pvalue)}


def _segments(inputs: Values) -> list[stratified.Segment]:
    return [_counts(segment) for segment in inputs["segments"]]


def _simpson(name: str, inputs: Values) -> Values:
    from pytest_bugsle.experiment import simpson

    made = simpson.examine(_segments(inputs))
    return {
        "aggregate_diff": made.aggregate,
        "mh_odds_ratio": made.odds_ratio,
        "cmh_pvalue": made.p_value,
        "paradox": made.reversed,
    }


def _heterogeneity(name: str, inputs: Values) -> Values:
    return {"pvalue": stratified.breslow_day(_segments(inputs))}


def _cuped(name: str, inputs: Values) -> Values:
    control = PairedMoments.of(inputs["control_y"], inputs["control_x"])
    treatment = PairedMoments.of(inputs["treatment_y"], inputs["treatment_x"])
    made = cuped.adjust(control, treatment)
    found = means.welch(made.control, made.treatment)
    return {
        "theta": made.theta,
        "diff": found.value,
        "se": found.error,
        "pvalue": found.p_value(),
        **_two(found.interval(inputs.get("alpha", 0.05))),
    }


def _reduction(name: str, inputs: Values) -> Values:
    return {"reduction": cuped.reduction(PairedMoments.of(inputs["y"], inputs["x"]))}


def _ancova(name: str, inputs: Values) -> Values:
    return dict(zip(("diff", "se"), cuped.ancova(*(inputs[key] for key in _COLUMNS)), strict=True))


_COLUMNS = ("control_y", "control_x", "treatment_y", "treatment_x")


def _ratio(name: str, inputs: Values) -> Values:
    arms = [PairedMoments.of(inputs[f"{arm}_num"], inputs[f"{arm}_den"]) for arm in ("control", "treatment")]
    made = ratios.difference(arms[0], arms[1])
    return {"diff": made.value, "pvalue": made.p_value(), **_two(made.interval(0.05))}


def _cluster(name: str, inputs: Values) -> Values:
    arms = [PairedMoments.of(inputs[f"{arm}_num"], inputs[f"{arm}_den"]) for arm in ("control", "treatment")]
    first, second = (ratios.linearised(arm) for arm in arms)
    # CR0 takes no account of the number of clusters: k / (k - 1) per arm undoes ours.
    squared = sum(arm.variance / arm.n * (arm.n - 1) / arm.n for arm in (first, second))
    return {"diff": second.mean - first.mean, "se": sqrt(squared)}


def _multiplicity(name: str, inputs: Values) -> Values:
    p_values = inputs["pvalues"]
    made = {
        "BH": lambda: multiplicity.false_discovery(p_values),
        "BY": lambda: multiplicity.false_discovery(p_values, dependent=True),
        "Holm": lambda: multiplicity.holm(p_values),
        "Bonferroni": lambda: multiplicity.bonferroni(p_values),
        "Hommel": lambda: multiplicity.hommel(p_values),
    }[name.removeprefix("multiplicity_")]()
    return {f"p{place}": value for place, value in enumerate(made)}


def _tost(name: str, inputs: Values) -> Values:
    return {"pvalue": means.welch(*_means(inputs)).p_equivalent(inputs["low"], inputs["high"])}


def _ni_means(name: str, inputs: Values) -> Values:
    return {"pvalue": means.welch(*_means(inputs)).p_above(-inputs["margin"])}


def _ni_wald(name: str, inputs: Values) -> Values:
    control, treatment = _counts(inputs)
    off = proportions.difference(control, treatment) + inputs["margin"]
    return {"pvalue": proportions.normal_tail(off / proportions.unpooled_error(control, treatment))}


def _ni_score(name: str, inputs: Values) -> Values:
    return {"pvalue": proportions.farrington_manning(*_counts(inputs), inputs["margin"])}


_SPENDING: dict[str, spending.Spending] = {"ldof": "obrien-fleming", "ldpocock": "pocock", "kd3": "power"}


def _bounds(name: str, inputs: Values) -> Values:
    made = spending.bounds(inputs["looks"], inputs["alpha"], _SPENDING[name.split("_")[1]], inputs["sided"])
    return {f"z{place + 1}": value for place, value in enumerate(made)}


def _pocock(name: str, inputs: Values) -> Values:
    shape = "pocock" if "pocock" in name else "obrien-fleming"
    made = spending.classic(inputs["K"], inputs["alpha"], shape)  # type: ignore[arg-type]
    return {f"z{place + 1}": value for place, value in enumerate(made)}


def _always_valid(name: str, inputs: Values) -> Values:
    n, star, alpha = inputs["n_total"], inputs["n_star"], inputs["alpha"]
    error = sqrt(2 * inputs["variance_per_arm"] / (n / 2))
    z = (inputs["mean_treatment"] - inputs["mean_control"]) / error
    return {
        "halfwidth": spending.always_valid_z(n, star, alpha) * error,
        "pvalue": spending.always_valid_p(z, n, star, alpha),
        "rho": spending.mixture_width(star, alpha),
    }


def _assignment(name: str, inputs: Values) -> Values:
    made = stratified.independence(inputs["table"])
    assert made is not None
    return {"statistic": made[0], "pvalue": made[1]}


def _novelty(name: str, inputs: Values) -> Values:
    made = trends.weighted_slope(inputs["day"], inputs["lift"], inputs["se"])
    assert made is not None
    return {"slope": made.value, "se": made.error, "pvalue": made.p_value}


def _levene(name: str, inputs: Values) -> Values:
    from scipy import stats

    return {"pvalue": float(stats.levene(inputs["control"], inputs["treatment"], center="median").pvalue)}


#: How the name of a case begins -> who computes it; the longer beginning stands first.
COMPUTED: dict[str, Any] = {
    "ztest_continuity": _continuity,
    "ztest": _z_test,
    "ci_newcombe": _interval("newcombe"),
    "ci_agresti_caffo": _interval("agresti_caffo"),
    "ci_wald": _interval("wald"),
    "ci_score": _interval("score"),
    "rel_lift_katz": _katz,
    "welch": _welch,
    "rel_lift_delta": _delta,
    "rel_lift_log": _log_lift,
    "rel_lift_fieller": _fieller,
    "n_arcsine": _n_arcsine,
    "n_normal": _n_normal,
    "n_ttest": _n_t,
    "power_normal": _power,
    "mde_h": _mde,
    "design_effect": _design_effect,
    "srm_exact": _srm_exact,
    "srm": _srm,
    "fisher": _scipy_counts("fisher"),
    "barnard": _scipy_counts("barnard"),
    "mannwhitney": _mann_whitney,
    "permutation": _permutation,
    "simpson": _simpson,
    "segment_heterogeneity": _heterogeneity,
    "cuped_total": _cuped,
    "cuped_variance": _reduction,
    "ancova": _ancova,
    "ratio_metric": _ratio,
    "cluster_robust": _cluster,
    "multiplicity": _multiplicity,
    "tost": _tost,
    "noninferiority_welch": _ni_means,
    "noninferiority_prop_wald": _ni_wald,
    "noninferiority_prop_score": _ni_score,
    "gs_pocock": _pocock,
    "gs_obrien": _pocock,
    "gs": _bounds,
    "always_valid": _always_valid,
    "assignment": _assignment,
    "novelty": _novelty,
    "variance_ratio": _levene,
}


if __name__ == "__main__":
    raise SystemExit(main())
