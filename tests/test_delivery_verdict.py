"""The gate's answers: trends and limits by their intervals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.figures import figures
from pytest_bugsle.delivery.lead_time import durations
from pytest_bugsle.delivery.reverts import failure_rate
from pytest_bugsle.delivery.verdict import Policy, Unguarded, answer, deciding_rung, findings_of, questions
from pytest_bugsle.delivery.watch import Watch, Watched
from pytest_bugsle.results import DeliveryFigures, Question

HOUR, DAY = 3600, 86_400
_EMPTY = figures([])
_DEFAULT = Policy()


def watched(recent: Watched, earlier: Watched, rung: str = "revert") -> Watch:
    """Give two windows of one rung."""
    return Watch(30 * DAY, (0, 1), (-2, -1), {rung: (recent, earlier)})


def failures(failed: int, of: int) -> Watched:
    """Give a window with so many failures, none of which has a time."""
    return Watched(of, failed)


def slow(*days: int, of: int = 50) -> Watched:
    """Give a window with recoveries of so many days."""
    return Watched(of, len(days), sorted(day * DAY for day in days))


def asked(watch: Watch, policy: Policy = _DEFAULT, shown: DeliveryFigures = _EMPTY) -> dict[Any, Question]:
    """Give the questions by figure and kind."""
    return {(one.figure, one.asked): one for one in questions(watch, shown, policy)}


def of(**values: Any) -> DeliveryFigures:
    """Give figures that have these values."""
    from msgspec.structs import replace

    return replace(_EMPTY, **values)


@pytest.mark.parametrize(
    ("recent", "earlier", "expected"),
    [
        ((10, 20), (1, 20), "fail"),
        ((1, 20), (10, 20), "pass"),
        ((3, 20), (2, 20), "pass"),  # worse, and by chance
        ((0, 10), (0, 10), "pass"),
        ((9, 9), (0, 50), "undecided"),
        ((50, 50), (0, 9), "undecided"),
    ],
)
def test_only_a_rise_beyond_chance_fails(
    recent: tuple[int, int], earlier: tuple[int, int], expected: str
) -> None:
    """The interval of the difference decides, and below the floor nothing does."""
    found = asked(watched(failures(*recent), failures(*earlier)))["change-failure-rate", "trend"]
    assert found.answer == expected
    assert (found.interval is None) == (expected == "undecided")
    assert f"{recent[0]} of {recent[1]} after {earlier[0]} of {earlier[1]}" in found.says
    assert ("10 deployments a window are needed" in found.says) == (expected == "undecided")


@given(st.integers(10, 80), st.integers(10, 80), st.data())
def test_equal_rates_never_fail_and_a_worse_window_only_helps(n: int, m: int, data: st.DataObject) -> None:
    """One more failure before makes no answer worse, and one more now none better."""
    recent, earlier = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, m - 1))
    order = ("pass", "fail")

    def told(new: int, old: int) -> int:
        found = asked(watched(failures(new, n), failures(old, m)))["change-failure-rate", "trend"]
        return order.index(found.answer)

    plain = told(recent, earlier)
    assert told(recent, earlier + 1) <= plain <= told(recent + 1, earlier)
    if recent * m <= earlier * n:
        assert plain == 0


@pytest.mark.parametrize(
    ("recent", "earlier", "expected"),
    [
        (slow(9, 9, 10, 11, 12), slow(1, 1, 2, 2, 3), "fail"),
        (slow(1, 1, 2, 2, 3), slow(9, 9, 10, 11, 12), "pass"),
        (slow(1, 5, 5, 6, 30), slow(1, 4, 5, 6, 30), "pass"),
        (slow(9, 9, 10, 11), slow(1, 1, 2, 2, 3), "undecided"),
        (slow(), slow(1, 1, 2, 2, 3), "pass"),
    ],
)
def test_only_a_slower_recovery_beyond_chance_fails(recent: Watched, earlier: Watched, expected: str) -> None:
    """The interval of the shift decides; who never failed has nothing to recover from."""
    found = asked(watched(recent, earlier))["recovery", "trend"]
    assert found.answer == expected
    if expected == "fail":
        assert found.says == (
            "recovery, by revert: median 10.0 days after 2.0 days (n = 5 and 5), a shift of 7.0 days to 10.0 days"
        )
    if not recent.recoveries:
        assert found.says == "recovery, by revert: no failed deployment to recover from"
    if expected == "undecided":
        assert found.says == "recovery, by revert: 4 after 5 failures; 5 a window are needed"


def test_the_strongest_rung_that_has_a_source_decides() -> None:
    """Or the one that is asked for; one without a source decides nothing."""
    assert deciding_rung(["szz", "revert", "patch-release"]) == "revert"
    assert deciding_rung(["szz", "incident", "revert"]) == "incident"
    assert deciding_rung([]) is None
    assert deciding_rung(["revert"], "szz") is None
    both = Watch(
        1,
        (0, 1),
        (0, 1),
        {"szz": (failures(20, 20), failures(0, 20)), "revert": (failures(0, 20), failures(0, 20))},
    )
    trend = ("change-failure-rate", "trend")
    assert asked(both)[trend].answer == "pass"
    assert asked(both, Policy(rung="szz"))[trend].answer == "fail"
    none = asked(both, Policy(rung="incident"))
    assert {one.answer for one in none.values()} == {"undecided"}
    assert none[trend].says == "the rung 'incident' has no source that knows both windows"
    assert asked(Watch(1, (0, 1), (0, 1)))[trend].says == "no rung of evidence has a source"


def test_no_limit_is_judged_unless_asked_for() -> None:
    """By default there are the two trends alone, and a rule that is off asks nothing."""
    watch = watched(failures(0, 20), failures(0, 20))
    assert set(asked(watch)) == {("change-failure-rate", "trend"), ("recovery", "trend")}
    assert set(asked(watch, Policy(off=frozenset({"BUG502"})))) == {("change-failure-rate", "trend")}
    assert answer([]) == "undecided"


@pytest.mark.parametrize(
    ("failed", "n", "limit", "expected"),
    [(15, 20, 0.3, "fail"), (8, 20, 0.3, "pass"), (0, 20, 0.0, "pass"), (9, 9, 0.3, "undecided")],
)
def test_a_rate_exceeds_its_limit_with_its_whole_interval(
    failed: int, n: int, limit: float, expected: str
) -> None:
    """8 of 20 is 40 %, and may well be 30 %."""
    shown = of(change_failure={"revert": failure_rate(range(failed), n)})
    found = asked(watched(failures(0, 20), failures(0, 20)), Policy(max_failure_rate=limit), shown)
    one = found["change-failure-rate", "limit"]
    assert one.answer == expected
    assert f"{failed} of {n}" in one.says
    assert ("10 deployments are needed" in one.says) == (expected == "undecided")


def test_a_time_exceeds_its_limit_with_its_whole_interval() -> None:
    """Of recovery by its failures, of lead time by its deployments: commits of one wait together."""
    times = durations([hour * HOUR for hour in range(10, 30)])
    shown = of(lead_time=times, recovery={"revert": times}, releases=10)
    watch = watched(failures(0, 20), failures(0, 20))
    for limit, expected in ((9, "fail"), (18, "pass")):
        found = asked(watch, Policy(max_recovery=limit * HOUR, max_lead_time=limit * HOUR), shown)
        assert found["recovery", "limit"].answer == found["lead-time", "limit"].answer == expected
    assert found["lead-time", "limit"].says == (
        "lead time: median 19.5 hours (n = 20), 95 % interval 14.0 hours to 25.0 hours, and 18.0 hours is the limit"
    )
    few = asked(watch, Policy(max_lead_time=1), of(lead_time=times, releases=9))["lead-time", "limit"]
    assert (few.answer, few.says) == ("undecided", "lead time: 9 deployments; 10 are needed")
    few = asked(watch, Policy(max_lead_time=1), of(lead_time=durations([5] * 7), releases=12))[
        "lead-time", "limit"
    ]
    assert (few.answer, few.says) == ("undecided", "lead time: 7 commits; 8 are needed")
    none = asked(watch, Policy(max_recovery=1))["recovery", "limit"]
    assert (none.answer, none.says) == ("undecided", "recovery, by revert: 0 recoveries; 8 are needed")


def test_each_failed_question_is_a_finding_of_its_own_rule() -> None:
    """At the level of the policy; a rule that is off says nothing, and what is undecided is no finding."""
    watch = watched(
        Watched(20, 15, [9 * DAY] * 15),
        Watched(20, 5, [DAY] * 5),
    )
    times = durations([40 * DAY] * 20)
    shown = of(
        lead_time=times,
        recovery={"revert": times},
        change_failure={"revert": failure_rate(range(15), 20)},
        releases=20,
    )
    policy = Policy(max_failure_rate=0.1, max_recovery=DAY, max_lead_time=DAY)
    found = questions(watch, shown, policy)
    assert {one.answer for one in found} == {"fail"} and answer(found) == "fail"
    findings = findings_of(
        found,
        [Unguarded("v1.2", "a" * 40)],
        {"BUG504": "warning", "BUG505": "off"},
        ci=False,
        repository="shop",
        head="b" * 40,
    )
    assert [(one.rule, one.level) for one in findings] == [
        ("BUG501", "error"),
        ("BUG502", "error"),
        ("BUG506", "error"),
        ("BUG504", "warning"),
        ("BUG503", "warning"),
    ]
    assert all(one.message.startswith("shop: ") for one in findings)
    assert findings[-1].message == "shop: v1.2 failed, and no test fails without its fix aaaaaaa"
    assert findings[-1].commit == "a" * 40 and findings[0].commit == "b" * 40
    quiet = questions(watched(failures(0, 1), failures(0, 1)), _EMPTY, Policy())
    assert findings_of(quiet, [], {}, ci=True) == [] and answer(quiet) == "undecided"
