"""Answer the probes of a proof: lay the trees, start pytest, hand back the outcomes.  PYTEST_DONT_REWRITE

Probes that ask for the same tree, repetition and stubbing are answered by one process.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_bugsle.git import slots
from pytest_bugsle.runner import environment, inner
from pytest_bugsle.runner.configuration import read_configuration
from pytest_bugsle.runner.outcome import Request, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.regression.proof import Probe, Side, Where
    from pytest_bugsle.runner.outcome import Selector

_LIGHT = 20
"""Tests up to which a probe shares a process with others; a heavy one must not cost them their answer."""
_WHOLE_FILE = 10
"""For how many tests a whole file counts."""
_WORTH_STARTING = 1.0
"""Seconds that must be left of the budget for another run to make sense."""


@dataclass(frozen=True, slots=True)
class Ground:
    """One side of one fix: the tree, and what to watch in it."""

    tree: str
    commit: str | None
    changed: tuple[str, ...]
    import_roots: tuple[str, ...]
    owned: tuple[str, ...]
    absent: tuple[str, ...] = ()
    missing_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wanted: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Runs:
    """Runs probes in the pool until `deadline` (of time.monotonic)."""

    pool: Pool
    python: str
    user_top: Path
    rootdir: str
    inifile: str | None
    grounds: dict[tuple[str, Where, Side], Ground]
    timeout: float
    deadline: float
    args: tuple[str, ...]
    copy: tuple[str, ...]
    no_reach: str
    say: Callable[[str], None]
    seconds: float = 0.0
    started: int = 0
    dropped: set[str] = field(default_factory=set)

    def __call__(self, probes: Sequence[Probe]) -> dict[Probe, Run]:
        """Answer what the budget allows; a probe that is not in the result was not run."""
        answers: dict[Probe, Run] = {}
        groups = self._groups(probes)
        for number, members in enumerate(groups):
            left = self.deadline - time.monotonic()
            if left < _WORTH_STARTING:
                break
            # Small ones go first, and no run may eat up what the others need: first runs leave a share
            # for the second ones, without which they prove nothing.
            shares = len(groups) - number + (not members[0].repeat)
            run = self._run(members, left / shares)
            answers.update((probe, _share(run, probe.selectors)) for probe in members)
        return answers

    def in_turn(self, probes: Sequence[Probe], limit: float) -> dict[Probe, Run]:
        """Answer probes one by one in their order, each within `limit` seconds, as far as the budget goes."""
        answers: dict[Probe, Run] = {}
        for probe in probes:
            left = self.deadline - time.monotonic()
            if left < _WORTH_STARTING:
                break
            run = self._run([probe], min(left, limit))
            if run.ended == "timeout" and limit > left:
                break  # cut off by the budget: it was not judged
            answers[probe] = run
        return answers

    def _groups(self, probes: Sequence[Probe]) -> list[list[Probe]]:
        """Return the probes by the process that answers them, the smallest first."""
        groups: dict[tuple[str, str, int, bool, str], list[Probe]] = {}
        for probe in sorted(probes, key=_weight):
            ground = self.grounds[probe.fix, probe.where, probe.side]
            alone = probe.fix if _weight(probe) > _LIGHT else ""
            groups.setdefault((probe.side, ground.tree, probe.repeat, probe.stub, alone), []).append(probe)
        return list(groups.values())

    def affordable(self) -> bool:
        """Say whether the budget has time for another run."""
        return self.deadline - time.monotonic() >= _WORTH_STARTING

    def _run(self, probes: Sequence[Probe], left: float) -> Run:
        first = probes[0]
        grounds = [self.grounds[probe.fix, probe.where, probe.side] for probe in probes]
        tree = self._lay(first.side, grounds[0])
        rootdir, inifile = self._configuration(tree, first.where)
        reach = None
        if first.repeat and not self.no_reach:
            reach = _union_lines(ground.wanted for ground in grounds)
        request = Request(
            python=self.python,
            tree=tree,
            scratch=self.pool.scratch,
            selectors=tuple(sorted(_union(probes), key=lambda s: (s.path, sorted(s.names or ())))),
            user_top=self.user_top,
            rootdir=rootdir,
            inifile=inifile,
            changed=tuple(sorted({path for ground in grounds for path in ground.changed})),
            import_roots=grounds[0].import_roots,
            owned=grounds[0].owned,
            absent=tuple(sorted({name for ground in grounds for name in ground.absent})),
            missing_names={name: names for ground in grounds for name, names in ground.missing_names.items()},
            reach=reach or None,
            stub=first.stub,
            timeout=min(self.timeout, left),
            deadline=left,
            args=self.args,
            coverage_dir=environment.lent_coverage(self.python) if reach else None,
            keep_open=(self.pool.lock,),
        )
        self.say(f"{first.side} {grounds[0].tree[:7]}: {len(request.selectors)} selections")
        with slots.explained(self.pool.root):
            run = inner.run(request)
        self.seconds += run.seconds
        self.started += 1
        self.dropped.update(run.dropped)
        if self.no_reach:
            run = replace(run, reach_note=self.no_reach)
        return run

    def _configuration(self, tree: Path, where: Where) -> tuple[str, str | None]:
        """Return rootdir and configuration file in a tree: the user's own, or what an old commit has."""
        if where == "tree" and (tree / self.rootdir).is_dir():
            return self.rootdir, self.inifile if self.inifile and (tree / self.inifile).is_file() else None
        found = read_configuration(_within(tree, self.rootdir), tree)
        inifile = found.inifile.relative_to(tree).as_posix() if found.inifile else None
        return found.rootdir.relative_to(tree).as_posix(), inifile

    def _lay(self, side: Side, ground: Ground) -> Path:
        """Switch a work tree to the tree wanted. Tests may write into it, so that it is cleaned each time."""
        # All edits take turns in one work tree.
        return self.pool.checkout(side.partition("-")[0], ground.tree, ground.commit, copy_extra=self.copy)


def _weight(probe: Probe) -> int:
    return sum(
        len(selector.names) if selector.names is not None else _WHOLE_FILE for selector in probe.selectors
    )


def _within(tree: Path, rootdir: str) -> Path:
    folder = tree / rootdir
    return folder if folder.is_dir() else tree


def _union(probes: Iterable[Probe]) -> set[Selector]:
    from pytest_bugsle.runner.outcome import Selector

    names: dict[str, frozenset[str] | None] = {}
    for probe in probes:
        for selector in probe.selectors:
            have = names.get(selector.path, frozenset())
            both = None if have is None or selector.names is None else have | selector.names
            names[selector.path] = both
    return {Selector(path, wanted) for path, wanted in names.items()}


def _union_lines(many: Iterable[Mapping[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    union: dict[str, set[int]] = {}
    for lines in many:
        for path, numbers in lines.items():
            union.setdefault(path, set()).update(numbers)
    return {path: tuple(sorted(numbers)) for path, numbers in union.items()}


def _share(run: Run, selectors: frozenset[Selector]) -> Run:
    """Return what a run says of some of its selectors."""
    wanted: dict[str, frozenset[str] | None] = {}
    for selector in selectors:
        have = wanted.get(selector.path, frozenset())
        wanted[selector.path] = None if have is None or selector.names is None else have | selector.names

    def asked(path: str, name: str) -> bool:
        names = wanted.get(path, frozenset())
        return names is None or name in names

    outcomes = {id: outcome for id, outcome in run.outcomes.items() if asked(outcome.path, outcome.name)}
    # Another fix's test may have hung or ended the process: these were run all the same, by the next one.
    whole = {outcome.path for outcome in outcomes.values()} >= wanted.keys() - run.collect_errors.keys()
    cut = any(outcome.status in ("missing", "timeout", "died") for outcome in outcomes.values())
    return replace(
        run,
        ended="finished" if whole and not cut else run.ended,
        outcomes=outcomes,
        collect_errors={
            path: error for path, error in run.collect_errors.items() if not path or path in wanted
        },
    )
