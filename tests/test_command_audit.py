"""`bugsle audit`: the fixes of a history, each proven at its own commit, and the ledger."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from git_sandbox import Sandbox
from repositories import CONFIGURATION, RIGHT, WRONG, Repo, Said, bugsle, guard, state_of

WEAK = "from pkg.b import answer\n\n\ndef test_b():\n    assert answer() < 2\n"
OLD = CONFIGURATION.replace('["src"]', '["lib"]')


def history(top: Path) -> Repo:
    """Give a history of four fixes: one of a time with another layout, one held, one not, one that cannot run."""
    repo = Repo(top, configuration=OLD, start={"lib/pkg/__init__.py": "", "lib/pkg/old.py": WRONG})
    repo.commit("fix: old is wrong (#1)", {"lib/pkg/old.py": RIGHT, "tests/test_old.py": guard("old")})
    repo.git("tag", "v1.0")
    repo.commit(
        "chore: move to src",
        {
            "pyproject.toml": CONFIGURATION,
            "lib/pkg/__init__.py": None,
            "lib/pkg/old.py": None,
            "src/pkg/old.py": RIGHT,
            "src/pkg/a.py": WRONG,
            "src/pkg/b.py": WRONG,
            "src/pkg/c.py": WRONG,
        },
    )
    repo.commit("fix: a is wrong (#2)", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    repo.git("tag", "-a", "-m", "two", "v2.0")
    repo.commit("fix: b is wrong (#3)", {"src/pkg/b.py": RIGHT, "tests/test_b.py": WEAK})
    repo.commit(
        "fix: c is wrong (#4)",
        {"src/pkg/c.py": RIGHT, "tests/test_c.py": f"import no_such_module\n{guard('c')}"},
    )
    return repo


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Said]:
    """A history that was audited once."""
    repo = history(tmp_path_factory.mktemp("audit") / "project")
    return repo, bugsle(repo, "audit")


def copied(repo: Repo, tmp_path: Path) -> Repo:
    """Give a copy with what is kept, so that a test may change it and still need no run of the old fixes."""
    shutil.copytree(repo.top, tmp_path / "project", symlinks=True)
    return Repo.at(tmp_path / "project")


def statuses(said: Said) -> dict[str, str]:
    """Give the status of each fix by the end of its subject."""
    return {fix["subject"][-3:-1]: fix["status"] for fix in said.report["fixes"]}


ALL = {"#4": "undecided", "#3": "passes-without-fix", "#2": "proven", "#1": "proven"}


def test_each_fix_is_judged_as_its_own_time_had_the_project(audited: tuple[Repo, Said]) -> None:
    """Sides, paths and pytest's configuration are those of its commit, not of today's tree."""
    _, said = audited
    assert statuses(said) == ALL
    assert {fix["judged_at"] for fix in said.report["fixes"] if fix["status"] == "proven"} == {"commit"}


@pytest.mark.slow
def test_without_a_ledger_an_audit_reports_and_passes(audited: tuple[Repo, Said]) -> None:
    """What it found is information; a fix that cannot be judged does not change that."""
    _, said = audited
    assert (said.code, said.report["verdict"]) == (0, "pass")
    assert {finding["level"] for finding in said.report["findings"]} == {"info"}
    assert sorted(finding["rule"] for finding in said.report["findings"]) == ["BUG102", "BUG104"]


def test_the_shares_have_their_denominators(audited: tuple[Repo, Said]) -> None:
    """In all, by release with the newest first, by folder with the worst first."""
    _, said = audited
    shown = said.report["audit"]
    total = {key: shown["total"][key] for key in ("fixes", "judged", "held", "share", "low", "high")}
    assert total == {"fixes": 4, "judged": 3, "held": 2, "share": 0.6667, "low": 0.2077, "high": 0.9385}
    assert [(s["name"], s["held"], s["judged"], s["fixes"]) for s in shown["releases"]] == [
        ("unreleased", 0, 1, 2), ("v2.0", 1, 1, 1), ("v1.0", 1, 1, 1),
    ]  # fmt: skip
    assert shown["folders"][0]["name"] == "src/pkg/b.py"
    assert (shown["since"], shown["until"], shown["ledger"]) == (None, "HEAD", None)


def test_bugs_without_a_guard_and_reasons_are_listed(audited: tuple[Repo, Said]) -> None:
    """The unheld with their release, what kept us from judging by its common reason."""
    _, said = audited
    shown = said.report["audit"]
    (unheld,) = shown["unheld"]
    assert (unheld["bugs"], unheld["status"], unheld["release"]) == (
        ["#3"],
        "passes-without-fix",
        "unreleased",
    )
    (group,) = shown["unjudged"]
    assert group["why"] == "ModuleNotFoundError: No module named 'no_such_module'"
    assert len(group["commits"]) == 1


def test_the_terminal_tells_it(audited: tuple[Repo, Said]) -> None:
    """Shares in words and per cent, and how to read them."""
    _, said = audited
    assert "the history up to HEAD" in said.out
    assert "held 2 of 3 judged fixes (67 %, 95 % interval 21 to 94 %); 1 of 4 could not be judged" in said.out
    assert "v2.0        1 of 1 held (100 %" in said.out
    assert "without a guard: 1 of 3 judged fixes" in said.out
    assert "1 × ModuleNotFoundError: No module named 'no_such_module'" in said.out
    assert "3 of 4 fixes judged in" in said.out


def test_the_second_audit_runs_nothing_and_says_the_same(audited: tuple[Repo, Said]) -> None:
    """All results are kept, undecided ones too; the report is the same but for its times."""
    repo, said = audited
    before = state_of(repo)
    again = bugsle(repo, "audit")
    assert again.report["timings"]["cached"] == 4
    assert again.report["timings"]["runs"] == 0
    assert {**again.report, "timings": 0} == {**said.report, "timings": 0}
    assert state_of(repo) == before


def test_a_range_and_a_limit_narrow_it(audited: tuple[Repo, Said]) -> None:
    """`--since` is exclusive; the newest fixes count for a limit; each takes what is kept."""
    repo, _ = audited
    narrowed = bugsle(repo, "audit", "--since", "v1.0", "--until", "v2.0")
    assert statuses(narrowed) == {"#2": "proven"}
    assert (narrowed.report["range"]["base"], narrowed.report["audit"]["since"]) == (repo.sha("v1.0"), "v1.0")
    limited = bugsle(repo, "audit", "--limit", "2")
    assert statuses(limited) == {"#4": "undecided", "#3": "passes-without-fix"}
    assert "2 older fixes were left out (--limit 2)" in limited.out
    assert (narrowed.report["timings"]["runs"], limited.report["timings"]["runs"]) == (0, 0)


def test_retry_asks_again_what_is_undecided(audited: tuple[Repo, Said], tmp_path: Path) -> None:
    """And nothing else."""
    repo = copied(audited[0], tmp_path)
    said = bugsle(repo, "audit", "--retry")
    assert statuses(said) == ALL
    assert said.report["timings"]["cached"] == 3
    assert said.report["timings"]["runs"] > 0


def test_other_terms_are_another_question(audited: tuple[Repo, Said], tmp_path: Path) -> None:
    """With another timeout a fix may be judged otherwise, and what is kept does not answer."""
    repo = copied(audited[0], tmp_path)
    repo.write({"bugsle.toml": "timeout = 29\n"})
    assert bugsle(repo, "audit", "--limit", "1").report["timings"]["cached"] == 0
    repo.write({"bugsle.toml": "fix_patterns = ['^never$']\n"})
    assert bugsle(repo, "audit").report["timings"]["cached"] == 4


def test_a_budget_ends_a_run_and_the_next_one_goes_on(audited: tuple[Repo, Said], tmp_path: Path) -> None:
    """What did not fit is not judged yet, is not kept as if it were, and counts as open."""
    repo = copied(audited[0], tmp_path)
    (repo.top / ".bugsle/cache.db").unlink()
    short = bugsle(repo, "audit", "--budget", "0.5")
    assert set(statuses(short).values()) == {"undecided"}
    assert [group["why"] for group in short.report["audit"]["unjudged"]] == ["not judged yet"]
    assert (short.code, "BUG001" in short.rules()) == (3, True)
    more = bugsle(repo, "audit", "--limit", "1")
    assert more.report["timings"]["cached"] == 0
    assert "ModuleNotFoundError" in more.report["audit"]["unjudged"][0]["why"]


@pytest.mark.slow
def test_a_hanging_fix_does_not_stop_the_others(tmp_path: Path) -> None:
    """It is given some time, is undecided for good, and the next fix is judged."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG, "src/pkg/b.py": WRONG})
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    slow = "import time\n\n" + guard("b").replace("assert", "time.sleep(60)\n    assert")
    repo.commit("fix: b is wrong", {"src/pkg/b.py": RIGHT, "tests/test_b.py": slow})
    repo.write({"bugsle.toml": "timeout = 2\n"})
    said = bugsle(repo, "audit")
    assert (said.status("fix: a"), said.status("fix: b")) == ("proven", "undecided")
    assert bugsle(repo, "audit").report["timings"]["cached"] == 2


def test_nothing_judged_is_no_pass(tmp_path: Path) -> None:
    """Though there are fixes: undecided, and in CI an error."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG})
    broken = f"import no_such_module\n{guard('a')}"
    repo.commit("fix: a is wrong", {"src/pkg/a.py": RIGHT, "tests/test_a.py": broken})
    said = bugsle(repo, "audit")
    assert (said.code, said.rules()) == (3, ["BUG104", "BUG001"])
    assert "0 of 1 bug fix could be judged" in said.out
    assert bugsle(repo, "audit", CI="true").code == 1


def test_a_history_without_a_fix_passes(tmp_path: Path) -> None:
    """There is nothing to judge, and it says so."""
    repo = Repo(tmp_path / "project")
    said = bugsle(repo, "audit")
    assert (said.code, said.report["audit"]["total"]["share"]) == (0, None)
    assert "1 commit: 0 bug fixes" in said.out


def test_strict_makes_undecided_fail(audited: tuple[Repo, Said]) -> None:
    """Who asks for it gets it, with or without a ledger."""
    assert bugsle(audited[0], "audit", "--strict").code == 1


def test_a_committed_cache_is_not_believed(audited: tuple[Repo, Said], tmp_path: Path) -> None:
    """A change could bring its own results along."""
    repo = copied(audited[0], tmp_path)
    repo.git("add", "-f", ".bugsle/cache.db")
    repo.commit("chore: keep the cache")
    said = bugsle(repo, "audit", "--limit", "1")
    assert said.report["timings"]["cached"] == 0
    assert "cache.db is committed" in said.out


def test_a_damaged_cache_is_begun_anew(audited: tuple[Repo, Said], tmp_path: Path) -> None:
    """A value that cannot be read is a result that is not there."""
    repo = copied(audited[0], tmp_path)
    with sqlite3.connect(repo.top / ".bugsle/cache.db") as connection:
        connection.execute("UPDATE cache SET value = ? WHERE room LIKE 'audit%'", (b'{"status": 7',))
    connection.close()
    said = bugsle(repo, "audit", "--limit", "1")
    assert (statuses(said), said.report["timings"]["cached"]) == ({"#4": "undecided"}, 0)


@pytest.fixture(scope="module")
def ledgered(audited: tuple[Repo, Said], tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Said]:
    """The same history with a ledger of it."""
    repo = copied(audited[0], tmp_path_factory.mktemp("ledger"))
    said = bugsle(repo, "audit", "--write-baseline")
    repo.git("add", "-f", ".bugsle/ledger.txt")
    repo.commit("chore: the ledger")
    return repo, said


def test_a_baseline_accepts_what_is(ledgered: tuple[Repo, Said]) -> None:
    """The unheld and the undecided are debt, the held are guards; from then on it passes."""
    repo, said = ledgered
    assert (said.code, said.report["audit"]["ledger"]) == (0, ".bugsle/ledger.txt")
    assert "written: .bugsle/ledger.txt, 2 as debt, 2 as guards" in said.out
    again = bugsle(repo, "audit")
    assert (again.code, again.report["findings"]) == (0, [])
    assert [unheld["known"] for unheld in again.report["audit"]["unheld"]] == [True]
    assert "ledger: 0 of 1 without a guard are new, 1 known" in again.out


def test_new_debt_fails(ledgered: tuple[Repo, Said], tmp_path: Path) -> None:
    """A fix that no test holds and that the ledger does not know, at its rule's level."""
    repo = copied(ledgered[0], tmp_path)
    repo.commit("fix: b is wrong again (#9)", {"src/pkg/b.py": "def answer():\n    return 1 + 0\n"})
    said = bugsle(repo, "audit")
    assert (said.code, said.report["verdict"]) == (1, "fail")
    assert [(f["rule"], f["level"]) for f in said.report["findings"]] == [("BUG101", "error")]
    assert "BUG101 no test holds the fix" in said.out
    repo.git("commit", "-q", "--amend", "-m", "fix: b is wrong again (#9)\n\nBugsle-Waive: BUG101 a spike\n")
    waived = bugsle(repo, "audit")
    assert (waived.code, waived.status("fix: b is wrong again")) == (0, "waived")


def test_a_new_fix_that_cannot_be_judged_is_undecided(ledgered: tuple[Repo, Said], tmp_path: Path) -> None:
    """The ledger knows the old ones; this one nobody has accepted."""
    repo = copied(ledgered[0], tmp_path)
    broken = f"import no_such_module_either\n{guard('c', '2')}"
    repo.commit(
        "fix: c is wrong (#9)", {"src/pkg/c.py": "def answer():\n    return 2\n", "tests/test_d.py": broken}
    )
    said = bugsle(repo, "audit")
    assert (said.code, said.rules()) == (3, ["BUG104"])


def test_debt_of_a_commit_that_is_gone_is_paid(ledgered: tuple[Repo, Said], tmp_path: Path) -> None:
    """It says so, and what takes it out of the ledger."""
    repo = copied(ledgered[0], tmp_path)
    path = repo.top / ".bugsle/ledger.txt"
    sha = next(fix["commit"] for fix in ledgered[1].report["fixes"] if "#3" in fix["bugs"])
    gone = "0" * 39 + "1"
    path.write_text(
        path.read_text().replace(f"{sha} BUG102", f"{gone} BUG102\n{sha} BUG102".replace("\n", " #3 gone\n"))
    )
    said = bugsle(repo, "audit")
    assert (said.code, said.report["audit"]["paid"]) == (0, [gone])
    assert "1 fix is no debt any more (0000000): `bugsle audit --write-baseline`" in said.out


def test_a_narrow_baseline_keeps_the_rest(ledgered: tuple[Repo, Said], tmp_path: Path) -> None:
    """What lies outside of the range stays in the ledger as it was."""
    repo = copied(ledgered[0], tmp_path)
    text = (repo.top / ".bugsle/ledger.txt").read_text()
    said = bugsle(repo, "audit", "--since", "HEAD~2", "--write-baseline")
    assert statuses(said) == {"#4": "undecided"}
    assert (repo.top / ".bugsle/ledger.txt").read_text() == text


def test_a_ledger_with_conflict_markers_is_wrong_usage(ledgered: tuple[Repo, Said], tmp_path: Path) -> None:
    """Nobody knows what it says."""
    repo = copied(ledgered[0], tmp_path)
    path = repo.top / ".bugsle/ledger.txt"
    path.write_text(f"{path.read_text()}<<<<<<< ours\n")
    said = bugsle(repo, "audit")
    assert said.code == 2
    assert "ledger.txt:" in said.err


def test_guards_that_hold_pass(ledgered: tuple[Repo, Said]) -> None:
    """Tried on today's tree; no fix of the history is proven."""
    said = bugsle(ledgered[0], "audit", "--guards")
    assert (said.code, said.report["fixes"], said.report["findings"]) == (0, [], [])
    assert [each["state"] for each in said.report["audit"]["guards"]].count("held") >= 1
    assert "still notice their bugs in today's tree" in said.out


def test_a_weakened_guard_fails_and_is_accepted_by_a_waiver_or_a_baseline(
    ledgered: tuple[Repo, Said], tmp_path: Path
) -> None:
    """The finding stands at the test and names the commit that weakened it."""
    repo = copied(ledgered[0], tmp_path)
    culprit = repo.commit("test: weaker", {"tests/test_a.py": guard("a", "answer()")})
    said = bugsle(repo, "audit", "--guards")
    assert said.code == 1
    (finding,) = said.report["findings"]
    assert (finding["rule"], finding["level"], finding["path"]) == ("BUG107", "error", "tests/test_a.py")
    assert culprit[:7] in finding["message"]
    repo.git("commit", "-q", "--amend", "-m", "test: weaker\n\nBugsle-Waive: BUG107 it was too strict\n")
    waived = bugsle(repo, "audit", "--guards")
    assert (waived.code, [w["state"] for w in waived.report["waivers"]]) == (0, ["used"])
    repo.git("commit", "-q", "--amend", "-m", "test: weaker\n")
    bugsle(repo, "audit", "--write-baseline")
    assert bugsle(repo, "audit", "--guards").code == 0
    assert bugsle(repo, "audit").code == 0


def test_a_branch_that_misses_a_fix_is_an_error_with_a_ledger(tmp_path: Path) -> None:
    """Its guard fails there; without a ledger that is information, and `--no-branches` does not ask."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG})
    repo.git("branch", "release/1.0")
    repo.commit("fix: a is wrong (#2)", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    said = bugsle(repo, "audit")
    assert (said.code, [(f["rule"], f["level"]) for f in said.report["findings"]]) == (
        0,
        [("BUG109", "info")],
    )
    assert "release/1.0" in said.report["findings"][0]["message"]
    runs = bugsle(repo, "audit").report
    assert runs["fixes"][0]["what_else"] == said.report["fixes"][0]["what_else"]
    assert bugsle(repo, "audit", "--write-baseline").code == 1
    assert bugsle(repo, "audit", "--no-branches").code == 0
    repo.write({"bugsle.toml": 'rules = { BUG109 = "warning" }\n'})
    assert bugsle(repo, "audit").code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--since", "nowhere"), "'nowhere' names no commit"),
        (("--until", "--all"), "'--all' names no commit"),
        (("--guards",), "there is no ledger"),
        (("--guards", "--since", "v1.0"), "it takes no range"),
        (("--limit", "0"), "--limit"),
        (("--budget", "0"), "--budget"),
    ],
)
def test_wrong_usage_says_what_and_what_next(
    audited: tuple[Repo, Said], args: tuple[str, ...], message: str
) -> None:
    """Exit code 2, and nothing is judged."""
    said = bugsle(audited[0], "audit", *args)
    assert said.code == 2
    assert message in said.err


def test_an_empty_repository_is_undecided(tmp_path: Path) -> None:
    """There is no history yet."""
    Sandbox(tmp_path / "project")
    said = bugsle(tmp_path / "project", "audit")
    assert said.code == 3
    assert "there is no commit yet" in said.out + said.err


def test_a_bare_repository_is_audited_without_a_ledger(tmp_path: Path) -> None:
    """Its results go to the user's cache; a ledger has no place there."""
    repo = Repo(tmp_path / "project", start={"src/pkg/a.py": WRONG})
    repo.commit("fix: a is wrong (#2)", {"src/pkg/a.py": RIGHT, "tests/test_a.py": guard("a")})
    repo.git("clone", "-q", "--bare", str(repo.top), str(tmp_path / "bare.git"))
    said = bugsle(tmp_path / "bare.git", "audit")
    assert (said.code, said.status("fix: a")) == (0, "proven")
    assert bugsle(tmp_path / "bare.git", "audit").report["timings"]["cached"] == 1
    wrong = bugsle(tmp_path / "bare.git", "audit", "--write-baseline")
    assert (wrong.code, "a bare repository has no ledger" in wrong.err) == (2, True)
