"""The quarantine: its file, what it excuses, what it says, and when a test may leave it."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.errors import UsageError
from pytest_bugsle.flaky import quarantine
from pytest_bugsle.flaky.quarantine import Entry, Failure
from pytest_bugsle.store.questions import PastAttempt
from pytest_bugsle.store.records import CodeVersion

TODAY = dt.date(2030, 5, 20)
DAY = dt.timedelta(days=1)
ADDED = TODAY - 10 * DAY


def entry(id: str = "t.py::a", **more: object) -> Entry:
    """An entry that holds, unless told otherwise."""
    given = {"failures": 3, "attempts": 40, "fingerprints": ("f1", "f2"), "owner": "Ada", "issue": "#42",
             "added": ADDED, "expires": ADDED + 30 * DAY}  # fmt: skip
    return Entry(**{"id": id, **given, **more})


def refusals(*failures: Failure, of: Entry | None = None, today: dt.date = TODAY) -> dict[str, str]:
    """What the judge says of these failures."""
    return quarantine.excuses([of or entry()], today, failures)


# --- the file --------------------------------------------------------------------------------------

texts = st.text(st.characters(codec=None), min_size=1) | st.sampled_from(
    [
        '"',
        "\\",
        "\\u0041",
        '"""\n[[test]]',
        "\r\n",
        "\x00",
        "\x1a",
        "\x1a0000",
        "\ud800",
        "\udcff",
        "\u202e",
        "é#[]=",
    ]
)
days = st.dates(dt.date(1, 1, 1), dt.date(9999, 1, 1))


@st.composite
def entries_made(draw: st.DrawFn) -> Entry:
    """Any entry that can be written."""
    added, attempts = draw(days), draw(st.integers(0, 10**12))
    return Entry(
        id=draw(texts),
        cause=draw(texts | st.just("")),
        failures=draw(st.integers(0, attempts)),
        attempts=attempts,
        fingerprints=tuple(draw(st.lists(texts, max_size=3))),
        owner=draw(texts),
        issue=draw(texts),
        added=added,
        expires=added + draw(st.integers(0, 300)) * DAY,
    )


@given(st.lists(entries_made(), unique_by=lambda entry: entry.id, max_size=4))
def test_what_is_written_is_read_again(entries: list[Entry]) -> None:
    """Of ids, causes and owners with any characters, and through the encoding of a file."""
    written = quarantine.text(entries).encode()
    read = quarantine.parse(written.decode(), "q")
    assert read == tuple(sorted(entries, key=lambda entry: entry.id))
    assert [written.decode().split("\n")[entry.line - 1] for entry in read] == ["[[test]]"] * len(entries)


@given(st.lists(entries_made(), unique_by=lambda entry: entry.id, max_size=4))
def test_the_same_entries_give_the_same_text(entries: list[Entry]) -> None:
    """Whatever their order, so that a review shows only what changed, and nothing that is not seen."""
    written = quarantine.text(entries)
    assert written == quarantine.text(reversed(entries))
    assert all(each.isprintable() or each == "\n" or ord(each) > 0x9F for each in written)
    assert not set("\u202e\u200f\u2066\ufeff") & set(written)


@given(
    st.text()
    | st.sampled_from(["test = 3", "[test]", "x" * 20_000, "a = " + "[" * 5_000, "a = " + "9" * 5_000])
)
def test_any_text_is_read_or_refused(content: str) -> None:
    """Never with another error."""
    try:
        quarantine.parse(content, "q")
    except UsageError as error:
        caught = error
    else:
        return
    assert caught.hint and str(caught).startswith("q")


GOOD = quarantine.text([entry()])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("failures = 3", "failure = 3", "q:3: there is no key 'failure'.\n  next: did you mean failures?"),
        ("failures = 3", "qqqqq = 3", "the keys are id, cause, failures"),
        ("failures = 3", 'failures = "3"', "q:3: `failures` must be a whole number."),
        ("failures = 3", "failures = true", "`failures` must be a whole number."),
        ("failures = 3", "failures = 41", "41 of 40 attempts cannot have failed"),
        ("failures = 3", "failures = -1", "-1 of 40 attempts cannot have failed"),
        ('"f2"]', "2]", "`fingerprints` must be a list of texts"),
        ("expires = 2030-06-09", "expires = 2030-06-09T00:00:00", "`expires` must be a date such as"),
        ("expires = 2030-06-09", "expires = 2030-05-09", "it expires before it was added"),
        ("expires = 2030-06-09", "", "the entry has no `expires`"),
        ("added = 2030-05-10", "", "the entry has no `added`"),
        ('owner = "Ada"', 'owner = ""', "the entry has no `owner`"),
        ('issue = "#42"', "", "the entry has no `issue`"),
        ('id = "t.py::a"', "", "the entry has no `id`"),
        ("[[test]]", "[[tests]]", "there is no key 'tests'"),
        ("[[test]]", "[test]", "`test` is no list of tables"),
        ("failures = 3", "failures = ", "q:6: this is no TOML"),
        ("failures = 3", "<<<<<<< HEAD\nfailures = 3", "q:6: a conflict marker of git"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old: str, new: str, said: str) -> None:
    """By its line, with what to type."""
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        quarantine.parse(GOOD.replace(old, new), "q")
    assert said in str(caught.value) and caught.value.hint


def test_a_test_has_one_entry() -> None:
    """Two that were merged are told apart by a person."""
    with pytest.raises(UsageError, match=r"q:14: 't\.py::a' is listed twice"):
        quarantine.parse(GOOD + "\n" + GOOD.split("\n", 2)[2], "q")


def test_entries_in_another_form_have_no_line() -> None:
    """An inline table is read as well; only its line is not known."""
    inline = (
        'test = [{id = "a", owner = "x\\n[[test]]", issue = "#1", added = 2030-01-01, expires = 2030-01-02}]'
    )
    (read,) = quarantine.parse(inline, "q")
    assert (read.id, read.line) == ("a", 0)


def test_a_file_is_written_and_git_sees_it(tmp_path: Path) -> None:
    """Where there is none, nothing is quarantined; a byte order mark does no harm."""
    path = quarantine.place(tmp_path)
    assert quarantine.read(path) == ()
    quarantine.write(path, [entry()])
    assert quarantine.read(path) == (entry(),)
    assert "!quarantine.toml" in path.with_name(".gitignore").read_text().split("\n")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert quarantine.read(path) == (entry(),)


def test_bytes_that_are_no_text_are_named_by_line(tmp_path: Path) -> None:
    """Before anything is read from them."""
    path = tmp_path / "q.toml"
    path.write_bytes(b"\n\n\xff")
    with pytest.raises(UsageError, match=r"q\.toml:3: this is no UTF-8"):
        quarantine.read(path)


@pytest.mark.parametrize("link", [".bugsle", ".bugsle/quarantine.toml"])
def test_links_are_refused(tmp_path: Path, link: str) -> None:
    """Of the file and of its folder, to read and to write; what they lead to is left alone."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = quarantine.place(tmp_path)
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere if link == ".bugsle" else elsewhere / "file")
    with pytest.raises(UsageError, match="symbolic link"):
        quarantine.read(path)
    with pytest.raises(UsageError, match="symbolic link"):
        quarantine.write(path, [])
    assert not list(elsewhere.iterdir())


# --- what is excused -------------------------------------------------------------------------------


def test_only_the_known_error_of_the_call_is_excused() -> None:
    """Another error, one that is not known, a crash, and an error around the call fail."""
    assert refusals(Failure("t.py::a", "f2", "call")) == {"t.py::a": ""}
    assert refusals(Failure("t.py::b", "f1", "call")) == {}
    assert "not for this error" in refusals(Failure("t.py::a", "f3", "call"))["t.py::a"]
    assert "a crash is never excused" in refusals(Failure("t.py::a", "f1", "died"))["t.py::a"]
    assert "an error in setup" in refusals(Failure("t.py::a", "f1", "setup"))["t.py::a"]
    assert "an error in teardown" in refusals(Failure("t.py::a", "f1", "teardown"))["t.py::a"]
    of = entry(fingerprints=("f1", ""))
    assert "not for this error" in refusals(Failure("t.py::a", "", "call"), of=of)["t.py::a"]


def test_one_failure_that_is_not_excused_decides() -> None:
    """Before or after those that are."""
    good, bad = Failure("t.py::a", "f1", "call"), Failure("t.py::a", "f1", "teardown")
    assert refusals(good, bad) == refusals(bad, good) == refusals(bad)


def test_an_entry_excuses_up_to_its_last_day() -> None:
    """And from the next one on it blocks again, by BUG204."""
    failure = Failure("t.py::a", "f1", "call")
    last = entry().expires
    assert refusals(failure, today=last) == {"t.py::a": ""}
    assert quarantine.findings([entry()], last, levels={}, ci=False) == []
    assert "ended on 2030-06-09" in refusals(failure, today=last + DAY)["t.py::a"]
    (found,) = quarantine.findings([entry(line=7)], last + DAY, levels={}, ci=False)
    assert (found.rule, found.level, found.path, found.line) == (
        "BUG204",
        "error",
        ".bugsle/quarantine.toml",
        7,
    )
    assert "owner Ada, #42" in found.message


@pytest.mark.parametrize(
    "more",
    [
        {"failures": 0},
        {"fingerprints": ()},
        {"fingerprints": ("",)},
        {"failures": 0, "attempts": 0},
        {"failures": 40},
        {"expires": ADDED + 31 * DAY},
        {"added": TODAY + 9 * DAY, "expires": TODAY + 39 * DAY},
    ],
)
def test_an_entry_without_evidence_excuses_nothing(more: dict[str, object]) -> None:
    """Nor one that always failed, or lasts too long, or begins in the future; each is BUG205."""
    of = entry(**more)
    assert "does not hold" in refusals(Failure("t.py::a", "f1", "call"), of=of)["t.py::a"]
    (found,) = quarantine.findings([of], TODAY, levels={}, ci=False)
    assert (found.rule, found.level, found.line) == ("BUG205", "error", None)


def test_the_policy_sets_the_level() -> None:
    """As with any rule."""
    (found,) = quarantine.findings([entry(failures=0)], TODAY, levels={"BUG205": "warning"}, ci=True)
    assert found.level == "warning"


def test_the_last_week_is_announced() -> None:
    """Seven days, the last one among them; not before, not after, and not of an entry that does not hold."""
    last = entry().expires
    assert quarantine.notes([entry(failures=0)], last) == []
    said = {left: quarantine.notes([entry()], last - left * DAY) for left in range(-1, 9)}
    assert [left for left, notes in said.items() if notes] == list(range(7))
    assert [said[left][0].split("ends ")[1].split(" (")[0] for left in (0, 1, 6)] == [
        "today",
        "tomorrow",
        "in 6 days",
    ]


def test_tests_that_are_gone_are_named() -> None:
    """Only where the whole suite was collected."""
    assert quarantine.notes([entry()], TODAY) == []
    assert quarantine.notes([entry()], TODAY, {"t.py::a"}) == []
    assert quarantine.notes([entry()], TODAY, set()) == quarantine.notes([entry()], TODAY, {"t.py::b"})
    (note,) = quarantine.notes([entry()], TODAY, {"t.py::b"})
    assert "t.py::a is quarantined and does not exist" in note


# --- evidence and release --------------------------------------------------------------------------


def past(outcomes: str, *, tree: str = "t1", day: dt.date = TODAY, **more: object) -> list[PastAttempt]:
    """One run for each letter: `.` passed, `F` failed, `E` error, `!` died, `s` skipped."""
    words = {".": "passed", "F": "failed", "E": "error", "!": "died", "s": "skipped"}
    started = dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp()
    return [
        PastAttempt(**{
            "started": started + number, "run_id": f"{tree}{number}", "version": CodeVersion(tree), "disaster": False,
            "mode": "suite", "attempt": 1, "outcome": words[mark], "duration": 1.0,
            "fingerprint": f"f-{tree}" if mark in "FE!" else "", **more,
        })
        for number, mark in enumerate(outcomes)
    ]  # fmt: skip


def test_evidence_is_of_versions_with_both_outcomes() -> None:
    """What always failed at its version was broken: neither its counts nor its errors are evidence."""
    found = quarantine.evidence([*past("..F.", tree="a"), *past("FFF", tree="b"), *past("...s", tree="c")])
    assert found == quarantine.Evidence(1, 7, ("f-a",), 1, TODAY)
    assert quarantine.evidence([*past(".F", day=ADDED), *past("F", tree="b")]).last == ADDED


@pytest.mark.parametrize("more", [{"disaster": True}, {"version": CodeVersion()}])
def test_some_attempts_are_no_evidence(more: dict[str, object]) -> None:
    """Those of runs in which most failed, and of code that is not known."""
    assert quarantine.evidence(past(".F.", **more)).mixed == 0


def test_errors_that_are_never_excused_are_no_fingerprints() -> None:
    """A test that only crashes, or whose fixtures fail, is flaky and cannot be quarantined."""
    found = quarantine.evidence(past("..E!"))
    assert (found.failures, found.attempts, found.fingerprints, found.mixed) == (2, 4, (), 1)
    assert quarantine.evidence(past(".F", fingerprint="")).fingerprints == ()


def test_a_release_needs_sixty_straight_passes() -> None:
    """By the sequential test of 1 in 1,000 against 1 in 20 with errors of 5 %."""
    for passes, shown in ((0, False), (59, False), (60, True)):
        seen = quarantine.recovery(past("." * passes), ADDED)
        assert (seen.failures, seen.passes, seen.needed, seen.is_shown) == (0, passes, 60, shown)


def test_a_failure_begins_the_count_anew_and_makes_it_longer() -> None:
    """Each halves the error that is left: trying again and again does not release a flaky test."""
    seen = quarantine.recovery(past("." * 59 + "F" + "." * 73), ADDED)
    assert (seen.failures, seen.passes, seen.needed, seen.is_shown) == (1, 73, 74, False)
    assert quarantine.recovery(past("FF" + "." * 88), ADDED).is_shown
    assert quarantine.recovery(past("F" * 3_000), ADDED).needed > 1_000


def test_the_error_of_a_release_is_as_stated() -> None:
    """What fails once in 20 times is released at once in 5 % of cases, and ever in less than 10 %."""
    chances = [0.95 ** quarantine.recovery(past("F" * failures), ADDED).needed for failures in range(120)]
    assert chances[0] <= 0.05
    assert 1 - math.prod(1 - chance for chance in chances) < 0.1


def test_passes_of_some_attempts_do_not_count() -> None:
    """Reruns and experiments were chosen by what came before; failures of theirs count."""
    for more in ({"mode": "alone"}, {"attempt": 2}):
        assert quarantine.recovery(past("...", **more), ADDED).passes == 0
        assert quarantine.recovery(past("..." + "F", **more), ADDED).failures == 1
    for more in ({"disaster": True}, {"day": ADDED}, {"day": ADDED - DAY}):
        seen = quarantine.recovery(past("F..", **more), ADDED)
        assert (seen.failures, seen.passes) == (0, 0)
    assert quarantine.recovery(past("..s."), ADDED).passes == 3


@given(st.floats(allow_nan=False))
def test_every_time_has_a_day(seconds: float) -> None:
    """Of a history from elsewhere that may hold anything."""
    assert isinstance(quarantine.day_of(seconds), dt.date)
