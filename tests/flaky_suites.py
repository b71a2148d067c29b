"""Build suites whose tests depend on one another: as real files, and as pure functions of their order."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from repositories import Files, Repo, Said, bugsle
from runner_trees import Trees

from pytest_bugsle.flaky.search import Probe
from pytest_bugsle.runner.outcome import Outcome, Ran, Request
from pytest_bugsle.runner.sequences import Sequences

T = TypeVar("T")

PLAIN = """
    [pytest]
    addopts = -p no:hypothesispytest -p no:randomly -p no:anyio
"""
"""Without the plugins that cost every inner run half a second."""


# --- suites as pure functions ----------------------------------------------------------------------


class Simulated:
    """A suite that is a function of its order: `fails(before, test)` says whether a test fails there.

    `before` holds all tests that ran earlier in the same process.
    """

    def __init__(self, fails: Callable[[tuple[int, ...], int], bool]) -> None:
        self.fails = fails
        self.asked: list[Probe] = []

    def ran(self, probe: Probe) -> Ran:
        """Answer one probe."""
        self.asked.append(probe)
        outcomes = tuple(
            Outcome(str(test), "failed" if self.fails(probe.tests[:place], test) else "passed")
            for place, test in enumerate(probe.tests)
        )
        return Ran(outcomes, "finished", 0.0, plain=probe.apart)

    def answer(self, judge: Generator[tuple[Probe, ...], Mapping[Probe, Ran], T], most: int = 100_000) -> T:
        """Drive one judge to its end; an AssertionError where it asks for more than `most` probes."""
        try:
            probes = next(judge)
            while True:
                assert len(self.asked) + len(probes) <= most, "the search asks for too much"
                probes = judge.send({probe: self.ran(probe) for probe in probes})
        except StopIteration as end:
            value: T = end.value
            return value


def failed(ran: Ran) -> bool:
    """Say whether the last test of a run failed."""
    return ran.last is not None and ran.last.status == "failed"


def polluted(
    polluters: Sequence[int] = (), cleaners: Sequence[int] = (), *, ordered: bool = False
) -> Callable[[tuple[int, ...]], bool]:
    """Say whether some state is polluted: all polluters ran (in this order) since the last cleaner."""

    def state(before: tuple[int, ...]) -> bool:
        last = max((place for place, test in enumerate(before) if test in cleaners), default=-1)
        since = before[last + 1 :]
        if not ordered:
            return set(polluters) <= set(since)
        left = iter(since)
        return all(polluter in left for polluter in polluters)

    return state


# --- real suites -----------------------------------------------------------------------------------


@contextlib.contextmanager
def sequences(
    top: Path,
    files: Mapping[str, str],
    *args: str,
    timeout: float = 10.0,
    deadline: float = 90.0,
    **more: Any,
) -> Iterator[Sequences]:
    """Give a collected pytest over a tree with these files; the tree is put back after each sequence."""
    trees = Trees(top)
    trees.write({"pytest.ini": PLAIN, **files})
    kept = top / "kept"
    shutil.copytree(trees.tree, kept, symlinks=True)

    def state(where: Path) -> dict[str, bytes]:
        return {
            path.relative_to(where).as_posix(): b"" if path.is_dir() else path.read_bytes()
            for path in sorted(where.rglob("*"))
            if not {"__pycache__", ".pytest_cache"} & set(path.parts)
        }

    begun = state(kept)

    def tidy() -> bool:
        if trees.tree.is_dir() and state(trees.tree) == begun:
            return False
        shutil.rmtree(trees.tree, ignore_errors=True)
        shutil.copytree(kept, trees.tree, symlinks=True)
        return True

    trees.user.mkdir(parents=True, exist_ok=True)
    (top / "scratch").mkdir(exist_ok=True)
    inifile = next((name for name in ("pytest.ini", "pyproject.toml") if files.get(name)), "pytest.ini")
    options = {"python": sys.executable, "user_top": trees.user, "inifile": inifile} | more
    request = Request(
        tree=trees.tree,
        scratch=top / "scratch",
        selectors=(),
        timeout=timeout,
        deadline=deadline,
        args=args,
        everything=True,
        **options,
    )
    with Sequences(request, tidy) as found:
        yield found


def numbered(collected: Sequences) -> dict[str, int]:
    """Index the numbers of tests by the last part of their ids (the first of several)."""
    found: dict[str, int] = {}
    for item in collected.items:
        found.setdefault(item.id.rpartition("::")[2], item.number)
    return found


def statuses(ran: Ran) -> list[str]:
    """Return the status of each outcome, in order."""
    return [outcome.status for outcome in ran.outcomes]


def elsewhere(collected: Sequences, top: Path) -> Path:
    """Give a copy of the tree for a process of its own."""
    where = top / "elsewhere"
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(top / "kept", where, symlinks=True)
    return where


# --- the whole command -----------------------------------------------------------------------------

CONFIGURATION = """
    [tool.pytest.ini_options]
    testpaths = ["tests"]
    addopts = ["-p", "no:hypothesispytest", "-p", "no:randomly", "-p", "no:anyio"]
"""


def project(top: Path, files: Files, *, configuration: str = CONFIGURATION) -> Repo:
    """Give a repository with these files."""
    return Repo(top / "project", configuration=configuration, start=files)


def hunt(repo: Repo, *args: str, **environ: str) -> Said:
    """Run `bugsle flaky hunt` in this process; the report is held to its schema."""
    path = repo.top.parent / "report.json"
    return bugsle(repo, "flaky", "hunt", "--report", f"json:{path}", *args, **environ)


def told_of(said: Said) -> dict[str, dict[str, Any]]:
    """Index what a hunt says of each test by the last part of its id."""
    assert said.report, f"no report, exit {said.code}: {said.all}"
    return {test["id"].rpartition("::")[2]: test for test in said.report["tests"]}
