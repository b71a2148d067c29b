"""Commits of a range become the units that are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.git.diff import Change
from pytest_bugsle.git.log import Commit, read_log
from pytest_bugsle.history.judgement import policy
from pytest_bugsle.history.units import Evidence, Unit, mainline_shape, units_of

if TYPE_CHECKING:
    from pathlib import Path


def sha(number: int) -> str:
    """Name a commit."""
    return f"{number:040x}"


def commit(
    number: int,
    message: str,
    *parents: int,
    author: str = "Ada",
    paths: tuple[str, ...] = ("app.py",),
    added: bool = False,
) -> Commit:
    """Make a commit; without parents it follows the one before it."""
    subject, _, body = message.partition("\n\n")
    trailers = [tuple(line.split(": ", 1)) for line in body.splitlines() if line.startswith("Fixes: ")]
    changes = tuple(Change("A" if added else "M", None, path, None, None, None, None) for path in paths)
    above = tuple(sha(parent) for parent in parents or (number - 1,))
    return Commit(
        sha(number), above, "", author, "a@example.org", 0, number, subject, body, tuple(trailers), changes
    )  # type: ignore[arg-type]


def told(units: tuple[Unit, ...]) -> list[tuple[str, str, list[int]]]:
    """Shorten units to kind, answer and the numbers of their commits."""
    return [(u.kind, u.judgement.answer, [int(c.sha, 16) for c in u.commits]) for u in units]


def test_commits_are_judged_one_by_one() -> None:
    """Without anything special each commit is a unit, with its parent as base."""
    units = units_of([commit(3, "fix: b\n\nFixes #7"), commit(2, "feat: a")])
    assert told(units) == [("commit", "fix", [3]), ("commit", "no", [2])]
    assert (units[0].head, units[0].base, units[0].bugs) == (sha(3), sha(2), ("#7",))
    assert units_of([]) == ()


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Merge pull request #5 from octo/topic", "Fix crash on empty input\n\nFixes #7"),
        ("Merge branch 'topic' into 'main'", "Fix crash on empty input\n\nSee merge request octo/app!5"),
        ("Fix crash on empty input (#5)", ""),
    ],
)
def test_a_merge_with_the_title_of_a_fix_is_one_unit(subject: str, body: str) -> None:
    """The merge is judged against its first parent, never together with what it brought in."""
    log = [
        commit(9, f"{subject}\n\n{body}", 1, 3),
        commit(3, "Fix the test, fixes #8", 2),
        commit(2, "fix: part", 1),
    ]
    (unit,) = units_of(log)
    assert told((unit,)) == [("merge", "fix", [9])]
    assert unit.subject.startswith("Fix crash on empty input")
    assert (unit.base, [int(c.sha, 16) for c in unit.parts]) == (sha(1), [3, 2])
    assert "#8" in unit.bugs


def test_a_merge_without_a_fixing_title_gives_way_to_its_commits() -> None:
    """The children are judged singly, the merge not at all."""
    for message in (
        "Merge pull request #5 from a/b\n\nRework",
        "Merge branch 'topic'",
        "Merge branch 'fix-crash'",
    ):
        log = [commit(9, message, 1, 3), commit(3, "fix: part", 2), commit(2, "feat: part", 1)]
        assert told(units_of(log)) == [("commit", "fix", [3]), ("commit", "no", [2])]


def test_a_merge_of_the_base_branch_is_nobodys_fix() -> None:
    """A merge that brings nothing of this range in says so."""
    units = units_of(
        [
            commit(9, "Merge branch 'main' into fix-crash\n\n# Conflicts:\n#\tapp.py", 3, 1),
            commit(3, "fix: x", 2),
        ]
    )
    assert told(units) == [("merge", "no", [9]), ("commit", "fix", [3])]
    assert "only brings another branch in" in units[0].judgement.explain()


def test_a_fixing_merge_inside_a_fixing_merge_counts_once() -> None:
    """The outer merge takes the inner one in."""
    log = [
        commit(9, "Merge pull request #2 from a/b\n\nFix crash", 1, 8),
        commit(8, "Merge pull request #1 from c/d\n\nFix part", 2, 3),
        commit(3, "fix: deep", 2),
        commit(2, "work", 1),
    ]
    assert told(units_of(log)) == [("merge", "fix", [9])]
    assert told(units_of([log[3], log[0], log[2], log[1]])) == [("merge", "fix", [9])]


def test_only_first_parents_still_judge_the_merge() -> None:
    """Where the children are not listed the merge speaks for them."""
    assert told(units_of([commit(9, "Merge pull request #5 from a/b\n\nFix crash", 1, 3)])) == [
        ("merge", "fix", [9])
    ]


def test_a_revert_cancels_what_it_takes_back() -> None:
    """The pair is accounted for and owes nothing."""
    units = units_of([commit(3, f'Revert "fix: x"\n\nThis reverts commit {sha(2)}.'), commit(2, "fix: x")])
    assert told(units) == [("commit", "no", [3]), ("commit", "no", [2])]
    assert units[0].judgement.explain() == f"±0 it takes back {sha(2)[:7]} of this range"
    assert units[1].judgement.explain() == f"±0 it is taken back in this range, by {sha(3)[:7]}"


def test_a_revert_by_title_alone_cancels_too() -> None:
    """A hosting service's revert names no commit."""
    log = [commit(3, 'Revert "fix: x (#1)" (#2)\n\nReverts octo/app#1'), commit(2, "fix: x (#1)")]
    assert [answer for _, answer, _ in told(units_of(log))] == ["no", "no"]


def test_a_revert_of_a_revert_arms_the_fix_again() -> None:
    """`Revert "Revert "x""` and `Reapply "x"` leave x as it was."""
    for message in ('Revert "Revert "fix: x""', 'Reapply "fix: x"'):
        log = [
            commit(4, f"{message}\n\nThis reverts commit {sha(3)}."),
            commit(3, f'Revert "fix: x"\n\nThis reverts commit {sha(2)}.'),
            commit(2, "fix: x"),
        ]
        assert told(units_of(log)) == [("commit", "no", [4]), ("commit", "no", [3]), ("commit", "fix", [2])]
        assert told(units_of(log[:1])) == [("commit", "fix", [4])]


def test_a_revert_of_what_lies_before_the_range() -> None:
    """Taking back an old fix is no fix; taking back anything else may be one, and is if it says so."""
    gone = "This reverts commit 1234567890123456789012345678901234567890."
    (fix,) = units_of([commit(2, f'Revert "fix: x"\n\n{gone}')])
    assert fix.judgement.answer == "no"
    assert "it takes back a fix from before this range" in fix.judgement.explain()
    assert told(units_of([commit(2, f'Revert "Add x"\n\n{gone}')])) == [("commit", "maybe", [2])]
    assert told(units_of([commit(2, f'Revert "Add x"\n\n{gone} It broke y.\n\nFixes #9')])) == [
        ("commit", "fix", [2])
    ]
    assert told(units_of([commit(2, "Revert bugfix for #12, it was wrong")])) == [("commit", "no", [2])]


def test_a_fix_that_explains_itself_by_a_revert_is_no_revert() -> None:
    """Neither “This reverts a change introduced in …” nor a partial revert cancels anything."""
    log = [
        commit(4, f"Fix alignment\n\nThis reverts a change introduced in {sha(2)}."),
        commit(3, f'Partially revert "fix: x"\n\nThis reverts commit {sha(2)} in part of the tree.'),
        commit(2, "fix: x"),
    ]
    assert [answer for _, answer, _ in told(units_of(log))] == ["fix", "maybe", "fix"]


def test_a_partial_revert_leaves_its_target_standing() -> None:
    """What is taken back in part only still has to be held by a test."""
    log = [commit(3, f'Revert "fix: x"\n\nThis reverts commit {sha(2)} partially.'), commit(2, "fix: x")]
    assert [answer for _, answer, _ in told(units_of(log))] == ["maybe", "fix"]
    log = [
        commit(3, f"Rework\n\nThis reverts commit {sha(2)} for the parser and goes on."),
        commit(2, "fix: x"),
    ]
    assert [answer for _, answer, _ in told(units_of(log))] == ["no", "fix"]


def test_a_reverted_merge_takes_its_commits_along() -> None:
    """What a cancelled merge brought in owes nothing."""
    log = [
        commit(
            9,
            f"Revert \"Merge branch 'topic'\"\n\nThis reverts commit {sha(8)}, reversing\nchanges made to {sha(1)}.",
        ),
        commit(8, "Merge branch 'topic'", 1, 3),
        commit(3, "fix: x", 1),
    ]
    assert [answer for _, answer, _ in told(units_of(log))] == ["no", "no", "no"]


def test_fixes_of_one_bug_are_one_unit() -> None:
    """Commits that close the same bug are judged together, whatever the spelling."""
    log = [
        commit(5, "Fix the rest, fixes GH-7"),
        commit(4, "feat: z"),
        commit(3, "Fix crash\n\nFixes #7"),
        commit(2, "fix: y, fixes #8"),
    ]
    units = units_of(log)
    assert told(units) == [("commit", "fix", [5, 3]), ("commit", "no", [4]), ("commit", "fix", [2])]
    assert (units[0].base, units[0].head) == (sha(2), sha(5))


def test_one_pull_request_number_is_no_bug() -> None:
    """Commits that only share the trailing (#51) stay apart."""
    assert len(units_of([commit(3, "Fix a (#51)"), commit(2, "Fix b (#51)")])) == 2


def test_a_test_before_its_fix_is_evidence() -> None:
    """A commit of the same bug that changes no source joins the fix as evidence."""
    log = [
        commit(3, "Fix pickling, fixes #110"),
        commit(2, "add failing test for bug 110", paths=("tests/test_app.py",)),
    ]
    for evidence in ({}, {sha(2): Evidence(source_changed=False)}):
        (unit,) = units_of(log, evidence=evidence)
        assert (told((unit,)), [c.sha for c in unit.evidence]) == ([("commit", "fix", [3])], [sha(2)])
    assert len(units_of(log, evidence={sha(2): Evidence(source_changed=True)})) == 2


def test_follow_ups_belong_to_their_commit() -> None:
    """`fixup!` and `Fixes: <sha>` complete a fix of the range; a mend of a feature stands alone."""
    log = [commit(4, "fixup! fix: x"), commit(3, f"Fix more\n\nFixes: {sha(2)}"), commit(2, "fix: x")]
    log = [*log, commit(1, "work", 0)]
    ambiguous = sha(2)[:30]
    assert all(c.sha.startswith(ambiguous) for c in log)
    assert told(units_of(log))[0] == ("commit", "fix", [4, 3, 2])
    feature = [commit(3, "fixup! feat: x"), commit(2, "feat: x")]
    assert told(units_of(feature)) == [("commit", "no", [3, 2])]
    mended = [commit(3, f"Fix crash\n\nFixes: {sha(2)}"), commit(2, "feat: x")]
    assert told(units_of(mended)) == [("commit", "fix", [3]), ("commit", "no", [2])]


def test_backports_and_picks_are_kept_as_facts() -> None:
    """Where a fix came from is not lost."""
    (picked,) = units_of([commit(2, f"fix: x\n\n(cherry picked from commit {sha(77)})")])
    assert (picked.picked_from, picked.is_backport) == ((sha(77),), True)
    (backport,) = units_of([commit(2, "[3.11] gh-7: Fix x (#9)")])
    assert (backport.picked_from, backport.is_backport) == ((), True)


def test_a_news_fragment_names_the_bug() -> None:
    """`123.bugfix.rst` both judges and names."""
    (unit,) = units_of([commit(2, "Look ahead", paths=("changelog/123.bugfix.rst",), added=True)])
    assert (unit.judgement.answer, unit.bugs) == ("fix", ("#123",))


def test_a_range_is_judged_by_its_title() -> None:
    """The pull request's title decides; where it leaves a doubt, or there is none, the commits do."""
    log = [commit(3, "more"), commit(2, "fix: x, fixes #7")]
    (unit,) = units_of(log, unit="range", title="fix: y", description="Fixes #8", base=sha(1))
    assert (told((unit,)), unit.base, unit.bugs) == ([("range", "fix", [3, 2])], sha(1), ("#8", "#7"))
    assert told(units_of(log, unit="range", title="feat: y")) == [("range", "no", [3, 2])]
    assert told(units_of(log, unit="range", title="Avoid y")) == [("range", "fix", [3, 2])]
    assert told(units_of(log, unit="range")) == [("range", "fix", [3, 2])]
    assert told(units_of(log[:1], unit="range")) == [("range", "no", [3])]
    nothing = Evidence(source_changed=False)
    assert told(units_of(log, unit="range", title="fix: y", range_evidence=nothing)) == [
        ("range", "no", [3, 2])
    ]


def test_auto_takes_the_range_where_teams_squash() -> None:
    """A squashing mainline and a known title make the range the unit; nothing else does."""
    log = [commit(3, "more"), commit(2, "wip")]
    assert told(units_of(log, shape="squash", title="fix: y")) == [("range", "fix", [3, 2])]
    assert len(units_of(log, shape="squash")) == 2
    assert len(units_of(log, shape="merge", title="fix: y")) == 2
    assert len(units_of(log, shape="squash", title="fix: y", unit="commit")) == 2


def test_the_projects_policy_reaches_every_unit() -> None:
    """Patterns, hooks and the home repository hold for units as for messages."""
    own = policy(no_fix=["skip"], home="octo/app")
    log = [commit(3, "fix: x skip"), commit(2, "fix: y\n\nFixes octo/app#7")]
    units = units_of(log, own)
    assert (told(units)[0][1], units[1].bugs) == ("no", ("#7",))
    assert told(units_of(log, own, {sha(2): Evidence(hook=False)}))[1][1] == "no"


def test_the_shape_of_a_mainline() -> None:
    """Squashed titles, merges, or neither."""
    squash = [commit(n, f"Change {n} (#{n})") for n in range(40, 2, -1)]
    assert mainline_shape([*squash, commit(2, "Bump", author="pre-commit-ci[bot]")]) == "squash"
    merges = [commit(n, f"Merge pull request #{n} from a/b", n - 1, n + 100) for n in range(40, 2, -1)]
    assert mainline_shape(merges) == "merge"
    assert mainline_shape([commit(n, "Change") for n in range(40, 2, -1)]) == "linear"
    assert mainline_shape([]) == "linear"


def test_a_history_of_ladders_is_walked_without_recursion() -> None:
    """Two branches that merge each other a thousand times are read in one go."""
    log = [commit(n, "Merge branch 'x'", n - 2, n - 1) for n in range(3_000, 1_000, -1)]
    log.append(commit(1_000, "fix: x", 998))
    assert told(units_of(log))[-1] == ("commit", "fix", [1_000])


def test_units_of_a_real_history(tmp_path: Path) -> None:
    """git's own merges and reverts are read as they are written."""
    box = Sandbox(tmp_path / "r")
    base = box.commit({"app.py": "a = 1\n"})
    box.git("checkout", "-q", "-b", "topic")
    box.commit({"other.py": "b = 1\n"}, "Fix other\n\nFixes #7")
    box.git("checkout", "-q", "main")
    fix = box.commit({"app.py": "a = 2\n"}, "fix: a")
    box.git("revert", "--no-edit", fix)
    box.git(
        "merge", "-q", "--no-ff", "-m", "Merge pull request #5 from octo/topic\n\nFix other things", "topic"
    )
    box.commit({"app.py": "a = 3\n"}, "fix: a again")
    with box.open() as repo:
        log = read_log(repo, base, "HEAD")
    found = [(u.kind, u.judgement.answer, u.subject) for u in units_of(log)]
    assert found[:2] == [("commit", "fix", "fix: a again"), ("merge", "fix", "Fix other things")]
    assert sorted(found[2:]) == [("commit", "no", 'Revert "fix: a"'), ("commit", "no", "fix: a")]
