"""The shape of a commit message: prose, prefixes, header, squashed parts.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from pytest_bugsle.patterns import lazy_pattern

# No honest message is longer; what is cut lies between the text and the trailers at its end.
_HEAD, _TAIL = 96_000, 32_000
_LONGEST_SUBJECT = 1_000

_FENCE = lazy_pattern(r" {0,3}(```+|~~~+)")
_INLINE_CODE = lazy_pattern(r"(`{1,2})(?!`)[^`\n]{1,500}\1(?!`)")

_MERGE_PREFIX = lazy_pattern(
    r"(?:Merged PR \d+:"
    r"|Merged in \S{1,200} \(pull request #\d+\)"
    r"|(?:WIP|Draft|RFC|RFR|MRG):"
    r"|(?:fix(?:e[sd])?|closes?d?|refs?|see) #\d+(?:, ?#\d+){0,9} -{1,2}(?=\s)"
    r"|(?:Auto(?:mated|matic)? )?(?:Backport|Cherry[- ]?pick)(?:ed|ing)?(?: of)?(?: PR)? (?:#\d+"
    r"|[0-9a-f]{7,40})"
    r"(?: (?:on|to|onto|into) \S{1,80}?)?(?: \([^)\n]{1,80}\))?:"
    r"|(?:backport|cherry-?pick)(?:\([^)\n]{1,80}\))?:(?=\s)"
    r"|gh-\d+:|bpo-\d+:|(?:issue ?)?#\d+(?::| -{1,2}| –| —)(?=\s)"
    r"|(?-i:[A-Z][A-Z0-9_]{1,19}-\d+)(?::| -{1,2}(?=\s)|(?=\s)))\s*",
    re.IGNORECASE,
)
_BRACKET_PREFIX = lazy_pattern(r"[\[(](?P<tag>[^\[\]()\n]{1,80})[\])]:?\s*")
_BACKPORT = lazy_pattern(
    r"\[(?:backport\b[^\]\n]{0,80}|(?:stable|release|maint)[-/][^\]\n]{1,60}|v?\d+\.(?:\d+|x)(?:\.(?:\d+"
    r"|x))?)\]"
    r"|\A(?:Auto(?:mated|matic)? )?backport\b|\bbackport\]",
    re.IGNORECASE,
)
_GITMOJI_WORD = lazy_pattern(r":(?P<name>[a-z0-9_+-]{2,40}):\s*")
_GITMOJI = {
    "🐛": "bug", "🚑": "ambulance", "🩹": "adhesive_bandage", "🔒": "lock", "✨": "sparkles", "📝": "memo",
    "✏": "pencil2", "🎨": "art", "💄": "lipstick", "🔧": "wrench", "👷": "construction_worker",
    "💚": "green_heart", "🚨": "rotating_light", "✅": "white_check_mark", "⬆": "arrow_up", "⬇": "arrow_down",
    "🔖": "bookmark", "♻": "recycle", "🔥": "fire", "⚡": "zap", "🚧": "construction", "💡": "bulb",
    "🔀": "twisted_rightwards_arrows", "⏪": "rewind", "🧪": "test_tube", "🏷": "label",
    "🌐": "globe_with_meridians",
}  # fmt: skip
_HEADER = lazy_pattern(
    r"(?P<type>[A-Za-z][A-Za-z0-9_-]{1,20})(?:\((?P<scope>[^()\n]{0,60})\))?(?P<bang>!)?:(?=\s|$)\s*"
)
_AREA = lazy_pattern(r"[\w./*-]{1,60}(?:, ?[\w./*-]{1,60}){0,3}:\s+")
_SPELLINGS = {
    "fix": "fix fixes fixed bugfix bugfixes hotfix bug bugs",
    "feature": "feat feature features enh fea new",
    "docs": "docs doc i18n l10n",
    "style": "style sty cln typ types typing lint",
    "test": "test tests tst bench",
    "ci": "ci",
    "build": "build bld",
    "perf": "perf",
    "refactor": "refactor ref refac",
    "chore": "chore maint mnt deps dep rel release",
    "revert": "revert rev",
    "wip": "wip",
}
TYPES = {written: kind for kind, spellings in _SPELLINGS.items() for written in spellings.split()}

_BULLET = lazy_pattern(r"[*•] +(?P<text>\S[^\n]*)")
_DASH_HEADER = lazy_pattern(
    r"[-+] +(?P<text>(?:fix|bugfix|hotfix|feat|docs|chore|test|refactor|perf|ci|build"
    r"|style)(?:\([^()\n]{0,60}\))?!?: \S[^\n]*)"
)
_SQUASHED = "squashed commit of the following:"
_LOG_HEADER = lazy_pattern(r"commit [0-9a-f]{7,64}\b")
_LOG_FIELD = lazy_pattern(r"(?:Author|Date|Merge|AuthorDate|Commit|CommitDate): ")


class Headline(msgspec.Struct, frozen=True):
    """A subject taken apart: the text that is left to judge, and what stood before it."""

    text: str
    type: str | None = None
    scope: str = ""
    written_type: str = ""
    gitmoji: str = ""
    backport: bool = False


class Part(msgspec.Struct, frozen=True):
    """One message of those that a squash has put into one body."""

    subject: str
    body: str = ""


def bounded(text: str) -> str:
    """Return the text, without its middle if it is longer than any honest message."""
    return text if len(text) <= _HEAD + _TAIL else text[:_HEAD] + "\n\n" + text[-_TAIL:]


def prose(text: str) -> str:
    """Return the text without HTML comments, fenced blocks and inline code; positions of lines stay."""
    pieces, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        pieces += [text[at:start], "\n" * text.count("\n", start, end)]
        at = end + 3
    text = "".join(pieces) + text[at:]
    if "`" not in text and "~~~" not in text:
        return text
    lines, fence = [], ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            line = ""
        elif mark:
            fence, line = mark[1], ""
        lines.append(_INLINE_CODE.sub(" ", line))
    return "\n".join(lines)


def excerpt(text: str, limit: int = 60) -> str:
    """Return a short quotation of a stranger's text: one line, nothing invisible in it."""
    short = " ".join(text[: 4 * limit].split())
    short = "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in short)
    return short if len(short) <= limit else short[: limit - 1].rstrip() + "…"


def first_line(text: str) -> str:
    """Return the first line that is not empty."""
    return next((line.strip() for line in text.split("\n", 50) if line.strip()), "")


def headline(subject: str) -> Headline:
    """Take merge prefixes, tags, gitmoji, area and the conventional header off a subject."""
    text = " ".join(subject[:_LONGEST_SUBJECT].split())
    backport = _BACKPORT.search(text) is not None
    gitmoji, tags = "", []
    kind, scope, written = None, "", ""
    for _ in range(8):
        before = text
        if match := _MERGE_PREFIX.match(text):
            text = text[match.end() :]
        elif match := _GITMOJI_WORD.match(text):
            gitmoji, text = gitmoji or match["name"], text[match.end() :]
        elif text[:1] in _GITMOJI:
            gitmoji, text = gitmoji or _GITMOJI[text[0]], text[1:].lstrip("\ufe0f\u200d ♂♀")
        elif (match := _BRACKET_PREFIX.match(text)) and match.end() < len(text):
            tags.append(match["tag"].strip())
            text = text[match.end() :]
        elif (match := _HEADER.match(text)) and match["type"].lower() in TYPES and match.end() < len(text):
            written, scope = match["type"], (match["scope"] or "").strip()
            kind, text = TYPES[written.lower()], text[match.end() :]
            break
        if text == before:
            break
    if kind is None:
        for tag in tags:
            if TYPES.get(tag.lower()) is not None:
                kind, written = TYPES[tag.lower()], tag
        for _ in range(3):
            if not (match := _AREA.match(text)):
                break
            scope, text = scope or match[0].strip().rstrip(":"), text[match.end() :]
    return Headline(text, kind, scope, written, gitmoji, backport)


def squash_parts(body: str) -> tuple[Part, ...]:
    """Return the messages that a squash merge has listed in a body; none for an ordinary one."""
    body = bounded(body).replace("\r\n", "\n")
    at = body.lower().find(_SQUASHED)
    if at >= 0:
        return _log_parts(body[at + len(_SQUASHED) :])
    parts: list[tuple[str, list[str]]] = []
    for line in body.split("\n"):
        match = _BULLET.match(line) or _DASH_HEADER.match(line)
        if match:
            parts.append((match["text"].strip(), []))
        elif parts:
            parts[-1][1].append(line)
    return tuple(Part(subject, "\n".join(lines).strip("\n")) for subject, lines in parts)


def _log_parts(log: str) -> tuple[Part, ...]:
    """Read the output of `git log` that `git merge --squash` leaves."""
    parts: list[list[str]] = []
    for line in log.split("\n"):
        if _LOG_HEADER.match(line):
            parts.append([])
        elif parts and not (_LOG_FIELD.match(line) and not any(parts[-1])):
            parts[-1].append(line[4:] if line.startswith("    ") else line.strip())
    messages = ("\n".join(lines).strip("\n") for lines in parts)
    return tuple(
        Part(m.split("\n", 1)[0].strip(), m.partition("\n")[2].strip("\n")) for m in messages if m.strip()
    )
