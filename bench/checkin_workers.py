# SPDX-License-Identifier: Apache-2.0
"""Check-ins per wall second with two device workers, against one in the same run.

The load comes from two processes, so that it is no bottleneck of one core itself; service, workers and load share the
machine's cores. On two cores two workers therefore cannot be twice as fast: the figure says what is left of it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DEVICES = 192  # each comes 62 times: more than the burst of one device would be refused
LOADS = 2
TOTAL = {"new": 2_400, "kept": 9_600}
WORKERS = (1, 2)


def _load(devices: Path, port: int, mode: str, total: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.checkin_load", str(devices), str(port), mode, str(total)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def measure(data: Path, port: int, mode: str, total: int) -> float:
    """Check-ins per wall second of all loads together; each has its own devices."""
    loads = [_load(data / f"devices{place}.bin", port, mode, total // LOADS) for place in range(LOADS)]
    pipes: list[tuple[Any, Any]] = [(load.stdin, load.stdout) for load in loads]
    for _, out in pipes:
        if out.readline().strip() != "ready":
            raise RuntimeError("a load generator did not start")
    start = time.monotonic()
    for into, _ in pipes:
        into.write("go\n")
        into.flush()
    done = sum(int(out.readline()) for _, out in pipes)
    wall = time.monotonic() - start
    for load, (into, _) in zip(loads, pipes, strict=True):
        into.close()
        load.wait()
    return done / wall


def rates(workers: int) -> dict[str, float]:
    """Check-ins per wall second of a fresh service with so many workers, by mode."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder, "data")
        command = [sys.executable, "-m", "bench.checkin_service", str(data), str(DEVICES), "0", str(workers)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as service:
            assert service.stdin is not None
            assert service.stdout is not None
            port = int(service.stdout.readline())
            made = pickle.loads((data / "devices.bin").read_bytes())
            for place in range(LOADS):
                (data / f"devices{place}.bin").write_bytes(pickle.dumps(made[place::LOADS]))
            found = {mode: measure(data, port, mode, total) for mode, total in TOTAL.items()}
            service.stdin.close()
        return found


def run() -> list[dict[str, object]]:
    """The rate of two workers beside that of one, on new and on kept connections."""
    one, two = (rates(workers) for workers in WORKERS)
    return [
        {
            "name": f"checkin-workers-{mode}",
            "value": two[mode],
            "unit": "check-ins/s",
            "reference": "one device worker",
            "reference_value": one[mode],
            "ratio": two[mode] / one[mode],
            "conditions": f"{DEVICES} devices, {mode} connections, {TOTAL[mode]} check-ins by {LOADS} load processes, "
            f"wall time; service, workers and load share {len(os.sched_getaffinity(0))} cores; one disk, SQLite FULL "
            "commit before the reply",
        }
        for mode in TOTAL
    ]
