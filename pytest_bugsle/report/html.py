"""The page: one file of HTML that opens from disk, with no script and nothing from a network.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_bugsle.report import words
from pytest_bugsle.report.characters import names_of
from pytest_bugsle.report.escape import visible
from pytest_bugsle.report.page import charts, delivery, experiments, models, reliability, view

if TYPE_CHECKING:
    from pytest_bugsle.results import Result

#: Bytes of a page. One that is larger is made again with half as many rows of each kind.
LIMIT = 1_000_000
#: How many rows of each kind are shown at most.
MOST_ROWS = 250
#: No single text takes more than this many characters of it.
MOST_TEXT = 400


def render(result: Result, limit: int = LIMIT, most: int = MOST_ROWS) -> bytes:
    """Return the page of a result; what it leaves out it counts and leaves to the JSON report."""
    while True:
        page = _page(result, most)
        if len(page) <= limit or most == 1:
            return page
        most //= 2


def _page(result: Result, most: int) -> bytes:
    templates = environment()
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    title, tone = view.title(result)
    reasons, more_reasons = view.reasons(result)
    text = templates.get_template("page.html").render(
        result=result,
        most=most,
        few=min(most, 12),
        style=Markup(style),  # noqa: S704 -- our own file
        style_hash=f"sha256-{digest}",
        title=title,
        tone=tone,
        reasons=reasons,
        more_reasons=more_reasons,
        facts=list(view.facts(result)),
        sections=list(view.sections(result)),
        fixes=view.ordered(result),
        tests=view.tests_of(result),
    )
    return text.encode("utf-8")


@cache
def environment() -> Environment:
    """Return what renders our templates: everything that they print goes through `_shown`, then is escaped."""
    made = Environment(
        loader=PackageLoader("pytest_bugsle.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        keep_trailing_newline=True,
    )
    made.globals.update(
        charts=charts,
        delivery=delivery,
        experiments=experiments,
        models=models,
        names_of=names_of,
        reliability=reliability,
        view=view,
        words=words,
    )
    made.tests["view_loud"] = view.is_loud
    made.filters.update(coded=_coded, number=charts.number, percent=view.percent, short=words.short)
    return made


@cache
def _style() -> str:
    """Return the style sheet without its comments' and indentation's bytes."""
    templates = environment()
    assert templates.loader is not None
    source = templates.loader.get_source(templates, "page.css")[0]
    return "\n".join(line.strip() for line in source.splitlines() if line.strip())


def _coded(text: str) -> Markup:
    """Return a text with what stands between two backticks as code."""
    parts = _shown(text).split("`")
    if len(parts) % 2 == 0:  # the last backtick has no partner
        parts[-2:] = ["`".join(parts[-2:])]
    code, plain = Markup("<code>{}</code>"), Markup("{}")
    return Markup().join((code if index % 2 else plain).format(part) for index, part in enumerate(parts))


def _shown(value: Any) -> Any:
    """Return what a template prints: a stranger's text on one line, cut, with what is invisible shown."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value if len(value) <= MOST_TEXT else value[: MOST_TEXT - 1] + "…")
