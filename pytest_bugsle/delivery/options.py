"""Options of `bugsle dora` that say what a deployment is, and what is asked of its failures.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_bugsle.delivery.sources import Recorded
    from pytest_bugsle.settings import Settings

EVERY = "*"
"""Of `--explain` without a name: all failures."""
LARGEST = 100_000_000
"""Bytes of a file of deployments."""


class Asked(msgspec.Struct, frozen=True):
    """What the options say; without them the settings decide."""

    deployments: Path | None = None
    environment: str | None = None
    mainline: bool = False
    szz: bool = False
    explain: str | None = None
    prove: bool = False
    budget: float | None = None
    python: str | None = None
    lock_tags: bool = False
    component: tuple[str, ...] = ()
    components: bool = False
    changes: Literal["trailers", "patches"] | None = None

    @classmethod
    def of(cls, values: dict[str, Any]) -> Asked:
        """Take the values of the options; UsageError where two contradict each other."""
        asked = cls(**values)
        if asked.component and asked.components:
            raise UsageError(
                "give either --component or --components.",
                why="one names some of them, the other asks for all.",
                hint="leave one of them out",
            )
        if asked.mainline and asked.deployments is not None:
            raise UsageError(
                "give either --mainline or --deployments.",
                why="a deployment is a commit of the mainline, or a row of the file.",
                hint="leave one of them out",
            )
        return asked

    def recorded(self, settings: Settings, top: Path) -> Recorded | None:
        """Read the file of deployments; a setting names one inside of the repository, an option any."""
        from pytest_bugsle.delivery.sources import Recorded

        path, named = self.deployments, str(self.deployments)
        if path is None:
            if self.mainline or settings.deployments is None:
                return None
            path, named = top / settings.deployments, settings.deployments
            if not path.resolve().is_relative_to(top.resolve()):
                raise UsageError(
                    f"deployments = {named!r} lies outside of the repository",
                    why="a checkout may contain any setting, and no file of yours is read for it",
                    hint="--deployments FILE reads a file that stands anywhere",
                )
        try:
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except OSError as error:
            raise UsageError(
                f"{named} cannot be read: {error.strerror}",
                why="it says which deployments there were",
                hint="give a file in CSV, JSON lines, or as GitHub exports it",
            ) from error
        if len(content) > LARGEST:
            raise UsageError(
                f"{named} has more than {LARGEST:,} bytes", hint="give one that is divided by years"
            )
        return Recorded(content, named, self.environment or settings.environment)


def evidence(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options."""
    for option in (
        click.option(
            "--lock-tags",
            is_flag=True,
            help="Write which commits the release tags name to .bugsle/tags.lock: one that moves is said.",
        ),
        click.option("--python", metavar="PATH", help="The interpreter that runs the tests of --prove."),
        click.option(
            "--budget",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Seconds for --prove (default: no limit); the next run goes on.",
        ),
        click.option(
            "--prove", is_flag=True, help="Prove the fixes of failures of which nothing is known yet."
        ),
        click.option(
            "--explain",
            is_flag=False,
            flag_value=EVERY,
            metavar="[DEPLOYMENT]",
            help="List every failure with its evidence, or those of one deployment.",
        ),
        click.option(
            "--szz", is_flag=True, help="Ask blame, too, which commits the fixes mend (slow; kept)."
        ),
        click.option(
            "--changes",
            is_flag=False,
            flag_value="trailers",
            type=click.Choice(("trailers", "patches")),
            help="A change ships with the first of its copies, known by cherry-picks' trailers, or patch ids, too.",
        ),
        click.option(
            "--components",
            is_flag=True,
            help="Show each component that release tags name as a row of its own.",
        ),
        click.option(
            "--component",
            multiple=True,
            metavar="NAME",
            help="The releases of one component, and the commits that change its paths (repeatable).",
        ),
        click.option("--mainline", is_flag=True, help="Every commit of the mainline is a deployment."),
        click.option("--environment", metavar="NAME", help="Which deployments of the file count."),
        click.option(
            "--deployments",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="A file of deployments: CSV, JSON lines, or GitHub's export.",
        ),
    ):
        command = option(command)
    return command
