"""What messages mention."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.mentions import Authors, Mentions, Revert
from pytest_bugsle.history.reverts import revert_of

SHA = "0123456789abcdef0123456789abcdef01234567"


def read(*messages: str) -> Mentions:
    """Give what messages mention, numbered from 10."""
    found = Mentions()
    found.read(10, messages)
    return found


def test_a_revert_is_read_from_the_body_and_from_the_subject() -> None:
    """Either is enough; several commits in one body are several."""
    body = f'Revert "x"\n\nThis reverts commit {SHA}.\n  This reverts commit abcdef1 too.\n'
    assert read(body, "revert the cache\n", f"undo\n\nThis reverts commit {SHA}\n").reverts == [
        Revert(10, (SHA, "abcdef1"), 'Revert "x"', by_subject=True),
        Revert(11, (), "revert the cache", by_subject=True),
        Revert(12, (SHA,), "undo", by_subject=False),
    ]


@pytest.mark.parametrize(
    "message",
    [
        f"docs\n\nSay what `This reverts commit {SHA}` means\n",
        "Reverting is hard\n",
        "docs\n\nthis reverts commit abcdef1\n",
        "docs\n\nThis reverts commit abc\n",
        "docs\n\nRevert it\n",
    ],
)
def test_what_tells_of_a_revert_is_none(message: str) -> None:
    """The sentence stands alone on its line, with a name of seven digits or more."""
    assert read(message).reverts == []


@pytest.mark.parametrize(
    ("subject", "is_fix"),
    [
        ("fix: a crash", True),
        ("Fixes #12", True),
        ("Bugfix", True),
        ("a REGRESSION of the reader", True),
        ("hotfixes", True),
        ("prefix of names", False),
        ("fixture for it", False),
        ("feat: x\n\nfixes a crash", False),
    ],
)
def test_a_fix_is_read_from_the_subject(subject: str, is_fix: bool) -> None:
    """Whole words of the first line."""
    assert list(read(subject).fixes) == [10] * is_fix


def test_lines_that_name_a_commit_are_read() -> None:
    """`Fixes:` and the line of a cherry-pick, at the beginning of a line."""
    found = read(
        f'a\n\nFixes: {SHA[:12]} ("x")\nfixes: {SHA}\n  Fixes: abcdef1\nFixes: #12\n',
        f"b\n\n(cherry picked from commit {SHA})\n(Cherry-picked from commit abcdef1)\n",
    )
    assert found.fixed == [(10, SHA[:12]), (10, SHA)]
    assert found.picked == [(11, SHA)]


def test_a_squash_merge_ends_with_its_number() -> None:
    """In brackets, at the end of the subject."""
    assert list(read("feat: x (#12)\n\nbody", "feat: x (#12) more", "feat (#1)").squashed) == [10, 12]


def test_bots_are_known_by_their_names() -> None:
    """Each author is looked at once, and answered every time."""
    authors = Authors()
    assert authors.bots(["Ada <a@x>", "dependabot[bot] <b@x>", "Ada <a@x>"]) == b"\0\1\0"
    assert authors.bots(["x <y@users> Pre-Commit-CI", "dependabot[bot] <b@x>"]) == b"\1\1"
    assert authors.bots([]) == b""


@given(st.lists(st.text(st.characters(max_codepoint=255))))
def test_any_message_can_be_read(messages: list[str]) -> None:
    """Messages are written by strangers."""
    found = read(*messages)
    assert all(10 <= revert.commit < 10 + len(messages) for revert in found.reverts)


def test_a_long_message_is_read_in_no_time_and_only_at_its_beginning() -> None:
    """A megabyte of what a careless pattern would walk over again and again."""
    found = read(
        "\n" * 1_000_000 + f"This reverts commit {SHA}\n",
        "x" + " This reverts commit 0123456" * 50_000,
        "Fixes:" * 200_000,
        "(cherry" * 200_000,
    )
    assert found.reverts == []


def test_what_takes_back_or_names_its_cause_is_kept_whole_and_nothing_else() -> None:
    """All other messages take no room but for their subjects."""
    told = (
        'Revert "x"',
        "x\n\nThis reverts commit 1234567.",
        "Reapply “x”\n\nmore",
        "back out x",
        "Backed out changeset 1",
        f"x\n\nlong\n fixes: {SHA}\nSigned-off-by: a",
        "Add a thing that fixes a bug\n\nwith a body\n",
        "Add a thing\n\nFixes #12\n",
    )
    found = read(*(message.encode().decode("latin-1") for message in told))
    assert [message.commit for message in found.telling] == [10, 11, 12, 13, 14, 15]
    assert [message.subject for message in found.telling[1:3]] == ["x", "Reapply “x”"]
    assert [message.body for message in found.telling[1:3]] == ["This reverts commit 1234567.", "more"]
    assert found.telling[5].body == f" fixes: {SHA}"
    assert found.subjects[6:] == ["Add a thing that fixes a bug", "Add a thing"]
    assert found.telling[0].revert is not None and found.telling[5].revert is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_that_takes_back_is_overlooked(subject: str, body: str) -> None:
    """The sieve lets all through that the reader of reverts knows, as people write it."""
    for message in (f"Revert {subject}", f"{subject}\n\nThis reverts commit abcdef12.\n{body}"):
        text = message.encode("utf-8", "replace").decode("utf-8")
        head, _, rest = text.partition("\n")
        if revert_of(head, rest.strip("\n")) is not None:
            assert [m.commit for m in read(text.encode().decode("latin-1")).telling] == [10]
