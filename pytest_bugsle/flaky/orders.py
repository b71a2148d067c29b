"""The orders in which a suite is tried.  PYTEST_DONT_REWRITE

Shuffles sort by digests of a seed and a name, as pytest-randomly does: tests that are left out change
nothing in the order of the others, and no global random state is touched.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Order:
    """One order: how it was made, and the numbers of the tests."""

    name: str
    tests: tuple[int, ...]


def natural(ids: Sequence[str]) -> Order:
    """Return the order of collection."""
    return Order("natural", tuple(range(len(ids))))


def backwards(ids: Sequence[str]) -> Order:
    """Return the order of collection turned round: the one other order that shows most."""
    return Order("reversed", tuple(range(len(ids) - 1, -1, -1)))


def shuffles(ids: Sequence[str], seed: int = 0) -> Iterator[Order]:
    """Yield shuffled orders without end: two in three across all modules, the others within them.

    Within modules, wide fixtures are set up as often as usual; a polluter in one module and a cleaner in
    the next are then never told apart, for which the others are there.
    """
    number = seed
    while True:
        contiguous = number % 3 == 1
        keys = [_key(id_, number, contiguous=contiguous) for id_ in ids]
        name = f"shuffled {'within modules' if contiguous else 'across modules'}, seed {number}"
        yield Order(name, tuple(sorted(range(len(ids)), key=lambda test: (keys[test], test))))
        number += 1


def _key(id_: str, seed: int, *, contiguous: bool) -> tuple[bytes, ...]:
    """Return what a test is sorted by: digests of its module, its class and itself, or of itself alone."""
    parts = id_.partition("[")[0].split("::")
    names = ["::".join(parts[:length]) for length in range(1, len(parts))] if contiguous else []
    return tuple(_digest(seed, name) for name in (*names, id_))


def _digest(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}::{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
