"""Read the message of a commit that is about to be made.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_bugsle.git.log import parse_trailers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_bugsle.git.repository import Repository

_LONGEST = 1024 * 1024
"""Bytes that are read from the beginning, and as many from the end, where the trailers stand."""

_SCISSORS = re.compile(rb"^(\S{1,32}) -{24} >8 -{24}$", re.MULTILINE)
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}-{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""What git takes for no UTF-8: it keeps each byte of it as the character of that number (utf8.c, commit.c)."""
_AUTOMATIC = b"#;@!$%^&|:"
"""What git chooses from when `core.commentChar` is `auto`."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as git will keep it: the first paragraph on one line, the rest, and the trailers."""

    subject: str
    body: str
    trailers: tuple[tuple[str, str], ...]


def read_message(repo: Repository, raw: bytes, environ: Mapping[str, str]) -> Message:
    """Return what git will make of a message file: no comments, nothing below the scissors, plain blank lines.

    git keeps lines that look like comments where no editor was open, which it tells its hooks by an editor
    named `:`. What `--cleanup` says on the command line is told to no hook.
    """
    if len(raw) > 2 * _LONGEST:
        raw = raw[:_LONGEST] + b"\n" + raw[-_LONGEST:]
    text = raw.replace(b"\r\n", b"\n").partition(b"\0")[0]
    comment = _comment(repo, text)
    for found in _SCISSORS.finditer(text):
        if found[1] == comment:
            text = text[: found.start()]
            break
    cleanup = repo.config("commit.cleanup") or "default"
    edited = environ.get("GIT_EDITOR") != ":"
    strip = cleanup == "strip" or (cleanup == "default" and edited)
    if strip:  # by hand and not by `git stripspace -s`, which does not know an automatic character
        text = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(comment))
    text = repo.run("stripspace", input=text)
    trailers = repo.run("interpret-trailers", "--parse", "--no-divider", input=text)
    encoding = repo.config("i18n.commitEncoding") or "utf-8"
    head, _, body = _decoded(text, encoding).partition("\n\n")
    return Message(
        " ".join(head.rstrip("\n").split("\n")),
        body.strip("\n"),
        tuple(parse_trailers(_decoded(trailers, encoding))),
    )


def _comment(repo: Repository, text: bytes) -> bytes:
    """Return what begins a comment here."""
    told = repo.config("core.commentString") or repo.config("core.commentChar") or "#"
    if told != "auto":
        return told.encode("utf-8", "surrogateescape")
    scissors = _SCISSORS.search(text)
    if scissors is not None and scissors[1] in _AUTOMATIC:
        return scissors[1]
    last = text.rstrip().rpartition(b"\n")[2][:1]  # git's help stands at the end
    return last if last and last in _AUTOMATIC else b"#"


def _decoded(text: bytes, encoding: str) -> str:
    try:
        return _NONCHARACTER.sub(lambda found: found[0].encode().decode("latin-1"), text.decode(encoding))
    except (UnicodeDecodeError, LookupError):
        return text.decode("utf-8", "surrogateescape")
