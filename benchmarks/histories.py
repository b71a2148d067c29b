"""Speed over long histories: what else needs a patch, and the audit."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measuring import QUIET, Figure, environment, git, seconds

COMMITS = 20_000
FILES = 1_000
FIXES = 200


def _module(number: int, version: int) -> bytes:
    """Give a module of ten functions, one of which changes with its version."""
    parts = [f'"""Module {number}."""\n\nimport os\n']
    for index in range(10):
        limit = version if index == version % 10 else number + index
        parts.append(
            f"""
def load_{index}(rows, size={limit}):
    found = []
    for position, row in enumerate(rows):
        if row is None or len(row) > size:
            continue
        name = row[{index % 3}].strip()
        if name.startswith("{chr(97 + index)}{number}"):
            found.append((position, name, os.path.join("part_{index}", name)))
        elif position % {index + 2} == {limit % 7}:
            found.extend((position, part, part) for part in name.split("{index}"))
    return sorted(found)[:size]
"""
        )
    return "\n".join(parts).encode()


def stream() -> Iterator[bytes]:
    """Give a history of COMMITS commits over FILES modules, a third of them fixes, for git fast-import."""
    for number in range(COMMITS):
        message = f"{'fix' if number % 3 == 0 else 'feat'}: change {number} (#{number})".encode()
        yield b"commit refs/heads/main\ncommitter b <b@example.invalid> %d +0000\n" % (
            1_500_000_000 + number * 600
        )
        yield b"data %d\n%s\n" % (len(message), message)
        touched = {number % FILES, (number * 7) % FILES} if number >= FILES else {number}
        for module in sorted(touched):
            body = _module(module, number)
            yield b"M 100644 inline src/pkg/part_%d/module_%d.py\ndata %d\n" % (
                module % 20,
                module,
                len(body),
            )
            yield body + b"\n"


def what_else(folder: Path) -> list[Figure]:
    """Look at one fix of 20,000 commits and 1,000 files, with nothing kept and with the history kept."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "fast-import", "--quiet", input=b"".join(stream()))
    git(folder, "checkout", "-q", "main")
    command = [sys.executable, "-m", "pytest_bugsle", "what-else", "--no-run", "HEAD~1"]
    seconds([sys.executable, "-m", "pytest_bugsle", "--help"], folder)  # compiled files are no part of it
    cold = []
    for _ in range(3):
        shutil.rmtree(folder / ".bugsle", ignore_errors=True)
        cold.append(seconds(command, folder))
    warm = statistics.median(seconds(command, folder) for _ in range(5))
    size = f"{COMMITS:,} commits, {FILES:,} files"
    return [
        Figure("what else, history kept", warm, 2.0, "s", f"{size}; median of 5"),
        Figure("what else, nothing kept", statistics.median(cold), 15.0, "s", f"{size}; median of 3"),
    ]


def _project(folder: Path, fixes: int) -> None:
    """Make a project whose every second commit is a fix with its test."""
    git(folder, "init", "-q", "-b", "main")
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\npythonpath = ["."]\n', encoding="utf-8"
    )
    for number in range(fixes):
        source, test = folder / f"part_{number % 10}.py", folder / f"test_part_{number % 10}.py"
        text = source.read_text(encoding="utf-8") if source.exists() else ""
        tests = test.read_text(encoding="utf-8") if test.exists() else f"import part_{number % 10} as part\n"
        source.write_text(f"{text}\n\ndef value_{number}():\n    return {number + 1}\n", encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", f"feat: value {number}")
        text = source.read_text(encoding="utf-8")
        source.write_text(text.replace(f"return {number + 1}\n", f"return {number}\n"), encoding="utf-8")
        tests += f"\n\ndef test_{number}():\n    assert part.value_{number}() == {number}\n"
        test.write_text(tests, encoding="utf-8")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", f"fix: value {number} was one too high (#{number})")


def _audit(folder: Path, *more: str) -> tuple[float, dict[str, float]]:
    """Audit a project, and give the wall time and the report's own timings."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "audit.json"
        addopts = {"PYTEST_ADDOPTS": " ".join(QUIET)}
        command = [sys.executable, "-m", "pytest_bugsle", "audit", "--report", f"json:{report}", *more]
        wall = seconds(command, folder, environ={**environment(), **addopts})
        timings: dict[str, float] = json.loads(report.read_bytes())["timings"]
    return wall, timings


def audit(folder: Path) -> list[Figure]:
    """Audit 20 fixes against the sum of their pytest runs, and 200 fixes a second time."""
    few, many = folder / "few", folder / "many"
    few.mkdir()
    many.mkdir()
    _project(few, 20)
    wall, timings = _audit(few)
    ratio = wall / timings["tests"]
    detail = f"20 fixes: {wall:.1f} s / {timings['tests']:.1f} s in {timings['runs']:.0f} runs"
    figures = [Figure("audit, in the sum of its pytest runs", ratio, 1.3, "x", detail)]
    if os.environ.get("BENCH_QUICK"):
        return figures
    _project(many, FIXES)
    first, _ = _audit(many)
    again = statistics.median(_audit(many)[0] for _ in range(3))
    detail = f"median of 3; the first took {first:.0f} s"
    return [*figures, Figure(f"audit {FIXES} fixes again", again, 3.0, "s", detail)]


MEASURES = (what_else, audit)
