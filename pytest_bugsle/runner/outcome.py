"""Say what a run of tests is asked and what it answers.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Error", "Facts", "Frame", "Item", "Outcome", "Ran", "Request", "Run", "Selector"]


@dataclass(frozen=True, slots=True)
class Selector:
    """Name tests of one file: `names` are qualified function names without parameters, None means all."""

    path: str
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for one run: which interpreter, which tree, which tests, and what to watch.

    Paths are relative to `tree` and '/'-separated. `timeout` bounds each phase of a test (setup, call,
    teardown), `deadline` the whole run, both in seconds. `absent` are dotted modules that the other side
    has and this tree lacks; `missing_names` are names of a module that the other side adds, used when
    `stub` is set. `coverage_dir` holds a copy of coverage for an interpreter that has none.
    `everything` collects what `args` say, in place of selectors, and serves sequences of tests, or runs the
    one of `sequence` (an id, and which of the tests with that id), in a controlled `world` (see worlds.py).
    `keep_open` are file descriptors that every process of the run holds: a lock on the tree outlives us with them.
    """

    python: str
    tree: Path
    scratch: Path
    selectors: tuple[Selector, ...]
    user_top: Path
    rootdir: str = "."
    inifile: str | None = None
    changed: tuple[str, ...] = ()
    import_roots: tuple[str, ...] = (".",)
    owned: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    missing_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reach: Mapping[str, tuple[int, ...]] | None = None
    stub: bool = False
    timeout: float = 60.0
    deadline: float = 600.0
    args: tuple[str, ...] = ()
    coverage_dir: str | None = None
    keep_open: tuple[int, ...] = ()
    everything: bool = False
    sequence: tuple[tuple[str, int], ...] | None = None
    world: tuple[tuple[str, str | int | float | bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One call of a traceback; `path` is '' outside the tree."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Error:
    """Describe an exception as it was raised, outermost frame first.

    `name` is what was missing (a module, an attribute, a parameter) and `owner` the file of the tree that
    should have had it. `chained_in_changed`: a cause or context was raised through a changed file.
    """

    type: str
    mro: tuple[str, ...] = ()
    message: str = ""
    name: str | None = None
    owner: str | None = None
    frames: tuple[Frame, ...] = ()
    in_changed: bool = False
    in_test: bool = False
    missing_stub: bool = False
    chained_in_changed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold one test's result.

    `status` is 'passed', 'failed', 'error', 'skipped', 'xfailed', 'xpassed', 'timeout', 'died' or 'missing'
    (wanted, and not found or not run).
    """

    id: str
    status: str
    phase: str | None = None
    error: Error | None = None
    duration: float = 0.0
    path: str = ""
    name: str = ""
    line: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a run found; `wrong_tree` is empty when the tested code surely came from the tree.

    `ended` is 'finished', 'timeout', 'died' or 'interrupted'; `problem` is why nothing could be run.
    `dropped` are options of the suite that no plugin of this interpreter knows. `spawned` are tests that
    started processes, in which reach is not measured.
    """

    outcomes: Mapping[str, Outcome]
    collect_errors: Mapping[str, Error]
    wrong_tree: tuple[str, ...]
    exit_code: int | None
    ended: str
    reached: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    reached_import: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reach_note: str = ""
    output: str = ""
    seconds: float = 0.0
    problem: str = ""
    dropped: tuple[str, ...] = ()
    spawned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Item:
    """One collected test; `number` is its place in the order of collection, and tells doubles apart."""

    number: int
    id: str
    path: str
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a sequence: an outcome for each test that was begun, in order.

    `ended` is 'finished', 'died', 'timeout' (of a test; the last outcome tells of the one that was running, and
    those after it are missing), 'budget' (cut off) or 'unable' (nothing ran, `why` says so).
    """

    outcomes: tuple[Outcome, ...]
    ended: str
    seconds: float
    why: str = ""
    plain: bool = False
    """Whether pytest itself lines the tests up so, when their ids are its arguments."""
    of: int = 0
    """How many tests were asked for."""

    @property
    def last(self) -> Outcome | None:
        """Return the outcome of the last test that was asked for; None where it was not come to."""
        return self.outcomes[-1] if self.outcomes and len(self.outcomes) >= self.of else None


@dataclass(frozen=True, slots=True)
class Facts:
    """Describe an interpreter; `digest` changes when an installed distribution does."""

    python: str
    version: str
    implementation: str
    platform: str
    pytest: str | None
    digest: str
    distributions: frozenset[str]

    @property
    def has_pytest(self) -> bool:
        """Say whether tests can be run there."""
        return self.pytest is not None
