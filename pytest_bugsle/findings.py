"""The table of rules, and the finding: what a user reads.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from pytest_bugsle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = Literal["error", "warning", "info", "off"]
Verdict = Literal["pass", "fail", "undecided"]


class Rule(msgspec.Struct, frozen=True):
    """A thing the gate can say: a stable code, a name, a default level, and its page."""

    code: str
    name: str
    level: Level
    what: str
    why: str
    mend: str
    level_in_ci: Level | None = None

    def default_level(self, *, ci: bool) -> Level:
        """Return the level that holds where no policy says otherwise."""
        return self.level_in_ci if ci and self.level_in_ci else self.level

    def page(self) -> str:
        """Return what `bugsle rule CODE` prints."""
        level = (
            self.level if self.level_in_ci is None else f"{self.level} ({self.level_in_ci} where CI is set)"
        )
        return "\n".join(
            [
                f"{self.code} {self.name}   default level: {level}",
                "",
                f"What. {self.what}",
                f"Why. {self.why}",
                f"How to mend. {self.mend}",
                "How to switch it off. In pyproject.toml:",
                "  [tool.bugsle.rules]",
                f'  {self.code} = "off"          # or "info", "warning", "error"',
                "For one commit, with a reason, as a trailer of its message:",
                f"  Bugsle-Waive: {self.code} the reason",
            ]
        )


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One remark: rule, level, message, place, and what to do next."""

    rule: str
    name: str
    level: Level
    message: str
    help: str
    path: str | None = None
    line: int | None = None
    commit: str | None = None

    def excused(self) -> Finding:
        """Return the remark as one that is only told: its test is expected to fail."""
        said = f"{self.message} (its test is expected to fail)"
        return msgspec.structs.replace(self, level="info", message=said)


RULES: Mapping[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule(
            "BUG001",
            "nothing-judged",
            "warning",
            "There was something to judge, and nothing was: no base commit could be found (often a shallow "
            "clone), or none of the bug fixes in the range could be judged.",
            "A gate that judges nothing and stays green looks exactly like a gate that passed.",
            "Follow the reason in the message. For a shallow clone, fetch the history: "
            "`git fetch --unshallow`, or `fetch-depth: 0` in the checkout step.",
            level_in_ci="error",
        ),
        Rule(
            "BUG002",
            "waiver-expired",
            "error",
            "A waiver in the settings has passed its expiry date, so it no longer waives anything.",
            "A waiver is a promise to come back; this is the day.",
            "Mend what was waived, or give the waiver a new date and reason in [[tool.bugsle.waivers]].",
        ),
        Rule(
            "BUG003",
            "waiver-unused",
            "warning",
            "A waiver names a commit of the range or a bug that no finding in this run needed it for.",
            "Waivers that outlive their reason hide the next bug.",
            "Take the waiver out.",
        ),
        Rule(
            "BUG101",
            "fix-without-test",
            "error",
            "A bug fix came without a test: no test is linked to it, and none of the tests near the change "
            "fails without it.",
            "Nothing keeps the bug from coming back.",
            "Write a test that fails without the fix. If one exists elsewhere, mark it with "
            '`@pytest.mark.regression("#42")` or name it in a trailer `Regression-Test: path::test`.',
        ),
        Rule(
            "BUG102",
            "test-passes-without-fix",
            "error",
            "The tests linked to a bug fix pass with the fix taken out as well.",
            "A test that is green with the bug in place does not hold the bug: it can come back unseen.",
            "Change the test until it fails without the fix: `bugsle prove COMMIT` shows both sides.",
        ),
        Rule(
            "BUG103",
            "existence-only-proof",
            "warning",
            "The test fails without the fix only because a name that the fix adds is missing (import, "
            "attribute or keyword).",
            "Such a test shows that something new exists, not that the bug is gone.",
            "Let the test reach the bug by a name that existed before the fix.",
        ),
        Rule(
            "BUG104",
            "proof-undecided",
            "warning",
            "A bug fix could not be judged; the message says what is missing.",
            "Undecided is not a pass. `--bugsle-strict` makes it fail.",
            "Follow the reason in the message, then run `bugsle prove COMMIT`.",
        ),
        Rule(
            "BUG105",
            "unguarded-edit",
            "warning",
            "One edit of a bug fix can be put back alone, and no test notices it.",
            "A fix that is held as a whole can still be half untested: this half can be lost unseen.",
            "Write a test that needs this edit; if nothing needs it, take the edit out of the fix.",
        ),
        Rule(
            "BUG106",
            "guard-fails",
            "error",
            "A test linked to a bug fix does not pass with the fix in place.",
            "Either the fix does not work or the test does not test it.",
            "Run the test alone; mend the fix or the test.",
        ),
        Rule(
            "BUG107",
            "guard-weakened",
            "error",
            "A guard of the ledger no longer notices its bug: with the bug put back into today's code it "
            "passes, or it was deleted, skipped or marked xfail.",
            "A guard that decays looks as green as one that holds, and the bug can come back unseen.",
            "Restore the guard (the message names the commit that weakened it), or accept the loss by "
            "writing the ledger anew: `bugsle audit --write-baseline`.",
        ),
        Rule(
            "BUG108",
            "unpatched-sibling",
            "warning",
            "Code elsewhere looks like what a bug fix changed, and was not changed with it.",
            "The same mistake is rarely made once: a copy of the buggy code has the same bug.",
            "Look at the place; mend it too, or leave it if it is right there. "
            "`bugsle what-else COMMIT` shows the evidence.",
        ),
        Rule(
            "BUG109",
            "branch-misses-fix",
            "warning",
            "The guard of a bug fix fails on a maintained branch: the branch holds the bug.",
            "Users of that branch still have the bug that was fixed elsewhere.",
            "Port the fix to the branch, or take the branch out of the setting `branches`.",
        ),
        Rule(
            "BUG201",
            "flaky",
            "error",
            "A test both passed and failed on the same code, and no other test is needed for that.",
            "A test that fails now and then is retried, then ignored, and then hides a real failure.",
            "Take the cause out of the test or the code: `bugsle flaky hunt` looks for it by experiment.",
        ),
        Rule(
            "BUG202",
            "flaky-new",
            "error",
            "A test that runs changed lines failed, and passed when it was tried again.",
            "A regression that fails nine times in ten is hidden by five retries in 47 % of the runs: a pass "
            "on the second try is no excuse for a failure that the change can have caused.",
            "Look at the failure as at any other: the change may have a race, or depend on an order or a seed. "
            "`bugsle flaky hunt --suspect ID` tries the test again on purpose.",
        ),
        Rule(
            "BUG203",
            "order-dependent",
            "error",
            "The outcome of a test depends on which tests ran before it in the same process.",
            "It fails when somebody runs a part of the suite, in another order or in parallel, and what it "
            "says of the code depends on its neighbours.",
            "Let the tests that are named undo what they change, or let the test set up what it needs; the "
            "command in the message shows it.",
        ),
        Rule(
            "BUG204",
            "quarantine-expired",
            "error",
            "An entry of the quarantine has passed its date: the test's failures are no longer excused.",
            "A quarantine without an end is where tests go to be forgotten.",
            "Mend the test and release it (`bugsle flaky quarantine release ID`), or add it anew with new "
            "evidence.",
        ),
        Rule(
            "BUG205",
            "quarantine-without-evidence",
            "error",
            "An entry of the quarantine does not say how often the test was seen to fail, and how, or lasts "
            "more than 30 days.",
            "What is excused without evidence may be a real failure.",
            "Let the entry be written by `bugsle flaky quarantine add ID`, which takes it from the history.",
        ),
        Rule(
            "BUG206",
            "unstable-test-id",
            "warning",
            "The id of a test holds an address or a uuid, so that it is another one in each process.",
            "Such a test cannot be run by name, has no history, and cannot be distributed by pytest-xdist.",
            'Give its parameters ids: `pytest.param(…, id="name")`, or `ids=` with plain text.',
        ),
        Rule(
            "BUG301",
            "sample-ratio-mismatch",
            "error",
            "The arms of an A/B test do not have the shares of units that its design gave them, by more than"
            " chance explains.",
            "What loses units in one arm loses them for a reason, and that reason is in the effect. The "
            "effect is withheld.",
            "Find where units get lost: redirects, bots, crashes, late logging, filters after the "
            "assignment. Judge again with mended data; where the design is another, say so with `split=`.",
        ),
        Rule(
            "BUG302",
            "contradictory-data",
            "error",
            "The data of an A/B test cannot be what they say they are: more successes than trials, fewer "
            "than two units in an arm, a value that is missing or not finite, an arm that the design does "
            "not know.",
            "Whatever was computed from them would be a number without a meaning. The effect is withheld.",
            "Mend the query or the export that made the data; the message names the value.",
        ),
        Rule(
            "BUG303",
            "unit-in-two-arms",
            "error",
            "Units of an A/B test are in more than one arm.",
            "They have seen both, so that the arms are no longer comparable. The effect is withheld.",
            "Mend the assignment; do not just drop such units, as which ones they are may depend on the arm.",
        ),
        Rule(
            "BUG304",
            "differential-missingness",
            "error",
            "The metric is missing for a larger share of units in one arm than in the other.",
            "Who is missing is rarely who would have been average: the difference may be that of who is "
            "left. The effect is withheld.",
            "Find why values are missing; count a unit without an event as 0 where that is what it did.",
        ),
        Rule(
            "BUG305",
            "arms-differ-before",
            "error",
            "Before the experiment the arms already differed, in a covariate or in the metric itself.",
            "Either the assignment was not random, or the covariate was measured after the exposure. The "
            "effect is withheld.",
            "Check the assignment, and that the covariate ends before the first exposure.",
        ),
        Rule(
            "BUG306",
            "constant-arms",
            "error",
            "Both arms are constant, at different values.",
            "A test compares an effect with chance, and here is none: the p-value would be 0 by division, "
            "not by evidence.",
            "Look at how the metric is computed: a constant is mostly a default or a join that went wrong.",
        ),
        Rule(
            "BUG307",
            "simpsons-paradox",
            "error",
            "The effect of the whole has the opposite sign of the effect within the segments, and the arms "
            "are mixed unequally of the segments.",
            "The whole compares different mixes of users: it says nothing of the change.",
            "Read the table of segments in the message; find why the mix differs between the arms, and judge"
            " within the segments.",
        ),
        Rule(
            "BUG308",
            "effect-fades",
            "warning",
            "The effect falls with the days since the first exposure, and the days after the first ones no "
            "longer clear the least effect.",
            "What is new is looked at because it is new; that wears off, and what ships is what is left.",
            "Let the test run until the effect is steady, and judge that.",
        ),
        Rule(
            "BUG309",
            "design-changed-after-look",
            "error",
            "The design of a named A/B test is not as it was locked, in what a pass means (alpha, metric, "
            "direction, margin, the kind of test), and its data have been looked at.",
            "Whoever has seen the data can find a design that they pass; the error of a wrong pass is then not "
            "alpha but anything. The effect is withheld.",
            "Give the design back as the lock has it (the message names field, file and line), or begin a new "
            "experiment under a new name. Before the first look `bugsle accept` locks a changed design anew.",
        ),
        Rule(
            "BUG310",
            "effect-not-shown",
            "error",
            "An A/B test did not show the effect that it was to show: its interval lies below, or the "
            "planned size is reached.",
            "What was not shown by a test of the planned size is not there, or smaller than was worth "
            "building for.",
            "Do not ship on this evidence; do not let it run on until it happens to pass.",
        ),
        Rule(
            "BUG311",
            "experiment-undecided",
            "warning",
            "An A/B test has valid data that cannot decide yet; the message names the units that are "
            "missing.",
            "Undecided is not a pass, and a difference that is not significant is not equality.",
            "Let it run to the planned size, or plan a larger effect.",
        ),
        Rule(
            "BUG312",
            "p-values-not-uniform",
            "error",
            "Units of an A/B test were dealt anew to the arms, many times (`--bugsle-aa`), and the p-values of the "
            "metric were not uniform, as they are where there is no effect.",
            "Then 5 % is not how often the test errs: what it calls significant may be chance, or it cannot see an "
            "effect that is there. The effect is withheld.",
            "Mostly rows are no units: name the unit of randomisation with `unit=`. A few units with most of the sum "
            "need a cap or a rank test. The message says which it is.",
        ),
        Rule(
            "BUG401",
            "flips-too-often",
            "error",
            "A model's answer flips when its input is varied, more often than the limit allows: the lower bound of "
            "the rate is above it.",
            "Users write in capitals, make typos and paste invisible characters; the accuracy on a clean test set "
            "says nothing of that.",
            "Look at the smallest failure in the message: normalise the input before the model, or train with such "
            "variations.",
        ),
        Rule(
            "BUG402",
            "wrong-direction",
            "error",
            "A model's score does not move the way it must when its input is varied, more often than the limit allows.",
            "A model that does not mind a negation has not learned what its accuracy suggests.",
            "Look at the examples in the message; train with pairs of this kind.",
        ),
        Rule(
            "BUG403",
            "not-deterministic",
            "error",
            "A model answers the same input otherwise when it is asked again, in another order, batch or process.",
            "What it says today cannot be repeated tomorrow, and no rate of its errors can be trusted.",
            "Seed what draws from chance, switch to evaluation mode, or allow a tolerance for scores.",
        ),
        Rule(
            "BUG404",
            "bad-input-answered",
            "error",
            "A model answers an input that it must refuse: empty, too long, not a number, of another type.",
            "A guess looks like an answer, and nobody learns that the input was broken.",
            "Check the input before the model, and raise an error.",
        ),
        Rule(
            "BUG405",
            "confident-and-wrong",
            "error",
            "A model is wrong on examples of which it was sure, and nobody has looked at them.",
            "Such answers are acted on without a second look, however good the accuracy is.",
            "Look at each: a wrong label, a missing kind of training data, or a bug. Then name its id in `triaged=` (`--triaged`).",
        ),
        Rule(
            "BUG406",
            "miscalibrated",
            "error",
            "A model's confidence is off by more than the limit, beyond what chance explains.",
            "A threshold on a confidence that means nothing lets the wrong answers through.",
            "Calibrate it on data of its own (temperature, Platt, isotonic), or do not decide by it.",
        ),
        Rule(
            "BUG407",
            "weak-slice",
            "error",
            "A model errs more often on a group of examples than on the others, by more than chance explains.",
            "The mean hides it, and the users in that group see nothing but it.",
            "Look at the group's errors in the message; train with more of its kind, or say where the model holds.",
        ),
        Rule(
            "BUG408",
            "unfair-gap",
            "error",
            "A model treats groups of people differently, by more than the limit.",
            "It decides about people by what they are.",
            "Look at the rates by group in the message; look for what stands for the group in the input.",
        ),
        Rule(
            "BUG409",
            "worse-than-baseline",
            "error",
            "A model is worse than the one before it, on the same examples.",
            "An update that loses what worked is a regression.",
            "Look at the newly wrong examples in the message.",
        ),
        Rule(
            "BUG410",
            "model-undecided",
            "warning",
            "A model gate cannot decide on so few examples; the message names the number that would settle it.",
            "Undecided is not a pass: no flip among 20 examples allows for 14 %.",
            "Give more examples, or allow more.",
        ),
        Rule(
            "BUG411",
            "model-raises",
            "error",
            "A model raises an exception on examples of its own test data.",
            "What raises on an example raises on a user, and these examples are in no rate.",
            "Call the model with the input in the message.",
        ),
        Rule(
            "BUG412",
            "known-failure-returns",
            "error",
            "A saved case that was accepted into the repository fails again.",
            "It was a failure once, and it was found worth keeping: the model holds the same bug again.",
            "Mend the model; delete the case's file if its answer may change after all.",
        ),
        Rule(
            "BUG501",
            "change-failure-rate-rises",
            "error",
            "Of the deployments of this window, more failed than of those of the window before: the 95 % interval "
            "of the difference of the two shares lies above 0 (`bugsle dora --gate`).",
            "What changed in how changes are made, reviewed or tested lets more failures through to users.",
            "`bugsle dora --why` says in which folders failures gather and which fixes brought no test; "
            "`bugsle dora -v` shows when it began.",
        ),
        Rule(
            "BUG502",
            "recovery-slows",
            "error",
            "Failed deployments of this window took longer to recover than those of the window before: the "
            "95 % interval of the shift between the two (by ranks) lies above 0 (`bugsle dora --gate`).",
            "Users live with a failure for all that time.",
            "`bugsle dora --why` says where recovery is slow, and how many people know those folders.",
        ),
        Rule(
            "BUG503",
            "unguarded-failure",
            "warning",
            "A deployment of this window failed, and it is known that no test fails without the fix "
            "(`bugsle dora --gate`).",
            "The same failure can come back unseen.",
            "Write a test that fails without the fix: `bugsle prove COMMIT` shows both sides.",
        ),
        Rule(
            "BUG504",
            "lead-time-exceeds",
            "error",
            "The median lead time is above the limit that was asked for (`--max-lead-time`), and so is the whole "
            "95 % interval of it.",
            "What waits long for its deployment helps nobody, and deployments of much that waited fail more often.",
            "`bugsle dora --why` says which part of the way, which folders and which kinds of change wait longest.",
        ),
        Rule(
            "BUG505",
            "change-failure-rate-exceeds",
            "error",
            "The change failure rate is above the limit that was asked for (`--max-failure-rate`), and so is the "
            "whole 95 % interval of it.",
            "The team has said how often it may fail; this is more often, and not by chance.",
            "`bugsle dora --why` says in which folders failures gather and which fixes brought no test.",
        ),
        Rule(
            "BUG506",
            "recovery-exceeds",
            "error",
            "The median time to recover from a failed deployment is above the limit that was asked for "
            "(`--max-recovery`), and so is the whole 95 % interval of it.",
            "The team has said how long users may live with a failure; this is longer, and not by chance.",
            "`bugsle dora --why` says where recovery is slow, and how many people know those folders.",
        ),
        Rule(
            "BUG510",
            "complexity-grows",
            "error",
            "A changed function is now more complex than the limit, or became much more complex at once: "
            "the hook `bugsle-complexity` counts the ways through it (McCabe).",
            "Bugs gather where nobody can hold all the ways through a function in the head, and each way "
            "needs a test of its own.",
            "Take a part of the function out into one with a name of its own; or raise `complexity_limit` "
            "or `complexity_step` in the settings.",
        ),
    )
}


def rule_named(text: str) -> Rule:
    """Return the rule with this code or name; UsageError names the nearest one."""
    wanted = text.strip()
    for rule in RULES.values():
        if wanted.upper() == rule.code or wanted.lower() == rule.name:
            return rule
    known = [*RULES, *(rule.name for rule in RULES.values())]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5) or difflib.get_close_matches(
        wanted.upper(), known, n=1, cutoff=0.5
    )
    hint = f"did you mean {near[0]}?" if near else "`bugsle rule` lists them all."
    raise UsageError(f"there is no rule {wanted!r}.", hint=hint)


def make_finding(
    code: str,
    message: str,
    *,
    help: str = "",
    levels: Mapping[str, Level],
    ci: bool,
    path: str | None = None,
    line: int | None = None,
    commit: str | None = None,
) -> Finding:
    """Return a finding of rule `code` at the level that the policy `levels` gives it."""
    rule = RULES[code]
    level = levels.get(code, rule.default_level(ci=ci))
    return Finding(
        rule=code,
        name=rule.name,
        level=level,
        message=message,
        help=help or rule.mend,
        path=path,
        line=line,
        commit=commit,
    )


LEVELS: tuple[Level, ...] = get_args(Level)
