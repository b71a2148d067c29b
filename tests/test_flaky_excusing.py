"""What the quarantine excuses in a session, and what it does not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from days import same_day, today  # noqa: F401  the fixture is for each test
from repositories import Said
from trap_suites import Trapped

from pytest_bugsle.flaky import quarantine

SOURCE = """
    from pkg.keeping import nth

    def test_it():
        assert nth("it") == {right}

    def test_other():
        pass
"""


def quarantined(tmp_path: Path, *, days: int = 20, source: str = SOURCE.format(right=0)) -> Trapped:
    """Make a project whose failing test is quarantined with the error that it has in a first session."""
    trapped = Trapped(tmp_path / "project", {"it": source})
    trapped.run(BUGSLE_EXAMINE="0")
    prints = tuple(one.fingerprint for one in _kept(trapped) if one.fingerprint)
    entry = quarantine.Entry(
        id="tests/test_it.py::test_it",
        failures=2,
        attempts=9,
        fingerprints=prints,
        owner="Ada",
        issue="#7",
        added=today() - dt.timedelta(days=5),
        expires=today() + dt.timedelta(days=days),
    )
    quarantine.write(quarantine.place(trapped.repo.top), [entry])
    return trapped


def _kept(trapped: Trapped) -> list[object]:
    from trap_suites import kept

    return list(kept(trapped.store))


MODES = pytest.mark.parametrize(
    "args", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)], ids=["alone", "xdist"]
)


@MODES
def test_a_known_error_is_excused_and_shown_as_what_it_is(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Neither failed nor passed; the exit status is that of the rest."""
    said = quarantined(tmp_path).run(*args)
    assert (said.code, said.rules()) == (0, [])
    assert "1 passed, 1 quarantined" in said.out
    assert "tests/test_it.py::test_it failed and is quarantined until" in said.out


def test_the_history_keeps_the_failure_of_an_excused_test(tmp_path: Path) -> None:
    """An excuse is no evidence of health."""
    trapped = quarantined(tmp_path)
    trapped.run()
    outcomes = [one.outcome for one in _kept(trapped) if one.test.endswith("test_it")]  # type: ignore[attr-defined]
    assert outcomes == ["failed", "failed"]


def test_another_error_fails(tmp_path: Path) -> None:
    """Only the error that the entry knows is excused."""
    trapped = quarantined(tmp_path)
    trapped.repo.write({"tests/test_it.py": "def test_it():\n    raise OSError('the disk is full')\n"})
    said = trapped.run()
    assert said.code == 1 and "1 failed" in said.out


def test_an_error_in_setup_fails(tmp_path: Path) -> None:
    """Whatever its words."""
    source = """
        import pytest

        @pytest.fixture
        def broken():
            assert 1 == 2

        def test_it(broken):
            pass
    """
    said = quarantined(tmp_path, source=source).run()
    assert said.code == 1 and "1 error" in said.out


def test_an_entry_past_its_date_blocks_again(tmp_path: Path) -> None:
    """The failure counts, and the entry itself is reported."""
    said = quarantined(tmp_path, days=-1).run()
    assert said.code == 1 and "1 failed" in said.out
    assert "BUG204" in said.rules()


def test_the_last_week_is_announced(tmp_path: Path) -> None:
    """Who owns the entry can act in time."""
    said: Said = quarantined(tmp_path, days=3).run()
    assert said.code == 0
    assert any("ends in 3 days (owner Ada, #7)" in note for note in said.report["notes"])


def test_a_quarantine_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    """What is excused must not be guessed."""
    trapped = quarantined(tmp_path)
    quarantine.place(trapped.repo.top).write_text("[[test]]\nid = 1\n")
    said = trapped.run()
    assert said.code == 4
    assert "quarantine.toml" in said.err
