"""`bugsle model check`: a model by its name, a file of examples, an answer with its exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from small_models import reviews

from pytest_bugsle.cli import COMMANDS, main
from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.robustness.command import model
from pytest_bugsle.robustness.gather import model_named, read_examples

MODELS = """
from small_models import trained
cased, control = trained(lowercase=False), trained()
def one(text):
    return control.predict([text])[0]
def many(texts):
    return control.predict(texts)
"""


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
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("reviewing", None)


def check(*args: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(model, ["check", *args], standalone_mode=False)


@pytest.mark.parametrize(
    ("spec", "data", "more", "code"),
    [
        ("reviewing:control", "data.csv", ("--invariant", "case"), 0),
        ("reviewing:one", "data.jsonl", ("--invariant", "case", "--check", "deterministic"), 0),
        ("reviewing:many", "data.jsonl", ("--invariant", "case", "--batch", "64"), 0),
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
        (("--model", "nowhere:x", "--data", "data.csv", "--task", "topic"), "there is no module 'nowhere'"),
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
    ],
)
def test_examples_are_read(tmp_path: Path, name: str, content: str, examples: object, labels: object) -> None:
    """Columns by their usual names, numbers as numbers."""
    (tmp_path / name).write_text(content)
    assert read_examples(tmp_path / name) == (examples, labels)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"text,label\nx\n", "row 1 does not have the columns of the first"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "row 2 does not have the columns of the first"),
        ("a.jsonl", b"{", "cannot be read"),
        ("a.txt", b"\xff\xfe", "cannot be read"),
        ("a.csv", b"text,label\n", "has no examples"),
        ("a.csv", b"text,lable\nx,1\n", "has no column 'label'.\n  next: did you mean 'lable'"),
    ],
)
def test_data_that_cannot_be_read_are_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """With the row."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read_examples(tmp_path / name, label="label" if "lable" in said else None)
