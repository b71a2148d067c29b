"""`bugsle accept`: write looks and locked designs into files that are committed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pytest_bugsle.experiment import committed, lock, looks
from pytest_bugsle.experiment.ledger import DESIGN, LOOK, Ledger, designs_of, looks_of
from pytest_bugsle.experiment.looks import PastLook
from pytest_bugsle.settings import Settings


def accept_looks(top: Path, settings: Settings, today: dt.date) -> list[str]:
    """Write what the ledger has and the files lack; return a line for each thing that was written, or was not.

    A look is never taken out of a file. A design is locked as it was at the first look, and a lock changes only
    before that. UsageError for a file that cannot be read, before anything is written.
    """
    with closing(Ledger(top, store=settings.store, ci=False, session="")) as ledger:
        kept, designs = looks_of(ledger.kept(LOOK)), designs_of(ledger.kept(DESIGN))
    lines: list[str] = []
    written: list[tuple[Path, str]] = []
    for experiment in sorted({*kept} | {*designs}):
        path = committed.place(top, experiment)
        file = committed.read(path, experiment) or committed.Committed(path)
        all_looks = looks.united(file.looks, kept.get(experiment, ()))
        locks, said = _locks(file.designs, designs.get(experiment, {}), all_looks, today)
        added = len(all_looks) - len(file.looks)
        if added:
            said.insert(0, f"{added} {'look' if added == 1 else 'looks'} added")
        text = committed.text_of(experiment, locks, all_looks)
        if (all_looks or locks) and text != file.text:
            written.append((path, text))
        lines += [f"{path.relative_to(top).as_posix()}: {one}" for one in said]
    for path, text in written:
        committed.write(path, text)
    return lines


def _locks(
    old: Mapping[str, lock.Fields],
    kept: Mapping[str, Mapping[str, dict[str, Any]]],
    past: list[PastLook],
    today: dt.date,
) -> tuple[dict[str, lock.Fields], list[str]]:
    """Return the locks that there are to be, and what is to be said of them."""
    made, said = dict(old), []
    for metric, by_digest in sorted(kept.items()):
        newest = list(by_digest.values())[-1]
        first = next((look for look in past if looks.is_of(look, metric)), None)
        if metric not in old:
            design = by_digest.get(first.design, newest) if first is not None else newest
            made[metric] = lock.locked(design, today.isoformat())
            said.append(f"the design of {metric} is locked" + _differs(design, newest))
        elif first is None and any(lock.changes(old[metric], newest)):
            made[metric] = lock.locked(newest, today.isoformat())
            said.append(f"the design of {metric} is locked anew: there was no look yet")
        elif any(map(lock.is_grave, lock.changes(old[metric], newest))):
            said.append(
                f"the design of {metric} stays as it was locked, and the tests have another: a design that changes "
                "after its first look is a new experiment, with a new name"
            )
    return made, said


def _differs(design: lock.Fields, newest: lock.Fields) -> str:
    if any(map(lock.is_grave, lock.changes(design, newest))):
        return ", as it was at the first look; it has changed since"
    return ""
