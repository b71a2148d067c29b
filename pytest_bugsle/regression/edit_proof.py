"""The proof by edit: which edits of a fix no test notices when they are put back alone.  PYTEST_DONT_REWRITE

Pure. The fix was proven as a whole: its guards pass with it and fail without it. Now each edit is put
back alone in the tree with the fix, and the tests that run it run again.

1. Edits that no test was seen to run are put back together, in one run of all guards. Where those stay
   green none of the edits is guarded; where not, each is put back alone: what a test runs at import, in a
   shared fixture or in another process, nobody saw.
2. A test that fails as it would have to for a proof notices the edit: the edit is guarded.
3. An error on a name of the fix (an import without its use, a call without its parameter) shows only
   that the edit cannot stand alone. It joins the edits that define or use the name, and the group is
   put back as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_bugsle.regression.proof import describe, is_timeout
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

    from pytest_bugsle.regression.proof import Probe
    from pytest_bugsle.runner.outcome import Error, Outcome, Run

MOST_OTHERS = 20
"""Tests beside the guards that run again for one edit, the quickest first."""
NOT_RUN = "no test runs it"
_NAME_ERRORS = ("NameError", "ImportError", "AttributeError", "TypeError")


@dataclass(frozen=True, slots=True)
class Piece:
    """One edit of a fix, as the judge sees it.

    `path` and `line` are in the tree with the fix. `measured` are the lines whose running says that the
    edit runs; empty where running them cannot tell (import time, a deletion).
    """

    number: int
    path: str
    line: int
    scope: str = ""
    """The function or class that it stands in, and only speaks of; empty where all of the file may see it."""
    measured: frozenset[int] = frozenset()
    defines: frozenset[str] = frozenset()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Witness:
    """A test that passes with the fix, which lines it runs there, and how to ask for it alone."""

    id: str
    selector: Selector
    seconds: float
    guard: bool
    ran: Mapping[str, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """What putting back one edit, or a group, showed.

    `guarded` is None where nothing could be told, and `why` says why. `missing` are names of the fix
    that the run stumbled over: what was put back cannot stand alone. `unbound` are those of them that
    were looked for as variables. `by` are then the tests that stumbled inside the code of the fix.
    """

    guarded: bool | None
    by: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    unbound: frozenset[str] = frozenset()
    why: str = ""


def witnesses_of(piece: Piece, witnesses: Sequence[Witness], *, measured: bool) -> tuple[Witness, ...]:
    """Return the tests to run with `piece` put back: those that run it, guards first, the quickest first.

    Where nobody can say who runs it, all guards. `measured` says whether lines were recorded at all: a
    test whose process recorded none of the fix's lines (it works in a child of its own) may run any.
    """
    blind = not (measured and piece.measured)
    chosen = [w for w in witnesses if w.ran.get(piece.path, frozenset()) & piece.measured]
    chosen += [w for w in witnesses if w.guard and (blind or not any(w.ran.values())) and w not in chosen]
    ordered = sorted(chosen, key=lambda w: (not w.guard, w.seconds, w.id))
    guards = sum(w.guard for w in ordered)
    return tuple(ordered[: guards + MOST_OTHERS])


def read(asked: Sequence[Witness], run: Run, names: Collection[str], modules: Collection[str] = ()) -> Shown:
    """Judge one run with an edit (or a group) put back; `names` and `modules` are what the fix adds."""
    if run.wrong_tree:
        return Shown(None, why=f"the tests did not run against the tree under test: {run.wrong_tree[0]}")
    if run.problem:
        return Shown(None, why=run.problem)
    ids = {witness.id for witness in asked}
    noticed: list[str] = []
    passed: list[str] = []
    missing: set[str] = set()
    unbound: set[str] = set()
    inside: list[str] = []
    unclear: list[str] = []

    def stumbled(id: str, error: Error, name: str) -> None:
        missing.add(name)
        if "NameError" in error.mro:
            unbound.add(name)
        if error.in_changed:
            inside.append(id)

    for id, outcome in run.outcomes.items():
        if id not in ids or outcome.status == "missing":
            continue
        error = outcome.error
        name = _missing(error, names, modules)
        if outcome.status == "passed":
            passed.append(id)
        elif name is not None and error is not None:
            stumbled(id, error, name)
        elif _is_red(outcome):
            noticed.append(id)
        else:
            unclear.append(f"{id} {outcome.status}" + (f" ({describe(error)})" if error else ""))
    for witness in asked:
        error = run.collect_errors.get(witness.selector.path) or run.collect_errors.get("")
        if error is None or witness.id in run.outcomes:
            continue
        name = _missing(error, names, modules)
        if name is not None:
            stumbled(witness.id, error, name)
        elif error.in_changed:  # the code of the fix cannot even be imported: whoever imports it notices
            noticed.append(witness.id)
        else:
            unclear.append(f"{witness.selector.path} cannot be collected: {describe(error)}")
    if noticed:
        return Shown(True, by=tuple(sorted(dict.fromkeys(noticed))))
    if missing:
        what = ", ".join(sorted(missing))
        why = f"it cannot be put back alone: {what} is missing"
        return Shown(
            None,
            by=tuple(sorted(dict.fromkeys(inside))),
            missing=frozenset(missing),
            unbound=frozenset(unbound),
            why=why,
        )
    if unclear:
        return Shown(None, why=f"put back alone: {unclear[0]}")
    if len(passed) < len(ids):
        return Shown(None, why=_unfinished(run))
    return Shown(False, near=tuple(passed))


def _unfinished(run: Run) -> str:
    if run.ended == "timeout":
        return "the time for this run was used up"
    return "some of its tests were not collected with the edit put back"


def _is_red(outcome: Outcome) -> bool:
    """Say whether a test failed as a proof asks for (see regression.proof)."""
    error = outcome.error
    if outcome.status not in ("failed", "error", "xfailed"):
        return False
    if error is None:
        return outcome.status != "error"
    if is_timeout(error):
        return False
    if outcome.status == "error" or "ImportError" in error.mro:
        return error.in_changed
    return True


def _missing(error: Error | None, names: Collection[str], modules: Collection[str]) -> str | None:
    """Return the name of the fix that an error misses, wherever it was raised."""
    if error is None or error.name is None or not any(kind in error.mro for kind in _NAME_ERRORS):
        return None
    if "ImportError" in error.mro and any(_within(error.name, module) for module in modules):
        return error.name.rpartition(".")[2]
    return next((name for name in (error.name, error.name.rpartition(".")[2]) if name in names), None)


def _within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def groups_of(pieces: Sequence[Piece], shown: Mapping[int, Shown]) -> tuple[frozenset[int], ...]:
    """Return the groups of edits that only work together, by number.

    An edit that stumbled over names of the fix joins every edit that defines one of them and every edit
    that uses one; over a variable, only those that can mean the same one. Groups with a common member
    are one.
    """
    groups: list[set[int]] = []
    for piece in pieces:
        found = shown.get(piece.number)
        if found is None or not found.missing:
            continue
        group = {piece.number}
        for other in pieces:
            names = found.missing - (frozenset() if _same_variables(piece, other) else found.unbound)
            if names & (other.defines | other.uses):
                group.add(other.number)
        for joined in [joined for joined in groups if joined & group]:
            group |= joined
            groups.remove(joined)
        groups.append(group)
    return tuple(sorted((frozenset(group) for group in groups if len(group) > 1), key=min))


def _same_variables(one: Piece, other: Piece) -> bool:
    """Say whether a variable of one edit can be that of the other: of one file, and not of two functions."""
    return one.path == other.path and (one.scope == other.scope or "" in (one.scope, other.scope))


def in_order(pieces: Iterable[Piece], cost: Mapping[int, float]) -> list[Piece]:
    """Return the edits in the order in which their answers are worth most: quick ones and new places first."""
    waiting = sorted(pieces, key=lambda piece: (cost.get(piece.number, 0.0), piece.number))
    seen: dict[str, int] = {}
    turn: dict[int, int] = {}
    for piece in waiting:
        turn[piece.number] = seen[piece.path] = seen.get(piece.path, -1) + 1
    return sorted(waiting, key=lambda piece: (turn[piece.number], cost.get(piece.number, 0.0), piece.number))


def judge(
    probe: Probe, asked: Sequence[Witness], names: Collection[str], modules: Collection[str]
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], Shown]:
    """Judge one edit or group (see pytest_bugsle.probes).

    Guards have shown twice that they are steady; where only other tests notice, they are asked again.
    """
    if not asked:
        return Shown(False, why=NOT_RUN)
    runs = yield (probe,)
    shown = read(asked, runs[probe], names, modules)
    guards = {witness.id for witness in asked if witness.guard}
    if not shown.guarded or guards.intersection(shown.by):
        return shown
    again = replace(probe, repeat=1)
    runs = yield (again,)
    second = read(asked, runs[again], names, modules)
    both = tuple(id for id in shown.by if id in second.by)
    return Shown(True, by=both) if both else Shown(None, why=f"{shown.by[0]} is flaky")
