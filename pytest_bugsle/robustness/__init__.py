"""May this model ship? How its answers hold when inputs change, and what its errors have in common.  PYTEST_DONT_REWRITE"""

from pytest_bugsle.robustness.endpoint import Endpoint
from pytest_bugsle.robustness.gates import ModelGate
from pytest_bugsle.robustness.perturbations import Perturbation, perturbation
from pytest_bugsle.robustness.strategies import variations
from pytest_bugsle.robustness.text_typos import typo
from pytest_bugsle.robustness.text_words import names, paraphrases, swaps

__all__ = [
    "Endpoint",
    "ModelGate",
    "Perturbation",
    "names",
    "paraphrases",
    "perturbation",
    "swaps",
    "typo",
    "variations",
]
