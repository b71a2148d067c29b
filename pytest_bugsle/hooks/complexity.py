"""The pre-commit hook on complexity: a changed function may not outgrow a reader.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle import commands
from pytest_bugsle.code.functions import LARGEST
from pytest_bugsle.code.growth import Growth, Text, grown_too_far, growths
from pytest_bugsle.findings import Finding, make_finding
from pytest_bugsle.git.diff import changes
from pytest_bugsle.git.staged import index_of, staged_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.repository import Repository

_FILES = ("100644", "100755")


def judge_growth(
    where: Path, environ: Mapping[str, str], *, limit: int | None = None, step: int | None = None
) -> tuple[list[Finding], bool]:
    """Return a finding for each function that the staged change lets grow too far, and whether they block.

    What is staged is compared with HEAD; where pre-commit names two refs, these are. `limit` and `step`
    go before the settings `complexity_limit` and `complexity_step`.
    """
    options = {"complexity_limit": limit, "complexity_step": step}
    with commands.opened(where) as repo:
        settings = commands.settings_of(where, repo, **options)
        grown = growths(_texts(repo, _changed(repo, environ)))
    findings = [
        make_finding(
            "BUG510",
            _told(growth, settings.complexity_limit, settings.complexity_step),
            levels=settings.rules,
            ci=False,
            path=growth.path,
            line=growth.line,
        )
        for growth in grown_too_far(grown, settings.complexity_limit, settings.complexity_step)
    ]
    findings = [finding for finding in findings if finding.level != "off"]
    return findings, settings.mode == "block" and any(finding.level == "error" for finding in findings)


def _changed(repo: Repository, environ: Mapping[str, str]) -> tuple[Change, ...]:
    begin, end = environ.get("PRE_COMMIT_FROM_REF"), environ.get("PRE_COMMIT_TO_REF")
    if begin and end:
        old, new = repo.tree_of(begin), repo.tree_of(end)
        return changes(repo, old, new)
    head = repo.head().sha
    return staged_changes(repo, head or repo.empty_tree, index_of(repo, environ))


def _texts(repo: Repository, found: Iterable[Change]) -> Iterable[Text]:
    for change in found:
        if change.path.endswith(".py"):
            old, new = _text(repo, change.old_mode, change.old_blob), _text(repo, change.mode, change.blob)
            yield Text(change.path, old, new)


def _text(repo: Repository, mode: str | None, blob: str | None) -> bytes | None:
    if blob is None or mode not in _FILES:
        return None
    text = repo.blob(blob)
    return text if len(text) <= LARGEST else None


def _told(growth: Growth, limit: int, step: int) -> str:
    if growth.before is None:
        return f"{growth.name} is new with a complexity of {growth.after} (limit {limit})"
    bound = f"limit {limit}" if growth.after > limit else f"at most {step} more at once"
    return f"{growth.name} grew from {growth.before} to {growth.after} ({bound})"
