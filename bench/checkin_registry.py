# SPDX-License-Identifier: Apache-2.0
"""What a registry of 1,000,000 devices costs a check-in, against a small registry in the same run.

Two services, one with a million claimed devices beside those that check in; they are measured by turns.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.checkin import DEVICES, measure, serving
from bench.checkin_load import RunningLoad
from bench.registry import REGISTERED, copy_registry
from bench.result import result

TOTAL = {"new": 768, "kept": 3_072}  # about a CPU second each
ROUNDS = 3


def run() -> list[dict[str, object]]:
    """Check-ins per CPU second with the large registry, as a ratio to the small one; median of the rounds."""
    rates: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        services = [(others, *_service(stack, others)) for others in (0, REGISTERED)]
        for _ in range(ROUNDS):
            for mode, total in TOTAL.items():
                for others, pid, load in services:
                    rate, _ = measure(load, pid, mode, total)
                    rates.setdefault((mode, others), []).append(rate)
    return [_result(mode, rates[mode, 0], rates[mode, REGISTERED]) for mode in TOTAL]


def _service(stack: ExitStack, others: int) -> tuple[int, RunningLoad]:
    """(process id, the load on it) of a service with so many other devices."""
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="armillary-bench-")), "data")
    if others:
        copy_registry(data)
    pid, port = stack.enter_context(
        serving("bench.checkin_service", str(data), str(DEVICES), stderr=subprocess.DEVNULL)
    )
    return pid, stack.enter_context(RunningLoad(data / "devices.bin", port))


def _result(mode: str, small: list[float], large: list[float]) -> dict[str, object]:
    value, reference = statistics.median(large), statistics.median(small)
    return result(
        f"checkin-registry-{mode}",
        value,
        "check-ins/CPU-s",
        (f"{DEVICES} devices", reference),
        f"{REGISTERED} claimed devices in the records; median of {ROUNDS} rounds by turns",
    )
