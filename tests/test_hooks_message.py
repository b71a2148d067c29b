"""Reading a message file as git will keep it: git itself is asked what it kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_sandbox import Sandbox
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_bugsle.git.log import read_log
from pytest_bugsle.hooks.message import Message, read_message

NO_EDITOR = {"GIT_EDITOR": ":"}
CUT = "------------------------ >8 ------------------------"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """An empty repository."""
    return Sandbox(tmp_path_factory.mktemp("message") / "repo")


def read(sandbox: Sandbox, text: str | bytes, **environ: str) -> Message:
    """Read a message in a repository."""
    with sandbox.open() as repo:
        return read_message(repo, text.encode() if isinstance(text, str) else text, environ)


_LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["", " ", "fix: a", "# comment", "  # not one", "Fixes: 1", "Bugsle-Waive: BUG101 why", " folded", "---",
             "#", "a\tb ", "Signed-off-by: A <a@b>", "ü", f"# {CUT}", CUT]
        ),
        st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20),
    ),
    max_size=12,
)  # fmt: skip


@example(lines=["\ufffe"], edited=False)
@example(lines=["fix: \ufdd0 \U0001ffff \ufdcf", "", "Fixes: \uffff"], edited=True)
@given(lines=_LINES, edited=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_message_is_read_as_git_keeps_it(sandbox: Sandbox, lines: list[str], edited: bool) -> None:
    """Subject, body and trailers are those of the commit that git makes of the same file."""
    raw = "\n".join(lines).encode() + b"\n"
    cleanup = "scissors" if edited else "whitespace"
    if edited and not any(line.startswith(f"# {CUT}") for line in lines):
        cleanup = "strip"
    elif edited or f"# {CUT}" in lines:
        return  # with scissors git keeps comments above them, and only below an editor
    sandbox.git(
        "commit", "-q", "--allow-empty", "--allow-empty-message", f"--cleanup={cleanup}", "-F", "-", input=raw
    )
    with sandbox.open() as repo:
        kept = read_log(repo, None, "HEAD", limit=1)[0]
    found = read(sandbox, raw, **({} if edited else NO_EDITOR))
    assert (found.subject, found.body.strip(), found.trailers) == (
        kept.subject,
        kept.body.strip(),
        kept.trailers,
    )


def test_comments_go_where_an_editor_was_open(sandbox: Sandbox) -> None:
    """git names the editor `:` where there was none, and then keeps them."""
    assert read(sandbox, "# a\nfix: b\n").subject == "fix: b"
    assert read(sandbox, "# a\nfix: b\n", **NO_EDITOR).subject == "# a fix: b"


def test_what_stands_below_the_scissors_goes(sandbox: Sandbox) -> None:
    """`git commit -v` shows a diff there."""
    found = read(sandbox, f"fix: b\n# {CUT}\n# Do not touch\ndiff --git a/x\nFixes: 1\n")
    assert found == Message("fix: b", "", ())


@pytest.mark.parametrize(
    ("config", "text", "subject"),
    [
        ({"core.commentChar": ";"}, "; a\n# b\n", "# b"),
        ({"core.commentChar": "auto"}, "# b\n; a\n;\n; help\n", "# b"),
        ({"core.commentChar": "auto"}, f"# b\n; {CUT}\nx\n", "# b"),
        ({"core.commentChar": "auto"}, "# a\nb\n", "b"),
        ({"commit.cleanup": "whitespace"}, "# a\n\nb\n", "# a"),
        ({"commit.cleanup": "strip"}, "# a\n\nb\n", "b"),
    ],
)
def test_the_users_settings_say_what_a_comment_is(
    tmp_path: Path, config: dict[str, str], text: str, subject: str
) -> None:
    """`core.commentChar` with its `auto`, and `commit.cleanup`."""
    sandbox = Sandbox(tmp_path / "repo")
    for key, value in config.items():
        sandbox.git("config", key, value)
    assert read(sandbox, text).subject == subject


def test_a_message_ends_at_a_nul(sandbox: Sandbox) -> None:
    """As git's own do; it would end our fields too."""
    assert read(sandbox, "fix: a\0b\n").subject == "fix: a"


def test_other_encodings_are_read(tmp_path: Path) -> None:
    """By `i18n.commitEncoding`; a byte that does not fit, or an unknown name, is no crash."""
    sandbox = Sandbox(tmp_path / "repo")
    sandbox.git("config", "i18n.commitEncoding", "latin-1")
    assert read(sandbox, b"fix: \xfc\n").subject == "fix: ü"
    sandbox.git("config", "i18n.commitEncoding", "nonsense")
    assert read(sandbox, b"fix: \xfc\n").subject == "fix: \udcfc"


def test_the_end_of_a_huge_message_is_read(sandbox: Sandbox) -> None:
    """The trailers stand there."""
    raw = b"fix: a\n\n" + b"word\n" * 1_000_000 + b"\nBugsle-Waive: BUG101 why\n"
    assert read(sandbox, raw).trailers == (("Bugsle-Waive", "BUG101 why"),)
