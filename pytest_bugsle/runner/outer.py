"""Start a plain pytest that talks to the user's terminal.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def run_pytest(python: str, folder: Path, args: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `python -m pytest` in `folder` and return its exit code."""
    command = [python, "-m", "pytest", *args]
    return subprocess.run(
        command, cwd=folder, env=dict(environ), stdin=subprocess.DEVNULL, check=False
    ).returncode
