"""Changed arrays stay arrays: of their shape, kind and range."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from chances import seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.robustness import array_edits
from pytest_bugsle.robustness.array_edits import Values, values_of

IMAGE = [[0, 0, 0], [0, 16, 8], [0, 4, 0]]
VALUES = Values(0, 16, 5.0, True)
EDITS = [
    array_edits.shift,
    array_edits.noise,
    array_edits.brightness,
    array_edits.contrast,
    array_edits.blur,
    array_edits.one_pixel,
    array_edits.float32,
]

images = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 16), min_size=width, max_size=width), min_size=1, max_size=4
    )
)


def test_values_are_those_of_all_arrays() -> None:
    """Their moments are merged; what is not finite is left out."""
    found = values_of([[0.5, 1.5], [[2.5, float("nan")], [3.5, float("inf")]]])
    assert (found.low, found.high, found.whole) == (0.5, 3.5, False)
    assert found.spread == pytest.approx(math.sqrt(5 / 3))
    assert values_of([[1, 2], []]).whole
    with pytest.raises(ValueError, match=r"no finite value in any array\."):
        values_of([[]])


@settings(max_examples=150, deadline=None)
@given(images, st.integers(0, 1000), st.sampled_from(EDITS))
def test_a_changed_image_has_the_shape_and_range(
    image: list[list[int]], seed: int, edit: Callable[..., Any]
) -> None:
    """Whole numbers stay whole; or None where nothing changes; the same seed gives the same."""
    before = [list(row) for row in image]
    made = edit(image, seeded(seed), VALUES)
    assert image == before
    assert edit(image, seeded(seed), VALUES) == made
    if made is None:
        return
    assert made != image
    assert [len(row) for row in made] == [len(row) for row in image]
    assert all(isinstance(cell, int) and 0 <= cell <= 16 for row in made for cell in row)


def test_each_edit_does_what_it_says() -> None:
    """On one image, by hand."""
    random = seeded(0)
    assert array_edits.shift(IMAGE, random, VALUES) == [[0, 0, 0], [0, 0, 16], [0, 0, 4]]
    assert array_edits.shift(IMAGE, random, VALUES, rows=-1, columns=0) == [[0, 16, 8], [0, 4, 0], [0, 0, 0]]
    assert array_edits.brightness(IMAGE, random, VALUES) == [[0, 0, 0], [0, 13, 6], [0, 3, 0]]
    assert array_edits.contrast([[0, 4, 8, 12, 16]], random, VALUES) == [[0, 3, 8, 13, 16]]
    assert array_edits.blur(IMAGE, random, VALUES) == [[2, 3, 4], [2, 3, 4], [3, 4, 4]]
    bright = array_edits.one_pixel(IMAGE, seeded(2), VALUES)
    assert (
        sum(one != other for a, b in zip(IMAGE, bright, strict=True) for one, other in zip(a, b, strict=True))
        == 1
    )
    assert array_edits.float32([0.1, 0.5], random, VALUES) == [0.10000000149011612, 0.5]


def test_what_does_not_apply_or_changes_nothing_is_none() -> None:
    """No image, no change."""
    random = seeded(0)
    assert array_edits.shift([1, 2, 3], random, VALUES) is None
    assert array_edits.blur([1, 2, 3], random, VALUES) is None
    assert array_edits.shift([[0, 0]], random, VALUES) is None
    assert array_edits.brightness([[0, 0]], random, VALUES) is None
    assert array_edits.float32(IMAGE, random, VALUES) is None
    assert array_edits.one_pixel([], random, VALUES) is None
    assert array_edits.noise([float("nan")], random, VALUES) is None


def test_channels_move_together() -> None:
    """A pixel of three values is one place."""
    image = [[[1, 2, 3], [4, 5, 6]]]
    assert array_edits.shift(image, seeded(0), VALUES) == [[[0, 0, 0], [1, 2, 3]]]
    assert array_edits.blur(image, seeded(0), VALUES) == [[[2, 3, 4], [3, 4, 5]]]
    assert [16, 16, 16] in array_edits.one_pixel(image, seeded(0), VALUES)[0]


def test_arrays_of_numpy_stay_such() -> None:
    """With their type; a round trip of what is single precision already is no change."""
    numpy = pytest.importorskip("numpy")
    image = numpy.array(IMAGE, dtype="uint8")
    for edit in EDITS[:-1]:
        made = edit(image, seeded(2), VALUES)
        assert made.shape == image.shape and made.dtype == image.dtype
        assert made.tolist() == edit(IMAGE, seeded(2), VALUES)
    assert array_edits.float32(numpy.array([0.1], dtype="float32"), seeded(0), VALUES) is None
    assert array_edits.float32(numpy.array([0.1]), seeded(0), VALUES).dtype == "float64"


def test_what_is_not_finite_stays() -> None:
    """And alone it is no change."""
    made = array_edits.brightness([float("inf"), 10.0], seeded(0), Values(0, 16, 1, False))
    assert made == [float("inf"), 8.0]


def test_tuples_stay_tuples() -> None:
    """And lists within them lists."""
    assert array_edits.brightness(([10.0], (5.0,)), seeded(0), Values(0, 16, 1, False)) == ([8.0], (4.0,))


def test_numpy_is_not_imported_for_lists() -> None:
    """Nor is it, or scipy, by any judge."""
    program = (
        "import sys; from random import Random\n"
        "from pytest_bugsle.robustness import array_edits, baseline, bounds, calibration, confident\n"
        "from pytest_bugsle.robustness import determinism, fairness, refusals, slices, table_edits\n"
        "values = array_edits.values_of([[1, 2]])\n"
        "array_edits.noise([1, 2], Random(0), values)\n"
        "calibration.calibrated([0.9] * 40, [1] * 40, uniform=Random(0).random)\n"
        "confident.confident_errors([0.9] * 40, [1] * 40)\n"
        "slices.weak_slices([True] * 80, {'a': ['x', 'y'] * 40})\n"
        "fairness.fair(['a', 'b'] * 40, [1] * 80)\n"
        "baseline.not_worse_than([1], [1], [1])\n"
        "print([name for name in ('numpy', 'scipy', 'hypothesis') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_numbers_too_large_for_a_square_or_for_single_precision() -> None:
    """Become an infinity, and no error."""
    values = values_of([[1e300, -1e300]])
    assert values.spread == math.inf
    assert array_edits.float32([1e300, -1e300, 1.0], seeded(0), values) == [math.inf, -math.inf, 1.0]
