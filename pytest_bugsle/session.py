"""What a pytest session says to the gate, and the section it gets back.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import os
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_bugsle import gate, settings, trust
from pytest_bugsle.errors import BugsleError
from pytest_bugsle.report import terminal, writer
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.runner.configuration import Configuration

if TYPE_CHECKING:
    import argparse

    from pytest_bugsle.results import Result


class SessionFacts(msgspec.Struct):
    """Policy and observations of one session; mutable, since a session goes on."""

    settings: settings.Settings
    reports: tuple[writer.Target, ...]
    collected: set[str] = set()
    outcomes: dict[str, str] = {}
    deselected: int = 0
    narrowed: bool = False
    always_deselects: bool = False

    @classmethod
    def of(cls, config: pytest.Config) -> SessionFacts:
        """Read options and settings; UsageError where they are wrong."""
        table, origin = settings.find_settings(config.rootpath, settings.repository_top(config.rootpath))
        chosen = settings.make_settings(
            table,
            origin=origin,
            environ=os.environ,
            options={
                "base": config.getoption("bugsle_base"),
                "proof": config.getoption("bugsle_proof"),
                "budget": config.getoption("bugsle_budget"),
                "strict": config.getoption("bugsle_strict"),
                "store": config.getoption("bugsle_store"),
            },
        )
        reports = writer.parse_targets(config.getoption("bugsle_report"))
        writer.check_places(reports)
        usual = _usual_options(config)
        always = any(getattr(usual, flag, None) for flag in ("keyword", "markexpr", "deselect"))
        return cls(chosen, reports, narrowed=_is_narrowed(config, usual), always_deselects=always)

    def request(self, config: pytest.Config) -> gate.Request:
        """Return what the gate needs to prepare."""
        return gate.Request(
            start=config.rootpath,
            settings=self.settings,
            environ=dict(os.environ),
            today=dt.datetime.now(tz=dt.UTC).date(),
            configuration=_configuration(config),
            range=config.getoption("bugsle_range"),
            python=sys.executable,
            args=(*_inherited(config), *self.settings.pytest_args),
            no_reach=_why_no_reach(config),
            what_else=True,
            is_fix=lambda commit: config.hook.pytest_bugsle_is_fix(commit=commit),
            is_linked=lambda fix, test: any(config.hook.pytest_bugsle_link(fix=fix, test=test)),
            change_finding=lambda finding: config.hook.pytest_bugsle_finding(finding=finding) or finding,
        )

    def watch(self, config: pytest.Config, plan: gate.Plan) -> trust.Watch:
        """Begin to keep the attempts of this session."""
        workers = len(getattr(config.option, "tx", None) or ())
        return trust.Watch(plan, pytest_version=pytest.__version__, workers=workers)

    def note(self, report: pytest.TestReport) -> None:
        """Keep how a test ended: passed only if every phase of its last attempt did."""
        if report.outcome == "rerun":  # type: ignore[comparison-overlap]  # pytest-rerunfailures' own outcome
            self.outcomes.pop(report.nodeid, None)
        elif report.failed:
            self.outcomes[report.nodeid] = "failed"
        elif report.when == "call":
            self.outcomes.setdefault(report.nodeid, report.outcome)

    def seen(self) -> gate.Seen:
        """Return what the session showed."""
        return gate.Seen(
            collected=frozenset(self.collected),
            outcomes=dict(self.outcomes),
            partial=self.narrowed or (self.deselected > 0 and not self.always_deselects),
        )


_NARROWING = ("keyword", "markexpr", "lf", "stepwise", "deselect", "ignore", "ignore_glob")


def _usual_options(config: pytest.Config) -> argparse.Namespace:
    """Return what the configuration file's own `addopts` say: what every run leaves out is no part left out."""
    usual = list(config.getini("addopts"))
    return config._parser.parse_known_args(usual)  # noqa: SLF001  # no public way tells a file's options apart


def _is_narrowed(config: pytest.Config, usual: argparse.Namespace) -> bool:
    """Say whether the command line names a part of the suite."""
    option = config.option
    for flag in _NARROWING:
        chosen = getattr(option, flag, None)
        if chosen and chosen != getattr(usual, flag, None):
            return True
    if not getattr(option, "file_or_dir", None):
        return False
    here = config.invocation_params.dir
    named = {(here / argument.partition("::")[0]).resolve() for argument in config.args}
    if any("::" in argument for argument in config.args):
        return True
    root = config.rootpath.resolve()
    wanted = [(root / path).resolve() for path in config.getini("testpaths")] or [root]
    return not all(any(path == given or given in path.parents for given in named) for path in wanted)


def _configuration(config: pytest.Config) -> Configuration:
    def words(name: str) -> tuple[str, ...]:
        return tuple(str(word) for word in config.getini(name))

    return Configuration(
        config.rootpath,
        config.inipath,
        words("testpaths"),
        words("python_files"),
        words("python_classes"),
        words("python_functions"),
        words("norecursedirs"),
        tuple(os.path.relpath(path, config.rootpath) for path in words("pythonpath")),
    )


def _inherited(config: pytest.Config) -> tuple[str, ...]:
    """Return the options of this command line that a proof must share to import and run tests alike.

    Others may write files (`--junitxml`, `--basetemp`, `--html`) or change what runs: they stay out,
    and the setting `pytest_args` hands over a suite's own.
    """
    from_command_line = [str(argument) for argument in config.invocation_params.args]
    inherited: list[str] = []
    taken = iter(from_command_line)
    for argument in taken:
        if argument in ("-p", "-o", "--override-ini", "-W", "--import-mode"):
            inherited += [argument, next(taken, "")]
        elif argument.startswith(("--override-ini=", "--import-mode=", "--pythonwarnings=")) or (
            argument[:2] in ("-p", "-o", "-W") and len(argument) > 2
        ):
            inherited.append(argument)
    return tuple(inherited)


def _why_no_reach(config: pytest.Config) -> str:
    if config.option.usepdb or config.option.trace:
        return "reach was left out: a debugger is in use (--pdb)"
    tracer = sys.gettrace()
    if (
        tracer is not None
        and not type(tracer).__module__.startswith("coverage")
        and "coverage" not in repr(tracer)
    ):
        return "reach was left out: a tracer is active"
    return ""


def write_section(
    config: pytest.Config,
    reporter: pytest.TerminalReporter,
    facts: SessionFacts,
    plan: gate.Plan | None,
    result: Result | None,
    trouble: str,
) -> None:
    """Write the section of the terminal report, and the reports that were asked for."""
    if plan is None:
        return
    reporter.ensure_newline()
    if result is None:
        reporter.section("bugsle", yellow=True)
        reporter.write_line(for_terminal(trouble or "nothing was judged"), yellow=True)
        return
    _tell_flaky(reporter, result)
    failed = sum(len(reporter.stats.get(outcome, ())) for outcome in ("failed", "error", "flaky"))
    lines = terminal.lines(result, config.get_verbosity(), failed=failed)
    extra = [line for lines in config.hook.pytest_bugsle_report(result=result) for line in lines or ()]
    written, troubles = _write_reports(result, facts.reports)
    if lines or extra or troubles:
        reporter.section("bugsle")
    for line in lines:
        reporter.write_line(line.text, **_MARKUP.get(line.style or "", {}))
    for text in (*extra, *(written if lines else ())):
        reporter.write_line(for_terminal(text))
    for text in troubles:
        reporter.write_line(text, red=True)


def _tell_flaky(reporter: pytest.TerminalReporter, result: Result) -> None:
    """Count flaky tests as such in pytest's last line, not among the failed: the exit status stays as it is."""
    if not isinstance(result.tests, list):
        return
    flaky = {test.id for test in result.tests if test.categories and test.categories != ["failing"]}
    for outcome in ("failed", "error"):
        reports = reporter.stats.get(outcome, [])
        found = [report for report in reports if getattr(report, "nodeid", None) in flaky]
        if found:
            # By id: reports of subtests are equal where their parameters are.
            left = [report for report in reports if getattr(report, "nodeid", None) not in flaky]
            reporter.stats[outcome] = left
            if not left:
                del reporter.stats[outcome]
            reporter.stats.setdefault("flaky", []).extend(found)
            renew = getattr(reporter, "_set_main_color", None)  # it also learns which words there are
            if renew is not None:
                renew()


def _write_reports(result: Result, targets: tuple[writer.Target, ...]) -> tuple[list[str], list[str]]:
    """Write every report; one that fails costs neither the others nor the summary."""
    written, troubles = [], []
    for target in targets:
        try:
            path = writer.write(result, target)
        except BugsleError as error:
            troubles += [for_terminal(line) for line in str(error).splitlines()]
        else:
            if path is not None:
                written.append(f"{target.format} report: {path}")
    return written, troubles


#: Our styles in the words of pytest's terminal writer.
_MARKUP: dict[str, dict[str, bool]] = {
    "green": {"green": True},
    "red": {"red": True},
    "yellow": {"yellow": True},
    "dim": {"light": True},
}
