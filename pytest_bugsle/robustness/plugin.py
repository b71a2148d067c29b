"""The fixture `robustness`: a model is asked at its test's end, all questions together.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from pytest_bugsle.errors import UsageError
from pytest_bugsle.findings import Level
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness.cases import CaseStore
from pytest_bugsle.robustness.gates import ModelGate
from pytest_bugsle.robustness.verdict import findings_of
from pytest_bugsle.settings import CASES, is_ci, repository_top, settings_at
from pytest_bugsle.settling import settling
from pytest_bugsle.store.place import state_folder

ATTRIBUTE = "bugsle_models"
_PLUGIN = "bugsle_model_gates"
TITLE = "model gate"


class Robustness:
    """Makes the gates of one test: `gate = robustness(model, examples)`."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.gates: list[ModelGate] = []
        self._levels: Mapping[str, Level] = {}

    def __call__(
        self, model: Any, examples: Sequence[Any], labels: Sequence[Any] | None = None, **options: Any
    ) -> ModelGate:
        """Return the gate of a model; the options are those of ModelGate."""
        __tracebackhide__ = True
        config = self._request.config
        test = self._request.node.nodeid
        top = repository_top(config.rootpath)
        store = CaseStore(
            test,
            local=state_folder(top, bare=False),
            committed=top / CASES,
            top=config.rootpath,
        )
        gate = ModelGate(model, examples, labels, test=test, store=store, **options)
        self.gates.append(gate)
        return gate

    def finish(self) -> None:
        """Ask each model what was not asked yet."""
        if not self.gates or any(gate.is_idle for gate in self.gates):
            raise UsageError(
                "nothing is asked of the model.",
                why="a gate that judges nothing is green for no reason",
                hint='robustness(model, texts).invariant("case"), or another question',
            )
        for gate in self.gates:
            gate.results()
            gate.close()
        if any(result.outcome == "pass" and result.findings for result in self.results()):
            start = self._request.config.rootpath
            self._levels = settings_at(start, repository_top(start), os.environ).rules

    def results(self) -> list[ModelResult]:
        """Return what was judged so far."""
        return [result for gate in self.gates for result in gate.judged]

    def failure(self) -> str:
        """Return what fails the test, with all that was judged."""
        wrong = [(name_of(result), wrong_with(result, self._levels)) for result in self.results()]
        names = ", ".join(for_terminal(f"{name} {said}") for name, said in wrong if said)
        return f"{TITLE}: {names}\n{self.message()}" if names else ""

    def message(self) -> str:
        """Return what is said of all that was judged."""
        return "\n".join(gate.message() for gate in self.gates if gate.judged)

    def carried(self) -> list[object]:
        """Return the results as texts of ASCII: what carries reports between processes knows no lone surrogates."""
        return [json.dumps(msgspec.to_builtins(result)) for result in self.results()]

    def properties(self) -> list[tuple[str, str]]:
        """Return a property for each result."""
        return [("bugsle_model", result.message.partition("\n")[0]) for result in self.results()]


def name_of(result: ModelResult) -> str:
    """Return what a result is called."""
    return result.perturbation or result.gate


def wrong_with(result: ModelResult, levels: Mapping[str, Level]) -> str:
    """Return what fails the test of a result: its outcome, or the rules whose findings are errors; empty for nothing.

    A rate may be within its limit, and what makes it up is to be looked at all the same.
    """
    if not result.decides:
        return ""
    if result.outcome != "pass":
        return result.outcome
    found = findings_of([result], levels, ci=is_ci(os.environ))
    return ", ".join(dict.fromkeys(each.rule for each in found if each.level == "error"))


def robustness_of(request: pytest.FixtureRequest) -> Robustness:
    """Return what makes the gates of one test; from the first on, this session's tests are settled at their end."""
    made = Robustness(request)
    settling(request.config, _PLUGIN, TITLE, ATTRIBUTE).settle(request.node, made)
    return made


def results_of(carried: Sequence[object]) -> list[ModelResult]:
    """Return the results that a report carried."""
    return [msgspec.convert(json.loads(str(each)), ModelResult) for each in carried]
