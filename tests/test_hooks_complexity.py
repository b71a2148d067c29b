"""The hook on complexity: staged functions may not outgrow their readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_sandbox import fingerprint
from hook_runs import hook
from repositories import Repo, Said
from test_code_growth import function

from pytest_bugsle.hooks import entries


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A project with a function of complexity 8."""
    return Repo(tmp_path / "project", start={"src/pkg/a.py": function("f", 7)})


def stage(repo: Repo, files: dict[str, str | bytes | None]) -> None:
    """Write and stage."""
    repo.write(files)
    repo.git("add", "-A")


def run(repo: Repo, *args: str, **environ: str) -> Said:
    """Run the hook."""
    return hook(entries._complexity, repo, *args, **environ)


def test_a_function_that_grows_past_the_limit_is_stopped(repo: Repo) -> None:
    """One line says where, from what to what, and the limit; then what to do."""
    stage(repo, {"src/pkg/a.py": "import os\n\n" + function("f", 13)})
    said = run(repo)
    assert said.code == 1
    assert "src/pkg/a.py:3: BUG510 f grew from 8 to 14 (limit 10)\n" in said.err
    assert "Take a part of the function out" in said.err and "complexity_limit" in said.err
    assert said.err.count("next") == 1


def test_growth_at_once_is_stopped_below_the_limit(repo: Repo) -> None:
    """By more than the step, and not by the step."""
    stage(repo, {"src/pkg/a.py": function("f", 1)})
    repo.git("commit", "-q", "-m", "less")
    stage(repo, {"src/pkg/a.py": function("f", 6)})
    assert run(repo).code == 0
    stage(repo, {"src/pkg/a.py": function("f", 7)})
    said = run(repo)
    assert said.code == 1 and "f grew from 2 to 8 (at most 5 more at once)" in said.err


def test_a_new_function_has_the_limit_alone(repo: Repo) -> None:
    """It grew from nothing."""
    stage(repo, {"src/pkg/b.py": function("g", 9)})
    assert (run(repo).code, run(repo).all) == (0, "")
    stage(repo, {"src/pkg/b.py": function("g", 10)})
    assert "src/pkg/b.py:1: BUG510 g is new with a complexity of 11 (limit 10)" in run(repo).err


def test_what_is_staged_counts_and_not_the_work_tree(repo: Repo) -> None:
    """Both ways; and nothing of the user's is touched."""
    repo.write({"src/pkg/a.py": function("f", 20)})
    assert run(repo).code == 0
    repo.git("add", "-A")
    repo.write({"src/pkg/a.py": function("f", 7)})
    before = fingerprint(repo.top)
    assert run(repo).code == 1
    assert fingerprint(repo.top) == before


def test_a_moved_file_and_an_untouched_giant_are_no_growth(repo: Repo) -> None:
    """Renames are followed; a function that is past the limit may be changed as long as it does not grow."""
    repo.commit("giant", {"src/pkg/a.py": function("f", 30)})
    stage(repo, {"src/pkg/a.py": None, "src/pkg/b.py": function("f", 30)})
    assert run(repo).code == 0
    stage(repo, {"src/pkg/b.py": function("f", 30).replace("return x", "return -x")})
    assert run(repo).code == 0
    stage(repo, {"src/pkg/b.py": function("f", 31)})
    assert "f grew from 31 to 32 (limit 10)" in run(repo).err


def test_two_refs_are_compared_where_pre_commit_names_them(repo: Repo) -> None:
    """As `pre-commit run --from-ref A --to-ref B` does in CI."""
    end = repo.commit("more", {"src/pkg/a.py": function("f", 13)})
    assert run(repo).code == 0
    assert run(repo, PRE_COMMIT_FROM_REF=repo.start, PRE_COMMIT_TO_REF=end).code == 1


def test_limits_come_from_options_and_settings(repo: Repo) -> None:
    """Options go before settings; wrong values are an error."""
    stage(repo, {"src/pkg/a.py": function("f", 13)})
    assert run(repo, "--limit", "14", "--step", "6").code == 0
    (repo.top / "bugsle.toml").write_text("complexity_limit = 14\ncomplexity_step = 6\n", "utf-8")
    assert run(repo).code == 0 and run(repo, "--limit", "13").code == 1
    (repo.top / "bugsle.toml").write_text("complexity_limit = 0\n", "utf-8")
    said = run(repo)
    assert said.code == 2 and "complexity_limit = 0, must be 1 or more" in said.err
    (repo.top / "bugsle.toml").write_text('rules = { BUG510 = "warning" }\n', "utf-8")
    said = run(repo)
    assert said.code == 0 and "BUG510" in said.err
    (repo.top / "bugsle.toml").write_text('rules = { complexity-grows = "off" }\n', "utf-8")
    assert (run(repo).code, run(repo).all) == (0, "")


def test_the_first_commit_links_and_broken_files(tmp_path: Path) -> None:
    """Against nothing; a link and a file that does not parse are left out."""
    repo = Repo(tmp_path / "project")
    repo.git("update-ref", "-d", "HEAD")
    (repo.top / "src/pkg/link.py").symlink_to(function("g", 20))
    stage(repo, {"src/pkg/giant.py": function("f", 20), "src/pkg/broken.py": "def f(:"})
    said = run(repo)
    assert said.code == 1 and said.err.count("BUG510") == 1


def test_a_hostile_name_is_shown_on_one_line(repo: Repo) -> None:
    """A file's name cannot forge a line or a command of a log."""
    stage(repo, {"src/pkg/b\n::error::x\x1b[1m.py": function("g", 20)})
    said = run(repo)
    assert said.code == 1 and "\\n::error" in said.err and "\x1b" not in said.err


def test_a_half_merged_index_stops_nothing(repo: Repo) -> None:
    """git itself refuses such a commit; the hook says what is unfinished."""
    repo.branch("side")
    repo.commit("side", {"src/pkg/a.py": function("f", 1)})
    repo.switch("main")
    repo.commit("main", {"src/pkg/a.py": function("f", 2)})
    with pytest.raises(AssertionError):
        repo.git("merge", "-q", "side")
    said = run(repo)
    assert said.code == 0 and "a merge is unfinished: src/pkg/a.py" in said.err
