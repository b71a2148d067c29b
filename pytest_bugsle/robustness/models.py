"""One face for all kinds of models: a list of inputs in, a list of answers out.  PYTEST_DONT_REWRITE

A kind is known by what a model can do (duck typing); nothing is imported for it but what the model brings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_bugsle.errors import HIDDEN, UsageError
from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.robustness.arguments import plain, whole

__tracebackhide__ = HIDDEN

BATCH = 256
"""Inputs a call, where a model takes many and nothing else is said."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as we call it: `ask` takes at most `batch` inputs and returns as many raw answers.

    `classes` are the labels of a row of scores.
    """

    name: str
    ask: Callable[[list[Any]], Any]
    batch: int
    classes: Sequence[Any] | None = None


def adapted(
    model: Any, *, batch: bool | int | None = False, classes: Sequence[Any] | None = None, name: str = ""
) -> Model:
    """Return the model behind one face; UsageError for what is none.

    `batch` is said, not guessed: a plain callable takes one input, with True a list of at most BATCH, with a
    number a list of at most so many. What always takes lists (estimators, sessions, modules, pipelines, a URL)
    does so without a word.
    """
    if isinstance(model, Model):
        return model
    size = BATCH if batch is True or batch is False or batch is None else whole("batch", batch, example=32)
    classes = None if classes is None else _named_once([plain(each) for each in classes])
    called = for_terminal(name or _name_of(model))
    if isinstance(model, str):
        from pytest_bugsle.robustness.endpoint import Endpoint

        model = Endpoint(model)
    if hasattr(model, "ask_endpoint"):
        return Model(model.url, model.ask_endpoint, min(size, model.batch), classes or model.classes)
    if hasattr(model, "state_dict") and hasattr(model, "parameters") and callable(model):
        return Model(called, _torch(model), size, classes)
    if hasattr(model, "run") and hasattr(model, "get_inputs") and hasattr(model, "get_outputs"):
        return Model(called, _onnx(model), size, classes)
    if callable(model) and hasattr(model, "task") and hasattr(model, "preprocess"):
        return Model(called, _pipeline(model, size), size, classes)
    if hasattr(model, "predict"):
        return Model(called, _estimator(model), size, classes or _classes_of(model))
    if not callable(model):
        raise UsageError(
            f"{type(model).__name__} is no model: it can neither be called nor has it `predict`.",
            hint="a function of one input, of a list with batch=True, an estimator, a session, or a URL",
        )
    if batch is False or batch is None:
        return Model(called, lambda inputs: [model(each) for each in inputs], 1, classes)
    return Model(called, model, size, classes)


def _name_of(model: Any) -> str:
    if isinstance(model, str):
        return model
    return getattr(model, "__qualname__", type(model).__qualname__).replace("<locals>.", "")


def _named_once(classes: list[Any]) -> list[Any]:
    twice = next((name for place, name in enumerate(classes) if name in classes[:place]), None)
    if twice is not None:
        raise UsageError(f"classes has {twice!r} twice.", hint="a name for each column of scores")
    return classes


def _classes_of(model: Any) -> list[Any] | None:
    found = getattr(model, "classes_", None)
    # Of several outputs each has classes of its own, which name no row of scores.
    if found is None or any(getattr(each, "shape", ()) != () for each in found):
        return None
    return [plain(each) for each in found]


def _table(inputs: list[Any]) -> Any:
    """Return inputs as an estimator wants them: texts as a list, rows as an array, mappings as a data frame."""
    if isinstance(inputs[0], str):
        return inputs
    if isinstance(inputs[0], dict):
        import pandas as pd

        return pd.DataFrame(inputs)
    import numpy as np

    return np.asarray(inputs)


def _estimator(model: Any) -> Callable[[list[Any]], Any]:
    def ask(inputs: list[Any]) -> Any:
        table = _table(inputs)
        # An SVC without `probability` has the method and raises AttributeError when it is looked up.
        if getattr(model, "predict_proba", None) is None or _classes_of(model) is None:
            made = model.predict(table)
            many = made.shape[1] if getattr(made, "ndim", 1) == 2 else 1
            if many > 1:
                raise UsageError(
                    f"the estimator gives {many} answers to each input.",
                    why="which of them must hold is yours to say",
                    hint="robustness(lambda rows: model.predict(rows)[:, 0], …, batch=True)",
                )
            return made
        return model.predict_proba(table)

    return ask


def _torch(model: Any) -> Callable[[list[Any]], Any]:
    def ask(inputs: list[Any]) -> Any:
        import torch

        # Part of a module may be in another mode than the whole, a frozen normalisation for one.
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            with torch.inference_mode():
                parameter = next(model.parameters(), None)
                stacked = torch.stack([torch.as_tensor(each) for each in inputs])
                if parameter is not None:
                    stacked = stacked.to(parameter.device)
                    if stacked.is_floating_point():
                        stacked = stacked.to(parameter.dtype)
                out = model(stacked)
        finally:
            for module, training in modes:
                module.training = training
        return out.detach().cpu().numpy()

    return ask


def _onnx(session: Any) -> Callable[[list[Any]], Any]:
    wanted = session.get_inputs()
    outputs = [each.name for each in session.get_outputs()]
    if len(wanted) != 1:
        raise UsageError(
            f"the session takes {len(wanted)} inputs.",
            why="which part of an example goes where is not known",
            hint="wrap it: robustness(lambda inputs: session.run(None, {…})[0], …, batch=True)",
        )

    def ask(inputs: list[Any]) -> Any:
        import numpy as np

        types = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}
        dtype = types.get(wanted[0].type)
        array = np.asarray(inputs, dtype=dtype) if dtype else np.asarray(inputs, dtype=object)
        if wanted[0].type == "tensor(string)" and array.ndim < len(wanted[0].shape or ()):
            array = array.reshape(-1, 1)
        made = session.run(outputs, {wanted[0].name: array})
        # Converted classifiers answer (labels, scores): the latter say more.
        return made[-1]

    return ask


def _pipeline(model: Any, size: int) -> Callable[[list[Any]], Any]:
    def ask(inputs: list[Any]) -> Any:
        return model(inputs, batch_size=size)

    return ask
