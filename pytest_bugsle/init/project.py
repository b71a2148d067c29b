"""Find out how a project is laid out, released and merged.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.log import read_log
from pytest_bugsle.history.ranges import default_branch_candidates
from pytest_bugsle.history.releases import parse_tag
from pytest_bugsle.history.units import mainline_shape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.runner.configuration import Configuration

_MAINLINE = 50
_TEST_EXTRAS = ("test", "tests", "testing", "dev")
_NOT_SHIPPED = frozenset(
    (
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "benchmark",
        "benchmarks",
        "scripts",
        "tools",
    )
)
_SHAPES = {
    "squash": ("auto", "the mainline holds squashed pull requests: a pull request is one change"),
    "merge": ("auto", "the mainline holds merges: each commit or merge is judged"),
    "linear": ("auto", "the mainline holds single commits: each is judged"),
}


@dataclass(frozen=True, slots=True)
class Project:
    """What was found out.

    `base` is the default branch as a ref; `base_is_needed` where the gate would not find it by itself.
    `tag` is the newest tag that names a version, and `tag_pattern` is set where the usual reading of
    versions would miss it. `install` are pip's words for what the tests need.
    """

    branch: str
    base: str
    base_is_needed: bool
    unit: str
    unit_why: str
    source: tuple[str, ...]
    tests: tuple[str, ...]
    tag: str
    tag_pattern: str
    install: str


def read_project(repo: Repository, configuration: Configuration, pyproject: Mapping[str, Any]) -> Project:
    """Look at a repository's refs and files; UsageError where nothing is committed yet."""
    head = repo.head()
    if head.sha is None:
        raise UsageError(
            "the repository has no commit yet.",
            why="branch, layout and releases are read from what is committed.",
            hint="commit something, then run `bugsle init` again.",
        )
    base, branch, needed = _default_branch(repo, head.branch)
    mainline = read_log(
        repo, None, repo.resolve(base) or head.sha, first_parent=True, limit=_MAINLINE, changes=False
    )
    unit, why = _SHAPES[mainline_shape(mainline)]
    listing = repo.listing(head.sha)
    tests = _tests(listing, configuration, repo)
    tag, pattern = _tags(repo)
    return Project(
        branch,
        base,
        needed,
        unit,
        why,
        _source(listing, tests),
        tests,
        tag,
        pattern,
        _install(pyproject, listing),
    )


def _install(pyproject: Mapping[str, Any], listing: Collection[str]) -> str:
    """Return pip's words: the project with its extra for tests, or with its dependency group for them."""
    project, groups = pyproject.get("project"), pyproject.get("dependency-groups", {})
    if not ("build-system" in pyproject or isinstance(project, dict) or "setup.py" in listing):
        return "pytest"
    extras = project.get("optional-dependencies", {}) if isinstance(project, dict) else {}
    for name in _TEST_EXTRAS:
        if name in extras:
            return f"-e '.[{name}]'"
        if name in groups:
            return f"-e . --group {name}"
    return "-e . pytest"


def _default_branch(repo: Repository, current: str | None) -> tuple[str, str, bool]:
    """Return the default branch as a ref and by its short name, and whether the gate must be told of it."""
    remotes = repo.remotes()
    for ref in default_branch_candidates(remotes, repo.config("init.defaultBranch")):
        if repo.resolve(ref) is None:
            continue
        remote = next((name for name in remotes if ref.startswith(f"{name}/")), None)
        if ref.endswith("/HEAD") and remote is not None:
            told = repo.run("symbolic-ref", "--quiet", f"refs/remotes/{ref}", ok=(0, 1)).decode(
                "utf-8", "replace"
            )
            ref = told.strip().removeprefix("refs/remotes/") or ref
        return ref, ref.removeprefix(f"{remote}/") if remote else ref, False
    return current or "HEAD", current or "main", current is not None


def _tests(listing: Collection[str], configuration: Configuration, repo: Repository) -> tuple[str, ...]:
    """Return the folders of tests: what pytest is told, else the usual names that hold test modules."""
    top = repo.top.resolve()
    rootdir = configuration.rootdir.resolve()
    prefix = "" if rootdir == top else f"{rootdir.relative_to(top).as_posix()}/"
    told = [f"{prefix}{path.strip('/').removeprefix('./')}" for path in configuration.testpaths]
    folders = [path for path in told if any(name.startswith(f"{path}/") for name in listing)]
    if not folders:
        tested = (name for name in listing if re.search(r"(?:^|/)(?:test_[^/]*|[^/]*_test)\.py\Z", name))
        tops = Counter(name.partition("/")[0] for name in tested if "/" in name)
        folders = [name for name in sorted(tops) if name in ("test", "tests", "testing")]
    return tuple(f"{path}/**" for path in dict.fromkeys(folders))


def _source(listing: Collection[str], tests: Sequence[str]) -> tuple[str, ...]:
    """Return the folders of what is shipped: `src`, else the import packages at the top."""
    if any(name.startswith("src/") and name.endswith(".py") for name in listing):
        return ("src/**",)
    packages = sorted(name.partition("/")[0] for name in listing if re.fullmatch(r"[^/]+/__init__\.py", name))
    return tuple(
        f"{name}/**"
        for name in packages
        if name not in _NOT_SHIPPED and f"{name}/**" not in tests and not name.startswith(".")
    )


def _tags(repo: Repository) -> tuple[str, str]:
    """Return the newest tag that is a release, and the pattern that it takes where its name has a prefix.

    Where the tags that name versions share one prefix, such as `myproject-`, that makes the pattern.
    """
    form = "--format=%(refname:strip=2)"
    out = repo.run("for-each-ref", "--sort=-creatordate", form, "refs/tags").decode(
        "utf-8", "surrogateescape"
    )
    names = [name for name in out.split("\n") if (tag := parse_tag(name)) and not tag.prerelease]
    if not names:
        return "", ""
    prefixes = Counter(re.match(r"(?:.*?[-_/@])??(?=v?\d)|", name)[0] for name in names)  # type: ignore[index]
    prefix = prefixes.most_common(1)[0][0]
    newest = next(name for name in names if name.startswith(prefix))
    return newest, rf"{re.escape(prefix)}v?\d+(\.\d+)*" if prefix else ""


def read_toml(text: bytes, path: str) -> dict[str, Any]:
    """Read a file of TOML, a byte order mark or not; UsageError names the line that cannot be read."""
    try:
        return tomllib.loads(text.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}",
            why="a table added to a file that is broken would be lost with it.",
            hint="mend the file, then run `bugsle init` again.",
        ) from error
