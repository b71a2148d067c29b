"""Commit messages, file names and test ids that are written to be misread."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from repositories import RIGHT, WRONG, Repo, Said, bugsle, clean_environment, run_pytest

SUBJECT = "fix: \x1b[2J\x1b]0;owned\x07 ::error::boo <script>alert(1)</script> \u202e \x9b31m $(touch owned) `id` | x (#1)"
NAMES = (
    "with space.py",
    "quo'te\".py",
    "new\nline.py",
    "-dash.py",
    "star*.py",
    "::error::.py",
    "ü.py",
    "\x1b[31m.py",
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """A branch of hostile commits."""
    repo = Repo(tmp_path_factory.mktemp("hostility") / "project", start={"src/pkg/a.py": WRONG})
    repo.branch("work")
    test = "import pytest\nfrom pkg.a import answer\n\n"
    test += "@pytest.mark.parametrize('it', [1, 2], ids=['\\x1b[31mred', '::error::<b>&\"'])\ndef test_it(it):\n    assert answer() == 1\n"
    files: dict[str, str | bytes | None] = {"src/pkg/a.py": RIGHT, "tests/test_a.py": test}
    repo.commit(f"{SUBJECT}\n\nBody \x1b[31m\r\n::set-output name=x::y\n".encode(), files)
    names = {f"src/pkg/{name}": WRONG for name in NAMES}
    (repo.top / "src/pkg").joinpath(os.fsdecode(b"caf\xe9.py")).write_text(WRONG)
    repo.commit(b"fix: caf\xe9 is no UTF-8 \xff\xfe", names)
    return repo


@pytest.fixture(scope="module")
def said(repo: Repo) -> Said:
    """What the command says of them, proven once."""
    return bugsle(repo, "prove", "main..HEAD", "-v")


def _is_tame(text: str) -> bool:
    return all(c == "\n" or (c.isprintable() and c not in "\u202e\u2066") for c in text)


def test_nothing_raw_reaches_the_terminal(said: Said) -> None:
    """Control characters, also those that turn text around, are shown and not sent."""
    assert "\\x1b[2J" in said.out
    assert _is_tame(said.out), [c for c in said.out if not c.isprintable() and c != "\n"]
    assert said.err == ""


def test_the_hostile_fix_is_judged_like_any_other(said: Said) -> None:
    """Words in a message change no verdict and run nothing."""
    (fix,) = [
        fix
        for fix in said.report["fixes"]
        if fix["subject"].startswith("fix: \x1b") or "owned" in fix["subject"]
    ]
    assert fix["status"] == "proven"
    assert len(fix["tests"]) == 2


def test_a_session_prints_nothing_raw(repo: Repo) -> None:
    """No line of the section begins with a workflow command, and no control character is in it."""
    done = run_pytest(repo, CI="true", GITHUB_ACTIONS="true")
    section = done.out[done.out.index("= bugsle =") :]
    assert _is_tame(section)
    assert not [line for line in section.splitlines() if line.startswith("::")]
    assert not (repo.top / "owned").exists()


@pytest.mark.parametrize("form", ["json", "sarif", "junit", "markdown"])
def test_every_report_is_well_formed(repo: Repo, tmp_path: Path, form: str) -> None:
    """Bytes that are no UTF-8 included, each format stays what it is."""
    path = tmp_path / f"report.{form}"
    bugsle(repo, "prove", "--report", f"{form}:{path}", "main..HEAD", report=False)
    raw = path.read_bytes()
    assert (b"\x1b" not in raw and b"<script>" not in raw.replace(b"\\u003cscript", b"")) or form in (
        "json",
        "sarif",
    )
    assert b"\x1b" not in raw
    text = raw.decode("utf-8")
    if form in ("json", "sarif"):
        json.loads(text)
    elif form == "junit":
        import xml.etree.ElementTree as ET

        ET.fromstring(text)


def test_a_file_of_the_change_cannot_name_the_report(repo: Repo, tmp_path: Path) -> None:
    """The environment of the tests names no workflow file that a message could write to."""
    output = tmp_path / "output"
    output.touch()
    assert "GITHUB_OUTPUT" not in clean_environment(tmp_path)
    bugsle(repo, "prove", "main..HEAD", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(output))
    assert output.read_text() == ""
