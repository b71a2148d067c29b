"""A file of counts: judged by the design, and what is wrong with it is named by file and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment.command import ab
from pytest_bugsle.experiment.counts import judge_counts, read_counts

ONE = {"control": [50, 500], "treatment": [62, 520]}


def run(folder: Path, counts: Any, design: str, *more: str) -> Any:
    """Run the command on these counts."""
    file, wanted = folder / "counts.json", folder / "design.toml"
    file.write_text(counts if isinstance(counts, str) else json.dumps(counts), encoding="utf-8")
    wanted.write_text(design, encoding="utf-8")
    return CliRunner().invoke(ab, [str(file), "--design", str(wanted), *more], standalone_mode=False)


def test_one_metric_needs_no_name(tmp_path: Path) -> None:
    """The design gives it."""
    made = run(tmp_path, ONE, 'metric = "conversion"\nmde = 0.10\n')
    assert made.return_value == 3
    assert made.output.startswith("UNDECIDED conversion") and "14,751 per arm" in made.output


def test_counts_that_have_grown_are_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same counts are no new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    design = 'name = "shop"\nmetric = "conversion"\nmde = 0.10\n'
    grown = {"control": [150, 1500], "treatment": [180, 1500]}
    said = [run(tmp_path, counts, design).output for counts in (ONE, grown, grown)]
    assert "look: look 1, by the ledger" in said[0] and "look: look 2, by the ledger" in said[1]
    assert said[1] == said[2]


def test_several_metrics_are_one_family(tmp_path: Path) -> None:
    """Each is judged, and Holm adjusts them."""
    report = tmp_path / "out.json"
    several = {"a": {"control": [500, 5000], "treatment": [700, 5000]}, "b": ONE}
    made = run(tmp_path, several, "mde = 0.10\n", "--report", f"json:{report}")
    assert made.return_value == 3
    found = json.loads(report.read_text())["experiments"]
    assert {one["metric"]: one["outcome"] for one in found} == {"a": "pass", "b": "undecided"}
    assert all(one["adjusted_p_value"] is not None for one in found)


def test_several_arms_have_one_control(tmp_path: Path) -> None:
    """Each treatment is a result of its own."""
    arms = {"old": [50, 500], "red": [62, 510], "blue": [55, 505]}
    found = judge_counts({"m": {name: tuple(value) for name, value in arms.items()}}, [{"control": "old"}])
    assert [one.metric for one in found] == ["m [red]", "m [blue]"]
    assert [list(one.n) for one in found] == [["old", "red"], ["old", "blue"]]


def test_sizes_that_are_not_as_designed_withhold_the_effect(tmp_path: Path) -> None:
    """By the split of the design, or by equal sizes."""
    uneven = {"control": [500, 10_000], "treatment": [700, 11_000]}
    assert run(tmp_path, uneven, 'metric = "m"\n').return_value == 2
    split = "[split]\ncontrol = 0.48\ntreatment = 0.52\n"
    assert run(tmp_path, uneven, f'metric = "m"\n{split}').return_value == 0


@pytest.mark.parametrize(
    ("counts", "named"),
    [
        ("{", "is no JSON: .* line 1, column 2"),
        ("[]", "holds a list of 0, and must hold an object"),
        ("{}", "holds an object of 0"),
        ("3", "holds 3"),
        ({"control": [1, 2]}, "it: an object of 1, must be an object of two or more arms"),
        ({"m": {"control": [1, 2]}}, "m: an object of 1, must be"),
        ({"m": 7}, "m: 7, must be an object of two or more arms"),
        (
            {"control": [1, 2], "treatment": [1, 2, 3]},
            r"treatment: a list of 3, must be \[successes, trials\]",
        ),
        ({"control": [1, 2], "treatment": None}, "treatment: null, must be"),
        ({"m": {"control": [1, 2], "t": [1, "2"]}}, r'm\.t\[1\]: "2", must be the whole number of trials'),
        (
            {"control": [1.5, 2], "treatment": [1, 2]},
            r"control\[0\]: 1.5, must be the whole number of successes",
        ),
        ({"control": [True, 2], "treatment": [1, 2]}, r"control\[0\]: true"),
        ('{"a": {"c": [1, 2], "c": [1, 2]}}', "'c' stands in it twice"),
        ('{"a": [NaN, 2], "b": [1, 2]}', r"a\[0\]: NaN"),
        ("\udcff", "cannot be read|is no JSON"),
        ("[" * 100_000, "cannot be read|is no JSON"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(tmp_path: Path, counts: Any, named: str) -> None:
    """With what was expected there."""
    file = tmp_path / "counts.json"
    text = counts if isinstance(counts, str) else json.dumps(counts)
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=named) as error:
        read_counts(file)
    assert "counts.json" in str(error.value)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(UsageError, match=r"none\.json.*cannot be read"):
        read_counts(tmp_path / "none.json")


def test_counts_that_contradict_themselves_are_invalid(tmp_path: Path) -> None:
    """More successes than trials: wrong data, not a wrong file."""
    made = run(tmp_path, {"control": [5, 3], "treatment": [1, 9]}, 'metric = "m"\n')
    assert made.return_value == 2 and "control successes is 5" in made.output


@pytest.mark.parametrize(
    ("design", "named"),
    [
        ('metric = "conversoin"\n', "no counts of 'conversoin'"),
        ('arm = "x"\nmetric = "conversion"\n', "no key 'arm'"),
        ('control = "nobody"\nmetric = "conversion"\n', "the arms are 'control', 'treatment'"),
        ('metric = "conversion"\n[split]\ncontrol = 1\nother = 1\n', "the arms are"),
        ('metric = "conversion"\n[split]\ncontrol = 1\ntreatment = -1\n', "share of 'treatment' is -1"),
        ('[[metrics]]\nmetric = "conversion"\n', "no design is for 'other'"),
    ],
)
def test_a_design_that_does_not_fit_is_a_usage_error(tmp_path: Path, design: str, named: str) -> None:
    """It names what there is."""
    counts = {"conversion": ONE, "other": ONE}
    made = run(tmp_path, counts, design)
    assert isinstance(made.exception, UsageError) and named in str(made.exception)


def test_counts_cannot_be_dealt_anew(tmp_path: Path) -> None:
    """They do not say which units they are of."""
    made = run(tmp_path, ONE, 'metric = "m"\n', "--aa", "1000")
    assert isinstance(made.exception, UsageError) and "cannot be dealt anew" in str(made.exception)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_json_is_counts_or_a_usage_error(value: Any) -> None:
    """Nothing else comes of it."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts.json"
        file.write_text(json.dumps(value), encoding="utf-8")
        try:
            found = read_counts(file)
        except UsageError:
            return
        assert all(len(arms) >= 2 for arms in found.values())
