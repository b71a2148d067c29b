"""Gather: read the range, tell the sides of its changes apart, and judge its units.  PYTEST_DONT_REWRITE

What only a fix needs (sides, syntax, imports) is imported when there may be one: a session without a
fix in its range should not notice the gate.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.git.diff import changes, line_changes
from pytest_bugsle.git.log import read_log
from pytest_bugsle.history.judgement import policy as make_policy
from pytest_bugsle.history.references import repository_slug
from pytest_bugsle.history.signs import changelog_lines
from pytest_bugsle.history.units import Evidence, Unit, mainline_shape, units_of
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pytest_bugsle.git.diff import Change
    from pytest_bugsle.git.log import Commit
    from pytest_bugsle.git.repository import Entry, Repository
    from pytest_bugsle.history.judgement import Policy
    from pytest_bugsle.regression.sides import Layout, Side
    from pytest_bugsle.runner.configuration import Configuration
    from pytest_bugsle.settings import Settings

_CHANGELOG = lazy_pattern(r"(?:^|/)(?:CHANGE|HISTORY|NEWS|RELEASE)[^/]*$", re.IGNORECASE)
# An import statement, with the names in its brackets; a call that imports by a string.
_IMPORT = lazy_pattern(
    rb"^[ \t]*(?:import\b[^\n]*|from\b[^\n(]*(?:\([^)]*\)?)?[^\n]*)|(?:import_module|importorskip|__import__)[^\n]*",
    re.MULTILINE,
)
_WORD = lazy_pattern(rb"[\w\x80-\xff]+")
_GREPS = 8
"""Words looked for in a tree by a grep each, 20 ms; from then on its import lines are read at once."""
_BATCH = 200
_SHAPE_FROM = 50
"""Commits of the mainline from which its shape is read."""


class TreeSides(msgspec.Struct):
    """One tree, and which side of it each path is on."""

    repo: Repository
    tree: str
    listing: Mapping[str, Entry]
    layout: Layout

    def source(self, found: Iterable[Change]) -> tuple[Change, ...]:
        """Return the changes on the source side."""
        return tuple(c for c in found if "source" in (self.side(c.path), self._old_side(c)))

    def side(self, path: str) -> Side:
        """Return the side of a path."""
        from pytest_bugsle.regression.sides import classify

        return classify(path, self.layout)

    def _old_side(self, change: Change) -> Side | None:
        return self.side(change.old_path) if change.status == "R" and change.old_path else None

    def in_scope(self, found: Iterable[Change]) -> bool:
        """Say whether any of these changes is one that the gate answers for."""
        from pytest_bugsle.regression.sides import in_scope

        return any(in_scope(change.path, self.layout) for change in found)


class Surveyor(msgspec.Struct):
    """Reads a repository for one run; what it found is kept by tree."""

    repo: Repository
    configuration: Configuration
    settings: Settings
    is_fix: Callable[[Commit], bool | None] | None = None
    _grounds: dict[str, TreeSides] = {}
    _import_lines: dict[str, bytes] = {}
    _imports: dict[tuple[str, str], frozenset[str]] = {}
    _words: dict[str, Mapping[bytes, list[str]]] = {}
    _asked: dict[str, int] = {}

    def ground(self, tree: str, repo: Repository | None = None) -> TreeSides:
        """Return the layout of a tree; `repo` may be a pool's, which holds more objects."""
        if tree not in self._grounds:
            reader = repo or self.repo
            listing = reader.listing(tree)
            self._grounds[tree] = TreeSides(reader, tree, listing, self._layout(reader, tree, listing))
        return self._grounds[tree]

    @property
    def rootdir(self) -> str:
        """Return pytest's rootdir relative to the repository's top."""
        return _relative(self.configuration.rootdir, self.repo.top) or "."

    @property
    def inifile(self) -> str | None:
        """Return pytest's configuration file relative to the repository's top; None outside of it."""
        path = self.configuration.inifile
        return _relative(path, self.repo.top) if path else None

    def units(
        self,
        commits: Sequence[Commit],
        sides: Callable[[], TreeSides],
        *,
        base: str | None,
        head: str,
        title: str | None = None,
        description: str = "",
        on_mainline: bool = False,
    ) -> tuple[Unit, ...]:
        """Return the judged units of a range (`commits` newest first; `sides` gives the tree of its head).

        What a commit changes in the source is only looked at where its message makes it a candidate:
        most commits are none, and reading blobs is what costs.
        """
        policy = self.policy()
        shape = "linear"
        if self.settings.unit == "auto" and title and not on_mainline:
            mainline = read_log(
                self.repo, None, base or head, first_parent=True, limit=_SHAPE_FROM, changes=False
            )
            shape = mainline_shape(mainline)
        # At first all commits count as changing the source: in most ranges no message speaks of a fix even
        # then, and no tree needs to be read.
        hooks = {c.sha: self.is_fix(c) for c in commits} if self.is_fix is not None else {}
        evidence = {c.sha: Evidence(source_changed=True, hook=hooks.get(c.sha)) for c in commits}

        def judged(range_evidence: Evidence) -> tuple[Unit, ...]:
            return units_of(
                commits,
                policy,
                evidence,
                unit=self.settings.unit,
                shape=shape,  # type: ignore[arg-type]  # mainline_shape returns the literal that units_of takes
                title=title,
                description=description,
                base=base,
                range_evidence=range_evidence,
            )

        units = judged(Evidence())
        if all(unit.judgement.answer == "no" for unit in units):
            return units
        ground = sides()
        evidence = {commit.sha: self._cheap(commit, ground, hooks) for commit in commits}
        units = judged(Evidence())
        for unit in units:
            if unit.judgement.answer == "no":
                continue
            for commit in (*unit.commits, *unit.parts):
                evidence[commit.sha] = self._full(commit, commit.changes, ground, hooks)
        whole = Evidence()
        if any(unit.kind == "range" and unit.judgement.answer != "no" for unit in units):
            whole = Evidence(
                self._changes_source(changes(self.repo, base or self.repo.empty_tree, head), ground)
            )
        return judged(whole)

    def steps(self, unit: Unit) -> list[tuple[str, str, tuple[Change, ...]]]:
        """Return the changes that make up a unit, newest first: (old commit or tree, new commit, changes)."""
        if unit.kind == "commit":
            return [(self._parent(commit), commit.sha, commit.changes) for commit in unit.commits]
        base = unit.base or self.repo.empty_tree
        return [(base, unit.head, changes(self.repo, base, unit.head))]

    def _parent(self, commit: Commit) -> str:
        return commit.parents[0] if commit.parents else self.repo.empty_tree

    def policy(self) -> Policy:
        """Return what the project itself says of fixes."""
        remote = self.repo.config("remote.origin.url")
        return make_policy(
            self.settings.fix_patterns,
            self.settings.no_fix_patterns,
            _tracker(self.settings.tracker, self.repo.top),
            repository_slug(remote) if remote else None,
        )

    def _cheap(self, commit: Commit, ground: TreeSides, hooks: Mapping[str, bool | None]) -> Evidence:
        """Return what paths alone say: a touched source counts as changed until its text was looked at."""
        sides = {ground.side(change.path) for change in commit.changes}
        changed = True if "source" in sides else False if "test" in sides else None
        return Evidence(source_changed=changed, hook=hooks.get(commit.sha))

    def _full(
        self, commit: Commit, found: Iterable[Change], ground: TreeSides, hooks: Mapping[str, bool | None]
    ) -> Evidence:
        return Evidence(self._changes_source(found, ground), self._changelog(found), hooks.get(commit.sha))

    def _changes_source(self, found: Iterable[Change], ground: TreeSides) -> bool | None:
        """Say whether the source side behaves differently; None where it is not touched at all."""
        source = ground.source(found)
        if not source:
            return False if any(ground.side(change.path) == "test" for change in found) else None
        return any(self._differs(change) for change in source)

    def _differs(self, change: Change) -> bool:
        if change.status != "M" or not change.path.endswith(".py") or change.mode == "160000":
            return not (change.status == "R" and change.old_blob == change.blob)
        from pytest_bugsle.code.syntax import same_code

        assert change.old_blob is not None and change.blob is not None
        return not same_code(self.repo.blob(change.old_blob), self.repo.blob(change.blob))

    def _changelog(self, found: Iterable[Change]) -> str:
        """Return the lines that a change adds to changelogs, each under its heading."""
        parts = []
        for change in found:
            if change.status == "M" and change.old_blob and change.blob and _CHANGELOG.search(change.path):
                old, new = self.repo.blob(change.old_blob), self.repo.blob(change.blob)
                parts.append(changelog_lines(new.decode("utf-8", "replace"), line_changes(old, new)[1]))
        return "\n".join(parts)

    def _importers(
        self, repo: Repository, tree: str, listing: Mapping[str, Entry], module: str
    ) -> Collection[str]:
        """Return the files of a tree that import `module`: a grep, then the import lines, then the syntax."""
        from pytest_bugsle.code.imports import imported_by, imports_any

        word = module.rpartition(".")[2]
        self._asked[tree] = self._asked.get(tree, 0) + 1
        if self._asked[tree] > _GREPS:
            paths = self._imported_words(repo, tree, listing).get(os.fsencode(word), [])
        else:
            out = repo.run("grep", "-l", "-z", "-w", "-I", "-F", "-e", word, tree, "--", "*.py", ok=(0, 1))
            prefix = os.fsencode(f"{tree}:")
            paths = [os.fsdecode(raw.removeprefix(prefix)) for raw in out.split(b"\0") if raw]
        known = {path: listing[path].sha for path in paths if path in listing}
        texts = repo.blobs({sha for sha in known.values() if sha not in self._import_lines})
        for sha, text in texts.items():
            self._import_lines[sha] = b"\n".join(_IMPORT.findall(text))
        wanted = re.compile(rb"(?<!\w)" + re.escape(os.fsencode(word)) + rb"(?!\w)")
        found = []
        for path, sha in known.items():
            if not wanted.search(self._import_lines[sha]):
                continue
            if (path, sha) not in self._imports:
                self._imports[path, sha] = imported_by(path, texts.get(sha) or repo.blob(sha), listing)
            if imports_any(self._imports[path, sha], (module,)):
                found.append(path)
        return found

    def _imported_words(
        self, repo: Repository, tree: str, listing: Mapping[str, Entry]
    ) -> Mapping[bytes, list[str]]:
        """Return which files of a tree have a word in their import lines: read once, where many words are asked."""
        if tree not in self._words:
            paths = {
                path: e.sha for path, e in listing.items() if path.endswith(".py") and e.mode != "160000"
            }
            missing = [sha for sha in dict.fromkeys(paths.values()) if sha not in self._import_lines]
            for start in range(0, len(missing), _BATCH):
                for sha, text in repo.blobs(missing[start : start + _BATCH]).items():
                    self._import_lines[sha] = b"\n".join(_IMPORT.findall(text))
            words: dict[bytes, list[str]] = {}
            for path, sha in paths.items():
                for word in set(_WORD.findall(self._import_lines[sha])):
                    words.setdefault(word, []).append(path)
            self._words[tree] = words
        return self._words[tree]

    def _layout(self, repo: Repository, tree: str, listing: Mapping[str, Entry]) -> Layout:
        from pytest_bugsle.regression.sides import Layout

        configuration, settings = self.configuration, self.settings
        return Layout(
            listing=tuple(listing),
            testpaths=configuration.testpaths,
            python_files=configuration.python_files,
            rootdir=self.rootdir,
            norecursedirs=configuration.norecursedirs,
            importers=lambda module: self._importers(repo, tree, listing, module),
            inifile=self.inifile,
            packages=_packages(repo, listing, self.rootdir),
            source=settings.source,
            tests=settings.tests,
        )


def _relative(path: Path, top: Path) -> str | None:
    try:
        return path.resolve().relative_to(top.resolve()).as_posix()
    except ValueError:
        return None


def _packages(repo: Repository, listing: Mapping[str, Entry], rootdir: str) -> tuple[str, ...]:
    """Return the import packages that the project says it ships."""
    import tomllib

    names: list[str] = []
    for folder in dict.fromkeys((rootdir, ".")):
        path = "pyproject.toml" if folder == "." else f"{folder}/pyproject.toml"
        if path not in listing:
            continue
        try:
            data: dict[str, Any] = tomllib.loads(repo.blob(listing[path].sha).decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError):
            continue
        tool = data.get("tool", {})
        setuptools = tool.get("setuptools", {})
        hatch = tool.get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
        for found in (setuptools.get("packages"), setuptools.get("py-modules"), hatch.get("packages")):
            if isinstance(found, list):
                names += [str(name).rstrip("/").rpartition("/")[2] for name in found]
        names += [str(table.get("name", "")) for table in (data.get("project", {}), tool.get("poetry", {}))]
        names.append(str(tool.get("flit", {}).get("module", {}).get("name", "")))
    return tuple(dict.fromkeys(name for name in names if name))


def _tracker(name: str | None, top: Path) -> dict[str, tuple[str, ...]]:
    """Read an issue tracker's export: an object of reference -> label or labels."""
    if name is None:
        return {}
    path = Path(name) if Path(name).is_absolute() else top / name
    hint = 'write an object such as {"#42": ["bug"]}.'
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"the tracker export {path} cannot be read: {error}", hint=hint) from error
    if not isinstance(data, dict):
        raise UsageError(f"the tracker export {path} is no object.", hint=hint)
    return {
        str(bug): tuple(map(str, labels)) if isinstance(labels, list) else (str(labels),)
        for bug, labels in data.items()
    }
