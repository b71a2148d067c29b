"""What a test leaves behind: found, said in a line, and put back one item at a time."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_bugsle.runner import state, state_kinds

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each case runs in a fork of its own")


def in_fork(work: Callable[[], Any]) -> Any:
    """Run `work` in a forked child and return its JSON-able answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            answer = json.dumps(work())
        except BaseException as error:  # noqa: BLE001 - it is told to the parent
            answer = json.dumps({"failed": f"{type(error).__name__}: {error}"})
        with os.fdopen(writer, "w") as stream:
            stream.write(answer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.loads(stream.read())
    os.waitpid(child, 0)
    if isinstance(answer, dict) and "failed" in answer:
        pytest.fail(answer["failed"])
    return answer


def rows(found: list[state.Difference]) -> list[list[str]]:
    """Return the four texts of each difference."""
    return [list(each.as_json().values()) for each in found]


def pollute(
    top: Path, files: dict[str, str], code: str, *, ready: str = "", root: Path | None = None
) -> dict[str, Any]:
    """Import the modules, run `code`, and put back each difference in turn."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def work() -> dict[str, Any]:
        gc.collect()  # what earlier tests dropped must not close its files in the middle
        if "asyncio" in sys.modules:  # tests that drive a browser leave a policy behind
            sys.modules["asyncio"].set_event_loop_policy(None)
        sys.path.insert(0, str(top))
        importlib.invalidate_caches()
        space: dict[str, Any] = {"TOP": str(top)}
        for name in files:
            module = name[: -len(".py")].replace("/", ".").replace(".__init__", "")
            importlib.import_module(module)
            space[module.partition(".")[0]] = sys.modules[module.partition(".")[0]]
        exec(textwrap.dedent(ready), space)  # noqa: S102 - the text stands in this file
        before = state.take(
            lambda file: file.startswith(str(top) + os.sep), None if root is None else str(root)
        )
        still = rows(state.differences(before))
        exec(textwrap.dedent(code), space)  # noqa: S102 - as above
        found = state.differences(before)
        back = [state.restore(before, each) for each in found]
        after = rows(state.differences(before))
        return {
            "still": still,
            "found": rows(found),
            "back": back,
            "after": after,
            "left out": before.left_out,
        }

    answer: dict[str, Any] = in_fork(work)
    return answer


REGISTRY = """
    import collections, functools, random
    PLUGINS = ["a"]
    NAMES = {"a": {"deep": [1]}}
    SEEN = {1}
    QUEUE = collections.deque([1], maxlen=9)
    ORDER = collections.OrderedDict(a=1, b=2)
    COUNTS = collections.Counter("aab")
    GROUPS = collections.defaultdict(list, a=[1])
    BUFFER = bytearray(b"ab")
    LIMIT = 3
    PAIR = ([1], 2)
    class Foo:
        registry = {"a": 1, "b": 2}
        limit = 1
        def __init__(self):
            self.state = "new"
            self.items = []
    class Slim:
        __slots__ = ("value", "other")
        def __init__(self):
            self.value = 1
    one = Foo()
    slim = Slim()
    def collect(item, into=[]):
        into.append(item)
    def keyed(item, *, into={}):
        into[item] = 1
    def counted():
        n, seen = 0, []
        def count():
            nonlocal n
            n += 1
            seen.append(n)
            return n
        return count
    count = counted()
    @functools.lru_cache(maxsize=None)
    def slow(n):
        return n
"""
OURS = [
    ("rebound", "app.LIMIT = 4", "global", "app.LIMIT", "3", "4"),
    ("added", "app.EXTRA = 4", "global", "app.EXTRA", "absent", "4"),
    ("deleted", "del app.LIMIT", "global", "app.LIMIT", "3", "absent"),
    ("list", "app.PLUGINS.append('b')", "global", "app.PLUGINS", "1 entry", "2 entries: +'b'"),
    ("dict", "del app.NAMES['a']", "global", "app.NAMES", "1 entry", "0 entries: -'a'"),
    (
        "nested",
        "app.NAMES['a']['deep'].append(2)",
        "global",
        "app.NAMES['a']['deep']",
        "1 entry",
        "2 entries: +2",
    ),
    ("in a tuple", "app.PAIR[0].clear()", "global", "app.PAIR[0]", "1 entry", "0 entries: -1"),
    ("set", "app.SEEN.add(2)", "global", "app.SEEN", "1 entry", "2 entries: +2"),
    ("deque", "app.QUEUE.append(2)", "global", "app.QUEUE", "1 entry", "2 entries: +2"),
    (
        "ordered",
        "app.ORDER.update(c=3); del app.ORDER['a']",
        "global",
        "app.ORDER",
        "2 entries",
        "2 entries: +'c', -'a'",
    ),
    ("counter", "app.COUNTS['a'] += 1", "global", "app.COUNTS", "2 entries", "2 entries: 'a': 2 -> 3"),
    ("defaultdict", "app.GROUPS['z']", "global", "app.GROUPS", "1 entry", "2 entries: +'z'"),
    ("bytearray", "app.BUFFER.extend(b'c')", "global", "app.BUFFER", "b'ab'", "b'abc'"),
    (
        "registry on a class",
        "app.Foo.registry.update(c=1, d=2, e=3)",
        "class attribute",
        "app.Foo.registry",
        "2 entries",
        "5 entries: +'c', +'d', +'e'",
    ),
    ("class attribute", "app.Foo.limit = 2", "class attribute", "app.Foo.limit", "1", "2"),
    ("class attribute added", "app.Foo.more = 2", "class attribute", "app.Foo.more", "absent", "2"),
    ("class attribute gone", "del app.Foo.limit", "class attribute", "app.Foo.limit", "1", "absent"),
    ("instance", "app.one.state = 'used'", "instance attribute", "app.one.state", "'new'", "'used'"),
    (
        "list of an instance",
        "app.one.items.append(1)",
        "instance attribute",
        "app.one.items",
        "0 entries",
        "1 entry: +1",
    ),
    ("slot", "app.slim.value = 2", "instance attribute", "app.slim.value", "1", "2"),
    ("slot filled", "app.slim.other = 2", "instance attribute", "app.slim.other", "absent", "2"),
    ("slot emptied", "del app.slim.value", "instance attribute", "app.slim.value", "1", "absent"),
    (
        "mutable default",
        "app.collect(1)",
        "default argument",
        "app.collect.__defaults__",
        "0 entries",
        "1 entry: +1",
    ),
    (
        "keyword default",
        "app.keyed(1)",
        "default argument",
        "app.keyed.__kwdefaults__['into']",
        "0 entries",
        "1 entry: +1",
    ),
    ("closure", "app.count()", "closure", "app.count.<closure>.n", "0", "1"),
    (
        "list in a closure",
        "app.count()",
        "closure",
        "app.count.<closure>.seen",
        "0 entries",
        "1 entry: +1",
    ),
    (
        "function attribute",
        "app.collect.calls = 1",
        "function attribute",
        "app.collect.calls",
        "absent",
        "1",
    ),
    ("cache", "app.slow(1)", "lru_cache", "app.slow", "0 entries", "1 entries"),
]
PROCESS = [
    ("environment", "import os; os.environ['BUGSLE_X'] = '1'", "environment", "BUGSLE_X", "absent", "'1'"),
    ("environment gone", "import os; del os.environ['PATH']", "environment", "PATH", "'", "absent"),
    ("secret", "import os; os.environ['MY_TOKEN'] = 'abc'", "environment", "MY_TOKEN", "absent", "hidden"),
    ("directory", "import os; os.chdir('/')", "working directory", "os.getcwd()", "'", "'/'"),
    ("umask", "import os; os.umask(0o077)", "umask", "os.umask()", "0o", "0o77"),
    ("path", "import sys; sys.path.insert(0, 'x')", "sys", "sys.path", " entries", "+'x'"),
    ("path rebound", "import sys; sys.path = ['x']", "sys", "sys.path", " entries", "+'x'"),
    ("argv", "import sys; sys.argv.append('x')", "sys", "sys.argv", "entr", "+'x'"),
    (
        "finder",
        "import sys; sys.meta_path.insert(0, object())",
        "sys",
        "sys.meta_path",
        "entries",
        "+<object>",
    ),
    ("hooks", "import sys; sys.path_hooks.clear()", "sys", "sys.path_hooks", "entries", "0 entries"),
    ("stream", "import io, sys; sys.stdout = io.StringIO()", "stream", "sys.stdout", "", "<_io.StringIO>"),
    ("module added", "import this_is_new", "sys.modules", "this_is_new", "absent", "<module this_is_new>"),
    ("module removed", "import sys; del sys.modules['app']", "sys.modules", "app", "<module app>", "absent"),
    (
        "module replaced",
        "import sys, types; sys.modules['app'] = types.ModuleType('app')",
        "sys.modules",
        "app",
        "<module app>",
        "(another one)",
    ),
    (
        "module blocked",
        "import sys; sys.modules['nothing_here'] = None",
        "sys.modules",
        "nothing_here",
        "absent",
        "None",
    ),
    (
        "builtin",
        "import builtins; builtins.print = len",
        "module attribute",
        "builtins.print",
        "<function print>",
        "<function len>",
    ),
    (
        "time",
        "import time; time.time = lambda: 0",
        "module attribute",
        "time.time",
        "<function time>",
        "<function",
    ),
    (
        "socket",
        "import socket; socket.socket = object",
        "module attribute",
        "socket.socket",
        "<class socket.socket>",
        "<class object>",
    ),
    (
        "datetime",
        "import datetime; datetime.datetime = object",
        "module attribute",
        "datetime.datetime",
        "<class",
        "<class object>",
    ),
    (
        "library class",
        "import json; json.JSONDecoder.decode = None",
        "module attribute",
        "json.decoder.JSONDecoder.decode",
        "<function json.decoder.JSONDecoder.decode>",
        "None",
    ),
    (
        "warnings",
        "import warnings; warnings.simplefilter('error')",
        "warnings",
        "warnings.filters",
        "entr",
        "+",
    ),
    (
        "once",
        "import warnings; warnings.onceregistry['x'] = 1",
        "warnings",
        "warnings.onceregistry",
        "0 entries",
        "+'x'",
    ),
    (
        "handler",
        "import logging; logging.getLogger().addHandler(logging.NullHandler())",
        "logging",
        "root.handlers",
        "",
        "NullHandler",
    ),
    (
        "level",
        "import logging; logging.getLogger('app.db').setLevel(10)",
        "logging",
        "app.db.level",
        "default",
        "10",
    ),
    (
        "propagate",
        "import logging; logging.getLogger('app.db').propagate = False",
        "logging",
        "app.db.propagate",
        "default",
        "False",
    ),
    (
        "disabled",
        "import logging; logging.getLogger('app.db').disabled = True",
        "logging",
        "app.db.disabled",
        "default",
        "True",
    ),
    ("logging", "import logging; logging.disable(50)", "logging", "logging.disable()", "0", "50"),
    (
        "raise",
        "import logging; logging.raiseExceptions = False",
        "module attribute",
        "logging.raiseExceptions",
        "True",
        "False",
    ),
    ("random", "import random; random.random()", "random state", "random", "state ", "state "),
    (
        "locale",
        "import locale; locale.setlocale(locale.LC_ALL, 'C' if locale.setlocale(locale.LC_ALL) != 'C' else 'C.UTF-8')",
        "locale",
        "LC_ALL",
        "'",
        "'C",
    ),
    (
        "zone",
        "import os, time; os.environ['TZ'] = 'XST-5:30'; time.tzset()",
        "time zone",
        "time.tzname",
        "(",
        "'XST'",
    ),
    (
        "decimal",
        "import decimal; decimal.getcontext().prec = 5",
        "decimal context",
        "decimal.getcontext()",
        "(28,",
        "(5,",
    ),
    (
        "signal",
        "import signal; signal.signal(signal.SIGUSR1, signal.SIG_IGN)",
        "signal handler",
        "SIGUSR1",
        "SIG_DFL",
        "SIG_IGN",
    ),
    (
        "recursion",
        "import sys; sys.setrecursionlimit(5000)",
        "recursion limit",
        "sys.getrecursionlimit()",
        "",
        "5000",
    ),
    (
        "switch",
        "import sys; sys.setswitchinterval(0.5)",
        "switch interval",
        "sys.getswitchinterval()",
        "0.0",
        "0.5",
    ),
    ("gc", "import gc; gc.disable()", "garbage collector", "gc.isenabled()", "True", "False"),
    (
        "trace",
        "import sys; sys.setprofile(lambda *_: None); ",
        "trace function",
        "sys.getprofile()",
        "None",
        "<function",
    ),
    (
        "policy",
        "import asyncio; asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())",
        "event loop",
        "asyncio policy",
        "None",
        "Policy",
    ),
    (
        "socket timeout",
        "import socket; socket.setdefaulttimeout(3)",
        "socket timeout",
        "socket.getdefaulttimeout()",
        "None",
        "3.0",
    ),
    (
        "patch",
        "from unittest import mock; mock.patch('os.getcwd').start()",
        "mock patch",
        "os.getcwd",
        "absent",
        "_patch",
    ),
]
REPORTED = [
    (
        "subclass",
        "class Child(app.Foo): pass\n",
        "subclasses",
        "app.Foo.__subclasses__()",
        "0 entr",
        "+'Child'",
    ),
    (
        "thread",
        "import threading; threading.Thread(target=threading.Event().wait, name='kept', daemon=True).start()",
        "thread",
        "kept",
        "absent",
        "'alive'",
    ),
    ("file", "KEPT = open('/dev/null')", "open file", "descriptor", "absent", "/dev/null"),
    ("exit", "import atexit; atexit.register(print)", "exit functions", "atexit", "", ""),
    (
        "new context variable",
        "import contextvars; contextvars.ContextVar('fresh').set(1)",
        "context variable",
        "fresh",
        "absent",
        "1",
    ),
]
IMPORTS = "import asyncio, atexit, contextvars, decimal, json, locale, random, socket, unittest.mock"


def one_of(answer: dict[str, Any], kind: str, name: str) -> int:
    """Return the place of a difference among those found."""
    places = [at for at, row in enumerate(answer["found"]) if row[0] == kind and name in row[1]]
    assert places, answer["found"]
    return places[0]


@pytest.mark.parametrize(
    ("code", "kind", "name", "was", "now"), [case[1:] for case in OURS], ids=[case[0] for case in OURS]
)
def test_what_the_tree_itself_holds_is_found_and_put_back(
    tmp_path: Path, code: str, kind: str, name: str, was: str, now: str
) -> None:
    """Globals, classes, instances, defaults, closures and caches; nothing else is reported."""
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code)
    assert answer["still"] == []
    assert [kind, name, was, now] in answer["found"]
    assert {row[1].partition(".<closure>")[0] for row in answer["found"]} == {name.partition(".<closure>")[0]}
    assert all(answer["back"]) and answer["after"] == []


@pytest.mark.parametrize(
    ("code", "kind", "name", "was", "now"), [case[1:] for case in PROCESS], ids=[case[0] for case in PROCESS]
)
def test_the_state_of_the_process_is_found_and_put_back(
    tmp_path: Path, code: str, kind: str, name: str, was: str, now: str
) -> None:
    """Each kind by a real change of a real process."""
    (tmp_path / "this_is_new.py").write_text("")
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code, ready=IMPORTS)
    assert answer["still"] == []
    at = one_of(answer, kind, name)
    assert answer["found"][at][1] == name
    assert was in answer["found"][at][2] and now in answer["found"][at][3]
    assert answer["back"][at]
    assert answer["after"] == []


@pytest.mark.parametrize(
    ("code", "kind", "name", "was", "now"),
    [case[1:] for case in REPORTED],
    ids=[case[0] for case in REPORTED],
)
def test_what_cannot_be_put_back_is_reported(
    tmp_path: Path, code: str, kind: str, name: str, was: str, now: str
) -> None:
    """Restoring answers no, and the difference stays."""
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code, ready=IMPORTS)
    assert answer["still"] == []
    at = one_of(answer, kind, name)
    assert was in answer["found"][at][2] and now in answer["found"][at][3]
    assert not answer["back"][at]
    assert answer["found"][at] in answer["after"]


HOSTILE = """
    import types
    class Raises:
        def __getattribute__(self, name): raise RuntimeError(name)
        def __eq__(self, other): raise RuntimeError("eq")
        def __hash__(self): return 1
        def __repr__(self): raise RuntimeError("repr")
        def __len__(self): raise RuntimeError("len")
        def __bool__(self): raise RuntimeError("bool")
    class Array:
        def __eq__(self, other): return self
        __hash__ = object.__hash__
        def __bool__(self): raise ValueError("ambiguous")
    class Endless:
        def __repr__(self):
            while True: pass
    class Liar:
        @property
        def __class__(self): raise RuntimeError("class")
        @property
        def __dict__(self): raise RuntimeError("dict")
    class Meta(type):
        def __getattribute__(cls, name):
            if name.startswith("__"): return type.__getattribute__(cls, name)
            raise RuntimeError(name)
        def __eq__(cls, other): raise RuntimeError("eq")
        def __hash__(cls): return 1
        def __setattr__(cls, name, value): raise RuntimeError("frozen")
        def __repr__(cls): raise RuntimeError("repr")
        def __instancecheck__(cls, instance): raise RuntimeError("instance")
        def __subclasscheck__(cls, instance): raise RuntimeError("subclass")
    class Odd(metaclass=Meta):
        values = [1]
        __module__ = __name__
    class Descriptor:
        def __get__(self, instance, owner): raise RuntimeError("descriptor")
    class Holder:
        lazy = Descriptor()
    class BadDict(dict):
        def __iter__(self): raise RuntimeError("iter")
        def items(self): raise RuntimeError("items")
        def copy(self): raise RuntimeError("copy")
        def clear(self): raise RuntimeError("clear")
        def update(self, *args): raise RuntimeError("update")
        def __len__(self): raise RuntimeError("len")
    class BadList(list):
        def __iter__(self): raise RuntimeError("iter")
        def __getitem__(self, key): raise RuntimeError("getitem")
        def __len__(self): raise RuntimeError("len")
        def extend(self, other): raise RuntimeError("extend")
    class Text(str):
        def __str__(self): raise RuntimeError("str")
        def __getitem__(self, key): raise RuntimeError("getitem")
        __repr__ = __format__ = __str__
    class Lazy(types.ModuleType):
        def __getattribute__(self, name): raise RuntimeError(name)
    def __getattr__(name): raise RuntimeError(name)
    ONE = Raises()
"""
HOSTS = [
    "Raises()",
    "Array()",
    "Endless()",
    "Liar()",
    "Odd",
    "Odd()",
    "Holder()",
    "BadDict(a=1)",
    "BadList([1])",
    "Text('a' * 10**6)",
    "Lazy('lazy')",
    "10 ** 100000",
    "'\\udc80\\n\\x1b[31m' * 1000",
    "float('nan')",
    "mock.MagicMock()",
    "weakref.proxy(app.ONE)",
    "{app.Raises(): 1}",
    "[[[[[[[[[[[1]]]]]]]]]]]",
    "list(range(50_000))",
    "types.SimpleNamespace(**{'a b': 1})",
    "type('Sub', (app.Holder,), {'__module__': app.Raises()})",
    "type('X' * 500 + '\\n', (), {})()",
    "threading.local()",
    "iter([1])",
    "contextvars.ContextVar('c')",
]


@pytest.mark.parametrize("value", HOSTS)
def test_a_hostile_object_is_neither_called_nor_in_the_way(tmp_path: Path, value: str) -> None:
    """Held, bound and unbound: other differences are found, and texts stay short and printable."""
    names = "import contextvars, threading, types, weakref; from unittest import mock; globals().update({k: v for k, v in vars(app).items() if k[:2] != '__'}); "
    hold = f"{names}app.HELD = {value}; app.LIST = [app.HELD]; app.KEYED = {{'a': app.HELD}}; app.N = 1"
    change = f"{names}app.N = 2; app.HELD = 0; app.NEW = {value}; app.LIST.append({value}); app.KEYED.clear()"
    answer = pollute(tmp_path, {"app.py": HOSTILE}, change, ready=hold)
    assert answer["still"] == []
    named = {row[1]: row for row in answer["found"]}
    assert {"app.N", "app.HELD", "app.NEW", "app.LIST", "app.KEYED"} <= set(named)
    assert named["app.N"][2:] == ["1", "2"]
    for row in answer["found"]:
        assert all(text.isprintable() and len(text) <= 200 for text in row)
        assert len(row[2]) <= 110 and len(row[3]) <= 110
    assert answer["after"] == []


def test_a_class_with_a_hostile_metaclass_is_put_back(tmp_path: Path) -> None:
    """Its attributes are set past the metaclass."""
    change = "type.__setattr__(app.Odd, 'values', None); app.BadDict.x = 1"
    answer = pollute(tmp_path, {"app.py": HOSTILE}, change)
    assert [row[1] for row in answer["found"]] == ["app.BadDict.x", "app.Odd.values"]
    assert answer["after"] == []


def test_containers_that_override_everything_are_put_back(tmp_path: Path) -> None:
    """The methods of the base types are used."""
    ready = "app.D = app.BadDict(a=1); app.L = app.BadList([1])"
    change = "dict.__setitem__(app.D, 'b', 2); list.append(app.L, 2)"
    answer = pollute(tmp_path, {"app.py": HOSTILE}, change, ready=ready)
    assert [row[1:] for row in answer["found"]] == [
        ["app.D", "1 entry", "2 entries: +'b'"],
        ["app.L", "1 entry", "2 entries: +2"],
    ]
    assert answer["after"] == []


def test_a_name_bound_to_an_equal_value_is_no_difference(tmp_path: Path) -> None:
    """Plain data is compared by value, NaN included; a change of type is a difference."""
    ready = (
        "app.NAN = float('nan'); app.FLAG = 1; app.TEXT = 'ab' * 50; app.SIGN = ((1, 'a'), frozenset({2}))"
    )
    code = "app.NAN = float('nan'); app.FLAG = True; app.TEXT = ''.join(['ab'] * 50); app.SIGN = ((1, 'a'), frozenset({2}))"
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code, ready=ready)
    assert [row[1:] for row in answer["found"]] == [["app.FLAG", "1", "True"]]


def test_a_rebound_name_gets_its_object_with_the_content_that_it_had(tmp_path: Path) -> None:
    """The list that was changed and then replaced is as it was before both."""
    code = "old = app.PLUGINS; old.append('b'); app.PLUGINS = list(old); app.NAMES['a']['deep'].append(2)"
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code)
    assert answer["found"].count(["global", "app.PLUGINS", "1 entry", "2 entries: +'b'"]) == 2
    assert answer["after"] == []


def test_putting_a_name_back_puts_back_what_stands_below_it(tmp_path: Path) -> None:
    """One restoration is enough where the old object was changed too; others stay changed."""

    def work() -> Any:
        sys.path.insert(0, str(tmp_path))
        app = importlib.import_module("app")
        before = state.take(lambda file: file.startswith(str(tmp_path)))
        app.NAMES["a"]["deep"].append(2)
        app.PLUGINS.append("b")
        app.NAMES = {}
        by_name = {each.name: each for each in state.differences(before)}
        back = state.restore(before, by_name["app.NAMES"])
        return [back, app.NAMES, app.PLUGINS]

    (tmp_path / "app.py").write_text(textwrap.dedent(REGISTRY))
    assert in_fork(work) == [True, {"a": {"deep": [1]}}, ["a", "b"]]


def test_a_name_bound_to_an_equal_list_is_said_last_of_the_trees_own(tmp_path: Path) -> None:
    """Whoever imported the old one by name no longer sees what happens to it."""
    answer = pollute(tmp_path, {"app.py": REGISTRY}, "app.PLUGINS = ['a']; app.SEEN.add(2)")
    assert answer["found"] == [
        ["global", "app.SEEN", "1 entry", "2 entries: +2"],
        ["global", "app.PLUGINS", "1 entry", "1 entry: another one"],
    ]
    assert answer["after"] == []


def test_a_module_executed_again_can_be_put_back_as_a_whole(tmp_path: Path) -> None:
    """A reload replaces every function and class: one difference stands for all of them, and is first."""
    answer = pollute(tmp_path, {"app.py": REGISTRY}, "import importlib; importlib.reload(app)")
    kind, name, was, now = answer["found"][0]
    assert (kind, name, was) == ("module", "app", "executed once")
    assert now.startswith("executed again: ")
    assert answer["back"][0]
    assert answer["after"] == []


def test_a_module_that_was_added_goes_with_its_name_on_the_package(tmp_path: Path) -> None:
    """Importing a submodule is one difference; taking it back undoes both."""
    files = {"pack/__init__.py": "", "app.py": ""}
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "late.py").write_text("X = 1")

    def work() -> Any:
        sys.path.insert(0, str(tmp_path))
        package = importlib.import_module("pack")
        before = state.take(lambda file: file.startswith(str(tmp_path)))
        importlib.import_module("pack.late")
        (found,) = state.differences(before)
        bound = hasattr(package, "late")
        back = state.restore(before, found)
        gone = [bound, back, hasattr(package, "late"), "pack.late" in sys.modules, found.ours]
        package = importlib.import_module("pack.late")
        again = state.take(lambda file: file.startswith(str(tmp_path)))
        del sys.modules["pack.late"]
        importlib.import_module("pack.late")
        (replaced,) = state.differences(again)
        back = state.restore(again, replaced)
        return [found.as_json(), gone, back, sys.modules["pack"].late is package]

    for name, text in files.items():
        (tmp_path / name).write_text(text)
    text, gone, back, same = in_fork(work)
    assert text == {"kind": "sys.modules", "name": "pack.late", "was": "absent", "now": "<module pack.late>"}
    assert gone == [True, True, False, False, True]
    assert back and same


def test_filters_and_levels_that_were_put_back_are_in_force() -> None:
    """What warnings and logging remember of the changed ones is forgotten."""

    def work() -> Any:
        logger, shown = logging.getLogger("bugsle.case"), []
        warnings.simplefilter("default")
        warnings.showwarning = lambda *args, **_kwargs: shown.append(args)
        before = state.take(lambda _file: False)
        logger.setLevel(10)
        warnings.simplefilter("default", UserWarning)
        seen = [logger.isEnabledFor(10)]
        registry: dict[str, Any] = {}
        for _ in range(2):
            warnings.warn_explicit("again", UserWarning, "x.py", 1, registry=registry)
        once = len(shown)
        back = [state.restore(before, each) for each in state.differences(before)]
        warnings.warn_explicit("again", UserWarning, "x.py", 1, registry=registry)
        return [seen, once, all(back), logger.isEnabledFor(10), len(shown)]

    assert in_fork(work) == [[True], 1, True, False, 2]


def test_the_list_is_named_by_the_module_that_defines_it(tmp_path: Path) -> None:
    """Not by the test or the importer that has the same object."""
    files = {
        "test_x.py": "from user import DATA, run",
        "user.py": "from zdefs import DATA, help_it\nrun = 1",
        "zdefs.py": "DATA = []\ndef help_it(): pass",
    }
    answer = pollute(tmp_path, files, "test_x.DATA.append(1)")
    assert [row[1] for row in answer["found"]] == ["zdefs.DATA"]


def test_large_data_is_counted_and_the_rest_is_said_to_be_left_out(tmp_path: Path) -> None:
    """Caps on one container, on depth and on the whole."""
    ready = "app.BIG = list(range(20_000)); x = app.DEEP = []\nfor _ in range(9): x.append([]); x = x[0]"
    answer = pollute(tmp_path, {"app.py": REGISTRY}, "app.BIG.append(1); app.LIMIT = 9", ready=ready)
    assert [row[1:] for row in answer["found"]] == [
        ["app.BIG", "20,000 entries", "20,001 entries"],
        ["app.LIMIT", "3", "9"],
    ]
    assert any("app.BIG" in line for line in answer["left out"])
    assert any(line.startswith("deeper than 6 levels: app.DEEP") for line in answer["left out"])
    many = (
        "app.MANY = [[i] for i in range(9_000)]; app.MORE = [[[j] for j in range(9_000)] for i in range(20)]"
    )
    answer = pollute(tmp_path, {"app.py": REGISTRY}, "app.LIMIT = 9", ready=many)
    assert [row[1] for row in answer["found"]] == ["app.LIMIT"]
    assert any("150,000 entries" in line for line in answer["left out"])


def test_machinery_of_pytest_is_left_alone_unless_it_is_the_tree(tmp_path: Path) -> None:
    """What pytest and its plugins write in their own modules is their business."""
    files = {"pytest_own.py": "X = [1]"}
    code = "import _pytest.main, sys; _pytest.main.X = 1; sys.last_value = 3; import os; os.environ['PYTEST_CURRENT_TEST'] = 'a'; pytest_own.X.append(2)"
    answer = pollute(tmp_path, files, code)
    assert [row[1] for row in answer["found"]] == ["pytest_own.X"]


def test_the_trees_own_comes_first(tmp_path: Path) -> None:
    """Then what a test most likely feels, and last what nearly every test moves."""
    code = """
        import random, os, sys, time
        random.random(); os.environ["BUGSLE_X"] = "1"; time.time = None; app.Foo.registry["c"] = 1
        sys.setrecursionlimit(5000)
    """
    answer = pollute(tmp_path, {"app.py": REGISTRY}, code, ready=IMPORTS)
    assert [row[1] for row in answer["found"]] == [
        "app.Foo.registry",
        "BUGSLE_X",
        "time.time",
        "sys.getrecursionlimit()",
        "random",
    ]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A tree of files to be changed."""
    root = tmp_path / "root"
    (root / "data" / "deep").mkdir(parents=True)
    (root / "a.txt").write_text("one")
    (root / "same.txt").write_text("one")
    (root / "data" / "deep" / "b.txt").write_text("two")
    (root / "large.bin").write_bytes(b"x" * 100_000)
    (root / "link").symlink_to("a.txt")
    (root / ".git").mkdir()
    return root


FILES = [
    ("added", "(R / 'new.txt').write_text('x')", "new.txt", "absent", "file of 1 bytes", True),
    ("removed", "(R / 'a.txt').unlink()", "a.txt", "file of 3 bytes", "absent", True),
    ("changed", "(R / 'a.txt').write_text('three')", "a.txt", "file of 3 bytes", "file of 5 bytes", True),
    ("of one size", "(R / 'a.txt').write_text('two')", "a.txt", "file of 3", "(another one)", True),
    ("mode", "(R / 'a.txt').chmod(0o600)", "a.txt", "mode 644", "mode 600", True),
    ("link", "(R / 'link').unlink(); (R / 'link').symlink_to('b')", "link", "'a.txt'", "'b'", True),
    ("file for link", "(R / 'link').unlink(); (R / 'link').write_text('')", "link", "link", "file", True),
    (
        "link for file",
        "(R / 'a.txt').unlink(); (R / 'a.txt').symlink_to('/x')",
        "a.txt",
        "file",
        "link",
        True,
    ),
    (
        "folder",
        "(R / 'o' / 'p').mkdir(parents=True); (R / 'o/p/q').write_text('')",
        "o",
        "absent",
        "folder",
        True,
    ),
    ("folder gone", "shutil.rmtree(R / 'data')", "data", "folder", "absent", True),
    ("large", "(R / 'large.bin').write_bytes(b'y')", "large.bin", "file of 100,000", "file of 1 ", False),
    ("large gone", "(R / 'large.bin').unlink()", "large.bin", "file of 100,000", "absent", False),
]


@pytest.mark.parametrize(
    ("code", "name", "was", "now", "back"), [case[1:] for case in FILES], ids=[case[0] for case in FILES]
)
def test_files_of_the_tree_are_found_and_put_back(
    tmp_path: Path, files: Path, code: str, name: str, was: str, now: str, back: bool
) -> None:
    """By size, time and content; a large one is reported only."""
    (files / "a.txt").chmod(0o644)
    ready = f"import pathlib, shutil; R = pathlib.Path({str(files)!r})"
    answer = pollute(tmp_path, {"app.py": ""}, code, ready=ready, root=files)
    assert answer["still"] == []
    at = one_of(answer, "file", name)
    assert was in answer["found"][at][2] and now in answer["found"][at][3]
    assert answer["back"][at] is back
    assert (answer["after"] == []) is back
    if back:
        assert (files / "a.txt").read_text() == "one"
        assert (files / "data/deep/b.txt").read_text() == "two"


def test_a_file_that_was_only_touched_is_no_difference(tmp_path: Path, files: Path) -> None:
    """Nor is what stands in folders of tools."""
    code = "(R / 'a.txt').write_text('one'); (R / 'a.txt').touch(); (R / '.git/x').write_text(''); (R / '__pycache__').mkdir()"
    ready = f"import pathlib; R = pathlib.Path({str(files)!r})"
    assert pollute(tmp_path, {"app.py": ""}, code, ready=ready, root=files)["found"] == []


def test_nothing_is_written_through_a_link_that_leads_out_of_the_tree(tmp_path: Path, files: Path) -> None:
    """The folder of a removed file became a link: the file is not put back elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.txt").write_text("precious")

    def work() -> Any:
        before = state.take(lambda _file: False, str(files))
        shutil.rmtree(files / "data" / "deep")
        (files / "data" / "deep").symlink_to(outside)
        by_name = {each.name: each for each in state.differences(before)}
        first = state.restore(before, by_name["data/deep/b.txt"])
        kept = (outside / "b.txt").read_text()
        return [first, kept, state.restore(before, by_name["data/deep"]), rows(state.differences(before))]

    first, kept, second, after = in_fork(work)
    assert (first, kept, second, after) == (False, "precious", True, [])
    assert (outside / "b.txt").read_text() == "precious"


def test_only_so_many_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is said to be left out."""
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("")
    monkeypatch.setattr(state_kinds, "FILES", 5)
    assert in_fork(lambda: state.take(lambda _: False, str(tmp_path)).left_out[-1]).startswith(
        "more than 5 files"
    )


SESSION = """
    import json, os, sys
    sys.path.insert(0, {ours!r})
    from pytest_bugsle.runner import state
    TOP = {top!r} + os.sep
    def pytest_runtestloop(session):
        for probe in ({probes!r}):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                continue
            before = state.take(lambda file: file.startswith(TOP), TOP)
            for item in session.items:
                if item.name in probe:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            found = state.differences(before)
            with open({out!r}, "a") as stream:
                stream.write(json.dumps([each.as_json() for each in found]) + chr(10))
            os._exit(0)
        return True
"""


def probed(
    tmp_path: Path, tests: str, *probes: list[str], args: tuple[str, ...] = ()
) -> list[list[dict[str, str]]]:
    """Run probes in forks of a real pytest session and return the differences of each."""
    top, out = tmp_path / "project", tmp_path / "found.jsonl"
    (top / "app").mkdir(parents=True)
    (top / "app" / "__init__.py").write_text("")
    (top / "app" / "registry.py").write_text(textwrap.dedent(REGISTRY))
    (top / "test_it.py").write_text(textwrap.dedent(tests))
    ours = str(Path(state.__file__).parents[2])
    text = SESSION.format(ours=ours, top=str(top), probes=probes, out=str(out))
    (tmp_path / "plugin_of_probes.py").write_text(textwrap.dedent(text))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plugin_of_probes", *args]
    run = subprocess.run(command, cwd=top, env=environ, capture_output=True, text=True, check=False)
    assert out.exists(), run.stdout + run.stderr
    return [json.loads(line) for line in out.read_text().splitlines()]


SUITE = """
    import logging, os, sys, unittest, warnings
    import pytest
    from app.registry import Foo, slow
    @pytest.fixture(scope="module")
    def wide(): yield [1]
    @pytest.fixture
    def made(wide, tmp_path, monkeypatch, capsys, caplog, recwarn):
        monkeypatch.setenv("BUGSLE_Y", "1")
        yield 1
    def test_quiet(made, request):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
        logging.getLogger("app").warning("hello")
        print("hello")
        with pytest.raises(ValueError, match="x"): raise ValueError("x")
        assert made == 1
    class TestUnit(unittest.TestCase):
        def test_unit(self): self.assertEqual(1, 1)
    def test_fails(): assert [1, 2] == [1, 3]
    def test_pollutes():
        import random
        random.random()
        os.environ["BUGSLE_X"] = "1"
        Foo.registry.update(c=1, d=2, e=3)
"""


def test_a_polluted_registry_is_the_first_difference_of_a_real_session(tmp_path: Path) -> None:
    """What pytest does around a test is not in the way."""
    (found,) = probed(tmp_path, SUITE, ["test_pollutes"])
    assert found[0] == {
        "kind": "class attribute",
        "name": "app.registry.Foo.registry",
        "was": "2 entries",
        "now": "5 entries: +'c', +'d', +'e'",
    }
    assert found[1]["name"] == "BUGSLE_X"


@pytest.mark.slow
@pytest.mark.parametrize("args", [(), ("-s", "-p", "no:randomly")])
def test_tests_that_leave_nothing_behind_show_nothing(tmp_path: Path, args: tuple[str, ...]) -> None:
    """Fixtures, capture, logs, warnings, unittest and a failure's report: but for what is filled when it is first used."""
    probes = (["test_quiet"], ["test_unit"], ["test_fails"])
    for found in probed(tmp_path, SUITE, *probes, args=args):
        first_use = {"tempfile.tempdir", "atexit", "random", "numpy.random"}
        assert [
            each for each in found if each["kind"] != "sys.modules" and each["name"] not in first_use
        ] == []
