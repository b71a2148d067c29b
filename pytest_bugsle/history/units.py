"""From the commits of a range to the units that are judged.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from pytest_bugsle.history import reverts, signs
from pytest_bugsle.history.judgement import NO_POLICY, Facts, Judgement, Policy, Reason, judge
from pytest_bugsle.history.messages import bounded, first_line, headline
from pytest_bugsle.history.references import Mention, Reference, normalise, references
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_bugsle.git.log import Commit

Kind = Literal["commit", "merge", "range"]
Shape = Literal["squash", "merge", "linear"]

_MERGE_SUBJECT = lazy_pattern(
    r"Merge(?:d)? (?:pull request|pr|branch|branches|remote-tracking branch(?:es)?|tag|commit|in"
    r"|\S{1,200} into)\b",
    re.IGNORECASE,
)
_PICKED = lazy_pattern(
    r"^\(?(?:cherry[- ]picked|backported) from commit (?P<sha>[0-9a-f]{7,64})", re.IGNORECASE | re.MULTILINE
)
_SQUASHED_TITLE = lazy_pattern(r"\((?:[#!]\d+|PR ?#?\d+)\)\s*\Z|\AMerged PR \d+:", re.IGNORECASE)
_NEWS = lazy_pattern(r"\A(?:See merge request|Approved-by|Closes|Signed-off-by)\b", re.IGNORECASE)
_TEST_PATH = lazy_pattern(r"(?:^|/)(?:tests?|testing)/|(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py\Z")


class Evidence(msgspec.Struct, frozen=True):
    """What was found out about one commit beside its message; see `Facts` for the fields."""

    source_changed: bool | None = None
    changelog: str = ""
    hook: bool | None = None


_NOTHING = Evidence()


class Unit(msgspec.Struct, frozen=True):
    """One change to be judged as a whole.

    `commits` (newest first) are those that make it up: one, a merge alone (its diff is against its
    first parent; `parts` are the commits that it brought in), several that mend one bug, or a whole
    range. `evidence` are commits of the same bug that change no source, a test before its fix.
    """

    kind: Kind
    commits: tuple[Commit, ...]
    head: str
    base: str | None
    subject: str
    body: str
    judgement: Judgement
    references: tuple[Reference, ...] = ()
    evidence: tuple[Commit, ...] = ()
    parts: tuple[Commit, ...] = ()
    picked_from: tuple[str, ...] = ()
    is_backport: bool = False

    @property
    def bugs(self) -> tuple[str, ...]:
        """Return the bugs by weight of their mention: what it fixes first, pull requests last."""
        return tuple(r.bug for r in sorted(self.references, key=lambda r: -r.mention))


def units_of(
    commits: Sequence[Commit],
    policy: Policy = NO_POLICY,
    evidence: Mapping[str, Evidence] | None = None,
    *,
    unit: Literal["auto", "commit", "range"] = "auto",
    shape: Shape = "linear",
    title: str | None = None,
    description: str = "",
    base: str | None = None,
    range_evidence: Evidence = _NOTHING,
) -> tuple[Unit, ...]:
    """Return the judged units of a range, newest first; `commits` come newest first, the head leading.

    Every commit is accounted for: in a unit, in its parts or its evidence, or in a unit judged `no`
    that says why. `title` and `description` are those of the pull request, `base` the range's base.
    """
    if not commits:
        return ()
    found = evidence or {}
    if unit == "range" or (unit == "auto" and shape == "squash" and title):
        return (_range(commits, policy, found, title, description, base, range_evidence),)
    return tuple(_units(commits, policy, found))


def mainline_shape(commits: Sequence[Commit]) -> Shape:
    """Say how a project brings changes in, from the first-parent commits of its mainline."""
    seen = commits[:50]
    merges = sum(len(commit.parents) > 1 for commit in seen)
    by_hand = [
        c for c in seen if not signs.bot(c.author, c.author_email) and not signs.RELEASE.match(c.subject)
    ]
    squashed = sum(len(c.parents) < 2 and _SQUASHED_TITLE.search(c.subject) is not None for c in by_hand)
    if len(by_hand) >= 3 and squashed >= 0.8 * len(by_hand):
        return "squash"
    return "merge" if merges * 3 >= len(seen) and merges else "linear"


def facts_of(commit: Commit, evidence: Evidence = _NOTHING) -> Facts:
    """Return what is known of a commit, its merge title in the subject's place where it has one."""
    subject, body = title_and_body(commit)
    return Facts(
        subject,
        body,
        commit.author,
        commit.author_email,
        commit.trailers,
        tuple(change.path for change in commit.changes if change.status == "A"),
        evidence.source_changed,
        evidence.changelog,
        evidence.hook,
    )


def title_and_body(commit: Commit) -> tuple[str, str]:
    """Return a commit's own title and text; a merge's title is its body's first line."""
    if not _is_merge_subject(commit):
        return commit.subject, commit.body
    title = first_line(commit.body[:5_000])
    if not title or _NEWS.match(title) or title.startswith(("#", "*", "Conflicts:")):
        return "", commit.body
    return title, commit.body.partition(title)[2].strip("\n")


def _is_merge_subject(commit: Commit) -> bool:
    """Bitbucket and Azure squash under the subject of a merge, so parents are not asked there."""
    if re.match(r"Merged in \S{1,200} \(pull request #\d+\)\s*\Z", commit.subject):
        return True
    return len(commit.parents) > 1 and _MERGE_SUBJECT.match(commit.subject) is not None


def _units(commits: Sequence[Commit], policy: Policy, evidence: Mapping[str, Evidence]) -> list[Unit]:
    owner = _owners(commits)
    inside: dict[str, list[str]] = defaultdict(list)
    for commit in commits:
        for merge in _chain(commit.sha, owner):
            inside[merge].append(commit.sha)
    gone = reverts.cancelled(commits, inside)
    by_sha = {commit.sha: commit for commit in commits}
    units: list[Unit] = []
    whole: set[str] = set()
    # The outermost first: skewed clocks make git list a merge after what it brought in.
    for commit in sorted(commits, key=lambda commit: len(list(_chain(commit.sha, owner)))):
        if len(commit.parents) < 2 or commit.sha in gone or not whole.isdisjoint(_chain(commit.sha, owner)):
            continue
        parts = tuple(by_sha[sha] for sha in inside[commit.sha])
        subject, _ = title_and_body(commit)
        judgement = _judged(commit, policy, evidence) if subject else _NO_TITLE
        if judgement.is_fix or not any(part.sha not in gone for part in parts):
            whole.add(commit.sha)
            units.append(_unit("merge", (commit,), judgement, policy, parts=parts))
    single = [
        commit
        for commit in commits
        if len(commit.parents) < 2 and commit.sha not in gone and whole.isdisjoint(_chain(commit.sha, owner))
    ]
    units += _grouped(single, policy, evidence)
    units += [
        _unit("merge" if len(c.parents) > 1 else "commit", (c,), _no(gone[c.sha]), policy)
        for c in commits
        if c.sha in gone
    ]
    place = {commit.sha: at for at, commit in enumerate(commits)}
    return sorted(units, key=lambda unit: place[unit.head])


def _owners(commits: Sequence[Commit]) -> dict[str, str | None]:
    """Map each commit of a range to the innermost merge that brought it in, None on the mainline."""
    by_sha = {commit.sha: commit for commit in commits}
    owner: dict[str, str | None] = {}
    parents_of_any = {parent for commit in commits for parent in commit.parents}
    for commit in sorted(commits, key=lambda commit: commit.sha in parents_of_any):
        stack: list[tuple[str, str | None]] = [(commit.sha, None)]
        while stack:
            at, merge = stack.pop()
            while at in by_sha and at not in owner:
                owner[at] = merge
                parents = by_sha[at].parents
                # The oldest merge comes off the stack first, so each keeps what it was first to bring.
                stack += [(parent, at) for parent in parents[1:]]
                at = parents[0] if parents else ""
    return owner


def _chain(sha: str, owner: Mapping[str, str | None]) -> Iterable[str]:
    at = owner.get(sha)
    while at is not None:
        yield at
        at = owner.get(at)


def _judged(commit: Commit, policy: Policy, evidence: Mapping[str, Evidence]) -> Judgement:
    facts = facts_of(commit, evidence.get(commit.sha, Evidence()))
    revert = reverts.revert_of(facts.subject, facts.body)
    if revert is None or facts.hook is not None:
        return judge(facts, policy)
    title, again = reverts.unwrapped(revert)
    if again and title:
        inner = judge(replace(facts, subject=title), policy)
        return replace(
            inner, reasons=(Reason(f"it applies {reverts.described(revert)} again", 0), *inner.reasons)
        )
    # The words of what is taken back are not the revert's own; its body may still name a bug.
    own = judge(replace(facts, subject="Revert") if title else facts, policy)
    if own.is_fix or facts.source_changed is False:
        return own
    if title and not revert.partly and judge(Facts(title), policy).is_fix:
        return _no(f"it takes back a fix from before this range, {reverts.described(revert)}")
    return Judgement(
        "maybe", 1, (Reason(f"it takes back {reverts.described(revert)}, perhaps for a bug in it", 1),)
    )


def _grouped(commits: Sequence[Commit], policy: Policy, evidence: Mapping[str, Evidence]) -> list[Unit]:
    """Bring the commits that mend one bug together."""
    judged = {commit.sha: _judged(commit, policy, evidence) for commit in commits}
    follows = reverts.follow_ups(commits)
    group = {commit.sha: commit.sha for commit in commits}

    def find(sha: str) -> str:
        while group[sha] != sha:
            group[sha] = group[group[sha]]
            sha = group[sha]
        return sha

    by_bug: dict[str, str] = {}
    for commit in reversed(commits):
        target = follows.get(commit.sha) or _mended(commit, commits, judged)
        if target is not None:
            group[find(commit.sha)] = find(target)
        if commit.sha in follows or judged[commit.sha].answer == "no":
            continue
        for reference in _references(commit, policy):
            if reference.mention >= Mention.CLOSES or (
                reference.mention is Mention.MENTION and reference.in_subject
            ):
                group[find(commit.sha)] = find(by_bug.setdefault(reference.bug, commit.sha))
    members: dict[str, list[Commit]] = defaultdict(list)
    witnesses: dict[str, list[Commit]] = defaultdict(list)
    for commit in commits:
        tests = (
            _tests_only(commit, evidence.get(commit.sha, Evidence())) and judged[commit.sha].answer == "no"
        )
        bugs = (r.bug for r in _references(commit, policy) if r.mention > Mention.PULL_REQUEST)
        root = next((find(by_bug[bug]) for bug in bugs if bug in by_bug), None) if tests else None
        (members[find(commit.sha)] if root is None else witnesses[root]).append(commit)
    units = []
    for root, found in members.items():
        lead = max(
            (c for c in found if c.sha not in follows), key=lambda c: judged[c.sha].score, default=found[0]
        )
        units.append(
            _unit(
                "commit", tuple(found), judged[lead.sha], policy, lead=lead, evidence=tuple(witnesses[root])
            )
        )
    return units


def _mended(commit: Commit, commits: Sequence[Commit], judged: Mapping[str, Judgement]) -> str | None:
    """Return the fix of this range that a `Fixes: <sha>` trailer completes."""
    for key, value in commit.trailers:
        match = signs.COMMIT.match(value) if key.lower() == "fixes" else None
        sha = match[0].split()[-1].lower() if match else ""
        for other in commits:
            if (
                sha
                and other.sha != commit.sha
                and other.sha.startswith(sha)
                and judged[other.sha].answer != "no"
            ):
                return other.sha
    return None


def _tests_only(commit: Commit, evidence: Evidence) -> bool:
    if evidence.source_changed is not None:
        return not evidence.source_changed
    return bool(commit.changes) and all(_TEST_PATH.search(change.path) for change in commit.changes)


def _range(
    commits: Sequence[Commit],
    policy: Policy,
    evidence: Mapping[str, Evidence],
    title: str | None,
    description: str,
    base: str | None,
    found: Evidence,
) -> Unit:
    inner = _units(commits, policy, evidence)
    fixes = [unit for unit in inner if unit.judgement.is_fix]
    best = max(inner, key=lambda unit: (unit.judgement.is_fix, unit.judgement.score))
    subject, body, judgement = best.subject, best.body, best.judgement
    if title:
        subject, body = title, description
        facts = Facts(
            title,
            description,
            source_changed=found.source_changed,
            changelog=found.changelog,
            hook=found.hook,
        )
        judgement = judge(facts, policy)
        if judgement.answer == "maybe" and fixes:
            judgement = replace(best.judgement, reasons=(*best.judgement.reasons, *judgement.reasons))
    elif found.hook is not None or (found.source_changed is False and judgement.answer != "no"):
        facts = Facts(subject, body, source_changed=found.source_changed, hook=found.hook)
        judgement = judge(facts, policy)
    named = [
        *references(f"{title or ''}\n\n{description}", policy.home),
        *(r for unit in fixes for r in unit.references),
    ]
    unit = _unit("range", tuple(commits), judgement, policy)
    return replace(unit, base=base or unit.base, subject=subject, body=body, references=_strongest(named))


def _unit(
    kind: Kind,
    commits: tuple[Commit, ...],
    judgement: Judgement,
    policy: Policy,
    *,
    lead: Commit | None = None,
    evidence: tuple[Commit, ...] = (),
    parts: tuple[Commit, ...] = (),
) -> Unit:
    subject, body = title_and_body(lead or commits[0])
    named = [r for commit in (*commits, *parts) for r in _references(commit, policy)]
    picked = dict.fromkeys(m["sha"] for c in commits for m in _PICKED.finditer(bounded(c.body)))
    return Unit(
        kind,
        commits,
        commits[0].sha,
        commits[-1].parents[0] if commits[-1].parents else None,
        subject or (lead or commits[0]).subject,
        body,
        judgement,
        _strongest(named),
        evidence,
        parts,
        tuple(picked),
        bool(picked) or any(headline(commit.subject).backport for commit in commits),
    )


def _references(commit: Commit, policy: Policy) -> tuple[Reference, ...]:
    """Return what a commit names, in its message or by the number of a news fragment that it adds."""
    named = references(f"{commit.subject}\n\n{commit.body}", policy.home)
    numbers = (signs.fragment_number(change.path) for change in commit.changes if change.status == "A")
    return _strongest(
        [*named, *(Reference(normalise(number), Mention.MENTION) for number in numbers if number)]
    )


def _strongest(named: Iterable[Reference]) -> tuple[Reference, ...]:
    found: dict[str, Reference] = {}
    for reference in named:
        seen = found.get(reference.bug)
        if seen is not None:
            reference = Reference(
                seen.bug, max(seen.mention, reference.mention), seen.in_subject or reference.in_subject
            )
        found[reference.bug] = reference
    return tuple(found.values())


def _no(why: str) -> Judgement:
    return Judgement("no", 0, (Reason(why, 0),))


_NO_TITLE = _no("it only brings another branch in")
