"""Fixes as the finders of leads see them, made from real commits."""

from __future__ import annotations

from git_sandbox import Sandbox

from pytest_bugsle.git.diff import changes
from pytest_bugsle.git.log import read_log
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView
from pytest_bugsle.regression.sides import Layout, Side


def source_of(count: int, value: object = 0, **bodies: object) -> str:
    """Give a module of functions `f0`, `f1` …, each with a value; keywords give one another value."""
    parts = [f"def f{n}(x):\n    y = {bodies.get(f'f{n}', value)!r}\n    return x\n" for n in range(count)]
    return "\n\n".join(parts)


def view_of(sandbox: Sandbox, repo: Repository, commit: str, tree: str | None = None) -> FixView:
    """Give one commit as a fix, seen from its own tree or that of another commit."""
    fix = read_log(repo, None, commit, limit=1)[0]
    base = fix.parents[0] if fix.parents else None
    found = changes(repo, base or repo.empty_tree, commit)
    at = repo.tree_of(tree or commit)
    listing = repo.listing(at)
    layout = Layout(tuple(listing), testpaths=("tests",))
    files = tuple(
        FixedFile(
            c.old_path,
            None if c.status == "D" else c.path,
            repo.blob(c.old_blob) if c.old_blob else None,
            repo.blob(c.blob) if c.blob else None,
        )
        for c in found
        if layout.side(c.path) is Side.SOURCE
    )
    return FixView(
        repo=repo,
        commit=commit,
        commits=(commit,),
        base=base,
        time=fix.commit_time,
        files=files,
        touched=frozenset(p for c in found for p in (c.path, c.old_path) if p is not None),
        tree=at,
        listing=listing,
        side=layout.side,
    )
