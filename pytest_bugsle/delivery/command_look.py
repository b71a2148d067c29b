"""What `bugsle dora` does with one repository, in this process or in one of many.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_bugsle import commands
from pytest_bugsle.delivery.components import components
from pytest_bugsle.delivery.figures import Wanted
from pytest_bugsle.delivery.fleet import Found
from pytest_bugsle.delivery.gather import deployed, measured_of, read_refs
from pytest_bugsle.delivery.guarded import joined
from pytest_bugsle.delivery.notes import notes
from pytest_bugsle.delivery.tagged import lock_tags
from pytest_bugsle.errors import BugsleError
from pytest_bugsle.settings import seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.delivery.figures import Measured
    from pytest_bugsle.delivery.fleet import Job, Say
    from pytest_bugsle.delivery.sources import Recorded
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.results import DeliveryCauses, Failure
    from pytest_bugsle.settings import Settings


def look(job: Job, say: Say) -> Found:
    """Look at one repository: its figures, and what else was asked of it."""
    with commands.opened(job.where) as repository:
        settings = commands.settings_of(job.where, repository)
        recorded = job.asked.recorded(settings, repository.top)
        wanted = replace(job.wanted, watch=seconds_of(settings.dora.watch, "dora: watch"))
        locked: list[str] = []
        if job.asked.lock_tags:
            locked.append(lock_tags(repository, read_refs(repository), settings.tag_pattern))
        measured, said, checked = measured_of(repository, wanted, settings, job.check, recorded, say)
        said = [*said, *locked]
        if job.check:
            said.append(f"verified: git says the same of {checked} random commits")
        measured, more = _guarded(job, repository, settings, measured, say)
        said += [*notes(measured), *more]
        causes = _causes(repository, settings, wanted, recorded, measured, said) if job.why else None
        if job.parquet is not None or job.devlake is not None:
            said += _exported(job, repository, settings, wanted, recorded)
    return Found(job.name, job.where, measured, said, settings, causes, component=job.wanted.component)


def by_component(job: Job, names: Sequence[str], *, every: bool) -> list[Job]:
    """Return a job for each component that was asked for, in the order of their names where it is `every` one.

    A repository that cannot be read, or that has none, stays one job: looking at it says why.
    """
    if every:
        try:
            with commands.opened(job.where) as repository:
                pattern = commands.settings_of(job.where, repository).tag_pattern
                names = sorted(components((tag.name for tag in read_refs(repository).tags), pattern))
        except BugsleError:
            names = ()
    return [
        replace(job, name=f"{job.name}/{name}", wanted=replace(job.wanted, component=name)) for name in names
    ] or [job]


def _guarded(
    job: Job, repository: Repository, settings: Settings, measured: Measured, say: Say
) -> tuple[Measured, list[str]]:
    """Join the failures to what is known of their fixes."""
    fixes = {failure.fix for failure in measured.failures if failure.fix is not None}
    if not fixes:
        return measured, []
    from pytest_bugsle import deliveries

    statuses = deliveries.known(repository, fixes)
    said: list[str] = []
    if job.asked.prove and (missing := fixes - statuses.keys()):
        from pytest_bugsle.runner.environment import choose_python

        request = commands.request_of(
            job.where,
            repository,
            settings,
            python=choose_python(repository.top, job.asked.python, os.environ),
            args=settings.pytest_args,
            say=say,
        )
        new, said = deliveries.proven(request, repository, missing, job.asked.budget)
        statuses |= new
    return replace(measured, failures=joined(measured.failures, statuses)), said


def _causes(
    repository: Repository,
    settings: Settings,
    wanted: Wanted,
    recorded: Recorded | None,
    measured: Measured,
    said: list[str],
) -> DeliveryCauses | None:
    from pytest_bugsle.delivery.changed import causes_of

    history, _ = deployed(repository, read_refs(repository), wanted, settings, recorded)
    from pytest_bugsle import deliveries

    try:
        found = causes_of(repository, history, wanted, measured.failures, settings.store)
        return replace(found, flaky_guards=deliveries.flaky_guards(repository, settings.store))
    except BugsleError as error:
        if not repository.is_partial():
            raise
        # The figures stand without them: only the causes need to know which files a commit changed.
        said.append(f"the causes are not known: {error}")
        return None


def _exported(
    job: Job, repository: Repository, settings: Settings, wanted: Wanted, recorded: Recorded | None
) -> list[str]:
    from pytest_bugsle.delivery.export import export

    whole = replace(wanted, start=0, end=None, szz=False)
    failures: list[Failure] = measured_of(repository, whole, settings, 0, recorded)[0].failures
    history, _ = deployed(repository, read_refs(repository), whole, settings, recorded)
    return export(repository, history, failures, job.name, job.parquet, job.devlake)
