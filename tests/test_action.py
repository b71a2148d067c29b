"""The GitHub Action: its real steps, on real repositories, for the events that GitHub sends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from composite import Composite, Job, check_step, github_environment, read_annotations, read_outputs
from repositories import (
    CONFIGURATION,
    RIGHT,
    Repo,
    clean_environment,
    guard,
    guarded,
    run_pytest,
    unguarded,
)

from pytest_bugsle import action
from pytest_bugsle.cli import COMMANDS
from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.report.writer import FORMATS

yaml = pytest.importorskip("yaml", reason="PyYAML reads action.yml")

TOP = Path(__file__).parent.parent
ACTION = TOP / "action.yml"
TEXT = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
HEREDOC = re.compile(r"<<[0-9a-f]{32}$", re.MULTILINE)


def act(
    repo: Repo | Path,
    event: str = "pull_request",
    payload: Mapping[str, Any] | None = None,
    *,
    cache: Path | None = None,
    environ: Mapping[str, str] | None = None,
    **inputs: str,
) -> Job:
    """Run the action's steps on a repository; only the environment of the command is ours already."""
    top = repo.top if isinstance(repo, Repo) else repo
    place = top.parent / "runner"
    place.mkdir(exist_ok=True)
    (place / "event.json").write_text(json.dumps(payload or {}), encoding="utf-8")
    env = github_environment(
        place,
        clean_environment(top.parent),
        event,
        **{"BUGSLE_PROOF": "fix", "BUGSLE_BURN_IN": "0", **(environ or {})},
    )
    runs = {"python": sys.executable, "command": "bugsle", "state": str(top / ".bugsle")}
    given = {"python": sys.executable, "args": "-p no:cacheprovider -p no:randomly", **inputs}
    if given.get("mode") in {"check", "dora"} and "args" not in inputs:
        given["args"] = ""
    given = {name.replace("_", "-"): value for name, value in given.items()}
    return Composite(ACTION, emulated={"place": runs}).run(top, place, given, env, cache)


def pull(repo: Repo, *, fork: bool = False, base: str = "main", head: str = "work") -> dict[str, Any]:
    """Give the event of a pull request; from a fork it comes without any right to write."""
    return {
        "repository": {"default_branch": "main", "fork": False},
        "pull_request": {
            "title": "a pull request",
            "body": "",
            "base": {"sha": repo.sha(base), "repo": {"full_name": "owner/name"}},
            "head": {"sha": repo.sha(head), "repo": {"full_name": "stranger/name", "fork": fork}},
        },
    }


def messages(job: Job, kind: str) -> list[str]:
    """Give the texts of the annotations of a kind."""
    return [note.text for note in read_annotations(job.log) if note.kind == kind]


# --- the file ---------------------------------------------------------------------------------------


def test_inputs_and_outputs_are_declared_in_the_marketplaces_way() -> None:
    """Names are lower-case with hyphens, each has a description, an input a default, and there is a brand."""
    for name, value in (TEXT["inputs"] | TEXT["outputs"]).items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name) and value["description"]
    assert all(isinstance(value["default"], str) for value in TEXT["inputs"].values())
    assert set(TEXT["branding"]) == {"icon", "color"}


def test_every_report_has_an_output_and_every_input_is_read() -> None:
    """What is declared is used: no input that nobody reads, no format without an output."""
    assert {name for name in FORMATS if name != "github"} <= set(TEXT["outputs"])
    steps = json.dumps(TEXT["runs"]["steps"])
    assert not [name for name in TEXT["inputs"] if f"inputs.{name}" not in steps]


def test_the_page_on_the_action_names_every_input_and_output() -> None:
    """The tables of docs/action.md are those of action.yml."""
    page = (TOP / "docs/action.md").read_text(encoding="utf-8")
    inputs, _, outputs = page.partition("## Outputs")
    for text, declared in ((inputs.partition("## Inputs")[2], "inputs"), (outputs, "outputs")):
        assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == list(TEXT[declared])


@pytest.mark.parametrize(
    ("step", "what"),
    [
        ({"uses": "actions/cache@v4"}, "not pinned by a full hash"),
        ({"run": "echo ${{ inputs.mode }}", "shell": "bash"}, "an expression inside run"),
        ({"run": "echo", "shell": "sh"}, "must name its shell"),
    ],
)
def test_the_runner_refuses_what_would_be_unsafe(step: dict[str, Any], what: str) -> None:
    """The lint that every test above leans on notices each of its three faults."""
    with pytest.raises(AssertionError, match=what):
        check_step(step)


def _workflows() -> list[Any]:
    page = (TOP / "docs/action.md").read_text(encoding="utf-8")
    fences = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [pytest.param(text, id=str(number)) for number, text in enumerate(fences) if "\njobs:" in text]


def _tool(name: str) -> str:
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _checked(*line: str | Path) -> str:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_action_holds_to_githubs_schema() -> None:
    """check-jsonschema knows GitHub's schema of an action, without a network."""
    _checked(_tool("check-jsonschema"), "--builtin-schema", "vendor.github-actions", ACTION)


def test_zizmor_finds_nothing_in_the_action() -> None:
    """No template injection, no unpinned action, no write into the environment of later steps."""
    _checked(_tool("zizmor"), "--offline", "--no-config", "--persona=pedantic", ACTION)


@pytest.mark.parametrize("text", _workflows())
def test_the_example_workflows_are_sound(text: str, tmp_path: Path) -> None:
    """Each workflow of the page holds to the schema, zizmor has nothing to say, its inputs are the action's."""
    path = tmp_path / ".github/workflows/example.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("@COMMIT", f"@{'0123456789' * 4}"), encoding="utf-8")
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            if step.get("uses", "").startswith("OWNER/pytest-bugsle@"):
                assert set(step.get("with", {})) <= set(TEXT["inputs"])
        named = re.findall(r"steps\.bugsle\.outputs\.([\w-]+)", json.dumps(job))
        assert set(named) <= set(TEXT["outputs"])
    _checked(_tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", path)
    _checked(_tool("zizmor"), "--offline", "--no-config", path)


def test_the_gitlab_jobs_hold_to_gitlabs_schema(tmp_path: Path) -> None:
    """The twin of each workflow is one that GitLab takes."""
    page = (TOP / "docs/action.md").read_text(encoding="utf-8")
    fences = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    jobs = [text for text in fences if "GIT_DEPTH" in text]
    assert len(jobs) == 2
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text("\n".join(jobs), encoding="utf-8")
    _checked(_tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", path)


def test_our_own_workflows_are_sound() -> None:
    """What is asked of the examples is asked of ourselves."""
    workflows = sorted((TOP / ".github/workflows").glob("*.yml"))
    _checked(_tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *workflows)
    _checked(_tool("zizmor"), "--offline", "--no-config", *workflows)


# --- inputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "what", "hint"),
    [
        ({"MODE": "tests"}, "the input `mode` cannot be 'tests'", "did you mean test?"),
        ({"STRICT": "yes"}, "the input `strict` cannot be 'yes'", "strict: true"),
        ({"REPORTS": "json sarfi"}, "the input `reports` cannot be 'sarfi'", "did you mean sarif?"),
        ({"ARGS": "-m 'not"}, "the input `args` cannot be split into words", "close each quote"),
        ({"DORA_ARGS": '"'}, "the input `dora-args` cannot be split into words", "close each quote"),
    ],
)
def test_a_wrong_input_is_named(inputs: dict[str, str], what: str, hint: str) -> None:
    """GitHub checks no input: the message names the input, what it may be, and the nearest."""
    with pytest.raises(UsageError) as caught:
        action.Inputs.of({f"INPUT_{name}": value for name, value in inputs.items()})
    assert what in caught.value.what and hint in caught.value.hint


def test_inputs_are_split_as_a_shell_would_and_no_shell_sees_them() -> None:
    """A quoted word stays one word; what a shell would run is a word like others."""
    read = action.Inputs.of(
        {"INPUT_ARGS": '-m "not slow" $(id) `id` ; rm', "INPUT_REPORTS": "json,sarif json"}
    )
    assert read.args == ("-m", "not slow", "$(id)", "`id`", ";", "rm")
    assert read.reports == ("json", "sarif")
    line = action.arguments("test", action.Inputs(base="-x; id"), "py", Path("r"))
    assert line == ["py", "-m", "pytest", "--bugsle", "--bugsle-report=json:r", "--bugsle-base=-x; id"]


def test_without_inputs_the_defaults_are_those_of_the_action() -> None:
    """Empty inputs, as an empty `with:` gives them, mean what action.yml says."""
    defaults = {f"INPUT_{n.upper().replace('-', '_')}": v["default"] for n, v in TEXT["inputs"].items()}
    assert action.Inputs.of({}) == action.Inputs.of(defaults)
    assert "json" in action.Inputs.of({}).reports and "github" not in action.Inputs.of({}).reports


def test_dora_gets_its_own_arguments() -> None:
    """In `all`, `args` are pytest's and `dora-args` are the figures'."""
    read = action.Inputs.of({"INPUT_MODE": "all", "INPUT_ARGS": "-n 4", "INPUT_DORA_ARGS": "--by month"})
    assert action.arguments("dora", read, "py", Path("r"))[1:] == [
        "-P",
        "-m",
        "pytest_bugsle",
        "dora",
        "--report=json:r",
        "--by",
        "month",
    ]
    assert action.arguments("test", read, "py", Path("r"))[-2:] == ["-n", "4"]


def test_the_projects_interpreter_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, active, `.venv`, then `python` on PATH; a link of an environment is not resolved."""
    monkeypatch.chdir(tmp_path)
    places = {}
    for name in ("asked", "active", ".venv", "path"):
        places[name] = tmp_path / name / "bin" / "python"
        places[name].parent.mkdir(parents=True)
        places[name].symlink_to(sys.executable)
    environ = {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": str(tmp_path / "path/bin")}
    assert action.project_python("asked/bin/python", environ) == str(places["asked"])
    assert action.project_python("", environ) == str(places["active"])
    assert action.project_python("", {**environ, "VIRTUAL_ENV": ""}) == str(places[".venv"])
    places[".venv"].unlink()
    assert action.project_python("", {**environ, "VIRTUAL_ENV": ""}) == str(places["path"])
    with pytest.raises(UsageError, match="there is no interpreter 'nowhere' here") as caught:
        action.project_python("nowhere", environ)
    assert "python: .venv/bin/python" in caught.value.hint


def test_a_plugin_that_cannot_be_installed_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pip's own words stand in a group of the log, and the error says what to name."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    with pytest.raises(
        ProgramError, match="the plugin could not be installed into the environment"
    ) as caught:
        action.install(str(environment / "bin/python"), str(tmp_path / "nowhere"))
    assert "python: .venv/bin/python" in caught.value.hint
    said = capfd.readouterr().out.splitlines()
    assert said[0].startswith("::group::") and said[-1] == "::endgroup::"


def test_the_environment_that_runs_us_has_the_plugin_already(tmp_path: Path) -> None:
    """Nothing is installed into our own environment, nor where there is no checkout to take it from."""
    action.install(sys.executable, str(tmp_path / "nowhere"))
    action.install("/no/such/python", "")


def test_without_a_python_that_is_new_enough_the_step_says_what_to_add(tmp_path: Path) -> None:
    """The first step tries what was named, `python3` and `python`, and asks for setup-python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("python3", "python"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (programs / name).chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    (programs / "bash").symlink_to(bash)
    job = Composite(ACTION).run(tmp_path, tmp_path / "runner", {}, {"PATH": str(programs)})
    assert job.code == 2 and [step.outcome for step in job.steps] == ["failure", *["skipped"] * 3]
    assert "actions/setup-python" in messages(job, "error")[0]


# --- the steps --------------------------------------------------------------------------------------


def test_a_fix_that_is_held_passes(tmp_path: Path) -> None:
    """The tests run, the fix is proven; summary, outputs and files are there."""
    repo = guarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo))
    assert job.code == 0, job.log
    assert {name: job.outputs[name] for name in ("verdict", "fixes", "proven", "errors")} == {
        "verdict": "pass",
        "fixes": "1",
        "proven": "1",
        "errors": "0",
    }
    assert job.summary.startswith("## pytest-bugsle: PASSED") and "| PROVEN |" in job.summary
    assert not messages(job, "error")
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    assert report["range"]["base"] == repo.sha("main")
    assert json.loads(Path(job.outputs["sarif"]).read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert all(Path(job.outputs[name]).is_file() for name in FORMATS if name != "github")


@pytest.mark.slow
def test_a_fix_that_is_not_held_fails_after_all_is_written(tmp_path: Path) -> None:
    """The step fails, with the finding as an annotation at its place, and outputs and summary are there."""
    repo = unguarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo))
    assert job.code == 1, job.log
    assert (job.outputs["verdict"], job.outputs["fixes"], job.outputs["proven"]) == ("fail", "1", "0")
    (note,) = [note for note in read_annotations(job.log) if note.kind == "error"]
    assert note.properties == {
        "file": "src/pkg/b.py",
        "line": "2",
        "title": "BUG102 test-passes-without-fix",
    }
    assert "## pytest-bugsle: FAILED" in job.summary and Path(job.outputs["sarif"]).is_file()
    assert [step.outcome for step in job.steps] == ["success", "success", "failure", "success"]


def test_check_runs_no_test(tmp_path: Path) -> None:
    """`check` says which tests are linked; a test that would fail does not run."""
    repo = guarded(tmp_path / "repo")
    repo.commit("test: broken", {"tests/test_broken.py": "raise SystemExit(9)\n"})
    job = act(repo, payload=pull(repo), mode="check", reports="json")
    assert (job.code, job.outputs["verdict"], job.outputs["fixes"]) == (0, "pass", "1"), job.log
    assert job.outputs["sarif"] == "" and Path(job.outputs["json"]).is_file()


@pytest.mark.slow
def test_tests_that_fail_fail_the_step(tmp_path: Path) -> None:
    """A held fix does not excuse a red test: the exit code is pytest's."""
    repo = guarded(tmp_path / "repo")
    repo.commit("test: red", {"tests/test_red.py": guard("b")})
    job = act(repo, payload=pull(repo))
    assert job.code == 1, job.log
    assert job.outputs["verdict"] == "pass"
    assert "the gate passed and the tests did not" in job.summary


def test_a_pull_request_from_a_fork_needs_no_token(tmp_path: Path) -> None:
    """Nothing of the job's environment gives a right, and all is written all the same."""
    repo = unguarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo, fork=True), mode="check")
    assert job.code == 0 and job.outputs["fixes"] == "1" and job.summary, job.log
    assert "TOKEN" not in json.dumps(TEXT) and "secrets." not in json.dumps(TEXT)


def test_a_merge_queue_is_judged_by_its_own_range(tmp_path: Path) -> None:
    """`merge_group` has a base and a head of its own."""
    repo = guarded(tmp_path / "repo")
    payload = {"merge_group": {"base_sha": repo.sha("main"), "head_sha": repo.sha("work")}}
    job = act(repo, "merge_group", payload, mode="check")
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    assert report["range"]["why"] == "the merge group's base (event)" and job.outputs["fixes"] == "1"


def test_a_push_begins_where_the_branch_stood(tmp_path: Path) -> None:
    """`push` says what was there before."""
    repo = guarded(tmp_path / "repo")
    payload = {
        "before": repo.sha("main"),
        "after": repo.sha("work"),
        "repository": {"default_branch": "main"},
    }
    job = act(repo, "push", payload, mode="check")
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    assert report["range"]["base"] == repo.sha("main") and job.outputs["fixes"] == "1"


def test_a_scheduled_run_judges_the_branch(tmp_path: Path) -> None:
    """`schedule` names no commits: the branch against the default branch is what is left."""
    repo = guarded(tmp_path / "repo")
    job = act(repo, "schedule", {"schedule": "0 0 * * 1"}, mode="check")
    assert (job.code, job.outputs["fixes"]) == (0, "1"), job.log


@pytest.mark.parametrize("mode", ["check", pytest.param("test", marks=pytest.mark.slow)])
def test_a_shallow_checkout_says_what_to_add(tmp_path: Path, mode: str) -> None:
    """Exit code 3, and the lines of YAML in the log, as an annotation and in the summary."""
    repo = guarded(tmp_path / "repo")
    payload = pull(repo)
    shallow = tmp_path / "shallow" / "repo"
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.top}", str(shallow))
    job = act(shallow, payload=payload, mode=mode)
    assert job.code == 3, job.log
    assert job.outputs["verdict"] == "undecided"
    for text in (job.log, job.summary, *[text for text in messages(job, "error") if "shallow" in text]):
        assert "- uses: actions/checkout@v4\n" in text and "      fetch-depth: 0" in text
    assert "filter" not in job.log and len(messages(job, "error")) == 1
    assert job.summary.startswith("## pytest-bugsle: UNDECIDED") and job.summary.count("\n## ") == 0


def test_a_usage_error_is_told_everywhere(tmp_path: Path) -> None:
    """A wrong input ends with 2, an annotation, a summary and the verdict `error`."""
    repo = guarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo), mode="chekc")
    assert (job.code, job.outputs["verdict"]) == (2, "error")
    assert "did you mean check?" in messages(job, "error")[0]
    assert "## pytest-bugsle: no verdict" in job.summary and "did you mean check?" in job.summary
    assert HEREDOC.search((tmp_path / "runner/GITHUB_OUTPUT-2").read_text(encoding="utf-8"))


def test_a_gate_that_leaves_no_report_is_no_pass(tmp_path: Path) -> None:
    """A command line that the gate does not take: its code, and no verdict."""
    repo = guarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo), mode="check", args="--no-such-option")
    assert (job.code, job.outputs["verdict"]) == (2, "error"), job.log
    assert "`bugsle check` ended with exit code 2" in messages(job, "error")[0]


@pytest.mark.parametrize(
    ("level", "strict", "code", "verdict"),
    [
        ("error", "false", 1, "fail"),
        ("warning", "false", 0, "undecided"),
        ("warning", "true", 1, "undecided"),
    ],
)
def test_a_range_that_is_not_found_in_a_whole_checkout(
    tmp_path: Path, level: str, strict: str, code: int, verdict: str
) -> None:
    """Nothing judged is an error in CI; with a milder rule it is undecided: a warning, or red where strict."""
    repo = guarded(
        tmp_path / "repo", configuration=f'{CONFIGURATION}[tool.bugsle.rules]\nBUG001 = "{level}"\n'
    )
    payload = {"merge_group": {"base_sha": "0" * 40, "head_sha": repo.sha("work")}}
    job = act(repo, "merge_group", payload, mode="check", strict=strict)
    assert (job.code, job.outputs["verdict"]) == (code, verdict), job.log
    assert "this checkout is shallow" not in job.log
    assert len([text for text in messages(job, "warning") if text.startswith("undecided,")]) == (code == 0)


def test_outside_of_github_it_still_works(tmp_path: Path) -> None:
    """Without an event, a summary and outputs the gate runs and says its verdict."""
    repo = guarded(tmp_path / "repo")
    environ = clean_environment(tmp_path, INPUT_MODE="check", INPUT_REPORTS="json", TMPDIR=str(tmp_path))
    line = [sys.executable, "-P", "-m", "pytest_bugsle.action"]
    done = subprocess.run(line, cwd=repo.top, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "1 bug fix" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_undecided_passes_with_a_warning_unless_strict(tmp_path: Path) -> None:
    """Undecided is said, and is red only where that was asked for."""
    repo = guarded(tmp_path / "repo")
    skipped = guard("b", above="@pytest.mark.skip(reason='no')\n")
    repo.commit("fix: b is wrong\n\nFixes #7\n", {"src/pkg/b.py": RIGHT, "tests/test_b.py": skipped})
    lenient = act(repo, payload=pull(repo))
    assert (lenient.code, lenient.outputs["verdict"], lenient.outputs["proven"]) == (0, "undecided", "1"), (
        lenient.log
    )
    assert any(text.startswith("undecided, which is no pass: ") for text in messages(lenient, "warning"))
    strict = act(repo, payload=pull(repo), strict="true")
    assert (strict.code, strict.outputs["verdict"]) == (1, "undecided"), strict.log


@pytest.mark.slow
def test_what_was_learnt_is_kept_between_runs(tmp_path: Path) -> None:
    """The second run finds the proofs of the first, and no committed file is fetched over the checkout's."""
    repo, cache = guarded(tmp_path / "repo"), tmp_path / "actions-cache"
    payload, counts = pull(repo), []
    for number in (1, 2):
        job = act(repo, payload=payload, cache=cache, environ={"GITHUB_RUN_ID": str(number)})
        report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
        counts.append(report["timings"]["cached"])
        for path in (repo.top / ".bugsle").glob("*.db*"):
            path.unlink()
    assert counts == [0, 1]
    kept = {path.name for path in cache.rglob("*") if path.is_file()}
    assert kept == {"cache.db", "history.db"}


def test_without_the_cache_nothing_is_kept(tmp_path: Path) -> None:
    """`cache: false` skips both halves."""
    repo = guarded(tmp_path / "repo")
    job = act(repo, payload=pull(repo), mode="check", cache=tmp_path / "kept")
    assert [step.outcome for step in job.steps] == ["success"] * 4
    env = {"cache": "false"}
    place = tmp_path / "again"
    place.mkdir()
    (place / "event.json").write_text("{}", encoding="utf-8")
    runs = {"python": sys.executable, "state": str(repo.top / ".bugsle")}
    again = Composite(ACTION, emulated={"place": runs}).run(
        repo.top,
        place,
        {"mode": "check", **env},
        github_environment(place, clean_environment(tmp_path), "push"),
    )
    assert [step.outcome for step in again.steps] == ["success", "skipped", "success", "skipped"]


def test_hostile_texts_command_nothing(tmp_path: Path) -> None:
    """A subject that speaks to the runner is shown: no annotation, no output and no markup comes of it."""
    repo = Repo(tmp_path / "repo", start={"src/pkg/a.py": "x = 0\n"})
    repo.branch("work")
    subject = (
        "fix: ::error::pwned %0A::warning::x ]]> `id` <script>alert(1)</script> ##[add-mask]a verdict=pass"
    )
    repo.commit(f"{subject}\n\n::error::body\n::set-output name=verdict::pass\n", {"src/pkg/a.py": "x = 1\n"})
    job = act(repo, payload=pull(repo))
    assert job.code == 1, job.log
    assert [note.properties["title"].split()[0] for note in read_annotations(job.log)] == ["BUG101"]
    assert "<script" not in job.summary and job.outputs["verdict"] == "fail"
    written = (tmp_path / "runner/GITHUB_OUTPUT-2").read_text(encoding="utf-8")
    assert len(HEREDOC.findall(written)) == len(read_outputs(written)) > 8


def test_modules_of_the_checkout_are_not_ours(tmp_path: Path) -> None:
    """A pull request that brings a `click.py` or a `pytest_bugsle/` does not run it in `check`."""
    repo = guarded(tmp_path / "repo")
    wicked = "raise SystemExit('a stranger was here')\n"
    names = ("click.py", "msgspec.py", "pytest_bugsle/__init__.py", "sitecustomize.py")
    repo.commit("chore: x", dict.fromkeys(names, wicked))
    job = act(repo, payload=pull(repo), mode="check")
    assert (job.code, job.outputs["verdict"]) == (0, "pass") and "a stranger" not in job.log, job.log


def test_the_tests_do_not_get_the_files_of_the_outputs(tmp_path: Path) -> None:
    """What a pull request's tests write cannot be taken for the gate's verdict."""
    repo = guarded(tmp_path / "repo")
    names = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "INPUT_MODE")
    test = f"import os\n\n\ndef test_environment():\n    assert not set({names}) & set(os.environ)\n"
    repo.commit("test: environment", {"tests/test_environment.py": test})
    job = act(repo, payload=pull(repo), args="-p no:cacheprovider tests/test_environment.py")
    assert "1 passed" in job.log and job.code == 0, job.log


def test_in_a_part_of_the_repository_places_stay_those_of_the_whole(tmp_path: Path) -> None:
    """With a working directory the annotations still name paths from the repository's top."""
    repo = Repo(tmp_path / "repo", configuration="", start={"part/pyproject.toml": CONFIGURATION})
    repo.commit("feat: a", {"part/src/pkg/__init__.py": "", "part/src/pkg/a.py": "x = 0\n"})
    repo.branch("work")
    repo.commit("fix: a is wrong\n\nFixes #42\n", {"part/src/pkg/a.py": "x = 1\n"})
    job = act(repo, payload=pull(repo), working_directory="part", args="-p no:cacheprovider")
    assert job.code == 1, job.log
    (note,) = [note for note in read_annotations(job.log) if note.kind == "error"]
    assert (note.properties["file"], note.properties["line"]) == ("part/src/pkg/a.py", "1")


@pytest.mark.slow
def test_without_the_action_the_format_does_the_same_for_one_run(tmp_path: Path) -> None:
    """`--bugsle-report github` annotates, and writes summary and outputs where the runner says."""
    repo = unguarded(tmp_path / "repo")
    files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    said = run_pytest(
        repo,
        "--bugsle-report=github",
        BUGSLE_BURN_IN="0",
        **{name: str(path) for name, path in files.items()},
    )
    assert said.code == 1
    assert [note.properties["title"] for note in read_annotations(said.out)] == [
        "BUG102 test-passes-without-fix"
    ]
    assert files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8").startswith("## pytest-bugsle: FAILED")
    assert read_outputs(files["GITHUB_OUTPUT"].read_text(encoding="utf-8"))["verdict"] == "fail"


def test_the_delimiter_of_outputs_is_another_one_each_time(tmp_path: Path) -> None:
    """What a stranger can foresee, a stranger can close."""
    repo = guarded(tmp_path / "repo")
    delimiters = set()
    for _ in range(2):
        act(repo, payload=pull(repo), mode="check")
        written = tmp_path / "runner/GITHUB_OUTPUT-2"
        delimiters |= set(HEREDOC.findall(written.read_text(encoding="utf-8")))
        written.unlink()
    assert len(delimiters) == 2


@pytest.mark.skipif("dora" not in COMMANDS, reason="this version has no delivery figures")
def test_delivery_figures_become_outputs(tmp_path: Path) -> None:
    """`dora` hands the pooled figures to later steps, and the report is written like others."""
    repo = Repo(tmp_path / "repo")
    for number in range(1, 6):
        repo.commit(f"feat: {number}", {"src/pkg/a.py": f"value = {number}\n"}, seconds=86_400)
        repo.git("tag", f"v1.{number}.0")
    job = act(repo, "schedule", {}, mode="dora", dora_args="--since 1970-01-01", environ={"BUGSLE_BASE": ""})
    assert job.code == 0, job.log
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    hours = report["delivery"]["pooled"]["lead_time"]["median_seconds"] / 3600
    assert job.outputs["lead-time-hours"] == f"{hours:.1f}"
    assert job.outputs["summary"].startswith("lead time for changes: median ")
    assert "### Delivery" in job.summary and "| lead time for changes | median " in job.summary


@pytest.mark.slow
@pytest.mark.skipif("dora" not in COMMANDS, reason="this version has no delivery figures")
def test_all_writes_one_report_over_tests_and_figures(tmp_path: Path) -> None:
    """`all` runs the tests and the figures, and hands over one JSON with fixes and delivery."""
    repo = guarded(tmp_path / "repo")
    repo.git("tag", "v1.0.0", "main")
    repo.git("tag", "v1.1.0", "work")
    job = act(repo, payload=pull(repo), mode="all", dora_args="--since 1970-01-01")
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    assert job.outputs["proven"] == "1" and job.outputs["lead-time-hours"], job.log
    assert len(report["fixes"]) == 1 and report["delivery"]["pooled"]


@pytest.mark.skipif("dora" not in COMMANDS, reason="this version has no delivery figures")
def test_a_shallow_checkout_says_that_figures_need_commits_alone(tmp_path: Path) -> None:
    """For `dora` the lines to add leave out what old commits hold."""
    repo = guarded(tmp_path / "repo")
    repo.git("tag", "v1.0.0", "main")
    shallow = tmp_path / "shallow" / "repo"
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.top}", str(shallow))
    job = act(shallow, "schedule", {}, mode="dora")
    assert job.code == 3 and "fetch-depth: 0" in job.summary and "filter: tree:0" in job.summary, job.log


@pytest.mark.slow
def test_a_summary_over_a_mebibyte_is_cut_and_the_rest_is_in_the_json(tmp_path: Path) -> None:
    """GitHub would drop a longer one whole: it is cut, says how much, and the JSON has all."""
    repo = Repo(tmp_path / "repo")
    repo.branch("work")
    lines = "\n".join(f"def test_{'x' * 180}_{number}():\n    assert value\n" for number in range(7000))
    repo.commit(
        "fix: #42 many\n\nFixes #42\n",
        {"src/pkg/a.py": "value = 1\n", "tests/test_a.py": f"from pkg.a import value\n\n{lines}"},
    )
    job = act(repo, payload=pull(repo), mode="check")
    assert job.code == 0, job.log[-2000:]
    assert "Cut to stay under the size limit" in job.summary
    report = json.loads(Path(job.outputs["json"]).read_text(encoding="utf-8"))
    assert len(report["fixes"][0]["tests"]) == 7000


@pytest.mark.slow
def test_it_installs_itself_where_there_is_no_pip(tmp_path: Path) -> None:
    """The whole action: its own environment, and the plugin put into one of the project's without pip."""
    repo = guarded(tmp_path / "repo")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", repo.top / ".venv"], check=True)
    repo.commit("chore: ignore", {".gitignore": ".venv\n"})
    place = tmp_path / "runner"
    place.mkdir()
    (place / "event.json").write_text(json.dumps(pull(repo)), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    env = github_environment(place, clean_environment(tmp_path, **kept), "pull_request")
    env.pop("PYTHONPATH", None)
    job = Composite(ACTION).run(repo.top, place, {"args": "-q -p no:cacheprovider"}, env)
    if re.search(r"No matching distribution|Could not find a version|Connection", job.log):
        pytest.skip("no package index can be reached")
    assert (job.code, job.outputs["verdict"], job.outputs["proven"]) == (0, "pass", "1"), job.log
    done = subprocess.run(
        [job.outputs["command"], "--version"], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.startswith("bugsle, version")


def test_the_dev_extra_has_the_tools_that_look_at_the_action() -> None:
    """Whoever develops has check-jsonschema and zizmor, so that their tests run and are not skipped."""
    extras = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dev = " ".join(extras["optional-dependencies"]["dev"])
    assert "check-jsonschema" in dev and "zizmor" in dev
