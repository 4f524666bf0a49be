# SPDX-License-Identifier: Apache-2.0
"""How long ``armillary demo`` and each ``armillary guardian demo`` take, against their limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from bench.result import result

LIMIT_S = 60.0
# Name of the result -> the command.
STORIES = {
    "demo": ("demo",),
    "guardian-demo-coffee": ("guardian", "demo", "coffee"),
    "guardian-demo-dispenser": ("guardian", "demo", "dispenser"),
    "guardian-demo-cable": ("guardian", "demo", "cable"),
}


def run() -> list[dict[str, object]]:
    """Play each story once, not on a terminal; every step must have passed."""
    return [_played(name, command) for name, command in STORIES.items()]


def _played(name: str, command: tuple[str, ...]) -> dict[str, object]:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "armillary", *command, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    value = time.perf_counter() - start
    summary = json.loads(done.stdout)
    conditions = f"{len(summary['steps'])} steps, all ticked: {summary['ok']}; one run, installed already"
    return result(name, value, "s", ("limit", LIMIT_S), conditions)
