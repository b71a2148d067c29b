"""Turn what a hunt found into results and findings.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from msgspec import structs

from pytest_bugsle.findings import make_finding
from pytest_bugsle.results import FlakyCategory, FlakyTest
from pytest_bugsle.stats.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_bugsle.findings import Finding, Level
    from pytest_bugsle.flaky.causes import Investigation
    from pytest_bugsle.flaky.examining import Examined
    from pytest_bugsle.flaky.explaining import Explanation, Verdict
    from pytest_bugsle.flaky.veto import Veto
    from pytest_bugsle.results import StateDifference
    from pytest_bugsle.runner.outcome import Item

ORDER: tuple[FlakyCategory, ...] = (
    "victim",
    "brittle",
    "not-idempotent",
    "probabilistic",
    "non-deterministic",
    "failing",
    "stable",
)
_ORDERED = frozenset(("victim", "brittle", "not-idempotent"))
_TOLD = 3


def result_of(
    items: Sequence[Item],
    number: int,
    outcomes: Sequence[Verdict],
    found: Explanation | None,
    options: Sequence[str],
    top: str,
) -> FlakyTest:
    """Return what is known of one test.

    `outcomes` are those of its planned runs; `options` those that keep pytest from reordering;
    `top` leads from pytest's rootdir to the repository's top ('' or ending in '/').
    """
    item = items[number]
    failures, attempts = outcomes.count("failed"), len(outcomes) - outcomes.count("skipped")
    categories: set[FlakyCategory] = set(found.categories) if found else set()
    if not categories and attempts and failures in (0, len(outcomes)):
        categories = {"failing" if failures else "stable"}

    def names(numbers: Sequence[int]) -> list[str]:
        return [items[one].id for one in numbers]

    return FlakyTest(
        id=item.id,
        categories=[category for category in ORDER if category in categories],
        polluters=names(found.polluters) if found else [],
        setters=names(found.setters) if found else [],
        cleaners=names(found.cleaners) if found else [],
        failures=failures,
        attempts=attempts,
        interval=wilson(failures, attempts) if attempts else None,
        probes=found.probes if found else 0,
        reproduce=_command(items, found, options) if found else "",
        confirmed=found.confirmed if found else 0,
        why=(found.why or _why(items, found)) if found else "",
        place=f"{top}{item.path}:{item.line}" if item.path else None,
    )


def with_reasons(
    test: FlakyTest, state: Sequence[StateDifference], investigation: Investigation | None
) -> FlakyTest:
    """Return the test with the state that others leave behind, or with the factor that turns its outcome."""
    if investigation is None:
        return structs.replace(test, state=list(state))
    cause = investigation.cause
    tried = ", ".join(dict.fromkeys(trial.name for trial in investigation.trials if trial.probes))
    evidence = cause.evidence if cause else f"no cause was shown (tried: {tried or 'nothing'})"
    return structs.replace(
        test,
        cause=cause.name if cause else "",
        probes=test.probes + investigation.probes,
        why="; ".join(part for part in (test.why, evidence) if part),
    )


def _command(items: Sequence[Item], found: Explanation, options: Sequence[str]) -> str:
    """Return a command line that shows it: pytest's own where that lines the tests up so."""
    if not found.shown:
        return ""
    start = ["python", "-m", "pytest", *options] if found.plain else ["bugsle", "flaky", "replay"]
    return shlex.join([*start, *(items[number].id for number in found.shown)])


def _why(items: Sequence[Item], found: Explanation) -> str:
    """Return what the outcome depends on, in a few words."""
    if found.polluters:
        return f"it fails after {_listed([items[number].id for number in found.polluters])}"
    if found.setters:
        return f"it passes only after {_listed([items[number].id for number in found.setters])}"
    return ""


def session_finding(
    test: FlakyTest, one: Examined, veto: Veto | None, levels: Mapping[str, Level], *, ci: bool
) -> Iterator[Finding]:
    """Yield a finding for a failed test that passes too; one that fails every time is pytest's to report.

    A failure that runs changed lines is never excused by a pass: it may be a regression that shows now and then.
    """
    if not one.is_flaky:
        return
    path, _, line = (test.place or "").rpartition(":")
    runs = veto is not None and veto.word == "runs"
    ordered = not _ORDERED.isdisjoint(test.categories)
    code = "BUG202" if runs else "BUG203" if ordered else "BUG201"
    what = "failed in this run and is flaky" if not runs else "failed in this run, and passes too"
    depends = test.polluters or test.setters
    after = f" It fails after {_listed(test.polluters)}." if test.polluters else ""
    yield make_finding(
        code,
        f"{test.id} {what}: {test.why}.{after}",
        help=f"Seen in {test.confirmed} of {test.confirmed} clean processes: {test.reproduce}"
        if test.confirmed and depends
        else "",
        levels=levels,
        ci=ci,
        path=path or None,
        line=int(line) if line else None,
    )


def _listed(ids: Sequence[str]) -> str:
    shown = " and then ".join(ids[:_TOLD])
    return shown if len(ids) <= _TOLD else f"{shown} and {len(ids) - _TOLD} more"


def findings_of(tests: Sequence[FlakyTest], levels: Mapping[str, Level], *, ci: bool) -> Iterator[Finding]:
    """Yield a finding for each test whose outcome varies."""
    for test in tests:
        if test.categories in (["failing"], ["stable"]) or not (test.categories or test.failures):
            continue
        path, _, line = (test.place or "").rpartition(":")
        ordered = not _ORDERED.isdisjoint(test.categories)
        word = ", ".join(test.categories).replace("-", " ") or "varies"
        skipped = ", and was skipped in others" * (test.failures == test.attempts)
        why = test.why or f"it failed in {test.failures} of {test.attempts} runs{skipped}"
        yield make_finding(
            "BUG203" if ordered else "BUG201",
            f"{test.id} is {word}: {why}" if test.categories else f"{test.id} varies: {why}",
            help=f"Seen in {test.confirmed} of {test.confirmed} clean processes: {test.reproduce}"
            if test.confirmed
            else "",
            levels=levels,
            ci=ci,
            path=path or None,
            line=int(line) if line else None,
        )
