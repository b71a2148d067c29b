"""Speed of the git hooks on a long history, each after its start-up: what `--help` takes."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import histories
from benchmarks.measuring import Figure, environment, git, seconds

_PUSHED = 20
_ROUNDS = 5
_BOUND = 1.0


def hooks(folder: Path) -> list[Figure]:
    """Run each hook but `bugsle-prove`, which runs tests, over 20,000 commits with a fix that is staged."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "fast-import", "--quiet", input=b"".join(histories.stream()))
    git(folder, "checkout", "-q", "main")
    git(folder, "tag", "v1.0.0", "main~400")
    git(folder, "tag", "v1.1.0")
    changed = folder / "src" / "pkg" / "part_0" / "module_0.py"
    changed.write_text(changed.read_text("utf-8").replace("is None", "is None or not row", 1), "utf-8")
    git(folder, "add", "-A")
    message = folder.parent / "message"
    message.write_text("fix: empty rows end the load (#42)\n", "utf-8")
    pushed = {"PRE_COMMIT_FROM_REF": f"main~{_PUSHED}", "PRE_COMMIT_TO_REF": "main"}
    asked: tuple[tuple[str, list[str], dict[str, str], str], ...] = (
        ("commit_msg", [str(message)], {}, "a staged fix without a test"),
        ("check", [], pushed, f"{_PUSHED} pushed commits, a third of them fixes"),
        ("complexity", [], {}, "one changed function"),
        ("dora", [], {}, "read before"),
    )
    found = []
    for name, words, more, told in asked:
        command = [sys.executable, "-c", f"from pytest_bugsle.hooks.entries import {name}; {name}()"]
        environ = {**environment(), **more}
        took = statistics.median(
            seconds([*command, *words], folder, ok=(0, 1), environ=environ)
            - seconds([*command, "--help"], folder, environ=environ)
            for _ in range(_ROUNDS)
        )
        found.append(Figure(f"hook bugsle-{name.replace('_', '-')}", took, _BOUND, "s", told))
    return found


MEASURES: tuple[Callable[[Path], list[Figure]], ...] = (hooks,)
