# SPDX-License-Identifier: Apache-2.0
"""``python -m bench [NAME ...]``: run the benchmarks, print a table, write bench/results/latest.json."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

from armillary.cli.bench import BENCHMARKS, FLOORS, run_benchmark

RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"


def main(names: list[str]) -> int:
    """Run the named benchmarks (all when none is named); 1 when a floor was missed or one failed to run."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    results: list[dict[str, object]] = []
    for subject in dict.fromkeys(subject for name in names or BENCHMARKS for subject in BENCHMARKS[name]):
        print(f"running {subject} ...", file=sys.stderr)
        results += run_benchmark(subject)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
    }
    document = {"measured_at": int(time.time()), "machine": machine, "results": results}
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
