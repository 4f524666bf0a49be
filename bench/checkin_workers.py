# SPDX-License-Identifier: Apache-2.0
"""Check-ins per wall second with two device workers, against one in the same run.

The load comes from two processes, so that it is no bottleneck of one core itself; service, workers and load share the
machine's cores. On two cores two workers therefore cannot be twice as fast: the figure says what is left of it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.checkin import serving
from bench.checkin_load import RunningLoad
from bench.result import result

# Workers are processes of their own with the product's own allowances: a device that comes more often than 120 times at
# once is refused, and each of these comes 19 times, once more to be ready, and once for its challenge.
DEVICES = 192
LOADS = 2
TOTAL = {"new": 768, "kept": 2_880}
WORKERS = (1, 2)


def measure(loads: Sequence[RunningLoad], mode: str, total: int) -> float:
    """Check-ins per wall second of all loads together; each has its own devices."""
    for load in loads:
        load.prepare(mode, total // LOADS)
    start = time.monotonic()
    for load in loads:
        load.begin()
    done = sum(load.done() for load in loads)
    return done / (time.monotonic() - start)


def rates(workers: int) -> dict[str, float]:
    """Check-ins per wall second of a fresh service with so many workers, by mode."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder, ExitStack() as stack:
        data = Path(folder, "data")
        _, port = stack.enter_context(
            serving("bench.checkin_service", str(data), str(DEVICES), str(workers), stderr=subprocess.DEVNULL)
        )
        made = pickle.loads((data / "devices.bin").read_bytes())
        loads = []
        for place in range(LOADS):
            file = data / f"devices{place}.bin"
            file.write_bytes(pickle.dumps(made[place::LOADS]))
            loads.append(stack.enter_context(RunningLoad(file, port)))
        return {mode: measure(loads, mode, total) for mode, total in TOTAL.items()}


def run() -> list[dict[str, object]]:
    """The rate of two workers beside that of one, on new and on kept connections."""
    one, two = (rates(workers) for workers in WORKERS)
    return [
        result(
            f"checkin-workers-{mode}",
            two[mode],
            "check-ins/s",
            ("one device worker", one[mode]),
            f"{DEVICES} devices, {mode} connections, {TOTAL[mode]} check-ins by {LOADS} load processes, "
            f"wall time; service, workers and load share {len(os.sched_getaffinity(0))} cores; one disk, SQLite FULL "
            "commit before the reply",
        )
        for mode in TOTAL
    ]
