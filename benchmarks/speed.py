"""Speed, as ratios against a floor that is measured in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import dora, experiment, histories, hooks, suites
from benchmarks.measuring import QUIET, ROUNDS, Figure, git, paired, pytest, seconds


def installed_but_off(folder: Path) -> Figure:
    """Collect one test with the plugin installed and off, and with it kept out."""
    (folder / "test_one.py").write_text("def test_one():\n    pass\n", encoding="utf-8")
    ratio, with_it, without = paired(
        pytest("--collect-only"), pytest("--collect-only", "-p", "no:bugsle"), folder, 3 * ROUNDS
    )
    return Figure(
        "installed but off: collect one test",
        ratio,
        1.03,
        "x",
        f"{with_it * 1e3:.0f} ms / {without * 1e3:.0f} ms",
    )


def nothing_to_prove(folder: Path) -> Figure:
    """Run 2,000 trivial tests with the gate on and no fix in the range, and without it."""
    tests = "".join(f"def test_{number}():\n    assert {number} == {number}\n" for number in range(2000))
    (folder / "test_many.py").write_text(tests, encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "feat: two thousand tests")
    (folder / "notes.txt").write_text("x\n", encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "docs: notes")
    ratio, with_it, without = paired(pytest("--bugsle"), pytest(), folder, ROUNDS)
    return Figure("no fix in range: 2,000 tests", ratio, 1.10, "x", f"{with_it:.2f} s / {without:.2f} s")


_BEFORE = "def price(ticks):\n    return ticks[0]\n"
_AFTER = "def price(ticks):\n    return ticks[0] if ticks else None\n"


def one_fix(folder: Path) -> Figure:
    """Prove one fix with one deciding test, repeats and reach included, against plain runs of that test."""
    (folder / "shop.py").write_text(_BEFORE, encoding="utf-8")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "feat: a shop")
    (folder / "shop.py").write_text(_AFTER, encoding="utf-8")
    test = "import shop\n\n\ndef test_no_ticks():\n    assert shop.price([]) is None\n"
    (folder / "test_shop.py").write_text(test, encoding="utf-8")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "fix: no ticks (#1)")
    plain = pytest("test_shop.py")
    prove = [sys.executable, "-m", "pytest_bugsle", "prove", "HEAD", "--", *QUIET]
    both = []
    for number in range(ROUNDS + 1):
        state = folder / ".bugsle" / "cache.db"
        state.unlink(missing_ok=True)
        once = seconds(plain, folder)
        proof = seconds(prove, folder)
        if number:
            both.append((proof, once))
    value = statistics.median((proof - 0.5) / once for proof, once in both)
    proof, once = (statistics.median(column) for column in zip(*both, strict=True))
    kept = statistics.median(seconds(prove, folder) for _ in range(3))
    detail = f"({proof:.2f} s − 0.5 s) / {once:.2f} s; from the cache {kept:.2f} s"
    return Figure("prove one fix, in plain runs of its test", value, 5.0, "x", detail)


def long_history(folder: Path) -> Figure:
    """Check 50 commits of a history of 20,000."""
    git(folder, "init", "-q", "-b", "main")
    stream = []
    for number in range(20_000):
        subject = f"{'fix' if number % 3 == 0 else 'feat'}: change {number} (#{number})"
        body = f"VALUE = {number}\n\n\ndef value(x):\n    return VALUE + x\n".encode()
        name = f"src/pkg/module_{number % 200}.py"
        stream.append(
            b"commit refs/heads/main\n"
            + f"committer b <b@example.invalid> {1_600_000_000 + number * 60} +0000\n".encode()
            + f"data {len(subject.encode())}\n{subject}\n".encode()
            + f"M 100644 inline {name}\ndata {len(body)}\n".encode()
            + body
            + b"\n"
        )
        if number % 5 == 0:
            test = f"from pkg.module_{number % 200} import value\n\n\ndef test_{number}():\n    assert value(1)\n".encode()
            stream.append(
                f"M 100644 inline tests/test_{number % 200}.py\ndata {len(test)}\n".encode() + test + b"\n"
            )
    git(folder, "fast-import", "--quiet", input=b"".join(stream))
    git(folder, "checkout", "-q", "main")
    command = [sys.executable, "-m", "pytest_bugsle", "check", "HEAD~50..HEAD"]
    seconds(command, folder, ok=(0, 1))
    value = statistics.median(seconds(command, folder, ok=(0, 1)) for _ in range(5))
    return Figure("check 50 of 20,000 commits", value, 1.5, "s", "median of 5")


def figures() -> list[Figure]:
    """Measure everything."""
    found = []
    for measure in (
        installed_but_off,
        nothing_to_prove,
        one_fix,
        long_history,
        *histories.MEASURES,
        *suites.MEASURES,
        *dora.MEASURES,
        *hooks.MEASURES,
        *experiment.MEASURES,
    ):
        with tempfile.TemporaryDirectory(prefix="bugsle-bench-") as name:
            folder = Path(name) / "project"
            folder.mkdir()
            made = measure(folder)
        for figure in made if isinstance(made, list) else [made]:
            found.append(figure)
            mark = "ok" if figure.held else "OVER"
            print(
                f"{figure.name:<44}{figure.value:7.2f} {figure.unit}  (bound {figure.bound:.2f})  {mark:<5}{figure.detail}",
                flush=True,
            )
    return found
