"""Bug references are found, normalised and compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.history.references import (
    Mention,
    bug_references,
    is_security,
    labels_of,
    normalise,
    references,
    repository_slug,
    same_bug,
)


@pytest.mark.parametrize(
    ("text", "bugs"),
    [
        ("Fix #42", ("#42",)),
        ("see GH-42 and gh-42", ("#42",)),
        ("octo/app#42", ("octo/app#42",)),
        ("https://github.com/octo/app/issues/42", ("octo/app#42",)),
        ("https://github.com/octo/app/pull/42#issuecomment-1", ("octo/app#42",)),
        ("https://gitlab.com/group/sub/app/-/issues/7", ("group/sub/app#7",)),
        ("https://gitlab.com/group/app/-/merge_requests/7", ("group/app!7",)),
        ("http://bugs.python.org/issue21514 and bpo-21514", ("bpo-21514",)),
        ("PROJ-7: crash", ("PROJ-7",)),
        ("Merge branch 'feature/PROJ-7-do-it'", ("PROJ-7",)),
        ("INC-2025-001 postmortem", ("INC-2025-001",)),
        ("CVE-2024-12345 (cve-2024-12345)", ("CVE-2024-12345",)),
        ("GHSA-ABCD-1234-wxyz", ("GHSA-abcd-1234-wxyz",)),
        ("fixing issue 110 by other means", ("#110",)),
        ("[#42](https://github.com/octo/app/issues/42)", ("#42",)),
        ("#2, #1, #2", ("#2", "#1")),
        ("Fix crash (#51)\n\nFixes #42", ("#42", "#51")),
    ],
)
def test_references_are_found_and_normalised(text: str, bugs: tuple[str, ...]) -> None:
    """Every usual spelling is found, once, in one form."""
    assert bug_references(text) == bugs


@pytest.mark.parametrize(
    "text",
    [
        "decode UTF-8 and UTF-16, ISO-8859-1, ISO-8601",
        "PEP-8, SHA-256, RFC-7231, HTTP-2, X-1, BASE64-2, MD5-1, SJ-PT-23-02, UTC-2024-01-02",
        "colour #fff, #000000, &#42; C#1 v1#2x #0 #12abc",
        "`#42` and ``Fixes #43``",
        "```\nFixes #42\n```",
        "~~~ python\n#42\n~~~",
        "<!-- Fixes #42 -->",
        "fix 2 bugs in 3 files",
    ],
)
def test_what_only_looks_like_a_reference_is_left_alone(text: str) -> None:
    """Standards, colours, code and comments are no bugs."""
    assert bug_references(text) == ()


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("x\n\nFixes #42", Mention.FIXES),
        ("x\n\nfix: #42", Mention.FIXES),
        ("Test and fix for #42", Mention.FIXES),
        ("Fixed the bug #42", Mention.FIXES),
        ("fixes https://github.com/octo/app/issues/42", Mention.FIXES),
        ("x\n\nCloses: #42", Mention.CLOSES),
        ("resolved GH-42", Mention.CLOSES),
        ("related to #42", Mention.MENTION),
        ("this does not fix #42", Mention.MENTION),
        ("it doesn't yet close #42", Mention.MENTION),
        ("as fixed in #42", Mention.MENTION),
        ("prefixes #42", Mention.MENTION),
        ("Fix crash (#42)", Mention.PULL_REQUEST),
        ("Merge pull request #42 from octo/fix", Mention.PULL_REQUEST),
        ("x\n\nSee merge request group/app!42", Mention.PULL_REQUEST),
        ("Fix crash (fixes #42)", Mention.FIXES),
        ("Fix crash (#42)\n\nFixes #42", Mention.FIXES),
    ],
)
def test_the_kind_of_mention_is_told(text: str, mention: Mention) -> None:
    """Fixing, closing, mentioning and being a pull request differ; the strongest stays."""
    assert [r.mention for r in references(text)] == [mention]


def test_a_list_after_a_keyword_is_closed_as_a_whole() -> None:
    """`fixes #1, #2 and #3` fixes three bugs; what comes later is only mentioned."""
    found = {r.bug: r.mention for r in references("x\n\nfixes #1, #2 and #3. See #4")}
    assert found == {"#1": 3, "#2": 3, "#3": 3, "#4": 1}


def test_the_home_repository_is_left_out() -> None:
    """A URL of the project's own tracker is the short form."""
    url = "https://github.com/Octo/App/issues/42"
    assert bug_references(f"{url} other/app#42", home="octo/app") == ("#42", "other/app#42")
    assert same_bug("#42", url, home="octo/app")
    assert not same_bug("#42", "other/app#42", home="octo/app")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("#42", "GH-42", True),
        ("42", " #42 ", True),
        ("proj-7", "PROJ-7", True),
        ("cve-2024-12345", "CVE-2024-12345", True),
        ("#42", "octo/app#42", True),
        ("octo/app#42", "other/app#42", False),
        ("#42", "#43", False),
        ("#42", "!42", False),
        ("PROJ-7", "PROJ-70", False),
        ("", "", False),
        ("the purge bug", "The purge bug", True),
    ],
)
def test_references_are_compared_normalised(a: str, b: str, same: bool) -> None:
    """Two spellings of one bug are the same bug."""
    assert same_bug(a, b) is same
    assert same_bug(b, a) is same


def test_an_unclosed_comment_hides_nothing() -> None:
    """A stray `<!--` does not swallow the rest of the message."""
    assert bug_references("<!-- Fixes #42") == ("#42",)


def test_security_ids_and_labels() -> None:
    """Published vulnerabilities are known as such, labels are found by any spelling."""
    assert is_security("CVE-2024-1234")
    assert not is_security("PROJ-7")
    assert labels_of(["#42"], {"GH-42": ("Bug", "P1"), "#4": ("feature",)}) == {"bug", "p1"}


@pytest.mark.parametrize(
    ("url", "slug"),
    [
        ("git@github.com:octo/app.git", "octo/app"),
        ("https://github.com/octo/app", "octo/app"),
        ("ssh://git@gitlab.example.org:2222/group/sub/app.git/", "group/sub/app"),
        ("/srv/git/app.git", None),
        ("../app", None),
    ],
)
def test_the_slug_of_a_remote(url: str, slug: str | None) -> None:
    """A remote's URL tells the home repository."""
    assert repository_slug(url) == slug


@given(st.text())
def test_any_text_gives_normal_forms(text: str) -> None:
    """What is found is ordered, unique, and normal already."""
    found = bug_references(text)
    assert len(set(found)) == len(found)
    assert all(normalise(bug) == bug for bug in found)


_BUGS = st.one_of(
    st.integers(1, 10**8).map(lambda n: f"#{n}"),
    st.tuples(st.sampled_from(["PROJ", "AB", "CORE2"]), st.integers(1, 10**6)).map(
        lambda t: f"{t[0]}-{t[1]}"
    ),
    st.tuples(st.sampled_from(["octo/app", "a.b/c-d"]), st.integers(1, 10**6)).map(
        lambda t: f"{t[0]}#{t[1]}"
    ),
    st.tuples(st.integers(1999, 2030), st.integers(1000, 99999)).map(lambda t: f"CVE-{t[0]}-{t[1]}"),
)


@given(
    st.lists(_BUGS, min_size=1, max_size=6, unique=True), st.sampled_from([" ", ", ", " and ", "\n- ", " ("])
)
def test_what_is_written_is_read_back(bugs: list[str], between: str) -> None:
    """References survive the words and signs around them, in order."""
    assert bug_references("About " + between.join(bugs) + ".") == tuple(bugs)
    assert bug_references("<!--" + between.join(bugs) + "-->") == ()
