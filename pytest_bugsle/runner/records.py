"""Turn the recorder's lines into outcomes; reads nothing.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_bugsle.runner.outcome import Error, Frame, Outcome

_PYTEST_TIMEOUT = re.compile(r"Timeout (\(?>|after)")
_STACK_LINE = re.compile(r'  File "(.*)", line (\d+) in (.*)')
_STACK_HEAD = re.compile(r"^(?:Current thread|Stack) .*\(most recent call first\):$", re.MULTILINE)


@dataclass(slots=True)
class Session:
    """What one inner process recorded."""

    items: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    matched: set[tuple[str, str]] = field(default_factory=set)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    collect_errors: dict[str, Error] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    certified: bool = False
    collected: bool = False
    started: bool = False
    code: int | None = None
    current: str | None = None
    file: str | None = None
    problem: str = ""
    reached: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    reached_import: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reach_note: str | None = None
    dropped: tuple[str, ...] = ()
    spawned: set[str] = field(default_factory=set)


def error_of(record: Mapping[str, Any] | None) -> Error | None:
    """Build an error from its record."""
    if record is None:
        return None
    return Error(
        type=record["type"],
        mro=tuple(record["mro"]),
        message=record["message"],
        name=record["name"],
        owner=record["owner"],
        frames=tuple(Frame(path, line, function) for path, line, function in record["frames"]),
        in_changed=record["in_changed"],
        in_test=record["in_test"],
        missing_stub=record["missing_stub"],
        chained_in_changed=record["chained"],
    )


def read(data: bytes) -> Session:
    """Read one process's records; a line cut short by a kill is left out."""
    session = Session()
    phases: dict[str, dict[str, Any]] = {}
    for line in data.split(b"\n"):
        try:
            record = json.loads(line) if line else None
        except ValueError:
            continue
        if record:
            _take(session, record, phases)
    for id_, seen in phases.items():
        outcome = _outcome(id_, session.items.get(id_, ("", "", None)), seen)
        if outcome is not None:
            session.outcomes[id_] = outcome
    if session.current in session.outcomes:
        session.current = None
    return session


def _take(session: Session, record: dict[str, Any], phases: dict[str, dict[str, Any]]) -> None:
    kind = record["t"]
    if kind == "start":
        session.started = True
    elif kind == "file":
        session.file = record["path"]
    elif kind == "collected":
        session.collected, session.file = True, None
        session.matched = {(path, name) for path, name in record["matched"]}
        session.items = {id_: (path, name, line) for id_, path, name, line in record["items"]}
    elif kind == "run":
        session.current = record["id"]
        phases[record["id"]] = {}
    elif kind == "phase":
        _take_phase(record, phases.setdefault(record["id"], {}))
    elif kind in ("collect_error", "startup_error", "internal_error"):
        error = error_of(record["error"])
        assert error is not None
        if kind != "internal_error":
            session.collect_errors.setdefault(record["path"], error)
        if kind != "collect_error":
            session.problem = f"{error.type}: {error.message}"
    elif kind == "certificate":
        session.certified = True
        session.wrong.extend(reason for reason in record["wrong"] if reason not in session.wrong)
    elif kind == "reach":
        session.reach_note = record["note"]
        session.spawned = set(record["spawned"])
        session.reached = {
            id_: {path: tuple(lines) for path, lines in files.items()}
            for id_, files in record["tests"].items()
        }
        session.reached_import = {path: tuple(lines) for path, lines in record["imports"].items()}
    elif kind == "dropped":
        session.dropped = tuple(record["options"])
    elif kind == "end":
        session.code = record["code"]


def _take_phase(record: dict[str, Any], phases: dict[str, Any]) -> None:
    if record["outcome"] == "rerun":
        phases.clear()
    elif record["sub"]:
        if record["outcome"] == "failed":
            phases.setdefault("subtest", record)
    else:
        if record["when"] == "setup":  # of another attempt; subtests may have been logged before it
            for when in ("call", "teardown"):
                phases.pop(when, None)
        phases[record["when"]] = record


def _outcome(id_: str, item: tuple[str, str, int | None], phases: dict[str, Any]) -> Outcome | None:
    """Derive one test's outcome from its phases; None when it did not come to an end."""
    setup, call, teardown = (phases.get(when) for when in ("setup", "call", "teardown"))
    deciding = call or setup
    if deciding is None or teardown is None:
        return None
    status = _status(deciding)
    # A failed subtest leaves its parent's own report "passed": pytest mends that in the terminal alone.
    if "subtest" in phases and status in ("passed", "skipped", "xpassed"):
        deciding = phases["subtest"]
        status = _status(deciding)
    if (
        teardown is not None
        and teardown["outcome"] == "failed"
        and status not in ("failed", "error", "timeout")
    ):
        deciding = teardown
        status = _status(teardown)
    return Outcome(
        id=id_,
        status=status,
        phase=deciding["when"],
        error=_error(deciding),
        duration=sum(phase["duration"] for when, phase in phases.items() if when != "subtest"),
        path=item[0],
        name=item[1],
        line=item[2],
        reason=deciding["wasxfail"] or deciding["reason"],
    )


def _error(record: dict[str, Any]) -> Error | None:
    if record["outcome"] == "passed" or (record["outcome"] == "skipped" and record["wasxfail"] is None):
        return None
    error = error_of(record["error"])
    if error is None and record["outcome"] == "failed":
        text = record["reason"].strip().partition("\n")[0]
        return Error(type="XPASS(strict)" if text.startswith("[XPASS(strict)]") else "Failed", message=text)
    return error


def _status(record: dict[str, Any]) -> str:
    outcome = record["outcome"]
    if outcome == "skipped":
        return "skipped" if record["wasxfail"] is None else "xfailed"
    if outcome == "passed":
        return "xpassed" if record["wasxfail"] is not None and record["when"] == "call" else "passed"
    error = record["error"]
    if error is not None and error["type"] == "Failed" and _PYTEST_TIMEOUT.match(error["message"]):
        return "timeout"
    return "failed" if record["when"] == "call" else "error"


def stack_of(
    text: str, tree: str, changed: Collection[str], test_path: str
) -> tuple[tuple[Frame, ...], bool, bool]:
    """Read faulthandler's last dump: the frames, outermost first, and whether changed files or the test are in it."""
    heads = list(_STACK_HEAD.finditer(text))
    if not heads:
        return (), False, False
    frames = []
    for line in text[heads[-1].end() + 1 :].split("\n"):
        match = _STACK_LINE.match(line)
        if match is None:
            break
        inside = match.group(1).removeprefix(tree.rstrip("/") + "/")
        path = "" if inside == match.group(1) else inside
        frames.append(Frame(path, int(match.group(2)), match.group(3)))
    frames.reverse()
    own = [frame.path for frame in frames if frame.path]
    return tuple(frames), any(path in changed for path in own), bool(own and own[-1] == test_path)


def read_sequence(data: bytes) -> tuple[list[Outcome], bool]:
    """Return the outcomes of a sequence in its order, and whether another test had begun and did not end."""
    ended: list[Outcome] = []
    begun = 0
    for line in data.split(b"\n"):
        try:
            record = json.loads(line) if line else None
        except ValueError:
            continue
        if record and record["t"] == "begin":
            begun = record["n"]
        elif record and record["t"] == "ran":
            phases: dict[str, dict[str, Any]] = {}
            for phase in record["phases"]:
                _take_phase(phase, phases)
            outcome = _outcome(record["id"], ("", "", None), phases)
            ended.append(outcome or Outcome(record["id"], "missing"))
    return ended, begun > len(ended)
