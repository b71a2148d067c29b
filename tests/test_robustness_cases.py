"""Saved failures: readable, replayed, moved into the repository; whatever else stands in their folder."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.cases import (
    COMMITTED,
    Case,
    CaseStore,
    accept_cases,
    edits_shown,
    encoded,
    folder_name,
    frozen,
    read_case,
)
from pytest_bugsle.robustness.edits import apply, differences, digest_of

numpy = pytest.importorskip("numpy")
TEST = "tests/test_lang.py::test_language[de-“x”]"


def case(before: Any = "ein Satz", after: Any = "EIN Satz", **more: Any) -> Case:
    """Return a case of two examples."""
    return Case(
        test=TEST,
        perturbation="case.upper",
        before=frozen(before),
        after=frozen(after),
        edits=frozen(edits_shown(before, differences(before, after))),
        output_before="de",
        output_after="ha",
        **more,
    )


def store_at(top: Path) -> CaseStore:
    """Return the cases of the test in a repository."""
    return CaseStore(TEST, local=top / ".bugsle", committed=top / COMMITTED, top=top)


@given(st.text(), st.text())
def test_a_case_is_the_same_after_its_file(before: str, after: str) -> None:
    """Lone surrogates and control characters among it; and the file is plain ASCII."""
    if before == after:
        return
    made = case(before, after)
    data = encoded(made)
    assert data.isascii() and data.endswith(b"}\n")
    back = Case(**json.loads(data))
    assert back == made and back.variation() is not None and back.name() == made.name()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"age": 30, "city": "Rome"}, {"age": 300, "city": "Rome"}),
        ((1, 2.5), (1, 25.0)),
        ([1, None], [2, None]),
        (numpy.zeros((2, 2), "float32"), numpy.eye(2, dtype="float32")),
    ],
    ids=repr,
)
def test_rows_and_arrays_are_saved_too(before: Any, after: Any, tmp_path: Path) -> None:
    """And come back as what they were."""
    made = case(before, after)
    (tmp_path / "case.json").write_bytes(encoded(made))
    back = read_case(tmp_path / "case.json")
    assert isinstance(back, Case)
    found = back.variation()
    assert found is not None
    assert digest_of(found[0]) == digest_of(before)
    assert digest_of(apply(found[0], found[1])) == digest_of(after)


def test_a_saved_case_is_loaded_by_its_test_alone(tmp_path: Path) -> None:
    """As a new one."""
    store = store_at(tmp_path)
    place = store.save(case())
    assert place is not None and (tmp_path / place).is_file() and place.startswith(".bugsle/robustness/")
    assert store.save(case()) == place
    assert store.load() == ([], [case()], [])
    other = CaseStore("tests/other.py::test", local=tmp_path / ".bugsle", committed=tmp_path, top=tmp_path)
    assert other.load() == ([], [], [])


def test_accepted_cases_are_moved_into_the_repository(tmp_path: Path) -> None:
    """With the bug that they guard, and are saved no more."""
    store = store_at(tmp_path)
    store.save(case())
    store.save(case("noch ein", "noch EIN"))
    assert accept_cases(tmp_path / ".bugsle", tmp_path / COMMITTED, only="nothing") == []
    (tmp_path / ".bugsle" / "robustness" / folder_name(TEST) / "broken.json").write_text("{")
    moved = accept_cases(tmp_path / ".bugsle", tmp_path / COMMITTED, only="case.upper", bug="#42")
    assert len(moved) == 2 and all(new.is_file() and not old.exists() for old, new in moved)
    accepted, new, said = store.load()
    assert {one.bug for one in accepted} == {"#42"} and new == []
    assert len(said) == 1 and "is not replayed: it cannot be read" in said[0]
    assert store.save(case()) in {path.relative_to(tmp_path).as_posix() for _, path in moved}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"after": "ganz anders"}, "no longer applies: its edits do not make its `after`"),
        ({"before": "ein anderer Satz"}, "no longer applies"),
        ({"edits": [[0, 99, "ein", "EIN"]]}, "no longer applies"),
        ({"edits": "x"}, "cannot be read"),
        ({"edits": [[0]]}, "no longer applies"),
        ({"schema": 3}, "its schema is 3, and 2 the newest that is known"),
        ({"test": "another::test"}, "it belongs to another::test"),
    ],
    ids=str,
)
def test_a_case_that_is_none_any_more_is_said(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    """And not replayed."""
    store = store_at(tmp_path)
    place = tmp_path / str(store.save(case()))
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    accepted, new, told = store.load()
    assert (accepted, new) == ([], []) and len(told) == 1 and said in told[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"before": NaN}', b"[" * 100_000])
def test_files_of_strangers_are_no_cases(content: bytes, tmp_path: Path) -> None:
    """Whatever they hold."""
    (tmp_path / "x.json").write_bytes(content)
    assert str(read_case(tmp_path / "x.json")).startswith("it cannot be read")


def test_a_linked_folder_is_not_written_to(tmp_path: Path) -> None:
    """A checkout may contain anything."""
    store_at(tmp_path).save(case())
    (tmp_path / "tests").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / COMMITTED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a symbolic link"):
        accept_cases(tmp_path / ".bugsle", tmp_path / COMMITTED)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_where_nothing_can_be_written_nothing_is_saved(tmp_path: Path) -> None:
    """And that is no error."""
    assert CaseStore(TEST, local=None, committed=tmp_path, top=tmp_path).save(case()) is None
    (tmp_path / ".bugsle").write_text("a file in the way")
    assert store_at(tmp_path).save(case()) is None


def test_folders_of_tests_can_be_read_and_told_apart() -> None:
    """Whatever stands in an id."""
    assert folder_name("tests/test_a.py::test_x").startswith("tests-test_a.py-test_x-")
    assert folder_name("a[/../../etc]") != folder_name("a[/../../etd]") and "/" not in folder_name(
        "a[/../..]"
    )
    assert folder_name("é" * 500) != folder_name("é" * 501)


def _save(top: str, number: int) -> None:
    for each in range(20):
        store_at(Path(top)).save(case("ein Satz", "ein SATZ" if each % 2 else f"ein Satz {number}"))


def test_two_processes_may_save_at_once(tmp_path: Path) -> None:
    """Each file is whole, and nothing is left beside them."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_save, args=(str(tmp_path), number)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    _, new, said = store_at(tmp_path).load()
    assert len(new) == 3 and not said
    assert len(list((tmp_path / ".bugsle").rglob("*.*"))) == 4  # the folder has a dot, too
