"""Beside other plugins the gate says the same, and switched off it leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from textwrap import dedent

import pytest
from repositories import RIGHT, WRONG, Repo, clean_environment, guard, run_pytest

CONFIGURATION = """
    [tool.pytest.ini_options]
    testpaths = ["tests"]
    pythonpath = ["src"]
    addopts = ["-p", "no:hypothesispytest"]
"""


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """One fix that is held and one that is not; no plugin of the kind that meddles is left out."""
    repo = Repo(
        tmp_path_factory.mktemp("coexistence") / "project",
        configuration=CONFIGURATION,
        start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG, ".gitignore": ".coverage*\n.pytest_cache\n"},
    )
    repo.branch("work")
    marked = guard(
        "a", above="@pytest.mark.regression('#42')\n@pytest.mark.parametrize('it', [1, 2])\n"
    ).replace("test_a()", "test_a(it)")
    repo.commit("fix: a is wrong\n\nFixes #42\n", {"src/pkg/a.py": RIGHT, "tests/test_a.py": marked})
    repo.commit(
        "fix: b is wrong (#43)",
        {
            "src/pkg/b.py": RIGHT,
            "tests/test_b.py": "from pkg.b import answer\n\ndef test_b():\n    assert answer() < 2\n",
        },
    )
    return repo


@pytest.fixture(scope="module")
def alone(repo: Repo) -> dict[str, object]:
    """The report of a run without any company."""
    return _told(run_pytest(repo).report)


def _told(report: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in report.items() if key != "timings"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "args",
    [
        ("-n", "2"),
        ("--cov=pkg", "--cov-report="),
        ("-p", "randomly", "--reruns", "2"),
        ("--strict-markers", "--strict-config", "-W", "error"),
        ("-n", "2", "--cov=pkg", "--cov-report=", "--reruns", "1", "--import-mode=importlib"),
        ("-x", "-q", "--tb=no", "--no-header", "-p", "pytester"),
    ],
    ids=" ".join,
)
def test_company_changes_no_verdict(repo: Repo, alone: dict[str, object], args: tuple[str, ...]) -> None:
    """The whole report but its timings is the same, and so is the exit code."""
    said = run_pytest(repo, *args)
    assert said.report, said.all
    assert _told(said.report) == alone
    assert said.code == 1
    assert said.out.count("bugsle: on") == (0 if "--no-header" in args else 1)


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_junit_of_pytest_itself_names_bugs_and_links(
    repo: Repo, tmp_path: Path, args: tuple[str, ...]
) -> None:
    """`--junitxml` holds `bugsle_bug` and `bugsle_link` as properties of the linked tests."""
    path = tmp_path / "junit.xml"
    run_pytest(repo, f"--junitxml={path}", *args)
    found = {
        case.attrib["name"]: {(p.attrib["name"], p.attrib["value"]) for p in case.iter("property")}
        for case in ET.parse(path).iter("testcase")
    }
    fix = repo.sha("HEAD~1")
    assert ("bugsle_bug", "#42") in found["test_a[1]"]
    assert ("bugsle_link", f"marker {fix}") in found["test_a[2]"]
    assert not [value for name, value in found["test_b"] if name == "bugsle_bug"]


MARKED_ABOVE = """
    import pytest

    pytestmark = pytest.mark.regression("#1")

    @pytest.mark.regression("#2")
    class TestGroup:
        @pytest.mark.regression("#3")
        def test_inner(self):
            pass

    def test_outer():
        pass
"""


@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_mark_on_a_class_or_a_module_names_the_bug_of_each_test(
    tmp_path: Path, args: tuple[str, ...]
) -> None:
    """As pytest has it; what is not marked names none."""
    files = {"tests/test_marked.py": MARKED_ABOVE, "tests/test_plain.py": "def test_plain():\n    pass\n"}
    marked = Repo(tmp_path / "project", start=files)
    path = tmp_path / "junit.xml"
    run_pytest(marked, f"--junitxml={path}", *args)
    found = {
        case.attrib["name"]: [
            p.attrib["value"] for p in case.iter("property") if p.attrib["name"] == "bugsle_bug"
        ]
        for case in ET.parse(path).iter("testcase")
    }
    assert found == {"test_inner": ["#3", "#2", "#1"], "test_outer": ["#1"], "test_plain": []}


@pytest.mark.parametrize("wanted", [True, False])
def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path, wanted: bool) -> None:
    """It rests while the gate imports and prepares, and no longer: a suite may have turned it off."""
    switched = f"import gc\n\n{'gc.enable()' if wanted else 'gc.disable()'}\n"
    test = f"import gc\n\ndef test_it():\n    assert gc.isenabled() is {wanted}\n"
    suite = Repo(tmp_path / "project", start={"conftest.py": switched, "tests/test_it.py": test})
    said = run_pytest(suite)
    assert "1 passed" in said.out, said.all


SPY = """
    import json
    import os
    import sys

    import pytest

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(config):
        import atexit
        atexit.register(lambda: open(os.environ["SPY"], "w").write(json.dumps(sorted(sys.modules))))
"""
HEAVY = ("msgspec", "click", "coverage", "sqlite3", "scipy", "numpy", "hypothesis", "radon")


def _loaded(folder: Path, *args: str) -> set[str]:
    path = folder / "modules.json"
    plain = [
        argument
        for name in ("randomly", "cov", "pytest_cov", "xdist", "hypothesispytest", "rerunfailures")
        for argument in ("-p", f"no:{name}")
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plain, "-p", "spy", *args],
        cwd=folder,
        env=clean_environment(folder, SPY=str(path)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return set(json.loads(path.read_text()))


def test_installed_but_off_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    """After the session, only the plugin and its hook specifications are there, and nothing heavy that they brought."""
    (tmp_path / "spy.py").write_text(dedent(SPY))
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.regression('#1')\ndef test_it():\n    pass\n"
    )
    without = _loaded(tmp_path, "-p", "no:bugsle", "-o", "markers=regression")
    loaded = _loaded(tmp_path)
    own = {name for name in loaded if name.partition(".")[0] == "pytest_bugsle"}
    assert own == {"pytest_bugsle", "pytest_bugsle.plugin", "pytest_bugsle.hookspecs"}
    assert not {name for name in loaded - without if name.partition(".")[0] in HEAVY}
    assert not loaded & set(HEAVY) - without


def test_switched_on_without_a_fix_no_proof_is_loaded(repo: Repo, tmp_path: Path) -> None:
    """A range without a fix costs no import of what runs proofs."""
    other = Repo(tmp_path / "project")
    other.write({"spy.py": SPY, "tests/test_it.py": "def test_it():\n    pass\n"})
    other.commit("feat: a test")
    other.write({"notes.txt": "x"})
    other.commit("docs: notes")
    loaded = _loaded(other.top, "--bugsle", "--bugsle-range=HEAD~1..HEAD")
    assert "pytest_bugsle.gate" in loaded
    assert not {name for name in loaded if name.startswith(("coverage", "pytest_bugsle.runner.inner"))}
