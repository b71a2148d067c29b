"""Histories, ledgers and guards that are out to confuse an audit."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from repositories import RIGHT, WRONG, Repo, Said, bugsle, guard, state_of

EVIL = "fix: x\x1b[31m <script>alert(1)</script> | a `b` [l](javascript:x) ::error:: ]]> &amp; \N{RIGHT-TO-LEFT OVERRIDE}"


def project(top: Path, modules: str) -> Repo:
    """Give a project with one wrong module for each letter."""
    return Repo(top, start={f"src/pkg/{name}.py": WRONG for name in modules})


def mended(repo: Repo, name: str, message: str = "") -> str:
    """Mend a module, without any test."""
    return repo.commit(message or f"fix: {name} is wrong", {f"src/pkg/{name}.py": RIGHT})


def releases(said: Said) -> dict[str, str]:
    """Give the release of each fix that is not held, by its subject."""
    return {each["subject"]: each["release"] for each in said.report["audit"]["unheld"]}


@pytest.fixture
def ledgered(tmp_path: Path) -> Repo:
    """A project whose three fixes without a test are known as debt, and committed."""
    repo = project(tmp_path / "project", "abcdef")
    for name in "abc":
        mended(repo, name)
    assert bugsle(repo, "audit", "--write-baseline").code == 0
    repo.commit("chore: write the ledger")
    return repo


def test_baselines_of_two_branches_merge(ledgered: Repo) -> None:
    """git merges the ledgers without a word, the audit knows the debt of both, and nothing is left to commit."""
    start = ledgered.sha()
    for branch, name in (("one", "d"), ("two", "e")):
        ledgered.branch(branch, start)
        mended(ledgered, name)
        assert (said := bugsle(ledgered, "audit")).code == 1
        assert said.rules() == ["BUG101"]
        assert bugsle(ledgered, "audit", "--write-baseline").code == 0
        ledgered.commit("chore: write the ledger")
    ledgered.merge("one", "Merge branch one")
    merged = ledgered.read(".bugsle/ledger.txt")
    said = bugsle(ledgered, "audit")
    assert (said.code, len(said.report["audit"]["unheld"])) == (0, 5)
    assert all(each["known"] for each in said.report["audit"]["unheld"])
    assert bugsle(ledgered, "audit", "--write-baseline").code == 0
    assert ledgered.read(".bugsle/ledger.txt") == merged
    assert ledgered.git("status", "--porcelain", "-uall") == ""


def test_a_ledger_is_read_in_any_order(ledgered: Repo) -> None:
    """Lines in disorder, twice, or with the ends of another system's; but a line less is a debt more."""
    path = ledgered.top / ".bugsle/ledger.txt"
    text = path.read_text()
    first, *rest = text.splitlines()
    debt = next(line for line in rest if " BUG101 " in line)
    rest.sort(key=lambda line: line[::-1])
    for content in ("\n".join([first, *rest]), f"{text}{debt}\n", text.replace("\n", "\r\n")):
        path.write_bytes(content.encode())
        assert bugsle(ledgered, "audit").code == 0
    path.write_text(text.replace(f"{debt}\n", ""))
    said = bugsle(ledgered, "audit")
    assert (said.code, said.rules()) == (1, ["BUG101"])
    assert said.report["findings"][0]["commit"] == debt[:40]


def test_a_ledger_of_a_stranger_writes_nowhere(ledgered: Repo, tmp_path: Path) -> None:
    """An edit that would put a file outside, or where git would run it, ends the audit."""
    blob = ledgered.git("rev-parse", "HEAD:src/pkg/a.py")
    outside = tmp_path / "outside"
    before = state_of(ledgered)
    for path in (str(outside), "../outside", ".git/hooks/post-checkout", ".GIT/config", "src/../../outside"):
        edit = {"form": "file", "path": path, "old": blob}
        entry = {"bugs": [], "subject": "s", "tests": ["tests/test_a.py::test_a"], "edits": [edit]}
        (ledgered.top / ".bugsle/ledger.txt").write_text(
            f"pytest-bugsle ledger 1\n{'a' * 40} {json.dumps(entry)}\n"
        )
        assert bugsle(ledgered, "audit", "--guards").code != 0, path
        assert not outside.exists()
    assert state_of(ledgered) == before


def test_a_fix_counts_for_the_release_that_had_it_first(tmp_path: Path) -> None:
    """By ancestry: over a maintenance branch, a candidate, and tags that are no versions or no commits."""
    repo = project(tmp_path / "project", "abcdef")
    repo.git("tag", "v0.5")
    first = mended(repo, "a")
    repo.git("tag", "v1.0")
    mended(repo, "b")
    repo.git("tag", "-a", "-m", "two", "v2.0")
    repo.branch("maintenance", first)
    mended(repo, "c")
    repo.git("tag", "v1.1")
    repo.switch("main")
    repo.merge("maintenance", "Merge branch maintenance")
    mended(repo, "d")
    repo.git("tag", "v2.1rc1")
    mended(repo, "e")
    for name in ("v2.1", "latest", "build-123", "2024-01-01", "v3.0<script>|x`"):
        repo.git("update-ref", f"refs/tags/{name}", "HEAD")
    repo.git("tag", "v0.1", "HEAD^{tree}")
    mended(repo, "f")
    said = bugsle(repo, "audit")
    assert releases(said) == {
        f"fix: {name} is wrong": release
        for name, release in zip(
            "abcdef", ("v1.0", "v2.0", "v1.1", "v2.1", "v2.1", "unreleased"), strict=True
        )
    }
    shares = said.report["audit"]["releases"]
    assert [share["name"] for share in shares] == ["unreleased", "v2.1", "v1.1", "v2.0", "v1.0"]
    assert sum(share["fixes"] for share in shares) == said.report["audit"]["total"]["fixes"] == 6


@pytest.mark.parametrize("command", ["audit", "hotspots"])
def test_reports_hold_what_strangers_wrote(tmp_path: Path, command: str) -> None:
    """Markdown without HTML, XML and JSON that can be read, a terminal without control characters."""
    repo = project(tmp_path / "project", "a")
    mended(repo, "a", EVIL)
    folder = tmp_path / "reports"
    folder.mkdir()
    formats = ("markdown", "junit", "sarif")
    words = [word for name in formats for word in ("--report", f"{name}:{folder / name}")]
    said = bugsle(repo, command, *words)
    assert said.code == 0
    assert not any(ord(sign) < 0x20 and sign != "\n" for sign in said.all)
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in said.all
    markdown = (folder / "markdown").read_text()
    assert "<script" not in markdown
    assert "[l](" not in markdown
    ET.parse(folder / "junit")
    assert json.loads((folder / "sarif").read_text())["version"] == "2.1.0"


@pytest.mark.slow
def test_guards_that_decayed_in_many_ways(tmp_path: Path) -> None:
    """Each is told with its cause and the one commit of several that did it; who only moved holds."""
    repo = project(tmp_path / "project", "abcdefg")
    cases = 'import pytest\nfrom pkg.g import answer\n\n\n@pytest.mark.parametrize("more", [{}])\ndef test_g(more):\n    assert answer() + more < 2 and (answer() or more)\n'
    for name in "abcdef":
        repo.commit(f"fix: {name}", {f"src/pkg/{name}.py": RIGHT, f"tests/test_{name}.py": guard(name)})
    repo.commit(
        "fix: g", {"src/pkg/g.py": RIGHT, "tests/test_g.py": cases.format("0, 1").replace("< 2", "< 3")}
    )
    assert bugsle(repo, "audit", "--write-baseline").report["audit"]["total"]["held"] == 7
    repo.commit("chore: write the ledger")

    def change(name: str, old: str, new: str) -> str:
        return repo.change("test: tidy", f"tests/test_{name}.py", old, new)

    change("a", "    assert", "    least = 1\n    assert")
    deaf = change("a", "== 1", "in (0, least)")
    change("a", "least = 1", "least = 1\n    most = 2")
    change("a", "most = 2", "most = 3")
    early = change("b", "    assert", "    return\n    assert")
    whole = change("c", "import pytest\n", "import pytest\n\npytest.skip('no', allow_module_level=True)\n")
    twice = change("d", "== 1\n", "== 1\n\n\ndef test_d():\n    assert answer\n")
    change("e", "def test_e():\n    assert", "class TestE:\n    def test_e(self):\n        assert")
    name_lost = change("f", "def test_f", "def check_f")
    case_lost = change("g", "[0, 1]", "[1]")
    said = bugsle(repo, "audit", "--guards")
    assert (said.code, set(said.rules())) == (1, {"BUG107"})
    found = {
        each["subject"][-1]: (each["state"], each["cause"], each["culprit"])
        for each in said.report["audit"]["guards"]
    }
    assert found == {
        "a": ("weakened", "passes", deaf),
        "b": ("weakened", "passes", early),
        "c": ("weakened", "skipped", whole),
        "d": ("weakened", "passes", twice),
        "e": ("held", "", None),
        "f": ("weakened", "deleted", name_lost),
        "g": ("weakened", "passes", case_lost),
    }
