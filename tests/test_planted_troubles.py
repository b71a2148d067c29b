"""Tests that misbehave: each costs its own fix at most, and undecided is never shown as proven."""

from __future__ import annotations

from pathlib import Path

import pytest
from repositories import CONFIGURATION, Repo, Said, bugsle, run_pytest

_SETTINGS = """
    [tool.bugsle]
    timeout = 1
    copy = [".env"]
"""
_WRONG = "def answer():\n    return 0\n"
_RIGHT = "def answer():\n    return 1\n"

#: name -> (source with the fault, source with the fix, the body of the test file)
FAULTS: dict[str, tuple[str, str, str]] = {
    "skipped": (_WRONG, _RIGHT, "@pytest.mark.skip(reason='not today')\ndef test_it():\n    assert answer() == 1\n"),
    "skips": (
        "READY = 0\n" + _WRONG,
        "READY = 1\n" + _RIGHT,
        "from pkg import skips\n\ndef test_it():\n    if not skips.READY:\n        pytest.skip('old')\n    assert answer() == 1\n",
    ),
    "fixture": (_WRONG, _RIGHT, "def test_it(no_such_fixture):\n    assert answer() == 1\n"),
    "xfail": (_WRONG, _RIGHT, "@pytest.mark.xfail\ndef test_it():\n    assert answer() == 1\n"),
    "still": (_WRONG, "def answer():\n    return 2\n", "def test_it():\n    assert answer() == 1\n"),
    "hangs": (
        "import time\n\ndef answer():\n    while True:\n        time.sleep(0.1)\n",
        _RIGHT,
        "def test_it():\n    assert answer() == 1\n",
    ),
    "exits": ("import os\n\ndef answer():\n    os._exit(0)\n", _RIGHT, "def test_it():\n    assert answer() == 1\n"),
    "forks": (
        _WRONG,
        _RIGHT,
        "import os\n\ndef test_it():\n    child = os.fork()\n    if not child:\n        os._exit(answer())\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1\n",
    ),
    "strays": (
        _WRONG,
        _RIGHT,
        "import os\n\ndef test_it(tmp_path):\n    os.chdir(tmp_path)\n    assert answer() == 1\n",
    ),
    "writes": (
        _WRONG,
        _RIGHT,
        "from pathlib import Path\n\ndef test_it():\n    left = Path(__file__).with_name('left.txt')\n"
        "    assert not left.exists(), 'dirt of another run'\n    left.write_text('x')\n    assert answer() == 1\n",
    ),
    "overwrites": (
        _WRONG,
        _RIGHT,
        "from pathlib import Path\n\ndef test_it():\n    assert answer() == 1\n"
        "    Path(__file__).parents[1].joinpath('src/pkg/overwrites.py').write_text('broken =')\n",
    ),
    "environment": (
        _WRONG,
        _RIGHT,
        "from pathlib import Path\n\ndef test_it():\n"
        "    assert Path(__file__).parents[1].joinpath('.env').read_text() == 'KEY=1'\n    assert answer() == 1\n",
    ),
    "generated": (
        "from pkg._version import version\n" + _WRONG,
        "from pkg._version import version\n" + _RIGHT,
        "def test_it():\n    assert answer() == 1\n",
    ),
    "moody": (
        _WRONG,
        _RIGHT,
        "from pathlib import Path\n\ndef test_it():\n    count = Path(COUNTER + '-moody')\n"
        "    times = int(count.read_text()) if count.exists() else 0\n"
        "    if answer() == 0:\n        count.write_text(str(times + 1))\n        assert times % 2 == 1\n",
    ),
    "jumpy": (
        _WRONG,
        _RIGHT,
        "from pathlib import Path\n\ndef test_it():\n    count = Path(COUNTER + '-jumpy')\n"
        "    times = int(count.read_text()) if count.exists() else 0\n"
        "    if answer() == 1:\n        count.write_text(str(times + 1))\n        assert times % 2 == 0\n"
        "    else:\n        assert False\n",
    ),
    "shaky_ids": (
        _WRONG,
        _RIGHT,
        "import os\n\n@pytest.mark.parametrize('it', [os.urandom(4).hex()])\ndef test_it(it):\n    assert answer() == 1\n",
    ),
    "odd_ids": (
        _WRONG,
        _RIGHT,
        "@pytest.mark.parametrize('it', ['a b', 'x::y', '[z]', '\\x1b[31m', 'ü', '', 'a/b', 'a\\nb'])\n"
        "def test_it(it):\n    assert answer() == 1\n",
    ),
    "unittest": (
        _WRONG,
        _RIGHT,
        "import unittest\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(answer(), 1)\n",
    ),
}


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """One branch with a fix for each misbehaving test, proven once."""
    place: Path = tmp_path_factory.mktemp("troubles")
    start = {f"src/pkg/{name}.py": wrong for name, (wrong, _, _) in FAULTS.items()}
    repo = Repo(
        place / "project",
        configuration=CONFIGURATION + _SETTINGS,
        start={**start, ".gitignore": ".env\n_version.py\n"},
    )
    repo.write({".env": "KEY=1", "src/pkg/_version.py": "version = '1'\n"})
    repo.branch("work")
    for name, (_, right, test) in FAULTS.items():
        head = f"import pytest\nfrom pkg.{name} import answer\n\nCOUNTER = {str(place / 'counter')!r}\n"
        files = {f"src/pkg/{name}.py": right, f"tests/test_{name}.py": f"{head}\n{test}"}
        repo.commit(f"fix: {name}", {path: text.encode() for path, text in files.items()})
    return bugsle(repo, "prove", "main..HEAD", "--budget", "600")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("skipped", "with the fix it is skipped"),
        ("skips", "without the fix it is skipped (old)"),
        ("fixture", "its setup fails with the fix in place"),
        ("xfail", "it is marked xfail, so it can never fail"),
        ("hangs", "without the fix it does not end in time"),
        ("exits", "without the fix it ends the whole process"),
        ("moody", "flaky: without the fix it failed once and passed once"),
        ("jumpy", "flaky: with the fix it passed once and failed once"),
        ("shaky_ids", "its id changes"),
    ],
)
def test_what_shows_nothing_is_undecided_and_says_why(proven: Said, name: str, why: str) -> None:
    """Skips, missing fixtures, hangs, crashes and flaky guards decide nothing."""
    fix = proven.fix(f"fix: {name}")
    assert fix["status"] == "undecided"
    assert why in fix["why"]
    assert proven.rules(f"fix: {name}") == ["BUG104"]


@pytest.mark.parametrize(
    "name",
    ["forks", "strays", "writes", "overwrites", "environment", "generated", "odd_ids", "unittest"],
)
def test_a_test_that_leaves_a_mess_still_proves(proven: Said, name: str) -> None:
    """Each run starts in a clean tree, with the ignored files that it needs."""
    assert proven.status(f"fix: {name}") == "proven"


def test_a_guard_that_fails_with_the_fix_in_place_is_an_error(proven: Said) -> None:
    """A fix that does not work is BUG106."""
    assert proven.status("fix: still") == "guard-fails"
    assert proven.rules("fix: still") == ["BUG106"]
    assert proven.code == 1


def test_every_parameter_of_a_test_is_a_row_of_its_own(proven: Said) -> None:
    """Odd ids are kept apart and reach neither terminal nor JSON raw."""
    ids = [test["id"] for test in proven.fix("fix: odd_ids")["tests"]]
    assert len(ids) == len(set(ids)) == 8
    assert "\x1b" not in proven.all


def test_a_file_that_git_ignores_and_a_test_needs_is_named(tmp_path: Path) -> None:
    """A test that passes here and not in the clean copy is undecided, with the setting that mends it."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": _WRONG, ".gitignore": ".env\n"})
    repo.write({".env": "KEY=1"})
    repo.branch("work")
    test = "from pathlib import Path\nfrom pkg.a import answer\n\ndef test_it():\n"
    test += "    assert Path(__file__).parents[1].joinpath('.env').exists()\n    assert answer() == 1\n"
    repo.commit("fix: a", {"src/pkg/a.py": _RIGHT, "tests/test_a.py": test})
    said = run_pytest(repo)
    assert said.status("fix: a") == "undecided"
    assert "passes in your working tree but not in a clean copy" in said.fix("fix: a")["why"]
    assert "setting `copy`" in said.out
