"""Answer the probes of the judges: in forks of one collected pytest, or in clean processes side by side.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_bugsle.flaky.gather import Ground
    from pytest_bugsle.flaky.search import Probe
    from pytest_bugsle.runner.outcome import Ran
    from pytest_bugsle.runner.sequences import Sequences


class Prober:
    """Runs each probe once; clean processes have a copy of the tree each, from `grounds`."""

    def __init__(self, sequences: Sequences, grounds: Sequence[Ground]) -> None:
        self.sequences = sequences
        self._free = list(grounds)
        self._wide = len(grounds)
        self._answers: dict[Probe, Ran] = {}
        self._lock = threading.Lock()

    def run_all(self, probes: Sequence[Probe]) -> Mapping[Probe, Ran]:
        """Answer a batch: forks one after the other, clean processes side by side; out of time, nothing."""
        apart = [probe for probe in probes if probe.apart or not self.sequences.forks]
        answers = {probe: self.run(probe) for probe in probes if probe not in apart}
        if len(apart) > 1 and self._wide > 1:
            with ThreadPoolExecutor(self._wide) as threads:
                answers.update(zip(apart, threads.map(self.run, apart), strict=True))
        else:
            answers.update((probe, self.run(probe)) for probe in apart)
        return {probe: ran for probe, ran in answers.items() if ran.ended != "budget"}

    def run(self, probe: Probe) -> Ran:
        """Answer one probe; the same probe is run once."""
        known = self._answers.get(probe)
        if known is not None:
            return known
        if probe.apart or not self.sequences.forks:
            with self._lock:
                ground = self._free.pop()
            try:
                ran = self.sequences.apart(probe.tests, ground.where)
            finally:
                with self._lock:
                    ground.tidy()
                    self._free.append(ground)
        else:
            ran = self.sequences.run(probe.tests, hold=probe.hold)
        if ran.ended != "budget":
            self._answers[probe] = ran
        return ran
