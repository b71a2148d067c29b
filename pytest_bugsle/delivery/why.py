"""What the repository knows of the causes of its figures: what waits, where it fails, who knows it.  PYTEST_DONT_REWRITE

Folders and kinds are ranked, not tested: with so many of them some are slow by chance, so that each has its
n and its interval beside it, and few commits have no place in the list.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, cast

from pytest_bugsle.delivery.links import Link
from pytest_bugsle.delivery.recovery import recovery
from pytest_bugsle.delivery.rework import kind_of
from pytest_bugsle.delivery.trend import utc
from pytest_bugsle.history.judgement import Facts
from pytest_bugsle.history.messages import headline
from pytest_bugsle.history.szz import is_left_out
from pytest_bugsle.results import DeliveryCauses, FailingFolder, HotFile, SuiteMonth, Wait
from pytest_bugsle.stats.intervals import wilson
from pytest_bugsle.stats.ranks import median_interval

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Outline
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.delivery.links import Rung
    from pytest_bugsle.results import Failure

LEAST = 10
"""Commits that a folder or a kind must have for a place among those that wait."""
MOST = 10
YEAR = 365 * 86_400
_HOTSPOTS = 3
_ROOTS = frozenset({"src", "lib", "packages"})
_WORDS = {"repair": "fix", "work": "other work"}


@dataclass(frozen=True, slots=True)
class Changed:
    """What a commit is and what it changed: its author as the mailmap has them, its message, its paths."""

    author: str
    email: str
    subject: str
    body: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """One run of the test suite: when, and how many seconds its tests took."""

    started: float
    seconds: float
    tests: int


def folder_of(path: str) -> str:
    """Return the folder that a path counts for: two levels of it, below `src`, `lib` and `packages` three."""
    parts = path.split("/")[:-1]
    depth = 3 if parts and parts[0] in _ROOTS else 2
    return "/".join(parts[:depth]) or "."


def kind(one: Changed) -> str:
    """Return what a commit is: the type in its header, else what the judgement of its message makes of it."""
    written = headline(one.subject).type
    if written is not None:
        return written
    found = kind_of(Facts(one.subject, one.body, one.author, one.email))
    return _WORDS.get(found, found)


def wanted_commits(graph: Graph, view: Outline) -> list[int]:
    """Return the commits to be looked at: what was deployed in the window, and HEAD's of the year to its end."""
    first = next((n for n, one in enumerate(view.known) if one.time >= view.start), len(view.known))
    since = min(view.start, view.end - YEAR)
    return [
        commit
        for commit, (label, place, time) in enumerate(
            zip(view.labels, view.landing, graph.commit_times, strict=True)
        )
        if place >= 0 and len(graph.parents[commit]) < 2 and (label >= first or since < time <= view.end)
    ]


def causes(
    graph: Graph,
    view: Outline,
    failures: Iterable[Failure],
    changed: Mapping[int, Changed],
    suite: Iterable[SuiteRun] = (),
    *,
    bots: bool = True,
) -> DeliveryCauses:
    """Return the causes of a window's figures; `changed` has the commits of `wanted_commits`, by number.

    Without `bots` what they wrote waits for nobody.
    """
    lone = len(view.known) == 1
    deployed = [
        commit
        for commit in changed
        if (bots or not graph.bots[commit])
        and len(graph.parents[commit]) < 2
        and view.landing[commit] >= 0
        and not lone
        and view.labels[commit] >= 0
        and view.known[view.labels[commit]].time >= view.start
    ]
    kinds = {commit: kind(one) for commit, one in changed.items()}
    fixes = [
        commit
        for commit, one in changed.items()
        if kinds[commit] == "fix"
        and graph.commit_times[commit] >= view.start
        and any(path.endswith(".py") and not is_left_out(path) for path in one.paths)
    ]
    with_test = sum(any(map(is_left_out, changed[commit].paths)) for commit in fixes)
    n = len(fixes)
    return DeliveryCauses(
        least=LEAST,
        whole=_wait("all", deployed, graph, view),
        folders=_longest(
            graph, view, deployed, lambda commit: {folder_of(path) for path in changed[commit].paths}
        ),
        kinds=_longest(graph, view, deployed, lambda commit: {kinds[commit]}),
        failing=_failing(graph, view, links_of(graph, view, failures), changed, kinds),
        fixes=n,
        fixes_with_test=with_test,
        share=with_test / n if n else None,
        interval=wilson(with_test, n) if n else None,
        suite=suite_months(suite),
    )


def links_of(graph: Graph, view: Outline, failures: Iterable[Failure]) -> list[Link]:
    """Return the failures that count by numbers again; those too young to count are left out."""
    places = {one.name: number for number, one in reversed(list(enumerate(view.known)))}
    return [
        Link(
            cast("Rung", one.rung),
            places[one.deployment],
            view.known[places[one.deployment]].time,
            one.evidence,
            None if one.cause is None else graph.index.get(one.cause),
            None if one.fix is None else graph.index.get(one.fix),
            None if one.fixed_in is None else places.get(one.fixed_in),
        )
        for one in failures
        if one.counted and one.deployment in places
    ]


def suite_months(runs: Iterable[SuiteRun]) -> list[SuiteMonth]:
    """Return the median run of each month (UTC) in which there was one."""
    months: defaultdict[str, list[SuiteRun]] = defaultdict(list)
    for run in runs:
        months[utc(int(run.started)).strftime("%Y-%m")].append(run)
    return [
        SuiteMonth(
            period=period,
            runs=len(those),
            median_seconds=round(median(run.seconds for run in those), 3),
            median_tests=float(median(run.tests for run in those)),
        )
        for period, those in sorted(months.items())
    ]


def _longest(
    graph: Graph, view: Outline, commits: Sequence[int], names: Callable[[int], Iterable[str]]
) -> list[Wait]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for commit in commits:
        for name in names(commit):
            groups[name].append(commit)
    waits = [_wait(name, those, graph, view) for name, those in groups.items() if len(those) >= LEAST]
    return sorted((one for one in waits if one), key=lambda one: (-one.median_seconds, one.name))[:MOST]


def _wait(name: str, commits: Sequence[int], graph: Graph, view: Outline) -> Wait | None:
    if not commits:
        return None
    shipped = {commit: view.known[view.labels[commit]].time for commit in commits}
    landed = {commit: graph.commit_times[view.mainline[view.landing[commit]]] for commit in commits}
    lead = sorted(shipped[commit] - graph.author_times[commit] for commit in commits)
    return Wait(
        name=name,
        n=len(lead),
        median_seconds=float(median(lead)),
        interval=median_interval(lead),
        author_to_mainline=float(median(landed[commit] - graph.author_times[commit] for commit in commits)),
        mainline_to_release=float(median(shipped[commit] - landed[commit] for commit in commits)),
    )


def _failing(
    graph: Graph,
    view: Outline,
    links: Sequence[Link],
    changed: Mapping[int, Changed],
    kinds: Mapping[int, str],
) -> list[FailingFolder]:
    folders = {commit: source_folders(one.paths) for commit, one in changed.items()}
    failed: defaultdict[str, set[int]] = defaultdict(set)
    inside = [link for link in links if view.known[link.deployment].time >= view.start]
    for link in inside:
        # Without a cause, the fix says where it was: it mends what was wrong.
        commit = link.cause if link.cause is not None else link.fix
        for folder in folders.get(-1 if commit is None else commit, ()):
            failed[folder].add(link.deployment)
    shipped: defaultdict[str, set[int]] = defaultdict(set)
    people: defaultdict[str, set[str]] = defaultdict(set)
    files: defaultdict[str, Counter[str]] = defaultdict(Counter)
    mended: Counter[str] = Counter()
    for commit, one in changed.items():
        label = view.labels[commit]
        for folder in folders[commit]:
            if label >= 0 and view.known[label].time >= view.start:
                shipped[folder].add(label)
            if graph.commit_times[commit] > view.end - YEAR and not graph.bots[commit]:
                people[folder].add(one.email.lower() or one.author)
        for path in one.paths:
            if not is_left_out(path):
                files[folder_of(path)][path] += 1
                mended[path] += kinds[commit] == "fix"
    back = {
        one.deployment: one.seconds for one in recovery(view.known, inside, view.now) if one.end is not None
    }
    found = []
    for folder, those in failed.items():
        times = [back[deployment] for deployment in those if deployment in back]
        hottest = sorted(files[folder].items(), key=lambda file: (-mended[file[0]], -file[1], file[0]))
        found.append(
            FailingFolder(
                folder=folder,
                failed=len(those),
                deployments=len(shipped[folder] | those),
                recovered=len(times),
                median_recovery=float(median(times)) if times else None,
                people=len(people[folder]),
                hotspots=[
                    HotFile(path=path, changes=changes, fixes=mended[path])
                    for path, changes in hottest[:_HOTSPOTS]
                ],
            )
        )
    return sorted(found, key=lambda one: (-one.failed, one.folder))[:MOST]


def source_folders(paths: Iterable[str]) -> set[str]:
    """Return the folders of the source among the paths: Python that is no test, else all but tests, else all."""
    paths = tuple(paths)
    plain = [path for path in paths if not is_left_out(path)]
    return set(map(folder_of, [path for path in plain if path.endswith(".py")] or plain or paths))
