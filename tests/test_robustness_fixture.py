"""The fixture `robustness` in real pytest runs: one item, one message, saved cases, JSON, JUnit, xdist, imports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from git_sandbox import Sandbox

from pytest_bugsle.robustness.cases import accept_cases
from pytest_bugsle.settings import CASES

HEAD = """
    from small_models import reviews, trained
    TEXTS, LABELS = reviews(300, seed=1)
    CASED, CONTROL = trained(lowercase=False), trained()
"""
WEAK = """
    def test_weak(robustness):
        robustness(CASED, TEXTS).invariant("case.upper", "whitespace")
"""
STRONG = """
    def test_strong(robustness):
        robustness(CONTROL, TEXTS).invariant("case", "whitespace")
"""


def run(pytester: pytest.Pytester, body: str, *args: str) -> pytest.RunResult:
    """Run one file of tests in a process of its own."""
    small = Path(__file__).with_name("small_models.py")
    (pytester.path / small.name).write_bytes(small.read_bytes())
    pytester.makepyfile(test_model=HEAD + body)
    return pytester.runpytest_subprocess("-p", "no:randomly", *args)


def saved(pytester: pytest.Pytester) -> list[Path]:
    """Return the files of new cases."""
    return sorted((pytester.path / ".bugsle" / "robustness").rglob("*.json"))


def test_a_weak_model_fails_one_item_with_one_message(pytester: pytest.Pytester) -> None:
    """And a strong one passes; no gate need be switched on."""
    made = run(pytester, WEAK + STRONG)
    made.assert_outcomes(passed=1, failed=1)
    made.stdout.fnmatch_lines(
        [
            "model gate: case.upper fail",
            "FAIL case.upper: flips * of 300 = * %, bounds * to * %, limit 2 % (natural)",
            "  the lower bound is above the limit",
            '  smallest: "*"',
            '         -> "*"   * -> *',
            "  saved: .bugsle/robustness/test_model.py-test_weak-*/case.upper-*.json",
            "  n = 300 examples, 0 no-ops",
            "PASS whitespace.double: flips 0 of 300 = 0 %, bounds 0 to 1 %, limit 2 % (natural)",
            "next: mend the model; `bugsle accept models` keeps what was saved *",
            "NaiveBayes: * inputs in * calls, seed 0",
        ]
    )
    made.stdout.no_fnmatch_line("*Traceback*")
    assert len(saved(pytester)) == 1


def test_all_that_is_asked_in_a_test_is_reported_together(pytester: pytest.Pytester) -> None:
    """The first that fails does not end the test, and the model is asked after it."""
    made = run(
        pytester,
        """
    def test_all(robustness):
        gate = robustness(CASED, TEXTS, labels=LABELS)
        gate.invariant("case.upper")
        gate.deterministic()
        other = robustness(CONTROL, TEXTS[:20])
        other.invariant("case.lower")
        print("to the end")
""",
    )
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(
        [
            "model gate: case.upper fail, case.lower undecided",
            "FAIL case.upper*",
            "PASS deterministic*",
            "UNDECIDED case.lower*",
        ]
    )
    made.stdout.fnmatch_lines(["to the end"])


def test_what_passed_is_shown_where_it_is_asked_for(pytester: pytest.Pytester) -> None:
    """By pytest's own `-rP`."""
    assert "flips 0 of" not in run(pytester, STRONG).stdout.str()
    run(pytester, STRONG, "-rP").stdout.fnmatch_lines(["*model gate*", "PASS *: flips 0 of *"])


def test_a_test_that_fails_by_itself_keeps_its_failure(pytester: pytest.Pytester) -> None:
    """What was judged stands beside it; what was not is not asked."""
    made = run(
        pytester,
        """
    def test_both(robustness):
        with robustness(CASED, TEXTS) as gate:
            gate.invariant("case.upper")
        robustness(lambda text: print("asked"), TEXTS).invariant("case")
        assert 1 == 2
""",
    )
    made.stdout.fnmatch_lines(["*assert 1 == 2*", "*model gate*", "FAIL case.upper*"])
    made.stdout.no_fnmatch_line("asked")


def test_wrong_use_is_said_in_the_line_of_the_user(pytester: pytest.Pytester) -> None:
    """At once; what only the model shows, at the end."""
    made = run(
        pytester,
        """
    def test_word(robustness):
        robustness(CONTROL, TEXTS).invariant("typo")

    def test_model(robustness):
        robustness(lambda text: None, TEXTS).invariant("case")
""",
    )
    made.assert_outcomes(failed=2)
    made.stdout.fnmatch_lines(["*there is no perturbation 'typo'.", "*did you mean 'typos'?"])
    made.stdout.fnmatch_lines(["*does not answer to *NoneType None is no answer*"])


def test_a_gate_that_was_asked_nothing_fails(pytester: pytest.Pytester) -> None:
    """With a model or without; what is wrong with a question stands in the user's line."""
    made = run(
        pytester,
        """
    def test_no_question(robustness):
        robustness(CONTROL, TEXTS)

    def test_no_model(robustness):
        pass

    def test_no_such_question(robustness):
        robustness(CONTROL, TEXTS).invariant("caze")
    """,
    )
    made.assert_outcomes(failed=3)
    assert made.stdout.str().count("\nnothing is asked of the model.\n") == 2
    made.stdout.fnmatch_lines(["*UsageError: there is no perturbation 'caze'.", "*did you mean 'case'?"])
    made.stdout.no_fnmatch_line("*During handling*")
    made.stdout.no_fnmatch_line("*robustness?gates.py*")


def test_the_command_accepts_a_case_for_a_project_below_the_top(pytester: pytest.Pytester) -> None:
    """It stands at the top of the repository, where the next run looks for it."""
    top = pytester.path.parent
    (top / ".git").mkdir()
    try:
        run(pytester, WEAK).assert_outcomes(failed=1)
        made = subprocess.run(
            [sys.executable, "-m", "pytest_bugsle", "accept", "models"],
            cwd=pytester.path,
            capture_output=True,
            text=True,
            check=True,
        )
        (case,) = sorted((top / CASES).rglob("*.json"))
        assert made.stdout.splitlines()[0] == case.relative_to(top).as_posix()
        run(pytester, WEAK).stdout.fnmatch_lines(["FAIL replay: 1 of 1 accepted cases fail again"])
    finally:
        (top / ".git").rmdir()
        for folder in (".bugsle", "tests"):
            shutil.rmtree(top / folder, ignore_errors=True)


def test_a_saved_case_is_replayed_and_accepted_it_is_a_regression(pytester: pytest.Pytester) -> None:
    """A new one is said; an accepted one fails by itself, whatever the limit."""
    run(pytester, WEAK)
    lenient = WEAK.replace('"case.upper", "whitespace"', '"case.upper", max_flip_rate=1.0')
    made = run(pytester, lenient, "-rP", "--junitxml=out.xml")
    made.assert_outcomes(passed=1)
    moved = accept_cases(pytester.path / ".bugsle", pytester.path / CASES, bug="#42")
    assert len(moved) == 1 and not saved(pytester)
    again = run(pytester, lenient)
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        [
            "model gate: replay fail",
            "FAIL replay: 1 of 1 accepted cases fail again",
            "  case.upper, bug #42: the label must stay",
            "  smallest: *",
            f"  case: {moved[0][1].relative_to(pytester.path).as_posix()}",
            "  next: mend the model; delete the file of a case that is no fault",
        ]
    )
    mended = run(pytester, lenient.replace("CASED", "CONTROL"))
    mended.assert_outcomes(passed=1)


@pytest.mark.slow
def test_the_json_report_has_the_models(pytester: pytest.Pytester) -> None:
    """With the fields of the contract, and the findings and the verdict that follow; the same each time."""
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=pytester.path, check=True)
    reports = []
    for name in ("one.json", "two.json"):
        run(pytester, WEAK + STRONG, "--bugsle", "--bugsle-report", f"json:{name}")
        reports.append(json.loads((pytester.path / name).read_text()))
    models = reports[0]["models"]
    assert models == [each for each in reports[1]["models"] if each["gate"] != "replay"]
    weak = next(each for each in models if each["perturbation"] == "case.upper" and "weak" in each["test"])
    assert weak["gate"] == "invariant" and weak["family"] == "case" and weak["outcome"] == "fail"
    assert {
        "trials",
        "no_ops",
        "duplicates",
        "flips",
        "rate",
        "interval",
        "limit",
        "n_needed",
        "saved",
    } <= set(weak)
    assert {"before", "after", "edits", "output_before", "output_after"} <= set(weak["smallest"])
    (finding,) = [each for each in reports[0]["findings"] if each["rule"] == "BUG401"]
    assert finding["path"] == "test_model.py" and "case.upper: flips" in finding["message"]
    assert reports[0]["verdict"] == "fail"


@pytest.mark.parametrize(
    "more",
    [pytest.param([], id="alone"), pytest.param(["-n", "1"], id="xdist", marks=pytest.mark.slow)],
)
def test_a_gate_that_is_expected_to_fail_decides_nothing(pytester: pytest.Pytester, more: list[str]) -> None:
    """Its findings are told, and the run passes; one that fails beside it still decides."""
    Sandbox(pytester.path).commit()
    body = "    import pytest\n\n    @pytest.mark.xfail(reason='capitals')" + WEAK
    verdicts = []
    for tests in (body, body + WEAK.replace("test_weak", "test_other")):
        done = run(pytester, tests, "--bugsle", "--bugsle-report", "json:out.json", *more)
        found = json.loads((pytester.path / "out.json").read_text())
        levels = {each["level"] for each in found["findings"] if "expected to fail" in each["message"]}
        assert levels == {"info"}
        verdicts.append((done.ret, found["verdict"]))
    assert verdicts == [(0, "pass"), (1, "fail")]


@pytest.mark.slow
def test_an_untriaged_confident_error_fails_its_test_however_good_the_rate(pytester: pytest.Pytester) -> None:
    """Until it is triaged; a level below error leaves it a line of the summary."""
    subprocess.run(["git", "init", "-q"], cwd=pytester.path, check=True)
    body = """
    def test_sure(robustness):
        wrong = ["bad" if LABELS[0] == "good" else "good", *LABELS[1:]]
        robustness(CONTROL, TEXTS, wrong).confident_errors(threshold=0.6, max_rate=0.5)
"""
    made = run(pytester, body)
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(
        [
            "model gate: confident_errors BUG405",
            "PASS confident errors: 1 of 300 *",
            "  BUG405: it is a finding whatever the rate; next: mend the model or the label, or triaged={'*'} (--triaged)",
        ]
    )
    made.stdout.no_fnmatch_line("*= model gates =*")
    name = re.search(r"triaged=\{'(\w+)'\}", made.stdout.str())
    assert name is not None
    triaged = run(pytester, body.replace("max_rate", f"triaged={{{name[1]!r}}}, max_rate"))
    triaged.assert_outcomes(passed=1)
    made = run(pytester, body, "--bugsle", "--bugsle-report", "json:out.json")
    assert made.ret == 1 and json.loads((pytester.path / "out.json").read_text())["verdict"] == "fail"
    (pytester.path / "bugsle.toml").write_text('rules = { BUG405 = "warning" }\n')
    milder = run(pytester, body)
    milder.assert_outcomes(passed=1)
    milder.stdout.fnmatch_lines(["*= model gates =*", "test_model.py::test_sure: BUG405 NaiveBayes: *"])


def test_junit_has_a_property_for_each_result(pytester: pytest.Pytester) -> None:
    """Of pytest's own report."""
    run(pytester, STRONG, "--junitxml=out.xml")
    found = ElementTree.parse(pytester.path / "out.xml").iter("property")
    values = [each.get("value", "") for each in found if each.get("name") == "bugsle_model"]
    assert len(values) == 7 and values[0].startswith("PASS case.upper: flips 0 of 300")


@pytest.mark.slow
def test_workers_hand_on_what_they_judged(pytester: pytest.Pytester) -> None:
    """Under xdist as alone."""
    subprocess.run(["git", "init", "-q"], cwd=pytester.path, check=True)
    made = run(pytester, WEAK + STRONG, "-n", "2", "--bugsle", "--bugsle-report", "json:out.json")
    made.assert_outcomes(passed=1, failed=1)
    models = json.loads((pytester.path / "out.json").read_text())["models"]
    assert {each["test"].partition("::")[2] for each in models} == {"test_weak", "test_strong"}


@pytest.mark.slow
def test_texts_of_strangers_reach_the_controller(pytester: pytest.Pytester) -> None:
    """Lone surrogates, control characters and what a CI would read as a command."""
    subprocess.run(["git", "init", "-q"], cwd=pytester.path, check=True)
    body = """
    def test_hostile(robustness):
        texts = [f"::error \\ud800\\x1b[31m text {number}" for number in range(200)]
        robustness(lambda text: "up" if text.isupper() else "low\\ud800\\n::error", texts).invariant("case.upper")
"""
    made = run(
        pytester, body, "-n", "1", "--bugsle", "--bugsle-report", "json:out.json", "--junitxml=out.xml"
    )
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(["*smallest: ?::error ?ud800?x1b?31m text 0?"])
    (model,) = json.loads((pytester.path / "out.json").read_text())["models"]
    assert model["smallest"]["before"] == r"::error \ud800" + "\x1b[31m text 0"
    ElementTree.parse(pytester.path / "out.xml")


def test_nothing_heavy_is_imported(pytester: pytest.Pytester) -> None:
    """Nothing of ours until the fixture is used, and then nothing of others."""
    body = """
    import sys
    HEAVY = ("scipy", "numpy", "hypothesis", "torch", "sklearn", "pandas")

    def test_before():
        assert not [name for name in (*HEAVY, "pytest_bugsle.robustness") if name in sys.modules]

    def test_used(robustness):
        gate = robustness(CONTROL, TEXTS, LABELS)
        gate.invariant("case", "typos", "unicode", max_flip_rate=1.0)
        gate.calibrated(max_excess=0.4)
        gate.slices()
        gate.results()
        assert not [name for name in HEAVY if name in sys.modules]
"""
    made = run(pytester, body, "-p", "no:hypothesispytest")
    made.assert_outcomes(passed=2)


def test_an_input_of_ten_thousand_characters_is_refused_or_it_fails(pytester: pytest.Pytester) -> None:
    """A guess is no refusal."""
    body = """
    def strict(text):
        if not text.strip() or len(text) > 10_000:
            raise ValueError("no text, or too long a one")
        return CONTROL.predict([text])[0]

    def test_refuses(robustness):
        robustness(strict, TEXTS).refuses(empty=True, whitespace=True, too_long=10_000)

    def test_guesses(robustness):
        robustness(CONTROL, TEXTS).refuses(empty=True, too_long=10_000)
"""
    made = run(pytester, body)
    made.assert_outcomes(passed=1, failed=1)
    made.stdout.fnmatch_lines(
        ["model gate: refuses fail", "FAIL refuses: 0 of 2 bad inputs are refused with an error"]
    )


def test_what_the_first_gate_says_is_not_lost_by_wrong_use_of_the_second(pytester: pytest.Pytester) -> None:
    """Both stand in the message."""
    made = run(
        pytester,
        """
    def test_two(robustness):
        robustness(CASED, TEXTS).invariant("case.upper")
        robustness(lambda text: 0.5, TEXTS).invariant("case.upper")
""",
    )
    made.assert_outcomes(failed=1)
    made.stdout.fnmatch_lines(["the model answers numbers, and no tolerance is given*", "FAIL case.upper*"])


def test_a_gate_of_another_test_is_asked_nothing(pytester: pytest.Pytester) -> None:
    """It would be judged by nobody, and the test green."""
    made = run(
        pytester,
        """
    GATES = []

    def test_first(robustness):
        GATES.append(robustness(CONTROL, TEXTS))
        GATES[0].invariant("case.upper")

    def test_second():
        GATES[0].invariant("case.lower")
""",
    )
    made.assert_outcomes(passed=1, failed=1)
    made.stdout.fnmatch_lines(["*this gate belongs to test_model.py::test_first, which is over.*"])


def test_a_method_of_a_test_case_is_settled_at_its_end(pytester: pytest.Pytester) -> None:
    """As a function is; one that fails or is skipped by itself stays so."""
    made = run(
        pytester,
        """
    import unittest
    import pytest

    class TestModels(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _gate(self, request):
            self.gate = lambda model: request.getfixturevalue("robustness")(model, TEXTS)

        def test_weak(self):
            self.gate(CASED).invariant("case.upper")

        def test_strong(self):
            self.gate(CONTROL).invariant("case.upper")

        def test_fails(self):
            self.gate(CONTROL).invariant("case.upper")
            self.assertEqual(1, 2)

        def test_skips(self):
            self.gate(CASED).invariant("case.upper")
            self.skipTest("not today")
""",
    )
    made.assert_outcomes(passed=1, failed=2, skipped=1)
    made.stdout.fnmatch_lines(["*1 != 2*", "model gate: case.upper fail"])


def test_two_workers_save_and_replay_at_once(pytester: pytest.Pytester) -> None:
    """Each of them the cases of its tests, and two runs the same ones."""
    pytest.importorskip("xdist")
    body = """
    import pytest

    @pytest.mark.parametrize("number", range(6))
    def test_weak(robustness, number):
        robustness(CASED, TEXTS).invariant("case.upper", "typos.drop", max_flip_rate=0.01)
"""
    small = Path(__file__).with_name("small_models.py")
    (pytester.path / small.name).write_bytes(small.read_bytes())
    pytester.makepyfile(test_model=HEAD + body)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:randomly"]
    runs = [
        subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        for _ in range(2)
    ]
    said = [each.communicate()[0] for each in runs]
    assert all("6 failed" in each and "Traceback" not in each for each in said)
    assert len(saved(pytester)) == 12
    assert all(json.loads(path.read_text())["test"].startswith("test_model.py") for path in saved(pytester))
