"""What the gate says of the figures: no trend and no limit is judged but by its interval.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_bugsle.findings import Finding, Level, make_finding
from pytest_bugsle.results import DeliveryFigures, Question
from pytest_bugsle.stats.intervals import difference
from pytest_bugsle.stats.ranks import shift

if TYPE_CHECKING:
    from pytest_bugsle.delivery.watch import Watch, Watched
    from pytest_bugsle.findings import Verdict
    from pytest_bugsle.results import Durations

_STRENGTH = ("incident", "explicit", "revert", "patch-release", "szz")
#: Fewer have no interval of the median, and none of a shift.
_LEAST_FOR_A_MEDIAN, _LEAST_FOR_A_SHIFT = 8, 4
_TRENDS: tuple[Literal["change-failure-rate", "recovery"], ...] = ("change-failure-rate", "recovery")
_CODES: Mapping[tuple[str, str], str] = {
    ("change-failure-rate", "trend"): "BUG501",
    ("recovery", "trend"): "BUG502",
    ("lead-time", "limit"): "BUG504",
    ("change-failure-rate", "limit"): "BUG505",
    ("recovery", "limit"): "BUG506",
}
_HOUR, _DAY = 3600, 86_400


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked: floors for n in each window, and limits (a share, seconds), none by default.

    `rung` decides, None: the strongest that has a source. `off` has the codes of rules that ask nothing.
    """

    rung: str | None = None
    least_deployments: int = 10
    least_recoveries: int = 5
    max_failure_rate: float | None = None
    max_recovery: int | None = None
    max_lead_time: int | None = None
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unguarded:
    """A failure of which it is known that no test holds its fix: the deployment's name, and the fix's sha."""

    deployment: str
    fix: str


def deciding_rung(known: Iterable[str], wanted: str | None = None) -> str | None:
    """Return the rung that decides: the one that is asked for, else the strongest that has a source."""
    known = set(known)
    if wanted is not None:
        return wanted if wanted in known else None
    return next((rung for rung in _STRENGTH if rung in known), None)


def questions(watched: Watch, figures: DeliveryFigures, policy: Policy) -> list[Question]:
    """Return what is asked of the figures, and the answers: fail only where the whole interval says so.

    By default the trends of the failure rate and of recovery; limits where the policy has them.
    """
    rung = deciding_rung(watched.by_rung, policy.rung)
    found: list[Question] = []
    if rung is None:
        missing = (
            f"the rung {policy.rung!r} has no source that knows both windows"
            if policy.rung
            else "no rung of evidence has a source"
        )
        found = [
            Question(figure=figure, asked="trend", answer="undecided", says=missing) for figure in _TRENDS
        ]
    else:
        recent, earlier = watched.by_rung[rung]
        found = [
            _failure_trend(rung, recent, earlier, policy.least_deployments),
            _recovery_trend(rung, recent, earlier, policy.least_recoveries),
        ]
    found += _limits(rung, figures, policy)
    return [question for question in found if _CODES[question.figure, question.asked] not in policy.off]


def answer(asked: Sequence[Question]) -> Verdict:
    """Return the worst answer; undecided where nothing was asked."""
    answers = {question.answer for question in asked}
    return "fail" if "fail" in answers else "undecided" if "undecided" in answers or not asked else "pass"


def findings_of(
    asked: Iterable[Question],
    unguarded: Iterable[Unguarded],
    levels: Mapping[str, Level],
    *,
    ci: bool,
    repository: str = "",
    head: str | None = None,
) -> list[Finding]:
    """Return a finding for each failed question and each unguarded failure, `repository` named before it."""
    before = f"{repository}: " if repository else ""
    found = [
        make_finding(
            _CODES[question.figure, question.asked], before + question.says, levels=levels, ci=ci, commit=head
        )
        for question in asked
        if question.answer == "fail"
    ]
    found += [
        make_finding(
            "BUG503",
            f"{before}{one.deployment} failed, and no test fails without its fix {one.fix[:7]}",
            help=f"write a test that fails without the fix: `bugsle prove {one.fix[:7]}` shows both sides",
            levels=levels,
            ci=ci,
            commit=one.fix,
        )
        for one in unguarded
    ]
    return [finding for finding in found if finding.level != "off"]


def _failure_trend(rung: str, recent: Watched, earlier: Watched, least: int) -> Question:
    def asked(answer: Verdict, says: str, interval: tuple[float, float] | None = None) -> Question:
        return Question(
            figure="change-failure-rate",
            asked="trend",
            answer=answer,
            says=f"change failure rate, by {rung}: {says}",
            rung=rung,
            value=recent.failed / recent.deployments if recent.deployments else None,
            n=recent.deployments,
            earlier=earlier.failed / earlier.deployments if earlier.deployments else None,
            earlier_n=earlier.deployments,
            interval=interval,
        )

    counts = f"{_of(recent)} after {_of(earlier)}"
    if min(recent.deployments, earlier.deployments) < least:
        return asked("undecided", f"{counts}; {least} deployments a window are needed")
    low, high = difference(recent.failed, recent.deployments, earlier.failed, earlier.deployments)
    said = f"{counts}, a change of {100 * low:+.1f} to {100 * high:+.1f} points"
    return asked("fail" if low > 0 else "pass", said, (low, high))


def _recovery_trend(rung: str, recent: Watched, earlier: Watched, least: int) -> Question:
    new, old = recent.recoveries, earlier.recoveries

    def asked(answer: Verdict, says: str, interval: tuple[float, float] | None = None) -> Question:
        return Question(
            figure="recovery",
            asked="trend",
            answer=answer,
            says=f"recovery, by {rung}: {says}",
            rung=rung,
            value=_middle(new),
            n=len(new),
            earlier=_middle(old),
            earlier_n=len(old),
            interval=interval,
        )

    if not new:
        return asked("pass", "no failed deployment to recover from")
    least = max(least, _LEAST_FOR_A_SHIFT)
    found = shift(new, old) if min(len(new), len(old)) >= least else None
    if found is None or found.interval is None:
        return asked("undecided", f"{len(new)} after {len(old)} failures; {least} a window are needed")
    low, high = found.interval
    says = (
        f"median {_time(_middle(new) or 0)} after {_time(_middle(old) or 0)} (n = {len(new)} and {len(old)}), "
        f"a shift of {_time(low)} to {_time(high)}"
    )
    return asked("fail" if low > 0 else "pass", says, (low, high))


def _limits(rung: str | None, figures: DeliveryFigures, policy: Policy) -> Iterator[Question]:
    if policy.max_failure_rate is not None:
        yield _failure_limit(rung, figures, policy.max_failure_rate, policy.least_deployments)
    if policy.max_recovery is not None:
        times = figures.recovery.get(rung) if rung else None
        least = max(policy.least_recoveries, _LEAST_FOR_A_MEDIAN)
        yield _time_limit("recovery", rung, times, policy.max_recovery, least, times.n if times else 0)
    if policy.max_lead_time is not None:
        # The commits of one deployment wait together: it is deployments that must be many.
        n, least = figures.releases, policy.least_deployments
        yield _time_limit("lead-time", None, figures.lead_time, policy.max_lead_time, least, n)


def _failure_limit(rung: str | None, figures: DeliveryFigures, limit: float, least: int) -> Question:
    rate = figures.change_failure.get(rung) if rung else None
    answer: Verdict = "undecided"
    if rate is None or rate.rate is None or rate.interval is None:
        says = "no rate is known"
    else:
        says = f"{rate.failed} of {rate.deployments} ({100 * rate.rate:.1f} %)"
        if rate.deployments < least:
            says += f"; {least} deployments are needed"
        else:
            low, high = rate.interval
            answer = "fail" if low > limit else "pass"
            says += (
                f", 95 % interval {100 * low:.1f} to {100 * high:.1f} %, and {100 * limit:g} % is the limit"
            )
    return Question(
        figure="change-failure-rate",
        asked="limit",
        answer=answer,
        says=f"change failure rate{f', by {rung}' if rung else ''}: {says}",
        rung=rung,
        value=rate.rate if rate else None,
        n=rate.deployments if rate else 0,
        interval=rate.interval if rate else None,
        limit=limit,
    )


def _time_limit(
    figure: Literal["recovery", "lead-time"],
    rung: str | None,
    times: Durations | None,
    limit: int,
    least: int,
    n: int,
) -> Question:
    """Judge a median by its interval; `n` of what must be at least `least`: failures, or deployments."""
    what, of = (
        (f"recovery, by {rung}", "recoveries") if figure == "recovery" else ("lead time", "deployments")
    )
    answer: Verdict = "undecided"
    if times is None or times.median_seconds is None or times.interval is None or n < least:
        says = f"{n} {of}; {least} are needed"
        if times is not None and times.n < _LEAST_FOR_A_MEDIAN <= n:
            says = f"{times.n} commits; {_LEAST_FOR_A_MEDIAN} are needed"
    else:
        low, high = times.interval
        answer = "fail" if low > limit else "pass"
        says = (
            f"median {_time(times.median_seconds)} (n = {times.n}), 95 % interval {_time(low)} to {_time(high)}, and "
            f"{_time(limit)} is the limit"
        )
    return Question(
        figure=figure,
        asked="limit",
        answer=answer,
        says=f"{what}: {says}",
        rung=rung,
        value=times.median_seconds if times else None,
        n=times.n if times else 0,
        interval=times.interval if times else None,
        limit=limit,
    )


def _of(window: Watched) -> str:
    return f"{window.failed} of {window.deployments}"


def _middle(ranked: Sequence[int]) -> float | None:
    n = len(ranked)
    return (ranked[(n - 1) // 2] + ranked[n // 2]) / 2 if n else None


def _time(seconds: float) -> str:
    return f"{seconds / _DAY:.1f} days" if abs(seconds) >= 2 * _DAY else f"{seconds / _HOUR:.1f} hours"
