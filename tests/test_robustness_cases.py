"""Saved failures: readable, replayed, moved into the repository; whatever else stands in their folder."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.cli import main
from pytest_bugsle.errors import UsageError
from pytest_bugsle.robustness.cases import (
    MOST_KEPT,
    Case,
    CaseStore,
    accept_cases,
    edits_shown,
    encoded,
    folder_name,
    read_case,
)
from pytest_bugsle.robustness.edits import apply, differences, digest_of
from pytest_bugsle.robustness.freezing import frozen
from pytest_bugsle.settings import CASES

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
    return CaseStore(TEST, local=top / ".bugsle", committed=top / CASES, top=top)


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
        ({1: 2.5, ("a", 2): 3.0}, {1: 2.5, ("a", 2): 4.0}),
        ({"tuple": 2.5}, {"tuple": 3.5}),
        ({"array": 1, "dtype": "x"}, {"array": 2, "dtype": "x"}),
        (numpy.array(["x", 1.5], dtype=object), numpy.array(["x", 2.5], dtype=object)),
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
    assert store.load() == ([], [case()], [], [])
    other = CaseStore("tests/other.py::test", local=tmp_path / ".bugsle", committed=tmp_path, top=tmp_path)
    assert other.load() == ([], [], [], [])


def test_accepted_cases_are_moved_into_the_repository(tmp_path: Path) -> None:
    """With the bug that they guard, and are saved no more."""
    store = store_at(tmp_path)
    store.save(case())
    store.save(case("noch ein", "noch EIN"))
    assert accept_cases(tmp_path / ".bugsle", tmp_path / CASES, only="nothing") == []
    (tmp_path / ".bugsle" / "robustness" / folder_name(TEST) / "broken.json").write_text("{")
    moved = accept_cases(tmp_path / ".bugsle", tmp_path / CASES, only="case.upper", bug="#42")
    assert len(moved) == 2 and all(new.is_file() and not old.exists() for old, new in moved)
    accepted, new, lost, said = store.load()
    assert {one.bug for one in accepted} == {"#42"} and new == lost == []
    assert len(said) == 1 and "is not replayed: it cannot be read" in said[0]
    assert store.save(case()) in {path.relative_to(tmp_path).as_posix() for _, path in moved}


def test_the_bug_of_an_accepted_case_can_be_named_later(tmp_path: Path) -> None:
    """Of those alone that are asked for."""
    store = store_at(tmp_path)
    store.save(case())
    store.save(case("noch ein", "noch EIN"))
    folders = (tmp_path / ".bugsle", tmp_path / CASES)
    moved = [new for _, new in accept_cases(*folders)]
    assert accept_cases(*folders, bug="#42") == []
    assert accept_cases(*folders, only=moved[0].name, bug="#42") == [(moved[0], moved[0])]
    assert accept_cases(*folders, only=moved[0].name, bug="#42") == []
    named = read_case(moved[0])
    assert isinstance(named, Case) and named.bug == "#42"
    assert sorted(str(one.bug) for one in store.load()[0]) == ["#42", "None"]


def test_cases_follow_a_test_that_was_renamed(tmp_path: Path) -> None:
    """Those alone that are asked for; the old folder goes."""
    store = store_at(tmp_path)
    store.save(case())
    store.save(case("noch ein", "noch EIN"))
    folders = (tmp_path / ".bugsle", tmp_path / CASES)
    moved = accept_cases(*folders, bug="#42")
    again = accept_cases(*folders, only=folder_name(TEST), test="tests/test_lang.py::test_new")
    assert [old for old, _ in again] == sorted(new for _, new in moved)
    assert not moved[0][1].parent.exists() and store.load() == ([], [], [], [])
    renamed = CaseStore("tests/test_lang.py::test_new", local=folders[0], committed=folders[1], top=tmp_path)
    assert [one.bug for one in renamed.load()[0]] == ["#42", "#42"]


@pytest.mark.parametrize(
    ("own", "other", "source", "lost"),
    [
        ("t.py::test_it", "t.py::test_old", "def test_it(): pass", True),
        ("t.py::test_it", "t.py::test_old[a-b]", "def test_it(): pass\nasync def  test_old(x): pass", False),
        ("t.py::test_it", "t.py::TestA::test_old", "class TestA(Base): pass", False),
        ("t.py::test_it", "t.py::TestA::test_old", "class TestAB(Base): pass", True),
        ("t.py::test_it", "u.py::test_old", "", True),
        ("u.py::test_it", "t.py::test_old", "", False),
    ],
)
def test_accepted_cases_of_a_test_that_is_gone_are_missed(
    own: str, other: str, source: str, lost: bool, tmp_path: Path
) -> None:
    """By the tests of its file, and by all where the file is gone."""
    (tmp_path / "t.py").write_text(source)
    for test in (own, other):
        folder = tmp_path / CASES / folder_name(test)
        folder.mkdir(parents=True)
        made = msgspec.structs.replace(case(), test=test)
        (folder / made.name()).write_bytes(encoded(made))
    store = CaseStore(own, local=None, committed=tmp_path / CASES, top=tmp_path)
    said = store.orphans()
    assert len(said) == lost
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "t.py").write_text(source)
    part = CaseStore(own, local=None, committed=tmp_path / CASES, top=tmp_path / "part")
    assert part.orphans() == [], "ids of another part of the repository are not known here"
    for one in said:
        assert f"there is no {other}; next: bugsle accept models --only {folder_name(other)} --test" in one


@pytest.mark.parametrize(
    ("args", "accepted", "bug"),
    [
        ((), ["a", "b"], None),
        (("--bug", "42"), ["a", "b"], "#42"),
        (("models", "--bug", "ABC-7", "--only", "test_a"), ["a"], "ABC-7"),
        (("--only", "case.upper"), ["a", "b"], None),
        (("--only", "none of these"), [], None),
    ],
)
def test_accept_writes_what_is_asked_for(
    args: tuple[str, ...],
    accepted: list[str],
    bug: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the bug in its one spelling."""
    for name in ("a", "b"):
        test = f"tests/test_{name}.py::test_it"
        store = CaseStore(test, local=tmp_path / ".bugsle", committed=tmp_path / CASES, top=tmp_path)
        store.save(msgspec.structs.replace(case(), test=test))
    assert main(["accept", *args, "--repo", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [read_case(tmp_path / line.partition(": ")[0]) for line in lines[:-1]]
    assert [one.test for one in found if isinstance(one, Case)] == [
        f"tests/test_{name}.py::test_it" for name in accepted
    ]
    assert {one.bug for one in found if isinstance(one, Case)} <= {bug}
    assert all(line.endswith(f": names bug {bug}") for line in lines[:-1]) or bug is None


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("looks", "--bug", "#42"), "--bug is for cases of models"),
        (("--bug", " "), "--bug names no bug"),
        (("--test", "a.py::test_b"), "--test needs --only"),
    ],
)
def test_a_bug_is_one_of_a_model(
    args: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And has a name."""
    assert main(["accept", *args]) == 2
    assert said in capsys.readouterr().err


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
    accepted, new, lost, told = store.load()
    assert (accepted, new, lost) == ([], [], []) and len(told) == 1 and said in told[0]


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
    (tmp_path / CASES).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a symbolic link"):
        accept_cases(tmp_path / ".bugsle", tmp_path / CASES)
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
    _, new, _, said = store_at(tmp_path).load()
    assert len(new) == 3 and not said
    assert len(list((tmp_path / ".bugsle").rglob("*.*"))) == 4  # the folder has a dot, too


ROW = {"before": [1, 2], "edits": [[0, 1, 3]], "after": [3, 2]}
DEEP = json.loads("[" * 900 + "]" * 900)


@pytest.mark.parametrize(
    "change",
    [
        {"before": {"array": [1, 2], "dtype": "nonsense"}},
        {"before": {"array": [1, 2], "dtype": "V2000000000"}},
        {"before": {"array": [1, 2], "dtype": 5}},
        {"before": {"array": [[1], [1, 2]], "dtype": "float64"}},
        {"before": {"tuple": 5}},
        {"before": {"items": 5}},
        {"before": {"items": [[[1], 2]]}},
        {"edits": [["a", "b", "ein", "EIN"]]},
        {"edits": [[[1], [2], "ein", "EIN"]]},
        {"edits": [[0.0, 3.0, "ein", "EIN"]]},
        {"edits": [[None, None, "ein Satz", "EIN Satz"]]},
        {"edits": [[0, 10**30, "ein", "EIN"]]},
        {"edits": [[-8, 3, "ein", "EIN"]]},
        {"edits": [[]]},
        ROW | {"edits": [[{"x": 1}, 1, 3]]},
        ROW | {"edits": [[10**30, 1, 3]]},
        {"before": None, "after": None},
        {"before": DEEP, "after": DEEP},
    ],
    ids=lambda change: str(change)[:60],
)
def test_hostile_cases_are_said_and_not_replayed(change: dict[str, Any], tmp_path: Path) -> None:
    """Whatever they hold, nothing is raised, and no memory is asked for."""
    store = store_at(tmp_path)
    place = tmp_path / str(store.save(case()))
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    accepted, new, _, told = store.load()
    assert (accepted, new) == ([], []) and len(told) == 1 and "no longer applies" in told[0]


def test_an_array_of_texts_asks_for_no_more_than_it_holds(tmp_path: Path) -> None:
    """A type of a megabyte (or a gigabyte) a letter stands in a file that anybody may write."""
    array = {"array": ["a", "b"], "dtype": "<U268435"}
    made = case(ROW["before"], ROW["after"])
    hostile = Case(
        **{**json.loads(encoded(made)), "relation": None, "before": array, "after": array, "edits": []}
    )
    found = hostile.variation()
    assert found is not None and found[0].nbytes == 8


def test_links_and_folders_are_no_cases(tmp_path: Path) -> None:
    """A link may lead to a device that never ends."""
    folder = tmp_path / CASES / folder_name(TEST)
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere.json").write_bytes(encoded(case()))
    (folder / "link.json").symlink_to(tmp_path / "elsewhere.json")
    (folder / "folder.json").mkdir()
    _, _, lost, _ = store_at(tmp_path).load()
    assert len(lost) == 2 and all("is not replayed: it is a link or a folder" in each for each in lost)


@pytest.mark.parametrize("linked", ["robustness", f"robustness/{folder_name(TEST)}"])
def test_new_cases_are_not_written_or_deleted_where_a_link_leads(linked: str, tmp_path: Path) -> None:
    """A checkout may contain anything."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / ".bugsle" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere, target_is_directory=True)
    assert store_at(tmp_path).save(case()) is None and not list(elsewhere.iterdir())
    inside = elsewhere / folder_name(TEST) if linked == "robustness" else elsewhere
    inside.mkdir(exist_ok=True)
    (inside / case().name()).write_bytes(encoded(case()))
    assert accept_cases(tmp_path / ".bugsle", tmp_path / CASES) == [] and list(inside.iterdir())


def test_the_newest_cases_of_a_test_are_kept(tmp_path: Path) -> None:
    """Each is asked again on each run."""
    store = store_at(tmp_path)
    names = [store.save(case("ein Satz", f"Satz {number}")) for number in range(MOST_KEPT + 5)]
    for number, name in enumerate(names[-3:]):
        assert (tmp_path / str(name)).is_file(), number
    assert len(store.load()[1]) == MOST_KEPT


def test_what_is_too_large_to_be_read_is_not_saved(tmp_path: Path) -> None:
    """It would be said on each run, and never replayed."""
    text = "x" * (9 * 1024 * 1024)
    assert store_at(tmp_path).save(case(text, text.upper())) is None


def test_a_long_name_is_cut(tmp_path: Path) -> None:
    """No file has one of 300 letters."""
    place = store_at(tmp_path).save(Case(**{**json.loads(encoded(case())), "perturbation": "n" * 300}))
    assert place is not None and len(Path(place).name) < 90
