# SPDX-License-Identifier: Apache-2.0
"""How long ``armillary demo`` takes, against its limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from bench.result import result

LIMIT_S = 60.0


def run() -> list[dict[str, object]]:
    """Play the demo once, not on a terminal; every step must have passed."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "armillary", "demo", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
    )
    value = time.perf_counter() - start
    summary = json.loads(done.stdout)
    conditions = f"{len(summary['steps'])} steps, all ticked: {summary['ok']}; one run, installed already"
    return [result("demo", value, "s", ("limit", LIMIT_S), conditions)]
