"""Make the parts of the documentation that say what the code has, and write them into the pages.

python tests/docs_made.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from pytest_bugsle import cli, plugin, settings
from pytest_bugsle.delivery import tables
from pytest_bugsle.findings import RULES

TOP = Path(__file__).resolve().parents[1]


def text_of(page: Path) -> str:
    """Return a page."""
    return page.read_text(encoding="utf-8")


class Declared:
    """Takes the place of pytest's parser and notes what the plugin declares."""

    def __init__(self) -> None:
        self.options: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        self.keys: list[str] = []
        plugin.pytest_addoption(self)  # type: ignore[arg-type]

    def getgroup(self, *_: str) -> Declared:
        return self

    def addoption(self, *names: str, **attributes: Any) -> None:
        self.options.append((names, attributes))

    def addini(self, name: str, *_: Any, **__: Any) -> None:
        self.keys.append(name)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def options_table() -> str:
    """Return the table of pytest's options."""
    rows = []
    for names, attributes in Declared().options:
        metavar = f" {attributes['metavar']}" if "metavar" in attributes else ""
        rows.append((f"`{', '.join(names)}{metavar}`", attributes["help"]))
    return _table(("option", "meaning"), rows)


def settings_table() -> str:
    """Return the table of settings with their defaults."""
    defaults = settings.Settings()
    return _table(
        ("key", "default", "meaning"),
        [(f"`{key}`", _toml(getattr(defaults, key)), meaning) for key, meaning in settings.MEANINGS.items()],
    )


def _toml(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return f'`"{value}"`'
        case int() | float():
            return f"`{value:g}`"
        case ():
            return "`[]`"
        case tuple():
            return "`[" + ", ".join(f'"{item}"' for item in value) + "]`"
        case dict() | settings.DoraPolicy():
            return "`{}`"
    raise AssertionError(value)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Give each sub-command with its name."""
    context = click.Context(cli.bugsle)
    for name in cli.COMMANDS:
        command = cli.bugsle.get_command(context, name)
        assert command is not None
        yield from _leaves(name, command)


def _leaves(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for part in sorted(command.commands):
            yield from _leaves(f"{name} {part}", command.commands[part])
    else:
        yield name, command


def commands_text() -> str:
    """Return a heading and a table of options for each sub-command."""
    parts = []
    for name, command in commands():
        context = click.Context(command, info_name=name)
        usage = " ".join(part for part in command.collect_usage_pieces(context) if part != "[OPTIONS]")
        rows = []
        for option in command.params:
            if isinstance(option, click.Option):
                record = option.get_help_record(context)
                assert record is not None
                rows.append((f"`{record[0]}`", record[1]))
        parts.append(
            f"### `bugsle {name}{' ' + usage if usage else ''}`\n\n{command.get_short_help_str(200)}\n"
        )
        if rows:
            parts.append(_table(("option", "meaning"), rows))
    return "\n".join(parts)


def tables_text() -> str:
    """Return a table of columns for each table that `bugsle dora --parquet` writes."""
    kinds = {"text": "text", "time": "timestamp (ms)", "flag": "boolean", "count": "64-bit integer"}
    return "\n".join(
        f"### {name}\n\n"
        + _table(
            ("column", "type", "meaning"),
            [(f"`{column}`", kinds[kind], meaning) for column, (kind, meaning) in columns.items()],
        )
        for name, columns in tables.TABLES.items()
    )


def rules_text() -> str:
    """Return a heading and a page for each rule."""
    parts = []
    for rule in RULES.values():
        level = (
            rule.level
            if rule.level_in_ci is None
            else f"{rule.level}, and {rule.level_in_ci} where `CI` is set"
        )
        parts.append(
            f"## {rule.code} {rule.name}\n\nDefault level: {level}.\n\n"
            f"{rule.what}\n\n*Why.* {rule.why}\n\n*How to mend.* {rule.mend}\n"
        )
    return "\n".join(parts)


def demo_text() -> str:
    """Run the demo and return its section as the README shows it."""
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "COV_", "BUGSLE_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest_bugsle", "demo"],
        cwd=TOP,
        env={**environ, "NO_COLOR": "1", "COLUMNS": "80", "PYTHONUTF8": "1"},
        capture_output=True,
        check=False,
        timeout=300,
    )
    output = done.stdout.decode("utf-8")
    assert done.returncode == 0, output + done.stderr.decode("utf-8", "replace")
    lines = output.splitlines()
    first = next(number for number, line in enumerate(lines) if re.fullmatch(r"=+ bugsle =+", line))
    last = next(number for number, line in enumerate(lines) if number > first and line.startswith("="))
    return "```text\n" + "\n".join(["$ pytest --bugsle", "…", *lines[first:last]]) + "\n```\n"


MADE: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "demo"): demo_text,
    ("docs/configuration.md", "pytest-options"): options_table,
    ("docs/configuration.md", "settings"): settings_table,
    ("docs/configuration.md", "commands"): commands_text,
    ("docs/delivery-fleet.md", "tables"): tables_text,
    ("docs/rules.md", "rules"): rules_text,
}


def renew() -> None:
    """Write all that is made from the code into its page."""
    for (page, name), make in MADE.items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = text_of(TOP / page).partition(begin)
        made = make() if name == "demo" else f"\n{make()}\n"
        (TOP / page).write_text(before + begin + made + end + rest.partition(end)[2], encoding="utf-8")


if __name__ == "__main__":
    renew()
