# SPDX-License-Identifier: Apache-2.0
"""How long a simple verb of the command line takes, from the start of its process to its end, against its limit."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

from bench.result import result
from bench.service_process import RunningService, running_service

LIMIT_S = 0.35
ROUNDS = 7
VERBS = (("device", "list"), ("rule", "list"), ("rollout", "list"), ("guardian", "list"))


def run() -> list[dict[str, object]]:
    """The slowest of several verbs, each the median of its rounds, over TLS from a running service."""
    with running_service() as service, tempfile.TemporaryDirectory(prefix="armillary-bench-") as home:
        environment = _environment(service, home)
        for verb in VERBS:  # what Python compiles at the first start is not measured
            _once(verb, environment)
        value = max(statistics.median(_once(verb, environment) for _ in range(ROUNDS)) for verb in VERBS)
    verbs = ", ".join(map(" ".join, VERBS))
    conditions = f"slowest of {verbs}, each the median of {ROUNDS}; empty service on the same machine"
    return [result("cli-start", value, "s", ("limit", LIMIT_S), conditions)]


def _environment(service: RunningService, home: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ready = service.ready
    return {
        **kept,
        "XDG_CONFIG_HOME": home,
        "ARMILLARY_SERVICE": str(ready["api"]),
        "ARMILLARY_TOKEN": str(ready["token"]),
        "ARMILLARY_CA": str(ready["root_ca"]),
    }


def _once(verb: tuple[str, ...], environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "armillary", *verb], env=environment, check=True, capture_output=True)
    return time.perf_counter() - start
