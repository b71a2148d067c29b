"""What waits, what fails where, and who knows it: from real repositories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.changed import causes_of, suite_runs
from pytest_bugsle.delivery.figures import Wanted
from pytest_bugsle.delivery.gather import measured_of, read_history, read_refs
from pytest_bugsle.delivery.why import Changed, SuiteRun, folder_of, kind, source_folders, suite_months
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.results import DeliveryCauses
from pytest_bugsle.settings import Settings
from pytest_bugsle.store.history import open_history
from pytest_bugsle.store.records import AttemptRecord, RunRecord

DAY = 86_400
_END = 1_700_000_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is kept out of the user's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Shop(Sandbox):
    """A repository whose clock is counted in days before its end."""

    def at(
        self, days: float, message: str, files: Mapping[str, str], *, authored: float = 0, who: str = "ada"
    ) -> str:
        """Commit these files so many days before the end."""
        self.clock = _END - int(days * DAY)
        self.write(files)
        self.git("add", "-A")
        self.git(
            "commit", "-q", "--allow-empty", "-m", message,
            GIT_AUTHOR_DATE=f"{_END - int((authored or days) * DAY)} +0000",
            GIT_AUTHOR_NAME=who, GIT_AUTHOR_EMAIL=f"{who}@example.org",
        )  # fmt: skip
        return self.git("rev-parse", "HEAD")

    def causes(self) -> DeliveryCauses:
        """Give the causes of the year's figures."""
        with Repository.open(self.top) as repo:
            measured = measured_of(repo, Wanted(), Settings())[0]
            history = read_history(repo, read_refs(repo))
            return causes_of(repo, history, Wanted(), measured.failures, None)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Give a shop whose checkout waits long and fails, and which has one who knows it."""
    shop = Shop(tmp_path / "shop")
    shop.at(500, "feat: start", {"README.md": "x"})
    shop.git("tag", "v1.0")
    for number in range(12):
        shop.at(
            200 - number,
            f"feat: checkout {number}",
            {"src/shop/checkout/pay.py": f"P = {number}\n"},
            authored=230,
        )
    for number in range(11):
        shop.at(120 - number, f"docs: page {number}", {"docs/guide/index.md": f"{number}"}, who=f"w{number}")
    shop.git("tag", "v1.1")
    broken = shop.at(60, "feat: free shipping", {"src/shop/checkout/pay.py": "FREE = 1\n"})
    shop.at(
        59, "fix: rounding", {"src/shop/cart/sum.py": "S = 1\n", "tests/test_sum.py": "def test(): ...\n"}
    )
    shop.at(58, "fix: total", {"src/shop/cart/sum.py": "S = 2\n"})
    shop.git("tag", "v1.2")
    shop.at(
        50,
        f'Revert "feat: free shipping"\n\nThis reverts commit {broken}.',
        {"src/shop/checkout/pay.py": "P = 9\n"},
    )
    shop.git("tag", "v1.3")
    shop.at(0, "chore: end", {"notes.txt": "1"})
    return shop


def test_the_longest_waits_come_first_with_their_n(shop: Shop) -> None:
    """Split where the mainline begins; few commits have no place."""
    found = shop.causes()
    assert [(one.name, one.n) for one in found.folders] == [("src/shop/checkout", 14), ("docs/guide", 11)]
    first = found.folders[0]
    assert first.median_seconds > 110 * DAY and first.interval is not None
    assert 34 * DAY < first.author_to_mainline < 36 * DAY
    assert found.kinds[0].name == "feature" and found.kinds[0].n == 13
    assert found.whole is not None and found.whole.n == 27


def test_a_failing_folder_names_hotspots_recovery_and_people(shop: Shop) -> None:
    """Failures are where the commit at fault was; one person is a risk."""
    (folder,) = shop.causes().failing
    assert (folder.folder, folder.failed, folder.deployments) == ("src/shop/checkout", 1, 3)
    assert (folder.recovered, folder.median_recovery) == (1, 8 * DAY)
    assert folder.people == 1
    assert [(hot.path, hot.changes) for hot in folder.hotspots] == [("src/shop/checkout/pay.py", 14)]


def test_a_fix_brought_a_guard_if_it_changed_a_test(shop: Shop) -> None:
    """Of the fixes that changed source: with the Wilson interval. A revert is a fix."""
    found = shop.causes()
    assert (found.fixes, found.fixes_with_test) == (3, 1)
    assert found.share == pytest.approx(1 / 3) and found.interval is not None


def test_a_repository_of_merges_and_one_release_has_no_waits(tmp_path: Path) -> None:
    """One deployment alone has no lead time, and nothing has failed."""
    shop = Shop(tmp_path / "lone")
    shop.at(9, "feat: a", {"a.py": "1"})
    shop.git("tag", "v1.0")
    found = shop.causes()
    assert found.whole is None and not found.folders and not found.failing and found.share is None


def test_strange_paths_and_names_are_read(tmp_path: Path) -> None:
    """Line ends, bytes that are no UTF-8 and a colon at the start are part of a name."""
    shop = Shop(tmp_path / "odd")
    shop.at(30, "feat: start", {"a.py": "1"})
    shop.git("tag", "v1.0")
    names = {":100644 x/ a\nb/f.py": "1", "caf\udce9/ü/g.py": "1"}
    for number in range(10):
        shop.at(20 - number, f"feat: {number}", {name: str(number) for name in names}, who="\u202eeve|x")
    shop.git("tag", "v1.1")
    assert {one.name for one in shop.causes().folders} == {":100644 x/ a\nb", "caf\udce9/ü"}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("setup.py", "."),
        ("docs/guide/a/b.md", "docs/guide"),
        ("src/shop/checkout/deep/pay.py", "src/shop/checkout"),
        ("src/shop.py", "src"),
        ("shop/a/b/c.py", "shop/a"),
    ],
)
def test_a_folder_is_two_levels_deep(path: str, folder: str) -> None:
    """Three below `src`, for that is in no name."""
    assert folder_of(path) == folder


@given(st.lists(st.text(st.characters(exclude_characters="\0"), min_size=1), max_size=5))
def test_any_paths_have_folders(paths: list[str]) -> None:
    """As many as there are paths, at most, and none where there is none."""
    folders = source_folders(paths)
    assert len(folders) <= len(paths) and bool(folders) == bool(paths)
    assert all(len(folder.split("/")) <= 3 for folder in folders)


@pytest.mark.parametrize(
    ("subject", "author", "expected"),
    [
        ("feat(cart): add", "ada", "feature"),
        ("Fix crash when the cart is empty (#12)", "ada", "fix"),
        ("Bump x from 1 to 2", "dependabot[bot]", "bot"),
        ("Prepare release 1.2", "ada", "upkeep"),
        ("Make the cart larger", "ada", "other work"),
    ],
)
def test_a_kind_is_the_written_type_or_what_the_message_says(
    subject: str, author: str, expected: str
) -> None:
    """By the same judgement that finds bug fixes."""
    assert kind(Changed(author, f"{author}@example.org", subject, "", ())) == expected


def test_the_suite_has_a_median_a_month() -> None:
    """In UTC, the oldest first."""
    runs = [SuiteRun(0, 10, 5), SuiteRun(1, 30, 7), SuiteRun(40 * DAY, 99, 8)]
    assert [(one.period, one.runs, one.median_seconds, one.median_tests) for one in suite_months(runs)] == [
        ("1970-01", 2, 20.0, 6.0),
        ("1970-02", 1, 99.0, 8.0),
    ]


def test_the_suites_past_is_read_from_the_history_of_tests(shop: Shop) -> None:
    """Whole runs alone: no reruns, no disasters, none that was killed; without a history there is none."""
    with Repository.open(shop.top) as repo:
        assert suite_runs(repo, None, 0) == [] and not (shop.top / ".bugsle/history.db").exists()
        with open_history(shop.top / ".bugsle" / "history.db") as history:
            for number, (ended, disaster) in enumerate([(True, False), (True, True), (False, False)]):
                run = RunRecord(run_id=f"r{number}", started=100.0 + number)
                history.begin(run)
                history.add(
                    run.run_id,
                    [
                        AttemptRecord(seq=1, test="a", outcome="passed", duration=2.0),
                        AttemptRecord(seq=2, test="b", outcome="failed", duration=3.0),
                        AttemptRecord(seq=3, test="b", outcome="passed", duration=9.0, attempt=2),
                    ],
                )
                if ended:
                    history.finish(run.run_id, collected=2, disaster=disaster)
        assert suite_runs(repo, None, 0) == [SuiteRun(100.0, 5.0, 2)]
        assert suite_runs(repo, None, 101) == []
