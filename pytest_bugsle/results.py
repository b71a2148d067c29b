"""What a run found: the structs behind every report.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from pytest_bugsle import __version__
from pytest_bugsle.findings import Finding, Verdict

SCHEMA = 1

Judgement = Literal["fix", "maybe", "no"]
Status = Literal[
    "proven",
    "passes-without-fix",
    "existence-only",
    "no-test",
    "guard-fails",
    "undecided",
    "out-of-scope",
    "not-in-run",
    "waived",
]
#: A fix earns the first of these that any of its tests earns.
STATUS_ORDER: tuple[Status, ...] = (
    "proven",
    "guard-fails",
    "existence-only",
    "passes-without-fix",
    "undecided",
)
#: The letters of a test's past.
OUTCOME_MARKS: Mapping[str, str] = {
    "passed": ".",
    "failed": "F",
    "error": "E",
    "xfailed": "x",
    "xpassed": "X",
    "skipped": "s",
    "missing": "s",
    "timeout": "T",
    "died": "!",
}
LinkKind = Literal[
    "marker",
    "case",
    "trailer",
    "added",
    "changed",
    "uses-changed",
    "bug-id",
    "neighbour",
    "discovered",
    "hook",
]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence that ties a test to a bug."""

    kind: LinkKind
    evidence: str


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Which changed statements a guard runs; `missed` lists the others as `path:line`."""

    ran: int
    of: int
    import_time: int
    missed: list[str] = []
    note: str = ""


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One linked test: its outcome on both sides and what that shows."""

    __test__ = False

    id: str
    links: list[Link]
    before: str | None
    after: str | None
    before_error: str | None
    reached: Reach | None
    shows: Status | None
    why: str = ""


class EditResult(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest change of a fix that can be put back alone, and whether a test notices that.

    `line` and `lines` count in the text with the fix (`lines` is empty where the fix only took code
    out); `guarded` is null where it was not judged, and `why` says so. `by` are the tests that notice,
    `near` those that run the edit, or are nearest to it, and do not. Edits that cannot stand alone
    carry the number of their `group` and its verdict.
    """

    path: str
    line: int
    lines: list[int]
    guarded: bool | None
    by: list[str]
    group: int | None = None
    code: str = ""
    was: str = ""
    near: list[str] = []
    why: str = ""


LeadKind = Literal["clone", "partner", "sibling", "branch", "edit", "repeat"]


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """One place that may need a patch too: a hint with its evidence, and no proof.

    But for a branch on which the guard was run: `proven` says whether it showed the bug there.
    `confidence` is the share of such hints that were right, from 0 to 1; `command` looks closer.
    """

    kind: LeadKind
    confidence: float
    evidence: str
    path: str | None = None
    line: int | None = None
    branch: str | None = None
    code: str = ""
    command: str = ""
    proven: bool | None = None


class FixResult(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of change, its judgement and the status of its proof (null where not asked).

    `place` is `path:line` of the first changed statement, relative to the repository's top.
    """

    commit: str
    subject: str
    bugs: list[str]
    judgement: Judgement
    reasons: list[str]
    status: Status | None
    why: str
    tests: list[TestResult]
    commits: list[str]
    paths: list[str]
    place: str | None = None
    judged_at: Literal["tree", "commit"] | None = None
    waived: str | None = None
    edits: list[EditResult] = []
    what_else: list[Lead] = []


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the judged fixes are held, with a Wilson interval of 95 %; nulls where none was judged."""

    name: str
    fixes: int
    judged: int
    held: int
    share: float | None
    low: float | None
    high: float | None


class Unheld(msgspec.Struct, frozen=True, kw_only=True):
    """A fix in the history that no test holds; `known` where the ledger has it as debt."""

    commit: str
    subject: str
    bugs: list[str]
    status: Status
    release: str | None
    folders: list[str]
    known: bool = False


class Unjudged(msgspec.Struct, frozen=True, kw_only=True):
    """Fixes that could not be judged, by their common reason."""

    why: str
    commits: list[str]


GuardState = Literal["held", "weakened", "not-applicable", "undecided"]


class GuardResult(msgspec.Struct, frozen=True, kw_only=True):
    """One guard of the ledger, tried on today's code: does it still notice its bug?

    `cause` is `deleted`, `skipped`, `xfailed`, `passes` (it no longer notices) or empty; `culprit` is the
    commit that did it, where one was found. `applied` of `edits` could be put back.
    """

    commit: str
    subject: str
    bugs: list[str]
    tests: list[str]
    state: GuardState
    cause: str = ""
    culprit: str | None = None
    why: str = ""
    applied: int = 0
    edits: int = 0


class AuditResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a history shows: `ledger` is the path of the ledger that was read, null without one."""

    since: str | None
    until: str
    ledger: str | None
    total: Share
    releases: list[Share] = []
    folders: list[Share] = []
    unheld: list[Unheld] = []
    unjudged: list[Unjudged] = []
    guards: list[GuardResult] = []
    paid: list[str] = []
    """Commits that the ledger still lists as debt though they are held, or gone, by now."""


class Hotspot(msgspec.Struct, frozen=True, kw_only=True):
    """A function, and how likely the next bug is there: changes × complexity × past fixes.

    `score` is between 0 and 1, relative to the repository's worst; `people` counts the authors, `knows`
    names the one with most changes and `knows_share` is their share of them.
    """

    path: str
    line: int
    function: str
    score: float
    changes: int
    fixes: int
    complexity: int
    people: int
    knows: str = ""
    knows_share: float = 0.0
    last_changed: str = ""


FlakyCategory = Literal[
    "victim", "brittle", "not-idempotent", "non-deterministic", "probabilistic", "failing", "stable"
]


class StateDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What polluters leave behind; `turns` where putting it back alone turned the outcome."""

    kind: str
    name: str
    was: str
    now: str
    turns: bool = False


class FlakyTest(msgspec.Struct, frozen=True, kw_only=True):
    """One test that was tried on purpose: in several orders, alone, and twice in one process.

    `failures` of `attempts` counts the planned runs alone (orders, and alone), not those of the search for
    a reason, which were chosen by what came before; `interval` is their Wilson interval of 95 %. `polluters`
    make a victim fail, `setters` make a brittle test pass, `cleaners` undo the polluters; each in the order
    needed. `reproduce` is a command line that shows it, `confirmed` says in how many clean processes out of
    as many that was seen, `probes` how many sequences were run for this test alone.
    """

    id: str
    categories: list[FlakyCategory]
    polluters: list[str] = []
    setters: list[str] = []
    cleaners: list[str] = []
    cause: str = ""
    failures: int
    attempts: int
    interval: tuple[float, float] | None
    probes: int
    reproduce: str = ""
    confirmed: int = 0
    why: str = ""
    state: list[StateDifference] = []
    place: str | None = None
    history: list[str] = []
    """Its first attempts in the suite's runs before, oldest first: a word for each version of the code, a letter
    for each attempt, as `bugsle flaky show` prints them."""
    in_session: bool = False
    """It failed in the session itself, which is none of the `failures`: it was tried again because of that."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time that is looked at, both ends included, in seconds since the epoch and as UTC; `days` long."""

    start: int
    end: int
    since: str
    until: str
    days: float


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long things took, in seconds; nulls where n is 0. `negative` counts those that took less than none.

    The median of an even n is the mean of the two in the middle; the other quantiles are by nearest rank.
    `interval` is that of the median, 95 %, in seconds; null for fewer than eight.
    """

    n: int
    median_seconds: float | None = None
    mean_seconds: float | None = None
    min_seconds: int | None = None
    p25_seconds: int | None = None
    p75_seconds: int | None = None
    p90_seconds: int | None = None
    negative: int = 0
    interval: tuple[int, int] | None = None


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Lead times with the commits that still wait: `median_seconds` by Kaplan and Meier, null if not reached."""

    n: int
    released: int
    median_seconds: int | None


class Frequency(msgspec.Struct, frozen=True, kw_only=True):
    """Deployments in so many days; the rate and its exact Poisson interval of 95 % for 30 days."""

    deployments: int
    days: float
    per_30_days: float | None
    interval: tuple[float, float] | None


class Recovery(Durations, frozen=True, kw_only=True):
    """How long failed deployments stayed so; `open` ones still do, and are in no quantile."""

    open: int = 0


class FailureRate(msgspec.Struct, frozen=True, kw_only=True):
    """How many deployments failed, with a Wilson interval of 95 %; nulls where there was no deployment.

    Without a source (no incident record, no version, no `--szz`) it is not `asked`, and has no rate.
    """

    failed: int
    deployments: int
    rate: float | None
    interval: tuple[float, float] | None
    asked: bool = True


class Rework(msgspec.Struct, frozen=True, kw_only=True):
    """Deployments that only repair, of those that ship work, with a Wilson interval; `empty` ones ship none."""

    reworked: int
    deployments: int
    rate: float | None
    interval: tuple[float, float] | None
    empty: int


class GuardedFailures(msgspec.Struct, frozen=True, kw_only=True):
    """Failures by what holds their fixes; the share is of those that are known, with a Wilson interval."""

    guarded: int
    unguarded: int
    unknown: int
    share: float | None
    interval: tuple[float, float] | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A link of the ladder: a deployment that failed, what caused it and what mended it, and how that is known.

    `cause` and `fix` are commits, null where only deployments are known; without `fixed_in` it is not mended
    yet. `weak`: blame of the surroundings alone. A deployment that is too young is not `counted`.
    """

    rung: str
    deployment: str
    cause: str | None
    fix: str | None
    fixed_in: str | None
    evidence: str
    guarded: Literal["guarded", "unguarded", "unknown"] = "unknown"
    weak: bool = False
    counted: bool = True


class Reverts(msgspec.Struct, frozen=True, kw_only=True):
    """Commits of HEAD (no merges) that revert, by their body, their subject, or either of them.

    `targets` are the commits that bodies name, `resolved` those of them that are here, `crossing` the pairs
    of which the revert was first deployed later than its target.
    """

    body: int
    subject: int
    either: int
    targets: int
    resolved: int
    crossing: int


class HistoryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, whatever the window: HEAD's commits, the tags, and what messages mention.

    `commits`, `merges`, `mainline` and `fixes` (by their subjects, no merges) are HEAD's, `commits_with_tags`
    and `picked` (cherry-picks that say so) are of HEAD and all tags; `named_fixes` have a `Fixes: <sha>` line.
    Of the `releases` so many are `unreachable` from HEAD, and so many brought a commit that no other had;
    `release_commits` counts each tagged commit once. Of skewed clocks tell `newer_parents`, pairs of which
    the parent was committed after its child, and `authored_later`, commits authored after they were committed.
    """

    commits: int
    commits_with_tags: int
    merges: int
    mainline: int
    tags: int
    lightweight_tags: int
    tags_on_no_commit: int
    releases: int
    unreachable: int
    release_commits: int
    with_new_commits: int
    newer_parents: int
    authored_later: int
    fixes: int
    named_fixes: int
    picked: int
    squashed: int


class TrendPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a month (`2026-01`) or of one deployment; `start` in seconds since the epoch."""

    period: str
    start: int
    releases: int
    lead_time: Durations
    change_failure: dict[str, FailureRate] = {}


class Tier(msgspec.Struct, frozen=True, kw_only=True):
    """Where a figure lies in one table of tiers: `names` has two and more where its interval spans them.

    `value` and `interval` are in deployments for 30 days, seconds, or shares; `n` is what they rest on.
    """

    figure: Literal["deployment-frequency", "lead-time", "change-failure-rate", "recovery"]
    table: str
    year: int | None
    source: str
    names: list[str]
    value: float
    interval: tuple[float, float]
    n: int


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the gate was asked of a figure: its trend against an earlier window, or a limit.

    `interval` is that of the change for a trend, of the value for a limit: of 95 %, in shares or seconds.
    """

    figure: Literal["change-failure-rate", "recovery", "lead-time"]
    asked: Literal["trend", "limit"]
    answer: Verdict
    says: str
    rung: str | None = None
    value: float | None = None
    n: int = 0
    earlier: float | None = None
    earlier_n: int = 0
    interval: tuple[float, float] | None = None
    limit: float | None = None


class DeliveryGate(msgspec.Struct, frozen=True, kw_only=True):
    """What `bugsle dora --gate` asked; the deployments of both windows were watched for `watched_days`."""

    rung: str | None
    watched_days: float
    window: tuple[str, str]
    earlier: tuple[str, str]
    questions: list[Question]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """How long some of the deployed commits waited: medians in seconds, of n commits, and the first one's interval."""

    name: str
    n: int
    median_seconds: float
    interval: tuple[int, int] | None
    author_to_mainline: float
    mainline_to_release: float


class HotFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file, how many commits changed it, and how many of those are bug fixes."""

    path: str
    changes: int
    fixes: int


class FailingFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with failures: `failed` of the `deployments` that changed it, and how long their recovery took.

    `people` changed it in the year before the window's end; one is a risk. `hotspots` are its files with
    most fixes.
    """

    folder: str
    failed: int
    deployments: int
    recovered: int
    median_recovery: float | None
    people: int
    hotspots: list[HotFile]


class SuiteMonth(msgspec.Struct, frozen=True, kw_only=True):
    """The test suite in one month, by the history of its runs: the median seconds of a run, and of its tests."""

    period: str
    runs: int
    median_seconds: float
    median_tests: float


class FlakyGuard(msgspec.Struct, frozen=True, kw_only=True):
    """A test that guards fixes and cannot be trusted: it failed and passed at each of `versions` versions of the code.

    `broken` of the `runs` in which it was seen failed though the same version passed, too.
    """

    test: str
    fixes: list[str]
    versions: int
    broken: int
    runs: int


class DeliveryCauses(msgspec.Struct, frozen=True, kw_only=True):
    """What the repository knows of the causes of its figures, from the commits of the window.

    `folders` and `kinds` have those with at least `least` commits, the longest wait first: ranked, not
    tested. `fixes_with_test` of the `fixes` changed a test in the same commit.
    """

    least: int
    whole: Wait | None
    folders: list[Wait]
    kinds: list[Wait]
    failing: list[FailingFolder]
    fixes: int
    fixes_with_test: int
    share: float | None
    interval: tuple[float, float] | None
    suite: list[SuiteMonth]
    flaky_guards: list[FlakyGuard] | None = None
    """Of the ledger's guards, by the history of their runs; null where there is no ledger, or no history."""


class DeliveryFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one window. Rates of failure and recoveries by rung of evidence, `any` of them together.

    `commits` of HEAD fall in the window, `merges` and `bots` among them; `left_out` of those that were
    deployed in it are in no lead time. `unreleased` commits are in no deployment at the window's end. `young`
    deployments are on no rung but `revert`; so many of them failed already.
    """

    releases: int
    commits: int
    merges: int
    bots: int
    left_out: int
    unreleased: int
    unreleased_age: Durations
    lead_time: Durations
    lead_time_by_commit_date: Durations
    lead_time_with_unreleased: Waiting
    author_to_mainline: Durations
    mainline_to_release: Durations
    deployment_frequency: Frequency
    change_failure: dict[str, FailureRate]
    recovery: dict[str, Recovery]
    rework: Rework
    guarded: GuardedFailures
    young: int = 0
    young_failed: int = 0
    tiers: list[Tier] = []


class RepositoryDelivery(DeliveryFigures, frozen=True, kw_only=True):
    """The figures of one repository, or of one `component` of it: its releases, and the commits that change its paths.

    `sooner`, where lead time is that of changes: how many went out by a copy before their own commit did.
    """

    repository: str
    component: str | None = None
    sooner: int | None = None
    head: str
    window: Window
    history: HistoryFacts
    reverts: Reverts
    trend: list[TrendPoint]
    failures: list[Failure] = []
    deployed_by: Literal["tags", "mainline", "file"] = "tags"
    squashed: bool = False
    """Most of the mainline are squash merges: what came before the merge is in no lead time."""
    gate: DeliveryGate | None = None
    causes: DeliveryCauses | None = None
    notes: list[str] = []


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What `bugsle dora` says; `pooled` counts the deployments and commits of all repositories together."""

    pooled: DeliveryFigures | None
    repositories: list[RepositoryDelivery]


Outcome = Literal["pass", "fail", "undecided", "invalid"]


class ExperimentCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold before an effect may be read; `rule` is the finding that it makes."""

    name: str
    outcome: Outcome
    message: str
    rule: str | None = None
    p_value: float | None = None


class ExperimentLook(msgspec.Struct, frozen=True, kw_only=True):
    """Which look at growing data this is, and the two-sided level that it has.

    `share` is the share of the planned size that is there, null without a plan.
    """

    method: Literal["fixed", "spending", "always-valid"]
    number: int | None
    of: int | None
    share: float | None
    alpha: float
    why: str
    z: float | None = None
    """How many standard errors the improvement is over the least that ships; null where that is not defined."""
    units: int | None = None
    """How many units both arms had together."""
    spent: float | None = None
    """How much of the design's alpha all looks up to this one have spent; null where none is spent by share."""
    terms: str = ""
    """The risks that its level comes from: alpha, sides and spending."""


class ExperimentSegment(msgspec.Struct, frozen=True, kw_only=True):
    """The effect within one segment, to look at: it decides nothing, and knows no earlier look.

    `adjusted_p_value` is after all segments of the metric (Benjamini and Hochberg); `interval` is that of one look.
    """

    column: str
    value: str
    n: dict[str, int]
    values: dict[str, float]
    effect: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float


class RelativeEffect(msgspec.Struct, frozen=True, kw_only=True):
    """The effect relative to control; nulls where the control is 0, or too near to it for a bound."""

    effect: float | None
    interval: tuple[float, float] | None


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of an A/B test: treatment less control, judged by its interval against the least effect.

    `effect`, `interval`, `relative` and `p_value` are null where a check withholds them; `interval` has the level
    1 - `look.alpha`. `n` is by arm, `n_needed` the planned size of the control arm (of each, where they are equal).
    """

    metric: str
    outcome: Outcome
    effect: float | None
    interval: tuple[float, float] | None
    relative: RelativeEffect | None
    p_value: float | None
    n: dict[str, int]
    n_needed: int | None
    checks: list[ExperimentCheck]
    look: ExperimentLook | None
    test: str = ""
    method: str = ""
    why: str = ""
    values: dict[str, float] = {}
    """The share, mean or ratio of each arm."""
    n_needed_by_arm: dict[str, int] = {}
    days_needed: float | None = None
    role: Literal["decision", "guardrail", "exploratory"] = "decision"
    alpha: float = 0.05
    decision_p_value: float | None = None
    """That of an effect no better than the least that ships, two-sided, at the look's level: it passes below alpha."""
    adjusted_p_value: float | None = None
    """After the others of its family: Holm's for decisions, Benjamini and Hochberg's for what is exploratory."""
    kind: Literal["share", "mean", "ratio", "quantile", "shift"] = "mean"
    direction: Literal["up", "down"] = "up"
    least: float = 0.0
    """The least improvement that ships, relative to control where `least_is_relative`."""
    least_is_relative: bool = False
    within: float | None = None
    """Of a test of equivalence: the margin, in the unit of `least`, within which on both sides the effect is to lie."""
    looks: list[ExperimentLook] = []
    """All looks that are remembered, the oldest first and this one last."""
    segments: list[ExperimentSegment] = []
    experiment: str = ""
    """By what its looks are remembered: the name of the experiment, or the test's id."""
    data: str = ""
    """A digest of what the data say: identical data are no new look."""
    notes: list[str] = []
    message: str = ""


class ModelEdit(msgspec.Struct, frozen=True, kw_only=True):
    """One edit of a variation: `place` is [start, stop] in a text, else a key, a number or an index."""

    place: Any
    before: Any
    after: Any


class ModelFailure(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest variation that was found to change the answer, and both answers as they are shown."""

    before: Any
    after: Any
    edits: list[ModelEdit]
    output_before: str
    output_after: str


class ModelFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What one judgement of a model says beside its outcome, by its rule."""

    rule: str
    message: str


class ModelPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of neighbouring confidence: the share that was right, and where chance puts it if all is as stated."""

    confidence: float
    right: float
    n: int
    lower: float
    upper: float


class ModelGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One group of examples: `hits` of its `n` are what the metric counts, `interval` two one-sided bounds.

    A slice has its complement beside it; `effect` is by how much its rate is above that, with an interval of 95 %,
    and `adjusted_p_value` that of the effect, among all that were tested. `word` says how it was judged.
    """

    name: str
    metric: str
    hits: int
    n: int
    rate: float | None
    interval: tuple[float, float] | None
    other_hits: int = 0
    other_n: int = 0
    effect: float | None = None
    effect_interval: tuple[float, float] | None = None
    adjusted_p_value: float | None = None
    word: Literal["", "weak", "too few"] = ""


class ModelGap(msgspec.Struct, frozen=True, kw_only=True):
    """The widest gap between two groups in one metric, with two one-sided bounds; `p_value` is that of any gap."""

    metric: str
    high: str
    low: str
    gap: float
    interval: tuple[float, float]
    p_value: float
    outcome: Outcome


class ModelResult(msgspec.Struct, frozen=True, kw_only=True):
    """One judgement of a model: `gate` is what was asked, `family` what it was asked about.

    Of variations `trials` counts those that changed their example, `no_ops` those that did not, and `duplicates`
    those that were the same as another; `examples` is the n of the bounds, `flipping` how many of them have a
    flip. `interval` holds two one-sided bounds of `level` each, `n_needed` the examples that would settle it, where
    it is undecided. What does not decide is shown, and changes no verdict.
    """

    gate: str
    family: str
    outcome: Outcome
    trials: int
    no_ops: int = 0
    duplicates: int = 0
    flips: int = 0
    rate: float | None = None
    interval: tuple[float, float] | None = None
    limit: float | None = None
    n_needed: int | None = None
    smallest: ModelFailure | None = None
    saved: str | None = None
    model: str = ""
    test: str = ""
    perturbation: str = ""
    nature: str = ""
    examples: int = 0
    flipping: int = 0
    level: float = 0.95
    decides: bool = True
    adjusted_p_value: float | None = None
    """Holm's, of the rate being above the limit, among those that decide in one gate."""
    figures: dict[str, float] = {}
    reliability: list[ModelPoint] = []
    groups: list[ModelGroup] = []
    gaps: list[ModelGap] = []
    findings: list[ModelFinding] = []
    notes: list[str] = []
    why: str = ""
    message: str = ""


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """The commits under test: `base` is null where the history begins inside the range."""

    base: str | None
    head: str
    why: str
    commits: int


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote this report."""

    name: str = "pytest-bugsle"
    version: str = __version__


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Units by judgement and fixes by status."""

    found: int = 0
    maybe: int = 0
    judged: int = 0
    proven: int = 0
    passes_without_fix: int = msgspec.field(default=0, name="passes-without-fix")
    existence_only: int = msgspec.field(default=0, name="existence-only")
    no_test: int = msgspec.field(default=0, name="no-test")
    guard_fails: int = msgspec.field(default=0, name="guard-fails")
    undecided: int = 0
    out_of_scope: int = msgspec.field(default=0, name="out-of-scope")
    not_in_run: int = msgspec.field(default=0, name="not-in-run")
    waived: int = 0


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; the only part of a result that differs between two runs on the same input."""

    total: float = 0.0
    tests: float = 0.0
    runs: int = 0
    cached: int = 0
    search: float = 0.0
    """Of a hunt: what the searches for polluters and setters took, without the confirmation in clean processes."""


class WaiverResult(msgspec.Struct, frozen=True, kw_only=True):
    """A waiver that was honoured, expired or not needed."""

    rule: str
    subject: str
    reason: str
    source: Literal["trailer", "settings"]
    expires: str | None
    state: Literal["used", "unused", "expired"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All that one run found; the JSON report is this struct."""

    schema: int = SCHEMA
    tool: Tool = Tool()
    verdict: Verdict
    range: Range | None
    fixes: list[FixResult]
    counts: Counts
    findings: list[Finding]
    waivers: list[WaiverResult] = []
    notes: list[str] = []
    audit: AuditResult | msgspec.UnsetType = msgspec.UNSET
    hotspots: list[Hotspot] | msgspec.UnsetType = msgspec.UNSET
    tests: list[FlakyTest] | msgspec.UnsetType = msgspec.UNSET
    delivery: Delivery | msgspec.UnsetType = msgspec.UNSET
    experiments: list[ExperimentResult] | msgspec.UnsetType = msgspec.UNSET
    models: list[ModelResult] | msgspec.UnsetType = msgspec.UNSET
    timings: Timings = Timings()

    def with_gates(self, verdict: Verdict, findings: Iterable[Finding], **gates: object) -> Result:
        """Return the result with what gates of tests found: the worse verdict of both, and `gates` by their fields."""
        order: tuple[Verdict, ...] = ("pass", "undecided", "fail")
        worse = max(self.verdict, verdict, key=order.index)
        found = [*self.findings, *findings]
        return msgspec.structs.replace(self, verdict=worse, findings=found, **gates)


def count(fixes: list[FixResult]) -> Counts:
    """Return the counts of a list of judged units."""
    asked = [fix for fix in fixes if fix.status is not None]
    by_status: dict[str, int] = {}
    for fix in asked:
        by_status[str(fix.status)] = by_status.get(str(fix.status), 0) + 1
    decided = ("proven", "passes-without-fix", "existence-only", "no-test", "guard-fails")
    return msgspec.convert(
        {
            "found": sum(fix.judgement == "fix" for fix in fixes),
            "maybe": sum(fix.judgement == "maybe" for fix in fixes),
            "judged": sum(by_status.get(status, 0) for status in decided),
            **by_status,
        },
        Counts,
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a result, made from the structs."""
    (schema,), components = msgspec.json.schema_components([Result], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pytest-bugsle result",
        **schema,
        "$defs": components,
    }
