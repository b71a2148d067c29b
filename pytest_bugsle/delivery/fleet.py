"""Look at one repository or at thousands, several at a time; one that fails is named and stops no other.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from pytest_bugsle.delivery.figures import Measured, Wanted
from pytest_bugsle.delivery.options import Asked
from pytest_bugsle.errors import BugsleError, ExitCode, UndecidedError
from pytest_bugsle.results import DeliveryCauses
from pytest_bugsle.settings import Settings

#: Fewer are read one after the other: a process of its own takes longer to begin than most take to read.
LEAST_FOR_A_POOL = 4

Say = Callable[[str], object]


class Job(msgspec.Struct, frozen=True):
    """One repository to look at, as plain values that another process can be given."""

    name: str
    where: Path
    wanted: Wanted
    asked: Asked = Asked()
    check: int = 0
    why: bool = False
    parquet: Path | None = None
    devlake: Path | None = None


class Found(msgspec.Struct, frozen=True):
    """What was found there; without `measured`, `error` says why not and `code` what that means."""

    name: str
    where: Path
    measured: Measured | None = None
    notes: list[str] = []
    settings: Settings = Settings()
    causes: DeliveryCauses | None = None
    error: str = ""
    code: int = 0
    component: str | None = None


Look = Callable[[Job, Say], Found]


def caught(look: Look, job: Job, say: Say = lambda text: None, *, alone: bool = False) -> Found:
    """Look at one repository; errors become values, but where it is `alone` only what is undecided does."""
    try:
        return look(job, say)
    except BugsleError as error:
        if alone and not isinstance(error, UndecidedError):
            raise
        return Found(job.name, job.where, error=str(error), code=int(error.exit_code))
    except Exception as error:  # of thousands of histories one may be stranger than we thought of
        if alone:
            raise
        text = f"{type(error).__name__}: {error}"
        return Found(job.name, job.where, error=text, code=int(ExitCode.PROGRAM))


def look_at_all(
    look: Look, jobs: Sequence[Job], workers: int | None = None, say: Say = lambda text: None
) -> Iterator[Found]:
    """Yield what `look` finds of each, in the order of the jobs; `say` is told what is being read.

    `look` is a function of a module, which another process can import.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if len(jobs) < LEAST_FOR_A_POOL or workers < 2:
        for job in jobs:
            say(f"reading the history of {job.name} …")
            yield caught(look, job, say, alone=len(jobs) == 1)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # A forked child would hold what other threads of this process had locked.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(caught, look, job) for job in jobs]
        try:
            for number, (job, future) in enumerate(zip(jobs, futures, strict=True)):
                say(f"{number} of {len(jobs)} repositories read; reading {job.name} …")
                try:
                    yield future.result()
                except BrokenProcessPool:
                    text = "its process ended before it was read; --jobs 1 reads one after the other"
                    yield Found(job.name, job.where, error=text, code=int(ExitCode.PROGRAM))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
