"""Is this change a bug fix? A score with its reasons.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from pytest_bugsle.history import signs
from pytest_bugsle.history.messages import bounded, excerpt, headline, prose, squash_parts
from pytest_bugsle.history.references import Mention, is_security, labels_of, references
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_bugsle.history.messages import Headline

Answer = Literal["fix", "maybe", "no"]

FIX_AT, MAYBE_AT = 3, 1
# A bullet of a squashed feature counts as a fix of its own only if it says so this clearly:
# "* Fix tests again" in a feature's body mends the feature, not a bug that anybody had.
_CLEAR = 4
_MOST_PARTS = 300
_BUG_LABEL = lazy_pattern(r"\b(?:bugs?|defect|regression|crash|security|vulnerability|hotfix)\b")
_OTHER_LABEL = lazy_pattern(
    r"\b(?:features?|enhancement|improvement|docs?|documentation|question|support|chore|task)\b"
)


class Reason(msgspec.Struct, frozen=True):
    """One sign that was seen, and what it weighs."""

    text: str
    points: int

    def __str__(self) -> str:
        sign = "+" if self.points > 0 else "−" if self.points < 0 else "±"
        return f"{sign}{abs(self.points)} {self.text}"


class Judgement(msgspec.Struct, frozen=True):
    """The answer, the score behind it, and the reasons, the weightiest first."""

    answer: Answer
    score: int
    reasons: tuple[Reason, ...] = ()

    @property
    def is_fix(self) -> bool:
        """Return whether the gate has to ask for a guard."""
        return self.answer == "fix"

    def explain(self) -> str:
        """Return the reasons, one a line."""
        return "\n".join(str(reason) for reason in self.reasons)


class Facts(msgspec.Struct, frozen=True):
    """What is known of a change before it is judged.

    `added` are the paths of the files that it adds. `source_changed` is False if the source side
    is the same but for comments, docstrings and annotations (or is not touched), None if unknown.
    `changelog` holds the lines added to a changelog, each section's heading before them. `hook` is
    the answer of a project's own hook.
    """

    subject: str
    body: str = ""
    author: str = ""
    author_email: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    added: tuple[str, ...] = ()
    source_changed: bool | None = None
    changelog: str = ""
    hook: bool | None = None


class Policy(msgspec.Struct, frozen=True):
    """What the project itself says of fixes. Its patterns win over every other sign."""

    fix: tuple[re.Pattern[str], ...] = ()
    no_fix: tuple[re.Pattern[str], ...] = ()
    tracker: dict[str, tuple[str, ...]] = {}
    home: str | None = None


NO_POLICY = Policy()


def policy(
    fix: Iterable[str] = (),
    no_fix: Iterable[str] = (),
    tracker: dict[str, tuple[str, ...]] | None = None,
    home: str | None = None,
) -> Policy:
    """Compile a policy; the patterns are searched for in the whole message, without regard to case."""
    flags = re.IGNORECASE | re.MULTILINE
    return Policy(
        tuple(re.compile(pattern, flags) for pattern in fix),
        tuple(re.compile(pattern, flags) for pattern in no_fix),
        tracker or {},
        home,
    )


def judge(facts: Facts, policy: Policy = NO_POLICY) -> Judgement:
    """Judge one change, the messages squashed into it included."""
    told = _told(facts, policy)
    if told is not None:
        return told
    head = _score(facts, policy)
    if head.is_fix:
        return head
    best = head
    for part in squash_parts(facts.body)[:_MOST_PARTS]:
        if part.subject == facts.subject:
            continue
        inner = _score(Facts(part.subject, part.body, source_changed=facts.source_changed), policy)
        if not inner.is_fix:
            continue
        clear = head.score >= 0 or inner.score >= _CLEAR
        says = f"a message squashed into it says “{excerpt(part.subject)}”"
        reason = Reason(says, (FIX_AT if clear else MAYBE_AT) - head.score)
        score = head.score + reason.points
        if score > best.score:
            best = Judgement(_answer(score), score, _ordered([reason, *head.reasons]))
        if best.is_fix:
            break
    return best


def _told(facts: Facts, policy: Policy) -> Judgement | None:
    """Return what the project's hook or patterns say, and None where they are silent."""
    if facts.hook is not None:
        reason = Reason("a hook of the project says so", 10 if facts.hook else -10)
        return Judgement("fix" if facts.hook else "no", reason.points, (reason,))
    message = bounded(f"{facts.subject}\n\n{facts.body}")
    for patterns, points, answer in ((policy.no_fix, -10, "no"), (policy.fix, 10, "fix")):
        for pattern in patterns:
            if pattern.search(message):
                which = "fix_patterns" if points > 0 else "no_fix_patterns"
                reason = Reason(
                    f"the message matches the project's {which} “{excerpt(pattern.pattern)}”", points
                )
                return Judgement("fix" if answer == "fix" else "no", points, (reason,))
    return None


def _score(facts: Facts, policy: Policy) -> Judgement:
    head = headline(facts.subject)
    text = signs.URL.sub(" ", signs.CLOSING.sub("", prose(signs.QUOTED_TITLE.sub("Revert", head.text))))
    reasons: list[Reason] = []
    explicit = _explicit(facts, policy, reasons)
    said = _subject(head, text, facts, reasons, explicit=explicit)
    _files(facts, reasons)
    _vetoes(head, text, facts, reasons, explicit=explicit, said=said)
    score = sum(reason.points for reason in reasons)
    answer = _answer(score)
    if facts.source_changed is False and answer != "no":
        reasons.append(Reason("it changes no statement of the source", -score))
        score, answer = 0, "no"
    return Judgement(answer, score, _ordered(reasons))


def _explicit(facts: Facts, policy: Policy, reasons: list[Reason]) -> bool:
    """Collect what names a bug outright; return whether anything does."""
    message = f"{facts.subject}\n\n{_without_quotes(facts.body)}"
    found = references(message, policy.home)
    fixes = [r.bug for r in found if r.mention is Mention.FIXES]
    closes = [r.bug for r in found if r.mention is Mention.CLOSES]
    security = [r.bug for r in found if is_security(r.bug)]
    strong = False
    if fixes:
        reasons.append(Reason(f"the message says that it fixes {fixes[0]}", 4))
        strong = True
    elif closes:
        reasons.append(Reason(f"the message closes {closes[0]}, which may be a bug or a wish", 2))
    if security:
        reasons.append(Reason(f"the message names {security[0]}", 3))
        strong = True
    body = bounded(facts.body)
    fixed = any(key.lower() == "fixes" and signs.COMMIT.match(value) for key, value in facts.trailers)
    if fixed or signs.FIXES_COMMIT.search(body):
        reasons.append(Reason("a trailer names the commit that it fixes", 4))
        strong = True
    if any(key.lower() == "reported-by" for key, _ in facts.trailers) or signs.REPORTED_BY.search(body):
        reasons.append(Reason("a trailer names who reported it", 3))
    named = fixes + closes + [r.bug for r in found if r.mention is Mention.MENTION and r.in_subject]
    labels = labels_of(named, policy.tracker) if policy.tracker and named else frozenset()
    if any(_BUG_LABEL.search(label) for label in labels):
        reasons.append(Reason(f"the tracker labels {named[0]} a bug", 4))
        strong = True
    elif any(_OTHER_LABEL.search(label) for label in labels):
        reasons.append(Reason(f"the tracker labels {named[0]} as something else than a bug", -4))
    return strong


def _subject(head: Headline, text: str, facts: Facts, reasons: list[Reason], *, explicit: bool) -> bool:
    """Collect what the subject says; return whether it speaks of a fix."""
    said = True
    if head.type == "fix":
        reasons.append(Reason(f"the header's type is “{excerpt(head.written_type)}”", 4))
    elif head.gitmoji in signs.FIX_GITMOJI:
        reasons.append(Reason(f"the gitmoji :{head.gitmoji}: marks a fix", 4))
    elif match := signs.FIX_START.match(prose(head.text)):
        reasons.append(Reason(f"the subject begins with “{match[0]}”", 3))
    elif match := signs.BUG_WORD.search(text):
        reasons.append(Reason(f"the subject says “{match[0]}”", 3))
    elif match := signs.FIX_WORD.search(text):
        reasons.append(Reason(f"the subject has “{match[0]}” in it", 2))
    else:
        said = False
    defensive = signs.DEFENSIVE_START.match(text)
    if defensive and not said:
        reasons.append(Reason(f"the subject begins with “{defensive[0]}”", 1))
    # The words are looked for in the whole subject: an exception's name often stands in code quotes.
    symptom = signs.SYMPTOM.search(signs.QUOTED_TITLE.sub("", head.text))
    if symptom:
        reasons.append(Reason(f"the subject speaks of a symptom: “{symptom[0]}”", 1))
    other = signs.OTHER_TYPES.get(head.type or "")
    if other is not None:
        reasons.append(Reason(f"the header's type is “{excerpt(head.written_type)}”", other))
    elif head.gitmoji in signs.OTHER_GITMOJI:
        reasons.append(Reason(f"the gitmoji :{head.gitmoji}: marks something else", -4))
    elif head.type is None and (match := signs.FEATURE_START.match(text)) and not defensive:
        reasons.append(Reason(f"the subject begins with the feature word “{match[0]}”", -3))
    elif head.type is None and (match := signs.UPKEEP_START.match(text)) and not signs.RELEASE.match(text):
        reasons.append(Reason(f"the subject begins with “{match[0]}”", -1))
    if any(reason.points < -1 for reason in reasons):
        return said
    body = signs.URL.sub(" ", prose(bounded(facts.body)))
    if not said and not explicit and (match := signs.BODY_FIX.search(body)):
        reasons.append(Reason(f"the body says “{excerpt(match[0])}”", 2))
    if reasons and (match := signs.BODY_SYMPTOM.search(body)):
        reasons.append(Reason(f"the body speaks of a symptom: “{match[0]}”", 1))
    return said


def _files(facts: Facts, reasons: list[Reason]) -> None:
    kinds = {kind for path in facts.added if (kind := signs.fragment_kind(path))}
    if "fix" in kinds:
        reasons.append(Reason("it adds a news fragment of a bug fix", 4))
    elif kinds:
        reasons.append(Reason(f"it adds a news fragment of another kind ({', '.join(sorted(kinds))})", -4))
    noted = signs.changelog_kind(facts.changelog)
    if noted == "fix":
        reasons.append(Reason("it adds a line on a fix to the changelog", 3))
    elif noted == "other":
        reasons.append(Reason("the line that it adds to the changelog speaks of no fix", -1))


def _vetoes(
    head: Headline, text: str, facts: Facts, reasons: list[Reason], *, explicit: bool, said: bool
) -> None:
    bot = signs.bot(facts.author, facts.author_email)
    if bot:
        reasons.append(Reason("the author is a bot", -10 if bot == "upkeep" else -3))
    veto = signs.veto(text, head.type, head.scope)
    if signs.RELEASE.match(text) or signs.RELEASE.match(facts.subject):
        # Small projects release and mend in one commit: that stays a doubt, not a no.
        mends_too = said and veto is None and facts.source_changed
        reasons.append(Reason("the subject announces a release", -2 if mends_too else -8))
    if veto is None or not (said or explicit):
        return
    points = -5
    if veto.strength == "spelling" and facts.source_changed:
        points = -1  # a misspelt name in code is a bug: nobody wrote prose there
    elif veto.strength == "soft" or (facts.source_changed and (explicit or veto.strength == "ambiguous")):
        points = -2
    if veto.after_symptom and facts.source_changed:
        points = -1
    reasons.append(Reason(f"what it mends is “{excerpt(veto.word)}”", points))


def _without_quotes(body: str) -> str:
    """Drop the quoted title of a revert: its references are not this message's."""
    return signs.QUOTED_TITLE.sub(" ", bounded(body))


def _answer(score: int) -> Answer:
    return "fix" if score >= FIX_AT else "maybe" if score >= MAYBE_AT else "no"


def _ordered(reasons: list[Reason]) -> tuple[Reason, ...]:
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.points)))
