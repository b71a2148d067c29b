"""How the benchmarks measure: a clean environment, commands in turn, medians.

Each pair of commands runs in turn, A B A B …, and the median of the ratios is printed: the machine's
speed may drift, the ratio does not.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROUNDS = 9


class Figure(NamedTuple):
    """One line of the table: what was measured, the figure, its bound."""

    name: str
    value: float
    bound: float
    unit: str
    detail: str

    @property
    def held(self) -> bool:
        """Say whether the figure is within its bound."""
        return self.value <= self.bound


class Share(NamedTuple):
    """A share of simulated runs, the bounds that it is to keep, and the number of runs."""

    name: str
    value: float
    low: float
    high: float
    runs: int

    @property
    def error(self) -> float:
        """Three standard errors."""
        return 3 * math.sqrt(max(self.value * (1 - self.value), 1 / self.runs) / self.runs)

    @property
    def held(self) -> bool:
        """Say whether it is within its bounds, but for chance."""
        return self.low - self.error <= self.value <= self.high + self.error


def environment() -> dict[str, str]:
    """Return the environment without what a surrounding run would add.

    Compiled files are kept as a user's Python keeps them: a peer that was compiled when it was installed
    would else be compared with an editable checkout that is compiled at each start.
    """
    drop = ("GITHUB_", "PYTEST_", "BUGSLE_", "GIT_")
    alone = ("CI", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if key not in alone and not key.startswith(drop)}


def seconds(
    command: list[str], folder: Path, *, ok: tuple[int, ...] = (0,), environ: dict[str, str] | None = None
) -> float:
    """Run a command and return its wall time."""
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ or environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    elapsed = time.perf_counter() - started
    if done.returncode not in ok:
        raise RuntimeError(
            f"{command} ended with {done.returncode}:\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}"
        )
    return elapsed


def paired(
    a: list[str], b: list[str], folder: Path, rounds: int, *, ok: tuple[int, ...] = (0,)
) -> tuple[float, float, float]:
    """Return the median ratio a/b and both medians, after one warm-up of each."""
    seconds(a, folder, ok=ok), seconds(b, folder, ok=ok)
    pairs = []
    for number in range(rounds):
        first, second = (a, b) if number % 2 else (b, a)
        one, two = seconds(first, folder, ok=ok), seconds(second, folder, ok=ok)
        pairs.append((one, two) if number % 2 else (two, one))
    ratios = statistics.median(x / y for x, y in pairs)
    return ratios, statistics.median(x for x, _ in pairs), statistics.median(y for _, y in pairs)


def git(folder: Path, *args: str, input: bytes | None = None) -> None:
    """Run git in a repository of our own."""
    identity = (
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@example.invalid",
        "-c",
        "commit.gpgsign=false",
    )
    environ = {**environment(), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(
        ["git", "-C", str(folder), *identity, *args],
        input=input,
        check=True,
        capture_output=True,
        env=environ,
    )


#: No plugin but ours, to slow a run down or to vary it; the runs inside a proof get the same.
QUIET = [
    argument
    for plugin in (
        "cacheprovider",
        "randomly",
        "xdist",
        "xdist.looponfail",
        "pytest_cov",
        "hypothesispytest",
        "rerunfailures",
        "timeout",
    )
    for argument in ("-p", f"no:{plugin}")
]


def pytest(*args: str) -> list[str]:
    """Return a pytest command line with as little beside ours as can be."""
    return [sys.executable, "-m", "pytest", "-q", *QUIET, *args]
