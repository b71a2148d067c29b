"""The documentation says what the code does, leaves nothing out, and can be typed as it stands."""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest
from docs_made import MADE, TOP, Declared, demo_text, text_of

from pytest_bugsle import cli, hookspecs, plugin, settings
from pytest_bugsle.errors import ExitCode
from pytest_bugsle.experiment.command import check_keys
from pytest_bugsle.findings import RULES, Level, Verdict
from pytest_bugsle.git import carry
from pytest_bugsle.git.command import OLDEST_GIT
from pytest_bugsle.git.slots import VARIABLE
from pytest_bugsle.history.judgement import FIX_AT, MAYBE_AT, Facts, judge
from pytest_bugsle.regression.linking import MOST_NEAR
from pytest_bugsle.regression.links import TRAILER
from pytest_bugsle.regression.sides import __doc__ as sides
from pytest_bugsle.report.words import WORDS
from pytest_bugsle.report.writer import FORMATS
from pytest_bugsle.results import Judgement, LinkKind, Status, WaiverResult, json_schema

PAGES = (
    TOP / "README.md",
    TOP / "CHANGELOG.md",
    *sorted((TOP / "docs").glob("*.md")),
    *sorted((TOP / ".github").glob("*.md")),
)
FOR_USERS = tuple(page for page in PAGES if page.parent.name != ".github" and page.name != "CHANGELOG.md")
BY_NAME = {page.relative_to(TOP).as_posix(): page for page in PAGES}
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECONDS = re.compile(r"\bin \d+\.\d s\b")
_BURN_IN = re.compile(r"^note: .*(burn-in|burnt in).*$", re.MULTILINE)


def everything() -> str:
    """Return all pages for users as one text."""
    return "\n".join(text_of(page) for page in FOR_USERS)


def section(page: str, name: str) -> str:
    """Return what stands between two marks of a page."""
    found = re.search(
        rf"<!-- begin: {name} -->\n(.*?)<!-- end: {name} -->", text_of(BY_NAME[page]), re.DOTALL
    )
    assert found, f"{page} has no section {name}"
    return found[1]


def blocks(*languages: str) -> list[Any]:
    """Give (page, text) of every fenced block in one of these languages."""
    return [
        pytest.param(found[2], id=f"{name}:{text_of(page)[: found.start()].count(chr(10)) + 1}")
        for name, page in BY_NAME.items()
        for found in _FENCE.finditer(text_of(page))
        if found[1] in languages
    ]


# --- what is made from the code ------------------------------------------------------------------


@pytest.mark.parametrize(("page", "name"), [key for key in MADE if key[1] != "demo"])
def test_what_is_made_from_the_code_is_up_to_date(page: str, name: str) -> None:
    """Options, commands, settings and rules stand in the pages as the code has them."""
    assert section(page, name).strip() == MADE[page, name]().strip(), "run `python tests/docs_made.py`"


@pytest.mark.slow
def test_the_readme_shows_what_the_demo_prints() -> None:
    """The README's output is the demo's own, but for the seconds, and what fits into them."""
    shown, printed = (
        _BURN_IN.sub("note: …", _SECONDS.sub("in … s", text))
        for text in (section("README.md", "demo"), demo_text())
    )
    assert shown == printed, "run `python tests/docs_made.py`"


# --- nothing is left out ---------------------------------------------------------------------------


def test_every_key_of_pytest_configuration_is_documented() -> None:
    """The keys that the plugin adds to pytest's configuration are shown."""
    missing = [key for key in Declared().keys if f"`{key} = " not in everything()]
    assert not missing


def test_every_setting_has_a_meaning() -> None:
    """The table of meanings, and so the documentation, has each field of the settings."""
    assert tuple(settings.MEANINGS) == settings.Settings.__struct_fields__
    waiver = [
        key
        for key in settings.Waiver.__struct_fields__
        if f"`{key}`" not in text_of(TOP / "docs/configuration.md")
    ]
    assert not waiver


def test_every_environment_variable_is_documented() -> None:
    """What the code reads from the environment under our name is documented, and no other."""
    read = {f"BUGSLE_{key.upper()}" for key in settings._FROM_ENVIRONMENT} | {
        VARIABLE,
        plugin.INNER,
        plugin.OUTER,
    }
    written = set(re.findall(r"`(BUGSLE_[A-Z_]+)`", text_of(TOP / "docs/configuration.md")))
    assert written == read
    sources = "\n".join(text_of(path) for path in sorted((TOP / "pytest_bugsle").rglob("*.py")))
    assert set(re.findall(r"\"(BUGSLE_[A-Z_]+)\"", sources)) <= read


def test_every_hook_is_documented() -> None:
    """Each hook specification stands in the pages with its parameters."""
    for name, hook in vars(hookspecs).items():
        if name.startswith("pytest_bugsle_"):
            assert f"`{name}({', '.join(inspect.signature(hook).parameters)})`" in everything()


def test_the_marker_and_the_trailers_are_documented() -> None:
    """The marker's default name and both trailers stand in the pages."""
    assert f'@pytest.mark.{settings.Settings().marker}("' in everything()
    assert f"`{TRAILER}: " in everything() and "`Bugsle-Waive: " in everything()


def test_every_status_is_in_the_readme() -> None:
    """The README's table has each status, in the word that is shown and in the word of the reports."""
    rows = dict(re.findall(r"^\| `([^`]+)` \| `([a-z-]+)` \|", text_of(TOP / "README.md"), re.MULTILINE))
    assert rows == {word: status for status, word in WORDS.items()}
    assert set(rows.values()) == set(get_args(Status))


def test_every_exit_code_is_in_the_readme() -> None:
    """The README's table has each exit code of the command."""
    rows = re.findall(r"^\| (\d) \| ", text_of(TOP / "README.md"), re.MULTILINE)
    assert [int(row) for row in rows] == [int(code) for code in ExitCode]


def test_the_rules_of_the_readme_have_their_default_levels() -> None:
    """Where the README names a rule with a level, it is that rule's."""
    named = re.findall(r"(BUG\d{3}), (error|warning|info)", text_of(TOP / "README.md"))
    assert named and all(RULES[code].level == level for code, level in named)


@pytest.mark.parametrize("name", list(json_schema()["$defs"]))
def test_every_field_of_the_json_is_documented(name: str) -> None:
    """Each struct of the JSON report has a table with its fields, all of them and no other."""
    text = text_of(TOP / "docs/reports.md")
    found = re.search(
        rf"^### {name}: .*?\n(.*?)(?=^#|\n\n[A-Z]|\n\n\| kind|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"docs/reports.md has no heading for {name}"
    fields = re.findall(r"^\| `([\w-]+)` \|", found[1], re.MULTILINE)
    assert sorted(fields) == sorted(json_schema()["$defs"][name]["properties"])


@pytest.mark.parametrize(
    "words",
    [Status, LinkKind, Judgement, Verdict, Level, msgspec.inspect.type_info(WaiverResult)],
    ids=["status", "link", "judgement", "verdict", "level", "waiver"],
)
def test_every_word_of_the_json_is_documented(words: Any) -> None:
    """The values that a field can take stand in the page on reports; so do the formats."""
    if isinstance(words, msgspec.inspect.StructType):
        values = {
            value
            for field in words.fields
            if isinstance(field.type, msgspec.inspect.LiteralType)
            for value in field.type.values
        }
    else:
        values = set(get_args(words))
    text = text_of(TOP / "docs/reports.md") + text_of(TOP / "docs/rules.md")
    assert values and not {value for value in values if f"`{value}`" not in text}
    assert all(f"| `{name}` |" in text for name in FORMATS)


# --- what is said is so -----------------------------------------------------------------------------


def _signs() -> list[tuple[int, str]]:
    rows = re.findall(
        r"^\| ([+−]\d+) \|[^|]*\| `([^`]+)` \|$", text_of(TOP / "docs/how-it-proves.md"), re.MULTILINE
    )
    return [(int(points.replace("−", "-")), subject) for points, subject in rows]


@pytest.mark.parametrize(("points", "subject"), _signs())
def test_signs_weigh_what_is_said(points: int, subject: str) -> None:
    """Each example in the table of signs earns the points of its row."""
    assert points in [reason.points for reason in judge(Facts(subject)).reasons]


def test_the_table_of_signs_has_examples() -> None:
    """The table is read: it has examples of both signs, and its thresholds are the code's."""
    assert {points > 0 for points, _ in _signs()} == {True, False} and len(_signs()) >= 15
    assert f"At {FIX_AT} points it is a `fix`, at {MAYBE_AT} or {FIX_AT - 1} it is `maybe`" in text_of(
        TOP / "docs/how-it-proves.md"
    )


def test_limits_are_the_codes_own() -> None:
    """Numbers in the pages are those of the code."""
    page = " ".join(text_of(TOP / "docs/how-it-proves.md").split())
    assert f"up to {MOST_NEAR} that import a module" in page
    assert f"up to {carry.MOST_FILES:,} files and {carry.LARGEST_TOTAL // 1024**2} MB" in page
    assert len(re.findall(r"^\d\. ", sides or "", re.MULTILINE)) == 7
    assert f"git {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer" in text_of(TOP / "README.md")


@pytest.mark.parametrize("page", PAGES, ids=BY_NAME)
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link names a file that is there, and a heading that is in it."""
    text = _FENCE.sub("", text_of(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file() and file.is_relative_to(TOP), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", text_of(file), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
            }


def test_every_page_can_be_reached() -> None:
    """The README leads to each page."""
    text = text_of(TOP / "README.md")
    assert not [name for name in BY_NAME if name != "README.md" and f"({name})" not in text]


# --- what can be typed can be run -------------------------------------------------------------------


def _command_lines() -> list[Any]:
    found = {}
    for name, page in BY_NAME.items():
        text = text_of(page)
        lines = [
            line
            for block in _FENCE.finditer(text)
            if block[1] in ("console", "yaml", "text")
            for line in block[2].splitlines()
        ]
        lines += re.findall(r"`((?:bugsle|pytest) [^`\n]+)`", _FENCE.sub("", text))
        for line in lines:
            typed = re.search(r"^(?:\$ |\s*- (?:run: )?)?((?:bugsle|pytest) (?!=)[^#\n]+)", line)
            if typed and "[" not in typed[1]:
                found.setdefault(typed[1].strip(), name)
    return [pytest.param(line, id=f"{name}: {line}") for line, name in found.items()]


@pytest.mark.parametrize("line", _command_lines())
def test_command_lines_can_be_typed(line: str, pytestconfig: pytest.Config) -> None:
    """Each `bugsle …` and `pytest …` of the pages is understood by the command's and pytest's own parser."""
    program, *args = shlex.split(line)
    if program == "pytest":
        pytestconfig._parser.parse(args)  # pytest has no public way to ask whether it knows an option
        return
    context = click.Context(cli.bugsle)
    if args[0].startswith("-"):
        with pytest.raises(click.exceptions.Exit):
            cli.bugsle.make_context("bugsle", args)
        return
    command = cli.bugsle.get_command(context, args[0])
    assert command is not None
    command.make_context(args[0], args[1:], parent=context).close()


def test_make_knows_its_targets() -> None:
    """Each `make …` of the pages names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", text_of(TOP / "Makefile"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|\$ )make ([a-z]+)", text_of(page))}
    assert named and named <= targets


def test_what_cannot_be_typed_is_noticed(pytestconfig: pytest.Config) -> None:
    """The parser that the test above asks refuses an option that nobody has declared."""
    with pytest.raises((pytest.UsageError, SystemExit)):
        pytestconfig._parser.parse(["--bugsle-nothing"])


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_is_understood(text: str) -> None:
    """Each TOML example is one that the settings, pytest with the plugin, or `bugsle ab` take."""
    table = tomllib.loads(text)
    if "arm" in table:
        check_keys(table, Path("design.toml"))
        return
    tool = table["tool"]
    if "pytest" in tool:
        assert set(tool["pytest"]["ini_options"]) <= set(Declared().keys)
    if "bugsle" in tool:
        assert settings.make_settings(tool["bugsle"]) != settings.Settings()


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_is_valid_and_brings_the_history(text: str) -> None:
    """Each CI example can be read, fetches the whole history, and runs the gate."""
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the examples")
    data = yaml.safe_load(text)
    if "repos" in data:
        manifest = yaml.safe_load(text_of(TOP / ".pre-commit-hooks.yaml"))
        assert {hook["id"] for hook in data["repos"][0]["hooks"]} <= {hook["id"] for hook in manifest}
        return
    for name, job in data.get("jobs", data).items():
        if "steps" in job:
            checkout = next(
                step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")
            )
            assert checkout["with"]["fetch-depth"] == 0
            lines = [step.get("run", "") + step.get("uses", "") for step in job["steps"]]
        else:
            assert job["variables"]["GIT_DEPTH"] == 0
            lines = job["script"]
        gate = (
            ("pytest --bugsle", "/pytest-bugsle@") if name == "test" else ("bugsle dora", "/pytest-bugsle@")
        )
        assert any(word in line for line in lines for word in gate)


@pytest.mark.parametrize("text", blocks("python"))
def test_python_compiles(text: str) -> None:
    """Each Python example is Python."""
    compile(text, "example", "exec")


def test_no_page_has_a_language_that_nobody_checks() -> None:
    """A fenced block is of a kind that a test above reads, or a drawing."""
    used = {found[1] for page in PAGES for found in _FENCE.finditer(text_of(page))}
    assert used <= {"console", "text", "toml", "yaml", "python", ""}
