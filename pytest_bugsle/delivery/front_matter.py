"""The front matter of a Markdown file: the few keys that are read, and what of YAML they need.  PYTEST_DONT_REWRITE

Plain, 'single' and "double" quoted texts, lists (`[a, b]`, or one `- item` a line), and comments. An anchor, a
tag, a block text or a mapping is refused for the keys that are read, with its line, and never guessed at; all
other keys are left alone, whatever they hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from pytest_bugsle.errors import UsageError

_LARGEST = 65_536
"""Characters in which a front matter must end."""
_KEY = re.compile(
    r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^\s#'"\[{&*!|>%@`-][^:#]{0,100}?))\s*:(?:\s+|\Z)"""
)
_ITEM = re.compile(r"\s*-(?:\s+|\Z)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_SINGLE = re.compile(r"'((?:[^']|'')*+)'")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "\\": "\\", "/": "/", " ": " "}
_PLAIN_IN_LIST = re.compile(r"[^,\[\]{}#\s][^,\[\]{}]*")
_COMMENT = re.compile(r"(?:\A|\s)#.*\Z", re.DOTALL)
_UNREAD = "&*!|>{}%@`"


Entry = tuple[int, list[str]]
"""The line of a key, and its values."""


def front_matter(content: bytes, path: str, keys: Collection[str]) -> dict[str, Entry] | None:
    """Read the `keys` of a file's front matter; None for a file without one.

    UsageError names the file, the line, the key and what is expected of it.
    """
    if not content.removeprefix(b"\xef\xbb\xbf").startswith(b"---"):
        return None
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise wrong(path, line, "", "it is not UTF-8", "text in UTF-8") from error
    lines = text[:_LARGEST].split("\n")
    if lines[0].rstrip() != "---":
        return None
    end = next((n for n, line in enumerate(lines) if n and line.rstrip() in {"---", "..."}), None)
    if end is None:
        # A lone `---` is a rule of Markdown; what only looks so must not be lost unseen.
        if any(_key(line) in keys for line in lines[1:40]):
            raise wrong(path, 1, "", "the front matter is never closed", "a line `---` behind it")
        return None
    return _entries(lines[1:end], path, keys)


def _entries(lines: Sequence[str], path: str, keys: Collection[str]) -> dict[str, Entry]:
    """Give line and values of the keys that are read; the lines of other keys are passed over."""
    found: dict[str, Entry] = {}
    current: str | None = None
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key = _key(line)
        if key is not None:
            current = key if key in keys else None
            if current is None:
                continue
            if current in found:
                raise wrong(path, number, key, f"it stands in line {found[key][0]} already", "each key once")
            matched = _KEY.match(line)
            assert matched is not None
            found[current] = number, _values(line[matched.end() :], path, number, current)
        elif current is not None:
            item = _ITEM.match(line)
            if item is None or (found[current][1] and found[current][0] == number):
                raise wrong(path, number, current, f"{line.strip()!r} is not read", "one `- item` a line")
            found[current][1].extend(_scalar(line[item.end() :], path, number, current))
    return found


def _key(line: str) -> str | None:
    found = _KEY.match(line)
    if found is None:
        return None
    return found["plain"] or found["double"] or found["single"] or ""


def _values(text: str, path: str, line: int, key: str) -> list[str]:
    if not text.startswith("["):
        return list(_scalar(text, path, line, key))
    values: list[str] = []
    at = 1
    expected = "a list on one line, such as [1a2b3c4, 8.0.1]"
    while True:
        at += len(text[at:]) - len(text[at:].lstrip())
        if text[at : at + 1] == "]":
            break
        value, at = _quoted(text, at, path, line, key)
        if value is None:
            plain = _PLAIN_IN_LIST.match(text, at)
            if plain is None or plain[0][0] in _UNREAD:
                raise wrong(path, line, key, f"{text.strip()!r} is not read", expected)
            value, at = plain[0].strip(), plain.end()
        values.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            raise wrong(path, line, key, f"{text.strip()!r} is not closed", expected)
    if _COMMENT.sub("", text[at + 1 :]).strip():
        raise wrong(
            path, line, key, f"something stands behind the list: {text[at + 1 :].strip()!r}", expected
        )
    return [value for value in values if value]


def _scalar(text: str, path: str, line: int, key: str) -> Iterator[str]:
    """Yield one value, or none where nothing (or `~`, or `null`) stands."""
    text = text.strip()
    value, at = _quoted(text, 0, path, line, key)
    if value is None:
        value, at = _COMMENT.sub("", text).strip(), len(text)
        if (value[:1] and value[0] in _UNREAD + "[]") or value[:2] in {"? ", "- "}:
            raise wrong(path, line, key, f"{value!r} is not read", "a plain or a quoted text, or a list")
        if value in {"~", "null", "Null", "NULL"}:
            value = ""
    elif _COMMENT.sub("", text[at:]).strip():
        raise wrong(
            path, line, key, f"something stands behind the quotes: {text[at:].strip()!r}", "a quoted text"
        )
    if value:
        yield value


def _quoted(text: str, at: int, path: str, line: int, key: str) -> tuple[str | None, int]:
    mark = text[at : at + 1]
    if mark not in {"'", '"'}:
        return None, at
    found = (_DOUBLE if mark == '"' else _SINGLE).match(text, at)
    if found is None:
        raise wrong(path, line, key, "a quote is never closed", f"{mark}…{mark}")
    if mark == "'":
        return found[1].replace("''", "'"), found.end()

    def unescaped(escape: re.Match[str]) -> str:
        if escape[3] is None:
            return chr(int(escape[1] or escape[2], 16))
        if escape[3] not in _ESCAPES:
            raise wrong(
                path, line, key, f"the escape \\{escape[3]} is not read", 'one of \\n \\t \\" \\\\ \\u1234'
            )
        return _ESCAPES[escape[3]]

    return _ESCAPE.sub(unescaped, found[1]), found.end()


def wrong(path: str, line: int, key: str, what: str, expected: str) -> UsageError:
    """Make the error for a line that is not read."""
    field = f" `{key}`:" if key else ""
    return UsageError(
        f"{path}:{line}:{field} {what}",
        why="an incident record is the strongest evidence of a change failure: it is not read by half.",
        hint=f"expected: {expected}",
    )
