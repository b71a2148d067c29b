"""Compose a hunt for flaky tests into one result.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.errors import UsageError
from pytest_bugsle.flaky import verdict
from pytest_bugsle.flaky.factors import standard_factors
from pytest_bugsle.flaky.gather import Ground
from pytest_bugsle.flaky.hunting import Hunt
from pytest_bugsle.flaky.probing import Prober
from pytest_bugsle.gate import Request, verdict_of
from pytest_bugsle.git.pool import Pool
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.results import Counts, FlakyTest, Result, Timings
from pytest_bugsle.runner.environment import choose_python
from pytest_bugsle.runner.sequences import Sequences

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_COLLECTED = 3


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
            notes = [*_not_collected(sequences), *looking.notes]
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
        timings=Timings(total=took, tests=took, runs=runs),
    )


def _numbers(sequences: Sequences, ids: Sequence[str]) -> frozenset[int] | None:
    """Return the numbers of the tests that were asked for; None where all are."""
    if not ids:
        return None
    found = {item.id: item.number for item in sequences.items}
    for id_ in ids:
        if id_ not in found:
            import difflib

            near = difflib.get_close_matches(id_, found, n=1)
            raise UsageError(
                f"there is no test {id_!r} among the {len(found)} that were collected.",
                hint=f"did you mean {near[0]}?" if near else "`pytest --collect-only -q` lists the ids.",
            )
    return frozenset(found[id_] for id_ in ids)


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


def _not_collected(sequences: Sequences) -> list[str]:
    errors = list(sequences.collect_errors.items())
    notes = [
        f"{path} cannot be imported, its tests are left out: {error.type}: {error.message}"
        for path, error in errors[:_NOT_COLLECTED]
    ]
    if len(errors) > _NOT_COLLECTED:
        notes.append(f"and {len(errors) - _NOT_COLLECTED} more files that cannot be imported")
    return notes
