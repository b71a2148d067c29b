"""The only composer: evidence, then judgement, then a result with its verdict.  PYTEST_DONT_REWRITE

`prepare` looks at the repository (before a test session can change it) and `finish` judges. Both
plugin and command call them; neither knows a capability's insides.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle import waivers
from pytest_bugsle.errors import BugsleError, ProgramError, UndecidedError, UsageError
from pytest_bugsle.findings import Finding, Verdict, make_finding
from pytest_bugsle.git.log import Commit, read_log
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.history.ranges import RangeChoice, choose_range
from pytest_bugsle.regression import verdict as regression_verdict
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.planning import Fixes
from pytest_bugsle.results import FixResult, Range, Result, Timings, count
from pytest_bugsle.store.place import state_folder

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from pytest_bugsle.git.pool import Pool
    from pytest_bugsle.history.units import Unit
    from pytest_bugsle.regression.gather import TreeSides
    from pytest_bugsle.runner.configuration import Configuration
    from pytest_bugsle.settings import Settings
    from pytest_bugsle.store.cache import Cache

_STATE = "cache.db"


def _silent(text: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
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
    is_fix: Callable[[Commit], bool | None] | None = None
    is_linked: Callable[[FixResult, str], bool] | None = None
    change_finding: Callable[[Finding], Finding] | None = None
    say: Callable[[str], None] = _silent

    @property
    def ci(self) -> bool:
        """Say whether this is a CI run."""
        return self.environ.get("CI", "").lower() not in ("", "0", "false")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the surrounding pytest session showed: test ids, their outcomes, and whether it was a part."""

    collected: frozenset[str]
    outcomes: Mapping[str, str]
    partial: bool


@dataclass(slots=True)
class Plan:
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
    notes: list[str] = field(default_factory=list)
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
        plan.range, plan.commits, units = _named(repo, surveyor, request)
    else:
        dirty = _uncommitted(plan, surveyor) if request.uncommitted else None
        if dirty is not None and not _touches_source(surveyor, dirty[1]):
            plan.notes.append(
                "the uncommitted change touches no source: it is tried against the fixes of the range"
            )
            dirty = None
        named = dirty is not None
        if dirty is not None:
            plan.range, plan.commits, units = dirty
        else:
            plan.range, plan.commits, units = _ranged(repo, surveyor, request)
    plan.fixes = Fixes(surveyor, proof=settings.proof != "off", own_commit=request.own_commit)

    def sides_of(unit: Unit) -> TreeSides:
        # Within a range the layout of its head serves for all: a listing a commit would cost seconds.
        assert plan.range is not None
        return surveyor.ground(unit.commits[0].tree if named else repo.tree_of(plan.range.head))

    plan.fixes.plan(units, sides_of, named=named, pool=lambda: _pool(plan))


def _pool(plan: Plan) -> Pool:
    if plan.pool is None:
        from pytest_bugsle.git.pool import Pool

        assert plan.repo is not None
        plan.pool = Pool.acquire(plan.repo)
    return plan.pool


Scope = tuple[Range, "Sequence[Commit]", "tuple[Unit, ...]"]


def _ranged(repo: Repository, surveyor: Surveyor, request: Request) -> Scope:
    choice = choose_range(
        Refs.of(repo),
        request.environ,
        _event(request.environ),
        range_option=request.range,
        base_option=request.settings.base,
    )
    commits = read_log(repo, choice.base, choice.head)
    units = surveyor.units(
        commits,
        lambda: surveyor.ground(repo.tree_of(choice.head)),
        base=choice.base,
        head=choice.head,
        title=choice.title,
        description=choice.description,
        on_mainline=not _is_branch(choice),
    )
    return Range(base=choice.base, head=choice.head, why=choice.why, commits=len(commits)), commits, units


def _is_branch(choice: RangeChoice) -> bool:
    return choice.source in ("github-pull-request", "gitlab-merge-request") or choice.title is not None


def _named(repo: Repository, surveyor: Surveyor, request: Request) -> Scope:
    commits: list[Commit] = []
    units: list[Unit] = []
    for name in request.named:
        sha = repo.resolve(name)
        if sha is None:
            raise UsageError(
                f"{name!a} names no commit of this repository.",
                why="only a commit that is here can be taken out.",
                hint="`git log --oneline` lists them; `git fetch` brings what the remote has.",
            )
        commit = read_log(repo, None, sha, limit=1)[0]
        if commit.cut:
            raise UndecidedError(
                f"the parent of {sha[:10]} is not in this shallow clone.",
                why="what the commit changed cannot be known without it.",
                hint="git fetch --unshallow",
            )
        commits.append(commit)
        base = commit.parents[0] if commit.parents else None
        units += surveyor.units([commit], partial(surveyor.ground, commit.tree), base=base, head=sha)
    first = commits[-1]
    why = "named" if len(commits) == 1 else "named commits"
    base = first.parents[0] if first.parents else None
    return Range(base=base, head=commits[0].sha, why=why, commits=len(commits)), commits, tuple(units)


def _uncommitted(plan: Plan, surveyor: Surveyor) -> Scope | None:
    """Return the uncommitted change as a commit of its own; None where there is none."""
    repo = plan.repo
    assert repo is not None
    head = repo.head().sha
    if head is None or repo.is_bare:
        return None
    pool = _pool(plan)
    tree = pool.snapshot()
    if tree == repo.tree_of(head):
        return None
    from pytest_bugsle.git.diff import changes

    commit = Commit(
        sha=tree,
        parents=(head,),
        tree=tree,
        author="",
        author_email="",
        author_time=0,
        commit_time=0,
        subject="the uncommitted change",
        body="",
        trailers=(),
        changes=changes(pool.repo, head, tree),
    )
    surveyor.ground(tree, pool.repo)
    units = surveyor.units([commit], partial(surveyor.ground, tree), base=head, head=tree)
    return Range(base=head, head=tree, why="the uncommitted change", commits=1), [commit], units


def _touches_source(surveyor: Surveyor, commits: Sequence[Commit]) -> bool:
    return any(surveyor.ground(commit.tree).source(commit.changes) for commit in commits)


@dataclass(frozen=True, slots=True)
class Refs:
    """What `history.ranges` asks of a repository."""

    repo: Repository
    head: str | None
    branch: str | None
    upstream: str | None
    remotes: Sequence[str]
    init_default_branch: str | None
    shallow: bool
    shallow_commits: frozenset[str]

    @classmethod
    def of(cls, repo: Repository) -> Refs:
        """Read a repository's refs."""
        head = repo.head()
        upstream = ""
        if head.branch is not None and repo.config(f"branch.{head.branch}.merge") is not None:
            name = f"refs/heads/{head.branch}"
            found = repo.run("for-each-ref", "--format=%(upstream:short)", "--", name)
            upstream = found.decode("utf-8", "surrogateescape").strip()
        return cls(
            repo,
            head.sha,
            head.branch,
            upstream or None,
            repo.remotes(),
            repo.config("init.defaultBranch"),
            repo.is_shallow(),
            repo.shallow_commits(),
        )

    def resolve(self, ref: str) -> str | None:
        """Return the commit that a ref names."""
        return self.repo.resolve(ref)

    def merge_base(self, a: str, b: str) -> str | None:
        """Return the best common ancestor."""
        return self.repo.merge_base(a, b)

    def is_ancestor(self, a: str, b: str) -> bool:
        """Say whether `a` is contained in `b`."""
        return self.repo.is_ancestor(a, b)


def _event(environ: Mapping[str, str]) -> Mapping[str, object] | None:
    from pathlib import Path

    path = environ.get("GITHUB_EVENT_PATH")
    if not path or not environ.get("GITHUB_ACTIONS"):
        return None
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UndecidedError(
            f"GitHub's event file {path} cannot be read: {error}",
            why="it names the commits of the pull request.",
            hint="give the range yourself: --bugsle-base origin/main",
        ) from error
    return event if isinstance(event, dict) else None


def finish(plan: Plan, seen: Seen | None) -> Result:
    """Judge what was prepared; `seen` is what a surrounding test session showed."""
    plan.started = time.monotonic() - plan.spent  # what a session's own tests took is not the gate's
    if plan.trouble is not None:
        return _nothing(plan, plan.trouble)
    assert plan.fixes is not None
    try:
        results, timings = _judged(plan, plan.fixes, seen)
    except (ProgramError, UndecidedError) as error:
        plan.trouble = error
        return _nothing(plan, error)
    return _result(plan, results, timings)


def _judged(plan: Plan, fixes: Fixes, seen: Seen | None) -> tuple[list[FixResult], Timings]:
    request, settings = plan.request, plan.request.settings
    plan.notes += fixes.notes
    if settings.proof == "off":
        return fixes.linked_only(), Timings()
    if not plan.has_work:
        return fixes.linked_only(), Timings()
    from pytest_bugsle.regression.proving import Terms, prove

    terms = Terms(
        python=request.python or sys.executable,
        args=request.args,
        deadline=plan.started + settings.seconds(ci=request.ci),
        timeout=settings.timeout,
        copy=settings.copy,
        no_reach=request.no_reach,
        cache=_cache(plan, fixes),
        pool=_pool(plan),
        say=request.say,
        collected=seen.collected if seen else None,
        partial=seen is not None and seen.partial,
        outcomes=seen.outcomes if seen else {},
        is_linked=request.is_linked if seen else None,
    )
    proven = prove(fixes, terms)
    request.say("")
    plan.notes += proven.notes
    return proven.results, Timings(tests=proven.seconds, runs=proven.runs, cached=proven.cached)


def _cache(plan: Plan, fixes: Fixes) -> Cache:
    from pytest_bugsle.store.cache import Cache

    assert plan.repo is not None
    folder = state_folder(plan.repo.top, bare=plan.repo.is_bare)
    for name in (_STATE, f"{_STATE}-journal", f"{_STATE}-wal"):
        if fixes.tracks(f".bugsle/{name}"):
            # A change could bring its own "proofs" along: what is committed is never believed.
            plan.notes.append(
                f".bugsle/{name} is committed, so kept proofs were not used: git rm --cached it"
            )
            return Cache(None)
    return Cache(folder / _STATE if folder is not None else None)


def _result(plan: Plan, results: list[FixResult], timings: Timings) -> Result:
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
    seen = {sha for fix in results for sha in fix.commits} | {commit.sha for commit in plan.commits}
    listed = waivers.listed(grants, used, seen, {bug for fix in results for bug in fix.bugs})
    for waiver in listed:
        if waiver.state == "used":
            continue
        code = "BUG002" if waiver.state == "expired" else "BUG003"
        text = f"the waiver of {waiver.rule} for {waiver.subject} ({waiver.reason}) "
        text += f"expired on {waiver.expires}" if waiver.state == "expired" else "was not needed"
        if waiver.state == "expired" or settings.proof != "off":
            findings.append(make_finding(code, text, levels=settings.rules, ci=request.ci))
    counts = count(results)
    due = counts.found - counts.out_of_scope - counts.not_in_run - counts.waived
    asked = settings.proof != "off"
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
        verdict=verdict_of(findings, undecided=counts.undecided > 0),
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
    return _nothing(
        plan, ProgramError(what, hint="`bugsle doctor` shows what the gate sees; please report this.")
    )


def _nothing(plan: Plan, error: BugsleError) -> Result:
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


__all__ = ["Plan", "Refs", "Request", "Seen", "broken", "finish", "prepare", "verdict_of"]
