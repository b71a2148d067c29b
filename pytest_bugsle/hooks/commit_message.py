"""The commit-msg hook: a bug fix brings a linked test, or says why it has none.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_bugsle import commands, waivers
from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.log import Commit, read_log
from pytest_bugsle.git.staged import Staged, index_of, staged_changes, staged_tree
from pytest_bugsle.history.messages import bounded, excerpt
from pytest_bugsle.hooks.message import Message, read_message
from pytest_bugsle.regression import verdict
from pytest_bugsle.regression.gather import Surveyor
from pytest_bugsle.regression.links import TRAILER
from pytest_bugsle.regression.planning import Fixes, PlannedFix
from pytest_bugsle.runner.configuration import read_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_bugsle.findings import Finding
    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.regression.gather import TreeSides
    from pytest_bugsle.settings import Settings

_MEANT = re.compile(rf"^(?P<key>{TRAILER}|{waivers.TRAILER}):(?P<value>.*)$", re.IGNORECASE | re.MULTILINE)
_FOLLOW_UPS = ("fixup! ", "squash! ", "amend! ")
_SECONDS = 2
"""From which on a date is one that git kept, and not the present one; git sets no committer's date itself."""
_MOST_PATHS = 3
_MOST_REASONS = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether git may make the commit, and the lines that a user reads."""

    blocks: bool = False
    lines: tuple[str, ...] = ()


SILENT = Answer()


def judge_message(where: Path, file: Path, environ: Mapping[str, str], now: dt.datetime) -> Answer:
    """Judge the message in `file` and what is staged in the repository at `where`.

    A merge, a `fixup!` and a change of nothing but the message are judged when they are pushed.
    UsageError where the file cannot be read, UndecidedError where the evidence is not there.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the message file cannot be read: {error}",
            why="git gives it to its commit-msg hook, and the message says whether this is a bug fix.",
            hint="run it as a commit-msg hook, or give a file: bugsle-commit-msg .git/COMMIT_EDITMSG",
        ) from error
    with commands.opened(where) as repo:
        settings = commands.settings_of(where, repo, proof="off")
        message = read_message(repo, raw, environ)
        merges = (repo.git_dir / "MERGE_HEAD").exists()
        if merges or not message.subject or message.subject.startswith(_FOLLOW_UPS):
            return SILENT
        base = _base(repo, message, environ, now)
        index = index_of(repo, environ)
        found = staged_changes(repo, base, index) if base is not None else ()
        if base is None or not found:
            return SILENT
        with staged_tree(repo, index) as staged:
            commit = _commit(message, staged.tree, base, found, environ)
            return _Judge(where, staged, settings, now.date()).answer(commit)


def _base(repo: Repository, message: Message, environ: Mapping[str, str], now: dt.datetime) -> str | None:
    """Return what the commit will be compared with; None where a merge is amended.

    git does not tell this hook that HEAD is amended. But it names the author, and an amended commit keeps
    its author and the second in which it was written; a script makes two commits in one second as well, so
    that second must be over, or the subject be HEAD's. `--amend --reset-author` is seen as a new commit.
    """
    head = repo.head().sha
    if head is None:
        return repo.empty_tree
    date = environ.get("GIT_AUTHOR_DATE", "").split(" ")[0]
    if not date.startswith("@"):
        return head
    last = read_log(repo, None, head, limit=1, changes=False)[0]
    author = (f"@{last.author_time}", last.author, last.author_email)
    if author != (date, environ.get("GIT_AUTHOR_NAME"), environ.get("GIT_AUTHOR_EMAIL")) or last.cut:
        return head
    is_over = "GIT_COMMITTER_DATE" not in environ and now.timestamp() - last.author_time > _SECONDS
    if message.subject != last.subject and not is_over:
        return head
    if len(last.parents) > 1:
        return None
    return last.parents[0] if last.parents else repo.empty_tree


def _commit(
    message: Message, tree: str, base: str, found: Sequence[Change], environ: Mapping[str, str]
) -> Commit:
    """Return the commit that git is about to make, under the name of its tree."""
    return Commit(
        sha=tree,
        parents=(base,),
        tree=tree,
        author=environ.get("GIT_AUTHOR_NAME", ""),
        author_email=environ.get("GIT_AUTHOR_EMAIL", ""),
        author_time=0,
        commit_time=0,
        subject=message.subject,
        body=message.body,
        trailers=message.trailers,
        changes=tuple(found),
    )


def _no_pool() -> NoReturn:
    raise AssertionError("a hook that runs no test needs no work tree")


class _Judge:
    def __init__(self, where: Path, staged: Staged, settings: Settings, today: dt.date) -> None:
        configuration = read_configuration(where.resolve(), staged.repo.top)
        self.surveyor = Surveyor(staged.repo, configuration, settings)
        self.tree = staged.tree
        self.settings = settings
        self.today = today

    def answer(self, commit: Commit) -> Answer:
        units = self.surveyor.units([commit], self._sides, base=commit.parents[0], head=commit.sha)
        fixes = Fixes(self.surveyor, proof=False)
        fixes.plan(units, lambda _: self._sides(), named=False, pool=_no_pool)
        granted, wrong = waivers.from_trailers(commit.sha, commit.trailers)
        grants = [*granted, *waivers.from_settings(self.settings.waivers, self.today)]
        policy = verdict.Policy(self.settings.rules, ci=False, rootdir=self.surveyor.rootdir)
        _, findings, _ = verdict.findings_of(fixes.linked_only(), grants, policy)
        planned = fixes.planned[0]
        notes = (*wrong, *fixes.notes, *_no_trailers(commit))
        lines = [f"bugsle: {note}" for note in notes]
        finding = next((each for each in findings if each.level != "off"), None)
        blocks = finding is not None and finding.level == "error" and self.settings.mode == "block"
        if finding is not None:
            lines += self._refusal(planned, finding, blocks=blocks)
        elif planned.unit.judgement.answer == "maybe":
            lines += self._doubt(planned)
        if planned.asked and planned.in_scope and not planned.unit.bugs:
            lines.append(
                "bugsle: hint: the message names no bug. “Fixes #42” ties the fix, its test and the bug."
            )
        return Answer(blocks, tuple(lines))

    def _sides(self) -> TreeSides:
        return self.surveyor.ground(self.tree)

    def _refusal(self, planned: PlannedFix, finding: Finding, *, blocks: bool) -> Iterator[str]:
        unit = planned.unit
        word = "" if blocks else f" ({finding.level}; the commit goes on)"
        yield f"bugsle: {finding.rule} {finding.name}{word}: a bug fix, and no test is linked to it"
        yield f"  message  “{unit.subject}”"
        reasons = unit.judgement.reasons[:_MOST_REASONS]
        for number, reason in enumerate(reasons):
            yield f"  {'judged' if number == 0 else '':<8} {reason}"
        yield f"  changes  {_few(planned.paths)}"
        yield "  missing  a staged test that fails without this change; nothing staged is linked to it"
        tests = self._near(planned.paths)
        if tests:
            yield f"  near     {_few(tests)}"
        example = next(iter(tests), "tests/test_it.py")
        yield "  next     write the test, `git add` it and commit again; or add one of these to the message:"
        yield f"             Regression-Test: {example}::test_name    a test that is there already holds it"
        yield f"             Bugsle-Waive: {finding.rule} the reason    it can have no test"
        yield "           if it is no bug fix, say in the subject what it is, such as “refactor: …”"
        if blocks:
            yield '           your message is kept: git commit -e -F "$(git rev-parse --git-path COMMIT_EDITMSG)"'

    def _near(self, changed: Sequence[str]) -> list[str]:
        """Return the test modules whose names share words with those of the changed files, the likest first.

        Which tests import them is not asked: parsing them all takes longer than a commit should.
        """
        tree = self._sides().layout.tree
        words = {path: _words(path) for path in changed}
        shared = {
            path: max((len(_words(path) & each) for each in words.values()), default=0)
            for path in tree.paths
            if path.endswith(".py") and tree.is_test_module(path)
        }
        found = [path for path, count in shared.items() if count]
        return sorted(found, key=lambda path: (-shared[path], len(_words(path)), path))

    def _doubt(self, planned: PlannedFix) -> Iterator[str]:
        """Say that this may be a fix, where it changes the source and no test."""
        from pytest_bugsle.regression.linking import touched

        steps = self.surveyor.steps(planned.unit)
        found = [change for _, _, changes in steps for change in changes]
        if self._sides().in_scope(found) and not touched(self._sides(), steps):
            reasons = "; ".join(map(str, planned.unit.judgement.reasons[:2]))
            yield f"bugsle: undecided: this may be a bug fix, and no test is staged with it ({reasons})"
            yield "  next     if it is one, stage a test that fails without it; the commit goes on"


def _no_trailers(commit: Commit) -> Iterator[str]:
    """Name the lines that were meant as our trailers, and that git reads as text.

    git takes the last paragraph for trailers only if (nearly) all of its lines are some: “Fixes #42” is none.
    """
    read = [(key.casefold(), value) for key, value in commit.trailers]
    for found in islice(_MEANT.finditer(bounded(commit.body)), _MOST_PATHS):
        key, meant = found["key"].casefold(), found["value"].strip()
        if not any(name == key and value.startswith(meant) for name, value in read):
            line = excerpt(found[0].strip())
            yield f"git reads “{line}” as text: put it into a last paragraph that holds trailers alone"


def _words(path: str) -> set[str]:
    name = path.rpartition("/")[2].removesuffix(".py")
    words = (word.removesuffix("s") for word in name.split("_"))
    return {word for word in words if word and word != "test"}


def _few(paths: Sequence[str]) -> str:
    more = len(paths) - _MOST_PATHS
    return ", ".join(paths[:_MOST_PATHS]) + (f" and {more} more" if more > 0 else "")
