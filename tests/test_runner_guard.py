"""The code under test comes from the tree under test, whatever an environment does."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from runner_trees import Trees, by_name, make_venv, statuses

from pytest_bugsle.runner.inner import Run

FIXED = {"demo/__init__.py": "", "demo/core.py": "VALUE = 'fixed'\n", "demo/added.py": "", "demo_more.py": ""}
BROKEN = {"demo/__init__.py": "", "demo/core.py": "VALUE = 'broken'\n"}
TESTS = """
    import subprocess, sys
    def test_changed():
        from demo import core
        assert core.VALUE == "fixed"
    def test_added(): import demo.added
    def test_more(): import demo_more
    def test_child():
        code = "import demo.core as c, sys; sys.exit(c.VALUE == 'broken')"
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    def test_child_added():
        assert subprocess.run([sys.executable, "-c", "import demo.added"]).returncode == 0
    def test_child_more():
        assert subprocess.run([sys.executable, "-c", "import demo_more"]).returncode == 0
"""
WANTED = {
    "test_changed": ("failed", "AssertionError"),
    "test_added": ("failed", "ModuleNotFoundError"),
    "test_more": ("failed", "ModuleNotFoundError"),
    "test_child": ("failed", "AssertionError"),
    "test_child_added": ("failed", "AssertionError"),
    "test_child_more": ("failed", "AssertionError"),
}


def kinds(run: Run) -> dict[str, tuple[str, str | None]]:
    """Return status and exception of each test."""
    return {
        name: (outcome.status, outcome.error.type if outcome.error else None)
        for name, outcome in by_name(run).items()
    }


def put(trees: Trees, root: str) -> dict[str, object]:
    """Lay out the fixed checkout and the broken tree, and return what a request says of them."""
    trees.write(
        {f"{root}/{name}": text for name, text in BROKEN.items()} | {"tests/test_demo.py": TESTS},
        user={f"{root}/{name}": text for name, text in FIXED.items()},
    )
    return {
        "import_roots": (root,),
        "owned": ("demo",),
        "absent": ("demo.added", "demo_more"),
        "changed": (f"{root}/demo/core.py",),
    }


def check(trees: Trees, python: str, options: dict[str, object]) -> None:
    """The tree is tested with the guard, and a wrong tree is noticed without it."""
    run = trees.run("tests/test_demo.py", python=python, **options)
    assert kinds(run) == WANTED, run.output
    assert run.wrong_tree == ()
    unguarded = trees.run("tests/test_demo.py", python=python, guard=False, **options)
    assert statuses(unguarded)["test_changed"] == "passed"
    reasons = "\n".join(unguarded.wrong_tree)
    assert "demo.core was imported from the checkout" in reasons or "demo.core (" in reasons


@pytest.mark.parametrize("root", [".", "src"])
def test_a_path_file_of_the_checkout_is_led_to_the_tree(tmp_path: Path, root: str) -> None:
    """A hand-made `.pth` editable, in flat and src layouts."""
    trees = Trees(tmp_path)
    options = put(trees, root)
    python, site = make_venv(tmp_path / "venv")
    (site / "editable.pth").write_text(f"{trees.user / root}\n")
    if root == ".":  # the working folder leads the path without a guard: the tree is right either way
        run = trees.run("tests/test_demo.py", python=python, **options)
        assert kinds(run) == WANTED and run.wrong_tree == ()
    else:
        check(trees, python, options)


def test_an_environment_inside_the_checkout_is_not_the_checkouts_code(tmp_path: Path) -> None:
    """`.venv` in the user's folder is used as it is."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    python, site = make_venv(trees.user / ".venv")
    (site / "editable.pth").write_text(f"{trees.user / 'src'}\n")
    (site / "library.py").write_text("X = 1\n")
    (trees.tree / "tests" / "test_demo.py").write_text(
        "import library\n" + (trees.tree / "tests" / "test_demo.py").read_text()
    )
    check(trees, python, options)


def test_a_plain_installation_is_not_what_is_tested(tmp_path: Path) -> None:
    """A copy in site-packages yields to the tree; what it alone has of a package is not seen."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    python, site = make_venv(tmp_path / "venv")
    shutil.copytree(trees.user / "src", site, dirs_exist_ok=True)
    check(trees, python, options)


def test_compiled_and_generated_parts_of_an_installation_are_found(tmp_path: Path) -> None:
    """A version file written at build time and an extension module come from where they were installed."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    python, site = make_venv(tmp_path / "venv")
    shutil.copytree(trees.user / "src", site, dirs_exist_ok=True)
    (site / "demo" / "_version.py").write_text("version = '1'\n")
    # Which modules of the standard library are files of their own differs from one build to the next.
    specs = [importlib.util.find_spec(name) for name in ("_csv", "_bz2", "_lzma", "_asyncio", "_ctypes")]
    origin = next(Path(s.origin) for s in specs if s is not None and s.origin and Path(s.origin).is_file())
    name = origin.name.partition(".")[0]
    shutil.copy(origin, site / "demo" / origin.name)
    trees.write(
        {
            "tests/test_demo.py": f"""
                def test_parts():
                    from demo import {name}, _version
                    assert _version.version == "1" and "site-packages" in {name}.__file__
            """
        }
    )
    run = trees.run("tests/test_demo.py", python=python, **options)
    assert statuses(run) == {"test_parts": "passed"}, run.output
    assert run.wrong_tree == ()


def test_a_finder_in_front_does_not_lead_to_the_checkout(tmp_path: Path) -> None:
    """Editable finders that sit before all others, as of meson-python, are judged by what they find."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    python, site = make_venv(tmp_path / "venv")
    (site / "_front.py").write_text(
        f"""
import importlib.machinery, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("demo"):
            where = [{str(trees.user / "src")!r} + "/demo"] if "." in name else [{str(trees.user / "src")!r}]
            return importlib.machinery.PathFinder.find_spec(name, where)
sys.meta_path.insert(0, Finder())
"""
    )
    (site / "front.pth").write_text("import _front\n")
    check(trees, python, options)


def test_a_finder_that_comes_late_is_judged_too(tmp_path: Path) -> None:
    """A conftest that puts the checkout on the path, or a finder in front, does not escape."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    trees.write(
        {
            "conftest.py": f"""
                import importlib.machinery, sys
                sys.path.insert(0, {str(trees.user / "src")!r})
                class Finder:
                    def find_spec(self, name, path=None, target=None):
                        if name.startswith("demo"):
                            return importlib.machinery.PathFinder.find_spec(name, [{str(trees.user / "src")!r}])
                sys.meta_path.insert(0, Finder())
            """
        }
    )
    run = trees.run("tests/test_demo.py", **options)
    assert {name: kind for name, kind in kinds(run).items() if "child" not in name} == {
        name: kind for name, kind in WANTED.items() if "child" not in name
    }, run.output
    assert run.wrong_tree == ()


def test_a_tree_of_links_leads_to_the_tree(tmp_path: Path) -> None:
    """Strict editables link each file of the checkout from a build folder."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    links = trees.user / "build" / "__editable__.demo-1"
    (links / "demo").mkdir(parents=True)
    for name in ("demo/__init__.py", "demo/core.py", "demo/added.py", "demo_more.py"):
        (links / name).symlink_to(trees.user / "src" / name)
    python, site = make_venv(tmp_path / "venv")
    (site / "__editable__.demo-1.pth").write_text(f"{links}\n")
    check(trees, python, options)


def test_namespaces_take_the_trees_portion_and_keep_the_others(tmp_path: Path) -> None:
    """Implicit namespaces and those made by old `-nspkg.pth` files have the tree's folder first."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "src/ns/demo/__init__.py": "",
            "src/ns/demo/core.py": "VALUE = 'broken'\n",
            "tests/test_demo.py": """
                def test_changed():
                    from ns.demo import core
                    assert core.VALUE == "fixed"
                def test_added(): import ns.demo.added
                def test_later(): import ns.later
                def test_other():
                    import ns.other
                    assert "site-packages" in ns.other.__file__
            """,
        },
        user={
            "src/ns/demo/__init__.py": "",
            "src/ns/demo/core.py": "VALUE = 'fixed'\n",
            "src/ns/demo/added.py": "",
            "src/ns/later.py": "",
        },
    )
    wanted = {
        "test_changed": ("failed", "AssertionError"),
        "test_added": ("failed", "ModuleNotFoundError"),
        "test_later": ("failed", "ModuleNotFoundError"),
        "test_other": ("passed", None),
    }
    old = (
        "import sys, types, os; m = sys.modules.setdefault('ns', types.ModuleType('ns')); "
        f"m.__dict__.setdefault('__path__', []).extend([{str(trees.user / 'src' / 'ns')!r}, "
        "os.path.join(sitedir, 'ns')])\n"
    )
    for number, text in enumerate((f"{trees.user / 'src'}\n", old)):
        python, site = make_venv(tmp_path / f"venv{number}")
        (site / "ns").mkdir()
        (site / "ns" / "other.py").touch()
        (site / "demo-nspkg.pth").write_text(text)
        for owned in ((), ("ns",)):
            run = trees.run(
                "tests/test_demo.py",
                python=python,
                import_roots=("src",),
                owned=owned,
                absent=("ns.demo.added",),
                changed=("src/ns/demo/core.py",),
            )
            assert kinds(run) == wanted, (number, owned, run.output)
            assert run.wrong_tree == ()


@pytest.mark.parametrize("mode", ["prepend", "append", "importlib"])
def test_assertions_are_still_rewritten(tmp_path: Path, mode: str) -> None:
    """Tests, conftests and registered plugins keep pytest's explanations in every import mode."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "src/demo/__init__.py": "",
            "src/demo/plugin.py": "def check(value):\n    assert value == 3\n",
            "src/demo/core.py": "def f(): return 1\n",
            "tests/__init__.py": "",
            "tests/conftest.py": """
                import pytest
                pytest.register_assert_rewrite("demo.plugin")
                @pytest.fixture
                def fails():
                    two = 2
                    assert two == 4
            """,
            "tests/test_demo.py": """
                import demo.core, demo.plugin
                def test_own(): assert demo.core.f() == 2
                def test_plugin(): demo.plugin.check(2)
                def test_conftest(fails): pass
            """,
        }
    )
    run = trees.run(
        "tests/test_demo.py", import_roots=("src",), owned=("demo",), args=(f"--import-mode={mode}",)
    )
    messages = {name: outcome.error.message for name, outcome in by_name(run).items() if outcome.error}
    assert messages == {
        "test_own": "assert 1 == 2",
        "test_plugin": "assert 2 == 3",
        "test_conftest": "assert 2 == 4",
    }, run.output


def test_links_into_the_checkout_from_an_environment_are_followed(tmp_path: Path) -> None:
    """Packages and single modules that an installer linked are the checkout's."""
    trees = Trees(tmp_path)
    options = put(trees, "src")
    python, site = make_venv(tmp_path / "venv")
    (site / "demo").symlink_to(trees.user / "src" / "demo")
    (site / "demo_more.py").symlink_to(trees.user / "src" / "demo_more.py")
    run = trees.run("tests/test_demo.py", python=python, **{**options, "absent": ()})
    assert kinds(run) == WANTED, run.output
    assert run.wrong_tree == ()


def test_the_start_of_an_environment_is_mended(tmp_path: Path) -> None:
    """Path entries, and modules that a `.pth` file has already imported, are led to the tree."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "src/demo/__init__.py": "VALUE = 'broken'\n",
            "src/ns/part.py": "",
            "tests/test_demo.py": f"""
                import pkgutil, sys
                user = {str(tmp_path / "user")!r}
                def test_path(): assert not [entry for entry in sys.path if entry.startswith(user)]
                def test_listing(): assert "later" not in [info.name for info in pkgutil.iter_modules()]
                def test_imported():
                    import demo
                    assert demo.VALUE == "broken"
                def test_portions():
                    import ns
                    assert len(ns.__path__) == 1 and not ns.__path__[0].startswith(user)
            """,
        },
        user={"src/demo/__init__.py": "VALUE = 'fixed'\n", "src/later.py": "", "src/ns/part.py": ""},
    )
    python, site = make_venv(tmp_path / "venv")
    start = f"import sys; sys.path.insert(0, {str(trees.user / 'src')!r}); import demo, ns\n"
    (site / "a.pth").write_text(start)
    run = trees.run("tests/test_demo.py", python=python, import_roots=("src",), owned=("demo",))
    assert set(statuses(run).values()) == {"passed"} and len(run.outcomes) == 4, run.output
    assert run.wrong_tree == ()


def test_a_finder_that_a_test_puts_in_front_does_not_stay_there(tmp_path: Path) -> None:
    """The guard returns to the front before the next test."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "src/demo.py": "VALUE = 'broken'\n",
            "tests/test_demo.py": f"""
                import importlib.machinery, sys
                class Finder:
                    def find_spec(self, name, path=None, target=None):
                        if name == "demo":
                            return importlib.machinery.PathFinder.find_spec(name, [{str(trees.user / "src")!r}])
                def test_first(): sys.meta_path.insert(0, Finder())
                def test_second():
                    import demo
                    assert demo.VALUE == "broken"
            """,
        },
        user={"src/demo.py": "VALUE = 'fixed'\n"},
    )
    run = trees.run("tests/test_demo.py", import_roots=("src",), owned=("demo",))
    assert statuses(run) == {"test_first": "passed", "test_second": "passed"}, run.output
    assert run.wrong_tree == ()


def test_an_absent_name_may_be_another_file_of_the_tree(tmp_path: Path) -> None:
    """A helper beside the tests is found though the fix adds a module of the same name."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "demo/__init__.py": "",
            "tests/helper.py": "X = 1\n",
            "tests/test_demo.py": "import helper\ndef test_helper(): assert helper.X == 1\n",
        },
        user={"helper.py": ""},
    )
    run = trees.run("tests/test_demo.py", owned=("demo",), absent=("helper",))
    assert statuses(run) == {"test_helper": "passed"}, run.output


def test_an_existing_sitecustomize_still_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's own start-up file is chained."""
    trees = Trees(tmp_path)
    trees.write({"test_a.py": "import sys\ndef test_a(): assert sys.own_start == 1\n"})
    # Where a distribution's Python has one of its own, only PYTHONPATH goes before it.
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.own_start = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(own))
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_a": "passed"}, run.output


def test_tests_that_reach_into_the_checkout_are_noticed(tmp_path: Path) -> None:
    """A file loaded by its path passes the guard by; the certificate sees it."""
    trees = Trees(tmp_path)
    trees.write(
        {
            "test_a.py": f"""
                import importlib.util, sys
                def test_a():
                    spec = importlib.util.spec_from_file_location("loaded", {str(trees.user / "loaded.py")!r})
                    sys.modules["loaded"] = module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
            """
        },
        user={"loaded.py": ""},
    )
    run = trees.run("test_a.py")
    assert statuses(run) == {"test_a": "passed"}
    assert run.wrong_tree == (f"loaded was imported from the checkout: {trees.user / 'loaded.py'}",)
