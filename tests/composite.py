"""Run a composite GitHub Action as GitHub's runner does: its own steps, in bash, with files for what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_PIN = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}\Z")
_HEREDOC = re.compile(r"([^=<\s]+)<<(.+)")
#: What stands between `&&` in an `if`.
_EQUALS = re.compile(r"(\S+)\s*==\s*'([^']*)'\Z")
_FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH", "GITHUB_ENV", "GITHUB_STATE")
SUMMARY_LIMIT = 1024 * 1024


@dataclass
class Step:
    """What one step did: its exit code (None where it was skipped), its log and its outputs."""

    outcome: str
    code: int | None = None
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Job:
    """What a whole action did."""

    code: int
    outputs: dict[str, str]
    summary: str
    steps: list[Step]
    log: str


class Composite:
    """One action, read and checked; `emulated` gives the outputs of steps (by id) that are not run."""

    def __init__(self, action: Path, *, emulated: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.folder = action.parent
        self.text: dict[str, Any] = yaml.safe_load(action.read_text(encoding="utf-8"))
        self.emulated = emulated or {}
        assert self.text["runs"]["using"] == "composite"
        self.declared: list[dict[str, Any]] = self.text["runs"]["steps"]
        for step in self.declared:
            check_step(step)

    def run(
        self,
        workspace: Path,
        place: Path,
        inputs: Mapping[str, str],
        environ: Mapping[str, str],
        cache: Path | None = None,
    ) -> Job:
        """Run the steps in order; a failed one skips what follows but for `always()`."""
        unknown = set(inputs) - set(self.text["inputs"])
        assert not unknown, f"the action has no input {unknown}"
        given = {name: str(value["default"]) for name, value in self.text["inputs"].items()} | dict(inputs)
        place.mkdir(parents=True, exist_ok=True)
        runner = _Runner(self.folder, workspace, place, given, dict(environ), cache)
        for number, step in enumerate(self.declared):
            runner.step(number, step, self.emulated)
        outputs = {name: runner.filled(str(output["value"])) for name, output in self.text["outputs"].items()}
        done = list(runner.done.values())
        failed = next((step.code for step in done if step.outcome == "failure"), 0)
        return Job(failed or 0, outputs, runner.summary, done, "".join(step.log for step in done))


def check_step(step: Mapping[str, Any]) -> None:
    """Assert what holds of every step: no expression in a script, a shell, a pin by full hash."""
    assert ("run" in step) != ("uses" in step), step
    if "uses" in step:
        assert _PIN.match(step["uses"]), f"{step['uses']} is not pinned by a full hash"
        return
    assert step["shell"] == "bash", "a composite step must name its shell"
    assert "${{" not in step["run"], f"an expression inside run: {step['run']}"


class _Runner:
    def __init__(
        self,
        folder: Path,
        workspace: Path,
        place: Path,
        inputs: Mapping[str, str],
        environ: dict[str, str],
        cache: Path | None,
    ) -> None:
        self.workspace, self.place, self.cache = workspace, place, cache
        self.environ = {
            **environ,
            "GITHUB_ACTION_PATH": str(folder),
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(place),
        }
        self.values = {f"inputs.{name}": value for name, value in inputs.items()} | {
            "github.action_path": str(folder),
            "github.job": "test",
            "github.run_id": environ.get("GITHUB_RUN_ID", "1"),
            "github.run_attempt": "1",
            "runner.os": "Linux",
            "strategy.job-index": "0",
        }
        self.done: dict[str, Step] = {}
        self.summary = ""

    def step(self, number: int, step: Mapping[str, Any], emulated: Mapping[str, Mapping[str, str]]) -> None:
        """Run, emulate or skip one step, and note what it left."""
        name = step.get("id", f"#{number}")
        if not self._is_due(str(step.get("if", "success()"))):
            done = Step("skipped")
        elif name in emulated:
            done = Step("success", 0, outputs=dict(emulated[name]))
        elif "uses" in step:
            done = self._use(step)
        else:
            done = self._run(number, step)
        self.done[name] = done
        self.values[f"steps.{name}.outcome"] = done.outcome
        self.values |= {f"steps.{name}.outputs.{key}": value for key, value in done.outputs.items()}

    def filled(self, text: str) -> str:
        """Put values in the place of expressions; what a step did not say is empty, as with GitHub."""

        def value(found: re.Match[str]) -> str:
            name = found[1].strip()
            assert re.fullmatch(r"[\w.-]+", name), f"an expression of another kind: {name}"
            known = name in self.values or re.match(r"steps\.[\w-]+\.outputs\.", name)
            assert known, f"nothing is called {name}"
            return self.values.get(name, "")

        return _EXPRESSION.sub(value, text)

    def _is_due(self, condition: str) -> bool:
        terms = [term.strip() for term in condition.split("&&")]
        failed = any(step.outcome == "failure" for step in self.done.values())
        if failed and "always()" not in terms:
            return False
        for term in terms:
            if term in {"always()", "success()"}:
                continue
            equals = _EQUALS.match(term)
            assert equals, f"an `if` of another kind: {term}"
            if self.filled(f"${{{{ {equals[1]} }}}}") != equals[2]:
                return False
        return True

    def _run(self, number: int, step: Mapping[str, Any]) -> Step:
        files = {name: self.place / f"{name}-{number}" for name in _FILES}
        for path in files.values():
            path.touch()
        env = self.environ | {name: self.filled(str(value)) for name, value in step.get("env", {}).items()}
        where = self.workspace / self.filled(str(step.get("working-directory", ".")))
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=where,
            env=env | {name: str(path) for name, path in files.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        log = done.stdout.decode("utf-8")
        assert not files["GITHUB_PATH"].read_bytes() and not files["GITHUB_ENV"].read_bytes()
        summary = files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8")
        assert len(summary.encode()) <= SUMMARY_LIMIT, "GitHub drops a summary of more than 1 MiB whole"
        self.summary += summary
        outputs = read_outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))
        return Step("failure" if done.returncode else "success", done.returncode, log, outputs)

    def _use(self, step: Mapping[str, Any]) -> Step:
        """Emulate the two halves of the cache action over a folder; there is no other `uses`."""
        action = step["uses"].partition("@")[0]
        assert action in {"actions/cache/restore", "actions/cache/save"}, action
        values = {name: self.filled(str(value)) for name, value in step["with"].items()}
        folder, _, pattern = values["path"].rpartition("/")
        assert "," not in values["key"] and len(values["key"]) <= 512
        if self.cache is None:
            return Step("success", 0)
        if action.endswith("save"):
            kept = self.cache / values["key"]
            kept.mkdir(parents=True)
            for path in Path(folder).glob(pattern):
                shutil.copy2(path, kept)
            return Step("success", 0)
        prefixes = values["restore-keys"].split()
        found = [kept for kept in self.cache.glob("*") if kept.name.startswith(tuple(prefixes))]
        for kept in sorted(found, key=lambda path: path.stat().st_mtime)[-1:]:
            Path(folder).mkdir(exist_ok=True)
            for path in kept.iterdir():
                shutil.copy2(path, folder)
        return Step("success", 0)


def read_outputs(text: str) -> dict[str, str]:
    """Read a file of outputs as the runner does; AssertionError for what it refuses."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        heredoc = _HEREDOC.match(line)
        if heredoc:
            value = []
            for inner in lines:
                if inner == heredoc[2]:
                    break
                value.append(inner)
            else:
                raise AssertionError(f"no end {heredoc[2]!r}")
            found[heredoc[1]] = "\n".join(value)
        elif line:
            name, equals, value_text = line.partition("=")
            assert equals, f"no output: {line!r}"
            found[name] = value_text
    return found


@dataclass(frozen=True)
class Annotation:
    """One workflow command that makes an annotation, read as the runner reads it."""

    kind: str
    text: str
    properties: dict[str, str]


def read_annotations(log: str) -> list[Annotation]:
    """Read the annotations of a log; the runner trims a line and looks for `::`, or for `##[` anywhere."""
    found = []
    for line in re.split(r"\r\n|\n|\r", log):
        assert "##[" not in line or not re.search(r"##\[\w+", line), line
        command = re.match(r"\s*::(\w[\w-]*)(?: ([^:]*?(?:(?!::).)*?))?::(.*)", line)
        if command is None or command[1] not in {"error", "warning", "notice"}:
            continue
        pairs = [pair.partition("=") for pair in (command[2] or "").split(",") if pair]
        properties = {
            name.strip(): _unescaped(value, {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"})
            for name, _, value in pairs
        }
        text = _unescaped(command[3], {"%0D": "\r", "%0A": "\n", "%25": "%"})
        found.append(Annotation(command[1], text, properties))
    return found


def _unescaped(text: str, table: Mapping[str, str]) -> str:
    for escaped, plain in table.items():
        text = text.replace(escaped, plain)
    return text


def github_environment(place: Path, environ: Mapping[str, str], event: str, **more: str) -> dict[str, str]:
    """Give the environment of a job on GitHub for an event (its file is written by the caller)."""
    return {
        **{name: value for name, value in environ.items() if not name.startswith(("GITHUB_", "RUNNER_"))},
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(place / "event.json"),
        "GITHUB_RUN_ID": "1",
        "HOME": os.environ.get("HOME", str(place)),
        **more,
    }
