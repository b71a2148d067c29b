"""`bugsle model check`: a model by its name, a file of examples, an answer with its exit code."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from small_models import reviews

from pytest_bugsle.cli import COMMANDS, main
from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.robustness.command import model
from pytest_bugsle.robustness.gather import (
    model_named,
    read_column,
    read_examples,
    read_ids,
    read_words,
    tables_of,
)

MODELS = """
from small_models import trained
cased, control = trained(lowercase=False), trained()
def one(text):
    return control.predict([text])[0]
def many(texts):
    return control.predict(texts)
def made():
    return control
def broken():
    raise OSError("no weights")
def biased(text):
    return "bad" if "Ann" in text else one(text)
def digit(text):
    return int(text[-1]) % 3
def slow(text):
    import time
    time.sleep(30)
"""


CONTROL = ("--model", "reviewing:control", "--data", "data.csv")
FEW = ("--model", "reviewing:control", "--data", "few.txt")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with models and data."""
    (tmp_path / "reviewing.py").write_text(MODELS)
    texts, labels = reviews(300, seed=1)
    rows = [
        f"{text!r},{label}".replace("'", '"', 1).replace("',", '",')
        for text, label in zip(texts, labels, strict=True)
    ]
    (tmp_path / "data.csv").write_text(
        "\n".join(["text,label", *(row for row in rows if row.count('"') == 2)])
    )
    (tmp_path / "data.jsonl").write_text(
        "\n".join(json.dumps({"text": t, "label": n}) for t, n in zip(texts, labels, strict=True))
    )
    (tmp_path / "few.txt").write_text("\n".join(texts[:20]))
    (tmp_path / "words.csv").write_text("Ann, Bob, Cid\n\nhe,she\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("reviewing", None)


@pytest.fixture
def grouped(folder: Path) -> Path:
    """Give data with a column of groups, and files of words and sentences."""
    texts, labels = reviews(400, seed=1)
    (folder / "grouped.jsonl").write_text(
        "\n".join(
            json.dumps({"text": f"{('Ann', 'Bob')[place % 2]}: {text}", "label": label, "who": place % 2})
            for place, (text, label) in enumerate(zip(texts, labels, strict=True))
        )
    )
    (folder / "sentences.txt").write_text("\n".join(f"{{}}: a great evening, number {n}" for n in range(90)))
    return folder


def check(*args: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(model, ["check", *args], standalone_mode=False)


@pytest.mark.parametrize(
    ("spec", "data", "more", "code"),
    [
        ("reviewing:control", "data.csv", ("--invariant", "case"), 0),
        ("reviewing:one", "data.jsonl", ("--invariant", "case", "--check", "deterministic"), 0),
        ("reviewing:many", "data.jsonl", ("--invariant", "case", "--batch", "64"), 0),
        ("reviewing:made()", "data.jsonl", ("--invariant", "case.lower"), 0),
        ("reviewing:control", "data.jsonl", ("--baseline", "reviewing:control"), 0),
        ("reviewing:cased", "data.jsonl", ("--baseline", "reviewing:made()", "--invariant", "case.upper"), 1),
        ("reviewing:cased", "data.csv", ("--invariant", "case"), 1),
        ("reviewing:control", "few.txt", ("--invariant", "case"), 3),
        ("reviewing:control", "data.jsonl", ("--task", "topic", "--max-flip-rate", "0.9"), 0),
    ],
)
def test_a_model_is_judged_by_its_name(
    folder: Path, spec: str, data: str, more: tuple[str, ...], code: int
) -> None:
    """And the exit code says what came out."""
    made = check("--model", spec, "--data", data, *more, "--report", "json:out.json")
    assert made.return_value == code, made.output
    report = json.loads((folder / "out.json").read_text())
    assert {0: "pass", 1: "fail", 3: "undecided"}[code] == report["verdict"] and report["models"]
    assert made.output.splitlines()[-1].startswith(f"{spec}: ") and made.output.endswith(", seed 0\n")


@pytest.mark.parametrize(
    ("spec", "more", "code", "trials"),
    [
        ("one", ("--swap", "words.csv", "--templates", "sentences.txt"), 0, 90),
        ("biased", ("--swap", "words.csv", "--templates", "sentences.txt"), 1, 90),
        ("biased", ("--swap", "words.csv", "--templates", "sentences.txt", "--max-swap-rate", "0.9"), 0, 90),
        ("one", ("--swap", "words.csv"), 0, 400),
        ("biased", ("--swap", "words.csv"), 1, 400),
        ("biased", ("--swap", "groups.gender", "--swap", "words.csv"), 1, 400),
    ],
)
def test_words_of_a_file_are_swapped(
    grouped: Path, spec: str, more: tuple[str, ...], code: int, trials: int
) -> None:
    """In templates, or in the examples themselves, where each word stands for each other of its line."""
    made = check(
        "--model", f"reviewing:{spec}", "--data", "grouped.jsonl", *more, "--report", "json:out.json"
    )
    assert made.return_value == code, made.output
    (model,) = json.loads((grouped / "out.json").read_text())["models"]
    assert (model["gate"], model["examples"]) == ("counterfactual", trials)


def test_groups_of_a_column_are_to_fare_alike(grouped: Path) -> None:
    """With the answer that helps, and a limit."""
    args = ("--data", "grouped.jsonl", "--group", "who", "--positive", "good")
    assert check("--model", "reviewing:biased", *args).return_value == 1
    assert check("--model", "reviewing:biased", *args, "--max-gap", "1").return_value == 0
    assert "0: " in check("--model", "reviewing:biased", *args).output


def test_an_answer_that_helps_may_be_a_number(grouped: Path) -> None:
    """Without labels there is none to compare its text with."""
    (grouped / "plain.jsonl").write_text(
        "\n".join(json.dumps({"text": f"text {number}", "who": number % 2}) for number in range(80))
    )
    args = ("--data", "plain.jsonl", "--group", "who", "--positive", "1", "--max-gap", "1")
    assert check("--model", "reviewing:digit", *args).return_value == 0


def test_triaged_errors_are_read_from_a_file(grouped: Path) -> None:
    """As they stand in the message, or by themselves; what follows is for people."""
    texts, labels = reviews(300, seed=1)
    wrong = [
        json.dumps({"text": text, "label": {"good": "bad", "bad": "good"}[label] if place < 2 else label})
        for place, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    (grouped / "wrong.jsonl").write_text("\n".join(wrong))
    args = ("--model", "reviewing:control", "--data", "wrong.jsonl", "--check", "confident_errors")
    rows = json.loads((check(*args, "--report", "json:a.json"), grouped / "a.json")[1].read_text())["models"]
    one, other = (note.partition(":")[0] for note in rows[0]["notes"])
    (grouped / "seen.txt").write_text(f"# {other}\n\n  '{one}': 'good' (0.99), a wrong label\n")
    made = check(*args, "--triaged", "seen.txt")
    assert "1 of them triaged" in made.output and f"'{one}'" not in made.output and other in made.output
    assert read_ids(grouped / "seen.txt") == [one]
    (grouped / "seen.txt").write_text(f"{one}\n{other} the same\n")
    assert "2 of them triaged" in check(*args, "--triaged", "seen.txt").output


def test_another_process_imports_the_model_by_its_name(folder: Path) -> None:
    """Whatever it is, and whoever made it."""
    for spec in ("reviewing:control", "reviewing:made()"):
        made = check("--model", spec, "--data", "few.txt", "--check", "deterministic", "-v")
        assert "  other process: 0 of 20 differ" in made.output


def test_a_model_that_hangs_is_left(folder: Path) -> None:
    """After the time that it may take."""
    made = check("--model", "reviewing:slow", "--data", "few.txt", "--task", "topic", "--timeout", "0.2")
    assert made.return_value == 3 and "did not answer within 0.2 s" in made.output


def test_a_function_that_makes_no_model_is_a_failure_of_its_own(folder: Path) -> None:
    """Not ours."""
    with pytest.raises(ProgramError, match=r"reviewing:broken\(\) raises OSError: no weights"):
        model_named("reviewing:broken()", folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("he\n", "line 1 has 'he' alone"),
        ("\n ,\n", "has no words"),
        ("a,b\n\nc,,c\n", "line 3 has 'c' alone"),
    ],
)
def test_words_that_cannot_be_swapped_are_told(tmp_path: Path, content: str, said: str) -> None:
    """With the line."""
    (tmp_path / "words.csv").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_words(tmp_path / "words.csv")


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=2, unique=True), max_size=5))
def test_each_word_stands_for_each_other_of_its_set_once(words: list[list[str]]) -> None:
    """And in one table for one word alone, so that none is lost."""
    tables = tables_of(words)
    pairs = [pair for table in tables for pair in table.items()]
    wanted = [pair for each in words for pair in permutations(each, 2)]
    assert sorted(pairs) == sorted(wanted)
    assert all(table[table[word]] == word for table in tables for word in table)


def test_what_passed_is_one_line_each(folder: Path) -> None:
    """More with -v, nothing with -q."""
    args = ("--model", "reviewing:control", "--data", "data.jsonl", "--check", "deterministic")
    assert len(check(*args).output.splitlines()) == 2
    assert len(check(*args, "-v").output.splitlines()) > 4
    assert len(check(*args, "-q").output.splitlines()) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--model", "reviewing:control", "--data", "data.csv"), "nothing is asked of the model"),
        (
            ("--model", "reviewing:control", "--data", "data.csv", "--check", "slice"),
            "there is no check 'slice'",
        ),
        (("--model", "reviewing", "--data", "data.csv", "--task", "topic"), "'reviewing' names no model"),
        (
            ("--model", "reviewing:contol", "--data", "data.csv", "--task", "topic"),
            "reviewing has no 'contol'",
        ),
        (("--model", "reviewing:made", *CONTROL[2:], "--task", "topic"), "reviewing:made takes no input"),
        (("--model", "nowhere:x", "--data", "data.csv", "--task", "topic"), "there is no module 'nowhere'"),
        ((*CONTROL, "--templates", "few.txt", "--task", "topic"), "--templates needs --swap"),
        ((*CONTROL, "--triaged", "few.txt", "--task", "topic"), "--triaged needs --check confident_errors"),
        ((*CONTROL, "--group", "label"), "--group needs --positive"),
        ((*CONTROL, "--positive", "good", "--task", "topic"), "--positive needs --group"),
        (
            (*CONTROL, "--group", "lable", "--positive", "good"),
            "has no column 'lable'.\n  next: did you mean 'label'",
        ),
        ((*CONTROL, "--swap", "few.csv"), "'few.csv' cannot be read"),
        ((*CONTROL, "--swap", "group"), "there is no perturbation 'group'"),
        ((*CONTROL, "--swap", "words.csv", "--templates", "few.txt"), "has no {}"),
        ((*CONTROL, "--triaged", "none.txt", "--check", "confident_errors"), "'none.txt' cannot be read"),
        ((*FEW, "--check", "slices"), "slices needs the right answers, and 'few.txt' has no column of them"),
        ((*FEW, "--baseline", "reviewing:one"), "--baseline needs the right answers"),
        ((*FEW, "--group", "who", "--positive", "good"), "few.txt has no column 'who': it has a text a line"),
        (("--model", "reviewing:control", "--data", "none.csv", "--task", "topic"), "cannot be read"),
    ],
)
def test_wrong_use_is_told(folder: Path, args: tuple[str, ...], said: str) -> None:
    """With what to type next."""
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(model, ["check", *args], standalone_mode=False, catch_exceptions=False)


def test_a_module_that_raises_is_a_failure_of_its_own(folder: Path) -> None:
    """Not ours."""
    (folder / "broken_model.py").write_text("raise RuntimeError('no weights')\n")
    with pytest.raises(ProgramError, match="broken_model cannot be imported: RuntimeError: no weights"):
        model_named("broken_model:x", folder)


def test_the_command_is_in_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its help."""
    assert "model" in COMMANDS
    assert main(["model", "check", "--help"]) == 0 and "--max-flip-rate" in capsys.readouterr().out
    assert main(["model", "check", "--model", "x", "--data", "data.csv", "--task", "topic"]) == 2
    assert "names no model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "examples", "labels"),
    [
        ("a.csv", "text,label\nx,1\ny,0\n", ["x", "y"], [1, 0]),
        ("a.csv", "sentence\nx\ny\n", ["x", "y"], None),
        ("a.csv", "label,anything\nno,x\n", ["x"], ["no"]),
        (
            "a.csv",
            "age,city,target\n3,Rome,1\n4.5,Bonn,0\n",
            [{"age": 3.0, "city": "Rome"}, {"age": 4.5, "city": "Bonn"}],
            [1, 0],
        ),
        ("a.jsonl", '{"text": "x", "y": 2}\n\n', ["x"], [2]),
        ("a.txt", "x\n\n  y\n", ["x", "  y"], None),
        ("A.CSV", "text,label\nx,1\n", ["x"], [1]),
        ("a.tsv", "text\tlabel\nx, y\t1\n", ["x, y"], [1]),
        ("a.json", '[{"text": "x", "label": "a"}]', ["x"], ["a"]),
        ("a.json", '["x", "y"]', ["x", "y"], None),
    ],
)
def test_examples_are_read(tmp_path: Path, name: str, content: str, examples: object, labels: object) -> None:
    """Columns by their usual names, numbers as numbers."""
    (tmp_path / name).write_text(content)
    assert read_examples(tmp_path / name) == (examples, labels)


def test_columns_are_dropped(tmp_path: Path) -> None:
    """Those that are there; what is left may be the text."""
    (tmp_path / "a.csv").write_text("age,city,label\n3,Rome,1\n4,Bonn,0\n")
    assert read_examples(tmp_path / "a.csv", dropped=["age"]) == (["Rome", "Bonn"], [1, 0])
    with pytest.raises(UsageError, match="has no column of inputs"):
        read_examples(tmp_path / "a.csv", dropped=["city", "age"])
    with pytest.raises(UsageError, match="did you mean 'city'"):
        read_examples(tmp_path / "a.csv", dropped=["cit"])


def test_parquet_is_read_as_the_others_are(tmp_path: Path) -> None:
    """Columns by their usual names; and a column by its own."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = {"text": ["x", "y"], "label": [1, 0], "who": ["a", "b"]}
    parquet.write_table(arrow.table(table), tmp_path / "a.parquet")
    assert read_examples(tmp_path / "a.parquet") == (["x", "y"], [1, 0])
    assert read_column(tmp_path / "a.parquet", "who") == ["a", "b"]
    (tmp_path / "b.parquet").write_bytes(b"no table")
    with pytest.raises(UsageError, match="cannot be read"):
        read_examples(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"text,label\nx\n", "row 1 does not have the columns of the first"),
        ("a.csv", b"text,label\nx,1,2\n", "row 1 does not have the columns of the first"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "row 2 does not have the columns of the first"),
        ("a.jsonl", b"{", "cannot be read"),
        ("a.txt", b"\xff\xfe", "cannot be read"),
        ("a.csv", b"text,label\n", "has no examples"),
        ("a.csv", b"text,text,label\nx,y,1\n", "there are two columns 'text'"),
        ("a.csv", b"text;label\nx;1\n", "its only column is 'text;label': columns are parted by commas"),
        ("a.json", b'{"text": "x"}', "it is no list"),
        ("a.json", b'[{"text": "x"}, 5]', "row 2 does not have the columns of the first"),
        ("a.feather", b"ARROW1", r"a file that ends in \.feather is none of texts"),
        ("a.csv", b"text,lable\nx,1\n", "has no column 'label'.\n  next: did you mean 'lable'"),
    ],
)
def test_data_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """With the row."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_examples(tmp_path / name, label="label" if "lable" in said else None)


def test_a_long_text_and_a_missing_label_are_read(tmp_path: Path) -> None:
    """The first however long, the second as None, so that it is told; the process keeps its limit."""
    limit = csv.field_size_limit()
    (tmp_path / "a.csv").write_text(f"text,label\n{'x' * 1_000_000},1\ny,\n")
    examples, labels = read_examples(tmp_path / "a.csv")
    assert [len(text) for text in examples] == [1_000_000, 1] and labels == [1, None]
    assert csv.field_size_limit() == limit
    (tmp_path / "a.jsonl").write_text('{"text": "x", "label": null}\n')
    assert read_examples(tmp_path / "a.jsonl") == (["x"], [None])


def test_a_module_that_ends_the_program_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code 0 was that of a pass."""
    (tmp_path / "ending_model.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ProgramError, match="ending_model cannot be imported: SystemExit: 0"):
        model_named("ending_model:model", tmp_path)
    (tmp_path / "ending_maker.py").write_text("import sys\ndef load():\n    sys.exit(0)\n")
    with pytest.raises(ProgramError, match=r"ending_maker:load\(\) raises SystemExit: 0"):
        model_named("ending_maker:load()", tmp_path)
