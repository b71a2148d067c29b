"""Seeded chance for simulations."""

from __future__ import annotations

from random import Random


def seeded(seed: int) -> Random:
    """Return chance that is the same in every run."""
    return Random(seed)  # noqa: S311  # a simulation keeps no secret
