"""Bug references in a text: found, normalised, compared.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from pytest_bugsle.history.messages import bounded, prose
from pytest_bugsle.patterns import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names that look like a tracker's key before `-7` and are standards, encodings, hashes or platforms.
_NO_PROJECT = lazy_pattern(
    r"(?:AES|AGPL|AM|AMD|ANSI|APACHE|ARM|ASCII|BASE|BIG|BSD|CC|CLANG|CP|CPYTHON|CUDA|CVE|CWE|DEBIAN|DES"
    r"|ECMA|EN|ES|EUC|EUPL|FIPS|FP|GB|GBK|GCC|GHSA|GMT|GPL|GPT|HMAC|HSTS|HTTP|HTTPS|IBM|IEC|IEEE|IETF"
    r"|INT|INTEL|IP|IPV|ISBN|ISO|JAVA|JDK|JIS|KOI|LATIN|LGPL|LLVM|LTS|MACOS|MD|MIT|MP|MPL|MSVC|NFC|NFKC"
    r"|NIST|NODE|OSX|OWASP|PCI|PEP|PKCS|PM|POSIX|PSF|PY|PYPI|PYPY|PYTHON|QUIC|RC|RFC|RISC|RSA|SHA|SHIFT"
    r"|SPDX|SQL|SSH|SSL|STS|TCP|TIS|TLS|UAX|UBUNTU|UCS|UDP|UINT|USB|UTC|UTF|UTR|UTS|UUID|VERSION|VT|WCAG"
    r"|WEB|WIN|WINDOWS|WIP|X|XEP|XML|YAML)\d*\Z"
)
_SECURITY = ("CVE-", "GHSA-", "PYSEC-", "RUSTSEC-", "OSV-")
# What may stand between a closing keyword and its reference: "fix for bug #1", "closes issue: #2".
_BETWEEN = (
    r"(?:\s+(?:for|of|the|github|gh|jira|issues?|bugs?|tickets?|defects?|regressions?|problems?))*"
    r"[\s:(\[*_]*\Z"
)
_FIX_BEFORE = lazy_pattern(r"(?<![\w-])(?:bug|hot)?fix(?:e[sd]|ing)?\b" + _BETWEEN, re.IGNORECASE)
_CLOSE_BEFORE = lazy_pattern(
    r"(?<![\w-])(?:clos(?:e[sd]?|ing)|resolv(?:e[sd]?|ing))\b" + _BETWEEN, re.IGNORECASE
)
_NEGATED = lazy_pattern(
    r"(?:\bnot|n't|n’t|\bnever|\bcannot|\bwithout)\s+(?:yet\s+|fully\s+)?\Z", re.IGNORECASE
)
_PULL_BEFORE = lazy_pattern(
    r"\b(?:prs?|pull(?:[ -]requests?)?|merge[ -]requests?|mr)[\s:(\[]*\Z", re.IGNORECASE
)
_CHAIN = lazy_pattern(r"[\s)\]]*(?:,|;|&|/|\+|,?\s*\band\b)[\s(\[]*(?:(?:issues?|bugs?)\s+)?", re.IGNORECASE)
_BEFORE, _LONGEST_CHAIN, _MOST = 80, 24, 2_000

_NUMBER = r"[1-9]\d{0,8}(?!\w)"
_TOKEN = lazy_pattern(
    r"https?://[\w.-]{1,100}/(?P<url_repo>[\w.-]{1,100}(?:/[\w.-]{1,100}){1,4}?)/(?:-/)?"
    rf"(?P<url_kind>issues|work_items|pulls?|pull-requests|merge_requests)/(?P<url_number>{_NUMBER})"
    rf"|https?://bugs\.python\.org/issue(?P<url_bpo>{_NUMBER})"
    r"|(?<![\w-])(?P<cve>(?i:CVE)-\d{4}-\d{4,9})(?!\w)"
    r"|(?<![\w-])(?i:GHSA)(?P<ghsa>(?:-[0-9a-zA-Z]{4}){3})(?![\w-])"
    rf"|(?<![\w-])(?i:bpo)-(?P<bpo>{_NUMBER})"
    rf"|(?<![\w-])(?i:GH)-(?P<gh>{_NUMBER})"
    r"|(?<![\w.+-])(?P<incident>(?P<incident_key>[A-Z][A-Z0-9]{1,9})-(?:19|20)\d\d-\d{1,7})(?![\w-]|\.\d)"
    r"|(?<![\w.+-])(?P<key>(?P<project>[A-Z][A-Z0-9_]{1,19})-[1-9]\d{0,8})(?!\w|-\d|\.\d)"
    rf"|(?<![\w./-])(?P<slug>[\w.-]{{1,100}}(?:/[\w.-]{{1,100}}){{1,4}})(?P<mark>[#!])(?P<slug_number>{_NUMBER})"
    rf"|(?<![\w&/#])(?P<hash>[#!])(?P<number>{_NUMBER})"
    rf"|(?<![\w-])(?i:issues?|bug|ticket)[ _-]?(?P<worded>{_NUMBER})(?!\.\d)"
)
_TRAILING_PULL = lazy_pattern(r"\([#!](\d{1,9})\)\s*\Z")
_BARE = lazy_pattern(rf"{_NUMBER}\Z")
_LOWER_KEY = lazy_pattern(r"[A-Za-z][A-Za-z0-9_]{1,19}-[1-9]\d{0,8}\Z")
_REMOTE = lazy_pattern(r"/*(?P<slug>[\w.-]{1,100}(?:/[\w.-]{1,100}){1,4})\Z")


class Mention(IntEnum):
    """How a text speaks of a bug, the weakest way first."""

    PULL_REQUEST = 0
    MENTION = 1
    CLOSES = 2
    FIXES = 3


class Reference(msgspec.Struct, frozen=True):
    """One bug, and the strongest way in which the text mentions it."""

    bug: str
    mention: Mention
    in_subject: bool = False


def references(text: str, home: str | None = None) -> tuple[Reference, ...]:
    """Return the bugs that a message mentions, in the order of their first mention.

    HTML comments and code do not count. `home` ("owner/repo") is the repository that the text belongs to.
    """
    text = prose(bounded(text))
    first_line = len(text.split("\n", 1)[0])
    pull = _TRAILING_PULL.search(text, max(0, first_line - 20), first_line)
    found: dict[str, Reference] = {}
    end, mention, previous = -1, Mention.MENTION, ""
    for match in islice(_TOKEN.finditer(text), _MOST):
        bug, is_pull = _name(match, home)
        if not bug or (
            text[max(0, match.start() - 2) : match.start()] == "](" and _same_number(bug, previous)
        ):
            continue  # the second: a Markdown link [#42](https://…/issues/42) is one reference
        near = end >= 0 and match.start() - end <= _LONGEST_CHAIN
        chained = near and _CHAIN.fullmatch(text, end, match.start()) is not None
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        how = _how(before, is_pull or (pull is not None and match.start() == pull.start() + 1))
        # "fixes #1, #2 and #3" closes all three for the one who wrote it, whatever a tracker does.
        if chained and how is Mention.MENTION and mention > how:
            how = mention
        end, mention, previous = match.end(), how, bug
        seen = found.get(bug)
        found[bug] = Reference(
            bug,
            how if seen is None else max(how, seen.mention),
            match.start() < first_line or (seen is not None and seen.in_subject),
        )
    return tuple(found.values())


def bug_references(text: str, home: str | None = None) -> tuple[str, ...]:
    """Return the normalised bugs that a text mentions: ordered, each once, pull requests last."""
    found = references(text, home)
    return tuple(r.bug for r in sorted(found, key=lambda r: r.mention is Mention.PULL_REQUEST))


def normalise(reference: str, home: str | None = None) -> str:
    """Return the one spelling of a reference that stands alone; unknown ones come back stripped."""
    reference = reference.strip()
    if _BARE.match(reference):
        return f"#{reference}"
    match = _TOKEN.fullmatch(reference)
    if match is None and _LOWER_KEY.match(reference):
        match = _TOKEN.fullmatch(reference.upper())
    return (_name(match, home)[0] if match else "") or reference


def same_bug(a: str, b: str, home: str | None = None) -> bool:
    """Return whether two references name one bug.

    Where the home repository is unknown, `#42` may be any repository's: it equals `owner/repo#42`.
    """
    a, b = normalise(a, home).casefold(), normalise(b, home).casefold()
    if a == b:
        return a != ""
    bare = a.startswith("#") or b.startswith("#")
    return home is None and bare and "#" in a and "#" in b and _same_number(a, b)


def is_security(bug: str) -> bool:
    """Return whether a normalised reference names a published vulnerability."""
    return bug.startswith(_SECURITY)


def repository_slug(remote_url: str) -> str | None:
    """Return `owner/repo` of a remote's URL, or None for one that names no host."""
    url = remote_url.strip().rstrip("/").removesuffix(".git")
    if "://" in url:
        path = url.split("://", 1)[1].partition("/")[2]
    elif ":" in url and "/" not in url.split(":", 1)[0]:
        path = url.split(":", 1)[1]
    else:
        return None
    match = _REMOTE.match(path)
    return match["slug"] if match else None


def labels_of(bugs: Iterable[str], tracker: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """Return the labels, in lower case, that a tracker's export gives to any of the bugs."""
    wanted = {normalise(bug).casefold() for bug in bugs}
    return frozenset(
        label.casefold().strip()
        for reference, labels in tracker.items()
        if normalise(reference).casefold() in wanted
        for label in labels
    )


def _how(before: str, is_pull: bool) -> Mention:
    for pattern, mention in ((_FIX_BEFORE, Mention.FIXES), (_CLOSE_BEFORE, Mention.CLOSES)):
        match = pattern.search(before)
        if match:
            return Mention.MENTION if _NEGATED.search(before, 0, match.start()) else mention
    return Mention.PULL_REQUEST if is_pull or _PULL_BEFORE.search(before) else Mention.MENTION


def _name(match: re.Match[str], home: str | None) -> tuple[str, bool]:
    """Return the normalised name ("" for what only looks like one) and whether it is a pull request's."""
    kind = match.lastgroup or ""
    if match["url_number"] or match["slug_number"]:
        slug = (match["url_repo"] or match["slug"]).removesuffix("/-")
        is_gitlab_merge = match["url_kind"] == "merge_requests" or match["mark"] == "!"
        mark = "!" if is_gitlab_merge else "#"
        number = match["url_number"] or match["slug_number"]
        at_home = home is not None and slug.casefold() == home.casefold()
        is_pull = is_gitlab_merge or (match["url_kind"] or "").startswith("pull")
        return f"{'' if at_home else slug}{mark}{number}", is_pull
    if match["number"]:
        return f"{match['hash']}{match['number']}", match["hash"] == "!"
    if match["gh"] or match["worded"]:
        return f"#{match['gh'] or match['worded']}", False
    if match["bpo"] or match["url_bpo"]:
        return f"bpo-{match['bpo'] or match['url_bpo']}", False
    if match["ghsa"]:
        return f"GHSA{match['ghsa'].lower()}", False
    project = match["incident_key"] or match["project"]
    if project in ("PR", "MR", "GH", "ISSUE") and kind == "project":
        return "", False
    if project is not None and _NO_PROJECT.match(project):
        return "", False
    return (match["cve"] or match["incident"] or match["key"]).upper(), False


def _same_number(a: str, b: str) -> bool:
    return re.split("[#!]", a)[-1] == re.split("[#!]", b)[-1]
