"""A real Chromium, as Debian packages it, driven by Playwright; tests are skipped with the reason where it is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Return the program; skip the test where there is none."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")


@dataclass
class Seen:
    """An open page, with all that it wrote to the console and all that it asked for."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def run(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript; Playwright's own, which the page's policy lets through."""
        return self.page.evaluate(expression)

    @property
    def widths(self) -> tuple[int, int]:
        """How wide the content is, and how wide the window."""
        wide, window = self.run(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        return wide, window


class Browser:
    """A running Chromium."""

    def __init__(self, running: Any) -> None:
        self._running = running

    @contextmanager
    def opened(self, path: Path, *, scheme: str = "light", width: int = 1280) -> Iterator[Seen]:
        """Open a file from disk, without a network, in a window of this width and colour scheme."""
        context = self._running.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True
        )
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.console.append(message.text))
        seen.page.on("pageerror", lambda error: seen.console.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        try:
            seen.page.goto(path.as_uri())
            yield seen
        finally:
            context.close()


@contextmanager
def launched() -> Iterator[Browser]:
    """Start Chromium without a window; root needs it without its sandbox, as containers do."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install pytest-bugsle[browser]"
    )
    program = chromium()
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield Browser(running)
        finally:
            running.close()
