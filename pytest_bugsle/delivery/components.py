"""The components of a repository that releases several: their tags, and the paths that are theirs.  PYTEST_DONT_REWRITE

A component is named by its release tags (`core@1.2.3`, `core/v1.2.3`). What it ships are the commits that change
its paths; in which release is decided by the whole graph, as for a repository with one product.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pytest_bugsle.errors import UsageError
from pytest_bugsle.history.releases import parse_tag

GROUP = "component"


def components(names: Iterable[str], pattern: str | None = None) -> dict[str, set[str]]:
    """Return the names of the release tags of each component.

    With a pattern its group `component` names them; without one it is what stands before a final version, in lower
    case and without words such as `release`. Tags of no component are left out.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    whole = None if pattern is None else re.compile(pattern)
    for name in names:
        if whole is None:
            tag = parse_tag(name)
            product = tag.product if tag is not None and tag.is_final else ""
        else:
            match = whole.fullmatch(name) if GROUP in whole.groupindex else None
            product = (match[GROUP] or "") if match else ""
        if product:
            found[product].add(name)
    return dict(found)


def tags_of(component: str, names: Iterable[str], pattern: str | None = None) -> set[str]:
    """Return the names of a component's release tags; UsageError with the nearest names where it has none."""
    if pattern is not None and GROUP not in re.compile(pattern).groupindex:
        raise UsageError(
            f"--component {component}: tag_pattern {pattern!r} does not say which part is the component",
            why="its releases cannot be told from those of others",
            hint=f"tag_pattern = '(?P<{GROUP}>.+)@[0-9.]+'",
        )
    found = components(names, pattern)
    if component in found:
        return found[component]
    near = difflib.get_close_matches(component[:200], found, n=3, cutoff=0.3) or sorted(found)[:3]
    raise UsageError(
        f"--component {component}: no release tag is of that component",
        why="its figures would be of nothing",
        hint=f"the nearest: {', '.join(near)}" if near else f"{GROUP} must be a group of tag_pattern",
    )


def paths_of(
    component: str, folders: Iterable[str], table: Mapping[str, Sequence[str]] | None = None
) -> tuple[str, ...]:
    """Return the paths of a component: those of the settings, else the folders of its name that lie highest.

    Of `@scope/name` the folder may be called by the last word alone. UsageError where there is none.
    """
    if table and table.get(component):
        return tuple(table[component])
    called = {_plain(component), _plain(component.rpartition("/")[2]), _plain(component.rpartition("@")[2])}
    found = [folder for folder in folders if _plain(folder.rpartition("/")[2]) in called]
    if not found:
        raise UsageError(
            f"--component {component}: no folder has its name",
            why="which commits are the component's is known by the paths that they change",
            hint=f'[tool.bugsle.components] "{component}" = ["path/to/it"]',
        )
    highest = min(folder.count("/") for folder in found)
    return tuple(sorted(folder for folder in found if folder.count("/") == highest))


def _plain(name: str) -> str:
    return "-".join(word for word in re.split(r"[-_./]", name.lower()) if word)
