"""Where tests are and where the product is, told from the listing, the configuration and imports."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from pytest_bugsle.code.imports import imports
from pytest_bugsle.regression.sides import Layout, Side, classify


def layout(files: str, texts: Mapping[str, str] | None = None, **options: object) -> Layout:
    """Lay out a tree of empty files and of texts, with real import look-ups over the texts."""
    tree = {**dict.fromkeys(files.split(), ""), **(texts or {})}

    def importers(name: str) -> Collection[str]:
        return [p for p, t in tree.items() if p.endswith(".py") and imports(p, t.encode(), tree, {name})]

    return Layout(frozenset(tree), importers=importers, **options)  # type: ignore[arg-type]


def directories(tree: Layout) -> set[str]:
    """Give the nearest test directories of all paths."""
    return {found for path in tree.listing if (found := tree.tree.test_directory(path))}


PRODUCT = "pkg/__init__.py pkg/core.py "


def test_names_of_test_modules() -> None:
    """A pattern with a slash is about the path; `conftest.py` is never a module of tests."""
    tree = layout("unit/a.py other/a.py unit/conftest.py x_test.py", python_files=("unit/*.py",)).tree
    assert [p for p in sorted(tree.paths) if tree.is_test_module(p)] == ["unit/a.py"]
    assert layout("x_test.py").tree.is_test_module("x_test.py")
    assert not layout("").tree.is_test_module("data/test_x.json")


def test_testpaths_of_the_whole_rootdir_say_nothing() -> None:
    """`testpaths = ["."]` is the default."""
    for entry in (".", "./"):
        tree = layout(PRODUCT + "pkg/test_core.py", testpaths=(entry,))
        assert classify("pkg/test_core.py", tree) is Side.TEST


def test_text_files_are_collected_where_pytest_looks() -> None:
    """A doctest outside `testpaths`, or in a directory that is not entered, is documentation."""
    options = {"doctest_globs": ("*.rst",), "testpaths": ("tests",)}
    tree = layout(PRODUCT + "docs/a.rst tests/a.rst tests/build/a.rst tests/test_a.py", **options)
    assert tree.tree.is_doctest("tests/a.rst")
    assert not tree.tree.is_doctest("docs/a.rst")
    assert not tree.tree.is_doctest("tests/build/a.rst")
    assert not layout("a.py", doctest_globs=("*.py",)).tree.is_doctest("a.py")


@pytest.mark.parametrize(
    ("importer", "expected"),
    [
        ("pkg/core.py", Side.SOURCE), ("top.py", Side.SOURCE), ("src/new.py", Side.SOURCE), ("pkg/conftest.py", Side.TEST),
        ("setup.py", Side.TEST), ("pkg/test_more.py", Side.TEST), ("checks/__init__.py", Side.TEST),
        ("docs/conf.py", Side.TEST), ("examples/__init__.py", Side.TEST), ("scripts/run.py", Side.TEST),
    ],
)  # fmt: skip
def test_who_counts_as_product(importer: str, expected: Side) -> None:
    """Packages, top-level modules and source roots; not tests, builds, scripts, documentation, examples."""
    files = (
        "pkg/__init__.py pkg/sub.py src/a.py tests/test_a.py tests/test_b.py tests/test_c.py tests/fake.py"
    )
    files += " checks/test_x.py checks/__init__.py examples/__init__.py"
    assert classify("tests/fake.py", layout(files, {importer: "import tests.fake"})) is expected


def test_helpers_that_import_one_another_stay_test() -> None:
    """An importer from the same test directory is no product code."""
    texts = {"tests/one.py": "from tests import two"}
    tree = layout(
        PRODUCT + "tests/__init__.py tests/two.py tests/test_a.py tests/test_b.py tests/test_c.py", texts
    )
    more = layout(
        " ".join(f"tests/test_{n}.py" for n in range(9)) + " " + " ".join(sorted(tree.listing)), texts
    )
    assert classify("tests/two.py", more) is Side.TEST


def test_the_packages_that_the_project_names_are_product() -> None:
    """A single-module package with its tests inside it would otherwise look like a directory of tests."""
    files = "one/__init__.py one/tests/test_a.py two/__init__.py two/core.py"
    assert directories(layout(files, packages=("one",))) == {"one/tests"}
    assert classify("one/__init__.py", layout(files, packages=("one",))) is Side.SOURCE
    dashed = layout("my_one/__init__.py my_one/tests/test_a.py two/__init__.py", packages=("my-one",))
    assert classify("my_one/__init__.py", dashed) is Side.SOURCE


def test_a_directory_that_serves_only_tests() -> None:
    """Helpers above nested tests are test if those import the product and the product does not import them."""
    files = PRODUCT + "tests/__init__.py tests/helpers.py"
    nested = {"tests/unit/test_a.py": "import pkg.core, tests.helpers"}
    assert directories(layout(files, nested)) == {"tests", "tests/unit"}
    assert directories(layout(files, {"tests/unit/test_a.py": "import tests.helpers"})) == {"tests/unit"}
    assert directories(layout(files, nested | {"pkg/cli.py": "import tests.helpers"})) == {"tests/unit"}


def test_configured_directories_may_hold_many_helpers() -> None:
    """Below `testpaths` helpers may import one another and have tests of their own, outside it not."""
    texts = {
        "tests/__init__.py": "", "tests/base.py": "import tests.more", "tests/more.py": "",
        "tests/test_base.py": "import tests.base", "tests/test_a.py": "import pkg", "tests/test_b.py": "",
    }  # fmt: skip
    assert directories(layout(PRODUCT, texts, testpaths=("tests",))) == {"tests"}
    assert directories(layout(PRODUCT, texts)) == set()


def test_a_helper_named_like_a_product_module_is_no_pair() -> None:
    """`tests/utils.py` beside `test_utils.py` is a helper where the product has `utils` too."""
    files = " tests/utils.py tests/test_utils.py tests/test_b.py tests/test_c.py"
    assert directories(layout("pkg/__init__.py pkg/utils.py" + files)) == {"tests"}
    assert directories(layout("pkg/__init__.py pkg/utils/__init__.py" + files)) == {"tests"}
    assert directories(layout(PRODUCT + files)) == set()


def test_a_package_beside_the_test_named_after_it() -> None:
    """The `__init__` that `test_sub.py` tests is product code."""
    files = PRODUCT + "sub/__init__.py sub/test_sub.py"
    assert directories(layout(files)) == set()
    assert directories(layout(files.replace("sub/__init__.py ", ""))) == {"sub"}


def test_the_only_product_is_no_test_directory() -> None:
    """A package mostly of tests is the product where there is no other."""
    assert (
        directories(layout("pkg/__init__.py pkg/core.py pkg/test_a.py pkg/test_b.py pkg/test_c.py")) == set()
    )
    assert directories(layout("top.py pkg/test_a.py pkg/test_b.py")) == {"pkg"}


def test_source_roots() -> None:
    """`src` at the top or at rootdir, else one of each project; a package of that name is none."""

    def roots(files: str, **options: object) -> set[str]:
        return set(layout(files, **options).tree.source_roots)

    assert roots("src/pkg/__init__.py tests/test_a.py") == {"src"}
    assert roots("src/__init__.py src/pkg/a.py") == set()
    assert roots("a/src/x/__init__.py b/src/y/__init__.py") == {"a/src", "b/src"}
    assert roots("a/src/x/__init__.py b/src/y/__init__.py b/tests/src/z.py b/tests/test_b.py", rootdir="a") == {
        "a/src", "b/src"
    }  # fmt: skip
    assert roots("pkg/__init__.py pkg/lib/x.py tests/data/src/y.py") == set()
    assert roots("src/pkg/a.py tests/data/src/y.py") == {"src"}
    assert roots("src/readme.txt") == set()


def test_projects_kept_as_test_data() -> None:
    """A whole project below a test directory is data of the tests."""
    tree = layout(PRODUCT + "tests/test_a.py tests/data/src/x/__init__.py tests/data/setup.py")
    assert classify("tests/data/src/x/__init__.py", tree) is Side.TEST
    assert classify("tests/data/setup.py", tree) is Side.TEST


def test_tests_inside_a_source_root() -> None:
    """`src/tests` is a test directory, `src/pkg` with tests in it is not."""
    files = "src/one/__init__.py src/one/a.py src/two/__init__.py src/two/tests/test_b.py src/tests/test_c.py"
    assert directories(layout(files)) == {"src/two/tests", "src/tests"}
