"""A failing variation is shrunk to one of which no edit can be left out, in few batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.probes import drive
from pytest_bugsle.robustness import shrinking
from pytest_bugsle.robustness.answers import Answer
from pytest_bugsle.robustness.edits import boxed
from pytest_bugsle.robustness.shrinking import shrink, together
from pytest_bugsle.robustness.variations import Variation


class Model:
    """Fails by a condition on which edits are there, and counts what it is asked."""

    def __init__(self, fails: Callable[[set[int]], bool]) -> None:
        self.fails = fails
        self.calls = 0
        self.inputs = 0

    def __call__(self, probes: Sequence[Hashable]) -> Mapping[Hashable, Answer]:
        """Answer by the words in capitals."""
        self.calls += 1
        self.inputs += len(probes)
        made = {}
        for probe in probes:
            there = {number for number, word in enumerate(str(probe).split()) if word == "X"}
            made[probe] = Answer(label="wrong" if self.fails(there) else "right")
        return made


def variation(many: int) -> Variation:
    """Return a text of x, each turned into X by an edit of its own."""
    text = " ".join("x" * many)
    edits = tuple((2 * number, 2 * number + 1, "X") for number in range(many))
    return Variation(text, text.upper(), edits)


def left(made: Variation | None) -> set[int]:
    """Return which edits are left."""
    assert made is not None
    return {edit[0] // 2 for edit in made.edits}


def wrong(answer: Answer) -> bool:
    """Say whether an answer fails."""
    return answer.label == "wrong"


@given(st.integers(1, 70), st.data())
def test_what_is_needed_is_left_and_nothing_else(many: int, data: st.DataObject) -> None:
    """Where a conjunction fails, it is found as it is."""
    needed = data.draw(st.sets(st.integers(0, many - 1), min_size=1, max_size=4))
    model = Model(lambda there: needed <= there)
    made = drive({0: shrink(variation(many), wrong)}, model)[0]
    assert left(made) == needed
    assert made is not None and made.after == made.part(made.edits)


@given(st.integers(1, 40), st.integers(1, 2**40))
def test_whatever_fails_is_one_minimal(many: int, mask: int) -> None:
    """Also where more edits may pass again."""

    def fails(there: set[int]) -> bool:
        return len(there) == many or hash((mask, frozenset(there))) % 3 == 0

    made = left(drive({0: shrink(variation(many), wrong)}, Model(fails))[0])
    assert fails(made)
    assert len(made) == 1 or not any(fails(made - {each}) for each in made)


def test_one_edit_of_a_few_takes_one_batch() -> None:
    """And one of many a logarithm of them."""
    few = Model(lambda there: 7 in there)
    drive({0: shrink(variation(20), wrong)}, few)
    assert few.calls == 1
    many = Model(lambda there: 777 in there)
    drive({0: shrink(variation(1024), wrong)}, many)
    assert many.calls <= 1 + math.log2(1024)


def test_failures_are_shrunk_side_by_side() -> None:
    """What all of them ask is asked at once."""
    model = Model(lambda there: {1, 5} <= there)

    def judge() -> shrinking.Asking[list[Variation]]:
        return (yield from together([shrink(variation(many), wrong) for many in (6, 9, 12)]))

    made = drive({0: judge()}, model)[0]
    assert made is not None and [left(each) for each in made] == [{1, 5}] * 3
    alone = Model(lambda there: {1, 5} <= there)
    drive({0: shrink(variation(12), wrong)}, alone)
    assert model.calls == alone.calls


def test_a_variation_as_long_as_a_book_is_left_in_the_end() -> None:
    """Smaller than it was, if not as small as can be."""
    needed = set(range(0, 20_000, 4_000))
    model = Model(lambda there: needed <= there)
    made = drive({0: shrink(variation(20_000), wrong)}, model)[0]
    assert needed <= left(made) and len(left(made)) <= 20_000


def test_rows_are_shrunk_by_their_fields() -> None:
    """As texts are by their words."""
    row = dict.fromkeys("abcdef", 0)
    edits = tuple((key, 9) for key in row)

    def run(probes: Sequence[Hashable]) -> Mapping[Hashable, Answer]:
        return {probe: Answer(label="wrong" if probe.value["d"] else "right") for probe in probes}  # type: ignore[attr-defined]

    made = drive({0: shrink(Variation(boxed(row), boxed(dict.fromkeys(row, 9)), edits), wrong)}, run)[0]
    assert made is not None and made.edits == (("d", 9),)
