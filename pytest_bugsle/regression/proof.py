"""The proof: which outcomes, without the fix and with it, make a linked test a guard.  PYTEST_DONT_REWRITE

Pure. `judge` is a generator in the sense of `pytest_bugsle.probes`: it yields the runs it needs
next and is sent their outcomes. The experiment has two sides: *after* is the tree under test,
*before* is the same tree with the source side of the fix put back.

1. Run the linked tests on both sides.
2. Where no link leads to a proof, run the tests near the change on both sides and keep what flips.
3. Run whatever decides a second time, under measurement of reach. A side that does not agree with
   itself is flaky, and a flaky test decides nothing.
4. Where the tree under test cannot answer (the fix can no longer be taken out of it alone, or what
   is left does not import), the same is asked of the fix's own commit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pytest_bugsle.results import STATUS_ORDER, Link
from pytest_bugsle.runner.outcome import Selector

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from pytest_bugsle.results import Status
    from pytest_bugsle.runner.outcome import Error, Outcome, Run

MOST_REPEATED = 30
"""Deciding tests that run a second time, the quickest first; more of them prove no more."""

DISCOVERED = Link(kind="discovered", evidence="it fails without the fix and passes with it")

Side = str
"""`before`, `after`, or `edit-N`: with the fix, and its edit N put back."""
Where = Literal["tree", "commit"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One run that a judge asks for: these tests on this side of this fix."""

    fix: str
    where: Where
    side: Side
    selectors: frozenset[Selector]
    repeat: int = 0
    stub: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """What the fix adds: the errors on these names show that something new exists, no more."""

    names: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()
    signatures: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pair:
    """A before and an after tree between which the fix is the only difference."""

    where: Where
    before: str
    after: str
    linked: Mapping[Selector, tuple[Link, ...]]
    near: tuple[tuple[Selector, ...], ...]
    touched: frozenset[str]


@dataclass(frozen=True, slots=True)
class Case:
    """All that the proof of one fix starts from; `pairs` are tried in order."""

    fix: str
    pairs: tuple[Pair, ...]
    added: Added
    outside: Mapping[str, str] = field(default_factory=dict)
    """Outcomes of the same tests in the user's own session, by test id."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One test: what it did on each side, and what that shows."""

    id: str
    selector: Selector
    links: tuple[Link, ...]
    before: Outcome | None
    after: Outcome | None
    shows: Status
    why: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """The judgement of one fix."""

    status: Status
    where: Where
    tests: tuple[Evidence, ...]
    why: str = ""
    #: The second runs, which also measured reach.
    before: Run | None = None
    after: Run | None = None
    keep: bool = True
    """False where the same question may get another answer tomorrow (flaky, out of time)."""


@dataclass(slots=True)
class _Sides:
    """The first runs of both sides, and where the before side cannot be read."""

    before: Run
    after: Run
    stubbed: bool = False


def judge(case: Case) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], Proof]:
    """Prove one fix; yields the runs it needs."""
    proof: Proof | None = None
    for pair in case.pairs:
        earlier, proof = proof, (yield from _judge_pair(case, pair))
        if proof.status != "undecided":
            return proof
        if proof.tests and all(_is_final(test) for test in proof.tests if test.shows == "undecided"):
            return earlier or proof
        if earlier is not None:  # the first answer names the cause that the user can act on
            proof = earlier
    assert proof is not None, "a case has at least one pair of trees"
    return proof


def _is_final(test: Evidence) -> bool:
    """Say whether what an undecided test did is its own doing, so that an older tree has nothing to add."""
    if test.after is not None and test.after.status != "passed":
        return True
    final = ("skipped", "timeout", "died", "xpassed")
    return test.before is not None and (test.before.status in final or test.why.startswith("flaky"))


def _judge_pair(case: Case, pair: Pair) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], Proof]:
    tests: tuple[Evidence, ...] = ()
    stub = False
    for group in _by_strength(pair):
        if any(test.shows == "proven" for test in tests):
            break
        sides = yield from _run_both(case, pair, group)
        tests, stub = tests + _read(case, pair, sides, group), stub or sides.stubbed
    asked: set[Selector] = set(pair.linked)
    linked, unread = tests, ""
    if not any(test.shows == "proven" for test in tests):
        for stage in pair.near:
            fresh = frozenset(stage) - asked
            asked |= fresh
            if not fresh:
                continue
            sides = yield from _run_both(case, pair, fresh)
            nearby = _read(case, pair, sides, fresh)
            known = {test.id for test in linked}
            flips = tuple(test for test in nearby if test.shows == "proven" and test.id not in known)
            if flips:
                tests, stub = linked + flips, stub or sides.stubbed
                break
            unread = unread or _nothing_read(nearby, fresh, sides)
    if not tests and unread:
        return Proof("undecided", pair.where, (), unread, keep=False)
    if not tests:
        return _without_tests(pair, asked)
    return (yield from _confirm(case, pair, tests, stub=stub))


def _by_strength(pair: Pair) -> Iterable[frozenset[Selector]]:
    """Yield the tests that were written for the fix, then those that only use something it changed.

    A changed fixture can link a whole file: where a stronger link proves, they need not run.
    """
    weak = {
        selector
        for selector, links in pair.linked.items()
        if {link.kind for link in links} == {"uses-changed"}
    }
    return [frozenset(group) for group in (pair.linked.keys() - weak, weak) if group]


def _nothing_read(nearby: Sequence[Evidence], asked: Iterable[Selector], sides: _Sides) -> str:
    """Say why a stage of discovery showed nothing at all; empty where it did show something."""
    late = next((run for run in (sides.after, sides.before) if run.ended == "timeout"), None)
    if late is None and any(test.shows != "undecided" for test in nearby):
        return ""
    reasons = [test.why for test in nearby if test.why]
    reasons += [
        why
        for selector in sorted(asked, key=lambda s: s.path)
        for run in (sides.after, sides.before)
        if (why := _unread(run, selector))
    ]
    return f"no test near the change could be tried: {reasons[0]}" if reasons else ""


def _without_tests(pair: Pair, asked: Iterable[Selector]) -> Proof:
    files = sorted({selector.path for selector in asked if selector.path in pair.touched})
    if files:
        why = f"the change touches {', '.join(files)}, but no test there fails without the fix"
        return Proof("passes-without-fix", pair.where, (), why)
    return Proof(
        "no-test", pair.where, (), "no test is linked, and none near the change fails without the fix"
    )


def _run_both(
    case: Case, pair: Pair, selectors: frozenset[Selector]
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], _Sides]:
    after = Probe(case.fix, pair.where, "after", selectors)
    before = Probe(case.fix, pair.where, "before", selectors)
    runs = yield (after, before)
    sides = _Sides(before=runs[before], after=runs[after])
    if any(is_existence(error, case.added) for error in sides.before.collect_errors.values()):
        # The whole module fails for one missing name. With that name stubbed its tests can speak
        # for themselves: those that use it are existence-only, the others are judged as ever.
        stubbed = Probe(case.fix, pair.where, "before", selectors, stub=True)
        runs = yield (stubbed,)
        sides = _Sides(before=runs[stubbed], after=sides.after, stubbed=True)
    return sides


def _confirm(
    case: Case, pair: Pair, tests: tuple[Evidence, ...], *, stub: bool
) -> Generator[tuple[Probe, ...], Mapping[Probe, Run], Proof]:
    decisive = [test for test in tests if test.shows == "proven"] or list(tests)
    if all(test.shows == "undecided" for test in decisive):  # a second run can only agree
        return Proof("undecided", pair.where, tests, decisive[0].why, keep=False)
    selectors = frozenset(test.selector for test in sorted(decisive, key=_seconds)[:MOST_REPEATED])
    after = Probe(case.fix, pair.where, "after", selectors, repeat=1)
    before = Probe(case.fix, pair.where, "before", selectors, repeat=1, stub=stub)
    runs = yield (after, before)
    confirmed = tuple(
        _again(test, runs[before], runs[after]) if test.selector in selectors else test for test in tests
    )
    status = first_status(test.shows for test in confirmed)
    if status != "undecided":
        return Proof(status, pair.where, confirmed, "", runs[before], runs[after])
    first = next(test for test in confirmed if test.shows == "undecided")
    why = f"{first.id}: {first.why}"
    return Proof(status, pair.where, confirmed, why, runs[before], runs[after], keep=False)


def _seconds(test: Evidence) -> float:
    return sum(outcome.duration for outcome in (test.before, test.after) if outcome is not None)


def _again(test: Evidence, before: Run, after: Run) -> Evidence:
    """Return `test` as its second runs leave it: a side that contradicts itself decides nothing."""
    why = ""
    for side, first, run in (("without", test.before, before), ("with", test.after, after)):
        second = _outcome(run, test.id)
        if run.wrong_tree:
            why = why or _wrong_tree(run)
        elif first is None:
            continue
        elif second is None:
            why = (
                why
                or _unread(run, test.selector)
                or f"it was not collected again {side} the fix: its id changes"
            )
        elif second.status != first.status:
            why = why or f"flaky: {side} the fix it {_past(first)} once and {_past(second)} once"
    if not why:
        return test
    return Evidence(test.id, test.selector, test.links, test.before, test.after, "undecided", why)


def _read(case: Case, pair: Pair, sides: _Sides, asked: frozenset[Selector]) -> tuple[Evidence, ...]:
    """Return what the first runs show, a test each; a selector that gave no test is one row."""
    rows: list[Evidence] = []
    seen: set[Selector] = set()
    for id in dict.fromkeys([*sides.after.outcomes, *sides.before.outcomes]):
        after, before = _outcome(sides.after, id), _outcome(sides.before, id)
        known = after or before
        if known is None:
            continue
        selector = _selector_of(known, pair)
        if selector is None:
            continue
        seen.add(selector)
        links = pair.linked.get(selector, (DISCOVERED,))
        shows, why = shown(case, selector, id, before, after, sides)
        rows.append(Evidence(id, selector, links, before, after, shows, why))
    for selector, links in pair.linked.items():
        if selector in seen or selector not in asked:
            continue
        for name in sorted(selector.names or ("",)):
            id = f"{selector.path}::{name.replace('.', '::')}" if name else selector.path
            why = _unread(sides.after, selector) or _unread(sides.before, selector) or "it was not collected"
            rows.append(Evidence(id, selector, links, None, None, "undecided", why))
    return tuple(rows)


def _outcome(run: Run, id: str) -> Outcome | None:
    outcome = run.outcomes.get(id)
    return None if outcome is None or outcome.status == "missing" else outcome


def _selector_of(outcome: Outcome, pair: Pair) -> Selector | None:
    for selector in pair.linked:
        if selector.path == outcome.path and (selector.names is None or outcome.name in selector.names):
            return selector
    if any(selector.path == outcome.path for stage in pair.near for selector in stage):
        return Selector(outcome.path, frozenset({outcome.name}))  # the second run asks for this test alone
    return None


def shown(
    case: Case, selector: Selector, id: str, before: Outcome | None, after: Outcome | None, sides: _Sides
) -> tuple[Status, str]:
    """Return what one test shows, and why where that is not plain."""
    for run in (sides.after, sides.before):
        if run.wrong_tree:
            return "undecided", _wrong_tree(run)
    status, why = _with_the_fix(selector, after, sides.after, case.outside.get(id))
    if status is not None:
        return status, why
    return _without_the_fix(selector, before, sides.before, case.added)


def _with_the_fix(
    selector: Selector, after: Outcome | None, run: Run, outside: str | None
) -> tuple[Status | None, str]:
    if after is None:
        return "undecided", _unread(run, selector) or "it was not collected with the fix in place"
    if after.status == "passed":
        return None, ""
    said = describe(after.error)
    if after.status == "xpassed":
        return "undecided", "it is marked xfail, so it can never fail: take the marker out"
    if after.status in ("skipped", "timeout", "died"):
        return "undecided", f"with the fix it {_word(after)}"
    if outside == "passed":
        return "undecided", (
            f"it passes in your working tree but not in a clean copy of it ({said}): "
            "it may need a file that git ignores (setting `copy`)"
        )
    if after.status == "error":
        return "undecided", f"its {after.phase} fails with the fix in place: {said}"
    if after.status == "xfailed":
        return "guard-fails", "it is marked xfail and still fails with the fix in place"
    return "guard-fails", f"it fails with the fix in place: {said}"


def _without_the_fix(
    selector: Selector, before: Outcome | None, run: Run, added: Added
) -> tuple[Status, str]:
    if before is None:
        error = run.collect_errors.get(selector.path)
        if error is not None and is_existence(error, added):
            return "existence-only", describe(error)
        return "undecided", _unread(run, selector) or "it was not collected without the fix: its id changes"
    if before.status == "passed":
        return "passes-without-fix", ""
    if before.status == "xpassed":
        return "undecided", "it is marked xfail, so it can never fail: take the marker out"
    if before.status in ("skipped", "timeout", "died"):
        return "undecided", f"without the fix it {_word(before)}"
    error = before.error
    if error is None:
        return (
            ("proven", "") if before.status in ("failed", "xfailed") else ("undecided", "it gave no reason")
        )
    if is_existence(error, added):
        return "existence-only", describe(error)
    if is_timeout(error):
        return "undecided", f"without the fix it ran out of time ({describe(error)})"
    if before.status == "error" and not error.in_changed:
        return "undecided", f"its {before.phase} fails without the fix: {describe(error)}"
    if _is_import_error(error) and not error.in_changed:
        return (
            "undecided",
            f"without the fix an import fails that the fix does not explain: {describe(error)}",
        )
    return "proven", ""


def is_existence(error: Error, added: Added) -> bool:
    """Say whether an error is only about a name, module or parameter that the fix adds.

    An error whose deepest frame of the tree lies in a changed file is the bug itself, whatever
    its type: the changed file was running its old code there.
    """
    if error.missing_stub:
        return True
    deepest = next((frame.path for frame in reversed(error.frames) if frame.path), None)
    if deepest in added.changed:
        return False
    name = error.name
    if name is None:
        return False
    if "ModuleNotFoundError" in error.mro and _within(name, added.modules):
        return True
    if "ImportError" in error.mro:
        return name in added.names or _within(name, added.modules)
    if "AttributeError" in error.mro:
        module_missing = any(module.rpartition(".")[2] == name for module in added.modules)
        return (name in added.names and error.owner in added.changed) or module_missing
    if "NameError" in error.mro:
        return name in added.names
    if "TypeError" in error.mro:
        return name in added.names | added.parameters or name.rpartition(".")[2] in added.signatures
    return False


def is_timeout(error: Error) -> bool:
    """Say whether a test failed because time ran out, which may say more of the machine than of the bug."""
    if "TimeoutError" in error.mro or "TimeoutExpired" in error.mro:
        return not error.in_changed
    return error.type == "Failed" and error.message.lstrip().startswith("Timeout")


def _is_import_error(error: Error) -> bool:
    return "ImportError" in error.mro


def _within(name: str, modules: frozenset[str]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def first_status(statuses: Iterable[Status]) -> Status:
    """Return the first of STATUS_ORDER that is among `statuses`."""
    have = set(statuses)
    return next((status for status in STATUS_ORDER if status in have), "undecided")


def describe(error: Error | None) -> str:
    """Return `Type: first line of the message`."""
    if error is None:
        return "no reason given"
    return f"{error.type}: {error.message}" if error.message else error.type


def _wrong_tree(run: Run) -> str:
    return f"the tests did not run against the tree under test: {run.wrong_tree[0]}"


def _unread(run: Run, selector: Selector) -> str:
    """Say why a run has nothing to tell of a selector; empty where the run itself went well."""
    error = run.collect_errors.get(selector.path) or run.collect_errors.get("")
    if error is not None:
        return f"{selector.path} cannot be collected: {describe(error)}"
    if run.problem:
        return run.problem
    if run.wrong_tree:
        return _wrong_tree(run)
    if run.ended == "timeout":
        return "the time for this run was used up"
    if run.ended == "died" or (not run.outcomes and run.exit_code not in (0, 1, 5)):
        last = [line for line in run.output.splitlines() if line.strip()]
        return f"pytest ended with code {run.exit_code}: {last[-1].strip() if last else 'it said nothing'}"
    return ""


def _past(outcome: Outcome) -> str:
    words = {"timeout": "ran out of time", "died": "ended the process", "error": "had an error"}
    return words.get(outcome.status, outcome.status)


def _word(outcome: Outcome) -> str:
    said = (
        f" ({describe(outcome.error)})" if outcome.error else f" ({outcome.reason})" if outcome.reason else ""
    )
    words = {"skipped": "is skipped", "timeout": "does not end in time", "died": "ends the whole process"}
    return words[outcome.status] + said
