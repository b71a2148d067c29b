"""`bugsle accept`: looks and locked designs in files to be committed, of which nothing gets lost."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_bugsle.cli import main
from pytest_bugsle.errors import UsageError
from pytest_bugsle.experiment import committed, lock
from pytest_bugsle.experiment.accepting import accept_looks
from pytest_bugsle.experiment.design import Design
from pytest_bugsle.experiment.judging import judge_proportions
from pytest_bugsle.experiment.ledger import Ledger, Owner
from pytest_bugsle.experiment.looks import PastLook
from pytest_bugsle.results import ExperimentResult
from pytest_bugsle.settings import Settings

DAY = dt.date(2026, 1, 2)
WANTED = Design(metric="sales", mde=0.2)


def looked(
    top: Path, n: int = 2000, *, name: str = "shop", ci: bool = False, session: str = "s"
) -> ExperimentResult:
    """Look once at a named experiment."""
    with closing(Ledger(top, store=None, ci=ci, session=session)) as ledger:
        (made,) = ledger.judged(
            Owner(name, test="t.py::t", is_named=True),
            lambda past: [judge_proportions((n // 10, n), (n // 9, n), past=past, metric="sales", mde=0.2)],
            WANTED,
            lock.fields_of(WANTED),
        )
    return made


def file_of(top: Path, name: str = "shop") -> Path:
    """Where the looks of an experiment are committed."""
    return committed.place(top, name)


def accepted(top: Path) -> list[str]:
    """Accept all."""
    return accept_looks(top, Settings(), DAY)


def clone(top: Path, other: Path) -> Path:
    """Another machine, with what is committed and nothing else."""
    file_of(other).parent.mkdir(parents=True)
    file_of(other).write_bytes(file_of(top).read_bytes())
    return other


# ---- what is written


def test_looks_and_designs_are_written_one_look_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With sorted keys; a second time there is nothing to do."""
    looked(tmp_path)
    looked(tmp_path, 3000)
    assert main(["accept", "--repo", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tests/bugsle_looks/shop.json: 2 looks added",
        "tests/bugsle_looks/shop.json: the design of sales is locked",
        "to be committed: look at them, then git add",
    ]
    text = file_of(tmp_path).read_text()
    found = json.loads(text)
    assert list(found) == sorted(found) and [one["n"] for one in found["looks"]] == [
        [2000, 2000],
        [3000, 3000],
    ]
    assert all(list(one) == sorted(one) for one in found["looks"])
    assert sum(line.startswith("    {") for line in text.splitlines()) == 2 and "session" not in text
    assert main(["accept", "looks", "--repo", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "there is nothing new to accept\n"
    assert file_of(tmp_path).read_text() == text


def test_a_kind_that_there_is_not_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert main(["accept", "lokos"]) == 2
    said = capsys.readouterr().err
    assert "'lokos'" in said and "looks" in said
    assert main(["accept", "--repo", "/nowhere"]) == 2
    assert "no folder '/nowhere'" in capsys.readouterr().err


def test_looks_of_both_sources_are_united_and_none_is_taken_out(tmp_path: Path) -> None:
    """What another machine has committed stays, whatever this one knows."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    looked(tmp_path / "a")
    accepted(tmp_path / "a")
    there = clone(tmp_path / "a", tmp_path / "b")
    made = looked(there, 3000)
    assert made.look is not None and (made.look.number, made.look.method) == (2, "spending")
    assert accepted(there)[0].endswith("1 look added")
    assert [one["number"] for one in json.loads(file_of(there).read_text())["looks"]] == [1, 2]


def test_a_committed_ledger_persists_in_ci_and_says_what_it_forgets(tmp_path: Path) -> None:
    """A look that it does not have is the next one each time, unless it is committed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    looked(tmp_path / "a")
    accepted(tmp_path / "a")
    there = clone(tmp_path / "a", tmp_path / "b")
    known, new = looked(there, ci=True), looked(there, 3000, ci=True)
    assert known.look is not None and known.look.number == 1 and new.look is not None and new.look.number == 2
    assert not any("no ledger that lasts" in note for note in known.notes)
    assert any("`bugsle accept` and a commit keep it" in note for note in new.notes)


def test_nothing_kept_is_nothing_to_accept(tmp_path: Path) -> None:
    """And no folder is made for it."""
    assert accepted(tmp_path) == [] and not (tmp_path / "tests").exists()


def test_all_files_are_read_before_any_is_written(tmp_path: Path) -> None:
    """One that is wrong leaves the others as they are."""
    looked(tmp_path, name="a")
    looked(tmp_path, name="b")
    file_of(tmp_path, "b").parent.mkdir(parents=True)
    file_of(tmp_path, "b").write_text("{")
    with pytest.raises(UsageError, match=r"b\.json:1: this is no JSON"):
        accepted(tmp_path)
    assert not file_of(tmp_path, "a").exists()


# ---- what is read

GOOD = PastLook(
    metric="sales",
    data="d",
    n=(2, 3),
    at="2026-01-01T00:00:00Z",
    number=1,
    method="spending",
    level=0.01,
    share=0.5,
    spent=0.01,
    z=None,
    outcome="undecided",
    terms="",
)
TEXT = committed.text_of("shop", {"sales": lock.locked(lock.fields_of(WANTED), "2026-01-01")}, [GOOD, GOOD])


def number_of(start: str) -> int:
    """The line of TEXT that begins so, within its indentation."""
    return next(number for number, line in enumerate(TEXT.splitlines(), 1) if line.strip().startswith(start))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            TEXT.replace('  "looks"', '<<<<<<< HEAD\n  "looks"'),
            number_of('"looks"'),
            "a merge left its conflict",
        ),
        (TEXT + "=======\n>>>>>>> theirs\n", len(TEXT.splitlines()) + 1, "a merge left its conflict"),
        (TEXT.replace('"share"', "share", 1), number_of('{"at"'), "this is no JSON"),
        ("[]", 1, "no ledger of looks"),
        ("{}", 1, "no ledger of looks"),
        ("[" * 100_000, 1, "no JSON"),
        (TEXT.replace('"shop"', '"other"'), 1, "no ledger of 'shop'"),
        (TEXT.replace('"designs"', '"more": 1, "designs"'), 1, "no ledger of 'shop'"),
        (TEXT.replace('"n": [2, 3]', '"n": [2]', 1), number_of('{"at"'), "this is no look"),
        (TEXT.replace('"n": [2, 3]', '"n": [0, 3]', 1), number_of('{"at"'), "impossible"),
        (TEXT.replace('"level": 0.01', '"level": "low"', 1), number_of('{"at"'), "this is no look"),
        (TEXT.replace('"alpha": 0.05', '"alpha": 0.5'), number_of('"sales"'), "changed by hand"),
        (TEXT.replace('"designs": {', '"designs": {"a": 3, '), 1, "no table of designs"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    """Nothing is judged without the looks that it may have, and nothing overwrites it."""
    path = file_of(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        looked(tmp_path)
    assert error.value.what.startswith(f"{path}:{line}: ") and words in error.value.what
    assert error.value.why and "bugsle accept" in error.value.hint
    with closing(Ledger(tmp_path, store=None, ci=False, session="s")) as ledger:
        ledger.register(Owner("shop", is_named=True), lock.fields_of(WANTED))
    with pytest.raises(UsageError):
        accepted(tmp_path)
    assert path.read_text() == text


def test_a_file_of_a_newer_program_is_not_guessed_at(tmp_path: Path) -> None:
    """It may count what this one does not know."""
    path = file_of(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(TEXT.replace('"version": 1', '"version": 2'))
    with pytest.raises(UsageError, match="has version 2, and this program reads version 1"):
        looked(tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="no UTF-8"):
        looked(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A checkout may contain anything."""
    path = file_of(tmp_path)
    path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_text(TEXT)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="symbolic link"):
        looked(tmp_path)


names = st.text(min_size=1, max_size=80).filter(str.strip)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names, names)
def test_every_name_has_a_file_of_its_own_within_the_folder(tmp_path: Path, one: str, other: str) -> None:
    """Names are written by strangers, and some disks know no case."""
    place = committed.place(tmp_path, one)
    assert place.parent == tmp_path / "tests" / "bugsle_looks" and not place.name.startswith(".")
    assert place.name.isascii() and len(place.name) < 90
    if one != other:
        assert place.name.lower() != committed.place(tmp_path, other).name.lower()


looks = st.builds(
    PastLook,
    metric=st.text(max_size=20),
    data=st.text("abcdef0123456789", max_size=8),
    n=st.tuples(st.integers(1, 10**15), st.integers(1, 10**15)),
    at=st.text(max_size=5),
    number=st.integers(1, 100),
    method=st.sampled_from(["fixed", "spending", "always-valid"]),
    level=st.floats(1e-12, 0.999),
    share=st.none() | st.floats(0, 10),
    spent=st.none() | st.floats(0, 1),
    z=st.none() | st.floats(-38, 38),
    outcome=st.text(max_size=5),
    terms=st.text(max_size=5),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(min_size=1, max_size=20),
    st.lists(looks, max_size=4),
    st.text(min_size=1, max_size=10).filter(str.strip),
    st.floats(0.01, 0.2),
)
def test_what_is_written_is_read_to_the_last_digit(
    tmp_path: Path, name: str, some: list[PastLook], metric: str, alpha: float
) -> None:
    """Whatever the names; and the line of a field is the field's."""
    design: dict[str, Any] = lock.locked(lock.fields_of(Design(metric=metric, alpha=alpha)), "2026-01-01")
    path = file_of(tmp_path)
    committed.write(path, committed.text_of(name, {metric: design}, some))
    found = committed.read(path, name)
    assert found is not None and list(found.looks) == some and found.designs == {metric: design}
    assert f'"alpha": {alpha!r}' in found.text.splitlines()[found.line_of(metric, "alpha") - 1]
