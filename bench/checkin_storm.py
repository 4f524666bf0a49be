# SPDX-License-Identifier: Apache-2.0
"""10,000 devices check in at once, each on a new connection, as after a power cut: is everybody served, at what cost?

A device that is told "try later" waits as long as it was told; one whose connection breaks counts as an error and
tries again. The service and the devices share the machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.checkin import serving
from bench.result import result
from bench.service_process import memory_mb

DEVICES = 10_000
LIMIT_MB = 1_000.0  # twice what the connections may cost by service/endpoint/endpoint.py: bounded, whatever comes


def run() -> list[dict[str, object]]:
    """Devices served of those that came, and the most memory the service ever had."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder, "data")
        print(f"  making {DEVICES} devices (ten seconds)", file=sys.stderr)
        command = ("bench.checkin_service", str(data), str(DEVICES))
        with serving(*command, stderr=subprocess.DEVNULL) as (pid, port):
            idle = memory_mb(pid)
            print("  the storm begins", file=sys.stderr)
            done = subprocess.run(
                [sys.executable, "-m", "bench.checkin_storm_load", str(data / "devices.bin"), str(port)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            peak = memory_mb(pid, "VmHWM")
    told = json.loads(done.stdout)
    conditions = (
        f"{DEVICES} connections at once; all served within {told['seconds']:.0f} s, half within {told['half']:.0f} s; "
        f"{told['later']} times 'try later', {told['broken']} broken connections "
        f"{told['kinds'] or ''}"
    )
    return [
        result("checkin-storm", float(told["served"]), "devices served", ("devices", float(DEVICES)), conditions),
        result(
            "checkin-storm-memory",
            peak,
            "MB at most",
            ("limit", LIMIT_MB),
            f"{idle:.0f} MB before the storm (after making {DEVICES} devices)",
        ),
    ]
