"""Branches that miss a fix: told by history and text, decided by the guard run on the branch's own tree."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from fix_views import fix_view, proven, surveyor_of, view_of
from git_sandbox import fingerprint
from msgspec.structs import replace
from repositories import Repo

from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.elsewhere.branches import Branch, branches, command, maintained, state, try_on
from pytest_bugsle.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_bugsle.results import Lead

PURGE = '''
    """A cache."""


    def purge(cache, limit):
        """Drop what is too old."""
        for key in list(cache):
            if cache[key] > limit:
                del cache[key]
        return cache


    def size(cache):
        return len(cache)
'''
WRONG, RIGHT = "if cache[key] > limit:", "if cache[key] >= limit:"
GUARD = """
    from pkg.cache import purge


    def test_purge_at_the_limit():
        assert purge({"a": 3, "b": 1}, 3) == {"b": 1}
"""
PATTERNS = ("release/*", "legacy", "-x")


class Story:
    """A project with a fix on `main`, and branches that were cut off before it."""

    def __init__(self, top: Path) -> None:
        self.repo = Repo(top, start={"src/pkg/cache.py": PURGE, "README.md": "# cache\n"})
        self.before = self.repo.sha()

    def fix(self) -> str:
        """Mend the bug on `main`, with its guard."""
        self.repo.git("switch", "-q", "main")
        return self.repo.change(
            "fix: purge drops what is at the limit\n\nFixes #7\n",
            "src/pkg/cache.py",
            WRONG,
            RIGHT,
            {"tests/test_cache.py": GUARD},
        )

    def branch(self, name: str, *, at: str | None = None) -> None:
        """Cut a branch off before the fix, with a commit of its own."""
        self.repo.branch(name, at or self.before)
        self.repo.commit(f"chore: begin {name}", {"VERSION": name + "\n"})

    def found(self, patterns: Sequence[str] = PATTERNS) -> dict[str, Branch]:
        """Return the maintained branches by name."""
        surveyor = surveyor_of(self.repo.top)
        head = surveyor.repo.head().sha
        assert head is not None
        return {branch.name: branch for branch in maintained(surveyor.repo, patterns, head)}

    def states(self, ref: str = "main") -> dict[str, str]:
        """Return the state of every maintained branch."""
        self.repo.git("switch", "-q", "main")
        view = fix_view(self.repo.top, ref)
        return {name: state(view, branch).kind for name, branch in self.found().items()}

    def tried(
        self, ref: str = "main", *, budget: float = 60.0, cache: Cache | None = None
    ) -> dict[str, Lead]:
        """Run the guard on every maintained branch, whatever its text says."""
        self.repo.git("switch", "-q", "main")
        with proven(self.repo.top, ref, budget=budget, cache=cache) as (surveyor, planned, fix, terms):
            assert fix.status == "proven", fix
            leads = try_on(surveyor, planned, fix, [*self.found().values()], terms)
        return {lead.branch or "": lead for lead in leads}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Begin the story."""
    return Story(tmp_path / "repo")


# Which branches are looked at.


def test_a_pattern_is_held_to_the_name_without_its_remote(story: Story) -> None:
    """`release/*` means origin/release/1 as well, and no branch that is called so by chance."""
    story.branch("release/1")
    story.branch("topic")
    repo = story.repo
    for name in ("release/1", "topic"):
        repo.git("update-ref", f"refs/remotes/origin/{name}", name)
    repo.git("config", "remote.origin.url", "/nowhere")
    repo.git("symbolic-ref", "refs/remotes/origin/release/newest", "refs/remotes/origin/release/1")
    repo.git("switch", "-q", "main")
    assert [*story.found()] == ["origin/release/1"]
    repo.git("branch", "-q", "-D", "release/1")
    assert [*story.found()] == ["origin/release/1"]


def test_patterns_are_case_sensitive(story: Story) -> None:
    """git's names are."""
    story.branch("Release/1")
    story.repo.git("switch", "-q", "main")
    assert story.found() == {}


@pytest.mark.parametrize(
    ("local", "remote", "counts"),
    [("ahead", "", "release/1"), ("", "ahead", "origin/release/1"), ("mine", "theirs", "origin/release/1")],
)
def test_of_a_branch_and_its_remote_twin_the_newer_counts(
    story: Story, local: str, remote: str, counts: str
) -> None:
    """Where they parted, users get the remote's."""
    story.branch("release/1")
    repo = story.repo
    repo.git("update-ref", "refs/remotes/origin/release/1", "release/1")
    base = repo.sha()
    for side, ref in ((local, "refs/heads/release/1"), (remote, "refs/remotes/origin/release/1")):
        repo.git("checkout", "-q", "--detach", base)
        sha = repo.commit(f"chore: {side}", {f"{side}.txt": "x\n"}) if side else base
        repo.git("update-ref", ref, sha)
    repo.git("switch", "-q", "main")
    assert [*story.found()] == [counts]


def test_a_remote_with_a_slash_in_its_name(story: Story) -> None:
    """The remote is what the configuration calls so, not what stands before the first slash."""
    story.branch("release/1")
    repo = story.repo
    repo.git("config", "remote.team/fork.url", "/nowhere")
    repo.git("update-ref", "refs/remotes/team/fork/release/1", "release/1")
    repo.git("switch", "-q", "main")
    repo.git("branch", "-q", "-D", "release/1")
    assert {name: branch.short for name, branch in story.found().items()} == {
        "team/fork/release/1": "release/1"
    }


def test_the_current_branch_and_what_was_merged_drop_out(story: Story) -> None:
    """A release branch whose work came back by a merge is done; one that was just cut off is not."""
    story.branch("release/1")
    repo = story.repo
    repo.git("switch", "-q", "main")
    repo.git("branch", "release/2")
    repo.commit("chore: go on", {"NEWS": "1\n"})
    repo.merge("release/1", "Merge release 1")
    repo.git("branch", "release/3")
    assert [*story.found()] == ["release/2"]
    repo.git("update-ref", "refs/remotes/origin/release/2", "main")
    repo.git("switch", "-q", "release/2")
    repo.commit("chore: go on here", {"NEWS": "2\n"})
    assert not any("release/2" in name for name in story.found())


def test_the_newest_branch_comes_first(story: Story) -> None:
    """The budget goes to what is alive."""
    for name in ("release/1", "release/3", "release/2"):
        story.branch(name)
    story.repo.git("switch", "-q", "main")
    assert [*story.found()] == ["release/2", "release/3", "release/1"]


# What is known without running anything.


def test_states_by_history_and_content(story: Story) -> None:
    """Each branch is told apart by what it is, and only those that hold the bug are leads."""
    repo = story.repo
    fix = story.fix()
    story.branch("release/holds")
    story.branch("release/picked")
    repo.git("cherry-pick", "-x", fix)
    story.branch("release/same")
    repo.commit("chore: more", {"NEWS": "x\n"})
    repo.git("cherry-pick", fix)
    story.branch("release/edited")
    repo.change("refactor: name it", "src/pkg/cache.py", "def size(cache)", "def length(cache)")
    text = repo.read("src/pkg/cache.py").replace(WRONG, RIGHT).replace("Drop what", "Drop all that")
    repo.commit("fix: purge at the limit, by hand", {"src/pkg/cache.py": text.encode()})
    story.branch("release/reverted")
    repo.git("cherry-pick", "-x", fix)
    repo.git("revert", "--no-edit", "HEAD")
    story.branch("release/lacks")
    repo.commit("refactor: drop the cache", {"src/pkg/cache.py": None})
    story.branch("release/other")
    repo.change("refactor: no purge", "src/pkg/cache.py", "def purge(", "def purge_old(")
    repo.git("switch", "-q", "--orphan", "release/unrelated")
    repo.commit("docs: pages", {"index.html": "<p>\n"})
    repo.git("switch", "-q", "main")
    repo.branch("release/contains")
    repo.commit("chore: begin", {"VERSION": "9\n"})
    assert story.states() == {
        "release/holds": "holds",
        "release/picked": "picked",
        "release/same": "picked",
        "release/edited": "has",
        "release/reverted": "holds",
        "release/lacks": "lacks",
        "release/other": "lacks",
        "release/unrelated": "unrelated",
        "release/contains": "contains",
    }
    leads = branches(fix_view(repo.top, "main"), story.found().values())
    assert sorted(lead.branch or "" for lead in leads) == ["release/holds", "release/reverted"]
    (holds,) = (lead for lead in leads if lead.branch == "release/holds")
    assert (holds.kind, holds.path, holds.line, holds.code) == ("branch", "src/pkg/cache.py", 7, WRONG)
    assert holds.proven is None
    assert holds.command == f"git switch release/holds && git cherry-pick -x {fix[:12]}"
    (reverted,) = (lead for lead in leads if lead.branch == "release/reverted")
    assert "was picked from" in reverted.evidence
    assert "but not as it stands now" in reverted.evidence


def test_a_fix_that_only_adds_is_held_by_what_it_adds_to(story: Story) -> None:
    """There is no old line to look for: the block around it stands there, and the new line does not."""
    repo = story.repo
    story.branch("release/1")
    repo.git("switch", "-q", "main")
    repo.change(
        "fix: purge takes no cache",
        "src/pkg/cache.py",
        "    for key",
        "    if cache is None:\n        return {}\n    for key",
    )
    assert story.states() == {"release/1": "holds"}


def test_a_file_that_the_branch_has_under_another_name_is_followed(story: Story) -> None:
    """The module was moved on main since."""
    repo = story.repo
    story.branch("release/1")
    repo.git("switch", "-q", "main")
    repo.git("mv", "src/pkg/cache.py", "src/pkg/store.py")
    repo.commit("refactor: call it store")
    repo.change("fix: purge at the limit", "src/pkg/store.py", WRONG, RIGHT)
    view = fix_view(repo.top)
    (lead,) = branches(view, story.found().values())
    assert (lead.path, lead.code) == ("src/pkg/cache.py", WRONG)


def test_a_pick_that_names_the_merge_is_a_pick(story: Story) -> None:
    """`cherry-pick -x -m 1` writes down the merge, not the commit that it brought in."""
    repo = story.repo
    repo.branch("work", story.before)
    fix = repo.change("fix: purge at the limit", "src/pkg/cache.py", WRONG, RIGHT)
    repo.git("switch", "-q", "main")
    merge = repo.merge("work", "Merge pull request #8")
    story.branch("release/1")
    repo.commit(
        f"Backport\n\n(cherry picked from commit {merge})\n",
        {"src/pkg/cache.py": repo.read("src/pkg/cache.py").replace(WRONG, RIGHT + "  # at").encode()},
    )
    assert story.states(fix) == {"release/1": "picked"}


def test_a_fix_that_was_picked_from_the_branch_is_there(story: Story) -> None:
    """Some projects mend the oldest branch first and pick forward."""
    repo = story.repo
    story.branch("release/1")
    first = repo.change("fix: purge at the limit", "src/pkg/cache.py", WRONG, RIGHT)
    repo.change("refactor: other names", "src/pkg/cache.py", "cache[key] >= limit", "limit <= cache[key]")
    repo.git("switch", "-q", "main")
    repo.change(f"fix: purge\n\n(cherry picked from commit {first})\n", "src/pkg/cache.py", WRONG, RIGHT)
    assert story.states() == {"release/1": "picked"}


def test_a_shallow_history_leaves_content_to_decide(story: Story, tmp_path: Path) -> None:
    """Without a common ancestor at hand a branch is not called unrelated."""
    story.branch("release/1")
    repo = story.repo
    repo.commit("chore: go on", {"VERSION": "2\n"})
    repo.git("switch", "-q", "main")
    repo.commit("chore: more", {"NEWS": "x\n"})
    story.fix()
    clone = tmp_path / "shallow"
    repo.git("clone", "-q", "--depth=2", "--no-single-branch", f"file://{repo.top}", str(clone))
    shallow = Story.__new__(Story)
    shallow.repo = Repo.at(clone)
    view = fix_view(clone)
    (branch,) = shallow.found().values()
    assert branch.name == "origin/release/1"
    assert state(view, branch).kind == "holds"


@pytest.mark.parametrize("name", ["release/$(touch x)", "release/a;b", "release/'q'", "release/é"])
def test_a_command_is_safe_to_paste(story: Story, name: str) -> None:
    """Branch names are written by strangers."""
    branch = Branch(name, f"refs/heads/{name}", "1" * 40, 0, name)
    said = command(Repository.open(story.repo.top), branch, [story.repo.sha()])
    script = said.replace("git switch", "printf %s\\\\n").partition(" && ")[0]
    assert (
        subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode() == f"{name}\n"
    )


def test_a_name_that_looks_like_an_option_is_switched_to_by_commit(story: Story) -> None:
    """`git switch -x` would be an option."""
    branch = Branch("-x", "refs/heads/-x", "1" * 40, 0, "-x")
    said = command(Repository.open(story.repo.top), branch, [story.repo.sha()])
    assert said.startswith("git switch --detach 111111111111 && git cherry-pick -x ")


def test_all_commits_of_a_fix_are_picked_oldest_first_and_a_merge_against_its_first_parent(
    story: Story,
) -> None:
    """Else half of the fix is picked, or git refuses."""
    branch = Branch("release/1", "refs/heads/release/1", "1" * 40, 0, "release/1")
    repository = Repository.open(story.repo.top)
    first, second = story.repo.commit("one", {"a": "1"}), story.repo.commit("two", {"a": "2"})
    said = command(repository, branch, [second, first])
    assert said == f"git switch release/1 && git cherry-pick -x {first[:12]} {second[:12]}"
    story.repo.branch("topic", first)
    story.repo.commit("three", {"b": "3"})
    story.repo.switch("main")
    merge = story.repo.merge("topic", "merge")
    assert command(repository, branch, [merge]).endswith(f"git cherry-pick -x -m 1 {merge[:12]}")
    repository.close()


def test_an_uncommitted_fix_has_nothing_to_pick(story: Story) -> None:
    """It is a tree and no commit; the text of the branches is looked at all the same."""
    story.branch("release/1")
    repo = story.repo
    fix = story.fix()
    tree = repo.git("rev-parse", f"{fix}^{{tree}}")
    view = replace(fix_view(repo.top), commit=tree, commits=(tree,))
    (lead,) = branches(view, story.found().values())
    assert (lead.branch, lead.code, lead.command) == ("release/1", WRONG, "")


# What the guard says.


@pytest.mark.slow
def test_the_guard_decides(story: Story) -> None:
    """Red without the fix and green with it merged in is proven; a branch that passes is not told."""
    repo = story.repo
    fix = story.fix()
    story.branch("release/holds")
    story.branch("release/picked")
    repo.git("cherry-pick", "-x", fix)
    story.branch("release/reverted")
    repo.git("cherry-pick", "-x", fix)
    repo.git("revert", "--no-edit", "HEAD")
    story.branch("release/otherwise")
    repo.change("fix: purge in another way", "src/pkg/cache.py", WRONG, "if not cache[key] < limit:")
    story.branch("release/lacks")
    repo.commit("refactor: drop the cache", {"src/pkg/cache.py": None})
    story.branch("release/without")
    repo.change("refactor: no purge", "src/pkg/cache.py", "def purge(", "def purge_old(")
    story.branch("release/conflict")
    repo.change("perf: compare once", "src/pkg/cache.py", WRONG, "if limit < cache[key] and key:")
    story.branch("release/conflict-right")
    repo.change("fix: compare otherwise", "src/pkg/cache.py", WRONG, "if limit <= cache[key] and key:")
    repo.git("switch", "-q", "--orphan", "release/unrelated")
    repo.commit("docs: pages", {"index.html": "<p>\n"})
    before = {name: fingerprint(repo.top / ".git" / name) for name in ("objects", "refs")}
    leads = story.tried()
    assert {name: lead.proven for name, lead in leads.items()} == {
        "release/holds": True,
        "release/reverted": True,
        "release/without": None,
        "release/conflict": True,
    }
    holds = leads["release/holds"]
    assert holds.confidence == 1.0
    assert holds.evidence.startswith(
        "tests/test_cache.py::test_purge_at_the_limit fails there (AssertionError"
    )
    assert holds.evidence.endswith(" and passes with the fix merged in")
    assert holds.command == f"git switch release/holds && git cherry-pick -x {fix[:12]}"
    assert "ported by hand" in leads["release/conflict"].evidence
    assert "purge" in leads["release/without"].evidence
    assert leads["release/without"].confidence < 0.3
    assert before == {name: fingerprint(repo.top / ".git" / name) for name in before}


@pytest.mark.slow
def test_an_error_about_a_name_must_be_the_same_one(story: Story) -> None:
    """A branch may lack what the guard calls for reasons of its own, and raise the same type."""
    repo = story.repo
    repo.git("switch", "-q", "main")
    repo.change("refactor: keys", "src/pkg/cache.py", "list(cache)", "list(cache.kyes())")
    story.branch("release/1", at="main")
    text = (
        repo.read("src/pkg/cache.py")
        .replace("def purge(", "def purge_old(")
        .replace("list(cache.", "sorted(cache.")
    )
    repo.commit("refactor: no purge", {"src/pkg/cache.py": text.encode()})
    story.branch("release/2", at="main")
    repo.change("perf: sorted", "src/pkg/cache.py", "list(cache.", "sorted(cache.")
    repo.git("switch", "-q", "main")
    guard = """
        from pkg import cache


        def test_purge():
            assert cache.purge({"a": 3, "b": 1}, 2) == {"b": 1}
    """
    repo.change("fix: keys", "src/pkg/cache.py", "kyes", "keys", {"tests/test_cache.py": guard})
    leads = story.tried()
    assert {name: lead.proven for name, lead in leads.items()} == {"release/1": None, "release/2": True}
    assert "purge" in leads["release/1"].evidence


@pytest.mark.slow
def test_a_fix_in_several_files_and_a_renamed_one(story: Story) -> None:
    """Each file is merged where the branch has it."""
    repo = story.repo
    exported = "from pkg.cache import purge\n"
    repo.commit("feat: export", {"src/pkg/__init__.py": exported, "src/pkg/names.py": "NAME = 1\n"})
    story.branch("release/1", at="main")
    repo.git("switch", "-q", "main")
    repo.git("mv", "src/pkg/cache.py", "src/pkg/store.py")
    repo.commit("refactor: call it store", {"src/pkg/__init__.py": exported.replace("cache", "store")})
    story.branch("release/2", at="main")
    repo.git("switch", "-q", "main")
    guard = (
        GUARD.replace("pkg.cache", "pkg") + "        import pkg.names\n\n        assert pkg.names.NAME == 2\n"
    )
    repo.change(
        "fix: purge",
        "src/pkg/store.py",
        WRONG,
        RIGHT,
        {"src/pkg/names.py": "NAME = 2\n", "tests/test_cache.py": guard},
    )
    leads = story.tried()
    assert {name: lead.proven for name, lead in leads.items()} == {"release/1": True, "release/2": True}
    said = [lead.evidence for lead in leads.values()]
    assert [text for text in said if not text.endswith("passes with the fix merged in")] == []


@pytest.mark.slow
def test_the_guard_brings_along_what_it_needs(story: Story) -> None:
    """A fixture in conftest.py and a helper beside it, which the branch lacks or has otherwise."""
    repo = story.repo
    story.branch("release/bare")
    story.branch("release/own")
    repo.commit("test: own fixtures", {"tests/conftest.py": "import pytest\n"})
    repo.git("switch", "-q", "main")
    repo.commit(
        "test: fixtures",
        {
            "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef full():\n    return {'a': 3, 'b': 1}\n",
            "tests/helpers.py": "LIMIT = 3\n",
        },
    )
    guard = """
        from helpers import LIMIT
        from pkg.cache import purge


        def test_purge_at_the_limit(full):
            assert purge(full, LIMIT) == {"b": 1}
    """
    repo.change("fix: purge", "src/pkg/cache.py", WRONG, RIGHT, {"tests/test_cache.py": guard})
    assert {name: lead.proven for name, lead in story.tried().items()} == {
        "release/bare": True,
        "release/own": True,
    }


@pytest.mark.slow
def test_what_was_decided_is_kept(story: Story, tmp_path: Path) -> None:
    """A second look runs nothing: without a budget it says the same."""
    story.fix()
    story.branch("release/1")
    cache = Cache(tmp_path / "cache.db")
    first = story.tried(cache=cache)
    assert first["release/1"].proven
    assert story.tried(cache=cache, budget=0.0) == first
    story.repo.git("switch", "-q", "release/1")
    story.repo.change("fix: here too", "src/pkg/cache.py", WRONG, RIGHT)
    assert story.tried(cache=cache) == {}


@pytest.mark.slow
def test_without_time_the_text_is_told(story: Story) -> None:
    """A branch that could not be tried is not passed over."""
    story.fix()
    story.branch("release/1")
    story.repo.git("switch", "-q", "main")
    with proven(story.repo.top, budget=0.0) as (surveyor, planned, fix, terms):
        view = view_of(surveyor, planned, terms.pool)
        (lead,) = try_on(surveyor, planned, fix, [*story.found().values()], terms, view=view)
    assert (lead.proven, lead.path, lead.confidence) == (None, "src/pkg/cache.py", 0.7)
