"""A repository's delivery as tables: commits, deployments and failures, column by column.  PYTEST_DONT_REWRITE

Times are in milliseconds since the epoch, UTC, as Parquet keeps them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_bugsle.delivery.trend import utc

if TYPE_CHECKING:
    from pytest_bugsle.delivery.figures import Outline
    from pytest_bugsle.delivery.graph import Graph
    from pytest_bugsle.results import Failure

#: name -> (type: text, time, flag or count; what it says), in the order of the columns.
Columns = Mapping[str, tuple[str, str]]
_WHERE: Columns = {
    "repository": ("text", "the repository's name in this run"),
    "head": ("text", "HEAD's commit when it was read"),
    "head_time": ("time", "when that was committed: the newest rows of a repository have the latest"),
}
TABLES: Mapping[str, Columns] = {
    "commits": {
        **_WHERE,
        "commit": ("text", "the commit's full name"),
        "author_time": ("time", "when it was written"),
        "commit_time": ("time", "when it was committed"),
        "is_merge": ("flag", "it has several parents; merges are in no lead time"),
        "is_bot": ("flag", "a bot wrote it"),
        "mainline_time": ("time", "when it reached the mainline"),
        "deployment": ("text", "the first deployment that contains it; null: not deployed"),
        "deployment_time": ("time", "when that was"),
        "lead_time_seconds": (
            "count",
            "from author_time to deployment_time; null for merges and where unknown",
        ),
    },
    "deployments": {
        **_WHERE,
        "deployment": ("text", "the deployment's name"),
        "time": ("time", "when it was"),
        "commit": ("text", "the commit that was deployed"),
        "commit_time": ("time", "when that was committed"),
        "new_commits": ("count", "how many commits of HEAD it was the first to contain"),
        "rungs": ("text", "by which evidence it failed, by a comma; empty: no failure is known"),
        "failed": ("flag", "it failed by any evidence"),
    },
    "failures": {
        **_WHERE,
        "rung": ("text", "the kind of evidence"),
        "deployment": ("text", "the deployment that failed"),
        "deployment_time": ("time", "when it was"),
        "cause": ("text", "the commit at fault; null: not known"),
        "fix": ("text", "the commit that mended it; null: not known"),
        "fixed_in": ("text", "the deployment that brought the fix; null: not deployed"),
        "fixed_time": ("time", "when that was"),
        "guarded": ("text", "guarded, unguarded or unknown: whether a test is known to fail without the fix"),
        "counted": ("flag", "false: the deployment is too young to count"),
        "evidence": ("text", "why this is a failure, in words"),
    },
}


def columns(
    repository: str, graph: Graph, head: int, view: Outline, failures: Sequence[Failure]
) -> dict[str, dict[str, list[Any]]]:
    """Return the columns of each table: HEAD's commits, all deployments, and their failures by rung."""
    deployments = view.known
    commits = [commit for commit, place in enumerate(view.landing) if place >= 0]
    lone = len(deployments) == 1
    shipped = [deployments[view.labels[commit]] if view.labels[commit] >= 0 else None for commit in commits]
    merges = [graph.is_merge(commit) for commit in commits]
    rungs: dict[str, dict[str, None]] = {}
    for failure in failures:
        if failure.counted:
            rungs.setdefault(failure.deployment, {})[failure.rung] = None
    times = {one.name: _time(one.time) for one in reversed(deployments)}
    new = [0] * len(deployments)
    for commit in commits:
        if view.labels[commit] >= 0:
            new[view.labels[commit]] += 1
    made: dict[str, dict[str, list[Any]]] = {
        "commits": {
            "commit": [graph.shas[commit] for commit in commits],
            "author_time": [_time(graph.author_times[commit]) for commit in commits],
            "commit_time": [_time(graph.commit_times[commit]) for commit in commits],
            "is_merge": merges,
            "is_bot": [bool(graph.bots[commit]) for commit in commits],
            "mainline_time": [
                _time(graph.commit_times[view.mainline[view.landing[commit]]]) for commit in commits
            ],
            "deployment": [one and _text(one.name) for one in shipped],
            "deployment_time": [one and _time(one.time) for one in shipped],
            "lead_time_seconds": [
                None if one is None or merge or lone else one.time - graph.author_times[commit]
                for commit, one, merge in zip(commits, shipped, merges, strict=True)
            ],
        },
        "deployments": {
            "deployment": [_text(one.name) for one in deployments],
            "time": [_time(one.time) for one in deployments],
            "commit": [graph.shas[one.commit] for one in deployments],
            "commit_time": [_time(one.commit_time) for one in deployments],
            "new_commits": new,
            "rungs": [",".join(rungs.get(one.name, ())) for one in deployments],
            "failed": [one.name in rungs for one in deployments],
        },
        "failures": {
            "rung": [one.rung for one in failures],
            "deployment": [_text(one.deployment) for one in failures],
            "deployment_time": [times.get(one.deployment) for one in failures],
            "cause": [one.cause for one in failures],
            "fix": [one.fix for one in failures],
            "fixed_in": [None if one.fixed_in is None else _text(one.fixed_in) for one in failures],
            "fixed_time": [times.get(one.fixed_in or "") for one in failures],
            "guarded": [one.guarded for one in failures],
            "counted": [one.counted for one in failures],
            "evidence": [_text(one.evidence) for one in failures],
        },
    }
    where = {
        "repository": _text(repository),
        "head": graph.shas[head],
        "head_time": _time(graph.commit_times[head]),
    }
    for table in made.values():
        size = len(next(iter(table.values())))
        table.update({name: [value] * size for name, value in where.items()})
    return made


def devlake(
    repository: str, url: str, graph: Graph, view: Outline, failures: Sequence[Failure]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the bodies that DevLake's webhooks `/deployments` and `/issues` take, one a deployment, one a failure.

    DevLake gives an incident to the last deployment before it, so that a failure begins a second after its
    deployment. Source: apache/incubator-devlake, backend/plugins/webhook/api, deployments.go and issues.go.
    """
    deployed = []
    for one in view.known:
        moment, name = _moment(one.time), _text(one.name)
        times = {"createdDate": moment, "startedDate": moment, "finishedDate": moment}
        deployed.append(
            {
                "id": f"{_text(repository)}:{name}:{graph.shas[one.commit][:12]}",
                "displayTitle": name,
                "name": name,
                "result": "SUCCESS",
                "environment": "PRODUCTION",
                **times,
                "deploymentCommits": [
                    {
                        "repoUrl": url,
                        "refName": name,
                        "commitSha": graph.shas[one.commit],
                        "displayTitle": name,
                        "result": "SUCCESS",
                        **{key: value for key, value in times.items() if key != "createdDate"},
                    }
                ],
            }
        )
    moments = {one.name: one.time for one in reversed(view.known)}
    issues: dict[str, dict[str, Any]] = {}
    for failure in sorted(failures, key=lambda one: (moments.get(one.deployment, 0), one.deployment)):
        if failure.deployment in issues or failure.deployment not in moments:
            continue
        fixed = moments.get(failure.fixed_in or "")
        name = _text(failure.deployment)
        issues[failure.deployment] = {
            "issueKey": f"{_text(repository)}:{name}",
            "title": f"{name} failed, by {failure.rung}",
            "description": _text(failure.evidence),
            "type": "INCIDENT",
            "status": "TODO" if fixed is None else "DONE",
            "originalStatus": "open" if fixed is None else "fixed",
            "createdDate": _moment(moments[failure.deployment] + 1),
            "resolutionDate": None if fixed is None else _moment(fixed),
        }
    return deployed, list(issues.values())


def _time(seconds: int) -> int:
    return int((utc(seconds) - utc(0)).total_seconds()) * 1000


def _moment(seconds: int) -> str:
    return utc(seconds).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _text(text: str) -> str:
    """Return text that every reader takes: bytes that are no UTF-8 are shown as �."""
    return os.fsencode(text).decode("utf-8", "replace")
