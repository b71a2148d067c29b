"""The words, file names and authors by which a change is weighed.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re

import msgspec

from pytest_bugsle.patterns import lazy_pattern

FIX_GITMOJI = frozenset({"bug", "ambulance", "adhesive_bandage", "lock"})
OTHER_GITMOJI = frozenset({
    "sparkles", "memo", "pencil2", "art", "lipstick",
    "wrench", "construction_worker", "green_heart", "rotating_light", "white_check_mark",
    "arrow_up", "arrow_down", "bookmark", "recycle", "fire",
    "construction", "bulb", "twisted_rightwards_arrows", "rewind", "test_tube",
    "label", "globe_with_meridians",
})  # fmt: skip
OTHER_TYPES = {
    "feature": -5, "docs": -4, "style": -4, "test": -4, "ci": -4, "build": -4, "chore": -3, "perf": -2,
    "refactor": -2, "revert": -2,
}  # fmt: skip
_VETO_TYPES = frozenset({"docs", "style", "test", "ci", "build"})

FIX_START = lazy_pattern(
    r"(?:(?:hot|bug)[- ]?)?fix(?:e[sd]|ing)?\b(?!-|\s+(?:point|width|size|length|offset|seed)\b)"
    r"|correct(?:s|ed|ing|ly)?\b|repair(?:s|ed|ing)?\b|mend(?:s|ed|ing)?\b",
    re.IGNORECASE,
)
BUG_WORD = lazy_pattern(
    r"(?<![\w-])(?:bug[- ]?fix(?:e[sd]|ing)?|bugs?)\b(?!-)(?!\s+(?:reports?|trackers?|templates?|bounty"
    r"|labels?)\b)",
    re.IGNORECASE,
)
FIX_WORD = lazy_pattern(
    r"(?<![\w-])(?:(?:hot)?fix(?:e[sd]|ing)?\b(?!-|\s+(?:point|width|size|length|offset|seed)\b)"
    r"|\Aresolv(?:e[sd]?|ing)\b(?=\s+[a-z\"'])(?!\s+(?:issues?|tickets?|gh|conflicts?|merge)\b))",
    re.IGNORECASE,
)
# "fixes #9" is weighed as a reference; its verb is not counted a second time.
CLOSING = lazy_pattern(
    r"\b(?:fix(?:e[sd]|ing)?|clos(?:e[sd]?|ing)|resolv(?:e[sd]?|ing))\b:?\s+(?=[#(]|GH-|https?:)",
    re.IGNORECASE,
)
DEFENSIVE_START = lazy_pattern(
    r"(?:handl(?:e[sd]?|ing)|avoid(?:s|ed|ing)?|prevent(?:s|ed|ing)?|ensur(?:e[sd]?|ing)|mak(?:e[sd]?"
    r"|ing) sure"
    r"|do(?:es)? ?n[o'’]?t|never|no longer|stop(?:s|ped)?|properly|correctly|always|guard|protect"
    r"|reject(?:s|ed)?"
    r"|validat(?:e[sd]?|ing)|catch(?:es)?|respect|honou?r|preserv(?:e[sd]?|ing)|restor(?:e[sd]?|ing)"
    r"|work ?around"
    r"|add(?:s|ed|ing)? (?:an? |the |some |more )?(?:missing|checks?|guards?|validation|error handling"
    r"|handling"
    r"|safeguards?|protection|sanity|bounds|null|none))\b",
    re.IGNORECASE,
)
SYMPTOM = lazy_pattern(
    r"\b(?:crash(?:e[sd]|ing)?|regress(?:ions?|ed)|wrong(?:ly)?|incorrect(?:ly)?|fail(?:s|ed|ing|ures?)?"
    r"|rais(?:es|ing)"
    r"|leak(?:s|ed|ing|age)?|off[- ]by[- ]one|dead ?locks?|race(?: conditions?)?|races|(?:over|under)flows?"
    r"|segfaults?"
    r"|segmentation fault|tracebacks?|hangs?|hanging|infinite (?:loop|recursion)|broken|break(?:s|age|ing)"
    r"|corrupt(?:s|ed|ion)?"
    r"|unexpected(?:ly)?|exceptions?|use[- ]after[- ]free|double[- ]free|stale|lost|losing|missing|invalid"
    r"|erroneous(?:ly)?"
    r"|misbehav\w{1,8}|inconsistent|throws|stuck|unhandled|errors?|KeyboardInterrupt|StopIteration)\b"
    r"|\b[A-Z][A-Za-z]{1,40}(?:Error|Exception)s?\b",
    re.IGNORECASE,
)
_HARD_SYMPTOM = lazy_pattern(
    r"\b(?:crash\w{0,3}|regressions?|leaks?|dead ?locks?|race condition|(?:over|under)flows?|segfaults?"
    r"|tracebacks?|hangs?"
    r"|infinite (?:loop|recursion)|corruption|exceptions?|[A-Za-z]{2,40}Error|failures?) (?:\w{1,30} ){0,3}?"
    r"(?:in|when|while|with|for|on|if|during|from|by|of) ",
    re.IGNORECASE,
)
URL = lazy_pattern(r"https?://\S{1,500}")
BODY_FIX = lazy_pattern(
    r"^(?:also |this |it |the |commit |change |patch |pr ){0,4}fix(?:e[sd])\b(?! (?:typo|test|doc|lint"
    r"|comment|the test))",
    re.IGNORECASE | re.MULTILINE,
)
BODY_SYMPTOM = lazy_pattern(
    r"\b(?:crash(?:e[sd]|ing)?|regress(?:ions?|ed)|wrong(?:ly)?|incorrect(?:ly)?|raised|raises|raising"
    r"|leak(?:s|ed|ing)?|dead ?locks?"
    r"|segfaults?|tracebacks?|hangs?|infinite (?:loop|recursion)|broken|corrupt(?:s|ed|ion)?|bugs?|(?:does"
    r"|did) ?n(?:o|['’])t work"
    r"|unhandled|off-by-one|used to fail|fails)\b",
    re.IGNORECASE,
)
FEATURE_START = lazy_pattern(
    r"(?:add(?:s|ed|ing)?|allow(?:s|ed|ing)?|support(?:s|ed|ing)?|implement(?:s|ed|ing)?|introduc(?:e[sd]?"
    r"|ing)"
    r"|enabl(?:e[sd]?|ing)|provid(?:e[sd]?|ing)|new|expos(?:e[sd]?|ing)|creat(?:e[sd]?|ing)|feature"
    r"|permit(?:s|ted)?)\b",
    re.IGNORECASE,
)
UPKEEP_START = lazy_pattern(
    r"(?:updat|upgrad|bump|remov|drop|renam|refactor|mov(?:e|ing)|us(?:e[sd]?|ing)\b|switch|improv|document"
    r"|deprecat|declar"
    r"|prepar|convert|clean|simplif|reformat|merg|sync|tests?\b|docs?\b|lint|format|typos?\b|writ|tweak"
    r"|rewrit|releas|mention"
    r"|comment|reorgani|optimi|speed|blacken|pin\b|migrat|replac|tid(?:y|ied)|revamp|extract|split|rework"
    r"|apply|reduc|revert)"
    r"\w{0,8}",
    re.IGNORECASE,
)
RELEASE = lazy_pattern(
    r"(?:v?\d+(?:\.\d+){1,3}[\w.+-]{0,20}\s*(?:$|[-–—:(,]|release)|(?:prepare |cut |make |new "
    r"|tag )?releas(?:e|ing)\b"
    r"|(?:bump(?:ing|ed|s)?|updat(?:e|ed|ing)|set|change[ds]?) (?:the |package )?version|version bump"
    r"|(?:bump(?:ing|ed|s)?) (?:to |for )?v?\d"
    r"|version v?\d|(?:write|update|add) (?:the )?changelog)",
    re.IGNORECASE,
)
FIXES_COMMIT = lazy_pattern(r"^Fixes: ?(?:commit )?[0-9a-f]{7,64}\b", re.IGNORECASE | re.MULTILINE)
COMMIT = lazy_pattern(r"(?:commit )?[0-9a-f]{7,64}\b", re.IGNORECASE)
REPORTED_BY = lazy_pattern(r"^Reported-by:[ \t]*\S", re.IGNORECASE | re.MULTILINE)
QUOTED_TITLE = lazy_pattern(r"^(?:Revert|Reapply) \"[^\n]*\"", re.MULTILINE)

_HARD = lazy_pattern(
    r"\b(?:flake-?8|pep-?(?:8|257)|pycodestyle"
    r"|pydocstyle|mypy|pyright|ruff|pylint|isort|yapf|lint(?:s|er|ers|ing)?|pre-commit|docs?(?=$|\W)"
    r"|documentation|docstrings?|doc-?tests?"
    r"|readme(?:\.\w{2,4})?|change-?log(?:\.\w{2,4})?|changes\.(?:rst|txt|md)|release notes?"
    r"|news (?:fragment|entry)|versionhistory\S{0,5}|sphinx"
    r"|badges?|copyright|review(?:er)?(?:'s|s)? (?:comments?|feedback|suggestions?|remarks?|notes)|(?:code"
    r"|pr) review|nits?|nitpicks?"
    r"|(?:merge )?conflicts?(?=$| in\b| with (?:main|master|develop)| from)|version bump|version number|ci"
    r"|travis(?:[- ]ci)?|appveyor"
    r"|circleci|github actions?|github workflows?|workflows?|gitlab-ci|tox|nox|codecov|makefile|gitignore"
    r"|(?:unit|doc)[- ]?tests?|tests"
    r"|test_\w{1,80}|(?:test )?fixtures?|benchmarks?|code style|coding style|black|unused imports?"
    r"|dev(?:elopment)? dependenc(?:y|ies)"
    r"|test(?!-\w)(?! (?:client|server|mode|runner|command|double|factory|request|data|ids?|collection"
    r"|discovery|order|session)s?\b))(?!\w|[.]\w)",
    re.IGNORECASE,
)
_AMBIGUOUS = lazy_pattern(
    r"\b(?:formatting|white ?space|indent(?:ation)?|comments?|typing|type[- ]?(?:hints?|annotations?)"
    r"|annotations?|build|wheels?"
    r"|style|styling|(?:broken |dead )?links?|examples?|dependenc(?:y|ies)|requirements|coverage"
    r"|import order|pyproject(?:\.toml)?"
    r"|setup\.(?:py|cfg)|license|names?pace packaging|packaging|type stubs?)(?!\w|[.]\w)",
    re.IGNORECASE,
)
_SPELLING = lazy_pattern(
    r"\b(?:typos?|typographical|mis-?spell\w{0,4}|misprints?|spelling|grammar|grammatical|wording)(?!\w)",
    re.IGNORECASE,
)
_SOFT = lazy_pattern(r"\bwarnings?\b", re.IGNORECASE)
_CLAUSE = lazy_pattern(r"[,;]\s+|\s+(?:and|&|\+)\s+|\.\s+|\s+[-–—]+\s+")
_HARD_SCOPE = lazy_pattern(
    r"(?:docs?|documentation|readme|change-?log|ci|tests?|testing|lint|linting|mypy|style|typos?|deps-dev"
    r"|release"
    r"|workflows?|\.?github|actions|gha|pre-commit|examples?|benchmarks?|tox|makefile|website)(?:$|[/_.,-])",
    re.IGNORECASE,
)
_AMBIGUOUS_SCOPE = lazy_pattern(
    r"(?:build|deps|dependencies|types|typing|packaging)(?:$|[/_.,-])", re.IGNORECASE
)

_UPKEEP_BOTS = lazy_pattern(
    r"dependabot|renovate|pre-commit-ci|github-actions|greenkeeper|pyup[-. ]?bot|snyk[- ]?bot"
    r"|allcontributors|all-contributors|imgbot"
    r"|mergify|semantic-release|release-please|scala-steward|weblate|transifex|crowdin|deepsource|restyled"
    r"|codecov|lgtm|sourcery"
    r"|requires-io|depfu|whitesource|mend-bolt|bors|homu|miss-islington|meeseeksmachine|patchback",
    re.IGNORECASE,
)
# These carry other people's fixes to maintenance branches: what they bring is judged like any change.
_BACKPORT_BOTS = lazy_pattern(
    r"miss-islington|meeseeksmachine|patchback|backport|mergify|bors|homu", re.IGNORECASE
)
_CODING_AGENTS = lazy_pattern(
    r"copilot|claude|codex|cursor|devin|jules|openhands|sweep|gemini|amazon-q|aider|coderabbit|cline"
    r"|windsurf|swe-agent",
    re.IGNORECASE,
)

_FRAGMENT_PLACE = lazy_pattern(
    r"(?:^|/)[^/]*(?:change|news|fragment|release-?note|towncrier)[^/]*/", re.IGNORECASE
)
_FRAGMENT = lazy_pattern(
    r"[^/]*?[.](?P<kind>[a-z_-]{2,20})(?:[.]\d{1,6})?(?:[.](?:rst|md|txt|adoc|asciidoc|yaml|yml))?\Z",
    re.IGNORECASE,
)
_FRAGMENT_KINDS = {
    **dict.fromkeys(("bugfix", "bugfixes", "bug", "fix", "fixes", "fixed", "security", "hotfix"), "fix"),
    **dict.fromkeys(("feature", "features", "feat", "added", "new", "enhancement", "improvement"), "feature"),
    **dict.fromkeys(("doc", "docs", "documentation"), "documentation"),
    **dict.fromkeys(("removal", "removed", "breaking", "deprecation", "deprecated"), "removal"),
    **dict.fromkeys(
        ("misc", "trivial", "internal", "contrib", "packaging", "process", "vendor", "chore"), "upkeep"
    ),
}

_HEADING_MARK = lazy_pattern(r"[-=~^#*+.`_]{3,}$")
_FIX_HEADING = lazy_pattern(
    r"(?:bug[- ]?fix(?:es)?|bugs?(?: fixed)?|fix(?:es|ed)?|fixed bugs|security(?: fixes)?|bugs? squashed)$",
    re.IGNORECASE,
)
_OTHER_HEADING = lazy_pattern(
    r"(?:(?:new )?features?|added|changed|enhancements?|improvements?|removed|removals?|deprecat(?:ed"
    r"|ions?)|documentation|docs"
    r"|internals?|misc(?:ellaneous)?|other(?: changes)?|support|breaking(?: changes)?|performance"
    r"|maintenance|dependencies|tests?"
    r"|contributors)$",
    re.IGNORECASE,
)
_BULLET = lazy_pattern(r"[-*+•] +")
_FIX_LINE = lazy_pattern(
    r"(?:\[?:?(?:issue|bug|pr|gh|ghsa|cve)[^\s:]{0,40}[:\]]? *)?"
    r"(?:(?:bug ?|hot ?)?fix(?:e[sd]|ing)?|correct(?:s|ed|ly)?|repair(?:s|ed)?|bug(?: ?fix)?:)\b",
    re.IGNORECASE,
)


class Veto(msgspec.Struct, frozen=True):
    """A word that says that what is mended is no behaviour of the product."""

    word: str
    strength: str  # "hard", "ambiguous" (a product may have such a thing), "spelling", "soft"
    after_symptom: bool = False


def veto(text: str, kind: str | None = None, scope: str = "") -> Veto | None:
    """Return what the subject mends if that is documentation, tests, style, CI and the like.

    Only the part of the subject that speaks of mending is asked: "Fix crash, add tests" is free.
    """
    if kind in _VETO_TYPES:
        return Veto(str(kind), "hard")
    if scope and _HARD_SCOPE.match(scope):
        return Veto(scope, "hard")
    if scope and _AMBIGUOUS_SCOPE.match(scope):
        return Veto(scope, "ambiguous")
    clauses = [clause for clause in _CLAUSE.split(text) if clause]
    mending = [c for c in clauses if FIX_START.match(c) or FIX_WORD.search(c) or BUG_WORD.search(c)]
    worst: Veto | None = None
    for clause in mending or clauses:
        found = _veto_in(clause)
        if found is None:
            return None
        worst = worst or found
    return worst


def bot(author: str, email: str) -> str:
    """Return "upkeep" for a bot that keeps things tidy, "other" for an unknown one, "" for the rest."""
    name = f"{author[:200]} {email[:200]}"
    is_bot = "[bot]" in name.lower()
    if _CODING_AGENTS.search(name) or (is_bot and _BACKPORT_BOTS.search(name)):
        return ""
    is_named_so = is_bot or re.search(r"bot\b|-ci\b|actions", name, re.IGNORECASE)
    if is_named_so and _UPKEEP_BOTS.search(name):
        return "upkeep"
    return "other" if is_bot else ""


def fragment_kind(path: str) -> str:
    """Return what kind of news fragment a path is ("fix", "feature", …), "" if it is none."""
    if not _FRAGMENT_PLACE.search(path):
        return ""
    place, _, name = path.rpartition("/")
    match = _FRAGMENT.match(name)
    kind = match["kind"].lower() if match else ""
    # changelog/123.bugfix.rst, or a directory for each kind: changes/bugfix/123.rst
    return _FRAGMENT_KINDS.get(kind) or _FRAGMENT_KINDS.get(place.rpartition("/")[2].lower(), "")


def fragment_number(path: str) -> str:
    """Return the number that a news fragment's name begins with, "" if none."""
    match = re.match(r"\+?([1-9]\d{0,8})\.", path.rsplit("/", 1)[-1])
    return match[1] if match and fragment_kind(path) else ""


def changelog_kind(added: str) -> str:
    """Return "fix" if a line added to a changelog speaks of a fix, "other" if none does, "" for no line."""
    under, seen = "", ""
    for raw in added.split("\n", 2_000)[:2_000]:
        line = raw.strip()[:300]
        title = line.strip("#*_:= \t[]")
        if not line or _HEADING_MARK.match(line):
            continue
        if _FIX_HEADING.match(title):
            under = "fix"
        elif _OTHER_HEADING.match(title):
            under = "other"
        else:
            bullet = _BULLET.match(line)
            if not bullet and not raw[:1].isspace() and not under:
                under = ""
            if (bullet and under == "fix") or _FIX_LINE.match(line[bullet.end() :] if bullet else line):
                return "fix"
            seen = "other" if bullet else seen
    return seen


def changelog_lines(text: str, added: frozenset[int]) -> str:
    """Return the added lines of a changelog (numbers from 1), the heading of each section before them."""
    lines = text.split("\n")
    kept: list[str] = []
    heading = ""
    for number, line in enumerate(lines, 1):
        title = line.strip().strip("#*_:= \t[]")
        if _FIX_HEADING.match(title) or _OTHER_HEADING.match(title) or line.startswith("#"):
            heading = line
        if number in added:
            if heading and heading is not line:
                kept.append(heading)
            heading = ""
            kept.append(line)
    return "\n".join(kept)


def _veto_in(clause: str) -> Veto | None:
    kinds = ((_HARD, "hard"), (_AMBIGUOUS, "ambiguous"), (_SPELLING, "spelling"), (_SOFT, "soft"))
    for pattern, strength in kinds:
        match = pattern.search(clause)
        if match:
            before = clause[: match.start()]
            return Veto(match[0], strength, _HARD_SYMPTOM.search(before) is not None)
    return None
