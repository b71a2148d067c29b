"""Which release a commit first shipped in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.releases import UNRELEASED, parse_tag, read_releases


def shipped(sandbox: Sandbox, commit: str, *paths: str, base: str | None = None) -> str:
    """Ask for one commit, the history ending at HEAD."""
    with sandbox.open() as repo:
        until = repo.head().sha
        assert until is not None
        return read_releases(repo, until, base).first(commit, paths)


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A repository with one commit."""
    made = Sandbox(tmp_path / "project")
    made.commit({"a.txt": "0\n"})
    return made


@pytest.mark.parametrize(
    ("name", "product", "prerelease"),
    [
        ("1.2", "", False),
        ("v1", "", False),
        ("V2.0.1", "", False),
        ("release-1.2.3", "", False),
        ("release/v1.2", "", False),
        ("REL_1_2_3", "", False),
        ("rel1.2", "", False),
        ("release_2026.1.post1", "", False),
        ("2009n_release", "", False),
        ("1.2.3+build.5", "", False),
        ("1.0-final", "", False),
        ("1.0rc1", "", True),
        ("1.0.0-beta.2", "", True),
        ("v2.0.0-alpha", "", True),
        ("1.0.dev3", "", True),
        ("1.0a1.dev3", "", True),
        ("nightly-2024.01.31", "", True),
        ("coverage-5.6b1", "coverage", True),
        ("pkg-v1.2", "pkg", False),
        ("pkg/v1.2", "pkg", False),
        ("@scope/pkg@1.2.3", "@scope-pkg", False),
        ("my-tool==1.2.3", "my-tool", False),
    ],
)
def test_a_name_tells_version_product_and_prerelease(name: str, product: str, prerelease: bool) -> None:
    """As projects write them."""
    tag = parse_tag(name)
    assert tag is not None
    assert (tag.name, tag.product, tag.prerelease) == (name, product, prerelease)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "42",
        "build-123",
        "deploy-17",
        "backup-2019-01-01",
        "v",
        "1.x",
        "1.2.y",
        "v1.2\n",
        "\udcff1.2",
        "x" * 300,
    ],
)
def test_other_names_are_no_versions(name: str) -> None:
    """A number alone, a word alone, a date, what is no UTF-8."""
    assert parse_tag(name) is None


@given(st.text(st.characters(codec=None), max_size=60) | st.text("va0.1_-/@rc+", max_size=300))
def test_any_name_is_read_at_once(name: str) -> None:
    """Whoever may push a tag must not be able to stop an audit."""
    started = time.perf_counter()
    tag = parse_tag(name)
    assert tag is None or tag.name == name
    assert time.perf_counter() - started < 1


def test_the_worst_name_for_a_pattern_is_read_at_once() -> None:
    """Many words that all could begin a suffix, and an end that none of them allows."""
    for name in ("1" + "-a" * 99, "1" + "-rc.1" * 39 + "!", "a-" * 99 + "!", "v1." * 66):
        started = time.perf_counter()
        parse_tag(name)
        assert time.perf_counter() - started < 1


def test_the_oldest_release_that_contains_a_commit_counts(sandbox: Sandbox) -> None:
    """Lightweight and annotated tags alike; what came after the last one is unreleased."""
    first = sandbox.commit({"a.txt": "1\n"})
    sandbox.git("tag", "v1.0")
    second = sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", "-a", "-m", "two", "v1.1")
    third = sandbox.commit({"a.txt": "3\n"})
    assert [shipped(sandbox, commit) for commit in (first, second, third)] == ["v1.0", "v1.1", UNRELEASED]


def test_ancestry_goes_before_the_clock(sandbox: Sandbox) -> None:
    """A release whose commit claims to be younger than the next one's is still the earlier one."""
    sandbox.clock += 10_000_000
    first = sandbox.commit({"a.txt": "1\n"})
    sandbox.git("tag", "v1")
    sandbox.clock -= 20_000_000
    sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", "v2")
    assert shipped(sandbox, first) == "v1"


def test_a_release_on_another_branch_ships_what_it_contains(sandbox: Sandbox) -> None:
    """Tags of maintenance branches are no ancestors of HEAD, and count for what they took from it."""
    before = sandbox.commit({"a.txt": "1\n"})
    sandbox.git("switch", "-q", "-c", "1.x")
    sandbox.commit({"b.txt": "1\n"})
    sandbox.git("tag", "1.0.1")
    sandbox.git("switch", "-q", "main")
    after = sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", "2.0.0")
    assert [shipped(sandbox, commit) for commit in (before, after)] == ["1.0.1", "2.0.0"]


@pytest.mark.parametrize("first", ["1.x", "2.x"])
def test_of_releases_apart_the_earlier_one_counts(sandbox: Sandbox, first: str) -> None:
    """Two branches that both contain a commit are told apart by time."""
    commit = sandbox.commit({"a.txt": "1\n"})
    for name in ("1.x", "2.x"):
        sandbox.git("branch", name)
    for name in sorted(("1.x", "2.x"), reverse=first == "2.x"):
        sandbox.git("switch", "-q", name)
        sandbox.commit({f"{name}.txt": "1\n"})
        sandbox.git("tag", f"{name[0]}.0.1")
    sandbox.git("switch", "-q", first)
    sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", f"{first[0]}.0.2")
    sandbox.git("switch", "-q", "main")
    assert shipped(sandbox, commit) == f"{first[0]}.0.1"


def test_prereleases_count_only_for_what_no_release_has(sandbox: Sandbox) -> None:
    """A commit of 1.0rc1 that went into 1.0 shipped with 1.0."""
    first = sandbox.commit({"a.txt": "1\n"})
    sandbox.git("tag", "1.0rc1")
    sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", "1.0")
    second = sandbox.commit({"a.txt": "3\n"})
    sandbox.git("tag", "1.1b1")
    assert [shipped(sandbox, commit) for commit in (first, second)] == ["1.0", "1.1b1"]


def test_of_tags_on_one_commit_the_fullest_final_one_names_it(sandbox: Sandbox) -> None:
    """`v1`, that moves along, and the release candidate of the same commit give way to `v1.2.0`."""
    commit = sandbox.commit({"a.txt": "1\n"})
    for name in ("v1", "v1.2", "v1.2.0rc2", "v1.2.0"):
        sandbox.git("tag", name)
    assert shipped(sandbox, commit) == "v1.2.0"


def test_products_of_one_repository_have_releases_of_their_own(sandbox: Sandbox) -> None:
    """A commit ships with the product whose folder it touches, or with the repository's own tags."""
    commit = sandbox.commit({"packages/core/x.py": "1\n", "packages/web_ui/y.py": "1\n", "z.py": "1\n"})
    sandbox.git("tag", "core-1.0")
    sandbox.commit({"a.txt": "1\n"})
    sandbox.git("tag", "@scope/web-ui@0.3.0")
    sandbox.commit({"a.txt": "2\n"})
    sandbox.git("tag", "web-ui/v0.4.0")
    assert shipped(sandbox, commit, "packages/core/x.py") == "core-1.0"
    assert shipped(sandbox, commit, "packages/web_ui/y.py") == "web-ui/v0.4.0"
    assert shipped(sandbox, commit, "z.py") == "core-1.0"
    sandbox.commit({"a.txt": "3\n"})
    sandbox.git("tag", "v9.0")
    assert shipped(sandbox, commit, "z.py") == "v9.0"
    late = sandbox.commit({"packages/core/x.py": "2\n"})
    sandbox.git("tag", "v9.1")
    sandbox.commit({"a.txt": "4\n"})
    sandbox.git("tag", "core-2.0")
    assert shipped(sandbox, late, "packages/core/x.py") == "v9.1"


def test_a_single_product_is_how_tags_were_called_once(sandbox: Sandbox) -> None:
    """`tool-1.0` and later `2.0` are one line of releases."""
    first = sandbox.commit({"tool/x.py": "1\n"})
    sandbox.git("tag", "tool-1.0")
    second = sandbox.commit({"tool/x.py": "2\n"})
    sandbox.git("tag", "2.0")
    for path in ("tool/x.py", "lib/x.py"):
        assert [shipped(sandbox, c, path) for c in (first, second)] == ["tool-1.0", "2.0"]


def test_tags_of_anything_else_are_left_out(sandbox: Sandbox) -> None:
    """Of a blob, of a tree, of another tag; of a name in other letters; of a commit beyond the range."""
    old = sandbox.git("rev-parse", "HEAD")
    sandbox.git("tag", "v0.1")
    commit = sandbox.commit({"a.txt": "1\n"})
    sandbox.git("tag", "v0.2", sandbox.git("rev-parse", "HEAD:a.txt"))
    sandbox.git("tag", "v0.3", sandbox.git("rev-parse", "HEAD^{tree}"))
    sandbox.git("tag", "größe-1.0")
    sandbox.git("tag", "--", "x;$(touch${IFS}pwned)|1.0")
    sandbox.git("update-ref", b"refs/tags/\xff-9.9".decode("utf-8", "surrogateescape"), "HEAD")
    sandbox.git("tag", "-a", "-m", "inner", "v1.0")
    sandbox.git("tag", "-a", "-m", "outer", "v1.1", "v1.0")
    with sandbox.open() as repo:
        found = read_releases(repo, commit, old)
    assert found.first(commit) == "v1.0"
    assert found.order() == ["v1.0", "v1.1", "größe-1.0", UNRELEASED]
    assert not (sandbox.top / "pwned").exists()


def test_a_repository_without_tags_has_released_nothing(sandbox: Sandbox) -> None:
    """All of it is unreleased."""
    assert shipped(sandbox, sandbox.git("rev-parse", "HEAD")) == UNRELEASED


def test_git_is_not_asked_once_a_tag(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tags take three calls."""
    for number in range(30):
        sandbox.git("tag", f"v1.{number}")
    with sandbox.open() as repo:
        calls: list[str] = []
        run = repo.run
        head = repo.head().sha
        assert head is not None
        monkeypatch.setattr(repo, "run", lambda *args, **more: (calls.append(args[0]), run(*args, **more))[1])
        read_releases(repo, head).first(head)
    assert calls == ["for-each-ref", "cat-file", "rev-list"]
