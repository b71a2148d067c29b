"""Copies of the code that a fix changed are found, and nothing else is."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from string import Template
from textwrap import dedent

import msgspec
import pytest
from git_sandbox import Sandbox
from msgspec.structs import replace

from pytest_bugsle.git.diff import changes
from pytest_bugsle.git.repository import Repository
from pytest_bugsle.regression.elsewhere.clones import clones
from pytest_bugsle.regression.elsewhere.leads import FixedFile, FixView
from pytest_bugsle.regression.sides import Layout, classify
from pytest_bugsle.store.cache import Cache


@dataclass(frozen=True)
class Kind:
    """A kind of bug: code with it, without it, with the fix in another form, and code that is only alike."""

    name: str
    before: str
    after: str
    unlike: str
    otherwise: str


KINDS = (
    Kind(
        "a comparison",
        """
        def $fn($rows, $limit):
            $out = []
            for $row in $rows:
                if $row.size < $limit:
                    $out.append($row.name)
                else:
                    report($text, $row, $number)
            return $out
        """,
        "if $row.size < $limit:=>if $row.size <= $limit:",
        "if $row.size < $limit:=>if $row.size % $limit:",
        "if $row.size < $limit:=>if $limit >= $row.size:",
    ),
    Kind(
        "a guard against None",
        """
        def $fn($rows, $limit):
            $row = $rows.first($limit)
            $out = $row.name.strip($text)
            report($out, $number)
            return $out
        """,
        "    $out = $row=>    if $row is None:\n        return None\n    $out = $row",
        "$row.name.strip($text)=>[*$row] or -$row.name",
        "    $out = $row=>    if not $row:\n        raise KeyError($limit)\n    $out = $row",
    ),
    Kind(
        "an argument of a call",
        """
        def $fn($rows, $limit):
            $out = {}
            for $row in $rows:
                with open($row, "rb") as stream:
                    $out[$row] = decode(stream.read($limit), $text)
            report($out, $number)
            return $out
        """,
        "$limit), $text)=>$limit), $text, errors='replace')",
        "decode(stream.read($limit), $text)=>not stream.read($limit) or $text",
        "$limit), $text)=>$limit), $text, errors='strict')",
    ),
    Kind(
        "another method",
        """
        def $fn($rows, $limit):
            $out = $rows.filter($limit)
            $row = loader.load($out.name, $text)
            if $row:
                report($row, $number)
            return $row
        """,
        "loader.load(=>loader.safe_load(",
        "loader.load($out.name, $text)=>loader[$out.name] + $text",
        "loader.load(=>loader.safe_load(",
    ),
    Kind(
        "a default",
        """
        def $fn($rows, $limit, retries=0):
            $out = $rows.connect($limit)
            while retries:
                $row = $out.poll($text)
                report($row, $number)
                retries -= 1
            return $out
        """,
        "retries=0=>retries=3",
        "retries -= 1=>retries = $row + 1",
        "retries=0=>retries=3",
    ),
    Kind(
        "a constant",
        """
        def $fn($rows, $limit):
            $out = $rows.connect($limit)
            $out.settimeout(1000)
            $row = $out.receive($limit)
            report($row, $text, $number)
            return $row
        """,
        "settimeout(1000)=>settimeout(10)",
        "settimeout(1000)=>settimeout(-1000)",
        "settimeout(1000)=>settimeout(10)",
    ),
    Kind(
        "an exception",
        """
        def $fn($rows, $limit):
            try:
                $row = $rows[$limit]
                $out = $row.value($text)
            except KeyError:
                report($limit, $number)
                return None
            return $out
        """,
        "except KeyError:=>except (KeyError, AttributeError):",
        "$rows[$limit]=>$rows - $limit",
        "except KeyError:=>except (LookupError, AttributeError):",
    ),
    Kind(
        "an await",
        """
        async def $fn($rows, $limit):
            $row = await $rows.acquire($limit)
            $out = $row.execute($text)
            report($out, $number)
            return $out
        """,
        "$out = $row.execute=>$out = await $row.execute",
        "$row.execute($text)=>$row.execute or $text",
        "$out = $row.execute=>$out = await $row.execute",
    ),
    Kind(
        "a close",
        """
        def $fn($rows, $limit):
            $row = connect($rows, $text)
            $out = $row.fetch($limit)
            report($out, $number)
            return $out
        """,
        "    return $out=>    $row.close()\n    return $out",
        "$row.fetch($limit)=>$row.fetch[$limit]",
        "    report($out=>    $row.close()\n    report($out",
    ),
    Kind(
        "a lock",
        """
        def $fn($rows, $limit):
            $out = $rows.pending($text)
            $rows.total += $out.weight
            $rows.seen.append($limit)
            report($out, $number)
            return $out
        """,
        "    $rows.total += $out.weight\n    $rows.seen.append($limit)=>"
        "    with LOCK:\n        $rows.total += $out.weight\n        $rows.seen.append($limit)",
        "$rows.total += $out.weight=>$rows.total = $out.weight or $limit",
        "    $out = $rows.pending($text)=>    with LOCK:\n        $out = $rows.pending($text)",
    ),
    Kind(
        "a slice",
        """
        def $fn($rows, $limit):
            $out = []
            $row = $rows.index($text)
            for part in $rows[$row:$limit]:
                $out.append(part.strip())
            report($out, $number)
            return $out
        """,
        "[$row:$limit]=>[$row:$limit + 1]",
        "[$row:$limit]=>[$limit]",
        "[$row:$limit]=>[$row:1 + $limit]",
    ),
)

PLAIN = {"fn": "collect", "rows": "rows", "row": "row", "out": "out", "limit": "limit"}
LITERALS = {"text": '"utf-8"', "number": "7"}
RENAMED = (
    {"fn": "gather", "rows": "items", "row": "item", "out": "result", "limit": "bound"},
    {"fn": "scan", "rows": "links", "row": "link", "out": "seen", "limit": "most"},
    {"fn": "walk_all", "rows": "xs", "row": "x", "out": "ys", "limit": "n"},
)

FILLER = '''
"""Ordinary code number $i."""
import os


class Store$i:
    """Keeps things."""

    def __init__(self, root, limit=10):
        self.root = root
        self.limit = limit
        self.items = []

    def add(self, item):
        if item in self.items:
            return False
        self.items.append(item)
        return True

    def sizes(self):
        found = []
        for name in os.listdir(self.root):
            path = os.path.join(self.root, name)
            if os.path.getsize(path) > $i:
                found.append(path)
        return found

    def first(self, default=None):
        try:
            return self.items[0]
        except IndexError:
            return default


def total(values, start=$i):
    out = start
    for value in values:
        out += value
    return out
'''


def text(kind: Kind, edit: str = "", names: dict[str, str] = PLAIN, **literals: str) -> str:
    """Write the code of a kind in the given names, after the edit `old=>new`."""
    body = dedent(kind.before).strip("\n") + "\n"
    if edit:
        old, new = edit.split("=>")
        assert old in body, old
        body = body.replace(old, new)
    return Template(body).substitute({**names, **LITERALS, **literals})


def view(repo: Repository, commit: str, **more: object) -> FixView:
    """Look at one commit as the gate does."""
    base = repo.resolve(f"{commit}^")
    assert base is not None
    tree = repo.tree_of(commit)
    listing = repo.listing(tree)
    layout = Layout(listing=tuple(listing), testpaths=("tests",))
    found = changes(repo, base, commit)
    made = FixView(
        repo=repo,
        commit=commit,
        commits=(commit,),
        base=base,
        time=0,
        files=tuple(
            FixedFile(
                c.old_path,
                c.path if c.blob else None,
                repo.blob(c.old_blob) if c.old_blob else None,
                repo.blob(c.blob) if c.blob else None,
            )
            for c in found
            if classify(c.path, layout) == "source"
        ),
        touched=frozenset(c.path for c in found),
        tree=tree,
        listing=listing,
        side=lambda path: classify(path, layout),
    )
    return replace(made, **more)  # type: ignore[arg-type]  # a test names the fields that it sets


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Keep a cache of the test's own."""
    return Cache(tmp_path / "cache.db")


def planted(sandbox: Sandbox, kind: Kind) -> tuple[str, dict[str, str]]:
    """Make a history with one fix, six copies that lack it, two that have it and five decoys."""
    indented = "".join(f"    # {line}\n" for line in text(kind).splitlines())
    quoted = "".join(f"    {line}\n" for line in text(kind).splitlines())
    head = "from things import LOCK, connect, decode, loader, report\n\n\n"
    missing = {
        "pkg/gather.py": text(kind, names=RENAMED[0]),
        "pkg/deep/scan.py": "class Deep:\n" + "".join(
            f"    {line}\n" for line in text(kind, names=RENAMED[1]).splitlines()
        ),
        "pkg/deep/walk.py": text(kind, names=RENAMED[2]).replace(", ", " ,  ").replace(":\n", ":  # what\n"),
        "pkg/literals.py": text(kind, number="99"),
        "pkg/other_literals.py": text(kind, text='"a, b"', number="0x1F"),
        "tools/collect.py": text(kind),
    }  # fmt: skip
    never = {
        "pkg/patched.py": text(kind, kind.after),
        "pkg/patched_too.py": text(kind, kind.after, RENAMED[1]),
        "pkg/unlike.py": text(kind, kind.unlike),
        "pkg/unlike_too.py": text(kind, kind.unlike, RENAMED[0]),
        "pkg/words.py": f'def words():\n{indented}    return """\n{quoted}"""\n',
        "pkg/otherwise.py": text(kind, kind.otherwise, RENAMED[2]),
        "tests/test_collect.py": text(kind) + "\n\ndef test_collect():\n    assert collect\n",
        "pkg/_vendor/collect.py": text(kind),
        "pkg/made.py": "# Generated by makecode 1.2. DO NOT EDIT!\n" + text(kind),
        "pkg/collect_pb2.py": text(kind),
    }
    filler = {f"pkg/filler{i}.py": Template(FILLER).substitute(i=i) for i in range(12)}
    packages = {"pkg/__init__.py": "", "pkg/deep/__init__.py": "", "tools/__init__.py": ""}
    sandbox.commit(
        {name: body if name == "pkg/made.py" or not body else head + body for name, body in missing.items()}
        | {name: body if name == "pkg/made.py" else head + body for name, body in never.items()}
        | filler
        | packages
        | {"pkg/core.py": head + text(kind)}
    )
    return sandbox.commit({"pkg/core.py": head + text(kind, kind.after)}, "fix: core"), missing


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_planted_copies_are_found_and_decoys_are_not(tmp_path: Path, cache: Cache, kind: Kind) -> None:
    """All six copies that lack the fix stand in the first ten lines, and nothing stands above them."""
    sandbox = Sandbox(tmp_path / "repo")
    fix, missing = planted(sandbox, kind)
    leads = clones(view(sandbox.open(), fix), cache)
    assert {lead.path for lead in leads[: len(missing)]} == set(missing)
    assert {lead.path for lead in leads[len(missing) :]} <= {"pkg/unlike.py", "pkg/unlike_too.py"}
    for lead in leads:
        assert lead.kind == "clone" and 0 < lead.confidence < 0.75
        assert lead.command == f"git show {fix[:12]} -- pkg/core.py"
        assert "pkg/core.py:" in lead.evidence and "before the fix" in lead.evidence


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_place_of_a_copy_is_shown(tmp_path: Path, cache: Cache, kind: Kind) -> None:
    """Line and code are those at which the copy needs the patch, and what is renamed is told."""
    sandbox = Sandbox(tmp_path / "repo")
    body = text(kind, names=RENAMED[0])
    files = {"pkg/__init__.py": "", "pkg/core.py": text(kind), "pkg/copy.py": "# above\n\n" + body}
    sandbox.commit(files)
    fix = sandbox.commit({"pkg/core.py": text(kind, kind.after)}, "fix: core")
    (lead,) = clones(view(sandbox.open(), fix), cache)
    old = Template(kind.after.split("=>")[0]).substitute({**RENAMED[0], **LITERALS}).strip()
    assert lead.path == "pkg/copy.py" and lead.line is not None
    assert old.splitlines()[0] in lead.code
    assert lead.code == ("# above\n\n" + body).splitlines()[lead.line - 1].strip()
    assert "statements alike, names renamed (" in lead.evidence and "→" in lead.evidence


def small(sandbox: Sandbox, copies: dict[str, str], kind: Kind = KINDS[0]) -> str:
    """Make a history with one fix in pkg/core.py, beside some other files."""
    sandbox.commit({"pkg/__init__.py": "", "pkg/core.py": text(kind), **copies})
    return sandbox.commit({"pkg/core.py": text(kind, kind.after)}, "fix: core")


def paths(sandbox: Sandbox, fix: str, cache: Cache, **more: object) -> list[str | None]:
    """Say where the leads of a fix are."""
    return [lead.path for lead in clones(view(sandbox.open(), fix, **more), cache)]


def test_a_fix_without_copies_has_no_leads(tmp_path: Path, cache: Cache) -> None:
    """Ordinary code around it is not like it, and the fixed function is never told."""
    sandbox = Sandbox(tmp_path / "repo")
    filler = {f"pkg/filler{i}.py": Template(FILLER).substitute(i=i) for i in range(30)}
    for number, kind in enumerate(KINDS):
        fix = small(sandbox, filler if number == 0 else {}, kind)
        assert paths(sandbox, fix, cache) == []


def test_a_misspelt_word_is_found_by_itself(tmp_path: Path, cache: Cache) -> None:
    """A one-word fix has too little around it for a window: the rare word is looked for."""
    sandbox = Sandbox(tmp_path / "repo")
    body = "def le(a, b):\n    return a.issupserset(b)\n\n\ndef ge(a, b, c):\n    if c:\n        a = b\n    return b.issupserset(a) or c\n"
    used = "def other(these):\n    return these[0].issupserset\n"
    said = '"""issupserset"""\n# issupserset\n'
    sandbox.commit({"pkg/__init__.py": "", "pkg/a.py": body, "pkg/b.py": used, "pkg/c.py": said})
    fix = sandbox.commit({"pkg/a.py": body.replace("a.issupserset", "a.issuperset")}, "fix: le")
    leads = clones(view(sandbox.open(), fix), cache)
    assert [(lead.path, lead.line) for lead in leads] == [("pkg/a.py", 8), ("pkg/b.py", 2)]
    assert leads[0].code == "return b.issupserset(a) or c"
    assert leads[0].evidence == "has issupserset, which the fix replaced by issuperset at pkg/a.py:2"


def test_a_word_with_a_right_to_be_is_not_told(tmp_path: Path, cache: Cache) -> None:
    """What is defined in the tree, or used all over it, is no mistake."""
    sandbox = Sandbox(tmp_path / "repo")
    body = "def le(a, b):\n    return a.recieve(b)\n"
    uses = "def other(these):\n    return these.recieve(1, 2)\n"
    start = {"pkg/__init__.py": "", "pkg/a.py": body, "pkg/b.py": uses}
    sandbox.commit(start)
    fixed = {"pkg/a.py": body.replace("recieve", "receive")}
    assert paths(sandbox, sandbox.commit(fixed, "fix: a"), cache) == ["pkg/b.py"]
    sandbox.commit({"pkg/a.py": body, "pkg/c.py": "class C:\n    def recieve(self):\n        return 1\n"})
    assert paths(sandbox, sandbox.commit(fixed, "fix: a"), cache) == []
    sandbox.commit({"pkg/c.py": "", "pkg/a.py": body, **{f"pkg/d{i}.py": uses for i in range(9)}})
    assert paths(sandbox, sandbox.commit(fixed, "fix: a"), cache) == []


def test_an_idiom_is_no_clone(tmp_path: Path, cache: Cache) -> None:
    """The more places look like the fix, the less each of them says."""
    sandbox = Sandbox(tmp_path / "repo")
    (alone,) = clones(view(sandbox.open(), small(sandbox, {"pkg/x0.py": text(KINDS[0])})), cache)
    for count, most in ((20, alone.confidence * 0.6), (70, 0.0)):
        sandbox.commit({"pkg/core.py": text(KINDS[0])})
        fix = small(sandbox, {f"pkg/x{i}.py": text(KINDS[0]) for i in range(count)})
        assert all(lead.confidence <= most for lead in clones(view(sandbox.open(), fix), cache))


def test_the_list_is_bounded_and_ordered(tmp_path: Path, cache: Cache) -> None:
    """At most `limit` leads, the best first, the same each time."""
    sandbox = Sandbox(tmp_path / "repo")
    copies = {f"pkg/x{i}.py": text(KINDS[0], names=RENAMED[i % 3]) for i in range(8)}
    seen = view(sandbox.open(), small(sandbox, {**copies, "pkg/same.py": text(KINDS[0])}))
    leads = clones(seen, cache)
    assert leads[0].path == "pkg/same.py" and len(leads) == 9
    assert [lead.confidence for lead in leads] == sorted((x.confidence for x in leads), reverse=True)
    assert clones(seen, Cache(None)) == leads
    assert clones(seen, cache, limit=3) == leads[:3]


def test_the_index_is_kept_and_brought_up_to_date(tmp_path: Path, cache: Cache) -> None:
    """A second look reads only what is new, and what is no longer in the tree is dropped from the cache."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/copy.py": text(KINDS[0]), "pkg/else.py": Template(FILLER).substitute(i=1)})
    repo = sandbox.open()
    read: list[str] = []
    blobs = repo.blobs

    def noted(shas: Iterable[str]) -> dict[str, bytes]:
        wanted = list(shas)
        read.extend(wanted)
        return blobs(wanted)

    repo.blobs = noted  # type: ignore[method-assign]  # to see what is read
    first = clones(view(repo, fix), cache)
    elsewhere = view(repo, fix).listing["pkg/else.py"].sha
    assert [lead.path for lead in first] == ["pkg/copy.py"] and elsewhere in read
    read.clear()
    assert clones(view(repo, fix), cache) == first and elsewhere not in read
    later = sandbox.commit({"pkg/copy.py": None, "pkg/new.py": text(KINDS[0], names=RENAMED[0])})
    seen = view(repo, fix, tree=repo.tree_of(later), listing=repo.listing(later))
    assert [lead.path for lead in clones(seen, cache)] == ["pkg/new.py"]
    (key,) = stored(tmp_path / "cache.db")
    kept = msgspec.msgpack.decode(cache.get("clones", key) or b"")
    assert set(kept) == {e.sha for path, e in seen.listing.items() if path.endswith(".py")}


def stored(path: Path) -> list[str]:
    """Name the keys of a cache."""
    with closing(sqlite3.connect(path)) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM cache")]


@pytest.mark.parametrize("rubbish", [b"", b"\xff\xff", b"\x81\xa1a\x01", b"[]"])
def test_a_cache_that_cannot_be_read_is_a_miss(tmp_path: Path, cache: Cache, rubbish: bytes) -> None:
    """Whatever the entry holds, the answer is the same."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/copy.py": text(KINDS[0])})
    assert paths(sandbox, fix, cache) == ["pkg/copy.py"]
    (key,) = stored(tmp_path / "cache.db")
    cache.put("clones", key, rubbish)
    assert paths(sandbox, fix, cache) == ["pkg/copy.py"]


def test_a_cache_that_lies_breaks_nothing(tmp_path: Path, cache: Cache) -> None:
    """Fingerprints are checked against the text before a place is told."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/copy.py": text(KINDS[0])})
    seen = view(sandbox.open(), fix)
    clones(seen, cache)
    (key,) = stored(tmp_path / "cache.db")
    kept = msgspec.msgpack.decode(cache.get("clones", key) or b"")
    whole = kept[seen.listing["pkg/copy.py"].sha]
    for lie in ([whole[0] * 9, whole[1]], [whole[0][:7], b"abc"], [whole[0][4:], b""]):
        cache.put("clones", key, msgspec.msgpack.encode(dict.fromkeys(kept, lie)))
        assert all(lead.path == "pkg/copy.py" for lead in clones(seen, cache))


def test_old_pythons_and_broken_texts_are_searched(tmp_path: Path, cache: Cache) -> None:
    """A text that does not parse is cut into tokens all the same; what is not text is left alone."""
    sandbox = Sandbox(tmp_path / "repo")
    copies: dict[str, str | bytes] = {
        "pkg/two.py": "print 'two'\n\n" + text(KINDS[0], names=RENAMED[0]) + "\nexec 'x' in y\n",
        "pkg/broken.py": "def broken(:\n    pass\n\n" + text(KINDS[0], names=RENAMED[1]),
        "pkg/latin.py": b"# -*- coding: latin-1 -*-\n# \xe9\n" + text(KINDS[0]).encode(),
        "pkg/binary.py": b"\0\xff" * 100 + text(KINDS[0]).encode(),
        "pkg/empty.py": "",
        "pkg/stub.pyi": text(KINDS[0]),
        "pkg/data.txt": text(KINDS[0]),
    }
    fix = small(sandbox, copies)  # type: ignore[arg-type]  # bytes are written as they are
    assert set(paths(sandbox, fix, cache)) == {"pkg/two.py", "pkg/broken.py", "pkg/latin.py"}


@pytest.mark.parametrize(
    "name", ["a b.py", "a'b;$(touch x).py", "-rf.py", "é.py", ":(top)x.py", "a[b].py", "new\nline.py"]
)
def test_commands_are_safe_to_paste(tmp_path: Path, cache: Cache, name: str) -> None:
    """Whatever a file is called, the shell sees one argument, git one path, and the terminal no control."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({f"pkg/{name}": text(KINDS[0]), "pkg/copy.py": text(KINDS[0])})
    fix = sandbox.commit({f"pkg/{name}": text(KINDS[0], KINDS[0].after)}, "fix: it")
    (lead,) = clones(view(sandbox.open(), fix), cache)
    assert lead.command.isprintable()
    words = shlex.split(lead.command)
    assert words[:3] == ["git", "show", fix[:12]]
    assert "<=" in sandbox.git(*words[1:])
    assert words[3:] in ([], ["--", f"pkg/{name}"], ["--", f":(top,literal)pkg/{name}"])
    assert "literal" in lead.command or set("*[:").isdisjoint(name)  # it names one file, and no pattern
    shown = subprocess.run(
        ["sh", "-c", lead.command], cwd=sandbox.top, capture_output=True, check=True, text=True
    ).stdout
    assert "<=" in shown and not (sandbox.top / "x").exists()


def test_a_copy_has_any_name(tmp_path: Path, cache: Cache) -> None:
    """Names that are no UTF-8 are told as git has them; a link and a submodule are not read."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/caf\udce9 $x.py": text(KINDS[0])})
    os.symlink("core.py", sandbox.top / "pkg/link.py")
    sandbox.git("update-index", "--add", "--cacheinfo", f"160000,{fix},pkg/module.py")
    sandbox.git("add", "pkg/link.py")
    sandbox.git("commit", "-q", "-m", "link")
    later = sandbox.git("rev-parse", "HEAD")
    repo = sandbox.open()
    seen = view(repo, fix, tree=repo.tree_of(later), listing=repo.listing(later))
    assert [lead.path for lead in clones(seen, cache)] == ["pkg/caf\udce9 $x.py"]


def test_a_fix_of_several_commits_is_shown_whole(tmp_path: Path, cache: Cache) -> None:
    """The command shows all that the fix did, not its last commit."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/copy.py": text(KINDS[0])})
    seen = view(sandbox.open(), fix)
    later = sandbox.commit({"pkg/more.py": "x = 1\n"}, "fix: the rest")
    (lead,) = clones(replace(seen, commit=later, commits=(later, fix)), cache)
    assert seen.base is not None
    assert lead.command == f"git diff {seen.base[:12]} {later[:12]} -- pkg/core.py"
    assert "<=" in sandbox.git(*shlex.split(lead.command)[1:])


def test_a_later_tree_is_searched(tmp_path: Path, cache: Cache) -> None:
    """Copies that came, moved or were mended after the fix are told as they stand now."""
    sandbox = Sandbox(tmp_path / "repo")
    fix = small(sandbox, {"pkg/a.py": text(KINDS[0]), "pkg/b.py": text(KINDS[0], names=RENAMED[1])})
    later = sandbox.commit(
        {
            "pkg/a.py": text(KINDS[0], KINDS[0].after),
            "pkg/b.py": "x = 1\n\n\n" + text(KINDS[0], names=RENAMED[1]),
            "pkg/core.py": "y = 2\n\n\n" + text(KINDS[0], KINDS[0].after),
            "pkg/c.py": text(KINDS[0], names=RENAMED[2]),
        }
    )
    repo = sandbox.open()
    seen = view(repo, fix, tree=repo.tree_of(later), listing=repo.listing(later))
    assert sorted((lead.path, lead.line) for lead in clones(seen, cache)) == [
        ("pkg/b.py", 7),
        ("pkg/c.py", 4),
    ]


def test_added_deleted_and_foreign_files_are_no_fix_to_search(tmp_path: Path, cache: Cache) -> None:
    """A file that came or went has no old form, and one that is no Python no statements."""
    sandbox = Sandbox(tmp_path / "repo")
    body = text(KINDS[0])
    sandbox.commit({"pkg/__init__.py": "", "pkg/gone.py": body, "pkg/copy.py": body, "pkg/a.js": body})
    fix = sandbox.commit({"pkg/gone.py": None, "pkg/new.py": body, "pkg/a.js": body.replace("<", "<=")})
    assert paths(sandbox, fix, cache) == []


def test_what_the_fix_itself_wrote_is_never_told(tmp_path: Path, cache: Cache) -> None:
    """A line that looks like the old one because both are long tables is still the fixed one."""
    sandbox = Sandbox(tmp_path / "repo")
    table = "NAMES = {\n" + "".join(f"    'k{i}': 'v{i}',\n" for i in range(80)) + "}\n"
    sandbox.commit({"pkg/__init__.py": "", "pkg/a.py": table})
    assert paths(sandbox, sandbox.commit({"pkg/a.py": table.replace("v7'", "w7'")}), cache) == []


def test_the_fixed_function_is_not_told(tmp_path: Path, cache: Cache) -> None:
    """Who mended one of two like places of a function has seen the other; one of the next function is told."""
    sandbox = Sandbox(tmp_path / "repo")
    block = "    for row in {0}:\n        if row.size < limit:\n            out.append(row.name)\n"
    twice = (
        "def collect(rows, more, limit, out):\n"
        + block.format("rows")
        + "    log(1)\n"
        + block.format("more")
    )
    other = "\n\ndef again(rows, limit, out):\n" + block.format("rows")
    sandbox.commit({"pkg/__init__.py": "", "pkg/a.py": twice + other})
    fix = sandbox.commit({"pkg/a.py": twice.replace("<", "<=", 1) + other}, "fix: a")
    assert [(lead.path, lead.line) for lead in clones(view(sandbox.open(), fix), cache)] == [("pkg/a.py", 13)]


def test_a_word_that_the_fix_still_uses_is_not_told_there(tmp_path: Path, cache: Cache) -> None:
    """What the fix wrote is right, whatever word is in it."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.commit({"pkg/__init__.py": "", "pkg/a.py": "def now(clock):\n    return clock.utcnow()\n"})
    new = (
        "def now(clock):\n    return clock.today()\n\n\ndef old(clock):\n    return compat.utcnow(clock, 1)\n"
    )
    assert paths(sandbox, sandbox.commit({"pkg/a.py": new}, "fix: a"), cache) == []
    sandbox.commit(
        {"pkg/a.py": "def now(clock):\n    return clock.utcnow()\n", "pkg/b.py": "x = y.utcnow(1)\n"}
    )
    assert paths(sandbox, sandbox.commit({"pkg/a.py": new}, "fix: a"), cache) == ["pkg/b.py"]
