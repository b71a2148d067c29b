"""A variation of an example is a list of edits; here they are applied, found, named and seeded.  PYTEST_DONT_REWRITE

An edit of a text is (start, stop, replacement), counted in the original, and edits do not overlap. An edit of
anything else is (place, value): a key of a mapping, a number in a sequence, an index of an array, or None for
the whole. Any part of a variation is a variation, so that it can be shrunk.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from pytest_bugsle.robustness.arguments import plain

TextEdit: TypeAlias = tuple[int, int, str]
FieldEdit: TypeAlias = tuple[Any, Any]
Edit: TypeAlias = "TextEdit | FieldEdit"

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_MOST_TOKENS = 2_000
"""Where two texts differ over more tokens than this, the difference is one edit: difflib is quadratic."""
_WHOLE = None


class Boxed:
    """Anything but a text, hashable by what it holds."""

    __slots__ = ("digest", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.digest = digest_of(value)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Boxed) and self.digest == other.digest

    def __repr__(self) -> str:
        return f"Boxed({self.value!r})"


def boxed(value: Any) -> Hashable:
    """Return the value so that it can be asked once: a text is hashable by itself."""
    return value if type(value) is str else Boxed(value)


def unboxed(probe: Hashable) -> Any:
    """Return the value that a model is given."""
    return probe.value if isinstance(probe, Boxed) else probe


def digest_of(value: Any) -> bytes:
    """Return a digest of what a value holds: the same in each process, another for 1, 1.0, True and "1"."""
    found = hashlib.blake2b(digest_size=16)
    for part in _parts(value):
        found.update(part)
    return found.digest()


def _parts(value: Any) -> Iterable[bytes]:
    yield f"{type(value).__qualname__}:".encode()
    if isinstance(value, str):
        yield f"{len(value)}:".encode()
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, Mapping):
        yield f"{len(value)}".encode()
        for key in value:
            yield from _parts(key)
            yield from _parts(value[key])
    elif isinstance(value, Sequence):
        yield f"{len(value)}".encode()
        for item in value:
            yield from _parts(item)
    elif isinstance(value, set | frozenset):
        yield from sorted(digest_of(item) for item in value)
    elif hasattr(value, "tobytes") and hasattr(value, "shape"):
        yield f"{value.dtype}{value.shape}".encode()
        # The bytes of an array of objects are addresses.
        if value.dtype.hasobject:
            yield from _parts(value.tolist())
        else:
            yield value.tobytes()
    elif hasattr(value, "detach") and hasattr(value, "numpy"):  # a tensor
        yield from _parts(value.detach().cpu().numpy())
    elif hasattr(value, "to_numpy"):  # a column or a table, which show no more than their ends
        yield from _parts(
            [list(getattr(value, name)) for name in ("columns", "index") if hasattr(value, name)]
        )
        yield from _parts(value.to_numpy())
    elif hasattr(value, "tobytes") and hasattr(value, "mode"):  # an image of Pillow
        yield f"{value.mode}{value.size}".encode()
        yield value.tobytes()
    elif repr(value) == object.__repr__(value) and getattr(value, "__dict__", None):
        yield from _parts(vars(value))
    else:
        yield repr(value).encode("utf-8", "surrogatepass")


def seeded(seed: int, perturbation: str, example: Hashable, number: int) -> Random:
    """Return the chance of one variant of one example.

    By what the example holds, not by its place: an example more, or in another place, changes no other's variants.
    """
    start = f"{seed}\0{perturbation}\0{number}\0"
    found = hashlib.blake2b(start.encode("utf-8", "surrogatepass"), digest_size=8)
    found.update(
        example.encode("utf-8", "surrogatepass") if isinstance(example, str) else digest_of(unboxed(example))
    )
    return Random(int.from_bytes(found.digest(), "big"))  # noqa: S311  # variants, no secrets


def apply(example: Any, edits: Sequence[Edit]) -> Any:
    """Return the example with these edits; the example itself is left as it is."""
    if isinstance(example, str):
        return _apply_to_text(example, edits)
    if len(edits) == 1 and edits[0][0] is _WHOLE:
        return edits[0][1]
    if isinstance(example, Mapping):
        return {**example, **dict(edits)}  # type: ignore[arg-type]  # those of a mapping are pairs
    if hasattr(example, "shape"):
        changed = example.copy() if hasattr(example, "copy") else example.clone()
        for place, value in edits:  # type: ignore[misc]  # as above
            changed[place] = value
        return changed
    made = list(example)
    for place, value in edits:  # type: ignore[misc]  # as above
        made[place] = value
    return tuple(made) if isinstance(example, tuple) else made


def _apply_to_text(text: str, edits: Sequence[Edit]) -> str:
    pieces: list[str] = []
    end = 0
    for start, stop, replacement in edits:  # type: ignore[misc]  # those of a text are triples
        pieces += (text[end:start], replacement)
        end = stop
    pieces.append(text[end:])
    return "".join(pieces)


def fits(example: Any, edits: Sequence[Edit]) -> bool:
    """Say whether these are edits of the example: in its bounds, in order, not overlapping."""
    if not isinstance(example, str):
        try:
            apply(example, edits)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError):
            return False
        return True
    end = 0
    try:
        for start, stop, replacement in edits:  # type: ignore[misc]  # those of a text are triples
            if not (end <= start <= stop and isinstance(replacement, str)):
                return False
            end = stop
    except (TypeError, ValueError):
        return False
    return end <= len(example)


def differences(before: Any, after: Any) -> list[Edit]:
    """Return the edits that make `after` of `before`: by words for texts, by fields for the rest."""
    if isinstance(before, str) and isinstance(after, str):
        return _text_differences(before, after)
    if isinstance(before, Mapping) and isinstance(after, Mapping) and list(before) == list(after):
        return [(key, after[key]) for key in before if not _same(before[key], after[key])]
    if (
        hasattr(before, "shape")
        and getattr(after, "shape", None) == before.shape
        and hasattr(before, "tobytes")
    ):
        return _array_differences(before, after)
    if isinstance(before, list | tuple) and type(after) is type(before) and len(after) == len(before):
        return [
            (place, after[place]) for place in range(len(before)) if not _same(before[place], after[place])
        ]
    return [] if digest_of(before) == digest_of(after) else [(_WHOLE, after)]


def _same(one: Any, other: Any) -> bool:
    return one is other or digest_of(one) == digest_of(other)


def _array_differences(before: Any, after: Any) -> list[Edit]:
    import numpy as np

    if before.dtype != after.dtype:
        return [(_WHOLE, after)]
    changed = before != after
    if before.dtype.kind == "f":
        changed &= ~(np.isnan(before) & np.isnan(after))
    values = after[changed].tolist()
    if after.dtype.hasobject:
        values = list(map(plain, values))
    return list(zip(map(tuple, np.argwhere(changed).tolist()), values, strict=True))


def _text_differences(before: str, after: str) -> list[Edit]:
    if before == after:
        return []
    one, other = _TOKEN.findall(before), _TOKEN.findall(after)
    shortest = min(len(one), len(other))
    head = next((i for i in range(shortest) if one[i] != other[i]), shortest)
    most = shortest - head
    tail = next((i for i in range(most) if one[-1 - i] != other[-1 - i]), most)
    start = sum(map(len, one[:head]))
    one, other = one[head : len(one) - tail], other[head : len(other) - tail]
    if max(len(one), len(other)) > _MOST_TOKENS:
        return [(start, start + sum(map(len, one)), "".join(other))]
    ends = [start]
    for token in one:
        ends.append(ends[-1] + len(token))
    matched = difflib.SequenceMatcher(None, one, other, autojunk=False)
    return [
        (ends[first], ends[last], "".join(other[begin:end]))
        for kind, first, last, begin, end in matched.get_opcodes()
        if kind != "equal"
    ]
