"""Write blobs and trees into an object folder of ours.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_bugsle.errors import ProgramError
from pytest_bugsle.git.command import shown

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository

_FOLDER = b"40000"
_AFRESH = b""  # no name in a folder: what the folder held before is dropped
_MODES = frozenset({"100644", "100755", "120000"})

# What is to stand at one name of a folder: more names, a file, or nothing.
_Edits: TypeAlias = "dict[bytes, _Edits | tuple[str, bytes] | None]"


def write_object(objects: Path, kind: str, content: bytes, object_format: str) -> str:
    """Write a loose object and give its name."""
    whole = f"{kind} {len(content)}\0".encode() + content
    sha = hashlib.new(object_format, whole, usedforsecurity=False).hexdigest()
    place = objects / sha[:2] / sha[2:]
    if _is_whole(place, whole):
        return sha
    place.parent.mkdir(exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="tmp_obj_", dir=place.parent)
    try:
        with open(handle, "wb") as file:
            file.write(zlib.compress(whole, 1))
        os.chmod(name, 0o444)
        os.replace(name, place)
    except BaseException:
        os.unlink(name)
        raise
    return sha


def _is_whole(place: Path, whole: bytes) -> bool:
    try:
        return zlib.decompress(place.read_bytes()) == whole
    except (OSError, zlib.error):  # a power cut leaves empty files
        return False


def write_tree(
    repo: Repository, objects: Path, base: str, edits: Mapping[str, tuple[str, bytes] | None]
) -> str:
    """Write `base` with some paths set to (mode, content), or deleted by None, and give the tree's name."""
    root: _Edits = {}
    for path, edit in edits.items():
        if edit is not None and edit[0] not in _MODES:
            raise ProgramError(f"{shown(path)} cannot be written with mode {shown(edit[0])}")
        *folders, name = _parts(path)
        here = root
        for folder in folders:
            below = here.setdefault(folder, {})
            if below is None:  # what stood there goes, and this comes
                below = here[folder] = {_AFRESH: None}
            if not isinstance(below, dict):
                raise _contradiction(path)
            here = below
        there = here.get(name)
        if isinstance(there, dict) and edit is None:
            there[_AFRESH] = None
        elif name in here:
            raise _contradiction(path)
        else:
            here[name] = edit
    return _edited(repo, objects, repo.tree_of(base), root) or write_object(
        objects, "tree", b"", repo.object_format
    )


def _edited(repo: Repository, objects: Path, tree: str | None, edits: _Edits) -> str | None:
    size = 32 if repo.object_format == "sha256" else 20
    entries = (
        {} if tree is None or _AFRESH in edits else _parse(repo.read_objects((tree,), "tree")[tree], size)
    )
    for name, edit in edits.items():
        if name == _AFRESH:
            continue
        if isinstance(edit, dict):
            mode, sha = entries.get(name, (b"", ""))
            made = _edited(repo, objects, sha if mode == _FOLDER else None, edit)
            if made is not None:
                entries[name] = (_FOLDER, made)
            elif mode == _FOLDER or _AFRESH in edit:  # git knows no empty folders
                entries.pop(name, None)
        elif edit is None:
            entries.pop(name, None)
        else:
            entries[name] = (edit[0].encode(), write_object(objects, "blob", edit[1], repo.object_format))
    if not entries:
        return None
    # git sorts a folder as if its name ended with a slash.
    order = sorted(entries, key=lambda name: name + b"/" if entries[name][0] == _FOLDER else name)
    content = b"".join(
        b"%s %s\0%s" % (entries[name][0], name, bytes.fromhex(entries[name][1])) for name in order
    )
    return write_object(objects, "tree", content, repo.object_format)


def _parse(content: bytes, size: int) -> dict[bytes, tuple[bytes, str]]:
    entries: dict[bytes, tuple[bytes, str]] = {}
    start = 0
    while start < len(content):
        space = content.index(b" ", start)
        end = content.index(b"\0", space)
        entries[content[space + 1 : end]] = (content[start:space], content[end + 1 : end + 1 + size].hex())
        start = end + 1 + size
    return entries


def _parts(path: str) -> list[bytes]:
    parts = os.fsencode(path).split(b"/")
    if b"\0" in os.fsencode(path) or any(
        part in (b"", b".", b"..") or part.lower() == b".git" for part in parts
    ):
        raise ProgramError(
            f"{shown(path)!r} is no path inside a repository",
            why="a tree with such a path would write outside of its folder",
        )
    return parts


def _contradiction(path: str) -> ProgramError:
    return ProgramError(f"{shown(path)} would be a file and a folder at once")
