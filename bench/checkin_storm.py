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

DEVICES = 10_000
LIMIT_MB = 1_000.0  # twice what the connections may cost by service/endpoint/endpoint.py: bounded, whatever comes


def run() -> list[dict[str, object]]:
    """Devices served of those that came, and the most memory the service ever had."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder, "data")
        print(f"  making {DEVICES} devices (a minute)", file=sys.stderr)
        with subprocess.Popen(
            [sys.executable, "-m", "bench.checkin_service", str(data), str(DEVICES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as service:
            assert service.stdin is not None
            assert service.stdout is not None
            port = int(service.stdout.readline())
            idle = memory_mb(service.pid, "VmRSS")
            print("  the storm begins", file=sys.stderr)
            done = subprocess.run(
                [sys.executable, "-m", "bench.checkin_storm_load", str(data / "devices.bin"), str(port)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            peak = memory_mb(service.pid, "VmHWM")
            service.stdin.close()
    told = json.loads(done.stdout)
    conditions = (
        f"{DEVICES} connections at once; all served within {told['seconds']:.0f} s, half within {told['half']:.0f} s; "
        f"{told['later']} times 'try later', {told['broken']} broken connections "
        f"{told['kinds'] or ''}"
    )
    return [
        {
            "name": "checkin-storm",
            "value": float(told["served"]),
            "unit": "devices served",
            "reference": "devices",
            "reference_value": float(DEVICES),
            "ratio": told["served"] / DEVICES,
            "conditions": conditions,
        },
        {
            "name": "checkin-storm-memory",
            "value": peak,
            "unit": "MB at most",
            "reference": "limit",
            "reference_value": LIMIT_MB,
            "ratio": peak / LIMIT_MB,
            "conditions": f"{idle:.0f} MB before the storm (after making {DEVICES} devices)",
        },
    ]


def memory_mb(pid: int, name: str) -> float:
    """A line of /proc/PID/status, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/status has no {name}")
