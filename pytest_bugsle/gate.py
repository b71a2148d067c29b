"""The only composer: evidence, then judgement, then a result with its verdict.  PYTEST_DONT_REWRITE

`prepare` looks at the repository (before a test session can change it) and `finish` judges. Both
plugin and command call them; neither knows a capability's insides.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle import scope, waivers
from pytest_bugsle.errors import BugsleError, ProgramError, UndecidedError
from pytest_bugsle.findings import Finding, Verdict, make_finding
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression import verdict as regression_verdict
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes
from pytest_bugsle.results import FixResult, Range, Result, Timings, count
from pytest_bugsle.settings import is_ci
from pytest_bugsle.store.place import state_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import TreeSides
    from pytest_bugsle.regression.proving import Terms
    from pytest_bugsle.runner.configuration import Configuration
    from pytest_bugsle.settings import ProofChoice, Settings
    from pytest_bugsle.store.cache import Cache


def _silent(text: str) -> None:
    return None


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin or a command asks of the gate; everything that a judge may need comes in here."""

    start: Path
    settings: Settings
    environ: Mapping[str, str]
    today: dt.date
    configuration: Configuration
    range: str | None = None
    named: tuple[str, ...] = ()
    uncommitted: bool = False
    python: str | None = None
    args: tuple[str, ...] = ()
    own_commit: bool = False
    no_reach: str = ""
    what_else: bool = False
    """Also look for what else needs a patch, for each fix that is asked for."""
    leads_only: bool = False
    """Leave out the findings on whether the fixes are held: nobody asked."""
    on_branches: bool = False
    """Run the guards on the maintained branches that may hold the bug."""
    is_fix: Callable[[Commit], bool | None] | None = None
    is_linked: Callable[[FixResult, str], bool] | None = None
    change_finding: Callable[[Finding], Finding] | None = None
    say: Callable[[str], None] = _silent

    @property
    def ci(self) -> bool:
        """Say whether this is a CI run."""
        return is_ci(self.environ)

    @property
    def proof(self) -> ProofChoice:
        """Return how far proofs go."""
        return self.settings.proof_choice(ci=self.ci)


class Seen(msgspec.Struct, frozen=True):
    """What the surrounding pytest session showed: test ids, their outcomes, and whether it was a part."""

    collected: frozenset[str]
    outcomes: Mapping[str, str]
    partial: bool
    distrusted: Mapping[str, str] = {}
    """Tests that are no guards, whatever they do in a proof, and why: they are flaky."""


class Plan(msgspec.Struct):
    """What is to be judged, with all that must outlive the tests of a session."""

    request: Request
    started: float
    """When the gate's own work began, in seconds of time.monotonic: a session's tests are not part of it."""
    repo: Repository | None = None
    range: Range | None = None
    shallow: bool = False
    fixes: Fixes | None = None
    commits: Sequence[Commit] = ()
    trouble: BugsleError | None = None
    pool: Pool | None = None
    notes: list[str] = []
    spent: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of git and of the pool."""
        if self.pool is not None:
            self.pool.close()
            self.pool = None
        if self.repo is not None:
            self.repo.close()

    def rest(self) -> None:
        """Let no process of ours stand beside the tests of a session; git is asked again by a new one."""
        if self.repo is not None:
            self.repo.close()

    @property
    def has_work(self) -> bool:
        """Say whether any fix is to be proven."""
        return self.fixes is not None and any(planned.unproven() is None for planned in self.fixes.planned)

    def links_by_test(self, rootdir: Path) -> dict[str, list[tuple[str, str]]]:
        """Return the links by test id without parameters, relative to pytest's rootdir."""
        return {} if self.fixes is None else self.fixes.links_by_test()

    def facts(self) -> Iterator[tuple[str, str | BugsleError]]:
        """Yield what `bugsle doctor` shows of the range."""
        if self.trouble is not None:
            yield "range", self.trouble
            return
        if self.range is not None and self.fixes is not None:
            base = (self.range.base or "the beginning")[:10]
            commits = f"{self.range.commits} commit{'s' * (self.range.commits != 1)}"
            yield "range", f"{base}..{self.range.head[:10]} ({self.range.why}), {commits}"
            yield "unit", self.fixes.unit_in_words()
            for fix in self.fixes.planned:
                scope = " (out of scope)" if fix.asked and not fix.in_scope else ""
                yield "", f"{fix.unit.judgement.answer:<5} {fix.unit.head[:7]} {fix.unit.subject}{scope}"


def prepare(request: Request) -> Plan:
    """Read the range and find the fixes and their links.

    What cannot be known (shallow clone, empty repository) is kept in the plan and becomes BUG001;
    a UsageError is raised: the user asked for something that is wrong.
    """
    plan = Plan(request, time.monotonic())
    try:
        _prepare(plan)
    except (UndecidedError, ProgramError) as error:
        plan.trouble = error
    except BaseException:
        plan.close()
        raise
    plan.spent = time.monotonic() - plan.started
    return plan


def _prepare(plan: Plan) -> None:
    request, settings = plan.request, plan.request.settings
    plan.repo = repo = Repository.open(request.start)
    plan.shallow = repo.is_shallow()
    surveyor = Surveyor(repo, request.configuration, settings, request.is_fix)
    named = bool(request.named)
    if request.named:
        plan.range, plan.commits, units = scope.named(repo, surveyor, request.named)
    else:
        dirty = scope.uncommitted(repo, surveyor, lambda: pool_of(plan)) if request.uncommitted else None
        if dirty is not None and not scope.touches_source(surveyor, dirty[1]):
            plan.notes.append(
                "the uncommitted change touches no source: it is tried against the fixes of the range"
            )
            dirty = None
        named = dirty is not None
        if dirty is not None:
            plan.range, plan.commits, units = dirty
        else:
            plan.range, plan.commits, units = scope.ranged(
                repo,
                surveyor,
                request.environ,
                range_option=request.range,
                base_option=settings.base,
            )
    plan.fixes = Fixes(surveyor, proof=request.proof != "off", own_commit=request.own_commit)

    def sides_of(unit: Unit) -> TreeSides:
        # Within a range the layout of its head serves for all: a listing a commit would cost seconds.
        assert plan.range is not None
        return surveyor.ground(unit.commits[0].tree if named else repo.tree_of(plan.range.head))

    plan.fixes.plan(units, sides_of, named=named, pool=lambda: pool_of(plan))


def pool_of(plan: Plan) -> Pool:
    """Return the plan's pool of work trees, locked at the first call."""
    if plan.pool is None:
        from pytest_bugsle.git.pool import Pool

        assert plan.repo is not None
        plan.pool = Pool.acquire(plan.repo)
    return plan.pool


def finish(plan: Plan, seen: Seen | None) -> Result:
    """Judge what was prepared; `seen` is what a surrounding test session showed."""
    plan.started = time.monotonic() - plan.spent  # what a session's own tests took is not the gate's
    if plan.trouble is not None:
        return nothing_judged(plan, plan.trouble)
    assert plan.fixes is not None
    try:
        results, timings = _judged(plan, plan.fixes, seen)
    except (ProgramError, UndecidedError) as error:
        plan.trouble = error
        return nothing_judged(plan, error)
    return result_of(plan, results, timings)


def _judged(plan: Plan, fixes: Fixes, seen: Seen | None) -> tuple[list[FixResult], Timings]:
    request = plan.request
    plan.notes += fixes.notes
    if request.proof == "off" or not plan.has_work:
        results, timings, terms = fixes.linked_only(), Timings(), None
    else:
        from pytest_bugsle.regression.distrust import without_flaky
        from pytest_bugsle.regression.proving import prove

        terms = terms_of(plan, fixes, seen)
        proven = prove(fixes, terms)
        plan.notes += proven.notes
        results = [without_flaky(fix, seen.distrusted) for fix in proven.results] if seen else proven.results
        timings = Timings(tests=proven.seconds, runs=proven.runs, cached=proven.cached)
        _keep_held(fixes, results, terms.cache)
    if request.what_else and any(planned.asked and planned.in_scope for planned in fixes.planned):
        results = _what_else(plan, fixes, results, terms)
    request.say("")
    return results, timings


def _keep_held(fixes: Fixes, results: list[FixResult], cache: Cache) -> None:
    """Keep by commit which fixes are held, where nothing took part that is not committed.

    That a range is held says nothing of each of its commits; that this run found no guard is for an audit to say,
    which looks at all tests.
    """
    from pytest_bugsle.regression.record import by_commit

    repo = fixes.surveyor.repo
    planned = {each.unit.head: each for each in fixes.planned}
    for fix in results:
        one = planned.get(fix.commit)
        if fix.status != "proven" or one is None or one.commit is None or repo.resolve(fix.commit) is None:
            continue
        if (one.unit.kind != "range" or len(fix.commits) == 1) and one.tree == repo.tree_of(one.commit):
            by_commit.keep(cache, fix.commits, held=True)


def terms_of(plan: Plan, fixes: Fixes, seen: Seen | None) -> Terms:
    """Return how the proofs of a plan are run."""
    from pytest_bugsle.regression.proving import Terms

    request, settings = plan.request, plan.request.settings
    return Terms(
        python=request.python or sys.executable,
        args=request.args,
        deadline=plan.started + settings.seconds(ci=request.ci),
        timeout=settings.timeout,
        copy=settings.copy,
        no_reach=request.no_reach,
        cache=cache_of(plan, fixes),
        pool=pool_of(plan),
        say=request.say,
        collected=seen.collected if seen else None,
        partial=seen is not None and seen.partial,
        outcomes=seen.outcomes if seen else {},
        is_linked=request.is_linked if seen else None,
        edits=request.proof == "edits",
    )


def _what_else(plan: Plan, fixes: Fixes, results: list[FixResult], terms: Terms | None) -> list[FixResult]:
    """Look at each fix that was asked for; a finder that fails costs its lines, and never the verdict."""
    from pytest_bugsle.regression.elsewhere.what_else import WhatElse

    request, repo = plan.request, plan.repo
    head = repo.head().sha if repo is not None else None
    if repo is None or head is None:
        return results
    end = plan.started + request.settings.seconds(ci=request.ci)
    look = WhatElse(fixes.surveyor, cache_of(plan, fixes), plan.pool.repo if plan.pool else repo, head)
    found = []
    for planned, fix in zip(fixes.planned, results, strict=True):
        due = planned.asked and planned.in_scope and fix.status != "not-in-run"
        if due and time.monotonic() >= end:
            plan.notes.append(f"what else {fix.commit[:7]} needs was not looked for: the budget was used up")
        elif due:
            request.say(f"what else needs a patch: {fix.commit[:7]}")
            try:
                fix = look.look(planned, fix, terms if request.on_branches else None)
            except (ProgramError, UndecidedError) as error:
                plan.notes.append(f"what else {fix.commit[:7]} needs could not be looked for: {error.what}")
        found.append(fix)
    return found


def cache_of(plan: Plan, fixes: Fixes) -> Cache:
    """Return what earlier runs kept of this repository."""
    from pytest_bugsle.store.cache import open_cache

    assert plan.repo is not None
    folder = state_folder(plan.repo.top, bare=plan.repo.is_bare)
    cache, refused = open_cache(folder, fixes.tracks)
    if refused:
        plan.notes.append(f"{refused} is committed, so kept proofs were not used: git rm --cached it")
    return cache


def result_of(plan: Plan, results: list[FixResult], timings: Timings) -> Result:
    """Return judged fixes with their findings, waivers and verdict."""
    request, settings = plan.request, plan.request.settings
    grants = waivers.from_settings(settings.waivers, request.today)
    for commit in plan.commits:
        found, wrong = waivers.from_trailers(commit.sha, commit.trailers)
        grants += found
        plan.notes += wrong
    policy = regression_verdict.Policy(
        settings.rules, request.ci, plan.fixes.surveyor.rootdir if plan.fixes else "."
    )
    results, findings, used = regression_verdict.findings_of(results, grants, policy)
    if request.leads_only:
        findings = [finding for finding in findings if finding.rule == "BUG105"]
    if any(fix.what_else for fix in results):
        from pytest_bugsle.regression.elsewhere import what_else

        for fix in results:
            for finding in what_else.findings_of(fix, policy):
                grant = next((g for g in grants if g.covers(finding.rule, fix.commits, fix.bugs)), None)
                findings += [finding] if grant is None else []
                used += [grant] if grant is not None else []
    seen = {sha for fix in results for sha in fix.commits} | {commit.sha for commit in plan.commits}
    listed = waivers.listed(grants, used, seen, {bug for fix in results for bug in fix.bugs})
    for waiver in listed:
        if waiver.state == "used":
            continue
        code = "BUG002" if waiver.state == "expired" else "BUG003"
        text = f"the waiver of {waiver.rule} for {waiver.subject} ({waiver.reason}) "
        text += f"expired on {waiver.expires}" if waiver.state == "expired" else "was not needed"
        if waiver.state == "expired" or request.proof != "off":
            findings.append(make_finding(code, text, levels=settings.rules, ci=request.ci))
    counts = count(results)
    due = counts.found - counts.out_of_scope - counts.not_in_run - counts.waived
    asked = request.proof != "off" and not request.leads_only
    if asked and due > 0 and counts.judged == 0:
        why = next((fix.why for fix in results if fix.status == "undecided" and fix.why), "")
        text = f"0 of {due} bug {'fix' if due == 1 else 'fixes'} could be judged" + (
            f": {why}" if why else ""
        )
        help = "Follow the reason in the message."
        findings.append(make_finding("BUG001", text, help=help, levels=settings.rules, ci=request.ci))
    if request.change_finding is not None:
        findings = [request.change_finding(finding) for finding in findings]
    findings = [finding for finding in findings if finding.level != "off"]
    return Result(
        verdict=verdict_of(findings, undecided=counts.undecided > 0 and not request.leads_only),
        range=plan.range,
        fixes=results,
        counts=counts,
        findings=findings,
        waivers=listed,
        notes=list(dict.fromkeys(plan.notes)),
        timings=msgspec.structs.replace(timings, total=round(time.monotonic() - plan.started, 3)),
    )


def verdict_of(findings: Sequence[Finding], *, undecided: bool) -> Verdict:
    """Return fail where a finding is an error, undecided where something could not be judged, else pass."""
    if any(finding.level == "error" for finding in findings):
        return "fail"
    return "undecided" if undecided or any(finding.rule == "BUG001" for finding in findings) else "pass"


def broken(plan: Plan, error: Exception) -> Result:
    """Return the result of a gate that failed itself: nothing was judged, which in CI is an error."""
    what = f"the gate itself failed: {type(error).__name__}: {error}"
    return nothing_judged(
        plan, ProgramError(what, hint="`bugsle doctor` shows what the gate sees; please report this.")
    )


def nothing_judged(plan: Plan, error: BugsleError) -> Result:
    """Return the result of a run that could judge nothing."""
    request = plan.request
    finding = make_finding(
        "BUG001",
        f"nothing was judged: {error.what}" + (f" ({error.why})" if error.why else ""),
        help=error.hint,
        levels=request.settings.rules,
        ci=request.ci,
    )
    findings = [] if finding.level == "off" else [finding]
    return Result(
        verdict="fail" if finding.level == "error" else "undecided",
        range=plan.range,
        fixes=[],
        counts=count([]),
        findings=findings,
        timings=Timings(total=round(time.monotonic() - plan.started, 3)),
    )
