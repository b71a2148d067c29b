"""Ask a model the same in gemtest, in the same run: whole pytest runs in turn, and the ratio of their times.

    python -m benchmarks.robustness

gemtest 1.0 wants pytest below 9 and, on Python 3.11, numpy below 2, so that it is in no extra: GEMTEST_PYTHON names
an interpreter that has it, where the running one has not. CheckList 0.0.11 cannot be installed: its setup starts pip.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Figure, seconds
from pytest_bugsle.robustness.edits import apply
from pytest_bugsle.robustness.perturbations import chosen
from pytest_bugsle.robustness.variations import varied

ROUNDS = 3
_MODEL = """
import atexit, json
from pathlib import Path

TEXTS = json.loads(Path("texts.json").read_text())
CHANGED = json.loads(Path("changed.json").read_text())
asked = {"inputs": 0, "calls": 0}


def one(text):
    asked["inputs"] += 1
    asked["calls"] += 1
    return "long" if len(text) > 10_000 else "short"


def many(texts):
    asked["inputs"] += len(texts)
    asked["calls"] += 1
    return ["long" if len(text) > 10_000 else "short" for text in texts]


atexit.register(lambda: asked["calls"] and Path("asked.json").write_text(json.dumps(asked)))
"""
_OURS = """
from model import TEXTS, many

def test_ours(robustness):
    robustness(many, TEXTS, batch=64).invariant(*{names!r}, max_flip_rate=1.0)
"""
_THEIRS = """
import gemtest as gmt
from model import CHANGED, TEXTS, one

relations = [
    gmt.create_metamorphic_relation(
        name=name, data=TEXTS, transform=lambda text, table=table: table.get(text, text), relation=gmt.equality
    )
    for name, table in CHANGED.items()
]

@gmt.system_under_test(*relations)
def test_theirs(text):
    return one(text)
"""


def interpreter() -> str | None:
    """Return the interpreter that has gemtest; None where there is none."""
    return os.environ.get("GEMTEST_PYTHON") or (
        sys.executable if importlib.util.find_spec("gemtest") else None
    )


def figures(python: str, texts: list[str], names: tuple[str, ...]) -> list[Figure]:
    """Return our time over gemtest's, for the same variations of the same texts."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        _write(top, texts, names)
        spent: dict[str, list[float]] = {"ours": [], "theirs": []}
        asked = {}
        commands = {
            "ours": [sys.executable, "-m", "pytest", "-q", "test_ours.py"],
            "theirs": [python, "-m", "pytest", "-q", "-p", "no:randomly", "test_theirs.py"],
        }
        for _ in range(ROUNDS):
            for name, command in commands.items():
                spent[name].append(seconds(command, top))
                asked[name] = json.loads((top / "asked.json").read_text(encoding="utf-8"))
    ratio = statistics.median(one / other for one, other in zip(spent["ours"], spent["theirs"], strict=True))
    detail = "; ".join(
        f"{name} {statistics.median(spent[name]):.1f} s, {each['inputs']:,} inputs in {each['calls']:,} calls"
        for name, each in asked.items()
    )
    return [Figure("whole run over gemtest's", ratio, 0.5, "", detail)]


def _write(top: Path, texts: list[str], names: tuple[str, ...]) -> None:
    changed = {
        each.name.replace(".", "_"): {
            str(one.before): apply(one.before, one.edits) for one in varied(texts, each, seed=0).all
        }
        for each in chosen(names)
    }
    for name, content in {
        "texts.json": json.dumps(texts),
        "changed.json": json.dumps(changed),
        "model.py": _MODEL,
        "test_ours.py": _OURS.format(names=names),
        "test_theirs.py": _THEIRS,
        "pytest.ini": "[pytest]\n",
    }.items():
        (top / name).write_text(content, encoding="utf-8")
