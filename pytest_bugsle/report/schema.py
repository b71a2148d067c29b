"""The JSON Schema of the report, as it ships; `python -m pytest_bugsle.report.schema` renews it.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from pathlib import Path

from pytest_bugsle.results import json_schema

PATH = Path(__file__).with_name("schema.json")


def render() -> bytes:
    """Return the schema made from the structs, as the bytes of the file that ships."""
    return (json.dumps(json_schema(), indent=2, sort_keys=True) + "\n").encode("ascii")


def main() -> None:
    """Write the schema beside this module."""
    PATH.write_bytes(render())


if __name__ == "__main__":
    main()
