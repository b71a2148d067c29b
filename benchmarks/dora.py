"""Speed of the delivery room: against one raw `git log` of the same fields, and against PyDriller."""

from __future__ import annotations

import importlib.util
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import histories
from benchmarks.measuring import Figure, environment, git, seconds
from pytest_bugsle.git.stream import ARGUMENTS

COMMITS = 20_000
_START_UP = 0.15
_ROUNDS = 5
_WINDOW = 600
"""Commits of the window in which fixes are traced; a third of them are fixes: twice what pytest has in a year."""

_TRAVERSE = """
import sys
from pydriller import Repository
print(sum(1 for _ in Repository(sys.argv[1], order="reverse").traverse_commits()))
"""
#: Linux hands the peak of the parent on to a child, so that ours is asked of the address space itself.
_MEMORY = """
import pathlib, re, resource, sys
from pytest_bugsle.cli import main
main(["dora", "--repo", sys.argv[1], "--since", sys.argv[2], "--report", "json:" + sys.argv[3]])
status = pathlib.Path("/proc/self/status")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else peak)
"""


def delivery(folder: Path) -> list[Figure]:
    """Measure all figures over a whole history, with nothing kept and with everything kept."""
    _history(folder)
    environ = {**environment(), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    ours = [sys.executable, "-m", "pytest_bugsle", "dora", "--repo", str(folder), "--since", "1970-01-01"]
    raw = ["git", "-C", str(folder), *ARGUMENTS, "--all"]
    pairs = []
    for _ in range(_ROUNDS + 1):
        shutil.rmtree(folder / ".bugsle", ignore_errors=True)
        pairs.append((cpu_seconds(ours, folder, environ), cpu_seconds(raw, folder, environ)))
    ratio = statistics.median((mine - _START_UP) / floor for mine, floor in pairs[1:])
    mine, floor = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    again = statistics.median(seconds(ours, folder, environ=environ) for _ in range(_ROUNDS))
    figures = [
        Figure(
            f"dora: {COMMITS:,} commits, CPU against raw git log",
            ratio,
            1.6,
            "x",
            f"({mine:.2f} s − {_START_UP} s) / {floor:.2f} s",
        ),
        Figure("dora: a second run with nothing new", again, 0.3, "s", f"median of {_ROUNDS}"),
        Figure(
            "dora: memory a commit", memory(folder, environ), 2.0, "KiB", "the peak above a run on one commit"
        ),
    ]
    if importlib.util.find_spec("pydriller"):
        peer = cpu_seconds([sys.executable, "-c", _TRAVERSE, str(folder)], folder, environ)
        detail = f"{mine:.2f} s / {peer:.2f} s"
        figures.append(Figure("dora: CPU against PyDriller's bare walk", mine / peer, 0.25, "x", detail))
    return figures


def cpu_seconds(command: list[str], folder: Path, environ: dict[str, str]) -> float:
    """Return user and system seconds of a command and of all that it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory(folder: Path, environ: dict[str, str]) -> float:
    """Return KiB a commit: the peak of a run over all of them, above that of a run on a repository of one."""
    one = folder.parent / "one"
    one.mkdir()
    git(one, "init", "-q", "-b", "main")
    git(one, "commit", "-q", "--allow-empty", "-m", "feat: one")
    shutil.rmtree(folder / ".bugsle", ignore_errors=True)
    peaks = []
    for repo in (folder, one):
        report = folder.parent / "dora.json"
        command = [sys.executable, "-c", _MEMORY, str(repo), "1970-01-01", str(report)]
        done = subprocess.run(command, cwd=repo, env=environ, capture_output=True, check=True)
        peaks.append(int(done.stdout.split()[-1]))
    scale = 1024 if sys.platform == "darwin" else 1  # bytes there, KiB elsewhere
    return (peaks[0] - peaks[1]) / scale / COMMITS


def _history(folder: Path) -> None:
    """Write a history as projects have it: topic branches that are merged, messages with bodies, 100 releases."""
    git(folder, "init", "-q", "-b", "main")
    stream: list[str] = []
    body = "The cause was found in the way that the reader kept its state.\n" * 4
    tip = None
    for number in range(1, COMMITS + 1):
        merged = number % 4 == 0
        subject = f"{'fix' if number % 7 == 0 else 'feat'}: change {number}" + " (#1)" * merged
        text = f"{subject}\n\n{body}"
        stream.append(
            f"commit refs/heads/{'main' if merged or number == 1 else 'topic'}\nmark :{number}\n"
            f"author a{number % 50} <a{number % 50}@example.invalid> {1_500_000_000 + number * 600} +0000\n"
            f"committer b <b@example.invalid> {1_500_000_000 + number * 600} +0000\n"
            f"data {len(text)}\n{text}\n"
        )
        if tip:
            stream.append(f"from :{tip}\n" + f"merge :{number - 1}\n" * (merged and tip != number - 1))
        stream.append(f"M 100644 inline file\ndata {len(str(number))}\n{number}\n")
        # A topic of three commits, each upon the other; the merge has the mainline as its first parent.
        tip = number if number % 4 != 3 else max(number - 3, 1)
        if number % (COMMITS // 100) == 0:
            stream.append(f"reset refs/tags/v1.{number // (COMMITS // 100)}.0\nfrom :{number}\n\n")
    git(folder, "fast-import", "--quiet", input="".join(stream).encode())
    git(folder, "checkout", "-q", "main")


def tracing(folder: Path) -> list[Figure]:
    """Trace the fixes of a window in a long history to the commits that wrote what they changed, and again."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "fast-import", "--quiet", input=b"".join(histories.stream()))
    git(folder, "checkout", "-q", "main")
    for name, back in (("v1.0.0", _WINDOW * 4), ("v1.1.0", _WINDOW // 2), ("v1.2.0", 0)):
        git(folder, "tag", name, f"main~{back}")
    day = subprocess.run(
        ["git", "-C", str(folder), "log", "-1", "--format=%cI", f"main~{_WINDOW}"],
        capture_output=True, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    environ = {**environment(), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    asked = [sys.executable, "-m", "pytest_bugsle", "dora", "--repo", str(folder), "--szz", "--since", day]
    first, again = (seconds(asked, folder, environ=environ) for _ in range(2))
    told = f"{_WINDOW // 3} fixes of {histories.COMMITS:,} commits"
    return [
        Figure("dora --szz: nothing kept", first, 60.0, "s", told),
        Figure("dora --szz: traced before", again, 2.0, "s", told),
    ]


MEASURES: tuple[Callable[[Path], list[Figure]], ...] = (delivery, tracing)
