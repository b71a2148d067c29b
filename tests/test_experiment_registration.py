"""Experiments that are registered before their data: the marker, the lock, and what may change after the first look."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.cli import main
from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import lock
from pytest_bugsle.experiment.accepting import accept_looks
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_proportions
from pytest_bugsle.experiment.ledger import Ledger, Owner
from pytest_bugsle.experiment.registration import Registered, of_marker
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.settings import Settings

MARKED = """
import os, pytest
N = int(os.environ.get("N", "2000"))
@pytest.mark.experiment("checkout-2026", {marker})
def test_ships(ab_gate):
    ab_gate.proportions((N // 10, N), (N // 9, N){call})
"""


@pytest.fixture(autouse=True)
def at_a_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as at a desk, unless a test says otherwise."""
    for name in ("CI", "BUGSLE_STORE", "BUGSLE_INNER"):
        monkeypatch.delenv(name, raising=False)


DAY = dt.date(2026, 1, 2)


def looked(top: Path, name: str = "shop", **design: Any) -> ExperimentResult:
    """Look once at a named experiment."""
    wanted = Design(**design)
    with closing(Ledger(top, store=None, ci=False, session="s")) as ledger:
        (made,) = ledger.judged(
            Owner(name, test="t.py::t", is_named=True),
            lambda past: [judge_proportions((200, 2000), (220, 2000), past=past, **design)],
            wanted,
            lock.fields_of(wanted),
        )
    return made


def run(pytester: pytest.Pytester, marker: str, call: str = "", *args: str) -> pytest.RunResult:
    """Run one marked test in a process of its own."""
    pytester.makepyfile(test_ab=MARKED.format(marker=marker, call=call))
    return pytester.runpytest_subprocess("-p", "no:randomly", "--strict-markers", *args)


def accept(top: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Accept what was kept; return what is said."""
    assert main(["accept", "--repo", str(top)]) == 0
    return capsys.readouterr().out


# ---- the marker


def test_a_marker_gives_each_gate_its_design() -> None:
    """And leaves to the gate what it does not say."""
    made = of_marker(["shop"], {"metric": "sales", "alpha": 0.01, "split": {"a": 1}, "margin": 0.02})
    assert made.name == "shop" and made.metrics == ("sales",)
    assert made.applied({"mde": 0.1}) == {"mde": 0.1, "metric": "sales", "alpha": 0.01, "min_lift": -0.02}
    assert made.applied({}, table=True)["split"] == {"a": 1}


@pytest.mark.parametrize(
    ("args", "design", "words"),
    [
        ((), {}, "has no name"),
        ((3,), {}, "has 3"),
        (("a", "b"), {}, "'a', 'b'"),
        (("shop",), {"aplha": 0.1}, "no 'aplha'"),
        (("shop",), {"look": "final"}, "no 'look'"),
        (("shop",), {"margin": 0}, "must be over 0"),
        (("shop",), {"margin": 0.1, "min_lift": 0.1}, "beside min_lift"),
        (("shop",), {"metric": 3}, "metric is 3"),
        (("shop",), {"alpha": 2}, "alpha is 2"),
    ],
)
def test_a_marker_that_registers_nothing_is_refused(args: tuple[Any, ...], design: Any, words: str) -> None:
    """With what it should be."""
    with pytest.raises(UsageError) as error:
        of_marker(args, design)
    assert words in error.value.what and error.value.hint


def test_a_gate_that_contradicts_its_marker_is_refused() -> None:
    """In the metric, too; what says the same is fine."""
    made = of_marker(["shop"], {"metric": ("sales", "visits"), "alpha": 0.01})
    assert made.applied({"metric": "visits", "alpha": 0.01}) == {"metric": "visits", "alpha": 0.01}
    with pytest.raises(
        UsageError, match=r"alpha is 0\.05 here, and experiment 'shop' was registered with 0\.01"
    ):
        made.applied({"metric": "sales", "alpha": 0.05})
    with pytest.raises(UsageError, match=r"metric is 'profit' here, .* 'sales' or 'visits'"):
        made.applied({"metric": "profit"})


def test_what_is_wrong_with_a_marker_is_said_without_a_traceback(pytester: pytest.Pytester) -> None:
    """Under strict markers, and with the nearest key."""
    made = run(pytester, 'aplha=0.1, metric="sales"')
    made.stdout.fnmatch_lines(["*there is no 'aplha' in a design*", "*did you mean 'alpha'*"])
    made.stdout.no_fnmatch_line("*Traceback*")
    made = run(pytester, 'alpha=0.1, metric="sales", mde=0.2', ", alpha=0.2")
    made.stdout.fnmatch_lines(["*alpha is 0.2 here, and experiment 'checkout-2026' was registered with 0.1*"])


# ---- the lock

designs = st.builds(
    Design,
    metric=st.just("sales"),
    alpha=st.sampled_from([0.01, 0.05]),
    sides=st.sampled_from([1, 2]),
    direction=st.sampled_from(["up", "down"]),
    min_lift=st.sampled_from([None, 0.0, 0.01]),
    mde=st.sampled_from([None, 0.1, 0.2]),
    power=st.sampled_from([0.8, 0.9]),
    spending=st.sampled_from(["pocock", "power"]),
    role=st.sampled_from(["decision", "guardrail"]),
)


@given(designs, designs)
def test_a_lock_knows_just_what_differs(one: Design, other: Design) -> None:
    """A margin of 0 and none are the same; what is only planned is not grave."""
    found = {change.field: change for change in lock.changes(lock.fields_of(one), lock.fields_of(other))}
    differs = {
        name
        for name, value in dataclasses.asdict(one).items()
        if (value or None) != (getattr(other, name) or None) and name != "look"
    }
    assert set(found) == differs
    assert {name for name, change in found.items() if lock.is_grave(change)} == differs - {"mde", "power"}


def test_guardrails_may_be_added_and_not_taken_away() -> None:
    """Nor may their margins change."""
    rails = {"latency": {"margin": 0.01}}
    base = lock.fields_of(Design(), {"guardrails": rails})
    added = lock.fields_of(Design(), {"guardrails": {**rails, "errors": {"margin": 0.1}}})
    wider = lock.fields_of(Design(), {"guardrails": {"latency": {"margin": 0.5}}})
    assert [lock.is_grave(one) for one in lock.changes(base, added)] == [False]
    assert [lock.is_grave(one) for one in lock.changes(added, base)] == [True]
    (change,) = lock.changes(base, wider)
    assert lock.is_grave(change) and change.field == "guardrails.latency"


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({}, {"method": "rank"}, "method"),
        ({"winsorise": (0.0, 0.99)}, {"winsorise": (0.0, 0.95)}, "winsorise"),
        ({"q": 0.5}, {"q": 0.9}, "quantile"),
        ({"covariate": "before"}, {}, "covariate"),
    ],
)
def test_what_is_measured_may_not_change(before: dict[str, Any], after: dict[str, Any], named: str) -> None:
    """Another method is another test of the same data; the default may be written out."""
    old = lock.locked(lock.fields_of(Design(), before), "2026-01-02")
    (change,) = lock.changes(json.loads(json.dumps(old)), lock.fields_of(Design(), after))
    assert change.field == named and lock.is_grave(change)
    assert not list(lock.changes(old, lock.fields_of(Design(), {"method": "welch", **before})))


def test_a_lock_that_was_changed_by_hand_is_known() -> None:
    """Each of its fields is in its digest."""
    made = lock.locked(lock.fields_of(Design(alpha=0.01)), "2026-01-02")
    assert lock.is_whole(made) and made["locked"] == "2026-01-02"
    for name in made:
        assert not lock.is_whole({**made, name: "other"})


# ---- a design that changes


def test_a_design_without_a_lock_gets_a_note_and_no_error(pytester: pytest.Pytester) -> None:
    """Which says what to type."""
    made = run(pytester, 'metric="sales", mde=0.2')
    made.stdout.fnmatch_lines(
        ["*note: the design of 'checkout-2026' is not locked: `bugsle accept` locks it*"]
    )
    made.stdout.no_fnmatch_line("*BUG309*")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ('metric="sales", mde=0.2, alpha=0.2', "alpha is 0.2, and was locked as 0.05"),
        ('metric="sales", mde=0.2, direction="down"', "direction is 'down', and was locked as 'up'"),
        ('metric="sales", mde=0.2, margin=0.05', "min_lift is -0.05, and was locked as not given"),
        ('metric="sales", mde=0.2, sides=1', "sides is 1, and was locked as 2"),
        ('metric="profit", mde=0.2', "metric is 'profit', and was locked as 'sales'"),
    ],
)
def test_what_a_pass_means_may_not_change_after_the_first_look(
    tmp_path: Path, changed: str, words: str
) -> None:
    """The effect is withheld; the message names field, old, new, file, line and the first look."""
    looked(tmp_path, metric="sales", mde=0.2)
    assert any("the design of sales is locked" in line for line in accept_looks(tmp_path, Settings(), DAY))
    made = looked(tmp_path, **dict(of_marker(["shop"], eval(f"dict({changed})")).design))  # noqa: S307  our own words
    assert made.outcome == "invalid" and made.effect is None and made.why in made.message
    found = re.fullmatch(
        rf"{re.escape(words)} \(tests/bugsle_looks/shop\.json:(\d+)\); the first look was at 2\S+", made.why
    )
    assert found is not None
    assert made.checks[0].rule == "BUG309" and "or begin a new experiment under a new name" in made.message
    line = (tmp_path / "tests/bugsle_looks/shop.json").read_text().splitlines()[int(found[1]) - 1]
    field = words.partition(" ")[0]
    assert f'"{field}": ' in line or field in ("metric", "min_lift")


def test_a_changed_design_is_a_finding_of_the_run(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """From end to end."""
    run(pytester, 'metric="sales", mde=0.2')
    assert "the design of sales is locked" in accept(pytester.path, capsys)
    made = run(pytester, 'metric="sales", mde=0.2, alpha=0.2')
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(
        [
            "*BUG309 design-changed-after-look: alpha is 0.2, and was locked as 0.05 (tests/bugsle_looks/checkout-2026.json:4)*"
        ]
    )
    made.stdout.no_fnmatch_line("*difference*")


def test_a_plan_may_change_and_that_is_said(tmp_path: Path) -> None:
    """A larger test is no other question."""
    looked(tmp_path, metric="sales", mde=0.2)
    accept_looks(tmp_path, Settings(), DAY)
    made = looked(tmp_path, metric="sales", mde=0.1)
    assert made.outcome != "invalid"
    assert any(
        note.startswith("mde is 0.1, and was locked as 0.2 (tests/bugsle_looks/shop.json:")
        for note in made.notes
    )


def test_a_metric_that_only_looks_need_not_be_locked(tmp_path: Path) -> None:
    """It decides nothing."""
    looked(tmp_path, metric="sales", mde=0.2)
    accept_looks(tmp_path, Settings(), DAY)
    made = looked(tmp_path, metric="visits", mde=0.2, role="exploratory")
    assert made.outcome != "invalid" and "'visits' is not locked" in made.notes[0]


def test_before_the_first_look_a_design_may_change(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plan is no look, and is locked all the same."""
    plan = MARKED.replace("proportions((N // 10, N), (N // 9, N){call})", "design(baseline=0.1, n=9_000)")

    def planned(marker: str) -> pytest.RunResult:
        pytester.makepyfile(test_ab=plan.format(marker=marker))
        return pytester.runpytest_subprocess("-p", "no:randomly")

    planned('metric="sales", mde=0.2').assert_outcomes(passed=1)
    assert "the design of sales is locked" in accept(pytester.path, capsys)
    planned('metric="sales", mde=0.2, alpha=0.01').assert_outcomes(passed=1)
    assert "locked anew" in accept(pytester.path, capsys)
    assert '"alpha": 0.01' in (pytester.path / "tests/bugsle_looks/checkout-2026.json").read_text()


def test_the_lock_is_that_of_the_first_look_whatever_came_since(tmp_path: Path) -> None:
    """Who looks first and locks later has looked."""
    looked(tmp_path, metric="sales", mde=0.2)
    looked(tmp_path, metric="sales", mde=0.2, alpha=0.2)
    said = accept_looks(tmp_path, Settings(), DAY)
    assert any("as it was at the first look; it has changed since" in line for line in said)
    assert '"alpha": 0.05' in (tmp_path / "tests/bugsle_looks/shop.json").read_text()


def test_another_design_under_another_name_is_a_new_experiment(tmp_path: Path) -> None:
    """With looks of its own."""
    looked(tmp_path, metric="sales", mde=0.2)
    accept_looks(tmp_path, Settings(), DAY)
    made = looked(tmp_path, "shop-2", metric="sales", mde=0.2, alpha=0.2)
    assert made.look is not None and made.look.number == 1


def test_parameters_of_a_test_have_looks_of_their_own(pytester: pytest.Pytester) -> None:
    """They are other data by design."""
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("n", [2000, 3000])
        @pytest.mark.experiment("shop", metric="sales", mde=0.2)
        def test_ships(ab_gate, n):
            ab_gate.proportions((n // 10, n), (n // 9, n))
        """
    )
    made = pytester.runpytest_subprocess("-p", "no:randomly")
    made.stdout.no_fnmatch_line("*look 2*")
    assert str(made.stdout).count("look 1, by the ledger") == 2


def test_an_unused_marker_imports_nothing(pytester: pytest.Pytester) -> None:
    """It stands in the list of markers, and that is all."""
    pytester.makepyfile(
        """
        import sys, pytest
        @pytest.mark.experiment("shop")
        def test_nothing():
            assert not [name for name in sys.modules if name.startswith("pytest_bugsle.experiment")]
            assert "sqlite3" not in sys.modules and "scipy" not in sys.modules
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cov", "--strict-markers").assert_outcomes(
        passed=1
    )
    pytester.runpytest_subprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.experiment(name, [*][*]design)*"]
    )


# ---- without a test


def test_the_command_remembers_by_the_designs_name_and_holds_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the fixture does; a changed design is wrong input."""
    pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    design = tmp_path / "design.toml"

    def table(units: int) -> None:
        rows = [f"{arm},{int(unit % 10 == 0)}" for arm in ("control", "treatment") for unit in range(units)]
        (tmp_path / "x.csv").write_text("\n".join(["arm,sold", *rows]))

    def judged(alpha: float = 0.05) -> tuple[int, str]:
        design.write_text(f'name = "shop"\narm = "arm"\nmetric = "sold"\nmde = 0.2\nalpha = {alpha}\n')
        code = main(["ab", "x.csv", "--design", "design.toml"])
        return code, capsys.readouterr().out

    table(1000)
    assert "look 1, by the ledger of looks" in judged()[1]
    assert "look 1, by the ledger of looks" in judged()[1]
    table(2000)
    code, said = judged()
    assert code == 3 and "look 2, by the ledger of looks" in said
    assert "the design of sold is locked" in accept(tmp_path, capsys)
    code, said = judged(alpha=0.2)
    assert code == 2 and "BUG309" in said and "alpha is 0.2, and was locked as 0.05" in said
    assert (tmp_path / "tests/bugsle_looks/shop.json").is_file()
    design.write_text('name = 3\narm = "arm"\nmetric = "sold"\n')
    assert main(["ab", "x.csv", "--design", "design.toml"]) == 2
    assert "name is 3" in capsys.readouterr().err


def test_a_registered_metric_may_be_any_of_several() -> None:
    """Without one, any metric at all."""
    assert Registered("shop").applied({"metric": "x"}) == {"metric": "x"}
