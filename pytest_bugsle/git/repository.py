"""Ask a git repository, and never write to it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pytest_bugsle.errors import BugsleError, ProgramError, UndecidedError, UsageError
from pytest_bugsle.git.command import arguments, environment, executable, failure, shown
from pytest_bugsle.git.objects import ObjectReader, ReaderEndedError
from pytest_bugsle.patterns import lazy_pattern

_EMPTY_TREES = {
    "sha1": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    "sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ABSENT = lazy_pattern(
    rb"promisor|lazy fetch|could not fetch|transport '\w+' not allowed|unable to read|missing"
)


class Head(msgspec.Struct, frozen=True):
    """Say where HEAD stands: no sha in an empty repository, no branch when detached."""

    sha: str | None
    branch: str | None


class Entry(msgspec.Struct, frozen=True):
    """Say what a tree holds at a path."""

    mode: str
    sha: str


class Repository:
    """One repository, asked by git's command line."""

    def __init__(
        self,
        top: Path,
        git_dir: Path,
        common_dir: Path,
        *,
        is_bare: bool,
        object_format: str,
        env: Mapping[str, str] | None = None,
        partial: bool | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.top = top
        self.git_dir = git_dir
        self.common_dir = common_dir
        self.is_bare = is_bare
        self.object_format = object_format
        self.empty_tree = _EMPTY_TREES[object_format]
        self._git = executable()
        self._env = environment(os.environ) | dict(env or {})
        self._partial = partial
        self._names: dict[str, str] = {}
        self._config: dict[str, str] | None = None
        self._pass_fds = pass_fds
        self._objects = ObjectReader(arguments(self._git, str(top), ("cat-file", "--batch")), self._env)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the repository that holds `path` (a file, a folder, a linked work tree, a bare repository)."""
        where = Path(os.path.abspath(path))
        if not where.is_dir():
            where = where.parent
        if not where.is_dir():
            raise UsageError(f"{shown(str(path))} does not exist", hint="give the path of a git repository")
        asked = (
            "--is-bare-repository",
            "--is-inside-work-tree",
            "--show-object-format",
            "--absolute-git-dir",
        )
        told = _rev_parse_if(where, *asked, "--git-common-dir", "--show-toplevel").split("\n")
        if len(told) == 6:
            bare, inside, object_format, found, common, toplevel = told
        else:
            # No work tree, or a folder's name holds a newline: one path a call. --path-format came after 2.30.
            bare, inside, object_format, found = _rev_parse(where, *asked).split("\n", 3)
            common, toplevel = _rev_parse(where, "--git-common-dir"), ""
        git_dir = Path(found)
        common_dir = Path(os.path.normpath(where / common))
        if object_format not in _EMPTY_TREES:
            raise UsageError(
                f"the object format {shown(object_format)} is not known", hint="use sha1 or sha256"
            )
        if inside == "true":
            top = Path(toplevel or _rev_parse(where, "--show-toplevel"))
        elif bare == "true":
            top = git_dir
        elif git_dir.name == ".git" and where != git_dir.parent:
            return cls.open(git_dir.parent)
        else:
            raise UsageError(
                f"{shown(str(where))} lies in a git directory, not in its work tree",
                hint="go to the work tree, or give it by --repo PATH",
            )
        return cls(top, git_dir, common_dir, is_bare=bare == "true", object_format=object_format)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process that reads objects; the repository can still be used."""
        self._objects.close()

    def run(
        self,
        *args: str,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        ok: Collection[int] = (0,),
        handles: Collection[int] = (),
    ) -> bytes:
        """Run git and give what it printed; ProgramError when its exit code is not in `ok`."""
        return self.call(*args, input=input, env=env, ok=ok, handles=handles)[1]

    def call(
        self,
        *args: str,
        input: bytes | None = None,
        env: Mapping[str, str] | None = None,
        ok: Collection[int] = (0,),
        handles: Collection[int] = (),
    ) -> tuple[int, bytes]:
        """Run git, with the descriptors `handles` open in it, and give its exit code and what it printed."""
        done = subprocess.run(
            arguments(self._git, str(self.top), args),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            env={**self._env, **env} if env else self._env,
            pass_fds=(*self._pass_fds, *handles),
            check=False,
        )
        if done.returncode not in ok:
            if _ABSENT.search(done.stderr) and self.is_partial():
                raise self._not_fetched(f"git {args[0]} needs objects that were not fetched")
            raise failure(args, done.returncode, done.stderr)
        return done.returncode, done.stdout

    def resolve(self, ref: str) -> str | None:
        """Give the full sha of the commit that `ref` names, or None."""
        return self._name(f"{ref}^{{commit}}") if ref else None

    def tree_of(self, commit: str) -> str:
        """Give the sha of the commit's (or tree's) tree; ProgramError if there is none."""
        tree = self._name(f"{commit}^{{tree}}")
        if tree is None:
            raise ProgramError(
                f"{shown(commit)} names no commit or tree of this repository",
                why="the files of that commit are needed",
                hint="`git fetch` brings what the remote has",
            )
        return tree

    def head(self) -> Head:
        """Say where HEAD stands."""
        try:
            named = os.fsdecode((self.git_dir / "HEAD").read_bytes().removesuffix(b"\n"))
        except OSError:
            named = ""
        branch = named.removeprefix("ref: refs/heads/")
        if (branch == named and not _SHA.fullmatch(named)) or branch == ".invalid":  # reftable's: ask git
            code, name = self.call("symbolic-ref", "--quiet", "HEAD", ok=(0, 1))
            branch = os.fsdecode(name.rstrip(b"\n")).removeprefix("refs/heads/") if code == 0 else named
        return Head(self.resolve("HEAD"), None if branch == named else branch)

    def is_shallow(self) -> bool:
        """Say whether the history is cut off somewhere."""
        return bool(self.shallow_commits())

    def shallow_commits(self) -> frozenset[str]:
        """Give the commits whose parents are cut off."""
        try:
            return frozenset((self.common_dir / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()

    def is_partial(self) -> bool:
        """Say whether objects may be missing because a filter left them on the remote."""
        if self._partial is None:
            self._partial = False  # so that a failure of the next line does not come back here
            pattern = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
            self._partial = self.call("config", "--get-regexp", pattern, ok=(0, 1))[0] == 0
        return self._partial

    def merge_base(self, a: str, b: str) -> str | None:
        """Give the best common ancestor, or None if there is none (or it is cut off)."""
        found = self.run("merge-base", "--end-of-options", a, b, ok=(0, 1)).decode().split()
        return found[0] if found else None

    def is_ancestor(self, a: str, b: str) -> bool:
        """Say whether `a` is `b` or one of its ancestors."""
        return self.call("merge-base", "--is-ancestor", "--end-of-options", a, b, ok=(0, 1))[0] == 0

    def blob(self, sha: str) -> bytes:
        """Give the content of one blob."""
        return self.blobs((sha,))[sha]

    def blobs(self, shas: Iterable[str]) -> dict[str, bytes]:
        """Give the content of many blobs by their names."""
        return self.read_objects(shas, "blob")

    def read_objects(self, shas: Iterable[str], kind: str) -> dict[str, bytes]:
        """Give the content of objects that must all be of one kind (blob, tree, commit, tag)."""
        found: dict[str, bytes] = {}
        try:
            answers = list(self._objects.read(shas))
        except ReaderEndedError as error:
            if self.is_partial():  # git ends when it may not fetch what is missing
                raise self._not_fetched(f"a {kind} was not fetched") from error
            raise
        for sha, what, content in answers:
            if content is None and self.is_partial():
                raise self._not_fetched(f"the {kind} {sha} was not fetched")
            if content is None or what != kind:
                raise ProgramError(
                    f"{sha} is {what}, a {kind} is needed",
                    why="the repository lost an object, or a wrong name was asked for",
                    hint="`git fsck` finds a damaged repository",
                )
            found[sha] = content
        return found

    def listing(self, tree: str) -> dict[str, Entry]:
        """Give all paths of a tree (or commit), submodules with mode 160000 among them."""
        out = self.run("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", tree)
        listed: dict[str, Entry] = {}
        for record in out.split(b"\0")[:-1]:
            facts, _, path = record.partition(b"\t")
            mode, _, sha = facts.split(b" ")
            listed[os.fsdecode(path)] = Entry(mode.decode(), sha.decode())
        return listed

    def refs(self, pattern: str) -> dict[str, str]:
        """Give full ref names and their commits; annotated tags are peeled."""
        form = "--format=%(refname) %(objectname) %(*objectname)"
        found: dict[str, str] = {}
        for line in self.run("for-each-ref", form, "--", pattern).splitlines():
            name, _, shas = os.fsdecode(line).partition(" ")
            found[name] = shas.split()[-1]
        return found

    def config(self, key: str) -> str | None:
        """Give the last value of a setting of the user's, or None; all settings are read once."""
        if self._config is None:
            entries = os.fsdecode(self.run("config", "-z", "--list")).split("\0")
            # A name without a value is true, as git has it.
            self._config = {
                name: value if given else "true"
                for name, given, value in (e.partition("\n") for e in entries)
            }
        section, dot, rest = key.partition(".")
        subsection, _, name = rest.rpartition(".")
        return self._config.get(f"{section.lower()}{dot}{subsection}{'.' * bool(subsection)}{name.lower()}")

    def remotes(self) -> list[str]:
        """Give the names of the remotes."""
        self.config("")
        assert self._config is not None
        urls = (key for key in self._config if key.startswith("remote.") and key.endswith((".url", ".fetch")))
        return list(dict.fromkeys(key.removeprefix("remote.").rpartition(".")[0] for key in urls))

    def _name(self, expression: str) -> str | None:
        # By the standard input of the reader: no option to mistake a name for, and no process a name.
        if "\n" in expression or "\0" in expression:
            return None
        if expression in self._names:
            return self._names[expression]
        try:
            name = self._objects.name(expression)
        except ReaderEndedError as error:
            if self.is_partial():
                raise self._not_fetched(f"{shown(expression)} was not fetched") from error
            raise
        if name is not None and _SHA.fullmatch(
            expression.partition("^")[0]
        ):  # a full name's meaning never changes
            self._names[expression] = name
        return name

    def _not_fetched(self, what: str) -> BugsleError:
        return UndecidedError(
            what,
            why="this is a partial clone, and nothing is fetched behind your back",
            hint="git fetch --refetch --no-filter",
        )


def _rev_parse_if(where: Path, *flags: str) -> str:
    """Give what git answers, and nothing where it has no answer."""
    done = subprocess.run(
        arguments(executable(), str(where), ("rev-parse", *flags)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(os.environ),
        check=False,
    )
    return os.fsdecode(done.stdout.removesuffix(b"\n")) if done.returncode == 0 else ""


def _rev_parse(where: Path, *flags: str) -> str:
    done = subprocess.run(
        arguments(executable(), str(where), ("rev-parse", *flags)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(os.environ),
        check=False,
    )
    if done.returncode == 0:
        return os.fsdecode(done.stdout.removesuffix(b"\n"))
    folder = shown(str(where))
    trust = re.search(rb"git config --global --add safe\.directory .*", done.stderr)
    if b"dubious ownership" in done.stderr or trust:
        raise UsageError(
            f"git does not trust {folder}: it belongs to another user",
            why="git refuses to read a repository that somebody else may have set up",
            hint=shown(trust[0]) if trust else f"git config --global --add safe.directory {folder}",
        )
    if b"not a git repository" in done.stderr:
        raise UsageError(
            f"{folder} is not in a git repository",
            why="every judgement starts from the repository's history",
            hint="go to the repository, or give it by --repo PATH",
        )
    raise failure(("rev-parse", *flags), done.returncode, done.stderr)
