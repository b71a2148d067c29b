"""Score the proof and the judgement on a list of real fixes with known answers.

    python -m benchmarks.cases CASES.json --repos DIR [--python PATH] [--at tree|commit] [--only TEXT] [--json PATH]

CASES.json is a list of objects with `repo` (owner/name), `fix_sha`, `expected` (the status of a proof
of that commit) and `is_bug_fix`. DIR holds a clone of each repository, named `name` or `owner+name`.
Each case is checked out in a clone of its own, and proven there by the command, as a user would.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def main() -> int:
    """Print one line a case, then both confusion matrices; exit 1 when an answer was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter with pytest and what the projects need"
    )
    parser.add_argument("--at", choices=["tree", "commit"], default="tree")
    parser.add_argument(
        "--only", default="", help="run the cases whose repository, sha or subject contains this"
    )
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the full results there")
    options = parser.parse_args()
    cases = [
        case
        for case in json.loads(options.cases.read_text(encoding="utf-8"))
        if options.only in f"{case['repo']} {case['fix_sha']} {case.get('subject', '')}"
    ]
    started = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda case: _run(case, options), cases))
    for case, row in zip(cases, rows, strict=True):
        print(_line(case, row))
    wrong = _report(cases, rows)
    print(f"{len(cases)} cases in {time.monotonic() - started:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 1 if wrong else 0


def _run(case: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    name = case["repo"].replace("/", "+")
    sources = [options.repos / part for part in (name, name.partition("+")[2], f"{name}/repo")]
    source = next((path for path in sources if path.exists()), None)
    if source is None:
        return {
            "status": "no clone",
            "judgement": "no clone",
            "seconds": 0.0,
            "why": f"no clone in {options.repos}",
        }
    with tempfile.TemporaryDirectory(prefix="bugsle-case-") as folder:
        clone = Path(folder) / name.partition("+")[2]
        for command in (
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(source), str(clone)],
            ["git", "-C", str(clone), "checkout", "--quiet", "--detach", case["fix_sha"]],
        ):
            subprocess.run(command, check=True, capture_output=True)
        report = Path(folder) / "result.json"
        command = [sys.executable, "-m", "pytest_bugsle", "prove", case["fix_sha"], "--repo", str(clone)]
        command += [
            "--python",
            options.python,
            "--at",
            options.at,
            "--budget",
            "600",
            "--report",
            f"json:{report}",
        ]
        environ = {
            key: value for key, value in os.environ.items() if key != "CI" and not key.startswith("GITHUB_")
        }
        environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        started = time.monotonic()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL
        )
        seconds = time.monotonic() - started
        if not report.exists():
            return {"status": "error", "judgement": "error", "seconds": seconds, "why": done.stderr[-300:]}
        fix = json.loads(report.read_text(encoding="utf-8"))["fixes"][0]
        return {**fix, "seconds": seconds}


def _judged_right(case: dict[str, Any], row: dict[str, Any]) -> bool:
    return (row["judgement"] == "fix") == case["is_bug_fix"]


def _line(case: dict[str, Any], row: dict[str, Any]) -> str:
    status, expected = row["status"], case["expected"]
    mark = "ok   " if status == expected else "undec" if status == "undecided" else "WRONG"
    judged = "ok   " if _judged_right(case, row) else "WRONG"
    text = f"{mark} {status or '-':<19} (expected {expected:<19}) judged {judged} {row['judgement']:<6}"
    text += f"{row['seconds']:6.1f} s  {case['repo'].partition('/')[2]} {case['fix_sha'][:9]} {case.get('subject', '')[:50]}"
    return text + (f"\n        why: {row['why']}" if mark != "ok   " and row.get("why") else "")


def _report(cases: list[dict[str, Any]], rows: list[dict[str, Any]]) -> int:
    both = list(zip(cases, rows, strict=True))
    right = sum(row["status"] == case["expected"] for case, row in both)
    undecided = sum(row["status"] == "undecided" != case["expected"] for case, row in both)
    wrong = len(cases) - right - undecided
    print(f"\nstatus: {right} of {len(cases)} right, {undecided} undecided, {wrong} wrong")
    _matrix("expected", "found", Counter((case["expected"], str(row["status"])) for case, row in both))
    judged = sum(_judged_right(case, row) for case, row in both)
    print(f"\njudgement: {judged} of {len(cases)} right")
    labels = {True: "a bug fix", False: "no bug fix"}
    _matrix("is", "judged", Counter((labels[case["is_bug_fix"]], row["judgement"]) for case, row in both))
    return wrong


def _matrix(down: str, across: str, cells: Counter[tuple[str, str]]) -> None:
    rows, columns = sorted({row for row, _ in cells}), sorted({column for _, column in cells})
    print(f"{down + ' / ' + across:<22}" + "".join(f"{column:>20}" for column in columns))
    for row in rows:
        print(f"{row:<22}" + "".join(f"{cells[row, column] or '.':>20}" for column in columns))


if __name__ == "__main__":
    raise SystemExit(main())
