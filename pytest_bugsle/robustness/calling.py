"""Ask a model in batches: each input once, answers in order, one bad input found and named.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Literal

from pytest_bugsle.errors import ProgramError, UndecidedError, UsageError
from pytest_bugsle.robustness.answers import NO_ANSWER, Answer, NoAnswer, NotFinite, read, shortened, told
from pytest_bugsle.robustness.arguments import rows_of
from pytest_bugsle.robustness.edits import unboxed
from pytest_bugsle.robustness.models import Model

TIMEOUT = 60.0
"""Seconds for one call of a model."""

_MOST_BAD_AT_FIRST = 4
"""Inputs on which a model may raise before it has answered any."""


class Caller:
    """Asks a model, and remembers what it said: an input is asked once.

    It remembers as long as it lives, which is one gate: between two tests a model may be fitted anew.
    """

    def __init__(self, model: Model, *, timeout: float | None = TIMEOUT) -> None:
        self.model = model
        self.timeout = timeout
        self.inputs = 0
        self.calls = 0
        self._known: dict[Hashable, Answer] = {}
        self._bad = 0
        self._good = 0
        self._asked: list[Any] = []
        self._left = False

    def __call__(self, probes: Sequence[Hashable]) -> Mapping[Hashable, Answer]:
        """Return the answer to each probe; ProgramError or UsageError where the model cannot be asked at all."""
        new = [probe for probe in dict.fromkeys(probes) if probe not in self._known]
        for probe, answer in zip(new, self.fresh(new), strict=True):
            self._known[probe] = answer
        return {probe: self._known[probe] for probe in probes}

    def fresh(self, probes: Sequence[Hashable], batch: int | None = None) -> list[Answer]:
        """Ask, whatever is remembered, and remember nothing; `batch` is another size of the batches."""
        size = min(batch or self.model.batch, self.model.batch)
        values = [unboxed(probe) for probe in probes]
        made: list[Answer] = []

        def ask_all() -> None:
            for start in range(0, len(values), size):
                made.extend(self._batch(values[start : start + size]))

        if values:
            self._watched(ask_all)
        return made

    def attempt(self, value: Any) -> tuple[Literal["raised", "answered", "timed out"], str]:
        """Ask one input alone and return what happened, with the error's type or the answer as text."""
        happened: list[tuple[Literal["raised", "answered"], str]] = []

        def ask() -> None:
            self.calls += 1
            self.inputs += 1
            self._asked = [value]
            try:
                raw = self.model.ask([_own(value)])
            except (Exception, SystemExit) as error:  # noqa: BLE001  # that is what is wanted of it
                happened.append(("raised", type(error).__name__))
            else:
                given = raw.tolist() if hasattr(raw, "tolist") else raw
                alone = given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
                happened.append(("answered", shortened(repr(alone))))

        try:
            self._watched(ask)
        except UndecidedError:
            self._left = False
            return "timed out", f"{self.timeout:g} s"
        return happened[0]

    def _batch(self, inputs: list[Any]) -> list[Answer]:
        if self._left:
            raise UndecidedError(f"the model {self.model.name} is no longer asked.")
        self._asked = inputs
        self.calls += 1
        self.inputs += len(inputs)
        try:
            # Copies, for a model may scale an array in place, or take its inputs off the list.
            raw = self.model.ask([_own(each) for each in inputs])
        except (ProgramError, UsageError, UndecidedError):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a stranger's model raises
            if len(inputs) == 1:
                return [self._raised(inputs[0], error)]
            middle = len(inputs) // 2
            return [*self._batch(inputs[:middle]), *self._batch(inputs[middle:])]
        return self._read(raw, inputs)

    def _watched(self, ask_all: Callable[[], None]) -> None:
        """Ask in a thread of its own; UndecidedError, naming the inputs, where no call ends within the limit.

        A call that hangs cannot be ended from outside: its thread is left behind, as a daemon.
        """
        if self.timeout is None:
            ask_all()
            return
        ended = threading.Event()
        raised: list[BaseException] = []
        context = contextvars.copy_context()

        def work() -> None:
            try:
                context.run(ask_all)
            except BaseException as error:  # noqa: BLE001  # it is raised where it was asked for
                raised.append(error)
            finally:
                ended.set()

        threading.Thread(target=work, name="bugsle-model", daemon=True).start()
        seen = -1
        try:
            while not ended.wait(self.timeout) and self.calls != seen:
                seen = self.calls
        finally:
            self._left = not ended.is_set()
        if self._left:
            raise self._hangs()
        if raised:
            raise raised[0]

    def _hangs(self) -> UndecidedError:
        return UndecidedError(
            f"the model {self.model.name} did not answer within {self.timeout:g} s.",
            why=f"asked was {_named(self._asked)}; the call cannot be ended and runs on until this process does",
            hint="timeout= (--timeout) is the limit for one call, in seconds; timeout=None waits for ever",
        )

    def _raised(self, value: Any, error: BaseException) -> Answer:
        self._bad += 1
        said = f"{NO_ANSWER}: {error}" if isinstance(error, NotFinite) else told(error)
        if not self._good and self._bad > _MOST_BAD_AT_FIRST:
            raise ProgramError(
                f"the model {self.model.name} has no answer to any of the first {self._bad} inputs: {said}",
                why=f"the last one was {_named([value])}",
                hint="call the model with that input; batch=True (--batch) says that it takes a list",
            ) from error
        return Answer(error=said)

    def _read(self, raw: Any, inputs: list[Any]) -> list[Answer]:
        if hasattr(raw, "detach"):
            raw = raw.detach().cpu().numpy()
        if hasattr(raw, "columns") and hasattr(raw, "__len__"):
            raw = rows_of("the answers", raw)
        if isinstance(raw, str | bytes | Mapping | set | frozenset) or not hasattr(raw, "__len__"):
            raise UsageError(
                f"the model {self.model.name} answered {type(raw).__name__} to a list of {len(inputs)} inputs.",
                why="an answer for each input, in their order, is needed",
                hint="return a list; without batch=True a model is asked one input at a time",
            )
        if len(raw) != len(inputs):
            raise UsageError(
                f"the model {self.model.name} gave {len(raw)} answers to {len(inputs)} inputs.",
                why="which answer belongs to which input cannot be said",
                hint="return an answer for each input, in their order",
            )
        if hasattr(raw, "tolist"):
            raw = raw.tolist()
        return [self._one(each, value) for each, value in zip(raw, inputs, strict=True)]

    def _one(self, raw: Any, value: Any) -> Answer:
        try:
            answer = read(raw, self.model.classes)
        except NotFinite as error:
            return self._raised(value, error)
        except (NoAnswer, TypeError, ValueError) as error:
            raise UsageError(
                f"the model {self.model.name} does not answer to {_named([value])}: {error}.",
                hint="a label, a number, scores by label, or {'label': …, 'score': …}",
            ) from error
        self._good += 1
        return answer


def _own(value: Any) -> Any:
    """Return a copy that a model may change; the value itself where it cannot be changed, or not be copied."""
    if isinstance(value, str | bytes | int | float | None):
        return value
    try:
        return deepcopy(value)
    except Exception:  # noqa: BLE001  # whatever a stranger's object raises
        return value


def _named(inputs: Sequence[Any]) -> str:
    if not inputs:
        return "nothing"
    first = shortened(repr(inputs[0]), 80)
    return first if len(inputs) == 1 else f"{len(inputs)} inputs, the first of them {first}"
