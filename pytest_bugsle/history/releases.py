"""Which release a commit first shipped in, by the tags that look like versions.  PYTEST_DONT_REWRITE

A commit shipped in the oldest release that contains it: ancestry decides, and the commit time among releases
that do not contain one another. Prereleases count only for what no release contains yet. In a repository of
several products (`core-1.2`, `cli/v3.0`) a commit ships with the product whose folder it touches.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_bugsle.git.repository import Repository

UNRELEASED = "unreleased"

_LONGEST_NAME = 200
_GENERIC = frozenset(
    ("v", "ver", "version", "versions", "rel", "release", "releases", "tag", "tags", "stable", "final")
)
_UNSTABLE = frozenset(
    ("nightly", "canary", "snapshot", "preview", "dev", "alpha", "beta", "rc", "next", "test")
)
_PRE = r"(?:a|b|c|rc|cr|alpha|beta|pre|preview|dev|m|milestone|snapshot|canary|nightly|next|ea)(?![a-z])"
_POST = r"(?:post|rev|r|p|pl|patch|hotfix|fix|final|ga|stable|sp|release)(?![a-z])"
_TAG = re.compile(
    r"(?:(?P<prefix>[a-z@][\w@./+-]*?)(?:[-_/@]|==))??"
    r"(?P<mark>(?:v|ver|version|rel|release|r)[-_./]?)?"
    r"(?P<version>(?P<year>(?:19|20)[0-9]{2}[a-z](?![a-z0-9]))|[0-9]+(?:[._][0-9]+)*)"
    rf"(?P<suffix>(?:[-._]?(?:{_PRE}|{_POST})(?:[-._]?[0-9]+)?)*)"
    r"(?:\+[\w.-]+)?",
    re.IGNORECASE,
)
_IS_PRE = re.compile(rf"(?<![a-z]){_PRE}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag that names a version: of which product (empty for the repository's own), and whether before a release."""

    name: str
    product: str
    parts: int
    prerelease: bool
    suffixed: bool = False
    """Something stands behind the number: `1.0.post1`, `2.0rc1`."""

    @property
    def is_final(self) -> bool:
        """Say whether PEP 440 and semver call it a final release, with at least `major.minor`."""
        return self.parts > 1 and not self.prerelease and not self.suffixed


def parse_tag(name: str) -> Tag | None:
    """Return what a tag's name says; None where it names no version.

    A number alone, and a number behind any word (`build-123`), are none: it takes a dot, a `v` or `release`.
    """
    found = _TAG.fullmatch(name) if len(name) <= _LONGEST_NAME else None
    if found is None:
        return None
    words = [word for word in re.split(r"[-_/]", found["prefix"] or "") if word]
    generic = bool(found["mark"] or found["year"]) or any(word.lower() in _GENERIC for word in words)
    parts = len(re.split(r"[._]", found["version"]))
    if parts < 2 and not generic:
        return None
    unstable = any(word.lower() in _UNSTABLE for word in words)
    return Tag(
        name,
        "-".join(word.lower() for word in words if word.lower() not in _GENERIC | _UNSTABLE),
        parts,
        unstable or _IS_PRE.search(found["suffix"]) is not None,
        bool(found["suffix"]),
    )


@dataclass(slots=True)
class Releases:
    """The releases of a range. `graph` has its commits and their parents, each commit before its parents."""

    graph: Mapping[str, tuple[str, ...]]
    tags: Mapping[Tag, str]
    """Each tag with its commit; those outside of the graph do not count."""
    _shipped: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def first(self, commit: str, paths: Iterable[str] = ()) -> str:
        """Return the release that first contained a commit, which changed `paths`; `unreleased` if none does."""
        product = self._product(paths)
        if product not in self._shipped:
            self._shipped[product] = self._first_of(self._tags_of(product))
        return self._shipped[product].get(commit, UNRELEASED)

    def order(self) -> list[str]:
        """Return all releases, the oldest first, `unreleased` last."""
        return [*(tag.name for tag in self._oldest_first(self.tags)), UNRELEASED]

    def _products(self) -> dict[str, list[Tag]]:
        """Return the tags by product; a single name is no product of several but how tags are written here."""
        found: dict[str, list[Tag]] = defaultdict(list)
        for tag in self.tags:
            found[tag.product].append(tag)
        named = [product for product in found if product]
        return {"": list(self.tags)} if len(named) < 2 else found

    def _product(self, paths: Iterable[str]) -> str:
        folders = {_plain(part) for path in paths for part in path.split("/")[:-1]}
        inside = [p for p in self._products() if p and not folders.isdisjoint((p, p.rpartition("@")[2]))]
        return max(inside, key=lambda product: (len(product), product), default="")

    def _tags_of(self, product: str) -> list[Tag]:
        products = self._products()
        return [*products.get(product, ()), *(products.get("", ()) if product else ())] or list(self.tags)

    def _oldest_first(self, tags: Iterable[Tag]) -> list[Tag]:
        # Children stand before their parents, so that the last place is the oldest.
        place = {commit: number for number, commit in enumerate(self.graph)}
        known = [tag for tag in tags if self.tags[tag] in place]
        return sorted(
            known,
            key=lambda tag: (-place[self.tags[tag]], tag.prerelease, tag.product, -tag.parts, tag.name),
        )

    def _first_of(self, tags: Sequence[Tag]) -> Mapping[str, str]:
        shipped: dict[str, str] = {}
        ordered = self._oldest_first(tags)
        for tag in sorted(ordered, key=lambda tag: tag.prerelease):
            waiting = [self.tags[tag]]
            while waiting:
                commit = waiting.pop()
                if commit not in shipped and commit in self.graph:
                    shipped[commit] = tag.name
                    waiting += self.graph[commit]
        return shipped


def read_releases(repo: Repository, until: str, base: str | None = None) -> Releases:
    """Return the releases of base..until, also those on other branches that contain commits of it.

    Three git calls, however many tags there are. A tag of something else than a commit is left out.
    """
    names: dict[str, str] = {}
    for line in repo.run("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags").splitlines():
        sha, _, name = os.fsdecode(line).partition(" ")
        names[name.removeprefix("refs/tags/")] = sha
    found = [(tag, sha) for name, sha in names.items() if (tag := parse_tag(name)) is not None]
    asked = "".join(f"{sha}^{{commit}}\n" for _, sha in found).encode()
    answers = repo.run("cat-file", "--batch-check=%(objectname)", input=asked).split(b"\n") if found else []
    tags = {
        tag: answer.decode()
        for (tag, _), answer in zip(found, answers, strict=False)
        if re.fullmatch(rb"[0-9a-f]{40,64}", answer)
    }
    ends = [until, *tags.values(), *((f"^{base}",) if base else ())]
    out = repo.run(
        "rev-list", "--date-order", "--parents", "--stdin", input="".join(f"{end}\n" for end in ends).encode()
    )
    rows = (line.split() for line in out.decode("ascii").splitlines())
    return Releases({row[0]: tuple(row[1:]) for row in rows}, tags)


def _plain(name: str) -> str:
    return "-".join(word for word in re.split(r"[-_]", name.lower()) if word)
