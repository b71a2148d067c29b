"""Build real projects in real git repositories, run the gate on them, and read back what it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
from git_sandbox import Sandbox

from pytest_bugsle import cli
from pytest_bugsle.demo import quiet_environment
from pytest_bugsle.results import json_schema

Files = Mapping[str, str | bytes | None]

CONFIGURATION = """
    [tool.pytest.ini_options]
    testpaths = ["tests"]
    pythonpath = ["src"]
    addopts = ["-p", "no:hypothesispytest", "-p", "no:randomly"]
"""
"""Without the plugins that cost every inner run half a second; the tests of coexistence have them on."""

_VALIDATOR = jsonschema.Draft202012Validator(json_schema())


class Repo:
    """A project in a git repository of a test's own: fixed identity, deterministic dates, no user's configuration."""

    def __init__(self, top: Path, *, configuration: str = CONFIGURATION, start: Files | None = None) -> None:
        """Begin the repository with a first commit on `main`; without a configuration there is no `src/pkg`."""
        self._sandbox = Sandbox(top)
        self.top = top
        files: dict[str, str | bytes | None] = {"pyproject.toml": configuration}
        if configuration:
            files["src/pkg/__init__.py"] = ""
        self.start = self.commit("chore: start", {**files, **(start or {})})

    @classmethod
    def at(cls, top: Path) -> Repo:
        """Take over a repository that is already there."""
        repo = cls.__new__(cls)
        repo._sandbox = Sandbox.__new__(Sandbox)
        repo._sandbox.top, repo._sandbox.clock = top, 1_800_000_000
        repo.top, repo.start = top, ""
        return repo

    def git(self, *args: str, at: Path | None = None, input: bytes | None = None, **env: str) -> str:
        """Run git and give what it prints."""
        return self._sandbox.git(*args, at=at, input=input, **env)

    def write(self, files: Files) -> None:
        """Write files, text dedented; None deletes one."""
        self._sandbox.write({name: _dedented(content) for name, content in files.items()})

    def commit(self, message: str | bytes, files: Files | None = None, *, seconds: int = 60) -> str:
        """Write files, commit everything, and give the sha; `seconds` is how long after the last commit."""
        self._sandbox.clock += seconds - 60
        return self._sandbox.commit({n: _dedented(c) for n, c in (files or {}).items()}, message)

    def branch(self, name: str, at: str = "HEAD") -> None:
        """Make a branch and switch to it."""
        self.git("switch", "-q", "-c", name, at)

    def switch(self, name: str) -> None:
        """Switch to a branch."""
        self.git("switch", "-q", name)

    def merge(self, name: str, message: str) -> str:
        """Merge a branch by a merge commit."""
        self._sandbox.clock += 60
        self.git("merge", "-q", "--no-ff", "-m", message, name)
        return self.git("rev-parse", "HEAD")

    def sha(self, ref: str = "HEAD") -> str:
        """Give the commit that a ref names."""
        return self.git("rev-parse", f"{ref}^{{commit}}")

    def read(self, name: str) -> str:
        """Give a file of the work tree."""
        return (self.top / name).read_text(encoding="utf-8")

    def change(self, message: str, name: str, old: str, new: str, more: Files | None = None) -> str:
        """Replace a piece of one file and commit."""
        text = self.read(name)
        assert old in text, f"{old!r} is not in {name}"
        return self.commit(message, {name: text.replace(old, new).encode(), **(more or {})})


def _dedented(content: str | bytes | None) -> str | bytes | None:
    return dedent(content).lstrip("\n") if isinstance(content, str) else content


@dataclass(frozen=True)
class Said:
    """What one run of the gate said: exit code, output, and the JSON report where one was written."""

    code: int
    out: str
    err: str
    report: dict[str, Any] = field(default_factory=dict)

    def fix(self, sha_or_subject: str) -> dict[str, Any]:
        """Give the one fix with this commit, or whose subject begins so."""
        found = [
            fix
            for fix in self.report["fixes"]
            if fix["commit"].startswith(sha_or_subject) or fix["subject"].startswith(sha_or_subject)
        ]
        assert len(found) == 1, f"{sha_or_subject!r} is in {[fix['subject'] for fix in self.report['fixes']]}"
        return dict(found[0])

    def status(self, sha_or_subject: str) -> str | None:
        """Give the status of one fix."""
        status: str | None = self.fix(sha_or_subject)["status"]
        return status

    def rules(self, sha_or_subject: str | None = None) -> list[str]:
        """Give the codes of all findings, or of those about one fix."""
        commit = None if sha_or_subject is None else self.fix(sha_or_subject)["commit"]
        return [f["rule"] for f in self.report["findings"] if commit is None or f["commit"] == commit]

    @property
    def all(self) -> str:
        """Give both streams."""
        return self.out + self.err


def clean_environment(place: Path, **more: str) -> dict[str, str]:
    """Give an environment in which no CI and no surrounding pytest shows, with caches of the test's own."""
    environ = {k: v for k, v in quiet_environment(os.environ).items() if k != "FORCE_COLOR"}
    environ |= {
        "BUGSLE_POOL": str(place / "pool"),
        "XDG_CACHE_HOME": str(place / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "NO_COLOR": "1",
    }
    return environ | more


@contextlib.contextmanager
def _surroundings(environ: Mapping[str, str], folder: Path) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    before, here, streams = dict(os.environ), Path.cwd(), (sys.stdout, sys.stderr)
    out, err = io.BytesIO(), io.BytesIO()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield out, err
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.detach()  # a wrapper that is collected closes what it wraps
        sys.stdout, sys.stderr = streams
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)


def bugsle(repo: Repo | Path, *args: str, report: bool = True, **environ: str) -> Said:
    """Run the command in a repository, in this process; the JSON report is read back and held to its schema."""
    top = repo.top if isinstance(repo, Repo) else repo
    place = top.parent
    path = place / "report.json"
    path.unlink(missing_ok=True)
    given = [*args]
    if report and args and args[0] in ("audit", "check", "dora", "hotspots", "prove", "what-else"):
        given[1:1] = ["--report", f"json:{path}"]
    with _surroundings(clean_environment(place, **environ), top) as (out, err):
        code = cli.main(given)
    return Said(code, out.getvalue().decode(), err.getvalue().decode(), _report(path))


def run_pytest(
    repo: Repo | Path, *args: str, cwd: Path | None = None, on: bool = True, **environ: str
) -> Said:
    """Run `pytest --bugsle` in a repository, in a process of its own; no plugin that shuffles."""
    top = repo.top if isinstance(repo, Repo) else repo
    path = top.parent / "report.json"
    path.unlink(missing_ok=True)
    gate = ("--bugsle", f"--bugsle-report=json:{path}") if on else ()
    plain = ("-p", "no:cacheprovider", "-p", "no:randomly") if "randomly" not in " ".join(args) else ()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plain, *gate, *args],
        cwd=cwd or top,
        env=clean_environment(top.parent, **environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Said(
        done.returncode,
        done.stdout.decode("utf-8", "surrogateescape"),
        done.stderr.decode("utf-8", "surrogateescape"),
        _report(path),
    )


def _report(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    raw = path.read_bytes()
    assert not any(byte < 0x20 and byte != 0x0A for byte in raw), "a raw control character is in the JSON"
    report: dict[str, Any] = json.loads(raw)
    _VALIDATOR.validate(report)
    return report


def state_of(repo: Repo) -> dict[str, object]:
    """Say all of a user's repository that an experiment must not touch, byte for byte."""
    return {
        "index": (repo.top / ".git/index").read_bytes(),
        "stash": repo.git("stash", "list"),
        "worktrees": repo.git("worktree", "list", "--porcelain"),
        "refs": repo.git("for-each-ref"),
        "config": (repo.top / ".git/config").read_bytes(),
        "objects": sorted(p.relative_to(repo.top).as_posix() for p in (repo.top / ".git/objects").rglob("*")),
        "hooks": sorted(p.name for p in (repo.top / ".git/hooks").iterdir()),
        "git": sorted(p.name for p in (repo.top / ".git").iterdir()),
    }


WRONG = "def answer():\n    return 0\n"
RIGHT = "def answer():\n    return 1\n"


def guard(module: str, value: str = "1", above: str = "") -> str:
    """Give a test file that asks a module for its answer."""
    return f"import pytest\n\nfrom pkg.{module} import answer\n\n\n{above}def test_{module}():\n    assert answer() == {value}\n"


def guarded(top: Path, *, configuration: str = CONFIGURATION) -> Repo:
    """Give a project whose branch `work` fixes bug #42, held by a test."""
    repo = Repo(top, configuration=configuration, start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.branch("work")
    repo.commit("fix: a is wrong\n\nFixes #42\n", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    return repo


def unguarded(top: Path, *, configuration: str = CONFIGURATION) -> Repo:
    """Give a project whose branch `work` fixes bug #43, held by no test."""
    repo = Repo(top, configuration=configuration, start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.branch("work")
    repo.commit(
        "fix: b is wrong\n\nFixes #43\n",
        {
            "src/pkg/b.py": RIGHT,
            "tests/test_b.py": "from pkg.b import answer\n\n\ndef test_b():\n    assert answer() < 2\n",
        },
    )
    return repo
