"""What a change failure is made of: a cause, what took it away, and how that is known.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.releases import Deployment

Rung = Literal["incident", "explicit", "patch-release", "szz"]
RUNGS: tuple[Rung, ...] = ("incident", "explicit", "patch-release", "szz")
"""The ladder of evidence, the strongest first."""
ANY = "any"
"""All rungs that were asked together: a deployment that is on several is one."""

_VERSION = lazy_pattern(
    r"(?P<product>(?:[A-Za-z@](?:[\w@./+-]*[-_/@=])?)??)(?:v(?:er(?:sion)?)?|r(?:el(?:ease)?)?)?[-_./]?"
    r"(?P<major>\d{1,9})\.(?P<minor>\d{1,9})(?P<patch>(?:\.\d{1,9}){0,4})(?:[.-]?post(?P<post>\d{0,9}))?",
    re.IGNORECASE,
)


class Link(msgspec.Struct, frozen=True):
    """One change failure with its cause and its fix.

    `deployment` failed, and `fixed_in` is the first that contains the fix (None: not yet deployed); both are
    places in the list of deployments. `cause` and `fix` are numbers of commits, None where only a whole
    deployment is known. `known_at` is when the failure showed, `started` and `resolved` are an incident's own
    times, all in seconds.
    """

    rung: Rung
    deployment: int
    known_at: int
    evidence: str
    cause: int | None = None
    fix: int | None = None
    fixed_in: int | None = None
    started: int | None = None
    resolved: int | None = None
    weak: bool = False
    """What points to the cause is less than a changed line or a written name."""


class Version(msgspec.Struct, frozen=True):
    """A release's place: of which product and minor line, and what it is there."""

    product: str
    line: tuple[int, int]
    patch: tuple[int, ...]

    @property
    def is_patch(self) -> bool:
        """Say whether it comes after the first release of its line."""
        return any(self.patch)


def version_of(name: str) -> Version | None:
    """Read a final version from a deployment's name; None where it names none.

    `1.2` and `1.2.0` are one place. A post-release is a patch (PEP 440: it is final, and after the release).
    """
    found = _VERSION.fullmatch(name) if len(name) <= 200 else None
    if found is None:
        return None
    numbers = [int(part) for part in found["patch"].split(".")[1:]]
    while numbers and not numbers[-1]:
        numbers.pop()
    post = () if found["post"] is None else (int(found["post"] or 0) + 1,)
    # A post-release of 1.2 stands between 1.2 and 1.2.1: four numbers are padded, the post's is the last.
    padded = tuple([*numbers, 0, 0, 0, 0][:4]) + (post or (0,))
    return Version(found["product"].lower(), (int(found["major"]), int(found["minor"])), padded)


class Names:
    """What a record may call a commit or a deployment: a sha, an abbreviation, or a deployment's name."""

    def __init__(self, graph: Graph, deployments: Sequence[Deployment]) -> None:
        self._graph = graph
        self.deployments = deployments

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Map each name, without a `v` before it, to its first deployment."""
        found: dict[str, int] = {}
        for number, deployment in enumerate(self.deployments):
            found.setdefault(_bare(deployment.name), number)
        return found

    def deployment(self, name: str) -> int | None:
        """Give the deployment of that name."""
        return self.by_name.get(_bare(name))

    def commit(self, name: str) -> int | None:
        """Give the commit that a sha, or at least seven digits of it, names."""
        return self._graph.find(name.lower()) if re.fullmatch(r"[0-9a-fA-F]{7,64}", name) else None

    def near(self, name: str) -> str:
        """Give a hint with the nearest names of deployments."""
        from difflib import get_close_matches

        # A slip is near the newest names; comparing with very many would take long.
        known = [deployment.name for deployment in self.deployments[-2_000:]]
        close = get_close_matches(name[:200], known, n=3) or known[-3:]
        return f"the nearest deployments are {', '.join(close)}" if close else "there is no deployment"


def _bare(name: str) -> str:
    return re.sub(r"\A[vV](?=\d)", "", name)
