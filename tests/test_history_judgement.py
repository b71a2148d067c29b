"""Which changes are judged bug fixes, and with which reasons."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.judgement import Facts, Policy, judge, policy


def answer(subject: str, body: str = "", **facts: object) -> str:
    """Judge a message."""
    return judge(Facts(subject, body, **facts)).answer  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "subject",
    [
        "fix: crash on empty input",
        "fix(parser)!: keep the last field",
        "bugfix: keep the last field",
        "hotfix(api): keep the last field",
        "Merged PR 123: fix: keep the last field",
        "[backport 1.2] fix: keep the last field",
        "[3.11] gh-123: Fix the last field (#456)",
        "🐛 keep the last field",
        ":bug: keep the last field",
        "🚑️ keep the last field",
        "BUG: keep the last field",
        "Fix the last field",
        "Fixed the last field",
        "fixing issue 110 by using a functor",
        "Correct parsing of hexadecimal numbers",
        "Repair the last field",
        "Resolve crash on empty input",
        "strutils: fix the last field",
        "Several bugs with parsing numbers (#103)",
        "Handle floats, bug fix & test case.",
        "Test and fix for #348",
        "Fix crash, add tests",
        "Fix and test the last field",
        "CVE-2024-12345: limit the length",
        "Handle comparison with None, closes #92",
    ],
)
def test_fixes_are_found(subject: str) -> None:
    """Each usual way to announce a fix is seen."""
    assert answer(subject) == "fix"


@pytest.mark.parametrize(
    "subject",
    [
        "Add formatter property, closes #172",
        "allow hyphen in field name. closes #86",
        "feat: fixed-width columns",
        "feat: parse dates (closes #5)",
        "Fix typo",
        "Fix lint",
        "fix: flake8",
        "Fix mypy errors",
        "fix ruff",
        "Fix docs",
        "Fix documentation (missing -> load_default)",
        "Fix doctest examples",
        "grammar fix",
        "Fix README",
        "Fix CI",
        "fix(ci): pin the runner",
        "fix(docs): say it right",
        "Fix build",
        "Fix tests",
        "Fix flaky test",
        "Fix failing test on Windows",
        "Fix tests and docs",
        "Fix warnings in tests",
        "Fix changelog",
        "Fix formatting",
        "Fix whitespace",
        "Fix spelling",
        "Fix comment",
        "Fix type hints",
        "Address review comments",
        "Fix review comments",
        "Fix merge conflicts",
        "Fix version bump",
        "docs: fix the example",
        "test: fix the fixture",
        "chore: fix lint",
        "Add failing test for bug 110",
        "Refactor the parser",
        "Bump version to 1.2.3",
        "v1.2.3 - fix compiler warning",
        "Support fixed width columns",
        "Merge branch 'main' into topic",
        "Update links to http://bugs.example.org/",
    ],
)
def test_other_changes_are_not(subject: str) -> None:
    """Features, upkeep, and fixes of what is not the product are no bug fixes."""
    assert answer(subject) == "no"


@pytest.mark.parametrize(
    "subject",
    [
        "refactor: simplify the reader, fixes #9",
        "Avoid a race in the pool",
        "Don't wrap generators",
        "IndexError on empty input",
        "Update the reader to fix Python 3.14",
    ],
)
def test_weak_signs_alone_are_maybe(subject: str) -> None:
    """Words that a feature could use too do not gate anything."""
    assert answer(subject) == "maybe"


def test_a_closing_keyword_with_the_fix_stem_is_strong() -> None:
    """`Fixes #79` makes a neutral subject a fix, and a feature subject doubtful; `Closes` does neither."""
    assert answer("Look at the next brace", "Fixes #79") == "fix"
    assert answer("Look at the next brace", "Closes #79") == "maybe"
    assert answer("Add check that braces match", "Fixes #79") == "fix"
    assert answer("Add support for braces", "Fixes #79") == "maybe"
    assert answer("feat: x", "Closes #1") == "no"
    assert answer("Look at the next brace", "<!-- Fixes #79 -->") == "no"
    assert answer("Look at the next brace", "This does not fix #79") == "no"


@pytest.mark.parametrize(
    ("trailers", "body"),
    [
        ((("Fixes", '1234567890ab ("parser: first")'),), ""),
        ((), 'Fixes: 1234567890ab ("x")'),
        ((("Reported-by", "A"),), ""),
    ],
)
def test_trailers_are_strong(trailers: tuple[tuple[str, str], ...], body: str) -> None:
    """The trailers of a fix say what it is."""
    assert answer("Look at the next brace", body, trailers=trailers) == "fix"


def test_an_explicit_reference_on_changed_source_beats_a_veto() -> None:
    """`Fixes #72` with a real change of source outweighs a word in the subject, unless nothing changed."""
    subject = "Fix deprecation warnings around backslashes in regex strings"
    assert answer(subject, "Also fix some documentation.\n\nFixes #72", source_changed=True) == "fix"
    assert answer("Fix docs of the parser", "Fixes #72", source_changed=True) == "fix"
    assert answer("Fix docs of the parser", "Fixes #72") == "maybe"
    assert answer("Fix docs of the parser", "Fixes #72", source_changed=False) == "no"
    assert answer("Fix docs of the parser", source_changed=True) == "no"


def test_a_change_of_no_statement_is_no_fix() -> None:
    """If the source is the same without comments and docstrings, the words do not matter."""
    found = judge(Facts("fix: the last field", "Fixes #1", source_changed=False))
    assert found.answer == "no"
    assert "it changes no statement of the source" in found.explain()


def test_a_misspelt_name_in_code_is_a_bug() -> None:
    """A typo that changes a statement, with its symptom, is no matter of prose."""
    subject = "Fix issupserset typo in comparisons (#438)"
    body = "It called set.issupserset, raising AttributeError."
    assert answer(subject, body, source_changed=True) == "fix"
    assert answer(subject, body) == "no"
    assert answer("Fix typo in docs", source_changed=True) == "no"


def test_a_crash_in_a_place_with_a_vetoed_name_is_a_bug() -> None:
    """What is mended is the crash, not the place where it happens."""
    assert answer("Fix crash in build command", source_changed=True) == "fix"
    assert answer("Fix crash in build command") == "no"


@pytest.mark.parametrize(
    ("author", "email", "expected"),
    [
        ("pre-commit-ci[bot]", "66853113+pre-commit-ci[bot]@users.noreply.github.com", "no"),
        ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com", "no"),
        ("renovate[bot]", "29139614+renovate[bot]@users.noreply.github.com", "no"),
        ("github-actions[bot]", "github-actions[bot]@users.noreply.github.com", "no"),
        ("Renovate Bot", "bot@renovateapp.com", "no"),
        ("some-thing[bot]", "x@users.noreply.github.com", "maybe"),
        ("Copilot", "198982749+Copilot@users.noreply.github.com", "fix"),
        ("claude[bot]", "x@users.noreply.github.com", "fix"),
        ("miss-islington[bot]", "x@users.noreply.github.com", "fix"),
        ("A. Abbot", "abbot@example.org", "fix"),
    ],
)
def test_bots_that_tidy_mend_nothing(author: str, email: str, expected: str) -> None:
    """Upkeep bots are out, unknown bots doubtful; agents that write code are judged as anyone."""
    assert answer("fix: the last field", author=author, author_email=email) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("changelog/123.bugfix.rst", "fix"),
        ("newsfragments/123.fix.md", "fix"),
        ("news/123.bugfix", "fix"),
        ("CHANGES/123.bugfix.1.rst", "fix"),
        ("docs/changelog/+x.bugfix.rst", "fix"),
        ("changelog/123.feature.rst", "no"),
        ("changelog/123.misc.rst", "no"),
        ("src/app/123.bugfix.rst", "no"),
    ],
)
def test_a_news_fragment_tells_the_kind_of_change(path: str, expected: str) -> None:
    """The fragment that a change adds is the project's own word for it."""
    assert answer("Look at the next brace", added=(path,)) == expected


def test_a_feature_fragment_weighs_against() -> None:
    """A change announced as a feature is doubtful even if the subject says fix."""
    assert answer("Fix the last field", added=("changelog/1.feature.rst",)) == "no"


def test_the_changelog_tells_too() -> None:
    """A line under “Bug fixes” counts, one under “Features” does not."""
    assert answer("Look at the next brace", changelog="Bug fixes:\n\n- Braces match.") == "fix"
    assert answer("Look at the next brace", changelog="- Fix braces (:issue:`7`).") == "fix"
    assert answer("Look at the next brace", changelog="### Features\n- Braces match.") == "no"


def test_the_tracker_tells_bugs_from_wishes() -> None:
    """Labels of an exported tracker decide what `closes` leaves open."""
    tracker = {"GH-7": ("bug",), "#8": ("enhancement",)}
    assert judge(Facts("Look ahead", "closes #7"), policy(tracker=tracker)).answer == "fix"
    assert judge(Facts("Handle braces", "closes #8"), policy(tracker=tracker)).answer == "no"


def test_the_projects_patterns_win_and_its_hook_wins_over_them() -> None:
    """What a project says of itself beats every other sign."""
    own = policy(fix=["^PATCH "], no_fix=[r"\[skip-gate\]"])
    assert judge(Facts("PATCH docs"), own).answer == "fix"
    assert judge(Facts("fix: x [skip-gate]"), own).answer == "no"
    assert judge(Facts("PATCH x [skip-gate]"), own).answer == "no"
    assert judge(Facts("PATCH x [skip-gate]", hook=True), own).answer == "fix"
    assert judge(Facts("PATCH x", hook=False), own).answer == "no"


def test_a_squashed_fix_makes_the_whole_a_fix() -> None:
    """One conventional fix among the bullets is enough; review work and test work are not."""
    assert answer("feat: x (#5)", "* feat: x\n\n* fix: crash of y") == "fix"
    assert answer("feat: x (#5)", "* feat: x\n\n* Fix tests\n\n* Address review comments") == "no"
    assert answer("Work on y (#5)", "* Fix y without z\n\n* Address review comments") == "fix"
    assert answer("Add x (#5)", "* Fix it on Windows") == "maybe"
    assert answer("Fix y (#5)", "* Fix tests\n\n* Address review comments") == "fix"


def test_a_body_that_explains_a_revert_is_still_a_fix() -> None:
    """A body with “This reverts a change introduced in …” takes nothing from a fix."""
    assert (
        answer("Fix handling of alignment (#132)", "* This reverts a change introduced in 55467d28.") == "fix"
    )


def test_a_release_that_mends_too_is_maybe() -> None:
    """A release commit is no fix; one that also says what it mends leaves a doubt."""
    assert answer("bump version, fix two ref leaks", source_changed=True) == "maybe"
    assert answer("bump version, fix two ref leaks") == "no"
    assert answer("version bump, fixes to docs", source_changed=True) == "no"


def test_a_name_with_a_vetoed_word_in_it_is_no_veto() -> None:
    """`typing.Callable` is what the product works on, not its annotations."""
    assert answer("Fixed checking against typing.Callable on py37") == "fix"
    assert answer("Fixed typing.") == "no"


def test_reasons_read_well() -> None:
    """Each reason says what it weighs and why."""
    found = judge(Facts("Fix typo", author="dependabot[bot]"))
    assert found.explain().splitlines() == [
        "−10 the author is a bot",
        "−5 what it mends is “typo”",
        "+3 the subject begins with “Fix”",
    ]
    assert found.score == sum(reason.points for reason in found.reasons)


def test_reasons_quote_nothing_invisible() -> None:
    """A stranger's control characters do not come through a reason."""
    found = judge(Facts("Work (#5)", "* Fix \x1b[31mred\u202e words"))
    assert found.is_fix
    assert not any(c in found.explain() for c in "\x1b\u202e")


@pytest.mark.parametrize(
    "seed",
    [
        "a",
        "#1 ",
        "* Fix a crash (#1)\n\n",
        "`",
        "<!--",
        "a/",
        "AB-",
        "\n",
        " ",
        "fix the ",
        "This reverts commit abcdef1 ",
    ],
)
def test_a_megabyte_is_judged_at_once(seed: str) -> None:
    """No text makes the judging grow faster than its length; what is too long is cut."""
    text = seed * (1_000_000 // len(seed))
    started = time.perf_counter()
    judge(Facts(text.replace("\n", " "), text))
    judge(Facts("x", "Squashed commit of the following:\n\n" + text))
    assert time.perf_counter() - started < 5  # a hang guard: quadratic work takes minutes


@given(st.text(), st.text(), st.sampled_from([None, True, False]))
def test_any_message_is_judged(subject: str, body: str, source_changed: bool | None) -> None:
    """Answer, score and reasons agree whatever the message."""
    found = judge(Facts(subject, body, source_changed=source_changed), Policy())
    assert found.answer == ("fix" if found.score >= 3 else "maybe" if found.score >= 1 else "no")
    assert not (source_changed is False and found.is_fix)
