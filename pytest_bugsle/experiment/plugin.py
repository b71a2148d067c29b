"""The fixture `ab_gate`: judges what a test hands over, and reports at the test's end.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_bugsle.errors import UsageError
from pytest_bugsle.report.escape import for_terminal

if TYPE_CHECKING:
    from pytest_bugsle.results import ExperimentResult

ATTRIBUTE = "bugsle_experiments"
"""Where a test's report carries its results: xdist hands it to the controller as it is."""

_PLUGIN = "bugsle_ab_gates"


class AbGate:
    """May an A/B result ship? Every call is judged; what does not pass fails the test at its end.

    The keyword arguments are those of pytest_bugsle.experiment.design.Design; each call returns its result.
    """

    def __init__(self, test: str) -> None:
        self._test = test
        self.results: list[ExperimentResult] = []

    def proportions(self, control: Any, treatment: Any, **design: Any) -> ExperimentResult:
        """Judge two shares, each (successes, trials)."""
        from pytest_bugsle.experiment.judging import judge_proportions

        __tracebackhide__ = True
        return self._kept(judge_proportions, control, treatment, **design)

    def means(self, control: Any, treatment: Any, **design: Any) -> ExperimentResult:
        """Judge two means, from values or {"mean": …, "deviation": …, "n": …}."""
        from pytest_bugsle.experiment.judging import judge_means

        __tracebackhide__ = True
        return self._kept(judge_means, control, treatment, **design)

    def ratio(self, control: Any, treatment: Any, **design: Any) -> ExperimentResult:
        """Judge two ratios of sums, each (numerators, denominators) by unit of randomisation."""
        from pytest_bugsle.experiment.judging import judge_ratio

        __tracebackhide__ = True
        return self._kept(judge_ratio, control, treatment, **design)

    def table(self, table: Any, **design: Any) -> list[ExperimentResult]:
        """Judge the metric of a table and its guardrails, after the checks that say whether to trust it."""
        from pytest_bugsle.experiment.tables import judge_table

        __tracebackhide__ = True
        try:
            made = judge_table(table, test=self._test, **design)
        except UsageError as error:
            raise error.with_traceback(None) from None
        self.results += made
        return made

    def design(self, **design: Any) -> ExperimentResult:
        """Judge a plan before its data: undecided where its units do not give it the power."""
        from pytest_bugsle.experiment.judging import judge_design

        __tracebackhide__ = True
        return self._kept(judge_design, **design)

    def _kept(self, judge: Callable[..., ExperimentResult], *data: Any, **design: Any) -> ExperimentResult:
        __tracebackhide__ = True
        try:
            result = judge(*data, test=self._test, **design)
        except UsageError as error:
            # What is wrong stands in the user's line, not in ours.
            raise error.with_traceback(None) from None
        self.results.append(result)
        return result

    def failure(self) -> str:
        """Return what fails the test, with all that was judged; empty where all passed."""
        wrong = [result for result in self.results if is_wrong(result)]
        if not wrong:
            return ""
        names = ", ".join(for_terminal(f"{result.metric} {result.outcome}") for result in wrong)
        return "\n".join([f"A/B gate: {names}", *(result.message for result in self.results)])


def is_wrong(result: ExperimentResult) -> bool:
    """Say whether a result fails its test: what is exploratory decides nothing, unless its data are invalid."""
    return result.outcome == "invalid" or (result.outcome != "pass" and result.role != "exploratory")


def need_scipy() -> None:
    """Raise UsageError where the extra is not installed."""
    if importlib.util.find_spec("scipy") is None:
        raise UsageError(
            "the A/B gate needs scipy, which is not installed.",
            why="intervals and tests are scipy's",
            hint='pip install "pytest-bugsle[experiment]"',
        )


_KEY = pytest.StashKey[AbGate]()


def gate_of(request: pytest.FixtureRequest) -> AbGate:
    """Return the gate of one test; from the first on, this session's tests are settled at their end."""
    try:
        need_scipy()
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    manager = request.config.pluginmanager
    if not manager.has_plugin(_PLUGIN):
        manager.register(_Settling(), _PLUGIN)
    gate = request.node.stash[_KEY] = AbGate(request.node.nodeid)
    return gate


class _Settling:
    """Fails a test by what its gate says, once the test itself is through."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail the test where it passed and its gate does not; else add what the gate says."""
        gate = item.stash.get(_KEY, None)
        try:
            outcome = yield
        except BaseException:
            if gate is not None and gate.failure():
                item.add_report_section("call", "A/B gate", gate.failure())
            raise
        if gate is not None and gate.failure():
            pytest.fail(gate.failure(), pytrace=False)
        return outcome

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hand the results on with the test's report."""
        report = yield
        gate = item.stash.get(_KEY, None)
        if gate is not None and report.when == "call":
            setattr(report, ATTRIBUTE, msgspec.to_builtins(gate.results))
        return report


def results_of(carried: Sequence[object]) -> list[ExperimentResult]:
    """Return the results that a report carried."""
    from pytest_bugsle.results import ExperimentResult

    return msgspec.convert(list(carried), list[ExperimentResult])
