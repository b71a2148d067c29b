"""Badges: a small SVG for each figure of a result, to be shown in a README.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from markupsafe import escape

from pytest_bugsle.report.escape import for_xml, visible
from pytest_bugsle.report.page.delivery import failure_figures, key_figures
from pytest_bugsle.report.page.view import is_loud, percent, tests_of, tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_bugsle.results import Result

#: White text on each of them has a contrast of at least 4.5 to 1.
_COLOURS: Mapping[str, str] = {"good": "#1a6b34", "bad": "#b3261e", "warn": "#825300", "mute": "#57606a"}
_LABEL = "#333a44"
_LONGEST = 40
_NOT_A_NAME = re.compile("[^a-z0-9]+")
_PAD = 7
#: Widths of characters at 11 px in units of a pixel, near those of DejaVu Sans and Verdana.
_NARROW, _NORMAL, _WIDE = 4.2, 7.0, 10.2

_TEMPLATE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {value}">'
    "<title>{label}: {value}</title>"
    '<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>'
    '<g clip-path="url(#r)"><rect width="{left}" height="20" fill="{dark}"/>'
    '<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
    '<text x="{pad}" y="14" textLength="{label_length}">{label}</text>'
    '<text x="{value_at}" y="14" textLength="{value_length}">{value}</text></g></svg>\n'
)


def badge(label: str, value: str, tone: str) -> str:
    """Return one badge; `tone` is good, bad, warn or mute."""
    label, value = _cut(label), _cut(value)
    label_length, value_length = _width(label), _width(value)
    left, right = label_length + 2 * _PAD, value_length + 2 * _PAD
    return _TEMPLATE.format(
        width=left + right,
        left=left,
        right=right,
        label=escape(label),
        value=escape(value),
        dark=_LABEL,
        colour=_COLOURS[tone],
        pad=_PAD,
        label_length=label_length,
        value_at=left + _PAD,
        value_length=value_length,
    )


def render(result: Result) -> dict[str, bytes]:
    """Return each badge by the name of its file; figures that this run does not have are left out."""
    return {name: badge(*parts).encode("utf-8") for name, parts in _badges(result)}


def _badges(result: Result) -> Iterator[tuple[str, tuple[str, str, str]]]:
    words = {"pass": "passed", "fail": "failed", "undecided": "undecided"}
    colour = "warn" if result.verdict == "undecided" else tone(result.verdict)
    yield "bugsle.svg", ("bugsle", words[result.verdict], colour)
    if not isinstance(result.audit, msgspec.UnsetType):
        total = result.audit.total
        if total.share is not None:
            text = f"{percent(total.share)} % of {total.judged}"
            yield "fixes.svg", ("bug fixes held", text, "good" if total.held == total.judged else "mute")
    elif result.counts.judged:
        held, judged = result.counts.proven, result.counts.judged
        yield "fixes.svg", ("bug fixes held", f"{held} of {judged}", "good" if held == judged else "bad")
    for name, (label, value) in zip(("lead-time.svg", "deployments.svg"), key_figures(result), strict=False):
        yield name, (label, value, "mute")
    for rung, label, value in failure_figures(result):
        yield f"failures-{_NOT_A_NAME.sub('-', rung)}.svg", (label, value, "mute")
    if tests := tests_of(result):
        varying = sum(map(is_loud, tests))
        yield "flaky.svg", ("tests that vary", f"{varying} of {len(tests)}", "bad" if varying else "good")


def _cut(text: str) -> str:
    text = for_xml(visible(text))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _width(text: str) -> int:
    """Return about how wide a text is; `textLength` makes it so in any font."""
    wide = (
        _NARROW
        if sign in " .,:;'|!iIjlft()[]"
        else _WIDE
        if sign in "mwMW%@" or ord(sign) > 0x2FF
        else _NORMAL
        for sign in text
    )
    return round(sum(wide))
