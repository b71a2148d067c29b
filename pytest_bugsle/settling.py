"""What fixtures that judge at their test's end have in common: one item, one message, results with its report.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import pytest

from pytest_bugsle.errors import BugsleError


class Settled(Protocol):
    """What a test's gates are to its end."""

    def finish(self) -> None:
        """Judge what was not judged yet; BugsleError where it cannot be."""

    def failure(self) -> str:
        """Return what fails the test, with all that was judged; empty where all passed."""

    def message(self) -> str:
        """Return all that was judged."""

    def carried(self) -> list[object]:
        """Return the results as plain values, for the test's report."""

    def properties(self) -> list[tuple[str, str]]:
        """Return what JUnit is to have of the results."""


class Settling:
    """Fails a test by what its gates say, once the test itself is through.

    `title` heads the section of a test that fails by itself, `attribute` is where the test's report carries the
    results: xdist hands it to the controller as it is.
    """

    def __init__(self, title: str, attribute: str) -> None:
        self._title = title
        self._attribute = attribute
        self._key = pytest.StashKey[Settled]()

    def settle(self, item: pytest.Item, gates: Settled) -> None:
        """Take the gates of a test."""
        item.stash[self._key] = gates

    def of(self, item: pytest.Item) -> Settled | None:
        """Return the gates of a test."""
        return item.stash.get(self._key, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail the test where it passed and its gates do not; else add what the gates say."""
        try:
            outcome = yield
        except BaseException:
            # A test that failed by itself is not kept waiting for a model.
            said = self._said(item)
            if said:
                item.add_report_section("call", self._title, said)
            raise
        gates = self.of(item)
        if gates is not None:
            try:
                gates.finish()
            except BugsleError as error:
                # What was judged before is not lost: the first of two gates may have failed.
                said = "\n".join(each for each in (str(error), gates.failure()) if each)
                raise pytest.fail.Exception(said, pytrace=False) from None
            item.user_properties += gates.properties()
            said = gates.failure()
            if said:
                pytest.fail(said, pytrace=False)
            item.add_report_section("call", self._title, gates.message())  # `-rP` shows it
        return outcome

    def _said(self, item: pytest.Item) -> str:
        gates = self.of(item)
        return "" if gates is None else gates.failure()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hand the results on with the test's report."""
        report = yield
        gates = self.of(item)
        if gates is not None and report.when == "call":
            setattr(report, self._attribute, gates.carried())
        return report


def settling(config: pytest.Config, plugin: str, title: str, attribute: str) -> Settling:
    """Return the session's settling of one kind of gate, registered at its first use."""
    manager = config.pluginmanager
    found = manager.get_plugin(plugin)
    if not isinstance(found, Settling):
        found = Settling(title, attribute)
        manager.register(found, plugin)
    return found
