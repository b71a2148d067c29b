"""A path is on the test side, the source side or neither, by configuration and imports."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_bugsle.code.imports import imports
from pytest_bugsle.regression.directories import matches
from pytest_bugsle.regression.sides import Layout, Side, classify, in_scope

TEST, SOURCE, NEUTRAL = Side.TEST, Side.SOURCE, Side.NEUTRAL


def layout(
    files: str | Mapping[str, str], more: Mapping[str, str] | None = None, **options: object
) -> Layout:
    """Lay out a tree of paths (or of paths and texts), with real import look-ups over the texts."""
    texts = dict.fromkeys(files.split(), "") if isinstance(files, str) else dict(files)
    texts |= more or {}

    def importers(name: str) -> Collection[str]:
        return [p for p, t in texts.items() if p.endswith(".py") and imports(p, t.encode(), texts, {name})]

    return Layout(frozenset(texts), importers=importers, **options)  # type: ignore[arg-type]


def sides(tree: Layout) -> dict[str, Side]:
    """Classify every path of the listing."""
    return {path: classify(path, tree) for path in tree.listing}


def test_flat_layout_keeps_the_module_that_only_tests_import_as_source() -> None:
    """A top-level module beside its tests is source although nothing but tests imports it."""
    tree = layout({"parse.py": "", "test_parse.py": "import parse", "README.rst": "", "setup.py": ""})
    assert sides(tree) == {
        "parse.py": SOURCE, "test_parse.py": TEST, "README.rst": NEUTRAL, "setup.py": NEUTRAL
    }  # fmt: skip


def test_src_layout_with_a_test_directory() -> None:
    """Helpers, data, snapshots and recordings of a test directory are test."""
    tree = layout(
        "src/pkg/__init__.py src/pkg/core.py src/pkg/data.json src/pkg/py.typed src/pkg/core.pyi src/pkg/q.sql"
        " src/pkg/fast.pyx src/pkg/fast.c tests/__init__.py tests/base.py tests/test_core.py tests/conftest.py"
        " tests/data/x.json tests/__snapshots__/test_core.ambr tests/cassettes/a.yaml tests/data/bad.py"
        " tests/README.md docs/conf.py docs/usage.rst CHANGELOG.md .github/workflows/ci.yml poetry.lock"
        " requirements.txt noxfile.py Makefile",
        {"tests/test_core.py": "import pkg.core"},
    )
    found = sides(tree)
    for path, side in found.items():
        if path.startswith("tests/"):
            assert side is TEST, path
    source = "__init__.py core.py data.json q.sql fast.pyx fast.c"
    assert {p for p, side in found.items() if side is SOURCE} == {
        f"src/pkg/{name}" for name in source.split()
    }


def test_inline_tests_in_a_package() -> None:
    """A package's own `tests` is a test directory; a test beside its module leaves the module source."""
    tree = layout(
        {
            "pkg/__init__.py": "from . import core",
            "pkg/core.py": "",
            "pkg/foo.py": "",
            "pkg/test_foo.py": "from pkg.foo import x",
            "pkg/tests/__init__.py": "",
            "pkg/tests/test_core.py": "from pkg.tests import util",
            "pkg/tests/test_more.py": "",
            "pkg/tests/util.py": "",
            "pkg/tests/data/x.txt": "",
        }
    )
    found = sides(tree)
    assert {p for p, side in found.items() if side is TEST} == {
        "pkg/test_foo.py", "pkg/tests/__init__.py", "pkg/tests/test_core.py", "pkg/tests/test_more.py",
        "pkg/tests/util.py", "pkg/tests/data/x.txt",
    }  # fmt: skip
    assert set(found.values()) == {TEST, SOURCE}


def test_the_word_test_in_a_path_decides_nothing() -> None:
    """`contest/latest.py`, a package named `testing` and a `tests` without tests are product code."""
    tree = layout(
        "contest/__init__.py contest/latest.py testlib/__init__.py testlib/core.py tests/__init__.py tests/a.py"
        " checks/test_latest.py checks/test_other.py"
    )
    found = sides(tree)
    assert {path for path, side in found.items() if side is TEST} == {
        "checks/test_latest.py", "checks/test_other.py"
    }  # fmt: skip


def test_module_named_like_a_test_that_product_code_imports_is_source() -> None:
    """`pkg/test_utils.py` matches the pattern, but the package itself needs it."""
    texts = {
        "src/pkg/__init__.py": "",
        "src/pkg/test_utils.py": "",
        "tests/test_a.py": "import pkg.test_utils",
    }
    core = {"src/pkg/core.py": "from pkg.test_utils import helper"}
    assert classify("src/pkg/test_utils.py", layout(texts | core)) is SOURCE
    assert classify("src/pkg/test_utils.py", layout(texts | {"src/pkg/core.py": ""})) is TEST
    relative = {"src/pkg/core.py": "def f():\n    from .test_utils import helper"}
    assert classify("src/pkg/test_utils.py", layout(texts | relative)) is SOURCE


def test_what_pytest_is_told_not_to_collect_is_a_shipped_helper() -> None:
    """Below a package and outside `testpaths`, a matching name is product code."""
    tree = layout("src/pkg/__init__.py src/pkg/test_utils.py tests/test_a.py", testpaths=("tests",))
    assert classify("src/pkg/test_utils.py", tree) is SOURCE
    assert classify("manual/test_by_hand.py", tree) is TEST


def test_public_test_helpers_of_a_package_are_source() -> None:
    """`pkg/testing.py` ships."""
    tree = layout({"pkg/__init__.py": "", "pkg/testing.py": "", "tests/test_a.py": "import pkg.testing"})
    assert classify("pkg/testing.py", tree) is SOURCE


def test_configured_names_and_paths_are_followed() -> None:
    """`testpaths` and `python_files` say what a test is, whatever it is called."""
    tree = layout(
        "pkg/__init__.py pkg/a.py checks/check_a.py checks/common.py checks/more.py checks/data.csv pkg/test_b.py",
        testpaths=("checks",),
        python_files=("check_*.py",),
    )
    assert classify("checks/check_a.py", tree) is TEST
    assert classify("checks/data.csv", tree) is NEUTRAL
    assert classify("pkg/test_b.py", tree) is SOURCE
    full = layout(
        {
            "pkg/__init__.py": "", "checks/check_a.py": "import pkg\nfrom common import x",
            "checks/common.py": "import more", "checks/more.py": "", "checks/data.csv": "",
        },
        testpaths=("checks",), python_files=("check_*.py",),
    )  # fmt: skip
    assert {classify(path, full) for path in full.listing if path.startswith("checks/")} == {TEST}


def test_helper_in_a_test_directory_that_product_code_imports_is_source() -> None:
    """What the product needs must be put back with it, wherever it stands."""
    files = {
        "pkg/__init__.py": "", "pkg/cli.py": "from tests.fake import Fake", "tests/__init__.py": "",
        "tests/fake.py": "", "tests/other.py": "", "tests/test_a.py": "from tests.other import *",
        "tests/test_b.py": "", "tests/test_c.py": "", "scripts/run.py": "from tests import other",
        "tests/test_d.py": "", "tests/test_e.py": "", "tests/test_f.py": "",
    }  # fmt: skip
    tree = layout(files)
    assert classify("tests/fake.py", tree) is SOURCE
    assert classify("tests/other.py", tree) is TEST


def test_conftest_and_the_file_with_pytest_settings_are_test() -> None:
    """pytest's own files stay as they are at HEAD."""
    tree = layout("pkg/__init__.py pkg/conftest.py conftest.py tox.ini pyproject.toml", inifile="tox.ini")
    assert [classify(p, tree) for p in ("pkg/conftest.py", "conftest.py", "tox.ini")] == [TEST] * 3
    assert classify("pyproject.toml", tree) is NEUTRAL


def test_examples_and_benchmarks_are_neutral_until_tests_import_them() -> None:
    """What is shown is not shipped, unless tests hold it."""
    files = {"pkg/__init__.py": "", "examples/a.py": "", "examples/b.py": "", "benchmarks/c.py": ""}
    tree = layout(files | {"tests/test_a.py": "from examples import b"})
    found = sides(tree)
    assert (found["examples/a.py"], found["examples/b.py"], found["benchmarks/c.py"]) == (
        NEUTRAL,
        SOURCE,
        NEUTRAL,
    )


def test_scripts_and_native_code_are_source() -> None:
    """Python and native code outside packages is product code all the same."""
    tree = layout("pkg/__init__.py scripts/run.py scripts/deploy.sh src/lib.rs manage.py tests/test_a.py")
    found = sides(tree)
    assert [found[p] for p in ("scripts/run.py", "src/lib.rs", "manage.py")] == [SOURCE] * 3
    assert found["scripts/deploy.sh"] is NEUTRAL


def test_django_application() -> None:
    """`app/tests.py` is test by `python_files`; models and templates of the application are source."""
    tree = layout(
        {
            "manage.py": "", "app/__init__.py": "", "app/models.py": "", "app/tests.py": "from .models import A",
            "app/templates/a.html": "", "app/views.py": "from .models import A", "site/__init__.py": "",
            "site/urls.py": "from app import views",
        },
        python_files=("tests.py", "test_*.py"),
    )  # fmt: skip
    found = sides(tree)
    assert [path for path, side in found.items() if side is TEST] == ["app/tests.py"]
    assert set(found.values()) == {TEST, SOURCE}


def test_test_directory_that_only_holds_test_directories() -> None:
    """Data above the directories that hold the test modules is test."""
    tree = layout("src/pkg/__init__.py src/pkg/a.py tests/__init__.py tests/unit/test_a.py tests/data/x.json")
    assert classify("tests/data/x.json", tree) is TEST
    assert classify("tests/__init__.py", tree) is TEST


def test_flat_layout_with_helpers_above_nested_tests() -> None:
    """A helper used by tests alone is test; a module of a package whose tests stand inside it is not."""
    tree = layout(
        {
            "pkg/__init__.py": "from .core import *", "pkg/core.py": "", "pkg/cli.py": "",
            "pkg/tests/test_core.py": "import pkg.core", "pkg/tests/test_cli.py": "import pkg.cli",
            "tests/__init__.py": "", "tests/helpers.py": "", "tests/unit/test_a.py": "import pkg, tests.helpers",
        }
    )  # fmt: skip
    found = sides(tree)
    assert found["tests/helpers.py"] is TEST
    assert found["pkg/cli.py"] is found["pkg/core.py"] is SOURCE


def test_two_packages_with_inline_tests() -> None:
    """A second product elsewhere does not turn a package full of tests into a test directory."""
    tree = layout(
        {
            "one/__init__.py": "", "one/core.py": "", "one/test_a.py": "import one.core",
            "one/test_b.py": "import one.core", "two/__init__.py": "", "two/base.py": "",
            "two/test_base.py": "import two.base",
        }
    )  # fmt: skip
    assert classify("one/core.py", tree) is SOURCE
    assert classify("two/base.py", tree) is SOURCE


def test_monorepo_with_a_rootdir_below_the_top() -> None:
    """Tests of another project are test, its source is source but out of scope."""
    tree = layout(
        "a/src/a/__init__.py a/tests/test_a.py a/tests/helper.py b/src/b/__init__.py b/tests/test_b.py"
        " a/tests/test_c.py",
        rootdir="a",
        testpaths=("tests",),
    )
    found = sides(tree)
    assert found["a/src/a/__init__.py"] is SOURCE and in_scope("a/src/a/__init__.py", tree)
    assert found["a/tests/helper.py"] is TEST
    assert found["b/tests/test_b.py"] is TEST
    assert found["b/src/b/__init__.py"] is SOURCE and not in_scope("b/src/b/__init__.py", tree)


def test_settings_win_over_everything() -> None:
    """`tests` makes a path test; a `source` pattern nearer than the test directory makes it source."""
    files = "pkg/__init__.py pkg/a.py pkg/spec.yaml tests/test_a.py tests/framework/f.py tests/x.py config/app.yaml"
    own = {"tests/test_a.py": "import pkg"}
    assert classify("tests/framework/f.py", layout(files, own)) is TEST
    near = layout(files, own, source=("pkg", "tests/framework", "config/*.yaml"))
    assert classify("tests/framework/f.py", near) is SOURCE
    assert classify("tests/x.py", near) is TEST
    assert classify("config/app.yaml", near) is SOURCE and in_scope("config/app.yaml", near)
    wide = layout(files, own, source=(".",), tests=("pkg/spec.yaml",))
    assert classify("tests/framework/f.py", wide) is TEST
    assert classify("pkg/spec.yaml", wide) is TEST
    assert classify("config/app.yaml", wide) is NEUTRAL
    assert not in_scope("pkg/a.py", layout(files, source=("other",)))


def test_a_broad_source_setting_leaves_inline_tests_test() -> None:
    """`source = ["pkg"]` says what is in scope; it does not make tests product code."""
    tree = layout("pkg/__init__.py pkg/a.py pkg/tests/test_a.py pkg/tests/x.json", source=("pkg",))
    assert classify("pkg/tests/test_a.py", tree) is TEST
    assert classify("pkg/tests/x.json", tree) is TEST


def test_doctest_text_files_are_test() -> None:
    """A text file that pytest collects holds tests."""
    files = "pkg/__init__.py docs/usage.rst docs/other.md"
    assert classify("docs/usage.rst", layout(files, doctest_globs=("*.rst",))) is TEST
    assert classify("docs/usage.rst", layout(files)) is NEUTRAL


def test_recordings_beside_inline_tests() -> None:
    """A snapshot or data named after a test module follows it, in a directory of product code too."""
    tree = layout(
        "pkg/__init__.py pkg/foo.py pkg/test_foo.py pkg/__snapshots__/test_foo.ambr pkg/test_foo/a.json"
        " pkg/test_foo.yaml pkg/other.yaml"
    )
    found = sides(tree)
    assert {p for p, side in found.items() if side is SOURCE} == {
        "pkg/__init__.py",
        "pkg/foo.py",
        "pkg/other.yaml",
    }


def test_directories_that_pytest_does_not_enter() -> None:
    """`norecursedirs` ends collection, unless `testpaths` asks for the directory itself."""
    files = "pkg/__init__.py pkg/build/__init__.py pkg/build/test_command.py"
    assert classify("pkg/build/test_command.py", layout(files)) is SOURCE
    assert classify("pkg/build/test_command.py", layout(files, testpaths=("pkg/build",))) is TEST


def test_listing_decides_for_a_deleted_path() -> None:
    """A path that the tree has lost is classified by the directory where it stood."""
    tree = layout("pkg/__init__.py pkg/a.py tests/test_a.py tests/test_b.py")
    assert classify("tests/gone.py", tree) is TEST
    assert classify("tests/test_gone.py", tree) is TEST
    assert classify("pkg/gone.py", tree) is SOURCE


def test_odd_names() -> None:
    """Spaces, line breaks, bytes that are not UTF-8 and glob characters are names like others."""
    odd = "tests/da ta/\udcff[x].json"
    tree = Layout(frozenset({"pkg/__init__.py", "tests/test_a.py", odd, "pkg/a\nb.py"}))
    assert classify(odd, tree) is TEST
    assert classify("pkg/a\nb.py", tree) is SOURCE
    assert matches("a[1]/x.py", "a[1]") is False
    assert matches("pkg/a\nb.py", "pkg/*.py")


@pytest.mark.parametrize(
    ("path", "pattern", "expected"),
    [
        ("src/a/b.py", "src", True), ("src/a/b.py", "src/", True), ("src/a/b.py", "./src/**", True),
        ("src/a/b.py", "src/*.py", False), ("src/b.py", "src/*.py", True), ("src/a/b.py", "src/**/*.py", True),
        ("src/b.py", "src/**/*.py", True), ("srcs/b.py", "src", False), ("a/x.py", "**/x.py", True),
        ("x.py", "**/x.py", True), ("ax.py", "**/x.py", False), ("a.py", ".", True), ("a.py", "?.py", True),
        ("a/b.py", "a?b.py", False), ("b.py", "[!a].py", True), ("a.py", "[!a].py", False), ("a.py", "[", False),
    ],
)  # fmt: skip
def test_patterns(path: str, pattern: str, expected: bool) -> None:
    """A pattern names files, or a directory and all that is in it; one star stops at a slash."""
    assert matches(path, pattern) is expected


@given(st.text(max_size=30), st.text(max_size=30))
def test_patterns_never_raise(path: str, pattern: str) -> None:
    """A pattern comes from a settings file and may be anything."""
    assert matches(path, pattern) in {True, False}


@given(st.lists(st.text("/abtest_.py ", min_size=1, max_size=20), max_size=12))
def test_any_listing_is_classified(paths: list[str]) -> None:
    """Every path of every listing gets a side, the same one when asked again."""
    tree = Layout(frozenset(paths))
    assert sides(tree) == sides(Layout(frozenset(paths)))


def test_imports_are_not_asked_for_where_the_listing_decides() -> None:
    """A plain source tree with plain tests costs no look-up at all."""
    asked: list[str] = []
    paths = [f"src/pkg/m{i}.py" for i in range(100)] + [f"tests/test_m{i}.py" for i in range(100)]
    tree = Layout(frozenset(["src/pkg/__init__.py", *paths]), importers=lambda name: asked.append(name) or ())
    found = sides(tree)
    assert {side for path, side in found.items() if path.startswith("tests")} == {TEST}
    assert not asked
