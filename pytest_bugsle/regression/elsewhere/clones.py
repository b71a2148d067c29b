"""Find copies of the code that a fix changed, which it left as they were.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import re
import shlex
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from posixpath import commonprefix, dirname
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.code.clones import Match, candidates, compare, uses
from pytest_bugsle.code.syntax import lines_of
from pytest_bugsle.code.tokens import Fingerprint, LogicalLine, fingerprint, readable_lines, word_hash
from pytest_bugsle.code.windows import Swap, Text, Window, misspelt, windows
from pytest_bugsle.git.diff import line_changes
from pytest_bugsle.regression.elsewhere.leads import is_foreign
from pytest_bugsle.results import Lead

if TYPE_CHECKING:
    from pytest_bugsle.git.repository import Repository
    from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView
    from pytest_bugsle.store.cache import Cache

_ROOM = "clones"
_VERSION = 1
_GENERATED = re.compile(r"_pb2(?:_grpc)?\.py\Z")
_MOST_FILES = 6000
_MOST_WINDOWS = 40
_MOST_IN_FILE = 500
_MOST_PLACES = 60
_LEAST = 0.1
_IDIOM = 10
_RARE = 5
_MOST_WITH_WORD = 30
"""Files of all sides; a word that is in more of them is not rare, and telling their sides apart costs."""
_BATCH = 200
_LONGEST_CODE = 160
_MAGIC = frozenset(":*?[\\!^")


def clones(view: FixView, cache: Cache, *, limit: int = 20) -> list[Lead]:
    """Return the places that are like what the fix changed and do not have it, best first."""
    changed = [(file, *_changes(file)) for file in view.files if _is_searched(file)]
    if not any(searched or swaps for _, searched, swaps, _ in changed):
        return []
    found: dict[tuple[str, int], Lead] = {}
    tree = _Tree(view, cache)
    written = {tokens for *_, added in changed for tokens in added}
    asked = [(window, file) for file, searched, _, _ in changed for window in searched]
    for window, file in asked[:_MOST_WINDOWS]:
        _keep(found, _like(window, file, tree, written))
    replaced = [(swap, file) for file, _, swaps, _ in changed for swap in swaps]
    for swap, file in replaced[:_MOST_WINDOWS]:
        _keep(found, _left(swap, file, tree, written))
    leads = [lead for lead in found.values() if lead.confidence >= _LEAST]
    return sorted(leads, key=lambda lead: (-lead.confidence, lead.path or "", lead.line or 0))[:limit]


def _is_searched(file: FixedFile) -> bool:
    return file.old is not None and file.new is not None and (file.path or "").endswith(".py")


def _changes(file: FixedFile) -> tuple[list[Window], list[Swap], set[tuple[str, ...]]]:
    """Return what to search for, the words that were replaced, and the lines that the fix wrote."""
    assert file.old is not None and file.new is not None
    old, new = readable_lines(file.old), readable_lines(file.new)
    deleted, added = line_changes(_by_line(old), _by_line(new))
    found = windows(Text(old), Text(new), {n - 1 for n in deleted}, {n - 1 for n in added})
    return *found, {new[n - 1].tokens for n in added}


def _by_line(lines: Iterable[LogicalLine]) -> bytes:
    """Write each logical line as one line of its own, so that lines can be compared as in any diff."""
    return b"".join(
        b"%s\n"
        % hashlib.blake2b("\0".join(line.tokens).encode("utf-8", "surrogatepass"), digest_size=8)
        .hexdigest()
        .encode()
        for line in lines
    )


class _Tree:
    """The source texts of a tree that people write, their fingerprints, and the texts that are looked at."""

    def __init__(self, view: FixView, cache: Cache) -> None:
        self.view = view
        folders = {dirname(file.path or "") for file in view.files}
        ranks = _Ranks(folders)
        near = sorted(
            (path for path, entry in view.listing.items() if entry.mode.startswith("100") and _is_own(path)),
            key=lambda path: (ranks[dirname(path)], path),
        )
        self.paths = near[:_MOST_FILES]
        self.prints = _fingerprints(view.repo, cache, {path: view.listing[path].sha for path in self.paths})
        self._texts: dict[str, Text] = {}

    def is_source(self, path: str) -> bool:
        """Say whether a path is source; asked of what was found alone, for telling sides apart costs."""
        return self.view.side(path) == "source"

    def text(self, path: str) -> Text:
        """Return the logical lines of a file."""
        sha = self.view.listing[path].sha
        if sha not in self._texts:
            self._texts[sha] = Text(readable_lines(self.view.repo.blob(sha)))
        return self._texts[sha]


def _is_own(path: str) -> bool:
    return path.endswith(".py") and not _GENERATED.search(path) and not is_foreign(path)


class _Ranks(dict[str, int]):
    """How many steps a folder is from the nearest of some folders."""

    def __init__(self, folders: Collection[str]) -> None:
        super().__init__()
        self._folders = [folder.split("/") for folder in folders]

    def __missing__(self, folder: str) -> int:
        here = folder.split("/")
        self[folder] = rank = min(
            len(here) + len(there) - 2 * len(commonprefix([here, there])) for there in self._folders
        )
        return rank


def _fingerprints(repo: Repository, cache: Cache, shas: Mapping[str, str]) -> dict[str, Fingerprint]:
    """Return the fingerprint of each path's text; all of them are one entry of the cache, kept by blob."""
    key = f"index-{_VERSION}"
    kept: dict[str, tuple[bytes, bytes]] = {}
    try:
        kept = msgspec.msgpack.decode(cache.get(_ROOM, key) or b"\x80", type=dict[str, tuple[bytes, bytes]])
    except msgspec.DecodeError:
        pass  # a cache that cannot be read is a miss
    wanted = list(dict.fromkeys(shas.values()))
    missing = [sha for sha in wanted if sha not in kept]
    for start in range(0, len(missing), _BATCH):
        for sha, source in repo.blobs(missing[start : start + _BATCH]).items():
            taken = fingerprint(source)
            kept[sha] = taken.shapes.tobytes(), taken.words.tobytes()
    if missing:
        cache.put(_ROOM, key, msgspec.msgpack.encode({sha: kept[sha] for sha in wanted}))
    return {path: Fingerprint(_numbers(kept[sha][0]), _numbers(kept[sha][1])) for path, sha in shas.items()}


def _numbers(raw: bytes) -> array[int]:
    numbers = array("I")
    numbers.frombytes(raw[: len(raw) // numbers.itemsize * numbers.itemsize])
    return numbers


def _like(
    window: Window, file: FixedFile, tree: _Tree, written: Collection[tuple[str, ...]]
) -> Iterator[Lead]:
    places = []
    renamed_to = _functions_of(file.new) - _functions_of(file.old)
    ranks = {path: rank for rank, path in enumerate(tree.paths)}  # the nearest first, where all else is equal
    for path, taken in tree.prints.items():
        for near, at, anchor in islice(candidates(window, taken.shapes), _MOST_IN_FILE):
            if near >= 3 or len(window.lines[anchor].tokens) >= 15:
                places.append((-near, ranks[path], path, at, anchor))
    places.sort()
    matches: dict[tuple[str, int], Match] = {}
    for _, _, path, at, anchor in places[:_MOST_PLACES]:
        text = tree.text(path)
        if at >= len(text.lines) or text.shapes[at] != window.shapes[anchor]:
            continue  # what the cache says of the text is not so
        own = text.function(at) if path == file.path else ""
        if own and (own == window.function or own in renamed_to):
            continue  # the fixed place itself, under the name that the fix gave it too
        match = compare(window, text, at, anchor)
        done = match is not None and path in tree.view.touched and text.lines[match.place].tokens in written
        if match is not None and not done and tree.is_source(path):
            known = matches.get((path, match.place))
            if known is None or known.confidence < match.confidence:
                matches[path, match.place] = match
    best = max((match.confidence for match in matches.values()), default=0.0)
    alike = sum(match.confidence >= best / 2 for match in matches.values())
    common = min(1.0, _IDIOM / max(alike, 1))
    for (path, place), match in matches.items():
        line = tree.text(path).lines[place]
        renamed = ", ".join(f"{old}→{now}" for old, now in list(match.renamed.items())[:3])
        how = f"names renamed ({renamed})" if renamed else "the same names"
        yield Lead(
            kind="clone",
            confidence=round(match.confidence * common, 3),
            evidence=f"like {file.old_path}:{window.line} before the fix: {match.lines} statements alike, {how}",
            path=path,
            line=line.line,
            code=_code(tree, path, line),
            command=_command(tree.view, file),
        )


def _functions_of(source: bytes | None) -> frozenset[str]:
    text = Text(readable_lines(source or b""))
    return frozenset(text.function(index) for index in range(len(text.lines)))


def _keep(found: dict[tuple[str, int], Lead], leads: Iterable[Lead]) -> None:
    for lead in leads:
        key = (lead.path or "", lead.line or 0)
        if key not in found or found[key].confidence < lead.confidence:
            found[key] = lead


def _left(swap: Swap, file: FixedFile, tree: _Tree, written: Collection[tuple[str, ...]]) -> Iterator[Lead]:
    """Give the other uses of a rare word that the fix replaced: misspelt, or of somebody else's."""
    alike = misspelt(swap.word, swap.by)
    if swap.quoted and not alike:
        return
    number = word_hash(swap.word)
    paths = [path for path, taken in tree.prints.items() if number in taken.words]
    if len(paths) > _MOST_WITH_WORD:
        return
    paths = [path for path in paths if tree.is_source(path)]
    if not 0 < len(paths) <= _RARE:
        return
    places: list[tuple[str, int]] = []
    for path in paths:
        found, defined = uses(swap.word, tree.text(path), quoted=swap.quoted)
        if defined:
            return
        lines = tree.text(path).lines
        places += [(path, index) for index in found if lines[index].tokens not in written]
    if len(places) > _RARE:
        return
    confidence = 0.5 if swap.quoted else 0.7 if alike else round(min(0.1 + 0.1 * swap.times, 0.3), 1)
    for path, index in places:
        line = tree.text(path).lines[index]
        yield Lead(
            kind="clone",
            confidence=confidence,
            evidence=f"has {swap.word}, which the fix replaced by {'/'.join(sorted(swap.by))} at {file.old_path}:{swap.line}",
            path=path,
            line=line.line,
            code=_code(tree, path, line),
            command=_command(tree.view, file),
        )


def _code(tree: _Tree, path: str, line: LogicalLine) -> str:
    physical = lines_of(tree.view.repo.blob(tree.view.listing[path].sha))[line.line - 1 : line.last]
    return " ".join(part.strip() for part in physical)[:_LONGEST_CODE]


def _command(view: FixView, file: FixedFile) -> str:
    """Return a command that shows the fix, safe to paste whatever the path is."""
    what = f"git show {view.commit[:12]}"
    if len(view.commits) > 1 and view.base is not None:
        what = f"git diff {view.base[:12]} {view.commit[:12]}"
    path = file.path or ""
    if not path.isprintable():
        return what
    return f"{what} -- {shlex.quote(path if _MAGIC.isdisjoint(path) else f':(top,literal){path}')}"
