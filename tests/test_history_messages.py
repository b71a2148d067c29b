"""Messages are taken apart: prose, prefixes, headers, squashed parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.messages import Part, bounded, excerpt, headline, prose, squash_parts


@pytest.mark.parametrize(
    ("subject", "text", "kind"),
    [
        ("fix: crash", "crash", "fix"),
        ("bugfix(parser)!: crash", "crash", "fix"),
        ("Merged PR 123: fix: crash", "crash", "fix"),
        ("Merged in topic (pull request #5) fix: crash", "crash", "fix"),
        ("[backport 1.2] fix: crash", "crash", "fix"),
        ("[3.11] gh-123: Fix crash", "Fix crash", None),
        ("bpo-1: Fix crash", "Fix crash", None),
        ("🐛 crash", "crash", None),
        (":bug: crash", "crash", None),
        ("[BUG] crash", "crash", "fix"),
        ("BUG: crash", "crash", "fix"),
        ("DOC: words", "words", "docs"),
        ("net/ipv6: Fix crash", "Fix crash", None),
        ("PROJ-7: Fix crash", "Fix crash", None),
        ("PROJ-7 Fix crash", "Fix crash", None),
        ("Fixed #7 -- Added thing", "Added thing", None),
        ("Draft: fix: crash", "crash", "fix"),
        ("[1.x] Backport PR #7: fix: crash", "crash", "fix"),
        ("Fix this: that", "Fix this: that", None),
        ("fix:", "fix:", None),
    ],
)
def test_prefixes_come_off_a_subject(subject: str, text: str, kind: str | None) -> None:
    """What stands before the words is taken off, the conventional type kept."""
    found = headline(subject)
    assert (found.text, found.type) == (text, kind)


def test_backports_and_scopes_are_remembered() -> None:
    """The prefixes that say something are kept as facts."""
    assert headline("[backport 1.2] fix: x").backport
    assert headline("[3.11] gh-1: Fix x (#2)").backport
    assert not headline("fix: backport parser").backport
    assert headline("fix(docs): x").scope == "docs"
    assert headline("🚑️ x").gitmoji == "ambulance"


def test_a_squash_of_a_hosting_service_is_split() -> None:
    """Each bullet is a message, with the text below it."""
    body = "* fix: a\n\nwhy a\n\nFixes #1\n\n* feat: b\n\nCo-authored-by: X <x@example.org>"
    assert squash_parts(body) == (
        Part("fix: a", "why a\n\nFixes #1"),
        Part("feat: b", "Co-authored-by: X <x@example.org>"),
    )


def test_a_squash_of_git_is_split() -> None:
    """`git merge --squash` leaves a log."""
    body = (
        "Squashed commit of the following:\n\ncommit 1234567890\nAuthor: A <a@example.org>\n"
        "Date:   Mon Jan 1\n\n    fix: a\n    \n    more\n\ncommit abcdef0123\nAuthor: A <a@example.org>\n\n    Add b\n"
    )
    assert squash_parts(body) == (Part("fix: a", "more"), Part("Add b"))


def test_an_ordinary_list_is_no_squash() -> None:
    """Dashes that describe one change are not messages, unless they are conventional ones."""
    assert squash_parts("- Implement a test.\n- Fix nothing.") == ()
    assert squash_parts("text\n\n- fix(core): a\n- words") == (Part("fix(core): a", "- words"),)


def test_quotations_show_what_is_invisible() -> None:
    """An excerpt is one short line without control or bidirectional characters."""
    assert excerpt("a\x1b[31m\nb\u202ec") == "a�[31m b�c"
    assert len(excerpt("x" * 1000)) == 60


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1), min_size=1, max_size=8
    )
)
def test_squashed_subjects_come_back(words: list[str]) -> None:
    """What is joined by bullets is split at them."""
    subjects = [f"fix {' '.join(word.split())}" for word in words]
    assert [part.subject for part in squash_parts("* " + "\n\n* ".join(subjects))] == [
        s.strip() for s in subjects
    ]


def test_what_no_honest_message_is_long_enough_for_is_cut() -> None:
    """The beginning and the trailers at the end stay."""
    cut = bounded("start " + "x" * 1_000_000 + "\nFixes: 1234567")
    assert cut.startswith("start ")
    assert cut.endswith("\nFixes: 1234567")
    assert len(cut) < 200_000


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    """Nothing a stranger writes breaks the reading; lines keep their places."""
    headline(text)
    squash_parts(text)
    squash_parts("Squashed commit of the following:\n" + text)
    assert prose(text).count("\n") == text.count("\n")
    assert bounded(text) == text
