"""Trees of files to run real tests in."""

from __future__ import annotations

import sys
import sysconfig
import textwrap
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_bugsle.runner import inner
from pytest_bugsle.runner.inner import Outcome, Request, Run, Selector


@dataclass(frozen=True)
class Trees:
    """A user's checkout, a tree under test and a scratch folder."""

    top: Path

    @property
    def user(self) -> Path:
        """The checkout that must not be imported from."""
        return self.top / "user"

    @property
    def tree(self) -> Path:
        """The tree under test."""
        return self.top / "tree"

    def write(self, files: Mapping[str, str], *, user: Mapping[str, str] | None = None) -> None:
        """Write files into the tree, and others into the checkout."""
        for folder, contents in ((self.tree, files), (self.user, user or {})):
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in contents.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(textwrap.dedent(text), encoding="utf-8")

    def request(self, *selectors: str | Selector, **options: Any) -> Request:
        """Ask for whole files by name, or for what the selectors say."""
        self.user.mkdir(parents=True, exist_ok=True)
        wanted = tuple(Selector(each) if isinstance(each, str) else each for each in selectors)
        options.setdefault("python", sys.executable)
        options.setdefault("user_top", self.user)
        return Request(tree=self.tree, scratch=self.top / "scratch", selectors=wanted, **options)

    def run(self, *selectors: str | Selector, guard: bool = True, **options: Any) -> Run:
        """Run, with the import guard taken out where a test asks for it."""
        request = self.request(*selectors, **options)
        return inner.run(request) if guard else inner._run(request, guard=False)


def make_venv(folder: Path) -> tuple[str, Path]:
    """Make an environment that sees our pytest; return its interpreter and its site-packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = sysconfig.get_path("purelib")
    (site / "zz-ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return str(folder / "bin" / "python"), site


def only(path: str, *names: str) -> Selector:
    """Select functions of a file."""
    return Selector(path, frozenset(names))


def by_name(run: Run) -> dict[str, Outcome]:
    """Index outcomes by the last part of their ids."""
    return {id_.rpartition("::")[2]: outcome for id_, outcome in run.outcomes.items()}


def statuses(run: Run) -> dict[str, str]:
    """Return the status of each test by the last part of its id."""
    return {name: outcome.status for name, outcome in by_name(run).items()}
