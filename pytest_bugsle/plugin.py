"""The pytest plugin: options, marker and hooks, each a few lines over the gate.  PYTEST_DONT_REWRITE

Everything but pytest itself is imported where it is used: installed but off, this module and the
hook specifications are all that a session loads of us.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec

    from pytest_bugsle.experiment.plugin import AbGate
    from pytest_bugsle.gate import Plan
    from pytest_bugsle.results import ExperimentResult, ModelResult, Result
    from pytest_bugsle.robustness.plugin import Robustness
    from pytest_bugsle.trust import Watch

INNER = "BUGSLE_INNER"
"""Set in the pytest that a proof starts: there the plugin only declares its options and marker."""

OUTER = "BUGSLE_OUTER"
"""Set beside it: the repository around that run, whose ledger of looks an A/B gate reads there."""

CONTROLLER = "bugsle_controller"
WORKER = "bugsle_worker"
OBSERVER = "bugsle_observer"
EXPERIMENTS = "bugsle_experiments"
MODELS = "bugsle_models"
_PAYLOAD = "bugsle"
_JUDGED_AFTER = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, all prefixed."""
    group = parser.getgroup("bugsle", "bugsle: is every bug fix held by a test?")
    group.addoption(
        "--bugsle",
        action="store_true",
        default=None,
        dest="bugsle",
        help="Prove that every bug fix in the change under test is held by a test that fails without it",
    )
    group.addoption(
        "--bugsle-base", metavar="REF", dest="bugsle_base", help="Begin the range at the merge base with REF"
    )
    group.addoption(
        "--bugsle-range", metavar="A..B", dest="bugsle_range", help="Judge the commits of this range"
    )
    group.addoption(
        "--bugsle-strict",
        action="store_true",
        default=None,
        dest="bugsle_strict",
        help="Fail where the gate is undecided",
    )
    group.addoption(
        "--bugsle-report",
        metavar="FORMAT[:PATH]",
        action="append",
        default=[],
        dest="bugsle_report",
        help="Write a report: json, sarif, junit, markdown, github or html (repeatable)",
    )
    group.addoption(
        "--bugsle-proof",
        metavar="off|fix|edits",
        dest="bugsle_proof",
        help="How far to prove: off only looks for links, edits also puts each edit back alone",
    )
    group.addoption(
        "--bugsle-budget", metavar="SECONDS", dest="bugsle_budget", help="Time for all proofs together"
    )
    group.addoption(
        "--bugsle-store",
        metavar="URL",
        dest="bugsle_store",
        help="Keep the history of the tests in this PostgreSQL (default: .bugsle/history.db)",
    )
    group.addoption(
        "--bugsle-aa",
        metavar="N",
        type=int,
        default=0,
        dest="bugsle_aa",
        help="Deal the units of each A/B test's table anew to its arms N times, and fail a metric whose p-values are "
        "not uniform then",
    )
    parser.addini("bugsle", "Turn the bug-fix gate on, as --bugsle does", type="bool", default=False)


@pytest.fixture
def ab_gate(request: pytest.FixtureRequest) -> AbGate:
    """Judge whether an A/B result may ship: pass, fail, undecided or invalid, with the n that is missing."""
    from pytest_bugsle.experiment.plugin import gate_of

    _listen(request.config, Experiments)
    return gate_of(request)


@pytest.fixture
def robustness(request: pytest.FixtureRequest) -> Robustness:
    """Judge whether a model may ship: its answers when inputs are varied, its errors, its scores."""
    from pytest_bugsle.robustness.plugin import robustness_of

    _listen(request.config, Models)
    return robustness_of(request)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks of hookspecs.py."""
    from pytest_bugsle import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker; switched on, register the working half."""
    config.addinivalue_line("markers", _marker_line("regression"))
    config.addinivalue_line("markers", _EXPERIMENT_LINE)
    # What workers of xdist gather arrives without any fixture; elsewhere the first gate is soon enough.
    if config.getoption("dist", "no") != "no":
        _listen(config, Experiments)
        _listen(config, Models)
    if os.environ.get(INNER):
        return
    if not (config.getoption("bugsle") or config.getini("bugsle")):
        _say_what_is_idle(config)
        return
    plainly = _Plainly()
    sys.meta_path.insert(0, plainly)
    config.add_cleanup(lambda: sys.meta_path.remove(plainly))
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config), WORKER)
    else:
        with _collecting_later():
            config.pluginmanager.register(Controller(config), CONTROLLER)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Load what A/B gates need before anything is forked: see runner/forks.py."""
    gated = os.environ.get(INNER) and any(
        "ab_gate" in getattr(item, "fixturenames", ()) for item in session.items
    )
    if gated:
        from pytest_bugsle.experiment.plugin import load

        load()


def _say_what_is_idle(config: pytest.Config) -> None:
    """Warn of options that were typed for a gate that is off; those of a configuration may wait there for it."""
    typed = (str(word).partition("=")[0] for word in config.invocation_params.args)
    idle = sorted({word for word in typed if word.startswith("--bugsle-") and word != "--bugsle-aa"})
    if idle and not hasattr(config, "workerinput"):
        says, does = ", ".join(idle), "does" if len(idle) == 1 else "do"
        config.issue_config_time_warning(
            pytest.PytestConfigWarning(
                f"{says} {does} nothing here: the gate is off, so nothing is judged and no report is written. "
                "Add --bugsle to this command, or `bugsle = true` to pytest's configuration"
            ),
            stacklevel=2,
        )


_EXPERIMENT_LINE = (
    "experiment(name, **design): registers an A/B test before its data: its name, and the design of each of its "
    "gates, such as metric, alpha and mde (pytest-bugsle)"
)


def _marker_line(name: str) -> str:
    return (
        f'{name}(*bugs): this test guards these bugs, such as "#42"; bare, it links nothing (pytest-bugsle)'
    )


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Keep Python's collector of garbage from running.

    What our imports make lives on, and each pass over it is in vain: of 2,000 quick tests, a whole pass more costs 3 %.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Plainly:
    """Imports our modules past pytest's hook that rewrites assertions.

    That one marks every module of a plugin's distribution, costs a search for each, and as their loader keeps the
    whole session alive to the very end of the process: a twentieth of the time of a suite of quick tests.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path) if name.startswith("pytest_bugsle.") else None


class _Collecting:
    """What controller and workers share: links become properties of pytest's own JUnit test cases."""

    def __init__(self) -> None:
        self.marker = "regression"
        self.linked: dict[str, list[tuple[str, str]]] = {}
        self.deselected = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Tell each linked test which bugs and fixes it is linked to."""
        marked: dict[pytest.Collector | None, bool] = {None: False}
        for item in items:
            above = item.parent
            if above is not None and above not in marked:
                marked[above] = any(node.own_markers for node in above.listchain())
            if item.own_markers or marked[above]:
                for mark in item.iter_markers(self.marker):
                    item.user_properties.extend(("bugsle_bug", str(bug)) for bug in mark.args)
            if self.linked:
                for fix, kind in self.linked.get(item.nodeid.partition("[")[0], ()):
                    item.user_properties.append(("bugsle_link", f"{kind} {fix}"))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Count what -k, -m, --lf or a shard left out."""
        self.deselected += len(items)


class Worker(_Collecting):
    """The half that runs in an xdist worker: it judges nothing."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__()
        self._config = config
        payload = getattr(config, "workerinput", {}).get(_PAYLOAD, {})
        self.marker = payload.get("marker", self.marker)
        self.linked = {
            key: [tuple(link) for link in links] for key, links in payload.get("linked", {}).items()
        }
        if self.marker != "regression":
            config.addinivalue_line("markers", _marker_line(self.marker))

    def pytest_sessionfinish(self) -> None:
        """Hand the controller what only a worker sees."""
        self._config.workeroutput[_PAYLOAD] = {"deselected": self.deselected}  # type: ignore[attr-defined]  # xdist's


class Observer:
    """Notes how each phase of each test ends."""

    def __init__(self, *notes: Callable[[pytest.TestReport], None]) -> None:
        self._notes = notes

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Hand the report to the proofs if there will be any, and to the history, which may excuse it."""
        for note in self._notes:
            note(report)


class Excusing(Observer):
    """An observer in a session with tests in quarantine."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Call a failure that the quarantine excuses by its name."""
        if not hasattr(report, "wasxfail"):
            return None
        from pytest_bugsle.flaky.excusing import status

        return status(report)


class _Gathering:
    """Keeps what the gates of each test said: their results come with its report, from whichever worker."""

    attribute = ""

    def __init__(self) -> None:
        self._carried: dict[str, list[object]] = {}
        self.expected: set[str] = set()
        """Tests that may fail, by `xfail` or the quarantine: what their gates say decides nothing."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the last attempt of each test."""
        carried = report.__dict__.get(self.attribute)
        if carried is not None:
            self._carried[report.nodeid] = carried
            note = self.expected.add if hasattr(report, "wasxfail") else self.expected.discard
            note(report.nodeid)

    def _said(self) -> list[object]:
        """Return what was carried, by test id."""
        return [each for _, carried in sorted(self._carried.items()) for each in carried]


def _listen(config: pytest.Config, kind: type[_Gathering]) -> None:
    """Have the results of one kind of gate gathered in this process, if it is the one that reports."""
    alone = not os.environ.get(INNER) and not hasattr(config, "workerinput")
    if alone and not config.pluginmanager.has_plugin(kind.attribute):
        config.pluginmanager.register(kind(), kind.attribute)


class Experiments(_Gathering):
    """Gathers what the tests' A/B gates said: the decisions of a session are one family."""

    attribute = EXPERIMENTS

    def __init__(self) -> None:
        super().__init__()
        self._results: list[ExperimentResult] | None = None

    def results(self) -> list[ExperimentResult]:
        """Return the results of the session, by test id, with the p-values of their families."""
        if not self._carried:
            return []
        if self._results is None:
            from pytest_bugsle.experiment.multiple import adjusted
            from pytest_bugsle.experiment.plugin import results_of

            self._results = adjusted(results_of(self._said()))
        return self._results

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a session whose tests passed alone and not together."""
        lost = self._outlived() if self._carried else []
        if lost:
            from pytest_bugsle.experiment.plugin import settle

            settle(session.config, lost)
        if lost and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _outlived(self) -> list[ExperimentResult]:
        return [
            result
            for result in self.results()
            if result.adjusted_p_value is not None and "among the" in result.why
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which decisions do not outlive the others."""
        lost = self._outlived() if self._carried else []
        if lost:
            terminalreporter.section("A/B gates", yellow=True)
        for result in lost:
            terminalreporter.write_line(f"{result.test}: {result.message}", yellow=True)


class Models(_Gathering):
    """Gathers what the tests' model gates said."""

    attribute = MODELS

    def __init__(self) -> None:
        super().__init__()
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the last attempt of each test, and which failed."""
        super().pytest_runtest_logreport(report)
        if self.attribute in report.__dict__:
            (self._failed.add if report.failed else self._failed.discard)(report.nodeid)

    def results(self) -> list[ModelResult]:
        """Return the results of the session, by test id."""
        if not self._carried:
            return []
        from pytest_bugsle.robustness.plugin import results_of

        return results_of(self._said())

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found where the test itself passed; one that failed has said it."""
        passed = [
            result
            for result in self.results()
            if result.outcome == "pass" and result.findings and result.test not in self._failed
        ]
        if passed:
            terminalreporter.section("model gates", yellow=True)
        for result in passed:
            for finding in result.findings:
                terminalreporter.write_line(f"{result.test}: {finding.rule} {finding.message}", yellow=True)


class Controller(_Collecting):
    """The half that judges: it prepares before the tests and finishes after them."""

    def __init__(self, config: pytest.Config) -> None:
        """Read the policy; a wrong one is a usage error before any test runs."""
        super().__init__()
        from pytest_bugsle.errors import UsageError
        from pytest_bugsle.session import SessionFacts

        self._config = config
        self._plan: Plan | None = None
        self._result: Result | None = None
        self._trouble = ""
        self._watch: Watch | None = None
        try:
            self.facts = SessionFacts.of(config)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
        self.marker = self.facts.settings.marker
        if self.marker != "regression":
            config.addinivalue_line("markers", _marker_line(self.marker))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Look at the repository before any test can change it."""
        if not self._config.option.collectonly:
            with _collecting_later():
                self._prepare()

    def _prepare(self) -> None:
        from pytest_bugsle import gate
        from pytest_bugsle.errors import UsageError

        try:
            self._plan = gate.prepare(self.facts.request(self._config))
            self._watch = self.facts.watch(self._config, self._plan)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
        self.linked = self._plan.links_by_test(self._config.rootpath)
        notes = [*([self.facts.note] if self._plan.has_work else []), *self._watch.observers()]
        observer = Excusing(*notes) if self._watch.excuses else Observer(*notes)
        self._config.pluginmanager.register(observer, OBSERVER)
        self._plan.rest()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker the links that it writes into its reports."""
        node.workerinput[_PAYLOAD] = {"marker": self.marker, "linked": self.linked}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note what the workers collected."""
        self._note_collected(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note what a worker left out."""
        self.deselected += getattr(node, "workeroutput", {}).get(_PAYLOAD, {}).get("deselected", 0)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what was collected."""
        self._note_collected([item.nodeid for item in session.items])

    def _note_collected(self, ids: list[str]) -> None:
        found = set(ids)
        if self._watch is not None and len(found) < len(ids):
            from itertools import pairwise

            self._watch.doubles.update(a for a, b in pairwise(sorted(ids)) if a == b)
        self.facts.collected.update(found)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Judge; a failed gate raises exit status 0 or 5 to 1 and touches no other."""
        if self._plan is None:
            return
        if exitstatus not in _JUDGED_AFTER:
            self._trouble = "nothing was judged: the test session did not end normally"
            if self._watch is not None:
                self._watch.close(len(self.facts.collected))
            return
        self._result = self._judge()
        if self._result is None and exitstatus in (0, 5):
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        if self._result is not None and self._failed(self._result) and exitstatus in (0, 5):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _judge(self) -> Result | None:
        from msgspec import structs

        from pytest_bugsle import gate

        assert self._plan is not None
        self.facts.deselected = self.deselected
        # What is raised here would replace pytest's own summary by a traceback.
        try:
            assert self._watch is not None
            seen = self.facts.seen()
            distrusted = self._watch.distrusted(seen.collected)
            result = gate.finish(self._plan, structs.replace(seen, distrusted=distrusted))
            result = self._watch.judge(result, seen.collected, partial=seen.partial)
            return self._with_models(self._with_experiments(result))
        except KeyboardInterrupt:
            self._trouble = "interrupted: nothing was judged"
        except Exception as error:  # noqa: BLE001  # the summary must come, whatever broke
            return gate.broken(self._plan, error)
        return None

    def _with_experiments(self, result: Result) -> Result:
        gathered = self._config.pluginmanager.get_plugin(EXPERIMENTS)
        if not isinstance(gathered, Experiments) or not gathered.results():
            return result
        from pytest_bugsle.experiment.verdict import joined
        from pytest_bugsle.settings import is_ci

        levels, excused = self.facts.settings.rules, gathered.expected
        return joined(result, gathered.results(), levels, ci=is_ci(os.environ), excused=excused)

    def _with_models(self, result: Result) -> Result:
        gathered = self._config.pluginmanager.get_plugin(MODELS)
        if not isinstance(gathered, Models) or not gathered.results():
            return result
        from pytest_bugsle.robustness.verdict import joined
        from pytest_bugsle.settings import is_ci

        levels, excused = self.facts.settings.rules, gathered.expected
        return joined(result, gathered.results(), levels, ci=is_ci(os.environ), excused=excused)

    def _failed(self, result: Result) -> bool:
        settings = self.facts.settings
        if settings.mode == "warn":
            return False
        return result.verdict == "fail" or (settings.strict and result.verdict == "undecided")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Write the section and the reports."""
        from pytest_bugsle.session import write_section

        write_section(self._config, terminalreporter, self.facts, self._plan, self._result, self._trouble)

    def pytest_unconfigure(self) -> None:
        """Let go of git and of the pool."""
        if self._plan is not None:
            self._plan.close()


def pytest_report_header(config: pytest.Config) -> Iterator[str] | None:
    """Say that the gate is on."""
    if config.pluginmanager.has_plugin(CONTROLLER):
        return iter(["bugsle: on"])
    return None
