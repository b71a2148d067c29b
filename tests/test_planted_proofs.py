"""Faults planted among real fixes of one branch: each has to be told from a fix that a test holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from repositories import Repo, Said, bugsle


@dataclass
class Planted:
    """The branch, what the gate said of it, and the commits by a name of the story."""

    repo: Repo
    said: Said
    named: dict[str, str] = field(default_factory=dict)

    def status(self, name: str) -> str | None:
        """Give the status of a fix."""
        return self.said.status(self.named[name])

    def rules(self, name: str) -> list[str]:
        """Give the rules that a fix breaks."""
        return self.said.rules(self.named[name])

    def tests(self, name: str) -> dict[str, str | None]:
        """Give what each test of a fix shows, by its function's name."""
        tests = self.said.fix(self.named[name])["tests"]
        return {test["id"].rpartition("::")[2]: test["shows"] for test in tests}

    def reached(self, name: str) -> dict[str, int]:
        """Give the reach of the first proven test of a fix."""
        tests = self.said.fix(self.named[name])["tests"]
        return next(test["reached"] for test in tests if test["shows"] == "proven")


START = {
    "src/pkg/limits.py": """
        def is_full(used, size):
            return used / size > 0.9
    """,
    "src/pkg/one.py": """
        def small(x):
            return x > 2
    """,
    "src/pkg/names.py": """
        def clean(name):
            return name
    """,
    "src/pkg/attribute.py": """
        class Box:
            pass
    """,
    "src/pkg/keyword.py": """
        def split(text):
            return text.split(",")
    """,
    "src/pkg/mixed.py": """
        def total(values):
            return sum(values) + 1
    """,
    "tests/test_mixed.py": """
        from pkg.mixed import total

        def test_total():
            assert total([1, 2]) == 3
    """,
    "src/pkg/deleting.py": """
        def emit(lines):
            out = list(lines)
            out.append("debug")
            return out
    """,
    "src/pkg/table.py": """
        import re

        DAYS = {"jan": 31, "feb": 30}
        NUMBER = re.compile(r"[0-9]+")


        def days(month):
            return DAYS[month]
    """,
    "src/pkg/old_place.py": """
        def where():
            return "nowhere"
    """,
    "src/pkg/shadow/__init__.py": "",
    "src/pkg/shadow/plugin.py": """
        def load():
            return "stale"
    """,
    "src/pkg/loader.py": """
        import importlib


        def load():
            try:
                return importlib.import_module("pkg.shadow.plugin").load()
            except ImportError:
                return "none"
    """,
    "src/pkg/needs.py": """
        def helped():
            raise RuntimeError("nobody helps")
    """,
    "src/pkg/prices.json": '{"eur": 0}\n',
    "src/pkg/prices.py": """
        import json
        from pathlib import Path


        def price(currency):
            return json.loads(Path(__file__).with_name("prices.json").read_text())[currency]
    """,
    "src/pkg/strict.py": """
        def answer():
            return 41
    """,
    "tests/test_strict.py": """
        import pytest
        from pkg.strict import answer

        @pytest.mark.xfail(strict=True)
        def test_answer():
            assert answer() == 42
    """,
    "src/pkg/first.py": """
        def double(x):
            return x + x + 1
    """,
    "src/pkg/lonely.py": """
        def lonely():
            return 1
    """,
}


def _plant(repo: Repo) -> dict[str, str]:
    named = {}
    repo.branch("work")
    named["accidental"] = repo.change(
        "fix: nobody is woken at the limit (#1)",
        "src/pkg/limits.py",
        "> 0.9",
        ">= 0.9",
        {
            "tests/test_limits.py": "from pkg.limits import is_full\n\ndef test_full():\n    assert is_full(99, 100)\n"
        },
    )
    named["one"] = repo.commit(
        "fix: small is the wrong way round (#2)",
        {
            "src/pkg/one.py": "def small(x):\n    return x < 2\n",
            "tests/test_one.py": "from pkg.one import small\n\ndef test_small():\n    assert small(1)\n",
        },
        seconds=0,
    )
    named["import"] = repo.change(
        "fix: names keep their blanks (#3)",
        "src/pkg/names.py",
        "return name\n",
        "return name.strip()\n\n\ndef is_clean(name):\n    return clean(name) == name\n",
        {
            "tests/test_names.py": """
                from pkg.names import is_clean

                def test_is_clean():
                    assert is_clean("a")
            """
        },
    )
    named["attribute"] = repo.change(
        "fix: a box forgets its size (#4)",
        "src/pkg/attribute.py",
        "pass\n",
        "def size(self):\n        return 3\n",
        {
            "tests/test_attribute.py": """
                from pkg.attribute import Box

                def test_size():
                    assert Box().size() == 3
            """
        },
    )
    named["keyword"] = repo.commit(
        "fix: split ignores the limit (#5)",
        {
            "src/pkg/keyword.py": "def split(text, limit=-1):\n    return text.split(',', limit)\n",
            "tests/test_keyword.py": """
                from pkg.keyword import split

                def test_limit():
                    assert split("a,b,c", limit=1) == ["a", "b,c"]
            """,
        },
    )
    named["mixed"] = repo.commit(
        "fix: the total is one too high (#6)",
        {
            "src/pkg/mixed.py": "def total(values):\n    return sum(values)\n\n\ndef mean(values):\n    return 0\n",
            "tests/test_mixed.py": """
                from pkg.mixed import mean, total

                def test_total():
                    assert total([1, 2]) == 3

                def test_mean():
                    assert mean([]) == 0
            """,
        },
    )
    named["deleting"] = repo.change(
        "fix: a line of debugging is printed (#7)",
        "src/pkg/deleting.py",
        '    out.append("debug")\n',
        "",
        {
            "tests/test_deleting.py": """
                from pkg.deleting import emit

                def test_emit():
                    assert emit(["a"]) == ["a"]
            """
        },
    )
    named["table"] = repo.change(
        "fix: February has 30 days (#8)",
        "src/pkg/table.py",
        '"feb": 30',
        '"feb": 28',
        {
            "tests/test_table.py": "from pkg.table import days\n\ndef test_feb():\n    assert days('feb') == 28\n"
        },
    )
    named["rename"] = repo.commit(
        "fix: nowhere is no place (#9)",
        {
            "src/pkg/old_place.py": None,
            "src/pkg/new_place.py": "def where():\n    return 'somewhere'\n",
            "tests/test_place.py": """
                import importlib

                def test_where():
                    try:
                        module = importlib.import_module("pkg.new_place")
                    except ImportError:
                        module = importlib.import_module("pkg.old_place")
                    assert module.where() == "somewhere"
            """,
        },
    )
    named["deletes"] = repo.commit(
        "fix: a stale plugin is loaded (#10)",
        {
            "src/pkg/shadow/plugin.py": None,
            "tests/test_loader.py": "from pkg.loader import load\n\ndef test_load():\n    assert load() == 'none'\n",
        },
    )
    named["adds"] = repo.commit(
        "fix: nobody helps (#11)",
        {
            "src/pkg/helper.py": "def help():\n    return 'helped'\n",
            "src/pkg/needs.py": "from pkg import helper\n\n\ndef helped():\n    return helper.help()\n",
            "tests/test_needs.py": "from pkg.needs import helped\n\ndef test_helped():\n    assert helped() == 'helped'\n",
        },
    )
    named["data"] = repo.commit(
        "fix: the euro costs nothing (#12)",
        {
            "src/pkg/prices.json": '{"eur": 1}\n',
            "tests/test_prices.py": "from pkg.prices import price\n\ndef test_eur():\n    assert price('eur') == 1\n",
        },
    )
    named["strict"] = repo.commit(
        "fix: the answer is wrong (#13)",
        {
            "src/pkg/strict.py": "def answer():\n    return 42\n",
            "tests/test_strict.py": "from pkg.strict import answer\n\ndef test_answer():\n    assert answer() == 42\n",
        },
    )
    repo.commit(
        "test: show that double is not double (#14)",
        {
            "tests/test_first.py": "from pkg.first import double\n\ndef test_double():\n    assert double(2) == 4\n"
        },
    )
    named["first"] = repo.commit(
        "fix: double adds one (#14)", {"src/pkg/first.py": "def double(x):\n    return x + x\n"}
    )
    named["lonely"] = repo.commit(
        "fix: lonely counts wrong (#15)", {"src/pkg/lonely.py": "def lonely():\n    return 0\n"}
    )
    named["docs"] = repo.commit(
        "fix: the manual names a wrong limit (#16)", {"docs/manual.md": "the limit is 90 %\n"}
    )
    named["feature"] = repo.commit("feat: a new module", {"src/pkg/fresh.py": "NEW = 1\n"})
    return named


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """One branch with every fault on it, proven once."""
    place: Path = tmp_path_factory.mktemp("planted")
    repo = Repo(place / "project", start=START)
    named = _plant(repo)
    return Planted(repo, bugsle(repo, "prove", "main..HEAD", "--budget", "600"), named)


def test_a_test_that_passes_without_the_fix_is_caught(planted: Planted) -> None:
    """Accidental green is BUG102, and the gate fails."""
    assert planted.status("accidental") == "passes-without-fix"
    assert planted.rules("accidental") == ["BUG102"]
    assert planted.said.code == 1
    assert planted.said.report["verdict"] == "fail"


def test_a_fix_of_one_character_in_the_same_second_is_proven(planted: Planted) -> None:
    """Bytecode of the other side, whose source has the same size and time, is never used."""
    assert planted.status("one") == "proven"


@pytest.mark.parametrize("name", ["import", "attribute", "keyword"])
def test_red_for_a_missing_name_shows_existence_only(planted: Planted, name: str) -> None:
    """A test that fails only because a function, method or parameter is not there yet proves nothing."""
    assert planted.status(name) == "existence-only"
    assert planted.rules(name) == ["BUG103"]


def test_an_old_test_beside_an_import_of_a_new_name_still_proves(planted: Planted) -> None:
    """The new name is stubbed, so that the old test of the module can speak for itself."""
    assert planted.status("mixed") == "proven"
    assert planted.tests("mixed")["test_total"] == "proven"
    assert planted.tests("mixed").get("test_mean") != "proven"


def test_a_fix_that_only_deletes_counts_the_deleted_statement(planted: Planted) -> None:
    """What is deleted is looked for on the side without the fix."""
    assert planted.status("deleting") == "proven"
    assert (planted.reached("deleting")["ran"], planted.reached("deleting")["of"]) == (1, 1)


def test_a_table_that_is_read_at_import_counts_as_reached_at_import(planted: Planted) -> None:
    """A constant runs when its module is imported, under no test's name."""
    assert planted.status("table") == "proven"
    assert planted.reached("table") == {"ran": 1, "of": 1, "import_time": 1, "missed": [], "note": ""}


@pytest.mark.parametrize("name", ["rename", "deletes", "adds"])
def test_fixes_that_move_delete_or_add_modules_are_proven(planted: Planted, name: str) -> None:
    """No module of the one side is left over on the other."""
    assert planted.status(name) == "proven"


def test_a_fix_of_package_data_alone_is_proven(planted: Planted) -> None:
    """Data that ships with the package is source."""
    assert planted.status("data") == "proven"


def test_documentation_is_out_of_scope(planted: Planted) -> None:
    """A fix of documents asks for no test."""
    assert planted.status("docs") in (None, "out-of-scope")
    assert planted.rules("docs") == []


def test_a_strict_xfail_that_the_fix_turns_into_a_pass_is_proven(planted: Planted) -> None:
    """The marker was the record of the bug, and the fix takes it out."""
    assert planted.status("strict") == "proven"


def test_a_test_committed_before_its_fix_is_found(planted: Planted) -> None:
    """A fix without a test file is held by the failing test that came first."""
    assert planted.status("first") == "proven"
    assert planted.tests("first") == {"test_double": "proven"}


def test_a_fix_without_any_test_is_caught(planted: Planted) -> None:
    """No test near the change fails without it: BUG101."""
    assert planted.status("lonely") == "no-test"
    assert planted.rules("lonely") == ["BUG101"]


def test_a_feature_is_asked_for_nothing(planted: Planted) -> None:
    """What is no fix has no status."""
    assert planted.status("feature") is None


def test_the_counts_add_up(planted: Planted) -> None:
    """Every fix that is due is judged, and the counts say so."""
    counts = planted.said.report["counts"]
    assert counts["undecided"] == 0
    assert counts["judged"] == counts["found"] - counts["out-of-scope"]
