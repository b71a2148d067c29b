"""Asking a repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from git_sandbox import Sandbox, fingerprint

from pytest_bugsle.errors import ProgramError, UndecidedError, UsageError
from pytest_bugsle.git.repository import Entry, Head, Repository


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Give an empty repository."""
    return Sandbox(tmp_path / "project")


def test_a_subfolder_and_a_file_lead_to_the_top(sandbox: Sandbox) -> None:
    """The repository is found from below."""
    sandbox.commit({"a/b/c.py": "x = 1\n"})
    for path in (sandbox.top / "a" / "b", sandbox.top / "a" / "b" / "c.py", sandbox.top / "a" / "gone.py"):
        repo = Repository.open(path)
        assert repo.top == sandbox.top
        assert repo.git_dir == repo.common_dir == sandbox.top / ".git"
        assert not repo.is_bare


def test_a_relative_path_is_opened(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is read from the current folder."""
    sandbox.commit({"a/b.py": ""})
    monkeypatch.chdir(sandbox.top / "a")
    assert Repository.open(Path(".")).common_dir == sandbox.top / ".git"


def test_a_linked_work_tree_has_its_own_top_and_the_common_directory(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """In a linked work tree the objects are those of the main one."""
    sandbox.commit({"a.py": ""})
    sandbox.git("worktree", "add", "-q", str(tmp_path / "linked"))
    repo = Repository.open(tmp_path / "linked")
    assert repo.top == tmp_path / "linked"
    assert repo.common_dir == sandbox.top / ".git"
    assert repo.git_dir == sandbox.top / ".git" / "worktrees" / "linked"
    assert repo.head().branch == "linked"


def test_a_bare_repository_is_its_own_top(sandbox: Sandbox, tmp_path: Path) -> None:
    """A bare repository has no work tree."""
    sha = sandbox.commit({"a.py": ""})
    sandbox.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    repo = Repository.open(tmp_path / "bare.git")
    assert repo.is_bare
    assert repo.top == repo.git_dir == tmp_path / "bare.git"
    assert repo.head() == Head(sha, "main")


def test_a_submodule_is_a_repository_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """From inside a submodule, the submodule is opened."""
    inner = Sandbox(tmp_path / "inner")
    sha = inner.commit({"lib.py": ""})
    sandbox.git("submodule", "--quiet", "add", str(inner.top), "vendor/inner")
    repo = Repository.open(sandbox.top / "vendor" / "inner")
    assert repo.top == sandbox.top / "vendor" / "inner"
    assert repo.common_dir == sandbox.top / ".git" / "modules" / "vendor" / "inner"
    assert repo.head().sha == sha


def test_inside_the_git_directory_the_work_tree_is_found(sandbox: Sandbox) -> None:
    """Server hooks and curious users stand in .git."""
    sandbox.commit({"a.py": ""})
    assert Repository.open(sandbox.top / ".git" / "refs").top == sandbox.top


def test_odd_folder_names_are_no_obstacle(tmp_path: Path) -> None:
    """A newline, a quote and a byte that is not UTF-8 in the path of the repository are kept."""
    top = tmp_path / os.fsdecode(b'a\n"b\xff c')
    sandbox = Sandbox(top)
    sha = sandbox.commit({"x/a.py": ""})
    repo = Repository.open(top / "x")
    assert repo.top == top
    assert repo.common_dir == top / ".git"
    assert repo.resolve("HEAD") == sha


def test_variables_of_a_hook_do_not_lead_elsewhere(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a hook's variables of another repository in the environment, the one asked for is read."""
    sha = sandbox.commit({"a.py": ""})
    other = Sandbox(tmp_path / "other")
    other.commit({"b.py": ""})
    monkeypatch.setenv("GIT_DIR", str(other.top / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.top))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.top / ".git" / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.top / ".git" / "objects"))
    monkeypatch.setenv("GIT_PREFIX", "x/")
    with sandbox.open() as repo:
        assert repo.top == sandbox.top
        assert repo.resolve("HEAD") == sha
        assert list(repo.listing(sha)) == ["a.py"]
        assert repo.run("ls-files") == b"a.py\n"


def test_a_real_hook_reads_its_repository(sandbox: Sandbox) -> None:
    """Called by git itself from a pre-commit hook, the package sees the repository."""
    import sys

    sandbox.commit({"a.py": ""})
    hook = sandbox.top / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    code = (
        "from pathlib import Path; from pytest_bugsle.git.repository import Repository; "
        "r = Repository.open(Path('.')); Path('seen').write_text(f'{r.top}|{r.head().branch}')"
    )
    root = Path(__file__).parent.parent
    hook.write_text(f'#!/bin/sh\nPYTHONPATH="{root}" exec "{sys.executable}" -c "{code}"\n')
    hook.chmod(0o755)
    sandbox.git("commit", "-q", "--allow-empty", "-m", "x", "-a")
    assert (sandbox.top / "seen").read_text() == f"{sandbox.top}|main"


def test_outside_of_any_repository_is_wrong_usage(tmp_path: Path) -> None:
    """The error says so, and what to do."""
    with pytest.raises(UsageError, match="is not in a git repository") as caught:
        Repository.open(tmp_path)
    assert "--repo" in caught.value.hint


def test_a_path_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    """A wrong path is named."""
    with pytest.raises(UsageError, match="does not exist"):
        Repository.open(tmp_path / "no" / "where")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away"
)
def test_a_repository_of_somebody_else_says_what_to_type(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git's dubious ownership becomes an error with the line to type."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    sandbox.commit({"a.py": ""})
    for path in (sandbox.top, sandbox.top / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(UsageError, match="does not trust") as caught:
        sandbox.open()
    assert "git config --global --add safe.directory" in caught.value.hint
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert sandbox.open().top == sandbox.top


def test_an_empty_repository_has_a_branch_and_no_commit(sandbox: Sandbox) -> None:
    """Before the first commit HEAD is unborn."""
    repo = sandbox.open()
    assert repo.head() == Head(None, "main")
    assert repo.resolve("HEAD") is None


def test_a_detached_head_has_no_branch(sandbox: Sandbox) -> None:
    """On a commit of its own HEAD names no branch."""
    sha = sandbox.commit({"a.py": ""})
    sandbox.git("checkout", "-q", "--detach")
    assert sandbox.open().head() == Head(sha, None)


@pytest.mark.parametrize("name", ["--upload-pack=x", "-x", "--help", "a b", "ünï", "refs", "HEAD~", "^main"])
def test_hostile_ref_names_are_names(sandbox: Sandbox, name: str) -> None:
    """A ref that looks like an option is looked up, or unknown, and never obeyed."""
    sha = sandbox.commit({"a.py": ""})
    sandbox.commit({"a.py": "x = 1\n"})
    repo = sandbox.open()
    assert repo.resolve(name) == (sha if name == "HEAD~" else None)
    if name in ("--upload-pack=x", "-x", "ünï"):
        sandbox.git("update-ref", f"refs/heads/{name}", sha)
        assert repo.resolve(name) == sha
        assert repo.merge_base(name, "main") == sha
        assert repo.is_ancestor(name, "main") and not repo.is_ancestor("main", name)
        assert list(repo.listing(name)) == ["a.py"]


@pytest.mark.parametrize("name", ["", "\n", "main\nmain", "main\0", "nothing", "0" * 40, "main..main"])
def test_what_names_no_commit_resolves_to_nothing(sandbox: Sandbox, name: str) -> None:
    """Unknown and malformed names give None."""
    sandbox.commit({"a.py": ""})
    assert sandbox.open().resolve(name) is None


def test_names_are_peeled_to_commits(sandbox: Sandbox) -> None:
    """Annotated tags, short names and HEAD~ give the full sha of a commit; a blob gives none."""
    first = sandbox.commit({"a.py": ""})
    second = sandbox.commit({"a.py": "x = 1\n"})
    sandbox.git("tag", "-a", "v1", "-m", "one", first)
    repo = sandbox.open()
    assert repo.resolve("v1") == repo.resolve("HEAD~1") == repo.resolve(first[:8]) == first
    assert repo.resolve("HEAD:a.py") is None
    assert repo.tree_of("v1") == sandbox.git("rev-parse", f"{first}^{{tree}}")
    assert repo.refs("refs/tags") == {"refs/tags/v1": first}
    assert repo.refs("refs/heads/*") == {"refs/heads/main": second}
    with pytest.raises(ProgramError, match="names no commit or tree"):
        repo.tree_of("nothing")


def test_unrelated_histories_have_no_merge_base(sandbox: Sandbox) -> None:
    """Two roots share nothing."""
    sandbox.commit({"a.py": ""})
    sandbox.git("checkout", "-q", "--orphan", "other")
    sandbox.commit({"b.py": ""})
    repo = sandbox.open()
    assert repo.merge_base("main", "other") is None
    with pytest.raises(ProgramError):
        repo.merge_base("main", "nothing")


def test_blobs_of_any_bytes_come_back_whole(sandbox: Sandbox) -> None:
    """Binary content, no newline at the end, an empty file and many files are read through one process."""
    contents = {f"f{number}": os.urandom(number) for number in range(250)} | {"big": b"\n\0" * 500_000}
    sandbox.commit(contents)
    with sandbox.open() as repo:
        listing = repo.listing("HEAD")
        found = repo.blobs(entry.sha for entry in listing.values())
        assert {name: found[entry.sha] for name, entry in listing.items()} == contents
        assert repo.blob(listing["f7"].sha) == contents["f7"]


@pytest.mark.parametrize("sha", ["0" * 40, "HEAD", "--help", "a\nb", "ABCD" * 10])
def test_an_unknown_blob_is_an_error(sandbox: Sandbox, sha: str) -> None:
    """What is no blob of this repository is never read as an empty one."""
    sandbox.commit({"a.py": ""})
    with sandbox.open() as repo, pytest.raises(ProgramError):
        repo.blob(sha)


def test_a_commit_is_not_a_blob(sandbox: Sandbox) -> None:
    """An object of another kind is an error, and the next read is right."""
    sha = sandbox.commit({"a.py": "x = 1\n"})
    with sandbox.open() as repo:
        with pytest.raises(ProgramError, match="is commit, a blob is needed"):
            repo.blob(sha)
        assert repo.blob(repo.listing(sha)["a.py"].sha) == b"x = 1\n"


def test_listing_keeps_names_and_modes(sandbox: Sandbox) -> None:
    """Links, modes and names of any bytes are listed as git has them."""
    names = [os.fsdecode(b'new\nline \xff".py'), "tab\t.py", " lead", "ünï/x.py"]
    sandbox.write(dict.fromkeys(names, "x"))
    (sandbox.top / "link").symlink_to("/etc/passwd")
    (sandbox.top / " lead").chmod(0o755)
    sandbox.commit()
    listing = sandbox.open().listing("HEAD")
    assert set(listing) == {*names, "link"}
    assert listing["link"].mode == "120000"
    assert listing[" lead"] == Entry("100755", listing["tab\t.py"].sha)


def test_the_empty_tree_is_that_of_the_object_format(tmp_path: Path) -> None:
    """SHA-1 and SHA-256 repositories have their own."""
    for form in ("sha1", "sha256"):
        sandbox = Sandbox(tmp_path / form, f"--object-format={form}")
        sha = sandbox.commit({"a.py": "x"})
        with sandbox.open() as repo:
            assert repo.object_format == form
            assert repo.empty_tree == sandbox.git("hash-object", "-t", "tree", "/dev/null")
            assert repo.resolve("HEAD") == sha
            assert repo.blob(repo.listing(sha)["a.py"].sha) == b"x"


def test_a_shallow_clone_knows_where_it_is_cut(sandbox: Sandbox, tmp_path: Path) -> None:
    """The commits without their parents are named."""
    for number in range(4):
        sandbox.commit({"a.py": f"{number}\n"})
    assert not sandbox.open().is_shallow()
    sandbox.git("clone", "-q", "--depth=2", sandbox.top.as_uri(), str(tmp_path / "shallow"))
    repo = Repository.open(tmp_path / "shallow")
    assert repo.is_shallow()
    assert repo.shallow_commits() == {sandbox.git("rev-parse", "HEAD~1")}


def test_a_partial_clone_is_undecided_and_fetches_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    """A blob that was left on the remote is not fetched behind the user's back; the hint is what brings it."""
    sandbox.commit({"a.py": "x = 1\n"})
    sandbox.commit({"a.py": "x = 2\n"})
    sandbox.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    sandbox.git("clone", "-q", "--filter=blob:none", sandbox.top.as_uri(), str(clone))
    before = fingerprint(clone)
    with Repository.open(clone) as repo:
        assert repo.is_partial()
        old = repo.listing("HEAD~1")["a.py"].sha
        with pytest.raises(UndecidedError, match="not fetched") as caught:
            repo.blob(old)
        with pytest.raises(UndecidedError, match="not fetched"):
            repo.run("cat-file", "blob", old)
        assert fingerprint(clone) == before
        if _version() >= (2, 36):
            sandbox.git(*caught.value.hint.split()[1:], at=clone)
            assert repo.blob(old) == b"x = 1\n"


def _version() -> tuple[int, ...]:
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    return tuple(int(part) for part in said.split(".")[:2])


def test_settings_are_read(sandbox: Sandbox) -> None:
    """A setting of the user's is given with all its bytes; an unset one is None."""
    sandbox.git("config", "bugsle.note", "two\nlines")
    repo = sandbox.open()
    assert repo.config("bugsle.note") == "two\nlines"
    assert repo.config("bugsle.none") is None


def test_a_failing_call_says_what_git_said(sandbox: Sandbox) -> None:
    """The words of git, without control characters, are in the error; a code that is expected is none."""
    sandbox.commit({"a.py": ""})
    repo = sandbox.open()
    with pytest.raises(ProgramError, match="ended with 128") as caught:
        repo.run("rev-parse", "--verify", "\x1b[31mno")
    assert "\x1b" not in str(caught.value)
    assert repo.call("config", "--get", "no.such", ok=(0, 1)) == (1, b"")


def test_a_user_s_settings_do_not_change_answers(sandbox: Sandbox) -> None:
    """Colours, external diffs, text conversion, quoting, a pager and hooks of the user's are not obeyed."""
    sandbox.commit({"a.py": "x = 1\n", ".gitattributes": "*.py diff=odd\n"})
    sandbox.commit({"a.py": "x = 2\n", "ü.py": ""})
    plain = sandbox.open().run("diff", "HEAD~1", "HEAD"), sandbox.open().run("log", "--format=%s")
    for key, value in {
        "color.ui": "always", "diff.external": "false", "diff.odd.command": "false", "diff.odd.textconv": "false",
        "diff.noprefix": "true", "core.pager": "false", "log.showSignature": "true", "diff.context": "0",
    }.items():  # fmt: skip
        sandbox.git("config", key, value)
    assert (sandbox.open().run("diff", "HEAD~1", "HEAD"), sandbox.open().run("log", "--format=%s")) == plain
    assert "ü.py".encode() in plain[0]


def test_status_leaves_the_index_alone(sandbox: Sandbox) -> None:
    """Even git status, which likes to refresh the index, writes nothing."""
    sandbox.commit({"a.py": "x = 1\n"})
    os.utime(sandbox.top / "a.py", (1, 1))
    before = fingerprint(sandbox.top)
    assert sandbox.open().run("status", "--porcelain") == b""
    assert fingerprint(sandbox.top) == before
