"""Windows of a fix are laid over other texts, and fit only what has the old form."""

from __future__ import annotations

from difflib import SequenceMatcher
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_bugsle.code.clones import Match, candidates, compare, uses
from pytest_bugsle.code.tokens import logical_lines
from pytest_bugsle.code.windows import Swap, Text, Window, misspelt, roles, windows


def read(text: str) -> Text:
    """Cut a text."""
    return Text(logical_lines(dedent(text)))


def searched(old: str, new: str) -> tuple[list[Window], list[Swap]]:
    """Say what to search for after a change of one text."""
    before, after = read(old), read(new)
    matcher = SequenceMatcher(
        None, [x.tokens for x in before.lines], [x.tokens for x in after.lines], autojunk=False
    )
    changed = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
    deleted = {at for _, i1, i2, _, _ in changed for at in range(i1, i2)}
    added = {at for *_, j1, j2 in changed for at in range(j1, j2)}
    return windows(before, after, deleted, added)


def best(old: str, new: str, other: str) -> Match | None:
    """Lay what a fix changed over another text, and give the best match."""
    text = read(other)
    found = [
        match
        for window in searched(old, new)[0]
        for _, at, anchor in candidates(window, text.shapes)
        if (match := compare(window, text, at, anchor)) is not None
    ]
    return max(found, key=lambda match: match.confidence, default=None)


OLD = """
    def load(path, limit):
        store = connect(path)
        row = store.first(limit)
        name = row.name.strip()
        return name
"""
COMPARED = """
    def keep(rows, limit):
        out = []
        for row in rows:
            if row.size < limit:
                out.append(row)
        return out
"""
GUARDED = OLD.replace("        name =", "        if row is None:\n            return None\n        name =")


def test_a_copy_scores_by_how_much_of_it_agrees() -> None:
    """As is beats renamed, renamed beats renamed with other calls, and that beats other lines around."""
    new = COMPARED.replace("<", "<=")
    texts = [
        COMPARED,
        COMPARED.replace("row", "item").replace("limit", "most"),
        COMPARED.replace("row", "item").replace("append", "add").replace("size", "width"),
        COMPARED.replace("row", "item").replace("append", "add").replace("out = []", "out = set(items)"),
    ]
    found = [match.confidence for text in texts if (match := best(COMPARED, new, text)) is not None]
    assert len(found) == 4
    assert found == sorted(found, reverse=True) and len(set(found)) == 4
    assert found[-1] > 0 and found[0] <= 0.75


def test_names_must_be_renamed_as_one() -> None:
    """One name for one: what is called two things, or two things that are called alike, are at odds."""
    new = COMPARED.replace("<", "<=")
    renamed = best(COMPARED, new, COMPARED.replace("row", "item"))
    torn = best(
        COMPARED, new, COMPARED.replace("append(row)", "append(rows)").replace("return out", "return rows")
    )
    assert renamed is not None and torn is not None
    assert torn.confidence < renamed.confidence / 1.5
    one = best(COMPARED, new, COMPARED.replace("limit", "out"))
    two = best(COMPARED, new, COMPARED.replace("limit", "most"))
    assert one is not None and two is not None
    assert one.confidence < two.confidence / 1.2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("row.size < limit", "row.size <= limit"),
        ("row.size < limit", "row.size < limit + 1"),
        ("row.size < limit", "row.width < limit"),
        ("row.size < limit", "row.size < 10"),
        ("out.append(row)", "out.extend(row)"),
        ("out.append(row)", "out.append(row, True)"),
        ("out.append(row)", "await out.append(row)"),
        ("return out", "return rows"),
        ("out = []", "out = set()"),
        ("in rows:", "in sorted(rows):"),
        ("def keep(rows, limit):", "def keep(rows, limit=3):"),
    ],
)
def test_what_has_the_new_form_is_no_copy(old: str, new: str) -> None:
    """A copy has the old form where the fix changed it; with the new form it is mended already."""
    fixed = COMPARED.replace(old, new)
    assert fixed != COMPARED
    renamed = {"row": "item", "limit": "most", "out": "kept", "keep": "choose"}

    def rename(text: str) -> str:
        for name, other in renamed.items():
            text = text.replace(name, other)
        return text

    assert best(COMPARED, fixed, COMPARED) is not None
    assert best(COMPARED, fixed, rename(COMPARED)) is not None
    for text in (fixed, rename(fixed)):
        match = best(COMPARED, fixed, text)
        assert match is None, match


@pytest.mark.parametrize(
    "guard",
    [
        "if row is None:\n            return None",
        "if row is None:\n            raise KeyError(limit)",
        "if not row:\n            return ''",
        "if row is not None:\n            pass",
        "assert row is not None",
        "if limit and row is None: return",
        "while row is None:\n            row = store.first(limit)",
    ],
)
def test_a_guard_in_another_form_is_a_guard(guard: str) -> None:
    """What tests the same thing before the place, in any form, needs no patch."""
    other = OLD.replace("row", "item").replace(
        "        name =", f"        {guard}\n        name =".replace("row", "item")
    )
    assert best(OLD, GUARDED, OLD.replace("row", "item")) is not None
    assert best(OLD, GUARDED, other) is None


@pytest.mark.parametrize(
    "line",
    [
        "        if limit is None:\n            return None\n        name =",
        "        if path.exists():\n            return None\n        name =",
        "        log(row)\n        name =",
        "        if row > limit:\n            log(limit)\n        name =",
    ],
)
def test_a_guard_of_something_else_is_none(line: str) -> None:
    """A condition on other names, and a line that is none, protect nothing."""
    assert best(OLD, GUARDED, OLD.replace("        name =", line)) is not None


def test_a_guard_that_comes_too_late_is_none() -> None:
    """What is tested after it was used was used untested."""
    late = OLD.replace(
        "return name", "log(name)\n        log(limit)\n        return name if row is None else limit"
    )
    assert best(OLD, GUARDED, late) is not None
    assert best(OLD, GUARDED, OLD.replace("row =", "assert row is None\n        row =")) is None


def test_what_the_fix_adds_may_stand_elsewhere_in_the_function() -> None:
    """A `close` that was added is looked for in the whole function, in the names of the copy."""
    new = OLD.replace("        return name", "        store.close()\n        return name")
    assert best(OLD, new, OLD.replace("store", "link")) is not None
    early = OLD.replace("store", "link").replace("        name =", "        link.close()\n        name =")
    assert best(OLD, new, early) is None
    other = OLD.replace("store", "link").replace("        name =", "        path.close()\n        name =")
    assert best(OLD, new, other) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import os\n", "import os\nimport sys\n"),
        ("def f(a):\n    return a\n", "def f(a: int) -> int:\n    return a\n"),
        ("def f(a):\n    return a\n", 'def f(a):\n    """Words."""\n    return a  # more\n'),
        ("def f(a):\n    return a\n", "def f(a):\n    return a\n\n\ndef g(b):\n    return b\n"),
        ("class A:\n    x = 1\n", "class A:\n    x = 1\n    y = 2\n"),
        ("class A:\n    x = f(1)\n    z = g(x)\n", "class A:\n    x = f(1)\n    h(x)\n    z = g(x)\n"),
        ("def f(a):\n    x = a + 1\n    return x\n", "def g(a):\n    x = a + 1\n    return x\n"),
        ("x = 'a'\n", 'x = "a"\n'),
        ("x = f(a, b)\n", "x = f(\n    a,\n    b,\n)\n"),
        ("x = f(1)\ny = g(2)\nz = h(3)\n", "y = g(2)\nz = h(3)\nx = f(1)\n"),
        (
            "def f(a):\n    x = a + 1\n    return x\n",
            "def f(a):\n    x = a + 1\n    y = None\n    return x\n",
        ),
        ("", "def f(a):\n    return a\n"),
        ("def f(a):\n    return a\n", ""),
    ],
    ids=[
        "import",
        "annotation",
        "words",
        "function",
        "attribute",
        "field",
        "name",
        "quotes",
        "format",
        "order",
        "value",
        "new",
        "gone",
    ],
)
def test_what_is_no_bug_is_not_searched(old: str, new: str) -> None:
    """Imports, annotations, words, formats, new definitions and new names leave nothing to search for."""
    assert searched(old, new) == ([], [])


def test_what_an_addition_is_about_must_be_there() -> None:
    """A guard that was added protects the line behind it; where that is another, there is nothing to guard."""
    assert best(OLD, GUARDED, OLD) is not None
    assert best(OLD, GUARDED, OLD.replace("row.name.strip()", "[*row]")) is None


def test_a_rewritten_region_is_not_searched() -> None:
    """Where many lines changed, the old ones say nothing of others."""
    body = "def f(a):\n" + "".join(f"    a = step{i}(a, {i})\n" for i in range(20))
    assert searched(body, body.replace("(a, ", "(a + 1, "))[0] == []
    assert len(searched(body, body.replace("(a, 7", "(a + 1, 7"))[0]) == 1


def test_two_changes_side_by_side_are_one_window() -> None:
    """Changes with little between them belong together; changes of two functions never do."""
    new = COMPARED.replace("<", "<=").replace("out = []", "out = list()")
    assert len(searched(COMPARED, new)[0]) == 1
    far = "def f(a):\n" + "".join(f"    a.do{i}({i})\n" for i in range(9))
    assert len(searched(far, far.replace("(1)", "(10)").replace("(8)", "(80)"))[0]) == 2
    two = "def f(a):\n    return a.x(1)\n\n\ndef g(a):\n    return a.y(2)\n"
    assert len(searched(two, two.replace("(1)", "(3)").replace("(2)", "(4)"))[0]) == 2


def test_a_short_line_alone_is_no_clone() -> None:
    """`return x` is everywhere."""
    old = "def f(x, y):\n    return x\n"
    assert best(old, old.replace("return x", "return y"), "def g(a, b):\n    return a\n") is None


def test_words_that_were_replaced() -> None:
    """A misspelt word is told, in a string too, and an attribute; a variable that got another name is not."""
    old = "def f(a, rows):\n    a.issupserset(rows)\n    b = rows\n    a.utcnow()\n    log('Lenght')\n"
    new = "def f(a, rows):\n    a.issuperset(rows)\n    b = items\n    a.now()\n    log('Length')\n"
    found = {swap.word: swap for swap in searched(old, new)[1]}
    assert set(found) == {"issupserset", "Lenght"}
    assert found["Lenght"].quoted and not found["issupserset"].quoted
    assert found["issupserset"].line == 2
    assert searched(old, old.replace("'Lenght'", "'Length that was measured'"))[1] == []
    replaced = searched(old, old.replace("utcnow", "today"))[1]
    assert [(swap.word, swap.by) for swap in replaced] == [("utcnow", {"today"})]


def test_misspelt_words_are_almost_alike() -> None:
    """Two letters in another order, one too many; not a plural, a prefix, or another word."""
    assert misspelt("recieve", ["receive"]) and misspelt("issupserset", ["issuperset"])
    assert (
        not misspelt("name", ["names"])
        and not misspelt("load", ["safe_load"])
        and not misspelt("find", ["sort"])
    )


def test_uses_of_a_word() -> None:
    """Uses are told from comments, and a word that is defined somewhere has a right to be."""
    text = read("a.getvalue(1)  # getvalue\nb = f(getvalue=2)\nlog('getvalue of')\n")
    assert uses("getvalue", text, quoted=False) == ([0, 1], False)
    assert uses("getvalue", text, quoted=True) == ([2], False)
    for line in (
        "def getvalue(a): pass",
        "a.getvalue = 1",
        "def f(a, getvalue): pass",
        "for getvalue in a: pass",
    ):
        assert uses("getvalue", read(line), quoted=False)[1], line


def test_roles_of_names() -> None:
    """What is called, a keyword, an attribute and a class play their parts; a parameter is a variable."""

    def of(text: str) -> dict[str, str]:
        tokens = logical_lines(text)[0].tokens
        return dict(zip(tokens, roles(tokens), strict=True))

    parts = of("a.b = c(d, e=1, f=Error) or len(g)")
    assert [parts[x] for x in ("a", "b", "c", "d", "e", "1", "Error", "len", "g")] == [
        "variable", "attribute", "called", "variable", "keyword", "literal", "global", "builtin", "variable"
    ]  # fmt: skip
    assert of("def f(a, b=1): pass")["b"] == "variable" and of("def f(a): pass")["f"] == "own"


PIECES = st.lists(
    st.sampled_from(
        ["a = f(b)", "if a < b:", "    c = a.d", "def f(a, b):", "class A:", "    return a", "x = [1, 2]",
         "    a.close()", "else:", "for a in b:", "        pass", "@f", "    if a is None:", "'''"]
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=200)
@given(PIECES, PIECES, PIECES)
def test_any_change_of_any_text_is_searched_in_any_text(
    old: list[str], new: list[str], other: list[str]
) -> None:
    """Nothing fails, a confidence is one, and a place is a line of the text."""
    text = read("\n".join(other))
    for window in searched("\n".join(old), "\n".join(new))[0]:
        for _, at, anchor in candidates(window, text.shapes):
            match = compare(window, text, at, anchor)
            assert match is None or (0 <= match.confidence <= 0.75 and 0 <= match.place < len(text.lines))
        assert window.line >= 1


def test_what_is_called_at_the_change_counts_most() -> None:
    """The same argument of another call is another matter."""
    old = OLD.replace("store.first(limit)", "store.first(limit, timeout=30)")
    new = old.replace("timeout=30", "timeout=3")
    same, other = best(old, new, old), best(old, new, old.replace("store.first", "store.last"))
    assert same is not None and other is not None
    assert other.confidence < same.confidence * 0.5


def test_a_lock_by_any_name_is_a_lock() -> None:
    """The same lines under another lock are under a lock; under something that is called, they are not."""
    new = OLD.replace("        row =", "        with path.lock:\n            row =")
    assert best(OLD, new, OLD) is not None
    assert best(OLD, new, new.replace("lock", "mutex")) is None
    assert (
        best(OLD, new, OLD.replace("        row =", "        if path.lock:\n            row =")) is not None
    )


def test_module_level_says_less() -> None:
    """The same lines in a function are likelier to be a copy."""
    lines = ["a = f(1, LIMIT, mode='r')", "b = g(a, 2, LIMIT)", "c = h(a, b, 3)"]
    flat = "\n".join(lines)
    inside = "def x():\n" + "\n".join(f"    {line}" for line in lines)
    outside_match = best(flat, flat.replace("2", "4"), flat)
    inside_match = best(inside, inside.replace("2", "4"), inside)
    assert outside_match is not None and inside_match is not None
    assert outside_match.confidence < inside_match.confidence * 0.65
