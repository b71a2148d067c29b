"""Hold the figures of delivery against a list of real repositories with known values.

    python -m benchmarks.dora_cases CASES.json --repos DIR

CASES.json is a list of objects with `repo` (owner/name), `head_sha` and `values`; DIR holds a clone of each
repository, named `name`, `owner+name` or `owner+name/repo`. Each is copied without its objects (branches
and tags alone, HEAD at `head_sha`) and asked by the command, as a user would.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import environment, git

DAY = 86_400


def main() -> int:
    """Print one line a value; exit 1 when one is not exact."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("--repos", type=Path, required=True)
    options = parser.parse_args()
    exact = wrong = beyond = 0
    for case in json.loads(options.cases.read_text(encoding="utf-8")):
        print(f"{case['repo']} at {case['head_sha'][:7]}")
        with tempfile.TemporaryDirectory(prefix="bugsle-cases-") as name:
            folder = clone_of(case["repo"], case["head_sha"], options.repos, Path(name))
            ours = dict(values_of(folder))
        for key, expected in sorted(flattened(case["values"])):
            if key not in ours:
                beyond += 1
                print(f"  -     {key}: not expressed")
                continue
            good = ours[key] == expected
            exact, wrong = exact + good, wrong + (not good)
            print(f"  {'exact' if good else 'WRONG'} {key}: {ours[key]}" + f", not {expected}" * (not good))
    print(f"{exact} exact, {wrong} wrong, {beyond} not expressed")
    return int(wrong > 0)


def clone_of(repo: str, head: str, repos: Path, folder: Path) -> Path:
    """Return a bare copy with branches and tags alone, HEAD at a commit; it borrows the original's objects."""
    name = repo.replace("/", "+")
    sources = [repos / part for part in (name, name.partition("+")[2], f"{name}/repo")]
    source = next(path for path in reversed(sources) if (path / "HEAD").exists() or (path / ".git").exists())
    top = folder / f"{name.partition('+')[2]}.git"
    git(folder, "init", "-q", "--bare", str(top))
    objects = subprocess.run(
        ["git", "-C", str(source), "rev-parse", "--git-path", "objects"], capture_output=True, check=True
    )
    borrowed = (source / objects.stdout.decode().strip()).resolve()
    (top / "objects" / "info" / "alternates").write_text(f"{borrowed}\n", encoding="utf-8")
    git(top, "fetch", "-q", str(source), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    git(top, "update-ref", "--no-deref", "HEAD", head)
    return top


def report_of(repo: Path, *args: str) -> dict[str, Any]:
    """Return what the command says of one repository."""
    command = [sys.executable, "-m", "pytest_bugsle", "dora", "--repo", str(repo), *args, "--report", "json"]
    done = subprocess.run(command, env=environment(), capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)["delivery"]["repositories"][0]
    return found


def flattened(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `key.key` and the value, for all that is no object."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{before}{key}.")
        else:
            yield before + key, value


def values_of(repo: Path) -> Iterator[tuple[str, Any]]:
    """Yield the values that the command can express, by the names that the cases have for them."""
    whole = report_of(repo, "--since", "1970-01-01")
    window = report_of(repo)
    merged = report_of(repo, "--since", "1970-01-01", "--merges")
    reachable = report_of(repo, "--since", "1970-01-01", "--reachable")
    history, reverts, rung = whole["history"], whole["reverts"], whole["change_failure"]["revert"]
    released = history["commits"] - whole["unreleased"]
    yield "commits_reachable_from_HEAD", history["commits"]
    yield "commits_HEAD_or_any_tag", history["commits_with_tags"]
    yield "merge_commits_in_HEAD", history["merges"]
    yield "first_parent_commits", history["mainline"]
    yield "tags_total", history["tags"]
    yield "tags_lightweight", history["lightweight_tags"]
    yield "tags_annotated", history["tags"] - history["lightweight_tags"]
    yield "tags_not_on_commit", history["tags_on_no_commit"]
    yield "releases", whole["releases"]
    yield "releases_not_reachable_from_HEAD", history["unreachable"]
    yield "releases_shipping_at_least_one_new_commit", history["with_new_commits"]
    yield "releases_distinct_commits", history["release_commits"]
    yield "parent_newer_than_child_edges", history["newer_parents"]
    yield "author_time_after_committer_time", history["authored_later"]
    yield "released_commits_of_HEAD", released
    yield "unreleased_commits_of_HEAD", whole["unreleased"]
    for name, found in (
        ("lead_time_A", whole["lead_time"]),
        ("lead_time_A_including_merges", merged["lead_time"]),
        ("lead_time_B_tagged_commit_committer_time", whole["lead_time_by_commit_date"]),
        ("lead_time_C_only_releases_reachable_from_HEAD", reachable["lead_time"]),
        ("author_to_mainline", whole["author_to_mainline"]),
        ("mainline_to_release", whole["mainline_to_release"]),
        ("lead_time_A_in_window", window["lead_time"]),
        ("revert_only_restore_time", whole["recovery"]["revert"]),
    ):
        yield from _durations(name, found)
    names = [
        point["period"] for point in report_of(repo, "--since", "1970-01-01", "--by", "release")["trend"]
    ]
    yield "release_tags_first", names[0]
    yield "release_tags_last", names[-1]
    yield "window_end_unix", window["window"]["end"]
    yield "window_days", window["window"]["days"]
    yield "releases_in_window", window["releases"]
    yield "deployments_per_30_days_in_window", round(window["deployment_frequency"]["per_30_days"], 4)
    yield "revert_commits_body_regex", reverts["body"]
    yield "revert_commits_subject_regex", reverts["subject"]
    yield "revert_commits_either", reverts["either"]
    yield "revert_targets", reverts["targets"]
    yield "revert_targets_resolved", reverts["resolved"]
    yield "revert_pairs_crossing_a_release", reverts["crossing"]
    yield "releases_with_a_commit_later_reverted", rung["failed"]
    yield "revert_only_change_failure_rate", round(rung["rate"], 4)
    yield "revert_only_cfr_wilson95", [round(end, 4) for end in rung["interval"]]
    yield "fix_commits_subject_regex", history["fixes"]
    yield "cherry_picked_trailers", history["picked"]
    yield "fixes_sha_trailers", history["named_fixes"]
    yield "bot_authored_non_merge", whole["bots"]


def _durations(name: str, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if not found["n"]:
        yield name, None
        return
    yield f"{name}.n", found["n"]
    yield f"{name}.negative", found["negative"]
    yield f"{name}.median_seconds", found["median_seconds"]
    yield f"{name}.median_days", round(found["median_seconds"] / DAY, 4)
    yield f"{name}.mean_days", round(found["mean_seconds"] / DAY, 4)
    yield f"{name}.min_seconds", found["min_seconds"]
    for quantile in ("p75", "p90"):
        yield f"{name}.{quantile}_days_nearest_rank", round(found[f"{quantile}_seconds"] / DAY, 4)


if __name__ == "__main__":
    raise SystemExit(main())
