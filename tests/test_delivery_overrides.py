"""What people say of links between failures and fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from delivery_stories import DAY, Story, line, sha_of, story
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.delivery.links import Link
from pytest_bugsle.delivery.overrides import (
    Override,
    Overruled,
    override_text,
    overrule,
    parse_overrides,
    write_override,
)
from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """# by hand
[[reject]]
cause = "1a2b3c4"
fix = "5d6e7f8"
reason = "planned"

[[add]]
cause = "8.0.1"
reason = "by phone"

[[reject]]
cause = "8.0.0"
reason = "a beta"
"""


@pytest.fixture
def told() -> Story:
    """Three deployments and a commit that is in none."""
    return story(line("a", "b", "c", "d"), {"1.0": ("a", 1), "1.1": ("b", 2), "1.2": ("c", 3)})


def judged(told: Story, links: list[Link], *overrides: Override) -> Overruled:
    """Overrule links."""
    return overrule(links, overrides, told.graph, told.deployments, told.labels)


def test_the_file_is_read_in_its_order() -> None:
    """Each entry knows its line."""
    assert [(o.action, o.cause, o.fix, o.reason, o.place) for o in parse_overrides(TEXT, "f.toml")] == [
        ("reject", "1a2b3c4", "5d6e7f8", "planned", "f.toml:2"),
        ("add", "8.0.1", None, "by phone", "f.toml:7"),
        ("reject", "8.0.0", None, "a beta", "f.toml:11"),
    ]
    assert parse_overrides("") == []


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[[reject]", "f.toml: it is no TOML", "mend the line"),
        ("[[rejects]]\n", "'rejects' is not known here", "[[reject]]"),
        ("add = 1", "'add' must be a list of tables", "[[add]]"),
        ('\n[[add]]\ncause = "x"\n', "f.toml:2: [[add]] lacks 'reason'", 'reason = "…"'),
        ('[[add]]\nreason = "x"\n', "f.toml:1: [[add]] lacks 'cause'", 'cause = "…"'),
        ('[[add]]\ncause = "x"\nreson = "y"', "'reson' is no key of [[add]]", "use reason"),
        ('[[add]]\ncause = 8.1\nreason = "y"', "'cause' must be a text", 'cause = "…"'),
        ('[[add]]\ncause = "x"\nreason = " "', "'reason' must be a text that is not empty", 'reason = "…"'),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_place(text: str, what: str, hint: str) -> None:
    """An entry that is passed over would overrule nothing, unseen."""
    with pytest.raises(UsageError) as caught:
        parse_overrides(text, "f.toml")
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert "overrules" in caught.value.why


def test_a_link_is_rejected_by_commit_or_by_deployment(told: Story) -> None:
    """With a fix that one alone, without it every link of the cause."""
    links = [
        Link("explicit", 0, 0, "e", 0, 1, 1),
        Link("szz", 0, 0, "e", 0, 2, 2),
        Link("szz", 1, 0, "e", 1, 2, 2),
    ]
    one = Override("reject", sha_of("a")[:8], "r", sha_of("c")[:8])
    assert judged(told, links, one).links == (links[0], links[2])
    every = Override("reject", "v1.0", "r")
    got = judged(told, links, every)
    assert got.links == (links[2],)
    assert got.rejected == ((links[0], every), (links[1], every))
    assert judged(told, links, Override("reject", "1.0", "r", "1.1")).links == tuple(links[1:])


def test_a_link_is_added(told: Story) -> None:
    """Cause and fix may be commits or deployments; without a fix the failure is open."""
    got = judged(told, [], Override("add", sha_of("a"), "seen", sha_of("b"), "f.toml:2"))
    assert got.links == (Link("explicit", 0, 2 * DAY, "f.toml:2 says so: seen", 0, 1, 1),)
    got = judged(
        told, [], Override("add", "1.1", "seen", "1.2", "f"), Override("add", "1.2", "seen", None, "f")
    )
    assert [(link.deployment, link.fixed_in) for link in got.links] == [(1, 2), (2, None)]


def test_entries_that_change_nothing_are_said(told: Story) -> None:
    """A slip, a link that is no longer found, a fix before its cause, a cause that was never deployed."""
    got = judged(
        told,
        [],
        Override("reject", "1.0", "r", None, "f:1"),
        Override("reject", "1.11", "r", None, "f:2"),
        Override("add", "1.1", "r", "1.0", "f:3"),
        Override("add", sha_of("d"), "r", None, "f:4"),
    )
    assert got.links == ()
    assert got.unused[0] == "f:1: no link from 1.0 is found that it could reject"
    assert got.unused[1].startswith(
        "f:2: '1.11' names no commit and no deployment; the nearest deployments are 1.1"
    )
    assert got.unused[2] == "f:3: 1.0 was deployed before 1.1: it cannot mend it"
    assert got.unused[3] == f"f:4: {sha_of('d')} was never deployed, so that no deployment failed by it"


def test_an_entry_is_written_behind_what_stands_there(tmp_path: Path) -> None:
    """Comments stay, git sees the file, and the same entry is not written twice."""
    path = tmp_path / ".bugsle" / "failures.toml"
    write_override(path, Override("add", "1.0", 'said "so"\n\x7f'))
    path.write_text("# ours\n" + path.read_text())
    write_override(path, Override("reject", "1a2b3c4", "no", "5d6e7f8"))
    write_override(path, Override("reject", "1a2b3c4", "no", "5d6e7f8"))
    text = path.read_text()
    assert text.startswith("# ours\n[[add]]\n") and text.count("[[reject]]") == 1
    assert [o.reason for o in parse_overrides(text)] == ['said "so"\n\x7f', "no"]
    assert "!failures.toml" in (path.parent / ".gitignore").read_text()


@given(st.text(min_size=1), st.none() | st.text(min_size=1), st.text(min_size=1))
def test_any_text_survives_the_file(cause: str, fix: str | None, reason: str) -> None:
    """Quotes, control characters and all."""
    override = Override(
        "reject", cause.strip() or "x", reason.strip() or "x", (fix.strip() or "x") if fix else None
    )
    assert parse_overrides(override_text(override)) == [override]
