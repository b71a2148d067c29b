"""Describe the interpreter that runs this file.  PYTEST_DONT_REWRITE

Standalone: also run as a script by an interpreter that has nothing of ours.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import sys
from typing import Any

_DISTRIBUTION = re.compile(r"(.+?)-(\d[^-]*?)(?:-py[\d.]+.*)?\.(?:dist-info|egg-info|egg)$")


def collect() -> dict[str, Any]:
    """Return version, platform, pytest and a digest of what is installed."""
    digest = hashlib.sha256()
    names: dict[str, str] = {}
    for folder in sys.path:
        if os.path.basename(folder) not in ("site-packages", "dist-packages") or not os.path.isdir(folder):
            continue
        for entry in sorted(os.listdir(folder)):
            if not entry.endswith((".dist-info", ".egg-info", ".egg-link", ".egg", ".pth")):
                continue
            digest.update(os.fsencode(entry) + b"\0")
            match = _DISTRIBUTION.match(entry)
            if match:
                names.setdefault(normalise(match.group(1)), match.group(2))
            elif entry.endswith(".egg-link"):
                names.setdefault(normalise(entry[: -len(".egg-link")]), "")
            direct = (
                entry if entry.endswith((".pth", ".egg-link")) else os.path.join(entry, "direct_url.json")
            )
            try:
                with open(os.path.join(folder, direct), "rb") as stream:
                    digest.update(stream.read(65536) + b"\0")
            except OSError:
                pass
    pytest = names.get("pytest")
    if pytest is None and importlib.util.find_spec("pytest") is not None:
        pytest = "unknown"
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "pytest": pytest,
        "digest": digest.hexdigest(),
        "distributions": sorted(names),
    }


def normalise(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(json.dumps(collect()))
