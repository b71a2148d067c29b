"""The range under test: asked for, told by CI, or found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.history.ranges import RangeChoice, choose_range, default_branch_candidates

ZEROS = "0" * 40
GITHUB = {"GITHUB_ACTIONS": "true"}


class Facts:
    """The facts about a real repository that a choice needs."""

    def __init__(self, repo: Repository) -> None:
        self.repo = repo

    @property
    def head(self) -> str | None:
        """Give HEAD's commit."""
        return self.repo.head().sha

    @property
    def branch(self) -> str | None:
        """Give the branch that is checked out."""
        return self.repo.head().branch

    @property
    def upstream(self) -> str | None:
        """Give that branch's upstream."""
        branch = self.branch
        remote = self.repo.config(f"branch.{branch}.remote") if branch else None
        merge = self.repo.config(f"branch.{branch}.merge") if branch else None
        return f"{remote}/{merge.removeprefix('refs/heads/')}" if remote and merge else None

    @property
    def remotes(self) -> Sequence[str]:
        """Give the remotes."""
        return self.repo.run("remote").decode().split()

    @property
    def init_default_branch(self) -> str | None:
        """Give what git is configured to call a first branch."""
        return self.repo.config("init.defaultBranch")

    @property
    def shallow(self) -> bool:
        """Say whether history is cut off."""
        return self.repo.is_shallow()

    @property
    def shallow_commits(self) -> frozenset[str]:
        """Give the commits without their parents."""
        return self.repo.shallow_commits()

    def resolve(self, ref: str) -> str | None:
        """Resolve a revision."""
        return self.repo.resolve(ref)

    def merge_base(self, a: str, b: str) -> str | None:
        """Find the merge base."""
        return self.repo.merge_base(a, b)

    def is_ancestor(self, a: str, b: str) -> bool:
        """Compare two commits."""
        return self.repo.is_ancestor(a, b)


def choose(
    box: Sandbox, env: dict[str, str] | None = None, event: dict[str, object] | None = None, **options: str
) -> RangeChoice:
    """Choose in a real repository."""
    with box.open() as repo:
        return choose_range(Facts(repo), env or {}, event, **options)


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    """Make main with two commits, and a topic branch with two more while main went on."""
    box = Sandbox(tmp_path / "server")
    box.commit({"a": "1"}, "one")
    box.commit({"a": "2"}, "two")
    box.git("checkout", "-q", "-b", "topic")
    box.commit({"b": "1"}, "three")
    box.commit({"b": "2"}, "four")
    box.git("checkout", "-q", "main")
    box.commit({"a": "3"}, "five")
    return box


def clone(box: Sandbox, where: Path, *args: str) -> Sandbox:
    """Clone a repository as a remote does it."""
    made = Sandbox.__new__(Sandbox)
    made.top, made.clock = where, box.clock
    box.git("clone", "-q", *args, f"file://{box.top}", str(where))
    return made


def at(box: Sandbox, ref: str) -> str:
    """Name a commit."""
    return box.git("rev-parse", ref)


def test_a_range_is_taken_as_written(box: Sandbox) -> None:
    """A..B is exactly that; an open end is HEAD."""
    found = choose(box, range_option="main~2..main")
    assert (found.base, found.head, found.source) == (at(box, "main~2"), at(box, "main"), "option")
    assert choose(box, range_option="main~1..").head == at(box, "main")


def test_a_range_of_branches_that_parted_starts_at_their_merge_base(box: Sandbox) -> None:
    """A...B, and A..B where A is no ancestor of B, never count A's own commits as taken back."""
    for text in ("main...topic", "main..topic"):
        found = choose(box, range_option=text)
        assert (found.base, found.head) == (at(box, "topic~2"), at(box, "topic"))
        assert "merge base" in found.why


@pytest.mark.parametrize(
    "text",
    ["main", "..main", "a..b..c", "main....topic", "nope..main", "-x..main", "main..--all", "ma\x1bin..main"],
)
def test_a_malformed_or_unknown_range_is_wrong_usage(box: Sandbox, text: str) -> None:
    """Neither git nor a terminal sees what is no revision."""
    with pytest.raises(UsageError) as caught:
        choose(box, range_option=text)
    assert "\x1b" not in str(caught.value)


def test_a_base_is_taken_by_merge_base(box: Sandbox) -> None:
    """What the base branch did since does not count."""
    box.git("checkout", "-q", "topic")
    found = choose(box, base_option="main")
    assert (found.base, found.head, found.why) == (
        at(box, "topic~2"),
        at(box, "topic"),
        "merge base with main",
    )
    for ref, why in (("nope", ""), ("-main", "does not begin with"), ("--output=x", "does not begin with")):
        with pytest.raises(UsageError) as caught:
            choose(box, base_option=ref)
        assert why in caught.value.why


def test_an_option_goes_before_ci(box: Sandbox) -> None:
    """What is asked for wins."""
    event = {"before": at(box, "main~2"), "after": at(box, "main")}
    found = choose(
        box, {**GITHUB, "GITHUB_EVENT_NAME": "push"}, event, base_option="main~1", range_option="main~1..main"
    )
    assert (found.base, found.source) == (at(box, "main~1"), "option")


def pull(box: Sandbox, title: str = "fix: it") -> dict[str, object]:
    """Make the event of a pull request from topic into main."""
    return {
        "pull_request": {
            "title": title,
            "body": "Fixes #7",
            "base": {"sha": at(box, "main"), "ref": "main"},
            "head": {"sha": at(box, "topic")},
        }
    }


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target"])
def test_a_pull_request_is_its_own_commits(box: Sandbox, name: str) -> None:
    """The head of the pull request is under test, not the merge that is checked out."""
    event = pull(box)
    box.git("checkout", "-q", "--detach", "main")
    box.git("merge", "-q", "--no-ff", "-m", "Merge topic into main", "topic")
    found = choose(box, {**GITHUB, "GITHUB_EVENT_NAME": name}, event)
    assert (found.base, found.head) == (at(box, "topic~2"), at(box, "topic"))
    assert (found.title, found.description, found.source) == ("fix: it", "Fixes #7", "github-pull-request")
    assert found.why == "the pull request's base (event)"


def test_a_pull_request_whose_head_is_only_in_the_merge(box: Sandbox, tmp_path: Path) -> None:
    """If the event's commits were not fetched, the parents of the merge stand in."""
    event = pull(box)
    event["pull_request"]["head"]["sha"] = "a" * 40  # type: ignore[index]
    event["pull_request"]["base"]["sha"] = "b" * 40  # type: ignore[index]
    box.git("checkout", "-q", "--detach", "main")
    box.git("merge", "-q", "--no-ff", "-m", "Merge topic into main", "topic")
    env = {**GITHUB, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_SHA": at(box, "HEAD")}
    found = choose(box, env, event)
    assert (found.base, found.head) == (at(box, "topic~2"), at(box, "topic"))
    for other in ({"GITHUB_SHA": "c" * 40}, {"GITHUB_EVENT_NAME": "pull_request_target"}):
        with pytest.raises(UndecidedError):
            choose(box, {**env, **other}, event)


def test_a_pull_request_in_a_shallow_clone_is_undecided(box: Sandbox, tmp_path: Path) -> None:
    """The hint is what to write into the workflow."""
    event = pull(box)
    shallow = clone(box, tmp_path / "c", "--depth=1")
    with pytest.raises(UndecidedError) as caught:
        choose(shallow, {**GITHUB, "GITHUB_EVENT_NAME": "pull_request"}, event)
    assert "  - uses: actions/checkout@v4\n    with:\n      fetch-depth: 0" in caught.value.hint
    with pytest.raises(UndecidedError) as caught:
        choose(shallow, {**GITHUB, "GITHUB_EVENT_NAME": "pull_request_target"}, event)
    assert "ref: ${{ github.event.pull_request.head.sha }}" in caught.value.hint


def test_a_pull_request_without_commits_in_its_event_is_an_error(box: Sandbox) -> None:
    """An event that names nothing is not guessed around; a crafted name reaches no git."""
    with pytest.raises(UsageError):
        choose(box, {**GITHUB, "GITHUB_EVENT_NAME": "pull_request"}, {"pull_request": {"base": 3}})
    event = pull(box)
    for crafted in ("--output=x", "topic", "HEAD~1"):
        event["pull_request"]["head"]["sha"] = crafted  # type: ignore[index]
        with pytest.raises(UndecidedError):
            choose(box, {**GITHUB, "GITHUB_EVENT_NAME": "pull_request"}, event)


def test_a_pull_request_without_an_event_file(box: Sandbox) -> None:
    """GITHUB_BASE_REF alone is enough where the branch is there."""
    box.git("checkout", "-q", "topic")
    found = choose(box, {**GITHUB, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_BASE_REF": "main"})
    assert (found.base, found.head, found.source) == (
        at(box, "topic~2"),
        at(box, "topic"),
        "github-pull-request",
    )


def test_a_merge_group(box: Sandbox) -> None:
    """The queue's base and head."""
    event: dict[str, object] = {"merge_group": {"base_sha": at(box, "main~2"), "head_sha": at(box, "main")}}
    found = choose(box, {**GITHUB, "GITHUB_EVENT_NAME": "merge_group"}, event)
    assert (found.base, found.head, found.source) == (
        at(box, "main~2"),
        at(box, "main"),
        "github-merge-group",
    )


def test_a_push(box: Sandbox) -> None:
    """From what was there before; a new branch from the default branch; a rewritten one too."""
    env = {**GITHUB, "GITHUB_EVENT_NAME": "push"}
    repository = {"default_branch": "main"}
    found = choose(
        box, env, {"before": at(box, "main~2"), "after": at(box, "main"), "repository": repository}
    )
    assert (found.base, found.head, found.source) == (at(box, "main~2"), at(box, "main"), "github-push")
    box.git("checkout", "-q", "topic")
    for before, why in ((ZEROS, "a new branch"), ("a" * 40, "a push that rewrote history")):
        found = choose(box, env, {"before": before, "after": at(box, "topic"), "repository": repository})
        assert (found.base, found.head) == (at(box, "topic~2"), at(box, "topic"))
        assert found.why == f"merge base with main: {why}"
    forced = choose(
        box, env, {"before": at(box, "main"), "after": at(box, "topic"), "repository": repository}
    )
    assert forced.base == at(box, "topic~2")
    box.git("checkout", "-q", "main")
    first = choose(box, env, {"before": ZEROS, "after": at(box, "main"), "repository": repository})
    assert (first.base, first.why) == (at(box, "main~1"), "the last commit: a new branch")


def test_a_push_to_a_shallow_clone_is_undecided(box: Sandbox, tmp_path: Path) -> None:
    """A commit that the clone cuts off is not taken for a rewritten history."""
    shallow = clone(box, tmp_path / "c", "--depth=1")
    with pytest.raises(UndecidedError, match="before the push"):
        choose(
            shallow,
            {**GITHUB, "GITHUB_EVENT_NAME": "push"},
            {"before": at(box, "main~1"), "after": at(box, "main")},
        )


def test_other_github_events_fall_back(box: Sandbox) -> None:
    """A nightly run judges what it would judge at a desk."""
    found = choose(box, {**GITHUB, "GITHUB_EVENT_NAME": "schedule"}, {"schedule": "0 0 * * *"})
    assert found.source == "local"


def test_a_gitlab_merge_request(box: Sandbox, tmp_path: Path) -> None:
    """GitLab names base, head and title in variables; a merged result is not the head."""
    box.git("checkout", "-q", "--detach", "main")
    box.git("merge", "-q", "--no-ff", "-m", "merged result", "topic")
    env = {
        "GITLAB_CI": "true",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": at(box, "topic~2"),
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": at(box, "topic"),
        "CI_COMMIT_SHA": at(box, "HEAD"),
        "CI_MERGE_REQUEST_TITLE": "Draft: fix: it",
    }
    found = choose(box, env)
    assert (found.base, found.head, found.title) == (at(box, "topic~2"), at(box, "topic"), "Draft: fix: it")
    assert found.source == "gitlab-merge-request"
    plain = choose(box, {**env, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "", "CI_COMMIT_SHA": at(box, "topic")})
    assert plain.head == at(box, "topic")
    shallow = clone(box, tmp_path / "c", "--depth=1", "--branch=topic")
    with pytest.raises(UndecidedError) as caught:
        choose(shallow, env)
    assert "  variables:\n    GIT_DEPTH: 0" in caught.value.hint


def test_a_gitlab_push(box: Sandbox) -> None:
    """CI_COMMIT_BEFORE_SHA, and the default branch for a new one."""
    env = {"GITLAB_CI": "true", "CI_COMMIT_SHA": at(box, "topic"), "CI_DEFAULT_BRANCH": "main"}
    found = choose(box, {**env, "CI_COMMIT_BEFORE_SHA": at(box, "topic~1")})
    assert (found.base, found.head, found.source) == (at(box, "topic~1"), at(box, "topic"), "gitlab-push")
    assert choose(box, {**env, "CI_COMMIT_BEFORE_SHA": ZEROS}).base == at(box, "topic~2")


def test_other_ci_names_the_target_branch(box: Sandbox) -> None:
    """A pull request's target is enough for a merge base."""
    box.git("checkout", "-q", "topic")
    found = choose(box, {"SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main"})
    assert (found.base, found.source) == (at(box, "topic~2"), "ci-pull-request")


def test_a_topic_branch_at_the_desk(box: Sandbox, tmp_path: Path) -> None:
    """The merge base with the default branch, of the remote if there is one."""
    box.git("checkout", "-q", "topic")
    found = choose(box)
    assert (found.base, found.head, found.why) == (
        at(box, "topic~2"),
        at(box, "topic"),
        "merge base with main",
    )
    box.git("checkout", "-q", "main")
    local = clone(box, tmp_path / "c")
    local.git("checkout", "-q", "-b", "own")
    local.commit({"c": "1"}, "six")
    found = choose(local)
    assert (found.base, found.why) == (at(local, "HEAD~1"), "merge base with origin/main")
    local.git("push", "-q", "-u", "origin", "own")
    assert choose(local) == found


def test_the_default_branch_at_the_desk(box: Sandbox, tmp_path: Path) -> None:
    """What is ahead of its upstream, else the last commit."""
    local = clone(box, tmp_path / "c")
    found = choose(local)
    assert (found.base, found.why) == (at(local, "HEAD~1"), "the last commit: main is level with origin/main")
    local.commit({"c": "1"}, "six")
    local.commit({"c": "2"}, "seven")
    found = choose(local)
    assert (found.base, found.why) == (at(local, "HEAD~2"), "merge base with origin/main")
    assert choose(box).why == "the last commit: main has no upstream"


def test_a_fresh_branch_has_nothing_of_its_own(box: Sandbox) -> None:
    """A branch without a commit judges no one else's."""
    box.git("checkout", "-q", "-b", "fresh")
    found = choose(box)
    assert found.base == found.head == at(box, "main")


def test_a_detached_head(box: Sandbox) -> None:
    """Off the default branch: from the merge base; on it: the last commit."""
    box.git("checkout", "-q", "--detach", "topic")
    assert choose(box).base == at(box, "topic~2")
    box.git("checkout", "-q", "--detach", "main~1")
    found = choose(box)
    assert (found.base, found.why) == (at(box, "main~2"), "the last commit: HEAD is contained in main")


def test_a_root_commit_is_judged_against_nothing(tmp_path: Path) -> None:
    """The first commit's base is the empty tree."""
    box = Sandbox(tmp_path / "r")
    with pytest.raises(UndecidedError, match="no commit yet"):
        choose(box)
    box.commit({"a": "1"})
    assert choose(box).base is None


def test_a_repository_without_a_default_branch(tmp_path: Path) -> None:
    """Where nothing looks like a default branch, the last commit is judged and the reason says so."""
    box = Sandbox(tmp_path / "r", "-b", "odd")
    box.git("checkout", "-q", "-B", "odd")
    box.commit({"a": "1"})
    box.commit({"a": "2"})
    found = choose(box)
    assert (found.base, found.why) == (at(box, "HEAD~1"), "the last commit: no default branch is known")


def test_a_shallow_clone_at_the_desk_is_undecided(box: Sandbox, tmp_path: Path) -> None:
    """A cut-off parent is never mistaken for a root."""
    shallow = clone(box, tmp_path / "c", "--depth=1")
    with pytest.raises(UndecidedError) as caught:
        choose(shallow)
    assert caught.value.hint == "git fetch --unshallow"
    with pytest.raises(UndecidedError):
        choose(shallow, base_option="HEAD~1")


def test_unrelated_histories_are_undecided(box: Sandbox) -> None:
    """Without a common ancestor there is no change to speak of."""
    box.git("checkout", "-q", "--orphan", "pages")
    box.commit({"p": "1"})
    with pytest.raises(UndecidedError, match="no common ancestor"):
        choose(box)


def test_the_order_of_default_branches() -> None:
    """origin first, then upstream, a single remote by any name, local names last."""
    found = default_branch_candidates(["fork", "upstream", "origin"], "dev")
    assert found[:3] == ("origin/HEAD", "origin/main", "origin/master")
    assert found.index("upstream/HEAD") < found.index("main") < found.index("dev")
    assert default_branch_candidates(["mine"], None)[0] == "mine/HEAD"
    assert default_branch_candidates([], None) == ("main", "master", "trunk", "develop")
