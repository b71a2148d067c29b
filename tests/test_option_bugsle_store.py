"""`--bugsle-store`: the history of a team, and what becomes of a session when it cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import NoServer, Server, postgres_server
from repositories import Said
from trap_suites import CONFIGURATION, FAILS_FIRST, Trapped, counts, kept

from pytest_bugsle.store.history import open_history

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'pytest-bugsle[postgres]'")

NOWHERE = "postgresql://me:hunter2@127.0.0.1:1/db"  # nothing listens on port 1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running PostgreSQL server, or a skip that says why there is none."""
    try:
        with postgres_server() as running:
            yield running
    except NoServer as error:
        pytest.skip(str(error))


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    """A suite with one flaky test."""
    return Trapped(tmp_path / "project", {"it": FAILS_FIRST})


def notes(said: Said) -> str:
    """Return what the report and the screen say, as one text."""
    return " ".join(said.report["notes"]) + said.out


def attempts(where: str | Path) -> dict[str, int]:
    """Return how many first attempts of each test a history holds."""
    with open_history(where) as history:
        return {one.test.rpartition("::")[2]: one.first_attempts for one in history.tallies()}


@pytest.mark.slow
@pytest.mark.parametrize("args", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_session_is_kept_on_the_server(server: Server, trapped: Trapped, args: tuple[str, ...]) -> None:
    """The result is the one without it, and nothing of it is left in the work tree."""
    url = server.new_database()
    said = trapped.run(f"--bugsle-store={url}", *args)
    assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 1})
    assert attempts(url) == {"test_it": 1, "test_other": 1}
    assert not trapped.store.exists()
    assert "s3cret" not in notes(said)


@pytest.mark.slow
def test_the_environment_names_the_server_too(server: Server, trapped: Trapped) -> None:
    """As CI does; the command line goes before it."""
    url, other = server.new_database(), server.new_database()
    assert trapped.run("-k", "other", BUGSLE_STORE=url).code == 0
    assert trapped.run("-k", "other", f"--bugsle-store={other}", BUGSLE_STORE=url).code == 0
    assert attempts(url) == attempts(other) == {"test_other": 1}


def test_a_server_that_is_down_changes_nothing_but_a_note(trapped: Trapped) -> None:
    """The attempts are kept in the local file, the password is shown nowhere."""
    said = trapped.run(f"--bugsle-store={NOWHERE}")
    assert (said.code, counts(said)) == (1, {"flaky": 1, "passed": 1})
    assert said.rules() == ["BUG201"]
    assert [one.outcome for one in kept(trapped.store)] == ["failed", "passed"]
    assert "instead, and sent when it can be reached" in notes(said)
    assert "hunter2" not in notes(said) + said.err


@pytest.mark.slow
def test_what_was_kept_here_is_sent_by_the_next_session(server: Server, trapped: Trapped) -> None:
    """Once: the local file is empty afterwards, and the server holds both sessions."""
    url = server.new_database()
    assert trapped.run(f"--bugsle-store={NOWHERE}").code == 1
    said = trapped.run(f"--bugsle-store={url}")
    assert (said.code, counts(said)) == (0, {"passed": 2})
    assert attempts(url) == {"test_it": 2, "test_other": 2}
    assert kept(trapped.store, None) == []
    assert "sent " in notes(said)
    assert trapped.run(f"--bugsle-store={url}").code == 0
    assert attempts(url) == {"test_it": 3, "test_other": 3}


@pytest.mark.slow
def test_a_server_that_ends_in_the_middle_costs_nothing(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What ended after it is in the local file; the session says the same."""
    url = server.new_database()
    source = """
        import os
        import signal
        import time

        def test_before():
            time.sleep(0.2)

        def test_ends_it():
            for process in os.environ["SERVER_PROCESSES"].split()[:1]:
                os.kill(int(process), signal.SIGINT)
            time.sleep(1.0)

        def test_fails():
            assert not "right"

        def test_after():
            pass
    """
    trapped = Trapped(tmp_path / "project", {"it": source})
    request.addfinalizer(lambda: (server.stop(), server.start()))
    said = trapped.run(
        f"--bugsle-store={url}", "-k", "not other", SERVER_PROCESSES=" ".join(map(str, server.processes()))
    )
    assert (said.code, counts(said)) == (1, {"failed": 1, "passed": 3})
    assert {one.test.rpartition("::")[2] for one in kept(trapped.store)} >= {"test_fails", "test_after"}
    assert "instead, and sent when it can be reached" in notes(said)


@pytest.mark.parametrize("url", ["mysql://me:hunter2@host/db", "http://me:hunter2@host/"])
def test_a_store_of_another_kind_is_said(trapped: Trapped, url: str) -> None:
    """It is never taken for a file's name; no password is shown, and the tests are judged or refused as a whole."""
    said = trapped.run(f"--bugsle-store={url}")
    assert said.code in (1, 4)
    assert "cannot be kept at" in said.all
    assert "hunter2" not in said.all
    assert not list(trapped.repo.top.rglob("*hunter2*"))


@pytest.mark.slow
def test_the_table_names_the_server(server: Server, tmp_path: Path) -> None:
    """In the settings of the project, as for a team."""
    url = server.new_database()
    configuration = CONFIGURATION + f'\n    [tool.bugsle]\n    store = "{url}"\n'
    trapped = Trapped(tmp_path / "project", {"it": FAILS_FIRST}, configuration=configuration)
    assert trapped.run("-k", "other").code == 0
    assert attempts(url) == {"test_other": 1}
