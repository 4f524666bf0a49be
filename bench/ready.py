# SPDX-License-Identifier: Apache-2.0
"""How long ``armillary up`` takes from nothing to ready, against its limit."""

from __future__ import annotations

import statistics

from bench.result import result
from bench.service_process import running_service

LIMIT_S = 3.0
ROUNDS = 5


def run() -> list[dict[str, object]]:
    """Start the service in an empty folder several times; the median wall time against the limit."""
    times = []
    for _ in range(ROUNDS):
        with running_service() as service:
            times.append(service.seconds)
    value = statistics.median(times)
    conditions = f"first start in an empty folder (keys, schema, OS release made), median of {ROUNDS}"
    return [result("ready", value, "s", ("limit", LIMIT_S), conditions)]
