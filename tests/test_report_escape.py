"""Strangers' text is shown in a report, and does nothing there."""

from __future__ import annotations

import os
import re
import unicodedata
from html import unescape
from urllib.parse import unquote_to_bytes, urljoin, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from report_examples import ANY_TEXT

from pytest_bugsle.report.escape import for_json, for_markdown, for_terminal, for_uri, for_xml, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ünïcode 日本 👩\u200d🔧", "plain – ünïcode 日本 👩\u200d🔧"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x9b2J\x7f\0", r"\x9b2J\x7f\x00"),
        ("\u202eexe\u2069", r"\u202eexe\u2069"),
        ("a\u2028b\u2029c\ufeff", r"a\u2028b\u2029c\ufeff"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        (r"C:\temp\x1b", r"C:\temp\x1b"),
    ],
)
def test_control_and_direction_characters_are_shown(text: str, shown: str) -> None:
    """What would move the cursor, break the line or turn the text around is spelled out."""
    assert visible(text) == shown
    assert for_terminal(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error file=a::b", r"\x3a:error file=a::b"),
        ("  ::warning::x", r"  \x3a:warning::x"),
        ("\u3000::x", "\u3000\\x3a:x"),
        ("fix ##[error]x", r"fix #\x23[error]x"),
        ("###[error]x", r"##\x23[error]x"),
        ("##vso[task.setvariable]x", r"#\x23vso[task.setvariable]x"),
        ("tests/a.py::test_b[1] ## c", "tests/a.py::test_b[1] ## c"),
    ],
)
def test_a_line_of_the_log_is_no_command_to_the_ci(text: str, shown: str) -> None:
    """What a CI would obey, wherever in the line it looks for it, is broken up; test ids stay."""
    assert for_terminal(text) == shown


@given(ANY_TEXT)
def test_a_terminal_line_holds_nothing_but_what_is_seen(text: str) -> None:
    """No control character, no surrogate, no direction override and no command is left."""
    shown = for_terminal(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert not shown.lstrip().startswith("::")
    assert not re.search(r"##\w*\[", shown)
    assert for_terminal(shown) == shown
    shown.encode("utf-8")


@given(ANY_TEXT)
def test_json_text_loses_only_surrogates(text: str) -> None:
    """Text that UTF-8 can carry stays as it is."""
    shown = for_json(text)
    shown.encode("utf-8")
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert shown == text


@given(ANY_TEXT)
def test_xml_text_survives_a_parser(text: str) -> None:
    """A strict parser reads the text back as it was written, in an attribute and in an element."""
    shown = for_xml(text)
    element = ElementTree.Element("a", {"b": shown})
    element.text = shown
    read = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8"))
    assert read.get("b") == shown
    assert (read.text or "") == shown


def test_xml_text_keeps_its_lines() -> None:
    """Line ends are legal in XML and stay; what is illegal is shown."""
    assert for_xml("a\r\nb\x1b\ufffe\tc") == "a\nb\\x1b\\ufffe\\tc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fix: purger skips dated folders (#42)", "fix: purger skips dated folders (#42)"),
        ("<script>", "&#60;script&#62;"),
        ("a|b", "a&#124;b"),
        ("`a` *b* _c_", r"\`a\` \*b\* \_c\_"),
        ("[a](b)", r"\[a\](b)"),
        ("two\nlines", r"two\\nlines"),
        ("@team", "@&#8203;team"),
        ("owner/repo#12", "owner/repo#&#8203;12"),
        ("https://evil.example", "https:&#8203;//evil.example"),
        ("www.evil.example", "www.&#8203;evil.example"),
        ("# a", r"\# a"),
        ("- a", r"\- a"),
        ("12. a", r"12\. a"),
        ("1) a", r"1\) a"),
        ("    code", "code"),
        ("&lt;", "&#38;lt;"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    """Markup, links, mentions and HTML are text."""
    assert for_markdown(text) == shown


@given(ANY_TEXT)
def test_markdown_text_reads_back_as_what_is_visible(text: str) -> None:
    """Taking the escapes out gives the visible text: nothing is lost and nothing is left special."""
    shown = for_markdown(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]{}~]|[<>|\"$\n\r]", re.sub(r"\\[`*_\[\]{}~^]", "", shown))
    assert not re.search(r"@(?!&#8203;)|://|\w#\d|(?i:www)\.(?!&#8203;)", shown)
    plain = re.sub(r"\\([\\`*_\[\]{}~^#+=.)-])", r"\1", shown.replace("&#8203;", ""))
    assert unescape(plain) == visible(text).strip(" ")


def test_markdown_gives_no_markup_to_a_parser() -> None:
    """A CommonMark parser finds nothing but text in the hostile texts."""
    markdown_it = pytest.importorskip("markdown_it")
    from report_examples import HOSTILE

    parser = markdown_it.MarkdownIt("commonmark").enable("table").enable("strikethrough")
    for text in HOSTILE:
        (inline,) = [token for token in parser.parse(f"x {for_markdown(text)}") if token.type == "inline"]
        assert {child.type for child in inline.children} <= {"text", "text_special"}, text
        blocks = [token.type for token in parser.parse(for_markdown(text))]
        assert blocks in ([], ["paragraph_open", "inline", "paragraph_close"]), text


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("src/a.py", "src/a.py"),
        ("src/a b#c?.py", "src/a%20b%23c%3F.py"),
        ("javascript:alert(1)", "javascript%3Aalert%281%29"),
        ("//host/a", "%2F%2Fhost/a"),
        (os.fsdecode(b"caf\xe9.py"), "caf%E9.py"),
        ("日.py", "%E6%97%A5.py"),
        ("a\nb", "a%0Ab"),
        (r"a\b", "a%5Cb"),
    ],
)
def test_a_path_becomes_a_relative_uri(path: str, uri: str) -> None:
    """Bytes that are no UTF-8 are kept, and no path names a scheme or a host."""
    assert for_uri(path) == uri


@given(ANY_TEXT)
def test_no_path_leaves_the_repository_by_its_uri(path: str) -> None:
    """The URI is ASCII, has neither scheme nor host, and gives the bytes back."""
    uri = for_uri(path)
    parts = urlsplit(uri)
    assert uri.isascii()
    assert not parts.scheme
    assert not parts.netloc
    assert parts.path == uri
    assert urljoin("file:///top/", uri).startswith("file:///")
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "surrogatepass")
    assert unquote_to_bytes(uri) == raw
