"""Speed of the flaky room: recording against plain pytest, the search against its peers, long histories."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from benchmarks.measuring import QUIET, ROUNDS, Figure, git, paired, seconds
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

_A_FILE = 50
_RUNS, _TESTS = 500, 2000


def _trivial(folder: Path, tests: int) -> None:
    """Write a suite in which one test pollutes the last one, from the middle."""
    (folder / "state.py").write_text("REGISTRY = []\n", encoding="utf-8")
    for first in range(0, tests, _A_FILE):
        lines = ["import state"]
        for number in range(first, first + _A_FILE):
            body = "assert True"
            if number == tests // 2:
                body = "state.REGISTRY.append(1)"
            if number == tests - 1:
                body = "assert not state.REGISTRY"
            lines.append(f"\n\ndef test_{number}():\n    {body}")
        (folder / f"test_{first // _A_FILE:03}.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "feat: tests")
    (folder / "notes.txt").write_text("x\n", encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "docs: notes")


def recording(folder: Path) -> list[Figure]:
    """Keep the attempts of 2,000 trivial tests, and run them plainly; with two workers, too."""
    _trivial(folder, 2000)
    left_out = ["--deselect", "test_039.py::test_1999"]
    figures = []
    for name, words in (("", []), (" -n 2", ["-n", "2"])):
        quiet = ["-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:hypothesispytest"]
        start = [sys.executable, "-m", "pytest", "-q", *(quiet if words else QUIET), *words, *left_out]
        ratio, ours, plain = paired([*start, "--bugsle"], start, folder, ROUNDS if not words else 5)
        peers = []
        if not words:
            rerun = [
                sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly",
                "-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:bugsle", *left_out,
            ]  # fmt: skip
            floor = statistics.median(seconds(rerun, folder) for _ in range(3))
            for peer, more in (
                ("rerunfailures", ["--reruns", "2"]),
                ("flakefinder", ["--flake-finder", "--flake-runs=2"]),
            ):
                took = statistics.median(seconds([*rerun, *more], folder) for _ in range(3))
                peers.append(f"{peer} {took / floor:.2f}")
        detail = f"{ours:.2f} s / {plain:.2f} s" + (f"; peers: {', '.join(peers)}" if peers else "")
        figures.append(Figure(f"record 2,000 trivial tests{name}", ratio, 1.10, "x", detail))
    return figures


def _search(folder: Path, tests: int) -> list[Figure]:
    _trivial(folder, tests)
    last = f"test_{tests // _A_FILE - 1:03}.py::test_{tests - 1}"
    middle = f"test_{tests // 2 // _A_FILE:03}.py::test_{tests // 2}"
    command = str(Path(sys.executable).with_name("detect-test-pollution"))
    peer = [command, "--failing-test", last, "--tests", "."]
    report = folder.parent / "result.json"
    ours = [
        sys.executable, "-m", "pytest_bugsle", "flaky", "hunt", "--suspect", last, "--report", f"json:{report}",
    ]  # fmt: skip
    whole, found = [], []
    for _ in range(3):
        theirs = seconds(peer, folder)
        took = seconds(ours, folder, ok=(1,))
        whole.append((took / theirs, took, theirs))
        result = json.loads(report.read_text(encoding="utf-8"))
        if result["tests"][0]["polluters"] != [middle]:
            raise RuntimeError(f"the polluter was not found: {result['tests'][0]}")
        found.append(result["timings"]["search"] / theirs)
    ratio, took, theirs = sorted(whole)[1]
    bound = 0.25 if tests >= 2000 else 0.5
    figures = [
        Figure(f"one polluter of {tests}, confirmed", ratio, bound, "x", f"{took:.1f} s / {theirs:.1f} s")
    ]
    if tests >= 2000:
        figures.append(
            Figure(
                f"one polluter of {tests}, the search", sorted(found)[1], 0.125, "x", "from the failure on"
            )
        )
    return figures


def search_of_2000(folder: Path) -> list[Figure]:
    """Find one polluter among 2,000 tests, against detect-test-pollution."""
    return _search(folder, 2000)


def search_of_500(folder: Path) -> list[Figure]:
    """Find one polluter among 500 tests, against detect-test-pollution."""
    return _search(folder, 500)


def long_history(folder: Path) -> list[Figure]:
    """Open, extend and rank a history of a million attempts."""
    path = folder / ".bugsle" / "history.db"
    path.parent.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("a\n", encoding="utf-8")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-qm", "feat: a")
    with open_history(path) as history:
        for number in range(_RUNS):
            _record(history, number)
    opening = []
    for _ in range(5):
        began = time.perf_counter()
        open_history(path).close()
        opening.append(time.perf_counter() - began)
    with open_history(path) as history:
        began = time.perf_counter()
        _record(history, _RUNS)
        recorded = time.perf_counter() - began
    command = [sys.executable, "-m", "pytest_bugsle", "flaky", "list"]
    ranked = statistics.median(seconds(command, folder, ok=(0, 1)) for _ in range(3))
    million = f"{_RUNS} runs of {_TESTS:,} tests"
    return [
        Figure("open a history of 10^6 attempts", statistics.median(opening), 1.0, "s", million),
        Figure("record a run of 2,000 there", recorded, 1.0, "s", "in batches"),
        Figure("flaky list there", ranked, 2.0, "s", "the whole command, median of 3"),
    ]


def _record(history, number: int) -> None:  # noqa: ANN001  # store.history.History
    run = f"{number:032x}"
    history.begin(RunRecord(run_id=run, started=1_700_000_000.0 + 3600 * number, tree=f"{number // 5:040x}"))
    for first in range(0, _TESTS, 200):
        history.add(
            run,
            [
                AttemptRecord(
                    seq=test + 1,
                    test=f"tests/test_{test // 50:03}.py::test_{test}",
                    position=test,
                    setup="passed",
                    call="failed" if (bad := test % 97 == 0 and (number + test) % 7 == 0) else "passed",
                    teardown="passed",
                    outcome="failed" if bad else "passed",
                    duration=0.001,
                    fingerprint=f"{test:016x}" if bad else "",
                )
                for test in range(first, first + 200)
            ],
        )
    history.finish(run, collected=_TESTS, disaster=False)


MEASURES = (recording, search_of_2000, search_of_500, long_history)
