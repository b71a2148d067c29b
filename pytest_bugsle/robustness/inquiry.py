"""One model, its examples and what is to be asked of it: gathered, then asked together, once.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from typing import Any, Self

from pytest_bugsle.errors import HIDDEN, UndecidedError, UsageError
from pytest_bugsle.probes import drive
from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness import repeating, replaying, reporting
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.arguments import examples_of, labels_of, seconds, whole
from pytest_bugsle.robustness.calling import TIMEOUT, Caller
from pytest_bugsle.robustness.cases import CaseStore
from pytest_bugsle.robustness.edits import boxed
from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.robustness.models import adapted
from pytest_bugsle.robustness.predictions import Predictions
from pytest_bugsle.robustness.shrinking import Asking
from pytest_bugsle.robustness.variations import once

__tracebackhide__ = HIDDEN

Check = Callable[[], Asking[list[ModelResult]]]
Judge = Callable[[Predictions], Judgement]


class Inquiry:
    """A model, its examples, and the checks that wait to be asked; `results()` asks all of them together."""

    def __init__(
        self,
        model: Any,
        examples: Sequence[Any],
        labels: Sequence[Any] | None = None,
        *,
        seed: int = 0,
        batch: bool | int = False,
        task: str | None = None,
        classes: Sequence[Any] | None = None,
        training: Sequence[Any] | None = None,
        timeout: float | None = TIMEOUT,
        name: str = "",
        spec: str | None = None,
        test: str = "",
        store: CaseStore | None = None,
    ) -> None:
        self.model = adapted(model, batch=batch, classes=classes, name=name)
        self.examples = examples_of(examples)
        if not self.examples:
            raise UsageError(
                "there are no examples.",
                why="a gate that judges nothing is no gate",
                hint="robustness(model, texts)",
            )
        self.labels = None if labels is None else labels_of(labels)
        self._same_length("labels", self.labels)
        self.seed = whole("seed", seed, -(2**63), example=0)
        self.task = task
        self.test = test
        self.once = once(self.examples)
        self.caller = Caller(self.model, timeout=seconds("timeout", timeout))
        self._spec = spec or repeating.importable(model)
        self._batch = batch
        self._classes = classes
        self._training = None if training is None else examples_of(training)
        self._store = store
        self._checks: list[Check] = []
        self._results: list[ModelResult] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self.results()

    @property
    def is_idle(self) -> bool:
        """Say whether nothing was asked, and nothing waits to be."""
        return not self._checks and not self._results

    @property
    def judged(self) -> list[ModelResult]:
        """Return the results so far; the model is asked nothing."""
        return self._results

    def results(self) -> list[ModelResult]:
        """Ask the model what was not asked yet, and return all results so far."""
        if self._checks:
            checks, self._checks = self._checks, []
            if not self._results:
                checks = [self._replayed, self._raising, *checks]
            judges: dict[
                int, Generator[tuple[Hashable, ...], Mapping[Hashable, Answer], list[ModelResult]]
            ] = {number: check() for number, check in enumerate(checks)}
            try:
                made = drive(judges, self.caller)
            except UndecidedError as error:
                self._results.append(reporting.of_silence(error, model=self.model.name, test=self.test))
            else:
                self._results += [result for each in made.values() for result in each or ()]
        return self._results

    def close(self) -> None:
        """Take no further question: the test that the gate belongs to is over, and nobody would ask the model."""
        self._closed = True

    def _ask(self, check: Check) -> None:
        if self._closed:
            raise UsageError(
                f"this gate belongs to {self.test or 'a test'}, which is over.",
                why="what it is asked now is never judged, and the test would be green for no reason",
                hint="make the gate in the test that asks it: robustness(model, …)",
            )
        self._checks.append(check)

    def message(self) -> str:
        """Return what is said of the results so far, with the counts of what was asked."""
        calls = "1 call" if self.caller.calls == 1 else f"{self.caller.calls:,} calls"
        lines = [result.message for result in self._results]
        if any(result.saved for result in self._results):
            lines.append(reporting.SAVED)
        return "\n".join(
            [*lines, f"{self.model.name}: {self.caller.inputs:,} inputs in {calls}, seed {self.seed}"]
        )

    def _replayed(self) -> Asking[list[ModelResult]]:
        """Ask the saved cases again."""
        if self._store is None:
            return []
        replayed, lost, said = yield from replaying.replay(self._store)
        lost = [*lost, *self._store.orphans()]
        if not replayed and not lost and not said:
            return []
        return [reporting.of_replay(replayed, said, lost, model=self.model.name, test=self.test)]

    def _raising(self) -> Asking[list[ModelResult]]:
        """Ask all examples; those on which the model raises make a result of their own."""
        answers = yield tuple(self.once)
        raising = [(probe, answers[probe].error) for probe in self.once if answers[probe].error]
        if not raising:
            return []
        return [reporting.of_raising(raising, len(self.once), model=self.model.name, test=self.test)]

    def _predictions(self) -> Asking[Predictions]:
        probes = [boxed(example) for example in self.examples]
        answers = yield tuple(probes)
        kept = [place for place, probe in enumerate(probes) if not answers[probe].error]
        return Predictions(
            [self.examples[place] for place in kept],
            [answers[probes[place]] for place in kept],
            None if self.labels is None else [self.labels[place] for place in kept],
            self.seed,
            kept,
        )

    def _predicted(self, gate: str, judged: Judge, *, labelled: bool = True) -> None:
        if labelled:
            self._labelled(gate)

        def check() -> Asking[list[ModelResult]]:
            made = yield from self._predictions()
            try:
                return self._result(judged(made), gate)
            except ValueError as error:
                raise UsageError(
                    f"{gate}: {error}", hint="mend the argument, or the labels and groups that were given"
                ) from error

        self._ask(check)

    def _result(self, judgement: Judgement, gate: str) -> list[ModelResult]:
        return [reporting.of_judgement(judgement, gate, model=self.model.name, test=self.test)]

    def _labelled(self, gate: str) -> None:
        if self.labels is None:
            raise UsageError(
                f"{gate} needs the right answers.", why="without them no answer is wrong", hint="labels=[…]"
            )

    def _same_length(self, what: str, values: Sequence[Any] | None) -> None:
        if values is not None and len(values) != len(self.examples):
            raise UsageError(
                f"{what}: there are {len(values):,} for {len(self.examples):,} examples.",
                why="which belongs to which example cannot be said",
                hint="give one for each example, in their order",
            )

    @staticmethod
    def _kept(made: Predictions, columns: Mapping[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        """Return columns without the examples on which the model raises."""
        if columns is None:
            return None
        return {name: [values[place] for place in made.places] for name, values in columns.items()}
