"""Compose a hunt for flaky tests into one result.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
import hashlib
import os
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.errors import BugsleError, UsageError
from pytest_bugsle.flaky import verdict
from pytest_bugsle.flaky.attempts import error_print, stable_id
from pytest_bugsle.flaky.factors import standard_factors
from pytest_bugsle.flaky.gather import Ground
from pytest_bugsle.flaky.hunting import Hunt
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.flaky.strips import with_history
from pytest_bugsle.flaky.version import new_run, open_kept, standing
from pytest_bugsle.gate import Request, verdict_of
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.results import Counts, FlakyTest, Result, Timings
from pytest_bugsle.runner.environment import choose_python, interpreter_facts
from pytest_bugsle.runner.sequences import Sequences
from pytest_bugsle.store.place import state_folder, write_whole
from pytest_bugsle.store.records import AttemptRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.runner.outcome import Ran

ORDERS = "orders"
_NOT_COLLECTED = 3
#: What `bugsle flaky replay --world` can set: the keys of runner/worlds.py, and the hash seed.
WORLD_KEYS = (
    "clock",
    "entropy",
    "fds",
    "hashseed",
    "listing",
    "load",
    "locale",
    "network",
    "rng",
    "slow",
    "stand",
    "switch",
    "tz",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command asks of a hunt, beside what it asks of the gate."""

    request: Request
    suspects: tuple[str, ...] = ()


def hunt(wanted: Wanted) -> Result:
    """Hunt in a clean copy of the tree as it stands; UsageError where a suspect is no test."""
    request, settings = wanted.request, wanted.request.settings
    began = time.monotonic()
    seconds = settings.seconds(ci=request.ci)
    repo = Repository.open(request.start)
    python = request.python or choose_python(repo.top, None, request.environ)
    with Pool.acquire(repo) as pool:

        def lay(number: int) -> Ground:
            return Ground.lay(repo, pool, request.configuration, settings.copy, number)

        ground = lay(0)
        request.say("collecting")
        asked = ground.request(python, request.args, settings.timeout, seconds)
        with Sequences(asked, ground.tidy) as sequences:
            suspects = _numbers(sequences, wanted.suspects)
            looking = Hunt(
                Prober(sequences, lay), began + seconds, request.say, standard_factors(time.time()), suspects
            )
            looking.run()
            tests = _results(looking, sequences, request)
            tests = [_with_order(test, looking, repo) for test in tests]
            tests, kept = _keep(tests, looking, repo, request, python)
            notes = [*kept, *_not_collected(sequences), *looking.notes]
            runs, orders = sequences.started, [order.name for order in looking.orders]
    findings = [f for f in verdict.findings_of(tests, settings.rules, ci=request.ci) if f.level != "off"]
    if request.change_finding is not None:
        findings = [request.change_finding(finding) for finding in findings]
    notes.insert(0, f"orders tried: {'; '.join(orders)}")
    took = round(time.monotonic() - began, 3)
    return Result(
        verdict=verdict_of(findings, undecided=False),
        range=None,
        fixes=[],
        counts=Counts(),
        findings=findings,
        notes=notes,
        tests=tests,
        timings=Timings(total=took, tests=took, runs=runs, search=round(looking.search_seconds, 3)),
    )


def world_of(words: Sequence[str]) -> dict[str, str | int | float | bool]:
    """Read `key=value` pairs; UsageError where one is none, or no world has the key."""
    world: dict[str, str | int | float | bool] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or key not in WORLD_KEYS:
            near = difflib.get_close_matches(key, WORLD_KEYS, n=1)
            hint = f"did you mean {near[0]}=…?" if near else f"one of {', '.join(WORLD_KEYS)}"
            raise UsageError(f"{word!r} says nothing of a world.", why="it is KEY=VALUE.", hint=hint)
        world[key] = _value(value)
    return world


def _value(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def replay(
    request: Request, ids: Sequence[str], world: Mapping[str, str | int | float | bool] | None = None
) -> Ran:
    """Run tests by their ids, in this order, in one clean process; UsageError where one is not collected."""
    settings = request.settings
    repo = Repository.open(request.start)
    python = request.python or choose_python(repo.top, None, request.environ)
    parts = dict(world or {})
    seed = parts.pop("hashseed", None)
    files = tuple(dict.fromkeys(id_.partition("::")[0] for id_ in ids))
    with Pool.acquire(repo) as pool:
        ground = Ground.lay(repo, pool, request.configuration, settings.copy)
        seconds = settings.seconds(ci=request.ci)
        asked = ground.request(python, (*request.args, *files), settings.timeout, seconds)
        with Sequences(asked, ground.tidy) as sequences:
            known = {item.id: item.number for item in reversed(sequences.items)}
            numbers = [_number(id_, known) for id_ in ids]
            environ = {} if seed is None else {"PYTHONHASHSEED": str(seed)}
            return sequences.apart(numbers, ground.where, environ, tuple(parts.items()))


def _number(id_: str, known: Mapping[str, int]) -> int:
    if id_ in known:
        return known[id_]
    near = difflib.get_close_matches(id_, known, n=1)
    raise UsageError(
        f"there is no test {id_!r} among the {len(known)} that were collected.",
        hint=f"did you mean {near[0]}?" if near else "`pytest --collect-only -q` lists the ids.",
    )


def _numbers(sequences: Sequences, ids: Sequence[str]) -> frozenset[int] | None:
    """Return the numbers of the tests that were asked for; None where all are."""
    if not ids:
        return None
    known = {item.id: item.number for item in reversed(sequences.items)}
    return frozenset(_number(id_, known) for id_ in ids)


def _results(looking: Hunt, sequences: Sequences, request: Request) -> list[FlakyTest]:
    rootdir = os.path.relpath(request.configuration.rootdir, Repository.open(request.start).top)
    top = "" if rootdir == "." else rootdir.replace(os.sep, "/") + "/"
    numbers = sorted(looking.wanted) if looking.wanted is not None else [i.number for i in sequences.items]
    tests = []
    for number in numbers:
        test = verdict.result_of(
            sequences.items,
            number,
            looking.known[number].outcomes,
            looking.explanations.get(number),
            sequences.unordered,
            top,
        )
        test = verdict.with_reasons(test, looking.state.get(number, []), looking.causes.get(number))
        tests.append(test)
    return tests


def _keep(
    tests: list[FlakyTest], looking: Hunt, repo: Repository, request: Request, python: str
) -> tuple[list[FlakyTest], list[str]]:
    """Keep the planned runs in the history; return the tests with their past, and notes."""
    facts = interpreter_facts(python)
    try:
        stands = standing(repo, facts.digest)
        run = new_run(stands, request.environ, python=facts.version, mode="hunt")
        with open_kept(repo, request.settings.store) as history:
            history.begin(run)
            history.add(
                run.run_id,
                (
                    AttemptRecord(
                        seq=seq,
                        test=stable_id(looking.sequences.items[number].id),
                        mode=mode,
                        outcome=outcome.status,
                        duration=outcome.duration,
                        fingerprint=error_print(outcome),
                    )
                    for seq, (number, mode, outcome) in enumerate(looking.attempts, start=1)
                ),
            )
            history.finish(run.run_id, collected=len(looking.sequences.items), disaster=False)
            return with_history(tests, history.past), list(history.notes)
    except BugsleError as error:
        return tests, [f"the attempts of this hunt are not kept: {error.what}"]


def _with_order(test: FlakyTest, looking: Hunt, repo: Repository) -> FlakyTest:
    """Return a test that varies with a command that shows it; an order that nothing explains is saved for that."""
    if (
        test.reproduce
        or test.categories in (["stable"], ["failing"])
        or not (test.categories or test.failures)
    ):
        return test
    number = next(item.number for item in looking.sequences.items if item.id == test.id)
    investigation = looking.causes.get(number)
    if investigation is not None and investigation.cause is not None:
        words = [
            f"{key}={str(value).lower() if isinstance(value, bool) else value}"
            for key, value in investigation.cause.failing
        ]
        command = ["bugsle", "flaky", "replay", *(w for word in words for w in ("--world", word)), test.id]
        return msgspec.structs.replace(test, reproduce=shlex.join(command))
    order = looking.failing_order(number)
    folder = state_folder(repo.top, bare=repo.is_bare)
    if len(order) < 2 or folder is None:
        return test
    text = "".join(f"{looking.sequences.items[one].id}\n" for one in order).encode("utf-8", "surrogateescape")
    path = folder / ORDERS / f"{hashlib.sha256(text).hexdigest()[:12]}.txt"
    path.parent.mkdir(exist_ok=True)
    write_whole(path, text)
    command = ["bugsle", "flaky", "replay", "--order", os.path.relpath(path, repo.top)]
    return msgspec.structs.replace(test, reproduce=shlex.join(command))


def _not_collected(sequences: Sequences) -> list[str]:
    errors = list(sequences.collect_errors.items())
    notes = [
        f"{path} cannot be imported, its tests are left out: {error.type}: {error.message}"
        for path, error in errors[:_NOT_COLLECTED]
    ]
    if len(errors) > _NOT_COLLECTED:
        notes.append(f"and {len(errors) - _NOT_COLLECTED} more files that cannot be imported")
    return notes
