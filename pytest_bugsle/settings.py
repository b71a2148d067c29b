"""[tool.bugsle] -> Settings: one place for every default.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from pytest_bugsle.errors import UsageError
from pytest_bugsle.findings import LEVELS, Level, rule_named

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["block", "warn"]
UnitChoice = Literal["auto", "commit", "range"]
ProofChoice = Literal["off", "fix", "edits"]

CASES = "tests/bugsle_cases"
"""The folder of the accepted cases of models, of which each belongs to a test."""

MAINTAINED = (
    "release/*",
    "releases/*",
    "release-*",
    "stable",
    "stable/*",
    "stable-*",
    "*-stable",
    "*-maint*",
    "maint*/*",
    "support/*",
    "lts/*",
    "[0-9]*.[0-9x]*",
    "v[0-9]*.[0-9x]*",
    "[0-9]*.x",
    "*[-_/][0-9]*.x",
)
"""Names of branches, without their remote, that projects keep alive beside the main line."""

BUDGET_AT_THE_DESK = 60.0
BUDGET_IN_CI = 600.0


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Waive one rule for one commit or bug, with a reason and an expiry date."""

    rule: str
    reason: str
    expires: dt.date
    commit: str | None = None
    bug: str | None = None


class DoraPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `bugsle dora --gate` asks; limits are a share and times such as `36h`, none by default."""

    rung: str | None = None
    max_failure_rate: float | None = None
    max_recovery: str | None = None
    max_lead_time: str | None = None
    least_deployments: int = 10
    least_recoveries: int = 5
    watch: str = "30d"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy, read alike by plugin, command, hooks and action."""

    mode: Mode = "block"
    base: str | None = None
    unit: UnitChoice = "auto"
    source: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    proof: ProofChoice | None = None
    branches: tuple[str, ...] = MAINTAINED
    budget: float | None = None
    timeout: float = 30.0
    copy: tuple[str, ...] = ()
    pytest_args: tuple[str, ...] = ()
    marker: str = "regression"
    fix_patterns: tuple[str, ...] = ()
    no_fix_patterns: tuple[str, ...] = ()
    tracker: str | None = None
    strict: bool = False
    store: str | None = None
    tag_pattern: str | None = None
    components: dict[str, tuple[str, ...]] = {}
    deployments: str | None = None
    environment: str = "production"
    examine: int = 10
    burn_in: float = 10.0
    complexity_limit: int = 10
    complexity_step: int = 5
    dora: DoraPolicy = DoraPolicy()
    rules: dict[str, Level] = {}
    waivers: tuple[Waiver, ...] = ()

    def proof_choice(self, *, ci: bool) -> ProofChoice:
        """Return how far proofs go: edit by edit in CI, where nobody waits, and as a whole at the desk."""
        if self.proof is not None:
            return self.proof
        return "edits" if ci else "fix"

    def seconds(self, *, ci: bool) -> float:
        """Return the budget of the whole run in seconds."""
        if self.budget is not None:
            return self.budget
        return BUDGET_IN_CI if ci else BUDGET_AT_THE_DESK


#: One line each for the documentation; a test holds the two together.
MEANINGS: Mapping[str, str] = {
    "mode": "`block` fails the run on a failed gate, `warn` says the same and exits 0",
    "base": "the ref whose merge base with HEAD begins the range",
    "unit": "`commit`, `range` (teams that squash), or `auto`, which sees it from the mainline's shape",
    "source": "patterns of what is in scope; default: the Python and the package data under pytest's rootdir",
    "tests": "patterns of files that belong to the test side, beside what pytest's configuration says",
    "proof": "`fix` runs the linked tests without the fix and with it, `edits` also puts each edit of it "
    "back alone, `off` only looks for links; default `fix`, and `edits` where CI is set",
    "branches": "patterns of the branches that are maintained beside the main line",
    "budget": "seconds for the whole run; default 60, and 600 where CI is set",
    "timeout": "seconds for one test in a proof",
    "copy": "ignored files that the tests need in the clean copy, such as `.env`",
    "pytest_args": "arguments for pytest inside a proof, such as a suite's own options",
    "marker": "the name of the marker that links a test to a bug",
    "fix_patterns": "regular expressions; a message that matches is a bug fix",
    "no_fix_patterns": "regular expressions; a message that matches is no bug fix",
    "tracker": "a JSON file that maps bug references to labels, exported from an issue tracker",
    "strict": "undecided fails the run",
    "store": "a `postgresql://` URL at which a team keeps the history of its tests; default: "
    "`.bugsle/history.db`",
    "tag_pattern": "a regular expression for the whole name of a release tag; default: final versions, such as "
    "`1.2`, `v1.2.3` and `release-1.2`; a group `(?P<component>…)` names the component that a tag releases",
    "components": "a table of component = list of its paths, where no folder is called as its release tags are",
    "deployments": "a file of deployments in the repository (CSV, JSON lines, or GitHub's export); they take the "
    "place of release tags",
    "environment": "the environment whose deployments count, where the file names some",
    "examine": "how many failed tests of a session are tried again, to tell flaky ones from broken ones; "
    "0 for none",
    "burn_in": "seconds in which new and changed tests are run again before they can become guards; 0 for none",
    "complexity_limit": "the most cyclomatic complexity that a changed function may grow to; radon's rank C "
    "begins at 11",
    "complexity_step": "how much more complex a function may become by one commit",
    "dora": "a table for `bugsle dora --gate`: `rung`, `max_failure_rate` (a share), `max_recovery` and "
    "`max_lead_time` (such as `36h` or `3d`), `least_deployments` (10) and `least_recoveries` (5) a window, and "
    "`watch` (`30d`), for how long a deployment is watched",
    "rules": "a table of rule = level (`error`, `warning`, `info`, `off`)",
    "waivers": "a list of tables with `rule`, `commit` or `bug`, `reason` and `expires`",
}

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": get_args(Mode),
    "unit": get_args(UnitChoice),
    "proof": get_args(ProofChoice),
}
_FROM_ENVIRONMENT = (
    "mode",
    "base",
    "unit",
    "proof",
    "budget",
    "timeout",
    "marker",
    "tracker",
    "strict",
    "store",
    "tag_pattern",
    "examine",
    "burn_in",
)


def is_ci(environ: Mapping[str, str]) -> bool:
    """Say whether this is a CI run."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def repository_top(start: Path) -> Path:
    """Return the folder at or above `start` that holds `.git`, without asking git; `start` where there is none."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


def find_settings(start: Path, top: Path) -> tuple[dict[str, Any], Path | None]:
    """Return the nearest [tool.bugsle] table between `start` and `top`, and the file it stands in.

    A `bugsle.toml` (without the `tool.bugsle` prefix) goes before a `pyproject.toml` beside it.
    """
    top = top.resolve()
    folder = start.resolve()
    folders = [folder, *folder.parents]
    if top in folders:
        folders = folders[: folders.index(top) + 1]
    for folder in folders:
        own = folder / "bugsle.toml"
        if own.is_file():
            return _read(own), own
        project = folder / "pyproject.toml"
        if project.is_file():
            table = _read(project).get("tool", {})
            if isinstance(table, dict) and "bugsle" in table:
                return table["bugsle"], project
    return {}, None


def settings_at(start: Path, top: Path, environ: Mapping[str, str], **options: Any) -> Settings:
    """Return what holds in a folder; UsageError where it is wrong."""
    table, origin = find_settings(start, top)
    return make_settings(table, origin=origin, environ=environ, options=options)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}",
            why="the gate's policy stands there, and guessing it would make the verdict worthless.",
            hint="mend the file; a TOML error names line and column.",
        ) from error


def make_settings(
    table: Mapping[str, Any],
    *,
    origin: Path | None = None,
    environ: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Settings:
    """Return validated settings; command line goes before environment, table and default.

    `options` are the command line's values (None = not given). UsageError names the nearest key.
    """
    where = str(origin) if origin else "the settings"
    if not isinstance(table, dict):
        raise UsageError(
            f"{where}: tool.bugsle must be a table.", hint="write [tool.bugsle] and keys below it."
        )
    values: dict[str, Any] = {str(key).replace("-", "_"): value for key, value in table.items()}
    _known(values, Settings.__struct_fields__, where)
    if isinstance(values.get("dora"), dict):
        values["dora"] = {str(key).replace("-", "_"): value for key, value in values["dora"].items()}
        _known(values["dora"], DoraPolicy.__struct_fields__, f"{where}: dora")
    for waiver in values.get("waivers", ()):
        if isinstance(waiver, dict):
            _known(waiver, Waiver.__struct_fields__, f"{where}: a waiver")
    origins: dict[str, str] = {}
    for key in _FROM_ENVIRONMENT:
        text = (environ or {}).get(f"BUGSLE_{key.upper()}")
        if text:
            values[key] = text
            origins[key] = f"the environment variable BUGSLE_{key.upper()}"
    for key, value in (options or {}).items():
        if value is not None:
            values[key] = value
            origins[key] = "the command line"
    for key, known in _CHOICES.items():
        if key in values and values[key] not in known:
            import difflib

            raise UsageError(
                f"{origins.get(key, where)}: {key} = {values[key]!r}, must be one of {', '.join(known)}.",
                hint=f'{key} = "{(difflib.get_close_matches(str(values[key]), known, n=1) or known)[0]}"',
            )
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        plain = _plain(str(error))
        raise UsageError(
            f"{origins.get(plain.partition(':')[0], where)}: {plain}",
            why="a setting that is not understood would silently change what is blocked.",
            hint="`bugsle doctor` lists every key with its meaning.",
        ) from error
    return _checked(settings, where, origins)


def _plain(message: str) -> str:
    """Turn msgspec's `… - at `$.budget`` into `budget: …`."""
    found = re.fullmatch(r"(?s)(.*?)(?: - at `\$\.?(.*)`)?", message)
    text, place = (found[1], found[2]) if found else (message, None)
    return f"{place}: {text}" if place else text


def _known(values: Mapping[str, Any], fields: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in fields:
            import difflib

            near = difflib.get_close_matches(key, fields, n=1, cutoff=0.4)
            raise UsageError(
                f"{where}: unknown key {key!r}.",
                why="a misspelled setting would be a policy that nobody applies.",
                hint=f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}.",
            )


def _checked(settings: Settings, where: str, origins: Mapping[str, str]) -> Settings:
    rules: dict[str, Level] = {}
    for name, level in settings.rules.items():
        try:
            rules[rule_named(name).code] = level
        except UsageError as error:
            raise UsageError(f"{where}: rules: {error.what}", hint=error.hint) from error
    for key in ("budget", "timeout"):
        seconds = getattr(settings, key)
        if seconds is not None and not 0 < seconds < float("inf"):
            raise UsageError(
                f"{origins.get(key, where)}: {key} = {seconds:g}, must be more than 0 seconds.",
                hint=f"{key} = 60",
            )
    if settings.examine < 0:
        raise UsageError(
            f"{origins.get('examine', where)}: examine = {settings.examine}, must be 0 or more tests.",
            hint="examine = 10",
        )
    if not 0 <= settings.burn_in < float("inf"):
        raise UsageError(
            f"{origins.get('burn_in', where)}: burn_in = {settings.burn_in:g}, must be 0 or more seconds.",
            hint="burn_in = 10",
        )
    for key, least in (("complexity_limit", 1), ("complexity_step", 0)):
        if getattr(settings, key) < least:
            raise UsageError(
                f"{origins.get(key, where)}: {key} = {getattr(settings, key)}, must be {least} or more.",
                hint=f"{key} = {getattr(Settings(), key)}",
            )
    _check_dora(settings.dora, where)
    for key in ("fix_patterns", "no_fix_patterns", "tag_pattern"):
        given = getattr(settings, key) or ()
        for pattern in (given,) if isinstance(given, str) else given:
            try:
                re.compile(pattern)
            except re.error as error:
                raise UsageError(
                    f"{where}: {key}: {pattern!r} is no regular expression: {error}.",
                    hint="quote it as a TOML literal string: '^Fix\\b'",
                ) from error
    for waiver in settings.waivers:
        rule_named(waiver.rule)
        if (waiver.commit is None) == (waiver.bug is None):
            raise UsageError(
                f"{where}: a waiver of {waiver.rule} must name either a commit or a bug.",
                hint='commit = "1a2b3c4", or bug = "#42"',
            )
        if not waiver.reason.strip():
            raise UsageError(
                f"{where}: a waiver of {waiver.rule} has no reason.", hint='reason = "why, and until what"'
            )
    return msgspec.structs.replace(settings, rules=rules)


def _check_dora(policy: DoraPolicy, where: str) -> None:
    share = policy.max_failure_rate
    if share is not None and not 0 <= share < 1:
        raise UsageError(
            f"{where}: dora: max_failure_rate = {share:g}, must be a share from 0 to below 1.",
            hint="max_failure_rate = 0.15",
        )
    for key in ("max_recovery", "max_lead_time", "watch"):
        text = getattr(policy, key)
        if text is not None:
            seconds_of(text, f"{where}: dora: {key}")
    for key in ("least_deployments", "least_recoveries"):
        if getattr(policy, key) < 1:
            raise UsageError(
                f"{where}: dora: {key} = {getattr(policy, key)}, must be 1 or more.",
                hint=f"{key} = {getattr(DoraPolicy(), key)}",
            )


def seconds_of(text: str, what: str) -> int:
    """Return the seconds of a time such as `90m`, `36h`, `3d` or `2w`; UsageError, naming `what`, for any other."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?([mhdw])", text.strip())
    seconds = float(found[1]) * {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}[found[2]] if found else 0
    if seconds < 1:
        raise UsageError(
            f"{what} {text!r} is no time",
            why="a limit that is not understood would silently judge nothing",
            hint="a number with m, h, d or w: 90m, 36h, 3d, 2w",
        )
    return int(seconds)


__all__ = ["LEVELS", "MEANINGS", "Settings", "Waiver", "find_settings", "make_settings"]
