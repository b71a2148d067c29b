"""The gate of one model: what can be asked of it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_bugsle.errors import HIDDEN, UsageError
from pytest_bugsle.results import ModelResult
from pytest_bugsle.robustness import (
    counterfactuals,
    fairness,
    other_kinds,
    predictions,
    refusals,
    repeating,
    replaying,
    reporting,
    slices,
)
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.arguments import (
    column_of,
    groups_of_people,
    number,
    plain,
    share,
    size,
    whole,
)
from pytest_bugsle.robustness.calling import Caller
from pytest_bugsle.robustness.edits import boxed, unboxed
from pytest_bugsle.robustness.inquiry import Inquiry
from pytest_bugsle.robustness.invariance import Asked, Judged, judge
from pytest_bugsle.robustness.judgement import Judgement
from pytest_bugsle.robustness.models import adapted
from pytest_bugsle.robustness.perturbations import Perturbation, chosen, groups_of, limits_of
from pytest_bugsle.robustness.predictions import Predictions
from pytest_bugsle.robustness.relations import Direction, Same
from pytest_bugsle.robustness.shrinking import Asking
from pytest_bugsle.robustness.variations import Valid

__tracebackhide__ = HIDDEN


class ModelGate(Inquiry):
    """May this model ship? Each call asks something; `results()` asks the model all of it together, once.

    `labels` are the right answers, where a judgement needs them; `training` are the examples whose spread and range
    perturbations of numbers are measured in. With `with` the model is asked at the end of the block.
    """

    # --- what can be asked ---------------------------------------------------------------------------

    def invariant(
        self,
        *perturbations: Any,
        max_flip_rate: float | Mapping[str, float] | None = None,
        score_tolerance: float | None = None,
        relative_tolerance: float = 0.0,
        variants: int = 1,
        valid: Valid | None = None,
    ) -> None:
        """Ask that the answer stays the same when the input is varied.

        Perturbations by name, family or nature, or as functions. `max_flip_rate` is one limit, or one for each nature;
        `variants` are tried of each example; `valid(before, after)` says which variations keep the meaning.
        """
        made = chosen(perturbations, self.task, self._other_kinds())
        asked = Asked(
            gate="invariant",
            perturbations=made,
            limits=limits_of(made, max_flip_rate),
            relation=Same(
                size("score_tolerance", score_tolerance),
                number("relative_tolerance", relative_tolerance, 0.0),
            ),
            seed=self.seed,
            variants=whole("variants", variants),
            valid=valid,
            groups=groups_of(made, perturbations, self.task),
            by_nature=max_flip_rate is None or isinstance(max_flip_rate, Mapping),
        )
        self._ask(lambda: self._variations(asked, "flips"))

    def directional(
        self,
        *perturbations: Any,
        lower_by: float | None = None,
        higher_by: float | None = None,
        target: Any = None,
        max_rate: float = 0.05,
        variants: int = 1,
        valid: Valid | None = None,
    ) -> None:
        """Ask that the score falls by at least `lower_by` (or rises by `higher_by`) when the input is varied.

        The score is the model's number, or that of the label `target`: without it, that of the example's own label.
        """
        if (lower_by is None) == (higher_by is None):
            raise UsageError(
                "a direction is either lower_by or higher_by.", hint="lower_by=0.1; 0 says that it may stay"
            )
        made = chosen(perturbations, None, self._other_kinds())
        asked = Asked(
            gate="directional",
            perturbations=made,
            limits=limits_of(made, share("max_rate", max_rate)),
            relation=Direction(
                None if lower_by is None else number("lower_by", lower_by),
                None if higher_by is None else number("higher_by", higher_by),
                plain(target),
            ),
            seed=self.seed,
            variants=whole("variants", variants),
            valid=valid,
        )
        verb = (
            "moves too little, or the wrong way, for" if lower_by or higher_by else "goes the wrong way for"
        )
        self._ask(lambda: self._variations(asked, verb))

    def deterministic(self, *, tolerance: float | None = None) -> None:
        """Ask the same again: a second time, in another order, in other batches, in another process."""
        size("tolerance", tolerance, example=1e-5)
        self._ask(lambda: self._again(tolerance))

    def calibrated(self, *, max_excess: float = 0.02, bins: int | None = None) -> None:
        """Ask that the model is as often right as it says."""
        number("max_excess", max_excess, example=0.02)
        if bins is not None:
            whole("bins", bins, example=10)
        self._predicted(
            "calibrated", lambda made: predictions.calibrated(made, max_excess=max_excess, bins=bins)
        )

    def confident_errors(
        self, *, threshold: float = 0.95, max_rate: float = 0.01, triaged: Collection[str] = ()
    ) -> None:
        """Ask that the model is hardly ever wrong where it is sure; each such error is a finding until it is triaged."""
        share("threshold", threshold, example=0.95)
        share("max_rate", max_rate)
        triaged = {triaged} if isinstance(triaged, str) else triaged
        self._predicted(
            "confident_errors",
            lambda made: predictions.confident_errors(
                made, threshold=threshold, max_rate=max_rate, triaged=triaged
            ),
        )

    def slices(
        self,
        names: Sequence[str] | None = None,
        *,
        columns: Mapping[str, Sequence[Any]] | None = None,
        depth: int = 2,
        fewest: int = slices.FEWEST,
        min_effect: float = slices.MIN_EFFECT,
    ) -> None:
        """Ask that no group of examples is wrong more often than the others; `columns` are your own groups.

        `names` are the dimensions to look at, by default all; with a `depth` of 2 pairs of them as well. A slice and
        its complement have `fewest` examples or more, and err by `min_effect` more.
        """
        own = {name: column_of(f"the column {name!r}", values) for name, values in (columns or {}).items()}
        for name, values in own.items():
            self._same_length(f"the column {name!r}", values)
        options = {
            "depth": whole("depth", depth),
            "fewest": whole("fewest", fewest),
            "min_effect": share("min_effect", min_effect),
        }
        wanted = [names] if isinstance(names, str) else names
        self._predicted(
            "slices",
            lambda made: predictions.weak_slices(
                made, wanted, self._kept(made, own if columns is not None else None), **options
            ),
        )

    def fair(
        self,
        groups: Sequence[Hashable],
        *,
        positive: Any = 1,
        max_gap: float = 0.05,
        metrics: Sequence[str] = fairness.METRICS,
        fewest: int = fairness.FEWEST,
    ) -> None:
        """Ask that groups get the same answers, and the same share of wrong ones, up to `max_gap`.

        What has no group (None, NaN) is one of its own. Of a group with fewer than `fewest` examples nothing is said.
        """
        people = groups_of_people(groups)
        self._same_length("groups", people)
        options = {
            "positive": plain(positive),
            "max_gap": share("max_gap", max_gap),
            "metrics": [metrics] if isinstance(metrics, str) else metrics,
            "fewest": whole("fewest", fewest),
        }

        def judged(made: Predictions) -> Judgement:
            kept = (self._kept(made, {"group": people}) or {})["group"]
            return predictions.fair(made, kept, **options)

        self._predicted("fair", judged, labelled=False)

    def counterfactual(
        self,
        *swapped: Any,
        templates: Sequence[str] | None = None,
        max_rate: float = 0.05,
        tolerance: float | None = None,
        variants: int = 1,
    ) -> None:
        """Ask that the answer stays when nothing but the group in a sentence is another one.

        `swapped` are words that fill the hole of each of the `templates` ("I am a {} person."), or perturbations of the
        examples: by name, made by `swaps` and `names`, or a table of words. Scores count with a `tolerance`. Limits and
        bounds are those of templates: all sentences of one are one observation.
        """
        share("max_rate", max_rate)
        size("tolerance", tolerance)
        made = counterfactuals.fillings(
            swapped,
            self.examples,
            [templates] if isinstance(templates, str) else templates,
            seed=self.seed,
            variants=whole("variants", variants),
        )

        def check() -> Asking[list[ModelResult]]:
            judged = yield from counterfactuals.judge(made, max_rate=max_rate, tolerance=tolerance)
            return self._result(judged, "counterfactual")

        self._ask(check)

    def refuses(self, *others: Any, too_long: int | None = None, empty: bool = False, **kinds: bool) -> None:
        """Ask that the model raises an error, and does not guess, on what it cannot judge.

        Kinds: empty, whitespace, too_long (characters), nan, infinite, none, wrong_type, columns; `others` are inputs
        of your own.
        """
        try:
            bad = refusals.bad_inputs(self.examples[0], empty=empty, too_long=too_long, **kinds)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"there is no such bad input: {error}",
                hint="empty, whitespace, too_long, nan, infinite, none, wrong_type, columns",
            ) from error
        wanted = {"empty": empty, "too_long": too_long, **kinds}
        impossible = [
            kind
            for kind, given in wanted.items()
            if given and not refusals.bad_inputs(self.examples[0], **{"empty": False, kind: given})  # type: ignore[arg-type]
        ]
        asked = [
            *bad,
            *(refusals.BadInput(f"your own ({number})", one) for number, one in enumerate(others, 1)),
        ]
        self._ask(lambda: self._refused(asked, impossible))

    def not_worse_than(self, model: Any, *, margin: float | None = None) -> None:
        """Ask that the model is not worse than another one, on the same examples."""
        self._labelled("not_worse_than")
        if margin is not None:
            share("margin", margin)
        other = Caller(adapted(model, batch=self._batch, classes=self._classes), timeout=self.caller.timeout)
        answered: dict[Hashable, Answer] = {}

        def judged(made: Predictions) -> Judgement:
            probes = [boxed(example) for example in made.examples]
            answered.update(other(probes))
            return predictions.not_worse_than(
                made, [answered[probe] for probe in probes], margin=margin, name=other.model.name
            )

        self._predicted("not_worse_than", judged)

    def _variations(self, asked: Asked, verb: str) -> Asking[list[ModelResult]]:
        judged = yield from judge(self.once, asked)
        return [
            reporting.of_variations(
                each,
                asked,
                model=self.model.name,
                test=self.test,
                saved=self._saved(each, asked),
                verb=verb,
            )
            for each in judged
        ]

    def _saved(self, judged: Judged, asked: Asked) -> str | None:
        if self._store is None or judged.smallest is None or judged.outcome == "pass":
            return None
        name = judged.varied.perturbation.name
        return replaying.save(
            self._store, judged.smallest, asked, name, model=self.model.name, test=self.test
        )

    def _again(self, tolerance: float | None) -> Asking[list[ModelResult]]:
        answers = yield tuple(self.once)
        made = Predictions(
            [unboxed(probe) for probe in self.once], [answers[probe] for probe in self.once], None, self.seed
        )
        ways = repeating.again(self.caller, self.once, seed=self.seed)
        other: list[Answer] | str = repeating.NOT_IMPORTABLE
        if self._spec is not None:
            other = repeating.elsewhere(
                self._spec,
                self.once,
                batch=self._batch,
                seed=self.seed,
                timeout=self.caller.timeout,
                classes=self.model.classes,
            )
        if not isinstance(other, str):
            ways["other process"] = other
        judgement = predictions.deterministic(made, ways, tolerance=tolerance)
        if isinstance(other, str):
            judgement = replace(
                judgement, message=(*judgement.message, f"  other process: not asked, {other}")
            )
        return self._result(judgement, "deterministic")

    def _refused(
        self, asked: Sequence[refusals.BadInput], impossible: Sequence[str]
    ) -> Asking[list[ModelResult]]:
        yield from ()
        attempts = []
        for each in asked:
            happened, detail = self.caller.attempt(each.value)
            attempts.append(refusals.Attempt(each.name, happened, detail))
        return self._result(refusals.refused(attempts, impossible), "refuses")

    def _other_kinds(self) -> Mapping[str, Perturbation] | None:
        return other_kinds.for_examples(self.examples, self._training)
