"""Make strangers' text harmless in a terminal, Markdown, XML, JSON and URIs.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from urllib.parse import quote

from pytest_bugsle.patterns import lazy_pattern

#: C0, DEL, C1; line and paragraph separators; direction marks, overrides and isolates; the byte
#: order mark; tag characters; lone surrogates. None of them is visible, all of them change how
#: the text around them is read.
_UNSEEN = lazy_pattern(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_SURROGATE = lazy_pattern("[\ud800-\udfff]")
_NONCHARACTER = lazy_pattern("[\ufffe\uffff]")
#: GitHub reads `::error` where a line begins and `##[error]` anywhere in it, Azure `##vso[`.
_LOG_COMMAND = lazy_pattern(r"^\s*:(?=:)|##(?=\w*\[)")
_NAMED = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}

_MARKDOWN_ENTITY = lazy_pattern(r"[&<>\"|$]")
_MARKDOWN_BACKSLASH = lazy_pattern(r"[\\`*_\[\]{}~^]")
_MARKDOWN_AT_START = lazy_pattern(r"^(?:[#+=-]|\d+(?=[.)]))")
#: Where GitHub and its kin would make a mention, a cross-reference or a link of plain text.
_MARKDOWN_LINK = lazy_pattern(r"(@)|((?<=\w)#(?=\d)|:(?=//)|(?<=[Ww][Ww][Ww])\.)")
_NOTHING_WIDE = "&#8203;"


def _shown(found: re.Match[str]) -> str:
    character = found[0]
    if character in _NAMED:
        return _NAMED[character]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that os.fsdecode could not read
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def visible(text: str) -> str:
    r"""Return the text on one line, with control and direction characters shown (`\x1b`), not sent."""
    return _UNSEEN.sub(_shown, text)


def for_terminal(text: str) -> str:
    """Return a line for a terminal or a log: `visible`, and no command to the CI that reads the log."""
    return _LOG_COMMAND.sub(lambda found: f"{found[0][:-1]}\\x{ord(found[0][-1]):02x}", visible(text))


def for_json(text: str) -> str:
    r"""Return the text with lone surrogates, which UTF-8 cannot carry, shown as `\xNN`."""
    return _SURROGATE.sub(_shown, text)


def for_xml(text: str) -> str:
    """Return the text with what XML 1.0 forbids shown; line ends stay, `<` and `&` are the writer's."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(_NONCHARACTER.sub(_shown, visible(line)) for line in lines)


def for_markdown(text: str) -> str:
    """Return the text on one line so that Markdown and HTML show it as it is, in a table cell as well.

    Nothing in it becomes markup, a link, a mention or a reference to somebody's issue.
    """
    text = visible(text).strip(" ")
    start = _MARKDOWN_AT_START.match(text)
    head = ""
    if start and start[0].isdigit():
        head, text = f"{start[0]}\\", text[start.end() :]
    elif start:
        head, text = f"\\{start[0]}", text[start.end() :]
    text = _MARKDOWN_BACKSLASH.sub(r"\\\g<0>", text)
    text = _MARKDOWN_ENTITY.sub(lambda found: f"&#{ord(found[0])};", text)
    text = _MARKDOWN_LINK.sub(lambda found: f"{found[0]}{_NOTHING_WIDE}", text)
    return head + text


def for_uri(path: str) -> str:
    """Return a relative path as a relative URI; bytes that are no UTF-8 are percent-encoded too."""
    if path.startswith("/"):  # would be absolute, and with two slashes name a host
        return "%2F" + for_uri(path[1:])
    return quote(path.encode("utf-8", "surrogateescape" if _bytes_only(path) else "surrogatepass"))


def _bytes_only(path: str) -> bool:
    return all(0xDC80 <= ord(character) <= 0xDCFF for character in _SURROGATE.findall(path))
