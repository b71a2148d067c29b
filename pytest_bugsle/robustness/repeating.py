"""Ask a model again: a second time, in another order, in other batches, in another process.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from pytest_bugsle.robustness.answers import Answer, shortened
from pytest_bugsle.robustness.calling import Caller
from pytest_bugsle.robustness.edits import boxed, unboxed

_LONGEST = 600.0
"""Seconds for another process, where one call may not take longer."""
_START_UP = 60.0
"""Seconds for what it imports, beside the limit of each of its calls."""
_START = """
import importlib, json, sys
given = json.load(sys.stdin)
sys.path[:] = given["path"]
from pytest_bugsle.robustness.repeating import answer_elsewhere
json.dump(answer_elsewhere(given), sys.stdout)
"""


def again(caller: Caller, probes: Sequence[Hashable], *, seed: int) -> dict[str, list[Answer]]:
    """Return the answers to the same examples in each of the other ways, in the order of the examples."""
    made = {"second call": caller.fresh(probes)}
    order = list(range(len(probes)))
    random.Random(seed).shuffle(order)  # noqa: S311  # an order, no secret
    answered = caller.fresh([probes[place] for place in order])
    back = sorted(range(len(order)), key=lambda place: order[place])
    made["other order"] = [answered[place] for place in back]
    if caller.model.batch > 1 and len(probes) > 1:
        smaller = max(1, min(caller.model.batch, len(probes)) // 3)
        made["other batch"] = caller.fresh(probes, batch=smaller)
    return made


NOT_IMPORTABLE = "for it cannot import this model; a function of a module it can"


def importable(model: Any) -> str | None:
    """Return `module:name` where a process of its own can import the very function; None where it cannot."""
    module, name = getattr(model, "__module__", None), getattr(model, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name or module == "__main__":
        return None
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is model else None


def elsewhere(
    spec: str,
    probes: Sequence[Hashable],
    *,
    batch: bool | int | None,
    seed: int,
    timeout: float | None,
    classes: Sequence[Any] | None = None,
) -> list[Answer] | str:
    """Return the answers of another process, which salts its hashes otherwise; why there are none, where it has none.

    What it is given and gives is JSON, so that examples of other kinds are not asked there.
    """
    inputs = [unboxed(probe) for probe in probes]
    start = {"spec": spec, "batch": batch, "path": sys.path, "classes": classes and list(classes)}
    try:
        given = json.dumps({**start, "inputs": inputs})
        same = [boxed(value) for value in json.loads(given)["inputs"]] == list(probes)
    except (TypeError, ValueError, RecursionError):
        same = False
    # A tuple comes back as a list, and the key 1 as "1": a model may answer otherwise to these.
    if not same:
        return "the examples are nothing that JSON holds"
    environ = {**os.environ, "PYTHONHASHSEED": str(seed % 4_294_967_295 + 1)}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _START],
            input=given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environ,
            timeout=_limit(timeout, len(inputs)),
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"it did not answer ({type(error).__name__})"
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it says nothing")
        return f"it ended with {done.returncode}: {shortened(last)}"
    try:
        answered = [
            Answer(label=label, scores=dict(scores), value=value, error=error)
            for label, scores, value, error in json.loads(done.stdout.splitlines()[-1])
        ]
    except (IndexError, TypeError, ValueError):
        answered = []
    # The last line may be another's: of what runs when a process ends.
    return answered if len(answered) == len(inputs) else "what it wrote are no answers"


def _limit(timeout: float | None, many: int) -> float:
    """Return the seconds that another process may take: what it imports, and each of its calls."""
    return _LONGEST if timeout is None else max(timeout, min(_LONGEST, _START_UP + timeout * many))


def answer_elsewhere(given: dict[str, Any]) -> list[list[Any]]:
    """Return what the model says of the inputs, as lists: label, scores as pairs, value, error."""
    from pytest_bugsle.robustness.gather import model_named
    from pytest_bugsle.robustness.models import adapted

    model = model_named(given["spec"], Path.cwd())
    caller = Caller(adapted(model, batch=given["batch"], classes=given["classes"]), timeout=None)
    answers = caller.fresh([boxed(value) for value in given["inputs"]])
    return [[each.label, list(each.scores.items()), each.value, each.error] for each in answers]
