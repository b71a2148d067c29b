"""The fixture `ab_gate`: judges what a test hands over, and reports at the test's end.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_bugsle.errors import UsageError
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.settling import settling

if TYPE_CHECKING:
    from pytest_bugsle.experiment.ledger import Ledger, Owner
    from pytest_bugsle.experiment.looks import Memory
    from pytest_bugsle.experiment.registration import Registered
    from pytest_bugsle.results import ExperimentResult

ATTRIBUTE = "bugsle_experiments"
"""Where a test's report carries its results: xdist hands it to the controller as it is."""

_PLUGIN = "bugsle_ab_gates"
_NEEDED = tuple(
    f"pytest_bugsle.experiment.{name}" for name in ("arguments", "judging", "lock", "registration")
)


class AbGate:
    """May an A/B result ship? Every call is judged; what does not pass fails the test at its end.

    The keyword arguments are those of pytest_bugsle.experiment.design.Design; each call returns its result.
    """

    def __init__(
        self, owner: Owner, ledger: Ledger, registered: Registered | None = None, aa: int = 0
    ) -> None:
        self._owner = owner
        self._ledger = ledger
        self._registered = registered
        self._aa = aa
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
        return self._kept(judge_means, control, treatment, **{"aa": self._aa, **design})

    def quantile(self, control: Any, treatment: Any, **design: Any) -> ExperimentResult:
        """Judge the difference of a quantile, from values; `q=0.5` is the median."""
        from pytest_bugsle.experiment.judging import judge_quantile

        __tracebackhide__ = True
        return self._kept(judge_quantile, control, treatment, **design)

    def ratio(self, control: Any, treatment: Any, **design: Any) -> ExperimentResult:
        """Judge two ratios of sums, each (numerators, denominators) by unit of randomisation."""
        from pytest_bugsle.experiment.judging import judge_ratio

        __tracebackhide__ = True
        return self._kept(judge_ratio, control, treatment, **{"aa": self._aa, **design})

    def table(self, table: Any, **design: Any) -> list[ExperimentResult]:
        """Judge the metric of a table and its guardrails, after the checks that say whether to trust it."""
        from pytest_bugsle.experiment.tables import judge_table

        __tracebackhide__ = True
        return self._judged(
            judge_table,
            lambda past, given: judge_table(table, past=past, **{"aa": self._aa, **given}),
            design,
            table=True,
        )

    def design(self, **design: Any) -> ExperimentResult:
        """Judge a plan before its data: undecided where its units do not give it the power."""
        from pytest_bugsle.experiment.judging import judge_design

        __tracebackhide__ = True
        return self._judged(judge_design, lambda _, given: [judge_design(**given)], design)[0]

    def _kept(self, judge: Callable[..., ExperimentResult], *data: Any, **design: Any) -> ExperimentResult:
        __tracebackhide__ = True
        return self._judged(judge, lambda past, given: [judge(*data, past=past, **given)], design)[0]

    def _judged(
        self,
        named: Callable[..., Any],
        judge: Callable[[Memory, dict[str, Any]], list[ExperimentResult]],
        design: dict[str, Any],
        *,
        table: bool = False,
    ) -> list[ExperimentResult]:
        """Judge by what is registered and remembered; what is wrong stands in the user's line, not in ours."""
        from pytest_bugsle.experiment import lock
        from pytest_bugsle.experiment.arguments import check_names, check_shapes
        from pytest_bugsle.experiment.registration import design_of

        __tracebackhide__ = True
        try:
            check_names(named, design)
            if table:
                check_shapes(design)
            given = design if self._registered is None else self._registered.applied(design, table=table)
            made = design_of(given)
            results = self._ledger.judged(
                self._owner,
                lambda past: judge(past, {**given, "test": self._owner.test}),
                made,
                lock.fields_of(made, given if table else {**given, "split": None, "guardrails": None}),
            )
        except UsageError as error:
            raise error.with_traceback(None) from None
        self.results += results
        return results

    def finish(self) -> None:
        """Raise UsageError where nothing was judged; what was, was judged at once."""
        if not self.results:
            raise UsageError(
                "ab_gate was asked nothing.",
                why="a gate that judges nothing is green for no reason",
                hint="ab_gate.proportions(…), .means(…), .table(…); pytest.skip() where there are no data yet",
            )

    def carried(self) -> list[object]:
        """Return the results as texts of ASCII: what carries reports between processes knows no lone surrogates."""
        return [json.dumps(msgspec.to_builtins(result)) for result in self.results]

    def properties(self) -> list[tuple[str, str]]:
        """Return a property for each result."""
        return [("bugsle_ab", result.message.partition("\n")[0]) for result in self.results]

    def failure(self) -> str:
        """Return what fails the test, with all that was judged; empty where all passed."""
        wrong = [result for result in self.results if is_wrong(result)]
        if not wrong:
            return ""
        names = ", ".join(for_terminal(f"{result.metric} {result.outcome}") for result in wrong)
        return f"A/B gate: {names}\n{self.message()}"

    def message(self) -> str:
        """Return what is said of all that was judged."""
        return "\n".join(result.message for result in self.results)


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


def load() -> None:
    """Import what every judgement needs: half a second that the forks of this process need not spend each."""
    with suppress(ImportError):  # the test says so
        for name in ("scipy.special", "scipy.optimize", *_NEEDED):
            importlib.import_module(name)


_LEDGER = pytest.StashKey["Ledger"]()


def gate_of(request: pytest.FixtureRequest) -> AbGate:
    """Return the gate of one test; from the first on, this session's tests are settled at their end."""
    try:
        need_scipy()
        owner, registered = _owner_of(request.node)
        ledger = ledger_of(request.config)
    except UsageError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    gate = AbGate(owner, ledger, registered, request.config.getoption("bugsle_aa"))
    settling(request.config, _PLUGIN, "A/B gate", ATTRIBUTE).settle(request.node, gate)
    return gate


def _owner_of(item: pytest.Item) -> tuple[Owner, Registered | None]:
    """Return whose looks a test's are: its experiment's by the marker, else its own."""
    from pytest_bugsle.experiment.ledger import Owner
    from pytest_bugsle.experiment.registration import of_marker

    mark = item.get_closest_marker("experiment")
    if mark is None:
        return Owner(item.nodeid, test=item.nodeid), None
    registered = of_marker(mark.args, mark.kwargs)
    parameters = getattr(item, "callspec", None)
    suffix = f" ({parameters.id})" if parameters is not None else ""
    return Owner(registered.name, test=item.nodeid, suffix=suffix, is_named=True), registered


def ledger_of(config: pytest.Config) -> Ledger:
    """Return the ledger of a session, made at its first gate; UsageError where the settings are wrong."""
    if _LEDGER not in config.stash:
        from pytest_bugsle import settings
        from pytest_bugsle.experiment.ledger import Ledger

        top = settings.repository_top(config.rootpath)
        chosen = settings.settings_at(
            config.rootpath, top, os.environ, store=config.getoption("bugsle_store")
        )
        session = getattr(config, "workerinput", {}).get("testrunuid") or os.urandom(16).hex()
        ledger = config.stash[_LEDGER] = Ledger(
            top,
            store=chosen.store,
            ci=settings.is_ci(os.environ),
            session=session,
            outer=Path(os.environ.get("BUGSLE_OUTER") or top) if os.environ.get("BUGSLE_INNER") else None,
        )
        config.add_cleanup(ledger.close)
    return config.stash[_LEDGER]


def settle(config: pytest.Config, lost: Sequence[ExperimentResult]) -> None:
    """Note in the ledger which passes did not outlive the other decisions of their session."""
    ledger_of(config).settle(lost)


def results_of(carried: Sequence[object]) -> list[ExperimentResult]:
    """Return the results that a report carried."""
    from pytest_bugsle.results import ExperimentResult

    return [msgspec.convert(json.loads(str(each)), ExperimentResult) for each in carried]
