"""Score the hunt on a list of real flaky tests with known answers.

    python -m benchmarks.flaky_cases CASES.json --repos DIR [--python PATH] [--budget SECONDS]

CASES.json is a list of objects with `repo` (owner/name), `sha`, `test_id`, `category` (`OD-Vic`, `OD-Brit` or
`NIO`), `polluter` and `suite_args`. DIR holds a clone of each repository, named `name` or `owner+name`. Each
suite is hunted once, by the command, as a user would. Another minimal set of polluters than the given one is
right too, if it holds in clean processes: `confirmed` says in how many it was seen.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CATEGORIES = {"OD-Vic": "victim", "OD-Brit": "brittle", "NIO": "not-idempotent"}


def main() -> int:
    """Print one line a case; exit 1 when an answer was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("--repos", type=Path, required=True)
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter with pytest and what the projects need"
    )
    parser.add_argument("--budget", type=float, default=300.0)
    options = parser.parse_args()
    cases = json.loads(options.cases.read_text(encoding="utf-8"))
    hunted: dict[tuple[str, str, str], dict[str, Any]] = {}
    right = 0
    for case in cases:
        suite = (case["repo"], case["sha"], case["suite_args"])
        if suite not in hunted:
            hunted[suite] = _hunt(*suite, options)
        found = hunted[suite].get(case["test_id"], {"categories": ["not found"]})
        category = CATEGORIES[case["category"]]
        needs = found.get("polluters") or found.get("setters") or []
        good = category in found["categories"] and found["confirmed"] >= 3
        good = good and (category == "not-idempotent" or bool(needs))
        right += good
        print(
            f"{'ok   ' if good else 'WRONG'} {case['repo']} {case['test_id']}: {', '.join(found['categories'])}; "
            f"{' then '.join(needs) or 'itself'}; {found.get('probes', 0)} probes"
        )
    print(f"{right} of {len(cases)} right")
    return int(right < len(cases))


def _hunt(repo: str, sha: str, args: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return what a hunt says of each test of a suite, by id."""
    name = repo.replace("/", "+")
    sources = [options.repos / part for part in (name, name.partition("+")[2], f"{name}/repo")]
    source = next(path for path in sources if path.exists())
    with tempfile.TemporaryDirectory(prefix="bugsle-case-") as folder:
        clone = Path(folder) / name.partition("+")[2]
        for command in (
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(source), str(clone)],
            ["git", "-C", str(clone), "checkout", "--quiet", "--detach", sha],
        ):
            subprocess.run(command, check=True, capture_output=True)
        report = Path(folder) / "result.json"
        command = [
            sys.executable,
            "-m",
            "pytest_bugsle",
            "flaky",
            "hunt",
            *args.split(),
            "--repo",
            str(clone),
        ]
        command += ["--python", options.python, "--budget", str(options.budget), "--report", f"json:{report}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if not report.exists():
            raise RuntimeError(done.stdout + done.stderr)
        result = json.loads(report.read_text(encoding="utf-8"))
    return {test["id"]: test for test in result["tests"]}


if __name__ == "__main__":
    raise SystemExit(main())
