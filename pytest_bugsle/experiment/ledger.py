"""The ledger of looks: read before a gate judges, and written before its verdict is shown.  PYTEST_DONT_REWRITE

Looks stand in the history of the tests (`.bugsle/history.db`, or PostgreSQL by URL) and in committed files; both
are united. Who looked in between is noticed when the look is written, and then the data are judged anew.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pytest_bugsle.errors import BugsleError, ProgramError, UsageError
from pytest_bugsle.experiment import committed, lock, looks
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.looks import Memory, PastLook
from pytest_bugsle.results import ExperimentCheck, ExperimentResult
from pytest_bugsle.store.database import StoreError
from pytest_bugsle.store.entries import Entry
from pytest_bugsle.store.history import History, open_history
from pytest_bugsle.store.place import state_folder

LOOK, DESIGN = "look", "design"
_FILE = "history.db"
_TRIES = 10

Judge = Callable[[Memory], list[ExperimentResult]]


@dataclass(slots=True)
class Owner:
    """Whose looks they are: a named experiment, or a test by its id; mutable, since its gates are counted.

    `name` is the experiment's, `test` the test's id, and `suffix` the parameters of the test.
    """

    name: str
    test: str = ""
    suffix: str = ""
    is_named: bool = False
    _seen: Counter[str] = field(default_factory=Counter)

    def key_of(self, metric: str) -> str:
        """Return by what a metric is known in the ledger: two gates of one test may have one name."""
        twin = f" #{self._seen[metric] + 1}" if self._seen[metric] else ""
        return f"{metric}{self.suffix}{twin}"

    def count(self, results: Sequence[ExperimentResult]) -> None:
        """Note which metrics a gate has judged."""
        self._seen.update(result.metric for result in results)


class Ledger:
    """All that is remembered of looks at experiments, from here on; `close` it."""

    def __init__(
        self, top: Path, *, store: str | None, ci: bool, session: str, outer: Path | None = None
    ) -> None:
        """`top` is the repository's top, `session` tells this run from others.

        `outer` is the repository around a run in a copy: its looks are known there, and none is added to them.
        """
        self._top = top
        self._outer = outer
        self._store = store
        self._ci = ci
        self._session = session
        self._history: History | None = None
        self._unkept = ""
        self._is_open = False
        self._believed = False

    def close(self) -> None:
        """Let go of the history."""
        if self._history is not None:
            self._history.close()
            self._history = None

    def judged(
        self, owner: Owner, judge: Judge, design: Design, design_fields: lock.Fields | None = None
    ) -> list[ExperimentResult]:
        """Judge with what is remembered, and remember that; a changed design is not judged at all.

        UsageError for a ledger that cannot be read, and for two tests that judge one metric by different data.
        """
        for _ in range(_TRIES):
            file = committed.read(committed.place(self._top, owner.name), owner.name)
            kept = self._looks(owner)
            past = looks.united(kept, () if file is None else file.looks)
            wrong, notes = self._held(owner, file, past, design_fields)
            if wrong:
                from pytest_bugsle.experiment import outcome

                return [outcome.invalid(design, wrong, test=owner.test)]
            memory = self._memory(owner, past, notes, has_file=file is not None)
            results = judge(memory)
            if self._remember(owner, past, kept, results, design_fields):
                owner.count(results)
                return results
        raise ProgramError(
            f"the looks at {owner.name!r} change all the time: {_TRIES} times another run looked in between.",
            hint="let one run at a time judge an experiment",
        )

    def settle(self, results: Sequence[ExperimentResult]) -> None:
        """Note which looks passed alone and not among the decisions of their session."""
        for result in results:
            for one in self._entries(LOOK, result.experiment):
                look = _decoded(one)
                if look is not None and look.data == result.data and looks.is_of(look, result.metric):
                    self._put(
                        _entry(result.experiment, msgspec.structs.replace(look, outcome=result.outcome))
                    )

    def kept(self, kind: str) -> list[Entry]:
        """Return all entries of a kind, for `bugsle accept`; errors of the store are raised."""
        self._open()
        if self._history is None:
            raise ProgramError(
                f"no looks can be read: {self._unkept}.", hint="see that .bugsle/ can be written"
            )
        return self._history.entries(kind)

    def _open(self) -> None:
        if self._is_open:
            return
        self._is_open = True
        folder = state_folder(self._outer or self._top, bare=False)
        local = None if folder is None else folder / _FILE
        try:
            if self._store is not None:
                self._history = open_history(self._store, fallback=local)
            elif local is not None:
                self._history = open_history(local)
            else:
                self._unkept = "no folder can be written that would remember it"
                return
            if self._history.stands_in:
                self._unkept = "the server that remembers the looks is out of reach"
            elif self._ci and self._store is None:
                self._believed = any(
                    look is not None and look.session != self._session
                    for look in map(_decoded, self._history.entries(LOOK))
                )
                if not self._believed:
                    self._unkept = (
                        "no ledger persists (this CI machine's .bugsle has no look of an earlier run)"
                    )
        except StoreError as error:
            self._lose(error)

    def _lose(self, error: BugsleError) -> None:
        self.close()
        self._unkept = f"the ledger cannot be used ({error.what})"

    def _entries(self, kind: str, owner: str) -> list[Entry]:
        self._open()
        if self._history is None:
            return []
        try:
            return self._history.entries(kind, owner)
        except StoreError as error:
            self._lose(error)
            return []

    def _put(self, entry: Entry) -> None:
        if self._history is not None and self._outer is None:
            try:
                self._history.put([entry])
            except StoreError as error:
                self._lose(error)

    def _looks(self, owner: Owner) -> list[PastLook]:
        return [look for look in map(_decoded, self._entries(LOOK, owner.name)) if look is not None]

    def _memory(
        self, owner: Owner, past: Sequence[PastLook], notes: tuple[str, ...], *, has_file: bool
    ) -> Memory:
        def of(metric: str) -> list[PastLook] | None:
            if self._unkept and not has_file:
                return None
            name = owner.key_of(metric)
            return [look for look in past if look.metric == name]

        said = [] if self._history is None else [f"the ledger: {note}" for note in self._history.notes]
        return Memory(owner.name, of, self._unkept, (*notes, *said))

    def _held(
        self,
        owner: Owner,
        file: committed.Committed | None,
        past: Sequence[PastLook],
        design: lock.Fields | None,
    ) -> tuple[list[ExperimentCheck], tuple[str, ...]]:
        """Return the checks that fire and the notes where a design is not as it was locked."""
        if not owner.is_named or design is None:
            return [], ()
        metric = str(design["metric"])
        if file is None or not file.designs:
            return [], (f"the design of {owner.name!r} is not locked: `bugsle accept` locks it",)
        where = str(file.path.relative_to(self._top))
        found = file.designs.get(metric)
        if found is None:
            first = past[0].at if past else ""
            if not first or design.get("role") != "decision":
                return [], (f"{metric!r} is not locked in {where}: `bugsle accept` locks it",)
            change = lock.Change("metric", " or ".join(sorted(file.designs)), metric)
            return [lock.changed_after_look(change, f"{where}:{file.line_of('', '')}", first)], ()
        looked = [look.at for look in past if looks.is_of(look, metric)]
        wrong, notes = [], []
        for change in lock.changes(found, design):
            at = f"{where}:{file.line_of(metric, change.field)}"
            if looked and lock.is_grave(change):
                wrong.append(lock.changed_after_look(change, at, looked[0]))
            else:
                rest = "" if looked else "; there was no look yet, `bugsle accept` locks it anew"
                notes.append(lock.noted(change, at) + rest)
        return wrong, tuple(notes)

    def register(self, owner: Owner, design: lock.Fields) -> None:
        """Keep the design that a named experiment has now, for `bugsle accept` to lock."""
        kept = self._entries(DESIGN, owner.name)
        content = json.dumps(design, sort_keys=True, default=str)
        same = [entry for entry in kept if entry.name == design["metric"]]
        digest = lock.digest_of(json.loads(content))
        if not same or same[-1].digest != digest:
            written = max([time.time(), *(entry.written + 1e-3 for entry in same)])
            text = json.dumps({"design": design, "written": written}, sort_keys=True, default=str)
            self._put(Entry(DESIGN, owner.name, str(design["metric"]), digest, written, text))

    def _remember(
        self,
        owner: Owner,
        past: Sequence[PastLook],
        kept: Sequence[PastLook],
        results: Sequence[ExperimentResult],
        design_fields: lock.Fields | None,
    ) -> bool:
        """Write the looks that these results are; say whether nobody looked in between."""
        registered = ""
        if owner.is_named and design_fields is not None:
            could = self._history is not None
            self.register(owner, design_fields)
            if could and self._history is None:
                return False
            registered = lock.digest_of(json.loads(json.dumps(design_fields, default=str)))
        for result in results:
            name = owner.key_of(result.metric)
            before = [look for look in past if look.metric == name]
            self._refuse_twins(owner, before, result)
            if (
                self._history is None
                or self._outer is not None
                or any(look.data == result.data for look in before)
            ):
                continue
            number = len(before) + 1
            look = looks.look_of(
                result,
                metric=name,
                number=number if result.look is None or result.look.number is None else result.look.number,
                at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                test=owner.test,
                design=registered,
                session=self._session,
            )
            if look is None:
                continue
            expected = sum(one.metric == name for one in kept)
            try:
                if not self._history.put_next(_entry(owner.name, look), expected):
                    return False
            except StoreError as error:
                # What is not remembered must not have passed by what was: it is judged anew, without.
                self._lose(error)
                return False
        return True

    def _refuse_twins(self, owner: Owner, before: Sequence[PastLook], result: ExperimentResult) -> None:
        """Raise UsageError where another test of this session judged this metric by other data."""
        for look in before:
            if look.session == self._session and look.test != owner.test and look.data != result.data:
                raise UsageError(
                    f"{look.test} and {owner.test} judge {result.metric!r} of experiment {owner.name!r} by different data.",
                    why="one would count as a look at the other",
                    hint="give the metrics names of their own: metric=…",
                )


def _entry(owner: str, look: PastLook) -> Entry:
    content = msgspec.json.encode(look).decode()
    return Entry(LOOK, owner, look.metric, look.data, time.time(), content)


def _decoded(entry: Entry) -> PastLook | None:
    """Return the look that an entry holds; None for one that a newer program wrote."""
    try:
        return msgspec.json.decode(entry.content, type=PastLook)
    except msgspec.DecodeError:
        return None


def looks_of(entries: Sequence[Entry]) -> dict[str, list[PastLook]]:
    """Return the looks that were kept, by experiment."""
    found: dict[str, list[PastLook]] = {}
    for entry in entries:
        look = _decoded(entry)
        if look is not None:
            found.setdefault(entry.owner, []).append(look)
    return found


def designs_of(entries: Sequence[Entry]) -> Mapping[str, dict[str, dict[str, Any]]]:
    """Return the designs that were kept, by experiment, metric and digest, each the newest last."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in entries:
        design = json.loads(entry.content)["design"]
        found.setdefault(entry.owner, {}).setdefault(entry.name, {})[entry.digest] = design
    return found
