"""Prove a fix edit by edit: lay out the tree with each edit put back, run what runs it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.code.editing.edits import edits_of, put_back
from pytest_bugsle.code.statements import statements
from pytest_bugsle.code.syntax import decode
from pytest_bugsle.probes import drive
from pytest_bugsle.regression.edit_proof import (
    NOT_RUN,
    Piece,
    Shown,
    Witness,
    groups_of,
    in_order,
    judge,
    witnesses_of,
)
from pytest_bugsle.regression.linking import selector_of
from pytest_bugsle.regression.proof import Probe
from pytest_bugsle.results import EditResult
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pytest_bugsle.code.editing.edits import Edit
    from pytest_bugsle.regression.before import Edits
    from pytest_bugsle.regression.proof import Where
    from pytest_bugsle.regression.runs import Ground, Runs
    from pytest_bugsle.regression.trees import Difference, FileDifference
    from pytest_bugsle.results import FixResult
    from pytest_bugsle.runner.outcome import Run

OUT_OF_TIME = "the budget was used up before it was put back (setting `budget`)"
MOST_SHOWN = 5
"""Tests that are named for one edit."""
_SHARE = 0.25
"""How much of the time left the tests near the fix may take to tell which edits they run."""
_MOST_BESIDE = 2
"""Runs beside those of the edits and the groups."""
_START = 10.0
"""Seconds that a run may take beside its tests."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """One edit, and the file that it is put back in; `edit` is None where it is the whole file."""

    piece: Piece
    file: FileDifference
    edit: Edit | None
    renames: bool = False


def reversals_of(difference: Difference) -> list[Reversal]:
    """Return the edits of a fix, in the order of their places."""
    found: list[Reversal] = []

    def add(file: FileDifference, edit: Edit | None, piece: Piece, *, renames: bool = False) -> None:
        found.append(Reversal(replace(piece, number=len(found)), file, edit, renames))

    for file in sorted(difference.files, key=lambda f: f.after_path or f.before_path or ""):
        path = file.after_path or file.before_path or ""
        edits: tuple[Edit, ...] = ()
        if file.after_path is not None and path.endswith(".py"):
            found_edits = edits_of(file.before or b"", file.after or b"")
            edits = tuple(edit for edit in found_edits if not edit.moved)  # no test need notice a move
        moved = None not in (file.before_path, file.after_path) and file.before_path != file.after_path
        comes_or_goes = None in (file.before_path, file.after_path)
        if moved or (not edits and (comes_or_goes or not path.endswith(".py"))):
            add(file, None, Piece(0, path, 1, defines=_module_names(difference, path)), renames=moved)
        measured = _Measured(file.after or b"") if edits else None
        for edit in edits:
            lines = measured.of(edit) if measured else frozenset()
            scope = "" if edit.import_time else edit.scope
            add(file, edit, Piece(0, path, edit.line, scope, lines, edit.defines, edit.uses))
    return found


def _module_names(difference: Difference, path: str) -> frozenset[str]:
    dotted = difference.dotted(path, tuple(difference.sides.listing))
    return frozenset(name.rpartition(".")[2] for name in dotted)


class _Measured:
    """Which lines of a text say, when they run, that an edit runs."""

    def __init__(self, source: bytes) -> None:
        self.statements = statements(source)

    def of(self, edit: Edit) -> frozenset[int]:
        lines = set(edit.lines)
        inside = [s for s in self.statements if not lines.isdisjoint(range(s.first_line, s.last_line + 1))]
        is_definition = edit.code.startswith(("def ", "async def ", "class ", "@"))
        if not is_definition and any(s.import_time for s in inside):
            return frozenset()
        return frozenset(n for s in inside if not s.import_time for n in s.measured_lines)


def laid_back(reversals: Iterable[Reversal]) -> Edits:
    """Return the tree edits that put several edits of a fix back."""
    by_path: dict[str, list[Reversal]] = {}
    for reversal in reversals:
        by_path.setdefault(reversal.file.after_path or reversal.file.before_path or "", []).append(reversal)
    tree: Edits = {}
    for chosen in by_path.values():
        file = chosen[0].file
        mode = file.before_mode or "100644"
        parts = [reversal.edit for reversal in chosen if reversal.edit is not None]
        whole = any(reversal.edit is None and not reversal.renames for reversal in chosen)
        content = file.before if whole else put_back(file.after or b"", parts)
        if any(reversal.renames for reversal in chosen) and file.before_path and file.after_path:
            tree[file.after_path] = None
            tree[file.before_path] = (mode, content or b"")
        elif file.before_path is None and file.after_path is not None:
            tree[file.after_path] = None if whole else (mode, content or b"")
        else:
            tree[file.after_path or file.before_path or ""] = (mode, content or b"")
    return tree


@dataclass(slots=True)
class Judged:
    """What is known so far: edits put back alone, by number, and groups, by their members."""

    alone: dict[int, Shown] = field(default_factory=dict)
    joint: dict[tuple[int, ...], Shown] = field(default_factory=dict)

    def groups(self, pieces: Sequence[Piece]) -> list[tuple[int, ...]]:
        """Return the groups of edits that cannot stand alone."""
        return [tuple(sorted(group)) for group in groups_of(pieces, self.alone)]

    def is_complete(self, pieces: Sequence[Piece]) -> bool:
        """Say whether nothing is left to run."""
        return len(self.alone) == len(pieces) and all(group in self.joint for group in self.groups(pieces))

    def verdict(self, number: int, groups: Sequence[tuple[int, ...]]) -> tuple[Shown, int | None]:
        """Return what an edit showed, and the number of its group: what cannot stand alone has its verdict."""
        shown = self.alone.get(number, Shown(None, why=OUT_OF_TIME))
        found = next(((i, group) for i, group in enumerate(groups, 1) if number in group), None)
        if found is None:
            # Older code of the fixed files needs the name that the edit brings: that was the bug.
            return (Shown(True, by=shown.by) if shown.missing and shown.by else shown), None
        index, group = found
        return (self.joint.get(group, Shown(None, why=OUT_OF_TIME)) if shown.missing else shown), index


@dataclass(slots=True)
class EditProof:
    """Proves the edits of one fix, within the budget of `runs`."""

    fix: FixResult
    where: Where
    difference: Difference
    near: Sequence[Selector]
    rootdir: str
    runs: Runs
    timeout: float

    def __call__(self, judged: Judged) -> list[EditResult]:
        """Add to `judged` what is not known yet, as far as the budget goes, and return the results."""
        reversals = reversals_of(self.difference)
        pieces = [reversal.piece for reversal in reversals]
        if not judged.is_complete(pieces) and self.runs.affordable():
            started = self.runs.started
            witnesses, measured = self._witnesses(pieces)
            if witnesses:
                spare = self.runs.started - started < _MOST_BESIDE
                self._run(judged, reversals, witnesses, measured=measured, spare=spare)
        groups = judged.groups(pieces)
        return [
            self._result(reversal, *judged.verdict(reversal.piece.number, groups)) for reversal in reversals
        ]

    def _run(
        self,
        judged: Judged,
        reversals: Sequence[Reversal],
        witnesses: tuple[Witness, ...],
        *,
        measured: bool,
        spare: bool,
    ) -> None:
        pieces = [reversal.piece for reversal in reversals]
        guards = tuple(witness for witness in witnesses if witness.guard)
        asked = {p.number: witnesses_of(p, witnesses, measured=measured) for p in pieces}
        left = [piece for piece in pieces if piece.number not in judged.alone]
        unseen = tuple(piece.number for piece in left if not asked[piece.number])
        if len(unseen) > 1 and spare:
            together = self._judged({unseen: guards}, reversals).get(unseen)
            if together is not None and together.guarded is False:
                judged.alone.update(dict.fromkeys(unseen, replace(together, why=NOT_RUN)))
                left = [piece for piece in left if piece.number not in judged.alone]
        asked.update(dict.fromkeys(unseen, guards))
        cost = {number: sum(w.seconds for w in chosen) for number, chosen in asked.items()}
        alone: dict[tuple[int, ...], tuple[Witness, ...]] = {
            (piece.number,): asked[piece.number] for piece in in_order(left, cost)
        }
        for (number,), shown in self._judged(alone, reversals).items():
            unseen_still = number in unseen and shown.guarded is False
            judged.alone[number] = replace(shown, why=NOT_RUN) if unseen_still else shown
        joint = {
            group: tuple({witness.id: witness for number in group for witness in asked[number]}.values())
            for group in judged.groups(pieces)
            if group not in judged.joint
        }
        judged.joint.update(self._judged(joint, reversals))

    def _judged(
        self, asked: Mapping[tuple[int, ...], tuple[Witness, ...]], reversals: Sequence[Reversal]
    ) -> dict[tuple[int, ...], Shown]:
        """Put back groups of edits (by number), each in a run of its own."""
        names, modules = self._names(reversals)
        groups = {
            Probe(
                self.fix.commit,
                self.where,
                f"edit-{'-'.join(map(str, group))}",
                frozenset(witness.selector for witness in chosen),
            ): group
            for group, chosen in asked.items()
        }
        seconds = {probe: sum(w.seconds for w in asked[group]) for probe, group in groups.items()}
        judges = {group: judge(probe, asked[group], names, modules) for probe, group in groups.items()}

        def run(batch: Sequence[Probe]) -> dict[Probe, Run]:
            answers: dict[Probe, Run] = {}
            for probe in batch:
                if not self.runs.affordable():
                    break
                first = replace(probe, repeat=0)
                ground = self._ground([reversals[number] for number in groups[first]])
                self.runs.grounds[probe.fix, probe.where, probe.side] = ground
                limit = self.timeout + _START + 5 * seconds[first]
                answers.update(self.runs.in_turn([probe], limit))
            return answers

        found = drive(judges, run, self.runs.affordable)
        return {group: shown for group, shown in found.items() if shown is not None}

    def _ground(self, reversals: Sequence[Reversal]) -> Ground:
        edits = laid_back(reversals)
        ground = self.difference.ground("after")
        gone = [path for path, content in edits.items() if content is None]
        listing = tuple(self.difference.sides.listing)
        absent = {name for path in gone for name in self.difference.dotted(path, listing)}
        return replace(
            ground,
            tree=self.runs.pool.write_tree(self.difference.after, edits),
            absent=tuple(sorted({*ground.absent, *absent})),
            wanted={},
        )

    def _names(self, reversals: Iterable[Reversal]) -> tuple[Collection[str], Collection[str]]:
        """Return the names and the modules that the fix defines."""
        added = self.difference.added
        names = added.names | added.parameters | added.signatures
        return names.union(*(reversal.piece.defines for reversal in reversals)), added.modules

    def _witnesses(self, pieces: Sequence[Piece]) -> tuple[tuple[Witness, ...], bool]:
        """Run guards and tests near the fix with it in place, and note which edits each runs."""
        guards = {
            test.id: selector_of(test.id, self.rootdir) for test in self.fix.tests if test.shows == "proven"
        }
        files = {selector.path for selector in guards.values()} | {s.path for s in self.near}
        wide = frozenset(Selector(path) for path in files)
        left = self.runs.deadline - time.monotonic()
        run = self._after(wide, pieces, left * _SHARE)
        seen = {id for id, outcome in run.outcomes.items() if outcome.status == "passed"} if run else set()
        if not guards.keys() <= seen:  # too slow to run whole files, or they spoil each other
            run = self._after(frozenset(guards.values()), pieces, left / 2)
        if run is None:
            return (), False
        witnesses = tuple(
            Witness(
                id,
                selector_of(id, self.rootdir),
                outcome.duration,
                id in guards,
                {path: frozenset(lines) for path, lines in run.reached.get(id, {}).items()},
            )
            for id, outcome in run.outcomes.items()
            if outcome.status == "passed"
        )
        return witnesses, not run.reach_note and any(any(w.ran.values()) for w in witnesses)

    def _after(self, selectors: frozenset[Selector], pieces: Sequence[Piece], limit: float) -> Run | None:
        ground = self.difference.ground("after")
        wanted = {path: set(lines) for path, lines in ground.wanted.items()}
        for piece in pieces:
            if piece.measured:
                wanted.setdefault(piece.path, set()).update(piece.measured)
        lines = {path: tuple(sorted(numbers)) for path, numbers in wanted.items()}
        probe = Probe(self.fix.commit, self.where, "after", selectors, repeat=1)
        self.runs.grounds[probe.fix, probe.where, probe.side] = replace(ground, wanted=lines)
        return self.runs.in_turn([probe], limit).get(probe)

    def _result(self, reversal: Reversal, shown: Shown, group: int | None) -> EditResult:
        guards = [test.id for test in self.fix.tests if test.shows == "proven"]
        near = shown.near or (guards if shown.guarded is False else ())
        edit, file = reversal.edit, reversal.file
        return EditResult(
            path=reversal.piece.path,
            line=reversal.piece.line,
            lines=list(edit.lines) if edit else [],
            guarded=shown.guarded,
            by=list(shown.by),
            group=group,
            code=edit.code if edit else _whole(file.after),
            was=edit.was if edit else _whole(file.before),
            near=list(near)[:MOST_SHOWN],
            why=shown.why,
        )


def _whole(content: bytes | None) -> str:
    """Return the first line of a file that is one edit as a whole."""
    if content is None or b"\0" in content[:8000]:
        return ""
    return decode(content[:400]).strip().partition("\n")[0]


_VERSION = 2
_Row = tuple[tuple[int, ...], bool | None, tuple[str, ...], tuple[str, ...], list[str], list[str], str]


def encode(judged: Judged) -> bytes:
    """Write down what is known, for the next run."""
    known = [((number,), shown) for number, shown in judged.alone.items()]
    rows = [
        [
            (
                group,
                shown.guarded,
                shown.by,
                shown.near,
                sorted(shown.missing),
                sorted(shown.unbound),
                shown.why,
            )
            for group, shown in part
        ]
        for part in (known, list(judged.joint.items()))
    ]
    return msgspec.json.encode([_VERSION, *rows])


def decode_judged(data: bytes | None) -> Judged:
    """Read what an earlier run wrote down; what cannot be read is not known."""
    try:
        version, alone, joint = msgspec.json.decode(
            data or b"[0,[],[]]", type=tuple[int, list[_Row], list[_Row]]
        )
    except msgspec.DecodeError:
        return Judged()
    if version != _VERSION:
        return Judged()
    return Judged({row[0][0]: _shown(row) for row in alone}, {row[0]: _shown(row) for row in joint})


def _shown(row: _Row) -> Shown:
    _, guarded, by, near, missing, unbound, why = row
    return Shown(guarded, by, near, frozenset(missing), frozenset(unbound), why)
