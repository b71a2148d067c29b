"""Which range is under test: asked for, told by CI, or found from the default branch.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from pytest_bugsle.errors import UndecidedError, UsageError
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHA = lazy_pattern(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_DEFAULT_NAMES = ("main", "master", "trunk", "develop")
_GITHUB_DEPTH = """fetch the whole history in the checkout step:
  - uses: actions/checkout@v4
    with:
      fetch-depth: 0"""
_GITHUB_TARGET = """check out the pull request's head, with its history:
  - uses: actions/checkout@v4
    with:
      ref: ${{ github.event.pull_request.head.sha }}
      fetch-depth: 0"""
_GITLAB_DEPTH = """fetch the whole history, in .gitlab-ci.yml:
  variables:
    GIT_DEPTH: 0"""
_LOCAL_DEPTH = "git fetch --unshallow"
# Other CI systems name the branch that a pull request is to be merged into.
_TARGET_VARIABLES = (
    "BITBUCKET_PR_DESTINATION_BRANCH",
    "CHANGE_TARGET",
    "SYSTEM_PULLREQUEST_TARGETBRANCH",
    "BUILDKITE_PULL_REQUEST_BASE_BRANCH",
)


class Refs(Protocol):
    """What must be known of a repository to choose a range."""

    @property
    def head(self) -> str | None:
        """HEAD's commit; None in a repository without one."""

    @property
    def branch(self) -> str | None:
        """The short name of the branch that is checked out; None when detached."""

    @property
    def upstream(self) -> str | None:
        """The short name of that branch's upstream ("origin/main"), None without one."""

    @property
    def remotes(self) -> Sequence[str]:
        """The names of the remotes."""

    @property
    def init_default_branch(self) -> str | None:
        """What git's `init.defaultBranch` says."""

    @property
    def shallow(self) -> bool:
        """Whether the history is cut off somewhere."""

    @property
    def shallow_commits(self) -> frozenset[str]:
        """The commits whose parents are cut off."""

    def resolve(self, ref: str) -> str | None:
        """Give the full sha of the commit that `ref` names, or None."""

    def merge_base(self, a: str, b: str) -> str | None:
        """Give the best common ancestor, or None."""

    def is_ancestor(self, a: str, b: str) -> bool:
        """Say whether `a` is `b` or one of its ancestors."""


class RangeChoice(msgspec.Struct, frozen=True):
    """The range under test: `base` (None: the empty tree) to `head`, and why this one."""

    base: str | None
    head: str
    why: str
    source: str
    title: str | None = None
    description: str = ""


def choose_range(
    refs: Refs,
    env: Mapping[str, str],
    event: Mapping[str, object] | None = None,
    *,
    range_option: str | None = None,
    base_option: str | None = None,
) -> RangeChoice:
    """Choose the range under test, or say what is missing for a choice.

    `event` is GitHub's, parsed from the file at GITHUB_EVENT_PATH. `base_option` is what the command
    line, BUGSLE_BASE or the settings name, in this order; the caller has read them.
    """
    return _Choice(refs, env, event or {}).choose(range_option, base_option)


def default_branch_candidates(remotes: Sequence[str], init_default_branch: str | None) -> tuple[str, ...]:
    """Return the refs that may be the default branch, the best first."""
    order = ["origin"] if "origin" in remotes else []
    if len(remotes) == 1:
        order = list(remotes)
    order += ["upstream"] if "upstream" in remotes and "upstream" not in order else []
    local = [*_DEFAULT_NAMES, *([init_default_branch] if init_default_branch else [])]
    remote = [f"{name}/{branch}" for name in order for branch in ("HEAD", *local)]
    return tuple(dict.fromkeys([*remote, *local]))


class _Choice:
    def __init__(self, refs: Refs, env: Mapping[str, str], event: Mapping[str, object]) -> None:
        self.refs, self.env, self.event = refs, env, event
        if refs.head is None:
            raise UndecidedError(
                "the repository has no commit yet",
                why="there is no change to judge",
                hint="commit something, then run this again",
            )
        self.head = refs.head

    def choose(self, range_option: str | None, base_option: str | None) -> RangeChoice:
        if range_option:
            return self._asked_range(range_option)
        if base_option:
            return self._asked_base(base_option)
        return self._github() or self._gitlab() or self._other_ci() or self._local()

    # -- asked for

    def _asked_range(self, text: str) -> RangeChoice:
        symmetric = "..." in text
        left, dots, right = text.partition("..." if symmetric else "..")
        if not dots or not left or ".." in right or right.startswith("."):
            raise UsageError(
                f"{text!r} is no range",
                why="a range has two ends",
                hint="write A..B, or A...B to start at their merge base",
            )
        a, b = self._known(left), self._known(right or "HEAD")
        if symmetric or not self.refs.is_ancestor(a, b):
            base = self._merge_base(a, b, left, right or "HEAD")
            return RangeChoice(base, b, f"{text}: from the merge base of the two", "option")
        return RangeChoice(a, b, text, "option")

    def _asked_base(self, ref: str) -> RangeChoice:
        base = self._merge_base(self._known(ref), self.head, ref, "HEAD")
        return RangeChoice(base, self.head, f"merge base with {ref}", "option")

    def _known(self, ref: str) -> str:
        if ref.startswith("-") or any(not c.isprintable() for c in ref):
            raise UsageError(
                f"{ref!r} is no revision",
                why="a revision does not begin with “-”",
                hint="name a branch or a commit",
            )
        sha = self.refs.resolve(ref)
        if sha is not None:
            return sha
        if self.refs.shallow:
            raise self._cut_off(f"{ref!r} is not in this shallow clone")
        raise UsageError(
            f"{ref!r} is no revision of this repository",
            hint="`git branch --all` lists the branches; `git fetch` brings new ones",
        )

    # -- told by CI

    def _github(self) -> RangeChoice | None:
        name = self.env.get("GITHUB_EVENT_NAME", "")
        if not name:
            return None
        pull = self.event.get("pull_request")
        if isinstance(pull, dict):
            return self._pull_request(pull, name)
        if self.env.get("GITHUB_BASE_REF"):
            return self._to_target(
                self.env["GITHUB_BASE_REF"], "github-pull-request", self._merged_head(name) or self.head
            )
        group = self.event.get("merge_group")
        if isinstance(group, dict):
            base, head = self._present(_text(group, "base_sha")), self._present(_text(group, "head_sha"))
            if base is None:
                raise self._cut_off("the merge group's base is not in this clone")
            head = head or self.head
            base = self._merge_base(base, head, "the merge group's base", "its head")
            return RangeChoice(base, head, "the merge group's base (event)", "github-merge-group")
        if name == "push":
            repository = self.event.get("repository")
            default = _text(repository, "default_branch") if isinstance(repository, dict) else ""
            head = self._present(_text(self.event, "after")) or self.head
            return self._push(_text(self.event, "before"), head, default, "github-push")
        return None

    def _pull_request(self, pull: Mapping[str, object], name: str) -> RangeChoice:
        base_side, head_side = pull.get("base"), pull.get("head")
        asked_base = _text(base_side, "sha") if isinstance(base_side, dict) else ""
        asked_head = _text(head_side, "sha") if isinstance(head_side, dict) else ""
        if not asked_base or not asked_head:
            raise UsageError(
                "the GitHub event names no commits of the pull request",
                why="the file at GITHUB_EVENT_PATH says which commits are under test",
                hint="pass --bugsle-base REF, or let the runner write the event",
            )
        title, body = _text(pull, "title") or None, _text(pull, "body")
        # What is checked out is a merge that GitHub made up; the pull request's own head is its 2nd parent.
        merged = self._merged_head(name, asked_base, _text(pull, "merge_commit_sha"))
        head = self._present(asked_head) or merged
        if head is None:
            hint = _GITHUB_TARGET if name == "pull_request_target" else None
            raise self._cut_off("the pull request's head is not in this clone", hint)
        base = self._present(asked_base) or (self.refs.resolve(f"{self.head}^1") if merged else None)
        if base is None:
            raise self._cut_off("the pull request's base is not in this clone")
        base = self._merge_base(base, head, "the pull request's base", "its head")
        return RangeChoice(base, head, "the pull request's base (event)", "github-pull-request", title, body)

    def _merged_head(self, name: str, base: str = "", merge: str = "") -> str | None:
        """Return the second parent of HEAD if HEAD is the merge that GitHub made for the pull request.

        Any other merge may stand at HEAD too, the base branch's tip for one (`pull_request_target`).
        """
        if name == "pull_request_target":
            return None
        made = self.head in (self.env.get("GITHUB_SHA"), merge)
        if not made and (not base or self.refs.resolve(f"{self.head}^1") != base):
            return None
        return self.refs.resolve(f"{self.head}^2")

    def _gitlab(self) -> RangeChoice | None:
        if not self.env.get("GITLAB_CI"):
            return None
        asked = self.env.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "")
        if asked:
            base = self._present(asked)
            own = self.env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or self.env.get("CI_COMMIT_SHA", "")
            head = self._present(own) or self.head
            if base is None:
                raise self._cut_off("the merge request's base is not in this clone")
            base = self._merge_base(base, head, "the merge request's base", "its head")
            title = self.env.get("CI_MERGE_REQUEST_TITLE") or None
            body = self.env.get("CI_MERGE_REQUEST_DESCRIPTION", "")
            return RangeChoice(base, head, "the merge request's base", "gitlab-merge-request", title, body)
        if self.env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
            return self._to_target(
                self.env["CI_MERGE_REQUEST_TARGET_BRANCH_NAME"], "gitlab-merge-request", self.head
            )
        before = self.env.get("CI_COMMIT_BEFORE_SHA", "")
        head = self._present(self.env.get("CI_COMMIT_SHA", "")) or self.head
        return self._push(before, head, self.env.get("CI_DEFAULT_BRANCH", ""), "gitlab-push")

    def _other_ci(self) -> RangeChoice | None:
        for variable in _TARGET_VARIABLES:
            target = self.env.get(variable, "").removeprefix("refs/heads/")
            if target and target != "false":
                return self._to_target(target, "ci-pull-request", self.head)
        return None

    def _to_target(self, target: str, source: str, head: str) -> RangeChoice:
        for name in (*(f"{remote}/{target}" for remote in self._remotes()), target):
            sha = None if name.startswith("-") else self.refs.resolve(name)
            if sha is not None:
                return RangeChoice(
                    self._merge_base(sha, head, name, "the head"), head, f"merge base with {name}", source
                )
        raise self._cut_off(f"the target branch {target!r} is not in this clone")

    def _push(self, before: str, head: str, default: str, source: str) -> RangeChoice:
        new = not before.strip("0")
        known = None if new else self._present(before)
        if known is not None:
            base = self._merge_base(known, head, "what was there before the push", "the pushed head")
            return RangeChoice(base, head, "what was there before the push", source)
        if not new and self.refs.shallow:
            raise self._cut_off("the commit from before the push is not in this clone")
        reason = "a new branch" if new else "a push that rewrote history"
        name = self._default_branch((default,) if default else ())
        base = self._merge_base(self._known(name), head, name, "the pushed head") if name else head
        if base == head:
            return self._last_commit(f"the last commit: {reason}", source, head)
        return RangeChoice(base, head, f"merge base with {name}: {reason}", source)

    # -- found

    def _local(self) -> RangeChoice:
        branch, upstream = self.refs.branch, self.refs.upstream
        name = self._default_branch(())
        if name is None:
            return self._last_commit("the last commit: no default branch is known", "local")
        is_default = branch is not None and branch in (name, name.partition("/")[2])
        if is_default and upstream and upstream != branch and self.refs.resolve(upstream):
            name = upstream
        elif name == branch:
            return self._last_commit(f"the last commit: {branch} has no upstream", "local")
        base = self._merge_base(self._known(name), self.head, name, "HEAD")
        if base != self.head:
            return RangeChoice(base, self.head, f"merge base with {name}", "local")
        if is_default:
            return self._last_commit(f"the last commit: {branch} is level with {name}", "local")
        if branch is None:
            return self._last_commit(f"the last commit: HEAD is contained in {name}", "local")
        return RangeChoice(
            base, self.head, f"merge base with {name}: {branch} has no commit of its own", "local"
        )

    def _default_branch(self, told: tuple[str, ...]) -> str | None:
        remotes = self._remotes()
        names = [f"{remote}/{name}" for name in told for remote in remotes] + list(told)
        names += default_branch_candidates(self.refs.remotes, self.refs.init_default_branch)
        name = next((name for name in names if not name.startswith("-") and self.refs.resolve(name)), None)
        if name is None or not name.endswith("/HEAD"):
            return name
        # origin/HEAD stands for a branch that is level with it; its own name says more to a reader.
        remote, target = name.removesuffix("/HEAD"), self.refs.resolve(name)
        likely = (*_DEFAULT_NAMES, self.refs.init_default_branch, self.refs.branch)
        level = (f"{remote}/{branch}" for branch in likely if branch)
        return next((other for other in level if self.refs.resolve(other) == target), name)

    def _last_commit(self, why: str, source: str, head: str | None = None) -> RangeChoice:
        head = head or self.head
        parent = self.refs.resolve(f"{head}^1")
        if parent is None and head in self.refs.shallow_commits:
            raise self._cut_off(f"the commit before {head[:7]} is cut off in this shallow clone")
        return RangeChoice(parent, head, why, source)

    # -- what is missing

    def _remotes(self) -> list[str]:
        remotes = list(self.refs.remotes)
        return sorted(remotes, key=lambda name: (name != "origin", name != "upstream"))

    def _present(self, sha: str) -> str | None:
        """Resolve a commit that CI names; what is no commit's name is not looked for."""
        return self.refs.resolve(sha) if _SHA.match(sha) else None

    def _merge_base(self, a: str, b: str, a_name: str, b_name: str) -> str:
        base = self.refs.merge_base(a, b)
        if base is None:
            raise self._unrelated(a_name, b_name)
        return base

    def _unrelated(self, a_name: str, b_name: str) -> UndecidedError:
        if self.refs.shallow:
            return self._cut_off(f"where {a_name} and {b_name} parted is cut off in this shallow clone")
        return UndecidedError(
            f"{a_name} and {b_name} have no common ancestor",
            why="without one nobody can say what the change is",
            hint="name the commit to compare with: --bugsle-range A..B",
        )

    def _cut_off(self, what: str, hint: str | None = None) -> UndecidedError:
        if hint is None and self.env.get("GITHUB_ACTIONS"):
            hint = _GITHUB_DEPTH
        elif hint is None and self.env.get("GITLAB_CI"):
            hint = _GITLAB_DEPTH
        elif hint is None:
            hint = _LOCAL_DEPTH if self.refs.shallow else "git fetch"
        return UndecidedError(what, why="the range under test cannot be found without it", hint=hint)


def _text(mapping: Mapping[str, object], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""
