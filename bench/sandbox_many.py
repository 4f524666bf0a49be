# SPDX-License-Identifier: Apache-2.0
"""Memory of a device that runs 50 applications: its process, its fork server and what stays beside each, and a limit.

The applications themselves are not counted: they are a program that sleeps.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.result import result

APPLICATIONS = 50
LIMIT_MB = 40.0
LIMIT_EACH_MB = 3.0
PLAY_S = 600.0


def run() -> list[dict[str, object]]:
    """Memory of the whole, and of each application."""
    command = [sys.executable, "-m", "bench.sandbox_many_device", str(APPLICATIONS)]
    root = Path(__file__).resolve().parents[1]
    played = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=PLAY_S)
    seen = json.loads(played.stdout)
    if seen["exits"]:
        raise RuntimeError(f"{seen['exits']} applications ended while they were measured")
    whole = seen["with_mb"] + seen["server_mb"] + seen["beside_mb"]
    each = (whole - seen["alone_mb"] - seen["server_mb"]) / APPLICATIONS
    conditions = (
        f"{APPLICATIONS} applications, {'with' if seen['grouped'] else 'without'} control groups; the device alone "
        f"{seen['alone_mb']:.1f} MB, with them {seen['with_mb']:.1f} MB, its fork server {seen['server_mb']:.1f} MB "
        f"and {seen['beside_mb']:.1f} MB of bubblewrap beside them; {seen['descriptors']} descriptors; all started "
        f"within {seen['started_s']:.1f} s"
    )
    limit = LIMIT_MB + APPLICATIONS * LIMIT_EACH_MB
    return [
        result("sandbox-many", whole, "MB", ("limit", limit), conditions),
        result("sandbox-many-each", each, "MB an application", ("limit", LIMIT_EACH_MB), "as sandbox-many"),
    ]
