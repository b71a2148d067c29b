"""Build the suites on which retrying goes wrong, run them under the gate, and read back what was kept."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from repositories import Files, Repo, Said, run_pytest

CONFIGURATION = """
    [tool.pytest.ini_options]
    testpaths = ["tests"]
    pythonpath = ["src"]
    addopts = ["-p", "no:hypothesispytest", "-p", "no:randomly", "-p", "no:anyio"]
"""
PLACE = "TRAP_PLACE"
"""The variable that names a folder outside the work tree: what is kept there outlives every process and copy."""

_KEEPING = f'''
    """Keep what must outlive a process and a copy of the tree."""

    import os

    def nth(name):
        """Return how often this was called, by all processes together."""
        handle = os.open(os.path.join(os.environ["{PLACE}"], name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(handle, b"x")
            return os.fstat(handle).st_size
        finally:
            os.close(handle)

    def log(word):
        """Write a word down, with who runs: the user's session or a copy of it, and the process."""
        who = "copy" if "BUGSLE_INNER" in os.environ else "user"
        with open(os.path.join(os.environ["{PLACE}"], "log"), "a") as file:
            file.write(f"{{who}} {{os.getpid()}} {{word}}\\n")
'''
FAILS = "fails every time"
VARIES = "non deterministic"


@dataclass(frozen=True)
class Trap:
    """One row of the matrix: a test file, what each failed test must be told as, and pytest's counts."""

    name: str
    source: str
    told: Mapping[str, str]
    counts: Mapping[str, int]
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """How the session's own attempt of a test is kept, where that is not 'failed'."""
    why: str = ""
    """Words that stand in the reason."""


TRAPS = (
    Trap(
        "state-on-self",
        # both classes of instances are made anew for every attempt, so no attempt sees the last one's state
        """
        import unittest

        class TestPlain:
            def test_once(self):
                tried, self.tried = getattr(self, "tried", False), True
                assert tried

        class TestCase(unittest.TestCase):
            tried = False

            def test_once(self):
                tried, self.tried = self.tried, True
                assert tried

            def test_other(self):
                pass
        """,
        {"TestPlain::test_once": FAILS, "TestCase::test_once": FAILS},
        {"failed": 2, "passed": 1},
    ),
    Trap(
        "setup-fails-later",
        # the count outlives the session: every further attempt ends in its setup, and none may count as a pass
        """
        import pytest
        from pkg.keeping import nth

        @pytest.fixture
        def first_only():
            assert nth("setup") == 1, "the setup fails from now on"

        def test_it(first_only):
            assert not "the call"

        def test_other():
            pass
        """,
        {"test_it": FAILS},
        {"failed": 1, "passed": 1},
        why="fails with another error",
    ),
    Trap(
        "setup-fails-later-in-a-process",
        # counted in the process: each clean process makes its first attempt, and fails as the session did
        """
        import pytest

        COUNT = []

        @pytest.fixture
        def first_only():
            COUNT.append(1)
            assert len(COUNT) == 1

        def test_it(first_only):
            assert not "the call"

        def test_other():
            pass
        """,
        {"test_it": FAILS},
        {"failed": 1, "passed": 1},
        why="alone it failed",
    ),
    Trap(
        "setup-fails-first",
        # what decides lies outside the tree, where a clean copy cannot put it back: the test does vary
        """
        import pytest
        from pkg.keeping import nth

        @pytest.fixture
        def not_the_first():
            assert nth("setup") > 1

        def test_it(not_the_first):
            pass

        def test_other():
            pass
        """,
        {"test_it": VARIES},
        {"flaky": 1, "passed": 1},
        {"test_it": "error"},
    ),
    Trap(
        "setup-fails-first-in-a-process",
        # a retry in the same process would hide it; a new process, as the next run is one, fails every time
        """
        import pytest

        COUNT = []

        @pytest.fixture
        def not_the_first():
            COUNT.append(1)
            assert len(COUNT) > 1

        def test_it(not_the_first):
            pass

        def test_other():
            pass
        """,
        {"test_it": FAILS},
        {"error": 1, "passed": 1},
        {"test_it": "error"},
    ),
    Trap(
        "setup-fails-first-in-the-tree",
        # a clean copy is what a checkout gives: the file that the session's attempt left is not in it
        """
        from pathlib import Path

        import pytest

        @pytest.fixture
        def not_the_first():
            seen = Path(__file__).with_name("seen")
            there = seen.exists()
            seen.write_text("x")
            assert there

        def test_it(not_the_first):
            pass

        def test_other():
            pass
        """,
        {"test_it": FAILS},
        {"error": 1, "passed": 1},
        {"test_it": "error"},
    ),
    Trap(
        "teardown-fails-first",
        # pytest counts the call of such a test as passed, and its teardown as what it was
        """
        import pytest
        from pkg.keeping import nth

        @pytest.fixture
        def leaving():
            yield
            assert nth("teardown") > 1

        def test_it(leaving):
            pass

        def test_other():
            pass
        """,
        {"test_it": VARIES},
        {"flaky": 1, "passed": 2},
        {"test_it": "error"},
    ),
    Trap(
        "tmp-path",
        """
        from pkg.keeping import nth

        def test_always(tmp_path):
            assert not list(tmp_path.iterdir())
            (tmp_path / "left").write_text("x")
            assert not "the end"

        def test_first(tmp_path):
            assert not list(tmp_path.iterdir())
            (tmp_path / "left").write_text("x")
            assert nth("tmp") > 1
        """,
        {"test_always": FAILS, "test_first": VARIES},
        {"failed": 1, "flaky": 1},
    ),
    Trap(
        "module-fixture",
        # a rerun over the same fixture finds what the failed attempt left in it, and passes
        """
        import pytest
        from pkg.keeping import log

        @pytest.fixture(scope="module")
        def box():
            log("setup")
            yield []
            log("teardown")

        def test_it(box):
            box.append(1)
            assert len(box) > 1

        def test_other(box):
            pass
        """,
        {"test_it": FAILS},
        {"failed": 1, "passed": 1},
    ),
    Trap(
        "class-fixture",
        """
        import pytest
        from pkg.keeping import log, nth

        @pytest.fixture(scope="class", autouse=True)
        def held():
            log("setup")
            yield
            log("teardown")

        class TestIt:
            def test_other(self):
                pass

            def test_last(self):
                assert nth("last") > 1
        """,
        {"TestIt::test_last": VARIES},
        {"flaky": 1, "passed": 1},
    ),
    Trap(
        "unittest-set-up-class",
        """
        import unittest
        from pkg.keeping import log, nth

        class TestIt(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                log("setup")

            @classmethod
            def tearDownClass(cls):
                log("teardown")

            def test_last(self):
                assert nth("last") > 1

            def test_always(self):
                assert not self
        """,
        {"TestIt::test_last": VARIES, "TestIt::test_always": FAILS},
        {"flaky": 1, "failed": 1},
    ),
    Trap(
        "hypothesis",
        """
        from hypothesis import given, settings, strategies
        from pkg.keeping import nth

        @settings(max_examples=5, database=None)
        @given(strategies.integers())
        def test_first(number):
            assert nth("first") > 1

        @settings(max_examples=5, database=None)
        @given(strategies.integers())
        def test_always(number):
            assert number != number
        """,
        {"test_first": VARIES, "test_always": FAILS},
        {"flaky": 1, "failed": 1},
    ),
)

SUBTESTS = """
    import unittest

    import pytest
    from pkg.keeping import nth

    def test_always(subtests):
        for number in range(3):
            with subtests.test(number=number):
                assert number != 1

    def test_first(subtests):
        count = nth("fixture")
        for number in range(3):
            with subtests.test(number=number):
                assert number != 1 or count > 1

    class TestCase(unittest.TestCase):
        def test_always(self):
            for number in range(3):
                with self.subTest(number=number):
                    assert number != 1

        def test_first(self):
            count = nth("case")
            for number in range(3):
                with self.subTest(number=number):
                    assert number != 1 or count > 1

    def test_other():
        pass
"""

CRASHES = """
    import os

    from pkg.keeping import nth

    def test_before():
        pass

    def test_first():
        if nth("crash") == 1:
            os._exit(7)

    def test_always():
        if os.environ.get("PYTEST_XDIST_WORKER") or "BUGSLE_INNER" in os.environ:
            os._exit(7)

    def test_after():
        pass
"""

FAILS_FIRST = """
    from pkg.keeping import nth

    def test_it():
        assert nth("it") > 1

    def test_other():
        pass
"""


class Trapped:
    """A repository with tests of a trap, a folder outside it, and what the sessions there left."""

    def __init__(
        self,
        top: Path,
        sources: Mapping[str, str],
        *,
        configuration: str = CONFIGURATION,
        start: Files | None = None,
    ) -> None:
        """Commit `tests/test_NAME.py` for each of `sources`."""
        self.place = top.parent / "place"
        self.place.mkdir()
        tests = {f"tests/test_{name}.py": source for name, source in sources.items()}
        tests[".gitignore"] = "__pycache__/\n"
        self.repo = Repo(
            top, configuration=configuration, start={"src/pkg/keeping.py": _KEEPING, **tests, **(start or {})}
        )

    def run(self, *args: str, on: bool = True, **environ: str) -> Said:
        """Run `pytest --bugsle`."""
        return run_pytest(self.repo, *args, on=on, **{PLACE: str(self.place), **environ})

    @property
    def store(self) -> Path:
        """Return the file of the history."""
        return self.repo.top / ".bugsle" / "history.db"

    def log(self, who: str) -> dict[str, list[str]]:
        """Return what was logged, by process."""
        found: dict[str, list[str]] = {}
        path = self.place / "log"
        for line in path.read_text().splitlines() if path.exists() else ():
            whose, process, word = line.split()
            if whose == who:
                found.setdefault(process, []).append(word)
        return found


@dataclass(frozen=True)
class Kept:
    """An attempt as it stands in the history."""

    run_id: str
    test: str
    attempt: int
    mode: str
    worker: str
    phases: tuple[str, str, str]
    outcome: str
    fingerprint: str


def kept(store: Path, mode: str | None = "suite") -> list[Kept]:
    """Return the attempts of a history in their order; of one mode, or of all."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute(
            "SELECT r.run_id, t.name, a.attempt, a.mode, a.worker, a.setup, a.call, a.teardown, a.outcome, "
            "a.fingerprint FROM bugsle_attempt a JOIN bugsle_run r ON r.run = a.run "
            "JOIN bugsle_test t ON t.test = a.test ORDER BY r.started, a.seq"
        ).fetchall()
    found = [Kept(*row[:5], phases=tuple(row[5:8]), outcome=row[8], fingerprint=row[9]) for row in rows]
    return [one for one in found if mode in (None, one.mode)]


def runs(store: Path) -> list[tuple[bool, int, bool]]:
    """Return of each run in a history whether it ended, how many tests it collected, and if it is a disaster."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT ended, collected, disaster FROM bugsle_run ORDER BY started")
        return [(bool(ended), collected, bool(disaster)) for ended, collected, disaster in rows]


def counts(said: Said) -> dict[str, int]:
    """Return the numbers of pytest's last line."""
    last = [line for line in said.out.splitlines() if re.search(r" in [\d.]+s", line)][-1]
    return {
        word.removesuffix("s") if word == "errors" else word: int(number)
        for number, word in re.findall(r"(\d+) ([a-z]+(?: [a-z]+)?)(?=,| in )", last)
    }
