# SPDX-License-Identifier: Apache-2.0
"""JavaScript clients as npm has them: where they are, and one process that makes many checks.

``make test`` installs them (``scripts/install-test-tools``); the versions are in ``node/package-lock.json``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "node"
SCRIPT_TIMEOUT_S = 60
ENABLE = f"sudo apt-get install nodejs npm && npm ci --ignore-scripts --prefix {FOLDER}"


def node() -> str:
    """The interpreter; skips where it or the packages are not there."""
    found = shutil.which("node")
    if found is None or not (FOLDER / "node_modules" / ".package-lock.json").is_file():  # npm writes it last
        pytest.skip(f"Node.js or the npm packages are not here; to enable: {ENABLE}")
    return found


def start(script: Path, root: Path, **variables: str) -> str:
    """Run a script to its good end; what it printed. It finds the packages wherever it lies."""
    done = subprocess.run(
        [node(), str(script)],
        env={
            "PATH": os.environ["PATH"],
            "NODE_EXTRA_CA_CERTS": str(root),
            "NODE_PATH": str(FOLDER / "node_modules"),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=SCRIPT_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return done.stdout


def run(script: str, root: Path, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Run a script of :data:`FOLDER`; what each of its checks found, by name."""
    lines = map(json.loads, start(FOLDER / script, root, GIVEN=json.dumps(given)).splitlines())
    return {line["check"]: line for line in lines}
