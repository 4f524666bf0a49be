# SPDX-License-Identifier: Apache-2.0
"""``python -m bench [NAME ...]``: run the benchmarks, print a table, write bench/results/latest.json.

Each subject says how long it took by the clock and how many CPU seconds of this machine: where both are far apart,
somebody else was at work.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from pathlib import Path

from armillary.cli.service.bench import BENCHMARKS, FLOORS, run_benchmark

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks (all when none is named); 1 when a floor was missed or one failed to run."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results: list[dict[str, object]] = []
    begun, worked = time.monotonic(), cpu_seconds()
    for subject in dict.fromkeys(subject for name in names or BENCHMARKS for subject in BENCHMARKS[name]):
        print(f"running {subject} ...", file=sys.stderr)
        start, before = time.monotonic(), cpu_seconds()
        results += run_benchmark(subject)
        print(f"  {subject}: {_spent(time.monotonic() - start, cpu_seconds() - before)}", file=sys.stderr)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    seconds = time.monotonic() - begun
    print(f"all: {_spent(seconds, cpu_seconds() - worked)}", file=sys.stderr)
    document = {"measured_at": int(time.time()), "seconds": seconds, "machine": machine, "results": results}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    missed = 0
    print(f"{'name':<22} {'value':>12} {'unit':<22} {'ratio':>7}  {'floor':>6}  reference")
    for result in results:
        floor = FLOORS.get(str(result["name"]))
        ratio = result["ratio"]
        below = floor is not None and isinstance(ratio, (int, float)) and not floor.holds(ratio)
        missed += below
        print(
            f"{result['name']:<22} {result['value']:>12,.1f} {result['unit']:<22} {ratio:>7.2f}  "
            f"{floor.text if floor else '-':>6}  {result['reference']} = {result['reference_value']:,.1f}"
            f"{'   BELOW ITS FLOOR' if below else ''}"
        )
    return 1 if missed else 0


def cpu_seconds() -> float:
    """User and system time of this process and of those that it started and that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _spent(seconds: float, worked: float) -> str:
    return f"{seconds:.0f} s, {worked:.0f} CPU s; load {os.getloadavg()[0]:.0f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
