"""What used to change with the fixed code."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from past_views import source_of, view_of

from pytest_bugsle.history.past import read_past
from pytest_bugsle.regression.elsewhere.partners import partners
from pytest_bugsle.results import Lead
from pytest_bugsle.store.cache import Cache

Files = dict[str, str | bytes | None]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """Give a repository in which other code changes now and then."""
    sandbox = Sandbox(tmp_path_factory.mktemp("partners") / "project")
    sandbox.commit({"src/pkg/__init__.py": "", "tests/test_z.py": "def test_z(): pass\n"}, "start")
    for number in range(20):
        sandbox.commit({f"src/pkg/z{number}.py": f"Z = {number}\n"}, f"feat: z{number}")
    return sandbox


@pytest.fixture
def sandbox(template: Sandbox, tmp_path: Path) -> Sandbox:
    """Give a copy of that repository."""
    shutil.copytree(template.top, tmp_path / "project")
    sandbox = Sandbox.__new__(Sandbox)
    sandbox.top, sandbox.clock = tmp_path / "project", template.clock
    return sandbox


def together(sandbox: Sandbox, *paths: str, times: int = 6, also: int = 0) -> None:
    """Change files in the same commits, and the first one alone some more times."""
    for number in range(times + also):
        chosen = paths if number < times else paths[:1]
        sandbox.commit(dict.fromkeys(chosen, f"X = {sandbox.clock}\n"), f"feat: {number}")


def leads(
    sandbox: Sandbox, commit: str, cache: Cache | None = None, *, tree: str | None = None
) -> list[Lead]:
    """Look at a commit as a fix, with the past of HEAD."""
    with sandbox.open() as repo:
        past = read_past(repo, "HEAD", Cache(None))
        return partners(view_of(sandbox, repo, commit, tree), past, cache)


def test_a_file_that_used_to_change_with_the_fixed_one_is_named(sandbox: Sandbox) -> None:
    """Path, how often of how many, how unusual, when last, how sure, and what shows it."""
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", times=6, also=2)
    last = sandbox.git("rev-parse", "HEAD~2")
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    (lead,) = leads(sandbox, fix)
    assert (lead.kind, lead.path, lead.line) == ("partner", "src/pkg/b.py", None)
    assert lead.evidence == (
        "this source file changed in 6 of the 8 commits that changed src/pkg/a.py (75%, 3.6 times what is "
        f"usual), and not in this fix; last in {last[:7]} (“feat: 5”)"
    )
    assert lead.confidence == pytest.approx(0.409, abs=1e-3)
    assert lead.command == f"git show {last[:10]} -- src/pkg/b.py"


def test_a_partner_that_the_fix_changes_or_that_is_gone_is_not_named(sandbox: Sandbox) -> None:
    """Nothing is missing there."""
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", "src/pkg/c.py")
    sandbox.commit({"src/pkg/c.py": None}, "drop c")
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n", "src/pkg/b.py": "X = 9\n"}, "fix: a")
    assert leads(sandbox, fix) == []


def test_only_what_came_before_the_fix_counts(sandbox: Sandbox) -> None:
    """Later commits could not have told anybody."""
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", times=4)
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", times=9)
    assert leads(sandbox, fix) == []


def test_merges_bots_formatting_and_wide_commits_do_not_count(sandbox: Sandbox) -> None:
    """They change files together for no reason of the files' own."""
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", times=4)
    pair: Files = {"src/pkg/a.py": "X = 1\n", "src/pkg/b.py": "X = 1\n"}
    sandbox.commit(pair, "Run black")
    sandbox.commit({**dict.fromkeys(pair, "X = 2\n"), **{f"src/pkg/w{n}.py": "" for n in range(30)}}, "wide")
    sandbox.write(dict.fromkeys(pair, "X = 3\n"))
    bot = {"GIT_AUTHOR_NAME": "dependabot[bot]", "GIT_AUTHOR_EMAIL": "x@y"}
    sandbox.git("commit", "-qam", "bump", **bot)
    sandbox.git("switch", "-qc", "topic", "HEAD~1")
    sandbox.commit({"src/pkg/t.py": ""}, "topic")
    sandbox.git("switch", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "topic")
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    assert leads(sandbox, fix) == []
    sandbox.git("reset", "-q", "--hard", "HEAD~1")
    together(sandbox, "src/pkg/a.py", "src/pkg/b.py", times=1)
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    assert [lead.path for lead in leads(sandbox, fix)] == ["src/pkg/b.py"]


def test_what_changes_with_any_code_is_noise(sandbox: Sandbox) -> None:
    """A changelog that every change of code writes says nothing of this one; one of a's own does."""
    for number in range(50):
        sandbox.commit({f"src/pkg/y{number}.py": "", "CHANGES.md": f"{number}\n"}, f"feat: {number}")
    for number in range(30):
        sandbox.commit({"notes.txt": f"{number}\n"}, f"docs: {number}")
    for number in range(6):
        sandbox.commit(
            {"src/pkg/a.py": f"X = {number}\n", "CHANGES.md": f"a{number}\n", "docs/a.md": f"{number}\n"},
            "feat: a",
        )
        sandbox.commit({f"src/pkg/x{number}.py": "", "CHANGES.md": f"x{number}\n"}, "feat: x")
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    assert [lead.path for lead in leads(sandbox, fix)] == ["docs/a.md"]


@pytest.mark.parametrize(
    ("path", "kind", "halved"),
    [
        ("tests/test_a.py", "test file", True),
        ("docs/a.rst", "documentation", True),
        ("HISTORY.rst", "changelog", True),
        ("src/pkg/a.pyi", "stub", False),
        ("src/pkg/migrations/0001_a.py", "migration", False),
        ("runbooks/a.md", "runbook", False),
        ("deploy/a.yaml", "configuration", False),
        ("Dockerfile", "file", False),
    ],
)
def test_the_kind_of_a_partner_is_said(sandbox: Sandbox, path: str, kind: str, halved: bool) -> None:
    """Tests and prose weigh half: most fixes need no change of them."""
    together(sandbox, "src/pkg/a.py", path)
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    (lead,) = leads(sandbox, fix)
    assert (lead.path, lead.evidence.startswith(f"this {kind} changed in 6 of the 6")) == (path, True)
    assert lead.confidence == pytest.approx(0.61 / (2 if halved else 1), abs=1e-3)


def test_a_fix_with_a_test_is_not_asked_for_another(sandbox: Sandbox) -> None:
    """Which test holds it is its own affair."""
    together(sandbox, "src/pkg/a.py", "tests/test_a.py")
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n", "tests/test_new.py": "def test_n(): pass\n"}, "fix: a")
    assert leads(sandbox, fix) == []


def test_partners_are_followed_through_renames(sandbox: Sandbox) -> None:
    """Before the fix, of the fixed file itself, by the fix, and after it up to the tree that is searched."""
    text = "# a long enough text to be known again\n" * 5
    for number in range(6):
        sandbox.commit(
            dict.fromkeys(("src/pkg/a.py", "src/pkg/b.py"), f"{text}X = {number}\n"), f"feat: {number}"
        )
    sandbox.git("mv", "src/pkg/b.py", "src/pkg/b2.py")
    sandbox.commit({}, "move b")
    sandbox.git("mv", "src/pkg/a.py", "src/pkg/a2.py")
    fix = sandbox.commit({"src/pkg/a2.py": f"{text}X = 9\n"}, "fix: a, and move it")
    sandbox.git("mv", "src/pkg/b2.py", "src/pkg/b3.py")
    sandbox.commit({}, "move b again")
    (lead,) = leads(sandbox, fix)
    assert (lead.path, "changed src/pkg/a.py (" in lead.evidence) == ("src/pkg/b2.py", True)
    (lead,) = leads(sandbox, fix, tree="HEAD")
    assert lead.path == "src/pkg/b3.py"


def test_functions_that_used_to_change_together_are_named(sandbox: Sandbox, tmp_path: Path) -> None:
    """In the same file and in another; where a function is named its file is not; the cache changes nothing."""
    for number in range(14):
        bodies = {"f0": number, "f1": number} if number < 6 else {"f2": number}
        files: Files = {"src/pkg/a.py": source_of(4, **{"f0": 5, "f1": 5, **bodies})}
        if number < 6:
            files["src/pkg/b.py"] = "import os\n\n\n" + source_of(2, f1=number)
        sandbox.commit(files, f"feat: {number}")
    fix = sandbox.commit({"src/pkg/a.py": source_of(4, f0=99, f1=5, f2=13)}, "fix: f0")
    cache = Cache(tmp_path / "cache.db")
    found = leads(sandbox, fix, cache)
    assert [(lead.path, lead.line, lead.code) for lead in found] == [
        ("src/pkg/a.py", 6, "def f1(x):"),
        ("src/pkg/b.py", 9, "def f1(x):"),
    ]
    assert found[0].evidence.startswith(
        "the function f1 changed in 6 of the 6 commits that changed f0 (100%, "
    )
    assert leads(sandbox, fix, cache) == leads(sandbox, fix, Cache(None)) == leads(sandbox, fix) == found


def test_a_constructor_weighs_half(sandbox: Sandbox) -> None:
    """It changes with whatever its object carries."""
    for number in range(14):
        value = min(number, 5)
        other = number if number > 5 else 0
        text = source_of(3, f0=value, f1=value, f2=other).replace("def f1", "def __init__")
        sandbox.commit({"src/pkg/a.py": text}, f"feat: {number}")
    fix = sandbox.commit({"src/pkg/a.py": text.replace("y = 5", "y = 9", 1)}, "fix: f0")
    (lead,) = leads(sandbox, fix)
    assert (lead.code, lead.confidence) == ("def __init__(x):", pytest.approx(0.305, abs=1e-3))


def test_a_function_that_the_fix_changes_or_that_is_gone_is_not_named(sandbox: Sandbox) -> None:
    """Neither is one in a test, whose file is enough."""
    for number in range(14):
        bodies = {"f0": number, "f1": number, "f2": number} if number < 6 else {"f3": number}
        files: Files = {"src/pkg/a.py": source_of(4, **bodies)}
        if number < 6:
            files["tests/conftest.py"] = source_of(1, f0=number)
        sandbox.commit(files, f"feat: {number}")
    sandbox.commit({"src/pkg/a.py": source_of(4, f3=13).replace("def f2", "def other")}, "rename f2")
    text = source_of(4, f0=99, f1=99, f3=13).replace("def f2", "def other")
    fix = sandbox.commit({"src/pkg/a.py": text}, "fix: f0 and f1")
    assert [lead.path for lead in leads(sandbox, fix) if lead.line] == []


def test_hostile_names_are_quoted_for_the_shell(sandbox: Sandbox) -> None:
    """What is meant to be pasted is one argument."""
    name = "src/pkg/$(touch x); b\n.py"
    together(sandbox, "src/pkg/a.py", name)
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    (lead,) = leads(sandbox, fix)
    assert lead.path == name
    assert shlex.split(lead.command)[-1] == name


def test_a_fix_without_a_past_has_no_partners(sandbox: Sandbox) -> None:
    """A new file, a root commit, and a commit that the past does not know."""
    fix = sandbox.commit({"src/pkg/new.py": "X = 1\n"}, "fix: add what was missing")
    assert leads(sandbox, fix) == []
    assert leads(sandbox, sandbox.git("rev-list", "--max-parents=0", "HEAD")) == []
    sandbox.git("switch", "-q", "--orphan", "other")
    alone = sandbox.commit({"src/pkg/a.py": "X = 1\n"}, "alone")
    alone = sandbox.commit({"src/pkg/a.py": "X = 2\n"}, "fix: alone")
    sandbox.git("switch", "-q", "main")
    assert leads(sandbox, alone) == []


def test_the_surest_come_first_and_no_more_than_asked_for(sandbox: Sandbox) -> None:
    """Of twelve partners ten are named."""
    together(sandbox, "src/pkg/a.py", *[f"src/pkg/b{n:02}.py" for n in range(12)])
    together(sandbox, "src/pkg/a.py", "src/pkg/b11.py", times=4)
    fix = sandbox.commit({"src/pkg/a.py": "X = 9\n"}, "fix: a")
    found = leads(sandbox, fix)
    assert len(found) == 10 and found[0].path == "src/pkg/b11.py"
    assert [lead.confidence for lead in found] == sorted((lead.confidence for lead in found), reverse=True)
