"""Where reports go: formats and files by name, whole files or none."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from report_examples import ANY_TEXT, example

from pytest_bugsle.errors import ProgramError, UsageError
from pytest_bugsle.report import json as json_report
from pytest_bugsle.report.writer import (
    FORMATS,
    Target,
    check_places,
    parse_target,
    parse_targets,
    reporter,
    write,
    write_bytes,
)

not_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
posix = pytest.mark.skipif(os.name != "posix", reason="links, pipes and modes of POSIX")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("json", ("json", None)),
        ("json:", ("json", None)),
        ("sarif:-", ("sarif", None)),
        ("junit:out/r.xml", ("junit", Path("out/r.xml"))),
        (r"markdown:C:\out\r.md", ("markdown", Path(r"C:\out\r.md"))),
        ("json:a:b", ("json", Path("a:b"))),
        ("json: a", ("json", Path(" a"))),
    ],
)
def test_a_target_is_a_format_and_a_file(text: str, target: tuple[str, Path | None]) -> None:
    """Only the first colon parts them, so a drive letter stays with its path."""
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("jsno:a", "did you mean json:a?"),
        ("JSON", "did you mean json?"),
        ("sarf:-", "did you mean sarif:-?"),
        ("md:x.md", "did you mean markdown:x.md?"),
        ("report.xml", "did you mean junit:report.xml?"),
        ("out/bugsle.SARIF", "did you mean sarif:out/bugsle.SARIF?"),
        (r"C:\out\r.json", r"did you mean json:C:\out\r.json?"),
        ("zzz", "write FORMAT or FORMAT:PATH, such as json:bugsle.json"),
        ("\x1b[31m", "write FORMAT or FORMAT:PATH, such as json:bugsle.json"),
    ],
)
def test_an_unknown_format_names_the_nearest(text: str, hint: str) -> None:
    """The error says which formats there are and what to type."""
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert caught.value.hint == hint
    assert "json, sarif, junit, markdown" in caught.value.why
    assert "\x1b" not in str(caught.value)


@given(ANY_TEXT)
def test_any_text_is_a_target_or_wrong_usage(text: str) -> None:
    """Parsing raises nothing but UsageError."""
    for candidate in (text, f"json:{text}"):
        try:
            target = parse_target(candidate)
        except UsageError:
            continue
        assert target.format in FORMATS


def test_two_reports_do_not_share_a_place() -> None:
    """The second would destroy the first."""
    assert parse_targets(["json:a", "sarif:b", "junit"]) == (
        ("json", Path("a")),
        ("sarif", Path("b")),
        ("junit", None),
    )
    with pytest.raises(UsageError, match="two reports would be written to a"):
        parse_targets(["json:a", "sarif:./a"])
    with pytest.raises(UsageError, match="two reports would be written to standard output"):
        parse_targets(["json", "sarif:-"])


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_writes_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each format of the table renders, and the file holds exactly that; nothing lies beside it."""
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):  # of the job that runs this test
        monkeypatch.delenv(variable, raising=False)
    assert write(example(), parse_target(f"{name}:report"), folder=tmp_path) == Path("report")
    assert (tmp_path / "report").read_bytes() == reporter(name).render(example())
    assert os.listdir(tmp_path) == ["report"]


def test_a_report_without_a_path_goes_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Standard output gets the bytes, and a stream that is handed in too."""
    assert write(example(), Target("json", None)) is None
    assert capfdbinary.readouterr().out == json_report.render(example())
    stream = io.BytesIO()
    write(example(), Target("json", None), stdout=stream)
    assert stream.getvalue() == json_report.render(example())


def test_standard_output_that_is_only_text_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's replacement of standard output need not have bytes below."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    write(example(), Target("json", None))
    assert stream.getvalue().encode() == json_report.render(example())


def test_a_closed_standard_output_is_an_error_without_traceback() -> None:
    """A reader that went away is told as ProgramError."""
    read, end = os.pipe()
    os.close(read)
    with os.fdopen(end, "wb", buffering=0) as stream, pytest.raises(ProgramError, match="took no report"):
        write(example(), Target("json", None), stdout=stream)  # type: ignore[arg-type]  # a raw stream is one too


def test_a_missing_folder_says_what_to_type(tmp_path: Path) -> None:
    """No folder is created; the error holds the command that would."""
    path = tmp_path / "no such" / "r.json"
    for attempt in (
        lambda: write_bytes(path, b"x"),
        lambda: check_places([Target("json", path)]),
        lambda: check_places([Target("json", Path("no such/r.json"))], tmp_path),
    ):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert caught.value.why == "its folder does not exist."
        assert caught.value.hint == f"mkdir -p '{tmp_path}/no such'"
    assert os.listdir(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_wrong_usage(tmp_path: Path) -> None:
    """A folder is not replaced."""
    for attempt in (lambda: write_bytes(tmp_path, b"x"), lambda: check_places([Target("json", tmp_path)])):
        with pytest.raises(UsageError, match="cannot be written"):
            attempt()
    assert tmp_path.is_dir()


def test_good_places_pass_the_check(tmp_path: Path) -> None:
    """An existing folder, an existing file and standard output are fine."""
    (tmp_path / "r").write_text("old")
    check_places([Target("json", tmp_path / "r"), Target("sarif", tmp_path / "new"), Target("junit", None)])
    assert os.listdir(tmp_path) == ["r"]


def test_a_file_in_the_place_of_a_folder_is_wrong_usage(tmp_path: Path) -> None:
    """`a/b` cannot be written where `a` is a file."""
    (tmp_path / "a").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_bytes(tmp_path / "a" / "b", b"x")


@not_root
def test_a_folder_that_is_read_only_is_wrong_usage(tmp_path: Path) -> None:
    """The user chose the place; the user can choose another."""
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        write_bytes(tmp_path / "r", b"x")


@posix
def test_a_failed_write_leaves_the_old_file_and_nothing_half(tmp_path: Path) -> None:
    """A limit on file sizes stands for a full disk: the old report stays, no part of the new one does."""
    (tmp_path / "r.json").write_text("old")
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from pytest_bugsle.errors import ProgramError\n"
        "from pytest_bugsle.report.writer import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_bytes(Path(sys.argv[1]), b'x' * 10000)\n"
        "except ProgramError as error: print('said:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "r.json")], capture_output=True, text=True, check=False
    )
    assert "said: the report" in done.stdout, done.stderr
    assert "nothing was left half-written" in done.stdout
    assert (tmp_path / "r.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["r.json"]


@posix
def test_replacing_keeps_mode_and_link(tmp_path: Path) -> None:
    """The mode of an existing report stays, a link stays a link, a new file follows the umask."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "real").chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real").stat().st_mode) == 0o640
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "fresh", b"new")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640


@posix
def test_what_is_no_plain_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """A pipe, and a link to one, take the report and stay; so `json:/dev/stderr` leaves the device.

    No test names a real device: were the check gone, root's run would replace it for everyone.
    """
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        for name in ("pipe", "link"):
            write_bytes(tmp_path / name, b"report")
            assert os.read(reader, 100) == b"report"
    finally:
        os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@posix
def test_a_file_name_of_any_bytes_can_be_written(tmp_path: Path) -> None:
    """The path of a report need be no UTF-8, and an error about it is."""
    path = tmp_path / os.fsdecode(b"caf\xe9\n.json")
    write_bytes(path, b"x")
    assert path.read_bytes() == b"x"
    with pytest.raises(UsageError) as caught:
        write_bytes(path / "below", b"x")
    str(caught.value).encode("utf-8")
    assert r"caf\xe9\n.json" in str(caught.value)
