# SPDX-License-Identifier: Apache-2.0
"""What a registry of 1,000,000 devices costs a check-in, against a small registry in the same run.

Two services, one with a million claimed devices beside those that check in; they are measured by turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.checkin import DEVICES, measure

REGISTERED = 1_000_000
TOTAL = {"new": 2_400, "kept": 9_600}
ROUNDS = 5


def run() -> list[dict[str, object]]:
    """Check-ins per CPU second with the large registry, as a ratio to the small one; median of the rounds."""
    rates: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        services = [(others, *_service(stack, others)) for others in (0, REGISTERED)]
        for _ in range(ROUNDS):
            for mode, total in TOTAL.items():
                for others, data, service, port in services:
                    rate, _ = measure(data, service, port, mode, total)
                    rates.setdefault((mode, others), []).append(rate)
        for _, _, service, _ in services:
            assert service.stdin is not None
            service.stdin.close()
    return [_result(mode, rates[mode, 0], rates[mode, REGISTERED]) for mode in TOTAL]


def _service(stack: ExitStack, others: int) -> tuple[Path, subprocess.Popen[str], int]:
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="armillary-bench-")), "data")
    if others:
        print(f"  registering {others} devices (a minute)", file=sys.stderr)
    service = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "bench.checkin_service", str(data), str(DEVICES), str(others)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    )
    assert service.stdout is not None
    return data, service, int(service.stdout.readline())


def _result(mode: str, small: list[float], large: list[float]) -> dict[str, object]:
    value, reference = statistics.median(large), statistics.median(small)
    return {
        "name": f"checkin-registry-{mode}",
        "value": value,
        "unit": "check-ins/CPU-s",
        "reference": f"{DEVICES} devices",
        "reference_value": reference,
        "ratio": value / reference,
        "conditions": f"{REGISTERED} claimed devices in the records; median of {ROUNDS} rounds by turns",
    }
