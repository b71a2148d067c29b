"""The reliability diagram: how often a model is right against how sure it is, with the band of chance.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from pytest_bugsle.report.page.charts import WIDTH, coordinate, grid_line, number, svg, ticks
from pytest_bugsle.report.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_bugsle.results import ModelPoint

_LEFT, _RIGHT, _TOP, _PLOT = 40, 12, 22, 220
_LEAST = 0.9
"""The axes begin here at the latest: points that all lie at 1 have no spread of their own."""

Beside = Literal["within", "above", "below"]


def beside(point: ModelPoint) -> Beside:
    """Say where a point lies to its band: below it the model is too sure, above it not sure enough."""
    # The ends of the band are counts divided by n, as the share is: equal ones may differ in their last bit.
    if point.right > point.upper + 1e-9:
        return "above"
    return "below" if point.right < point.lower - 1e-9 else "within"


def known(points: Sequence[ModelPoint]) -> list[ModelPoint]:
    """Return the points that can be drawn, the least sure first."""
    found = [
        point
        for point in points
        if all(map(math.isfinite, (point.confidence, point.right, point.lower, point.upper)))
    ]
    return sorted(found, key=lambda point: point.confidence)


def diagram(points: Sequence[ModelPoint], *, name: str, title: str) -> Markup:
    """Return the points with their band and the diagonal; both axes have the same scale, cut to where points are.

    A point outside its band is a square, one inside a circle.
    """
    drawn = known(points)
    if not drawn:
        return Markup()
    least = min(_LEAST, *(min(point.confidence, point.right, point.lower) for point in drawn))
    scale = ticks(1.0, least)
    first, last = scale[0], scale[-1]
    height = _TOP + _PLOT + 40

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - first) / (last - first)

    def y(value: float) -> float:
        return _TOP + _PLOT * (last - value) / (last - first)

    parts = [Markup('<text x="4" y="14">share that is right</text>')]
    for tick in scale:
        parts.append(grid_line(y(tick), number(tick), right=_RIGHT))
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                coordinate(x(tick)), _TOP + _PLOT + 16, number(tick)
            )
        )
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="end">confidence</text>').format(WIDTH - _RIGHT, height - 8)
    )
    parts.append(_band([(x(point.confidence), y(point.lower), y(point.upper)) for point in drawn]))
    parts.append(
        Markup('<path class="axis" d="M{} {}L{} {}"/>').format(
            coordinate(x(first)), coordinate(y(first)), coordinate(x(last)), coordinate(y(last))
        )
    )
    parts += [_mark(point, x(point.confidence), y(point.right)) for point in drawn]
    return svg(name, title, _told(drawn), WIDTH, height, parts)


def _band(ends: Sequence[tuple[float, float, float]]) -> Markup:
    """Return the ground between the ends of each point's band; around a single point it has a width."""
    if len(ends) == 1:
        at, low, high = ends[0]
        ends = [(at - 6, low, high), (at + 6, low, high)]
    upper = [f"{coordinate(at)} {coordinate(high)}" for at, _, high in ends]
    lower = [f"{coordinate(at)} {coordinate(low)}" for at, low, _ in reversed(ends)]
    return Markup('<path class="band" d="M{}Z"/>').format("L".join([*upper, *lower]))


def _mark(point: ModelPoint, x: float, y: float) -> Markup:
    if beside(point) == "within":
        return Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"/>').format(coordinate(x), coordinate(y))
    return Markup('<rect class="bad" x="{}" y="{}" width="8" height="8"/>').format(
        coordinate(x - 4), coordinate(y - 4)
    )


def _told(points: Sequence[ModelPoint]) -> str:
    said = [
        f"confidence {number(point.confidence)}, right {number(point.right)} of {point.n:,}"
        f" (by chance {number(point.lower)} to {number(point.upper)}, {beside(point)})"
        for point in points[:20]
    ]
    return f"{plural(len(points), 'bin')}: " + "; ".join(said)
