"""When to stop sampling, with stated errors, and what may be said afterwards.  PYTEST_DONT_REWRITE

Who looks at the outcomes to decide when to stop has given up the intervals for a fixed number of
trials: he stops where they look best. So a sample that was stopped by a rule is a type of its own,
`Sampling`, and the only interval that it has holds at every moment at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import lgamma, log, log1p
from typing import Literal

from pytest_bugsle.stats.binomial import check_counts, check_inside, check_rate, outer_root
from pytest_bugsle.stats.intervals import LEVEL

Decision = Literal["continue", "stable", "flaky", "undecided"]

_UNLIKELY = 1e-12
"""That a sampling is still not decided: then it is not followed any further."""


def confidence_sequence(failures: int, trials: int, level: float = LEVEL) -> tuple[float, float]:
    """Return an interval of a failure rate that holds at all sample sizes at once, within 0 and 1.

    The true rate stays within the intervals of all moments with a chance of at least `level`: one may look
    after each trial, stop when one likes and go on again. No trials leave everything open. ValueError for
    counts that contradict themselves.

    The rates that the likelihood ratio of a mixture over all rates (by the density of Beta(1/2, 1/2))
    against them has not carried to 1 / (1 - level): at the true rate this ratio is a martingale that
    starts at 1, and Ville's inequality bounds the chance that it ever gets so high. Sources: H. Robbins,
    "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical Statistics
    41 (1970), 1397-1409; T. L. Lai, "On confidence sequences", Annals of Statistics 4 (1976), 265-280; S. R.
    Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
    sequences", Annals of Statistics 49 (2021), 1055-1080. The mixture is that of R. Krichevsky and V.
    Trofimov, "The performance of universal encoding", IEEE Transactions on Information Theory 27 (1981),
    199-207: no rate is far from the best that any mixture can do for it.
    """
    check_counts(failures, trials)
    check_inside("level", level)
    return _low(failures, trials, level), 1 - _low(trials - failures, trials, level)


def _low(failures: int, trials: int, level: float) -> float:
    """Return the lower end of a confidence sequence; the upper one is that of the passes, turned around."""
    if failures == 0:
        return 0.0
    passes = trials - failures
    # Beta(1/2, 1/2) integrates to pi, which is the square of gamma(1/2).
    mixture = lgamma(failures + 0.5) + lgamma(passes + 0.5) - lgamma(trials + 1) - 2 * lgamma(0.5)
    bound = mixture + log(1 - level)

    def excluded(rate: float) -> bool:
        return failures * log(rate) + passes * log1p(-rate) <= bound

    return outer_root(excluded, 0.0, failures / trials)


@dataclass(frozen=True, slots=True)
class Operation:
    """How a sequential test ends at one true failure rate: three chances, and trials on average."""

    flaky: float
    stable: float
    undecided: float
    mean_trials: float


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """Wald's sequential probability ratio test of a failure rate: is it `stable_rate` or `flaky_rate`?

    At a true rate of at most `stable_rate` it says `flaky` with a chance of at most `alpha`, and at one of
    at least `flaky_rate` it says `stable` with a chance of at most `beta`. Between the two it may say either.
    After `limit` trials, if there is a limit, it says `undecided`: this adds to neither error. ValueError
    for rates and errors that are none.

    The likelihood ratio of the two rates is followed until it is 1 / alpha or more, or beta or less. By
    Ville's inequality these bounds keep both errors as stated. Wald's own, (1 - beta) / alpha and
    beta / (1 - alpha), keep them approximately: for rates .001 and .05 and errors of 5 % they stop one pass
    sooner, after 59 instead of 60, and miss 5.03 % of what fails once in 20 times. Sources: A. Wald,
    "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16 (1945), 117-186, and
    for the bounds J. Ville, "Étude critique de la notion de collectif", 1939.
    """

    stable_rate: float = 0.001
    flaky_rate: float = 0.05
    alpha: float = 0.05
    beta: float = 0.05
    limit: int | None = None

    def __post_init__(self) -> None:
        for name in ("stable_rate", "flaky_rate", "alpha", "beta"):
            check_inside(name, getattr(self, name))
        if self.stable_rate >= self.flaky_rate:
            raise ValueError(f"flaky_rate == {self.flaky_rate}, must be > stable_rate == {self.stable_rate}.")
        if self.alpha + self.beta >= 1:
            raise ValueError(f"alpha + beta == {self.alpha + self.beta}, must be < 1.")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit == {self.limit}, must be >= 1.")

    def log_ratio(self, failures: int, trials: int) -> float:
        """Return the logarithm of the likelihood of the flaky rate over that of the stable one."""
        check_counts(failures, trials)
        return failures * log(self.flaky_rate / self.stable_rate) + (trials - failures) * (
            log1p(-self.flaky_rate) - log1p(-self.stable_rate)
        )

    def decide(self, failures: int, trials: int) -> Decision:
        """Judge these counts as the present moment of a sampling that has not been decided before.

        Of a sampling that went past its decision only `Sampling` knows what was decided.
        """
        ratio = self.log_ratio(failures, trials)
        if ratio >= -log(self.alpha):
            return "flaky"
        if ratio <= log(self.beta):
            return "stable"
        return "continue" if self.limit is None or trials < self.limit else "undecided"

    def start(self) -> Sampling:
        """Return a sampling without any trials."""
        return Sampling(self)

    def replay(self, outcomes: Iterable[bool]) -> Sampling:
        """Return the sampling after these outcomes, oldest first; True is a failure."""
        sampling = self.start()
        for failed in outcomes:
            sampling = sampling.record(failed)
        return sampling

    def operation(self, rate: float) -> Operation:
        """Return how the test ends at a true failure rate, exactly.

        Trial by trial, the chance of each count of failures among what is not decided yet. Source: L. A.
        Aroian, "Sequential analysis, direct method", Technometrics 10 (1968), 125-132. Wald's formula for
        the mean number of trials, (L log B + (1 - L) log A) / E[z], leaves out by how much a bound is
        overshot, which for rare failures is much.
        """
        check_rate("rate", rate)
        live = {0: 1.0}
        ended = {"stable": 0.0, "flaky": 0.0, "undecided": 0.0}
        mean = 0.0
        trials = 0
        while (undecided := sum(live.values())) > _UNLIKELY:
            mean += undecided
            trials += 1
            following: dict[int, float] = {}
            for failures, chance in live.items():
                for count, share in ((failures + 1, chance * rate), (failures, chance * (1 - rate))):
                    decision = self.decide(count, trials)
                    if decision == "continue":
                        following[count] = following.get(count, 0.0) + share
                    else:
                        ended[decision] += share
            live = following
        return Operation(ended["flaky"], ended["stable"], ended["undecided"], mean)


@dataclass(frozen=True, slots=True)
class Sampling:
    """A sampling under a sequential test: what was seen, what was decided, and the interval it may have.

    A decision stands: what is recorded after it narrows the interval and decides nothing anew.
    """

    test: SequentialTest
    failures: int = 0
    trials: int = 0
    decision: Decision = "continue"

    def __post_init__(self) -> None:
        check_counts(self.failures, self.trials)

    def record(self, failed: bool) -> Sampling:
        """Return the sampling after one more trial."""
        failures, trials = self.failures + failed, self.trials + 1
        decision = self.test.decide(failures, trials) if self.decision == "continue" else self.decision
        return replace(self, failures=failures, trials=trials, decision=decision)

    def end(self) -> Sampling:
        """Return the sampling as it stands when the budget is used up: undecided, unless it was decided."""
        return replace(self, decision="undecided") if self.decision == "continue" else self

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the interval of the failure rate that holds whenever and why ever one stopped."""
        return confidence_sequence(self.failures, self.trials, level)
