"""The examples of the page on model gates run, on a small real model, and say what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_bugsle.robustness.perturbations import LIMITS, REGISTRY, TASKS, families, load

PAGE = (Path(__file__).parents[1] / "docs" / "robustness.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FIXTURES = """
    import pytest
    from small_models import reviews, trained

    TEXTS, LABELS = reviews(700, seed=1)

    @pytest.fixture
    def texts():
        return TEXTS

    @pytest.fixture
    def labels():
        return LABELS

    @pytest.fixture
    def model():
        return trained()

    @pytest.fixture
    def old_model():
        return trained(lowercase=False)

    @pytest.fixture
    def strict_model(model):
        def strict(text):
            if not isinstance(text, str) or not text.strip() or len(text) > 10_000:
                raise ValueError("no text, or too long a one")
            return model.predict([text])[0]

        return strict
"""


@pytest.mark.slow
def test_the_examples_of_the_page_run(pytester: pytest.Pytester) -> None:
    """All of them pass on a model that has none of these weaknesses."""
    small = Path(__file__).with_name("small_models.py")
    (pytester.path / small.name).write_bytes(small.read_bytes())
    pytester.makeconftest(FIXTURES)
    pytester.makepyfile(test_page="\n".join(EXAMPLES))
    made = pytester.runpytest_subprocess("-p", "no:randomly")
    made.assert_outcomes(passed=len(re.findall(r"^def test_", "\n".join(EXAMPLES), re.MULTILINE)))


def test_the_page_has_the_checks_that_everybody_starts_with() -> None:
    """Each as an example."""
    for name in ("case", "whitespace", "typos", "paraphrase", "edge_cases", "no_confident_errors"):
        assert f"def test_{name}(" in PAGE
    assert "too_long=10_000" in PAGE


def test_what_ships_is_on_the_page() -> None:
    """Perturbations, families, tasks and limits, and no other."""
    load()
    assert not [name for name in REGISTRY if f"`{name}`" not in PAGE]
    assert not [name for name in families() if f"`{name}`" not in PAGE]
    assert not [task for task in TASKS if f"`{task}`" not in PAGE]
    assert all(f"`{nature}` {100 * limit:.0f} %" in PAGE for nature, limit in LIMITS.items())
