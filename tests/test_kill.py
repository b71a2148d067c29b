"""Killed at any moment, the program leaves the user's repository as it was and no process behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from repositories import CONFIGURATION, Repo, clean_environment

from pytest_bugsle.runner import inner
from pytest_bugsle.runner.outcome import Request, Selector

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

MARK = "KILL_TEST_MARK"
_PATIENCE = 2.0
_LONG = 120.0

PROVE = (sys.executable, "-m", "pytest_bugsle", "prove", "HEAD")
PROVE_DIRTY = (sys.executable, "-m", "pytest_bugsle", "prove")
#: Starts a program as root, but held to the modes of files like anybody.
_POWERLESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--bugsle")

_COUNTING = """
    def total(numbers):
        return sum(numbers[1:])


    def mean(numbers):
        return sum(numbers) / len(numbers) + 1
"""
_COUNTING_FIXED = _COUNTING.replace("[1:]", "")
_MESS = """
    import os, subprocess, sys, time
    from pathlib import Path

    def leave_everything_behind():
        '''Do what nobody should, in the copy alone: a daemon, a child, dirt, and git.'''
        if "BUGSLE_INNER" not in os.environ:
            return
        top = Path(__file__).parents[2]
        (top / "left.txt").write_text("x")
        (top / "src/pkg/more.py").write_text("broken =")
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        if not os.fork():
            os.setsid()
            if not os.fork():
                os.execv("/bin/sleep", ["sleep", "60"])
            os._exit(0)
        here = dict(cwd=top, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        for words in ("stash", "tag -f here", "commit -q --allow-empty -m mess", "update-ref -d refs/tags/v1"):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a", *words.split()], **here)
        if "KILL_TEST_FILL" in os.environ:
            try:
                with open(top / "filler", "wb", buffering=0) as filler:
                    while True:
                        filler.write(bytes(4096))
            except OSError:
                os.truncate(top / "filler", os.path.getsize(top / "filler") - 16384)
        gate = os.environ.get("KILL_TEST_GATE", "")
        while os.path.exists(gate):
            time.sleep(0.01)
        time.sleep(0.2)
"""
_TEST = """
    from pkg.counting import total
    from pkg.mess import leave_everything_behind


    def test_total():
        leave_everything_behind()
        assert total([1, 2, 3]) == 6
"""
_TEST_MEAN = """
    from pkg.counting import mean
    from pkg.mess import leave_everything_behind


    def test_mean():
        leave_everything_behind()
        assert mean([1, 2, 3]) == 2
"""
_HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit",
    "post-index-change", "post-merge", "post-rewrite", "pre-applypatch", "pre-auto-gc", "pre-commit",
    "pre-merge-commit", "pre-push", "pre-rebase", "prepare-commit-msg", "push-to-checkout",
    "reference-transaction", "sendemail-validate",
)  # fmt: skip


def everything(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, tuple[object, ...]]:
    """Say all that any write below a folder changes: content, mode, inode and times, of folders too.

    What we make ourselves at its top changes the time of the top folder, and nothing else.
    """
    found: dict[str, tuple[object, ...]] = {}
    folders = [folder]
    while folders:
        here = folders.pop()
        for entry in os.scandir(here):
            path = os.path.relpath(entry.path, folder)
            if path in without:
                continue
            facts = entry.stat(follow_symlinks=False)
            content = ""
            if entry.is_symlink():
                content = os.readlink(entry.path)
            elif entry.is_dir():
                folders.append(Path(entry.path))
            else:
                content = hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
            found[path] = (facts.st_mode, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, content)
    return found


def alive(mark: str) -> dict[int, str]:
    """Find the processes whose environment carries a mark."""
    needle = f"{MARK}={mark}".encode()
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if needle in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    found[int(entry)] = (
                        Path("/proc", entry, "cmdline").read_bytes().decode().replace("\0", " ")
                    )
            except OSError:
                continue
    return found


def wait_until(holds: Callable[[], object], seconds: float = _LONG) -> bool:
    """Look every few milliseconds whether something holds."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


@dataclass
class Place:
    """A user's repository with everything that could get lost, and folders of its own for all else."""

    folder: Path
    repo: Repo
    number: int = 0
    marks: list[str] = field(default_factory=list)

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def hooks_ran(self) -> Path:
        return self.folder / "hooks-ran"

    def state(self) -> dict[str, object]:
        """Give all that is the user's."""
        return {
            "repository": everything(self.repo.top, without=(".bugsle",)),
            "top": self.repo.top.stat().st_mode,
            "linked": everything(self.folder / "linked"),
            "home": everything(self.folder / "home"),
            "hooks": self.hooks_ran.exists(),
        }

    def forget(self) -> None:
        """Drop the proofs that are kept, so that the next run has work to do."""
        for path in self.repo.top.glob(".bugsle/cache.db*"):
            path.unlink()

    def start(self, command: Iterable[str], **environ: str) -> tuple[subprocess.Popen[bytes], str]:
        """Start a command in a process group of its own; its processes carry the mark that comes back."""
        self.number += 1
        mark = f"{os.getpid()}-{id(self)}-{self.number}"
        self.marks.append(mark)
        given = self.environment() | {MARK: mark} | environ
        # Under nohup this process, and so all that it starts, hears of no hangup.
        heard = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        try:
            process = subprocess.Popen(
                list(command),
                cwd=self.repo.top,
                env={name: value for name, value in given.items() if value},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        finally:
            signal.signal(signal.SIGHUP, heard)
        return process, mark

    def environment(self) -> dict[str, str]:
        return clean_environment(
            self.folder,
            HOME=str(self.folder / "home"),
            TMPDIR=str(self.temporary),
            PYTHONDONTWRITEBYTECODE="1",
        )

    @contextlib.contextmanager
    def held(self, command: Iterable[str]) -> Iterator[Held]:
        """Give a run whose test without the fix, or with it, has left its mess behind and waits."""
        self.forget()
        gate = self.folder / "gate"
        gate.touch()
        report = self.folder / f"report-{self.number}.json"
        # Without the burn-in of the guard, which would run it before the proof does.
        process, mark = self.start(_reporting(command, report), KILL_TEST_GATE=str(gate), BUGSLE_BURN_IN="0")
        try:
            assert wait_until(lambda: "sleep 60 " in alive(mark).values()), alive(mark)
            yield Held(process, mark, report, gate)
        finally:
            gate.unlink(missing_ok=True)
            process.kill()

    def complete(self, command: Iterable[str], **environ: str) -> Ended:
        """Run a command to its end."""
        report = self.folder / f"report-{self.number}.json"
        process, mark = self.start(_reporting(command, report), **environ)
        return ended(process, mark, report)

    def clean_up(self) -> None:
        """End what a failed test found alive."""
        for mark in self.marks:
            for pid in alive(mark):
                os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Held:
    """A run that waits for its gate to go."""

    process: subprocess.Popen[bytes]
    mark: str
    report: Path
    gate: Path

    def running(self, program: str) -> int:
        """Give the process that runs one of our programs."""
        return next(pid for pid, command in alive(self.mark).items() if f"{program}" in command)

    def end(self) -> Ended:
        """Let the test go on, and wait."""
        self.gate.unlink()
        return ended(self.process, self.mark, self.report)


@dataclass(frozen=True)
class Ended:
    """How a run ended, what it said, and what it left."""

    code: int
    out: str
    report: dict[str, Any]
    left: dict[int, str]

    def statuses(self) -> dict[str, str]:
        """Give the status of each fix by its subject."""
        return {fix["subject"]: fix["status"] for fix in self.report["fixes"]}


def _reporting(command: Iterable[str], report: Path) -> list[str]:
    words = list(command)
    return [*words, f"--bugsle-report=json:{report}" if "--bugsle" in words else f"--report=json:{report}"]


def ended(process: subprocess.Popen[bytes], mark: str, report: Path) -> Ended:
    """Wait for a run, and for what it may have left."""
    try:
        out = process.communicate(timeout=_LONG)[0].decode("utf-8", "replace")
    finally:
        process.kill()
    wait_until(lambda: not alive(mark), _PATIENCE)
    return Ended(
        process.returncode, out, json.loads(report.read_bytes()) if report.exists() else {}, alive(mark)
    )


RIGHT = {
    PROVE: {"fix: total leaves out the first number (#42)": "proven"},
    PYTEST: {"fix: total leaves out the first number (#42)": "proven"},
    PROVE_DIRTY: {"the uncommitted change": "proven"},
}


def build(folder: Path) -> Place:
    """Make the repository: index, work tree, stash, linked work tree, tags, hooks, filters, all of it in use."""
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    repo = Repo(
        folder / "project",
        configuration=CONFIGURATION,
        start={
            "src/pkg/counting.py": _COUNTING,
            "src/pkg/mess.py": _MESS,
            "src/pkg/more.py": "MORE = 1\n",
            "script.sh": "#!/bin/sh\n",
            "crlf.txt": b"a\r\nb\r\n",
            "staged.txt": "1\n",
            "both.txt": "1\n",
            "unstaged.txt": "1\n",
            "gone.txt": "1\n",
            "data.dat": "1\n",
            ".gitignore": "*.ignored\n",
            ".gitattributes": "*.dat filter=mark diff=mark merge=mark\n",
        },
    )
    top = repo.top
    (top / "script.sh").chmod(0o755)
    (top / "link").symlink_to("script.sh")
    (top / "dangling").symlink_to("/nowhere/at/all")
    repo.commit("chore: modes and links")
    repo.git("tag", "-a", "-m", "one", "v1")
    repo.git("tag", "light")
    repo.git("worktree", "add", "-q", "-b", "linked", str(folder / "linked"))
    repo.branch("work")
    repo.commit(
        "fix: total leaves out the first number (#42)",
        {"src/pkg/counting.py": _COUNTING_FIXED, "tests/test_total.py": _TEST},
    )
    repo.write({"stashed.txt": "put aside\n", "both.txt": "put aside\n"})
    repo.git("stash", "push", "-q", "--include-untracked")
    repo.write({"staged.txt": "2\n", "both.txt": "2\n", "gone.txt": None, "added.txt": "new\n"})
    repo.write({"tests/test_mean.py": _TEST_MEAN})
    repo.git("add", "-A")
    repo.write(
        {
            "both.txt": "3\n",
            "unstaged.txt": "2\n",
            "data.dat": "2\n",
            "untracked.txt": "mine\n",
            "here.ignored": "mine too\n",
            "src/pkg/counting.py": _COUNTING_FIXED.replace(" + 1", ""),
        }
    )
    (top / "script.sh").chmod(0o644)
    (top / "untracked-link").symlink_to("untracked.txt")
    (folder / "linked/unstaged.txt").write_text("changed there\n")
    (folder / "linked/new.txt").write_text("new there\n")
    place = Place(folder, repo)
    # The traps come last, written by hand: git itself must not spring them.
    spring = f"#!/bin/sh\necho \"$0 $*\" >>'{place.hooks_ran}'\ncat\n"
    for name in (*_HOOKS, "trap"):
        (top / ".git/hooks" / name).write_text(spring)
        (top / ".git/hooks" / name).chmod(0o755)
    trap = f"'{top}/.git/hooks/trap'"
    with (top / ".git/config").open("a") as config:
        config.write(
            f"[core]\n\tfsmonitor = {trap}\n\tpager = {trap}\n\tuntrackedCache = true\n\tlogAllRefUpdates = always\n"
            f'[filter "mark"]\n\tclean = {trap}\n\tsmudge = {trap}\n\trequired = true\n'
            f'[diff]\n\texternal = {trap}\n[diff "mark"]\n\ttextconv = {trap}\n\tcommand = {trap}\n'
            f'[merge "mark"]\n\tdriver = {trap}\n[gc]\n\tauto = 1\n[index]\n\tversion = 4\n'
        )
    return place


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One repository for all runs of this file."""
    place = build(tmp_path_factory.mktemp("kill"))
    yield place
    place.clean_up()


@pytest.fixture(scope="module")
def durations(shared: Place) -> dict[tuple[str, ...], float]:
    """Say how long each kind of run takes here, each begun with a warm pool, no kept proof and a right answer."""
    shared.complete(PROVE)
    taken = {}
    for command, right in RIGHT.items():
        shared.forget()
        before = shared.state()
        started = time.monotonic()
        done = shared.complete(command)
        taken[command] = time.monotonic() - started
        assert (done.code, done.statuses(), done.left) == (0, right, {}), done.out
        assert shared.state() == before
    return taken


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Name what differs, so that a failure can be read.

    Not named is an object of git's that is the same file with the same content, and newer: git itself
    refreshes the time of an object that is written again, wherever that lies, and the `git stash` of a
    user's test that is killed half way writes some of HEAD's. Runs that nothing kills are compared whole.
    """
    differing: dict[str, Any] = {}
    for key, value in before.items():
        if isinstance(value, dict):
            paths = {
                path
                for path in value.keys() | after[key].keys()
                if value.get(path) != after[key].get(path)
                and not _refreshed(path, value.get(path), after[key].get(path))
            }
            differing.update({f"{key}/{path}": (value.get(path), after[key].get(path)) for path in paths})
        elif value != after[key]:
            differing[key] = (value, after[key])
    return differing


def _refreshed(path: str, before: tuple[Any, ...] | None, after: tuple[Any, ...] | None) -> bool:
    """Say whether nothing but the times of an object of git's has moved, and forward."""
    if before is None or after is None or not re.fullmatch(r"\.git/objects/[0-9a-f]{2}/[0-9a-f]{38}", path):
        return False
    mode, inode, modified, _, content = before
    return (mode, inode, content) == (after[0], after[1], after[4]) and modified < after[2]


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def left_in(temporary: Path) -> list[Path]:
    """Name what is left of us in a temporary folder.

    Not counted is the file by which `tempfile` of any Python asks whether it may write there (eight
    letters, at most the four bytes `blat`, gone microseconds later): no program can hinder a kill
    in between.
    """
    asked = re.compile(r"[a-z0-9_]{8}")
    return [
        path
        for path in temporary.iterdir()
        if not (asked.fullmatch(path.name) and path.is_file() and path.read_bytes() in {b"", b"blat"})
    ]


def kill_at_random(
    place: Place,
    durations: dict[tuple[str, ...], float],
    seeds: Iterable[int],
    every: int,
    kill: Callable[[subprocess.Popen[bytes]], None] = _kill_group,
) -> None:
    """Kill a run of each seed's kind at each seed's moment, and look at what is left."""
    before = place.state()
    for seed in seeds:
        chance = random.Random(seed)  # noqa: S311  # a moment to kill at is no secret
        command = chance.choice(list(RIGHT))
        delay = chance.uniform(0, durations[command])
        place.forget()
        if seed % 4 == 3:  # the first run ever
            shutil.rmtree(place.repo.top / ".bugsle", ignore_errors=True)
            shutil.rmtree(place.folder / "pool", ignore_errors=True)
        process, mark = place.start(command)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            pass
        try:
            kill(process)
        except ProcessLookupError:
            assert process.returncode == 0
        process.communicate()
        about = f"seed {seed}: {command[1:]} killed after {delay:.3f} s"
        assert wait_until(lambda mark=mark: not alive(mark), _PATIENCE), f"{about} left {alive(mark)}"
        assert _difference(before, place.state()) == {}, about
        assert left_in(place.temporary) == [], about
        ignores = [path.read_text() for path in place.repo.top.glob(".bugsle/.gitignore")]
        assert ignores in ([], ["*\n"]), about
        if seed % every == 0:
            done = place.complete(command)
            assert (done.code, done.statuses(), done.left) == (0, RIGHT[command], {}), f"{about}\n{done.out}"
            assert _difference(before, place.state()) == {}, f"the run after {about}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(100, 150, 10))
def test_fifty_random_kills_leave_nothing(
    shared: Place, durations: dict[tuple[str, ...], float], first: int
) -> None:
    """Work tree, .git and linked work tree stay byte for byte; no process, no temporary file; the next run is right."""
    kill_at_random(shared, durations, range(first, first + 10), every=10)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_to_the_process_alone_leave_nothing(
    shared: Place, durations: dict[tuple[str, ...], float], number: signal.Signals
) -> None:
    """What ends only the process itself, at any moment, ends all that it started."""
    kill_at_random(
        shared, durations, range(200, 210), every=5, kill=lambda process: process.send_signal(number)
    )


@pytest.mark.parametrize("command", list(RIGHT), ids=["prove", "prove-dirty", "pytest"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_during_the_proof_ends_all_of_it(
    shared: Place, command: tuple[str, ...], number: signal.Signals
) -> None:
    """A daemon, a child and a keeper end with the process; nothing of the user's has changed."""
    before = shared.state()
    with shared.held(command) as run:
        run.process.send_signal(number)
        done = ended(run.process, run.mark, run.report)
    assert done.left == {}
    assert _difference(before, shared.state()) == {}
    assert left_in(shared.temporary) == []
    if number != signal.SIGINT:
        assert (done.code, done.report) == (-number, {})
        return
    assert "Traceback" not in done.out
    assert "interrupted" in done.out
    assert done.code == (2 if command is PYTEST else 130)
    if command is PYTEST:
        assert "2 passed" in done.out


@pytest.mark.parametrize("program", ["launch.py", "keeper.py"])
@pytest.mark.parametrize("command", [PROVE, PYTEST], ids=["prove", "pytest"])
def test_a_part_killed_alone_makes_the_fix_undecided(
    shared: Place, command: tuple[str, ...], program: str
) -> None:
    """The inner pytest or its keeper gone, the run says so, kills what they left, and goes on to its end."""
    before = shared.state()
    with shared.held(command) as run:
        os.kill(run.running(program), signal.SIGKILL)
        assert wait_until(lambda: "sleep 60 " not in alive(run.mark).values())
        done = run.end()
    fix = done.report["fixes"][0]
    assert (fix["status"], done.report["verdict"]) == ("undecided", "undecided"), done.out
    assert "killed by SIGKILL" in fix["why"] + "".join(test["why"] for test in fix["tests"])
    assert done.code == (0 if command is PYTEST else 3)
    assert done.left == {}
    assert _difference(before, shared.state()) == {}
    assert left_in(shared.temporary) == []


def test_three_runs_at_once_are_each_right(shared: Place, tmp_path: Path) -> None:
    """Each has a slot of its own: two of one kind and one of another mix nothing."""
    before = shared.state()
    shared.forget()
    gate = shared.folder / "gate"
    gate.touch()
    commands = (PROVE, PROVE, PROVE_DIRTY)
    runs = []
    for number, command in enumerate(commands):
        report = tmp_path / f"{number}.json"
        environ = {"BUGSLE_POOL": str(tmp_path / "pool"), "KILL_TEST_GATE": str(gate)}
        runs.append((*shared.start(_reporting(command, report), **environ), report))
    for _, mark, _ in runs:
        assert wait_until(lambda mark=mark: "sleep 60 " in alive(mark).values())
    gate.unlink()
    for command, run in zip(commands, runs, strict=True):
        done = ended(*run)
        assert (done.code, done.statuses(), done.left) == (0, RIGHT[command], {}), done.out
        tests = [test["id"] for fix in done.report["fixes"] for test in fix["tests"]]
        assert tests == [
            "tests/test_total.py::test_total" if command is PROVE else "tests/test_mean.py::test_mean"
        ]
    assert sorted(path.name for path in (tmp_path / "pool").glob("*/*.lock")) == [
        "0.lock",
        "1.lock",
        "2.lock",
    ]
    assert _difference(before, shared.state()) == {}


def test_a_slot_stays_locked_while_a_killed_run_still_has_processes(shared: Place, tmp_path: Path) -> None:
    """What a stopped keeper has not killed yet may still write there: the next run takes another slot."""
    pool = {"BUGSLE_POOL": str(tmp_path / "pool")}
    shared.forget()
    gate = tmp_path / "gate"
    gate.touch()
    process, mark = shared.start(PROVE, KILL_TEST_GATE=str(gate), **pool)
    assert wait_until(lambda: "sleep 60 " in alive(mark).values())
    keeper = next(pid for pid, command in alive(mark).items() if "keeper.py" in command)
    os.kill(keeper, signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = shared.complete(PROVE, **pool)
    assert (done.code, done.statuses()) == (0, RIGHT[PROVE]), done.out
    assert sorted(path.name for path in (tmp_path / "pool").glob("*/*.lock")) == ["0.lock", "1.lock"]
    os.kill(keeper, signal.SIGCONT)
    assert wait_until(lambda: not alive(mark), _PATIENCE), alive(mark)
    done = shared.complete(PROVE, **pool)
    assert (done.code, done.statuses()) == (0, RIGHT[PROVE]), done.out
    assert len(list((tmp_path / "pool").glob("*/*.lock"))) == 2


@contextlib.contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[None]:
    """Mount a file system of this size on a folder, or skip the test."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k,mode=700", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kibibytes", [8, 60, 100, 150, 200, 300, 400, 500, 600, 1024])
def test_a_full_disk_under_the_pool_is_named(shared: Place, tmp_path: Path, kibibytes: int) -> None:
    """Wherever the room ends, the run says where and what to set; with enough room it is right."""
    pool = tmp_path / "pool"
    before = shared.state()
    shared.forget()
    with small_disk(pool, kibibytes):
        done = shared.complete(PROVE_DIRTY, BUGSLE_POOL=str(pool))
    assert done.left == {}
    assert "Traceback" not in done.out
    assert _difference(before, shared.state()) == {}
    assert left_in(shared.temporary) == []
    if done.code == 0:
        assert done.statuses() == RIGHT[PROVE_DIRTY]
        return
    assert done.code == 4
    assert f"no space left in {pool}" in done.out
    assert "BUGSLE_POOL" in done.out


def test_a_test_that_fills_the_disk_shows_nothing(shared: Place, tmp_path: Path) -> None:
    """What is recorded on a full disk may be cut off: it is neither proof nor finding."""
    shared.forget()
    with small_disk(tmp_path / "pool", 4096):
        done = shared.complete(PROVE, BUGSLE_POOL=str(tmp_path / "pool"), KILL_TEST_FILL="1")
    assert (done.code, done.report["fixes"]) == (4, []), done.out
    assert f"no space left in {tmp_path / 'pool'}" in done.out


def test_a_run_that_ends_on_a_full_disk_is_not_believed(tmp_path: Path) -> None:
    """The records fitted, perhaps, or just the first of them: no outcome is handed back."""
    disk = tmp_path / "disk"
    with small_disk(disk, 4096):
        for name in ("tree", "scratch"):
            (disk / name).mkdir()
        (disk / "tree/test_fill.py").write_text(
            "import os\n\ndef test_fill():\n    with open('filler', 'wb', buffering=0) as filler:\n        try:\n"
            "            while True:\n                filler.write(bytes(4096))\n        except OSError:\n"
            "            filler.truncate(os.path.getsize('filler') - 32768)\n"
        )
        request = Request(
            python=sys.executable,
            tree=disk / "tree",
            scratch=disk / "scratch",
            selectors=(Selector("test_fill.py"),),
            user_top=tmp_path / "nowhere",
        )
        with pytest.raises(OSError, match="No space left on device"):
            inner.run(request)


def test_a_pool_that_ran_full_serves_again(shared: Place, tmp_path: Path) -> None:
    """What a full disk cut off is made anew once there is room."""
    pool = tmp_path / "pool"
    with small_disk(pool, 100):
        for kibibytes in (200, 400, 16_384):
            shared.forget()
            done = shared.complete(PROVE_DIRTY, BUGSLE_POOL=str(pool))
            assert done.code == 4, done.out
            subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", str(pool)], check=True)
        done = shared.complete(PROVE_DIRTY, BUGSLE_POOL=str(pool))
        assert (done.code, done.statuses()) == (0, RIGHT[PROVE_DIRTY]), done.out


def test_a_full_disk_is_told_in_the_summary_of_pytest(shared: Place, tmp_path: Path) -> None:
    """The session's own tests count; the gate says that it judged nothing, and why."""
    shared.forget()
    with small_disk(tmp_path / "pool", 40):
        done = shared.complete(PYTEST, BUGSLE_POOL=str(tmp_path / "pool"))
    assert "2 passed" in done.out
    assert "BUG001 nothing was judged: no space left in" in done.out
    assert done.report["verdict"] == "undecided"


@pytest.mark.parametrize("begun", [False, True])
def test_a_proof_is_judged_though_it_cannot_be_kept(shared: Place, begun: bool) -> None:
    """No room for `.bugsle`: the answer is the same, and nothing half-written stands there."""
    shared.forget()
    folder = shared.repo.top / ".bugsle"
    with small_disk(folder, 8):
        if begun:
            (folder / ".gitignore").write_text("*\n")
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        done = shared.complete(PROVE)
        assert (done.code, done.statuses()) == (0, RIGHT[PROVE]), done.out
        left = {path.name: path.stat().st_size for path in folder.iterdir() if path.name != "filler"}
    assert left.get(".gitignore", 2) == 2
    assert left.get("cache.db", 0) == 0
    assert set(left) <= {".gitignore", "cache.db"}


@pytest.mark.slow
@pytest.mark.parametrize("command", list(RIGHT), ids=["prove", "prove-dirty", "pytest"])
def test_a_read_only_checkout_is_judged(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Nothing in it can be written: what is kept goes to the user's cache, and all is as before."""
    words = () if os.geteuid() else _POWERLESS
    if words and shutil.which(words[0]) is None:
        pytest.skip("root may write everywhere, and cannot give that up here")
    place = build(tmp_path)
    try:
        for here, _, files in os.walk(place.repo.top):
            for name in (*files, "."):
                path = Path(here, name)
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode & ~0o222)
        before = place.state()
        report = tmp_path / "report.json"
        process, mark = place.start((*words, *_reporting(command, report)), BUGSLE_POOL="")
        done = ended(process, mark, report)
        assert (done.code, done.statuses(), done.left) == (0, RIGHT[command], {}), done.out
        assert _difference(before, place.state()) == {}
        assert not (place.repo.top / ".bugsle").exists()
        assert [path.name for path in (tmp_path / "cache/bugsle/state").glob("*/cache.db")] == ["cache.db"]
    finally:
        for here, _, _ in os.walk(place.repo.top):
            os.chmod(here, 0o700)
