"""The report of a hunt for flaky tests.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_bugsle.report.escape import for_terminal
from pytest_bugsle.report.terminal import MOST_TEXT, Line, Style
from pytest_bugsle.report.words import VERDICTS, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_bugsle.results import FlakyTest, Result

#: How many tests that vary are shown without -v.
MOST_TESTS = 40
_QUIET = (["stable"], ["failing"])
_VERDICT_STYLES: Mapping[str, Style] = {"pass": "green", "fail": "red", "undecided": "yellow"}


def hunt_lines(result: Result, verbosity: int = 0) -> list[Line]:
    """Return the lines of a hunt: below 0 only what varies, above 0 every test."""
    tests = result.tests if isinstance(result.tests, list) else []
    varying = [test for test in tests if test.categories not in _QUIET and varies(test)]
    failing = [test for test in tests if test.categories == ["failing"]]
    report: list[Line] = []
    shown = varying if verbosity > 0 else varying[:MOST_TESTS]
    for test in shown:
        report += _test(test)
    if len(varying) > len(shown):
        report.append(
            _line(f"and {plural(len(varying) - len(shown), 'more test')} that vary: -v shows them", "dim")
        )
    if verbosity >= 0 and failing:
        names = ", ".join(test.id for test in failing[:3]) + (" …" if len(failing) > 3 else "")
        report.append(_line(f"{plural(len(failing), 'test')} failed every time: {names}", "yellow"))
    if verbosity > 0:
        report += [
            _line(f"{_counted(test)}  {test.id}", "dim")
            for test in tests
            if test.categories in _QUIET or not varies(test)
        ]
    never = [test for test in tests if not varies(test)]
    if verbosity >= 0 and never:
        report.append(_line(f"{plural(len(never), 'test')} showed nothing: skipped, or not come to", "dim"))
    if verbosity >= 0:
        report += [_line(f"note: {note}", "dim") for note in result.notes]
    report.append(
        _line(
            f"{_summary(tests, varying, result)}  {VERDICTS[result.verdict]}", _VERDICT_STYLES[result.verdict]
        )
    )
    return report


def varies(test: FlakyTest) -> bool:
    """Say whether a test failed in some runs and not in others, or is untrustworthy in another way."""
    return bool(test.categories or test.failures)


def _summary(tests: Sequence[FlakyTest], varying: Sequence[FlakyTest], result: Result) -> str:
    what = f"{plural(len(tests), 'test')} tried, {len(varying)} vary"
    return f"{what}, {result.timings.runs} runs in {result.timings.total:.1f} s."


def _test(test: FlakyTest) -> Iterator[Line]:
    words = ", ".join(test.categories).replace("-", " ") or "varies"
    yield _line(f"{words}: {test.id}", "red")
    yield _line(f"    failed in {_counted(test)}")
    for name, ids in (
        ("fails after", test.polluters),
        ("passes only after", test.setters),
        ("cleaned up by", test.cleaners),
    ):
        if ids:
            yield _line(f"    {name} {' then '.join(ids)}")
    if test.why and not (test.polluters or test.setters):
        yield _line(f"    {test.why}")
    if test.cause:
        yield _line(f"    cause: {test.cause}")
    for difference in test.state[:3]:
        word = "which is the reason" if difference.turns else "beside it"
        yield _line(
            f"    state ({word}): {difference.kind} {difference.name}: {difference.was} → {difference.now}"
        )
    if test.confirmed and test.reproduce:
        yield _line(f"    seen in {test.confirmed} of {test.confirmed} clean processes: {test.reproduce}")
    elif test.reproduce:
        yield _line(f"    see it: {test.reproduce}")


def _counted(test: FlakyTest) -> str:
    if test.interval is None:
        return "no run"
    low, high = test.interval
    return f"{test.failures} of {plural(test.attempts, 'run')} (95 %: {low:.0%} to {high:.0%})"


def _line(text: str, style: Style | None = None) -> Line:
    if len(text) > MOST_TEXT:
        text = text[: MOST_TEXT - 1] + "…"
    return Line(for_terminal(text), style)
