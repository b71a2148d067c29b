"""What the GitHub Action runs: the gates that its inputs ask for, and one report over all of them.  PYTEST_DONT_REWRITE

The inputs come by environment variables (`INPUT_MODE` …), never as text in a shell. Outside of GitHub
it does the same, with no summary and no outputs to write.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pytest_bugsle.errors import BugsleError, ExitCode, ProgramError, UndecidedError, UsageError
from pytest_bugsle.report import github, writer
from pytest_bugsle.report.escape import for_terminal, visible
from pytest_bugsle.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Mode = Literal["test", "check", "dora", "all"]
Gate = Literal["test", "check", "dora"]

_GATES: Mapping[Mode, tuple[Gate, ...]] = {
    "test": ("test",),
    "check": ("check",),
    "dora": ("dora",),
    "all": ("test", "dora"),  # what `check` says is part of what `test` proves
}
_FLAGS: Mapping[str, bool] = {"true": True, "false": False, "": False}
#: pytest's exit codes in ours: a collection that failed (2) or found nothing (5) is a failure of the tests.
_PYTEST: Mapping[int, ExitCode] = {
    0: ExitCode.PASS,
    1: ExitCode.FAIL,
    2: ExitCode.FAIL,
    4: ExitCode.USAGE,
    5: ExitCode.FAIL,
}
_WORST_FIRST = (ExitCode.PROGRAM, ExitCode.USAGE, ExitCode.FAIL, ExitCode.UNDECIDED)
#: What the tests and the gates have no business to write.
_OURS = frozenset({"GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"})

WHOLE_HISTORY = """fetch the whole history in the checkout step:
  - uses: actions/checkout@v4
    with:
      fetch-depth: 0"""
COMMITS_ALONE = (
    "\n      filter: tree:0 # enough for `mode: dora`; the other modes need the files of old commits"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of action.yml, read and checked: GitHub enforces neither `required` nor a choice."""

    mode: Mode = "test"
    python: str = ""
    base: str = ""
    args: tuple[str, ...] = ()
    dora_args: tuple[str, ...] = ()
    strict: bool = False
    reports: tuple[str, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Inputs:
        """Read `INPUT_…`; UsageError names the input and what it may hold."""
        asked = environ.get("INPUT_MODE", "").strip() or "test"
        mode = next((mode for mode in _GATES if mode == asked), None)
        if mode is None:
            raise _wrong("mode", asked, tuple(_GATES))
        strict = environ.get("INPUT_STRICT", "").strip().lower()
        if strict not in _FLAGS:
            raise _wrong("strict", strict, ("true", "false"))
        files = tuple(name for name in writer.FORMATS if name != "github")
        reports = tuple(dict.fromkeys(re.split(r"[\s,]+", environ.get("INPUT_REPORTS", "").strip() or "all")))
        for name in reports:
            if name not in (*files, "all"):
                raise _wrong("reports", name, (*files, "all"))
        return cls(
            mode=mode,
            python=environ.get("INPUT_PYTHON", "").strip(),
            base=environ.get("INPUT_BASE", "").strip(),
            args=_words("args", environ.get("INPUT_ARGS", "")),
            dora_args=_words("dora-args", environ.get("INPUT_DORA_ARGS", "")),
            strict=_FLAGS[strict],
            reports=files if "all" in reports else reports,
        )


def _wrong(name: str, value: str, known: Sequence[str]) -> UsageError:
    near = difflib.get_close_matches(value.lower(), known, n=1)
    return UsageError(
        f"the input `{name}` cannot be {for_terminal(value)!r}.",
        why=f"it is one of {', '.join(known)}.",
        hint=f"did you mean {near[0]}?" if near else f"{name}: {known[0]}",
    )


def _words(name: str, text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"the input `{name}` cannot be split into words: {error}.",
            why="it is split as a shell would, and no shell sees it.",
            hint=f"""close each quote, as in {name}: -m "not slow" -n 4""",
        ) from error


@dataclass(frozen=True, slots=True)
class Ran:
    """What one gate left: its exit code in our words, and its result where it wrote one."""

    gate: Gate
    code: ExitCode
    result: Result | None = None
    delivery: Mapping[str, Any] = field(default_factory=dict)


def main(environ: Mapping[str, str] | None = None) -> int:
    """Run the gates in the current folder and tell the runner; return the exit code of the step."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a log of few letters must not cost the report
        sys.stdout.reconfigure(errors="backslashreplace")
    environ = dict(os.environ) if environ is None else environ
    try:
        return int(_run(environ))
    except BugsleError as error:
        _tell(error, environ, {"verdict": "error"})
        return int(error.exit_code)


def _run(environ: Mapping[str, str]) -> ExitCode:
    inputs = Inputs.of(environ)
    gates = _GATES[inputs.mode]
    folder = Path(tempfile.mkdtemp(prefix="bugsle-", dir=environ.get("RUNNER_TEMP") or None))
    python = project_python(inputs.python, environ) if "test" in gates else sys.executable
    if "test" in gates:
        install(python, environ.get("GITHUB_ACTION_PATH", ""))
    ran = [_gate(gate, inputs, python, folder, environ) for gate in gates]
    _report(ran, inputs, folder, environ)
    codes = {_final(each, inputs) for each in ran}
    return next((code for code in _WORST_FIRST if code in codes), ExitCode.PASS)


def project_python(wanted: str, environ: Mapping[str, str]) -> str:
    """Return the interpreter in which the project's tests run: the one asked for, else the environment's.

    Without one that is asked for: the active environment, `.venv` or `venv` here, then `python` on PATH.
    """
    folders = [environ.get("VIRTUAL_ENV"), ".venv", "venv"]
    places = [Path(folder, *tail) for folder in folders if folder for tail in _TAILS]
    candidates = [wanted] if wanted else [*(str(place) for place in places), "python", "python3"]
    for candidate in candidates:
        found = shutil.which(candidate, path=environ.get("PATH"))
        if found is not None:
            return os.path.abspath(found)  # not resolved: a link in an environment is that environment
    raise UsageError(
        f"there is no interpreter {for_terminal(wanted)!r} here."
        if wanted
        else "there is no interpreter here.",
        why="the tests run in the project's own environment.",
        hint="make the environment in a step before this one, and name it: python: .venv/bin/python",
    )


_TAILS = (("bin", "python"), ("Scripts", "python.exe"))


def install(python: str, checkout: str) -> None:
    """Put the plugin of this checkout into the project's environment, with our own pip: it may have none."""
    if not checkout or _same_environment(python):
        return
    _say(f"::group::bugsle: put the plugin into the environment of {for_terminal(python)}")
    ours = [sys.executable, "-I", "-m", "pip", "--python", python, "install", "--disable-pip-version-check"]
    done = subprocess.run([*ours, "--quiet", checkout], stdin=subprocess.DEVNULL, check=False)
    _say("::endgroup::")
    if done.returncode:
        raise ProgramError(
            f"the plugin could not be installed into the environment of {for_terminal(python)}.",
            why="`pytest --bugsle` runs there, in Python 3.11 or newer; pip's own words stand above.",
            hint="name the interpreter of a virtual environment: python: .venv/bin/python",
        )


def _same_environment(python: str) -> bool:
    def place(program: str) -> tuple[str, str]:
        path = Path(program)
        return os.path.realpath(path.parent), os.path.realpath(path)

    return place(python) == place(sys.executable)


def arguments(gate: Gate, inputs: Inputs, python: str, report: Path) -> list[str]:
    """Return the command line of a gate, as a list: no shell reads it."""
    if gate == "test":
        options = ["--bugsle", f"--bugsle-report=json:{report}"]
        options += [f"--bugsle-base={inputs.base}"] if inputs.base else []
        options += ["--bugsle-strict"] if inputs.strict else []
        return [python, "-m", "pytest", *options, *inputs.args]
    # -P: the folder we stand in is a stranger's, and may hold a click.py
    ours = [sys.executable, "-P", "-m", "pytest_bugsle", gate, f"--report=json:{report}"]
    if gate == "dora":
        return [*ours, *inputs.dora_args]
    ours += [f"--base={inputs.base}"] if inputs.base else []
    ours += ["--strict"] if inputs.strict else []
    return [*ours, *inputs.args]


def _gate(gate: Gate, inputs: Inputs, python: str, folder: Path, environ: Mapping[str, str]) -> Ran:
    report = folder / f"{gate}.json"
    line = arguments(gate, inputs, python, report)
    env = {name: value for name, value in environ.items() if name not in _OURS and not _is_input(name)}
    try:
        status = subprocess.run(line, env=env, stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        raise ProgramError(
            f"{for_terminal(line[0])} cannot be started: {error.strerror}.",
            hint="name another interpreter: python: .venv/bin/python",
        ) from error
    known = _PYTEST if gate == "test" else {int(code): code for code in ExitCode}
    code = known.get(status, ExitCode.PROGRAM)
    if not report.is_file():
        return Ran(gate, code if code != ExitCode.PASS else ExitCode.PROGRAM)
    try:
        data = report.read_bytes()
        delivery = msgspec.json.decode(data, type=dict[str, Any]).get("delivery")
        result = msgspec.json.decode(data, type=Result)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ProgramError(
            f"the report of {_shown(gate)} cannot be read: {error}.",
            why="another version of the plugin may be at work in the project's environment.",
            hint="take pytest-bugsle out of the project's own requirements, or pin the action's version there",
        ) from error
    return Ran(gate, code, result, delivery if isinstance(delivery, dict) else {})


def _is_input(name: str) -> bool:
    return name.startswith("INPUT_")


def _shown(gate: Gate) -> str:
    return "`pytest --bugsle`" if gate == "test" else f"`bugsle {gate}`"


def _cut_off(ran: Ran) -> bool:
    """Say whether a gate could not find its range, or its history, because the checkout is shallow."""
    if ran.gate == "dora" or ran.result is None:
        lacks = ran.code == ExitCode.UNDECIDED
    else:
        lacks = ran.result.range is None and ran.code in {ExitCode.FAIL, ExitCode.UNDECIDED}
    return lacks and _is_shallow()


def _is_shallow() -> bool:
    from pytest_bugsle.git.repository import Repository

    try:
        with Repository.open(Path()) as repository:
            return repository.is_shallow()
    except BugsleError:
        return False


def _final(ran: Ran, inputs: Inputs) -> ExitCode:
    """Return what a gate's exit code makes of the step: undecided passes, unless it is strict or cut off."""
    if _cut_off(ran):
        return ExitCode.UNDECIDED
    if ran.code == ExitCode.UNDECIDED and not inputs.strict:
        return ExitCode.PASS
    return ran.code


def _report(ran: Sequence[Ran], inputs: Inputs, folder: Path, environ: Mapping[str, str]) -> None:
    """Write the reports, the annotations, the summary and the outputs; say what is in the way of a verdict."""
    cut = [each.gate for each in ran if _cut_off(each)]
    results = [each.result for each in ran if each.result is not None]
    if results:
        result = _told(github.merged(results), ran, cut=bool(cut))
        outputs = github.outputs(result)
        for each in ran:
            outputs |= github.delivery_outputs(each.delivery)
        for name in inputs.reports:
            path = folder / f"bugsle.{_SUFFIXES.get(name, name)}"
            writer.write(result, writer.Target(name, path))
            outputs[name] = str(path)
        others = [finding for finding in result.findings if not (cut and finding.rule == "BUG001")]
        annotations = github.render(msgspec.structs.replace(result, findings=others))
        _say(annotations.decode("utf-8").removesuffix("\n"))
        writer.tell_runner(result, environ, outputs)
        if result.verdict == "undecided" and not cut and not inputs.strict:
            text = f"undecided, which is no pass: {outputs['summary']} `strict: true` makes it fail."
            _say(github.command("warning", text, title="pytest-bugsle"))
    unsaid = {} if results else {"verdict": "undecided" if cut else "error"}
    if cut:
        _tell(_shallow(cut, results), environ, unsaid)
        return
    for each in ran:
        if each.result is None:
            what = f"{_shown(each.gate)} ended with exit code {each.code:d} before there was a result."
            _tell(
                ProgramError(what, why="nothing was judged by it.", hint="the log above says why"),
                environ,
                unsaid,
            )


def _told(result: Result, ran: Sequence[Ran], *, cut: bool) -> Result:
    """Return the result with what only the exit codes say."""
    if cut:  # where CI is set nothing judged is an error in itself; here the exit code says which one
        return msgspec.structs.replace(result, verdict="undecided")
    test = next((each for each in ran if each.gate == "test"), None)
    if test is None or test.result is None or test.result.verdict != "pass" or test.code == ExitCode.PASS:
        return result
    note = "the gate passed and the tests did not: the step fails for them"
    return msgspec.structs.replace(result, notes=[note, *result.notes])


def _shallow(cut: Sequence[Gate], results: Sequence[Result]) -> UndecidedError:
    hint = WHOLE_HISTORY + (COMMITS_ALONE if list(cut) == ["dora"] else "")
    helps = [finding.help for result in results for finding in result.findings if finding.rule == "BUG001"]
    return UndecidedError(
        "this checkout is shallow: the commits that the gate needs are cut off.",
        why="a gate that judged nothing must not look like one that passed.",
        hint=next((text for text in helps if "fetch-depth" in text), hint),
    )


def _tell(error: BugsleError, environ: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Say what is in the way of a verdict: in the log, as an annotation, in the summary, in the outputs."""
    lines = str(error).splitlines()
    for number, line in enumerate(lines):
        _say(("bugsle: " if number == 0 else "") + for_terminal(line))
    _say(github.command("error", str(error), title="pytest-bugsle"))
    if summary := environ.get("GITHUB_STEP_SUMMARY"):
        # Indented, no line can be anything but text; the heading is missing where a report has one.
        text = "\n".join(f"    {visible(line[:_LONGEST])}" for line in lines[:_MOST_LINES])
        heading = "## pytest-bugsle: no verdict\n" if outputs else ""
        writer.append(Path(summary), f"{heading}\n{text}\n".encode())
    if outputs and (output := environ.get("GITHUB_OUTPUT")):
        writer.append(Path(output), github.output_lines(outputs, secrets.token_hex(16)))


_SUFFIXES: Mapping[str, str] = {"junit": "xml", "markdown": "md"}
_LONGEST = 1000
_MOST_LINES = 20


def _say(line: str) -> None:
    if line:
        print(line, flush=True)  # noqa: T201  # the log of the step


if __name__ == "__main__":
    raise SystemExit(main())
