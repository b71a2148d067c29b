"""Answer the probes of the judges: in forks of one collected pytest, or in clean processes side by side.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_bugsle.flaky.gather import Ground
    from pytest_bugsle.flaky.search import Probe
    from pytest_bugsle.runner.outcome import Ran
    from pytest_bugsle.runner.sequences import Sequences, World


_SIDE_BY_SIDE = 4
"""Clean processes at once: as many as one answer takes; on fewer than three processors, one on each.

On two, four at once took 3 % longer than two and two, and three and one 9 %.
"""


class Prober:
    """Runs each probe once; clean processes that run side by side have a copy of the tree each."""

    def __init__(self, sequences: Sequences, lay: Callable[[int], Ground]) -> None:
        """`lay` makes the copy of the tree with a number; 0 is that of the forks."""
        self.sequences = sequences
        self._lay = lay
        self._laid = 0
        self._free: list[Ground] = []
        processors = os.cpu_count() or 1
        self._wide = processors if processors < 3 else _SIDE_BY_SIDE
        self.clean_seconds = 0.0
        self._answers: dict[Probe, Ran] = {}
        self._lock = threading.Lock()

    def run_all(self, probes: Sequence[Probe]) -> Mapping[Probe, Ran]:
        """Answer a batch: clean processes side by side where that is allowed; out of time, nothing."""
        clean = [probe for probe in probes if probe.apart]
        answers = {probe: self.run(probe) for probe in probes if not probe.apart}
        began = time.monotonic()
        with ThreadPoolExecutor(self._wide) as threads:
            beside = [probe for probe in clean if probe.beside]
            answers.update(zip(beside, threads.map(self.run, beside), strict=True))
        answers.update((probe, self.run(probe)) for probe in clean if not probe.beside)
        self.clean_seconds += time.monotonic() - began
        return {probe: ran for probe, ran in answers.items() if ran.ended != "budget"}

    def run(self, probe: Probe) -> Ran:
        """Answer one probe; the same probe is run once."""
        known = self._answers.get(probe)
        if known is not None:
            return known
        if probe.apart or not self.sequences.forks:
            ran = self.run_apart(probe.tests)
        else:
            ran = self.sequences.run(probe.tests, hold=probe.hold)
        if ran.ended != "budget":
            self._answers[probe] = ran
        return ran

    def run_apart(
        self, tests: Sequence[int], environ: Mapping[str, str] | None = None, world: World = ()
    ) -> Ran:
        """Run tests in a clean process, over a copy of the tree that no other process uses meanwhile."""
        with self._lock:
            if not self._free:
                self._laid += 1
                self._free.append(self._lay(self._laid))
            ground = self._free.pop()
        try:
            return self.sequences.apart(tests, ground.where, environ, world)
        finally:
            with self._lock:
                ground.tidy()
                self._free.append(ground)
