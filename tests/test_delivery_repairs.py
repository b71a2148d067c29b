"""Which commits take which back, and which name what they fix."""

from __future__ import annotations

import pytest
from delivery_stories import Story, line, sha_of, story
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.repairs import (
    Message,
    Pair,
    copies_of,
    idle,
    is_revert,
    pairs,
    titles_of,
)

SUBJECTS = {"a": "Add a thing (#7)", "b": "Change b"}


def found(told: Story, *messages: Message, subjects: dict[str, str] = SUBJECTS) -> list[Pair]:
    """Resolve messages with the subjects of the whole history."""
    every = [(told.at(name), subject) for name, subject in subjects.items()]
    every += [(message.commit, message.subject) for message in messages]
    return pairs(told.graph, messages, titles_of(every, messages))


@pytest.fixture
def told() -> Story:
    """A line of four commits, the first two deployed before the others."""
    return story(line("a", "b", "c", "d"), {"1.0": ("b", 1), "1.1": ("d", 2)})


def test_git_s_own_sentence_names_the_commit(told: Story) -> None:
    """In full or abbreviated, several in one body, each once; what is not here is left out."""
    body = f"This reverts commit {sha_of('a')}.\n\nThis reverts commit {sha_of('b')[:9]}.\nThis reverts commit 00000000."
    got = found(told, Message(told.at("c"), "Undo", body))
    assert got == [Pair(2, 0, "body"), Pair(2, 1, "body")]


@pytest.mark.parametrize(
    ("subject", "body", "target", "how"),
    [
        ('Revert "Change b"', "", "b", "title"),
        ('revert: "Add a thing"', "", "a", "title"),
        ('Revert "Add a thing (#7)" (#9)', "", "a", "title"),
        ("Revert “Add a thing (#7)”", "Reverts owner/repo#7", "a", "number"),
        ('Revert "Nobody knows"', "", None, ""),
        ("Explain how to revert", "", None, ""),
    ],
)
def test_a_revert_without_a_sha_is_found_by_title_or_number(
    told: Story, subject: str, body: str, target: str | None, how: str
) -> None:
    """A body alone misses up to half of them."""
    got = found(told, Message(told.at("c"), subject, body))
    assert [(pair.target, pair.how) for pair in got] == ([] if target is None else [(told.at(target), how)])


def test_a_title_is_looked_for_among_ancestors_only() -> None:
    """The same title on another branch, or later, is another commit; the nearest counts, whatever its date."""
    told = story(
        {"old": "", "near": "old", "side": "old", "revert": "near", "later": "revert"}, {"1": ("later", 1)}
    )
    subjects = dict.fromkeys(("old", "near", "side", "later"), "Change b")
    got = found(told, Message(told.at("revert"), 'Revert "Change b"'), subjects=subjects)
    assert got == [Pair(told.at("revert"), told.at("near"), "title")]


def test_a_fixes_trailer_names_its_commit(told: Story) -> None:
    """`Fixes: #12` names no commit, and prose about fixing none either."""
    message = Message(told.at("c"), "mend", f'why\n\nFixes: {sha_of("a")[:8]} ("Add a thing")\nFixes: #12')
    assert found(told, message) == [Pair(2, 0, "trailer")]
    assert found(told, Message(2, "mend", f"this fixes: nothing of {sha_of('a')}")) == []


def test_a_merge_can_be_taken_back(told: Story) -> None:
    """git writes both the merge and what it was merged into: the merge is what goes."""
    body = f"This reverts commit {sha_of('b')}, reversing\nchanges made to {sha_of('a')}."
    assert found(told, Message(told.at("c"), 'Revert "Merge x"', body)) == [Pair(2, 1, "body")]


def test_a_revert_that_was_taken_back_before_it_shipped_took_nothing_away() -> None:
    """And landing a change again says nothing against the deployment of the revert."""
    told = story(line("x", "r1", "r2", "r3"), {"1": ("x", 1), "2": ("r2", 2), "3": ("r3", 3)})
    messages = [
        Message(1, 'Revert "x"', f"This reverts commit {sha_of('x')}."),
        Message(2, 'Revert "Revert "x""', f"This reverts commit {sha_of('r1')}."),
    ]
    reverts = {message.commit for message in messages if is_revert(message)}
    assert reverts == {1}
    every = found(told, *messages, subjects={})
    assert idle(every, told.labels, reverts.__contains__) == set(every)
    # Shipped in between, the first revert did take it away.
    apart = story(line("x", "r1", "r2", "r3"), {"1": ("x", 1), "2": ("r1", 2), "3": ("r3", 3)})
    assert idle(every, apart.labels, reverts.__contains__) == {Pair(2, 1, "body")}


def test_a_revert_that_was_put_back_and_made_again_stands() -> None:
    """Three in one deployment: the last one counts."""
    told = story(line("x", "r1", "again", "r2"), {"1": ("x", 1), "2": ("r2", 2)})
    every = [Pair(1, 0, "body"), Pair(2, 1, "body"), Pair(3, 2, "body")]
    assert idle(every, told.labels, {1, 3}.__contains__) == {Pair(2, 1, "body")}


def test_a_revert_that_was_picked_to_another_line_takes_back_the_copy() -> None:
    """It still names the original, which that line never had: its deployment is not mended by it."""
    told = story(
        {"root": "", "x": "root", "x2": "root", "undo": "x", "undo2": "x2"},
        {"4.6.1": ("x2", 1), "5.0": ("x", 2), "4.6.2": ("undo2", 3), "5.1": ("undo", 4)},
    )
    picked = Message(told.at("x2"), "x", f"(cherry picked from commit {sha_of('x')})")
    body = f"This reverts commit {sha_of('x')}."
    undo = [Message(told.at(name), 'Revert "x"', body) for name in ("undo", "undo2")]
    copies = copies_of(told.graph, [(picked.commit, sha_of("x"))])
    assert copies == {told.at("x"): [told.at("x2")]}
    got = pairs(told.graph, undo, {}, copies)
    assert [(pair.fix, pair.target) for pair in got] == [
        (told.at("undo"), told.at("x")),
        (told.at("undo2"), told.at("x2")),
    ]
    assert {pair.target for pair in pairs(told.graph, undo, {})} == {told.at("x")}


def test_a_partial_revert_says_so(told: Story) -> None:
    """It is a fix all the same."""
    (pair,) = found(told, Message(2, 'Partially revert "Change b"', f"This reverts commit {sha_of('b')}."))
    assert pair.partly


@given(st.text(max_size=200), st.text(max_size=400))
def test_no_message_is_too_strange(subject: str, body: str) -> None:
    """Strangers write them."""
    told = story(line("a", "b"), {"1": ("b", 1)})
    for pair in found(
        told, Message(1, subject, f"{body}\nreverts commit {sha_of('a')[:7]}"), subjects={"a": "x"}
    ):
        assert pair.target == 0
