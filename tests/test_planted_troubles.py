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
    "skipped": (
        _WRONG,
        _RIGHT,
        "@pytest.mark.skip(reason='not today')\ndef test_it():\n    assert answer() == 1\n",
    ),
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
    "exits": (
        "import os\n\ndef answer():\n    os._exit(0)\n",
        _RIGHT,
        "def test_it():\n    assert answer() == 1\n",
    ),
    "forks": (
        _WRONG,
        _RIGHT,
        (
            "import os\n\ndef test_it():\n    child = os.fork()\n    if not child:\n        os._exit(answer())\n"
            "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1\n"
        ),
    ),
    "strays": (
        _WRONG,
        _RIGHT,
        "import os\n\ndef test_it(tmp_path):\n    os.chdir(tmp_path)\n    assert answer() == 1\n",
    ),
    "writes": (
        _WRONG,
        _RIGHT,
        (
            "from pathlib import Path\n\ndef test_it():\n    left = Path(__file__).with_name('left.txt')\n"
            "    assert not left.exists(), 'dirt of another run'\n    left.write_text('x')\n    assert answer() == 1\n"
        ),
    ),
    "overwrites": (
        _WRONG,
        _RIGHT,
        (
            "from pathlib import Path\n\ndef test_it():\n    assert answer() == 1\n"
            "    Path(__file__).parents[1].joinpath('src/pkg/overwrites.py').write_text('broken =')\n"
        ),
    ),
    "environment": (
        _WRONG,
        _RIGHT,
        (
            "from pathlib import Path\n\ndef test_it():\n"
            "    assert Path(__file__).parents[1].joinpath('.env').read_text() == 'KEY=1'\n    assert answer() == 1\n"
        ),
    ),
    "generated": (
        "from pkg._version import version\n" + _WRONG,
        "from pkg._version import version\n" + _RIGHT,
        "def test_it():\n    assert answer() == 1\n",
    ),
    "moody": (
        _WRONG,
        _RIGHT,
        (
            "from pathlib import Path\n\ndef test_it():\n    count = Path(COUNTER + '-moody')\n"
            "    times = int(count.read_text()) if count.exists() else 0\n"
            "    if answer() == 0:\n        count.write_text(str(times + 1))\n        assert times % 2 == 1\n"
        ),
    ),
    "jumpy": (
        _WRONG,
        _RIGHT,
        (
            "from pathlib import Path\n\ndef test_it():\n    count = Path(COUNTER + '-jumpy')\n"
            "    times = int(count.read_text()) if count.exists() else 0\n"
            "    if answer() == 1:\n        count.write_text(str(times + 1))\n        assert times % 2 == 0\n"
            "    else:\n        assert False\n"
        ),
    ),
    "odd_ids": (
        _WRONG,
        _RIGHT,
        (
            "@pytest.mark.parametrize('it', ['a b', 'x::y', '[z]', '\\x1b[31m', 'ü', '', 'a/b', 'a\\nb'])\n"
            "def test_it(it):\n    assert answer() == 1\n"
        ),
    ),
    "unittest": (
        _WRONG,
        _RIGHT,
        "import unittest\n\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        self.assertEqual(answer(), 1)\n",
    ),
}


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """One fix with all of these tests, proven once."""
    place: Path = tmp_path_factory.mktemp("troubles")
    start = {f"src/pkg/{name}.py": wrong for name, (wrong, _, _) in FAULTS.items()}
    repo = Repo(
        place / "project",
        configuration=CONFIGURATION + _SETTINGS,
        start={**start, ".gitignore": ".env\n_version.py\n"},
    )
    repo.write({".env": "KEY=1", "src/pkg/_version.py": "version = '1'\n"})
    files = {}
    for name, (_, right, test) in FAULTS.items():
        head = f"import pytest\nfrom pkg.{name} import answer\n\nCOUNTER = {str(place / 'counter')!r}\n"
        files |= {f"src/pkg/{name}.py": right, f"tests/test_{name}.py": f"{head}\n{test}"}
    repo.commit("fix: wrong answers", {path: text.encode() for path, text in files.items()})
    return bugsle(repo, "prove", "HEAD", "--budget", "600")


def _rows(said: Said, name: str) -> list[dict[str, str]]:
    return [
        test for test in said.fix("fix: wrong")["tests"] if test["id"].startswith(f"tests/test_{name}.py")
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("skipped", "with the fix it is skipped (Skipped: not today)"),
        ("skips", "without the fix it is skipped (Skipped: old)"),
        ("fixture", "its setup fails with the fix in place"),
        ("xfail", "it is marked xfail, so it can never fail"),
        ("hangs", "without the fix it does not end in time"),
        ("exits", "without the fix it ends the whole process"),
        ("moody", "flaky: without the fix it failed once and passed once"),
        ("jumpy", "flaky: with the fix it passed once and failed once"),
    ],
)
def test_what_shows_nothing_is_undecided_and_says_why(proven: Said, name: str, why: str) -> None:
    """Skips, missing fixtures, hangs, crashes and flaky guards decide nothing."""
    rows = _rows(proven, name)
    assert {row["shows"] for row in rows} == {"undecided"}
    assert why in rows[0]["why"]


@pytest.mark.parametrize(
    "name",
    ["forks", "strays", "writes", "overwrites", "environment", "generated", "odd_ids", "unittest"],
)
def test_a_test_that_leaves_a_mess_still_proves(proven: Said, name: str) -> None:
    """Each run starts in a clean tree, with the ignored files that it needs, whatever its neighbours do."""
    assert {row["shows"] for row in _rows(proven, name)} == {"proven"}


def test_a_guard_that_fails_with_the_fix_in_place_is_an_error(proven: Said) -> None:
    """A linked test that does not pass with the fix is BUG106, though another one proves the fix."""
    assert [row["shows"] for row in _rows(proven, "still")] == ["guard-fails"]
    assert proven.status("fix: wrong") == "proven"
    assert proven.rules("fix: wrong") == ["BUG106"]
    assert proven.code == 1


def test_every_parameter_of_a_test_is_a_row_of_its_own(proven: Said) -> None:
    """Odd ids are kept apart and reach neither terminal nor JSON raw."""
    ids = [test["id"] for test in _rows(proven, "odd_ids")]
    assert len(ids) == len(set(ids)) == 8
    assert "\x1b" not in proven.all


@pytest.mark.parametrize(
    ("mark", "argument", "why"),
    [
        ("skip(reason='not today')", "", "with the fix it is skipped"),
        ("parametrize('it', [__import__('os').urandom(4).hex()])", "it", "its id changes"),
    ],
    ids=["skipped", "another id each time"],
)
def test_a_fix_whose_only_test_shows_nothing_is_undecided(
    tmp_path: Path, mark: str, argument: str, why: str
) -> None:
    """It is no pass: BUG104, nothing judged, exit code 3."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": _WRONG})
    test = f"import pytest\nfrom pkg.a import answer\n\n@pytest.mark.{mark}\ndef test_it({argument}):\n    assert answer()\n"
    repo.commit("fix: a", {"src/pkg/a.py": _RIGHT, "tests/test_a.py": test})
    said = bugsle(repo, "prove", "HEAD")
    assert (said.code, said.report["verdict"]) == (3, "undecided")
    assert said.rules() == ["BUG104", "BUG001"]
    assert why in said.fix("fix: a")["why"]


def test_a_test_that_hangs_costs_only_its_own_fix(tmp_path: Path) -> None:
    """Another fix, whose tests ran in the same process, is judged by what its own tests showed."""
    repo = Repo(
        tmp_path / "project",
        configuration=CONFIGURATION + _SETTINGS,
        start={
            "src/pkg/a.py": _WRONG,
            "src/pkg/b.py": _WRONG,
            "tests/test_b.py": "from pkg.b import answer\n\ndef test_it():\n    assert answer() < 2\n",
        },
    )
    repo.branch("work")
    hanging = "import time\nfrom pkg.a import answer\n\ndef test_it():\n    assert answer() == 1\n    time.sleep(60)\n"
    repo.commit("fix: a", {"src/pkg/a.py": _RIGHT, "tests/test_a.py": hanging})
    repo.commit("fix: b", {"src/pkg/b.py": _RIGHT})
    said = bugsle(repo, "prove", "main..HEAD")
    assert said.status("fix: a") == "undecided"
    assert "with the fix it does not end in time" in said.fix("fix: a")["why"]
    assert said.status("fix: b") == "no-test"
    assert said.report["timings"]["runs"] <= 6, (
        "what a test that hangs has said once is not asked of it again"
    )


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
