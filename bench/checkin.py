# SPDX-License-Identifier: Apache-2.0
"""Check-ins per CPU second of the service, against what OpenSSL's bare primitives would allow.

The whole path: TLS 1.3 with client certificate, HTTP, appraisal, certificate, SQLite commit with fsync before the
reply. CPU seconds of the service process come from /proc (10 ms steps, all its threads); the limit from
``openssl speed`` in the same run:

* a check-in on a new connection needs 2 signatures, 3 verifications and 2 X25519 operations,
* one on a kept connection 1 signature and 1 verification.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# So many that the service always has the next request while a commit gathers; with few it waits, and waking costs.
DEVICES = 192
TOTAL = {"new": 4_800, "kept": 19_200}
ROUNDS = 3


def primitives() -> dict[str, float]:
    """Operations per CPU second of one core: sign, verify, x25519."""
    text = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "ecdsap256", "ecdhx25519"], capture_output=True, text=True, check=True
    ).stdout
    ecdsa = re.search(r"256 bits ecdsa .*?\s(\d+\.\d)\s+(\d+\.\d)\s*$", text, re.MULTILINE)
    ecdh = re.search(r"253 bits ecdh .*?\s(\d+\.\d)\s*$", text, re.MULTILINE)
    if ecdsa is None or ecdh is None:
        raise RuntimeError(f"openssl speed printed something else: {text[-500:]}")
    return {"sign": float(ecdsa[1]), "verify": float(ecdsa[2]), "x25519": float(ecdh[1])}


def limits(speed: dict[str, float]) -> dict[str, float]:
    """Check-ins per CPU second if only the primitives cost anything."""
    new = 2 / speed["sign"] + 3 / speed["verify"] + 2 / speed["x25519"]
    kept = 1 / speed["sign"] + 1 / speed["verify"]
    return {"new": 1 / new, "kept": 1 / kept}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(data: Path, service: subprocess.Popen[str], port: int, mode: str, total: int) -> tuple[float, float]:
    """(check-ins per CPU second of the service, per second of wall time) of one round."""
    command = [sys.executable, "-m", "bench.checkin_load", str(data / "devices.bin"), str(port), mode, str(total)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        if load.stdout.readline().strip() != "ready":
            raise RuntimeError("the load generator did not start")
        before, start = cpu_seconds(service.pid), time.monotonic()
        load.stdin.write("go\n")
        load.stdin.flush()
        done = int(load.stdout.readline())
        wall = time.monotonic() - start
        used = cpu_seconds(service.pid) - before
    return done / used, done / wall


def run() -> list[dict[str, object]]:
    """The two ratios, median of some rounds each with its own ``openssl speed``."""
    found: dict[str, list[tuple[float, float, float]]] = {"new": [], "kept": []}
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder, "data")
        command = [sys.executable, "-m", "bench.checkin_service", str(data), str(DEVICES)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as service:
            assert service.stdin is not None
            assert service.stdout is not None
            port = int(service.stdout.readline())
            for _ in range(ROUNDS):
                limit = limits(primitives())
                for mode, rounds in found.items():
                    rate, wall = measure(data, service, port, mode, TOTAL[mode])
                    rounds.append((rate, limit[mode], wall))
            service.stdin.close()
    return [_result(mode, rounds) for mode, rounds in found.items()]


def _result(mode: str, rounds: list[tuple[float, float, float]]) -> dict[str, object]:
    rate, limit, wall = sorted(rounds, key=lambda one: one[0] / one[1])[len(rounds) // 2]
    spread = [one[0] / one[1] for one in rounds]
    what = {"new": "a new TLS connection each", "kept": "kept connections"}[mode]
    return {
        "name": f"checkin-{mode}",
        "value": rate,
        "unit": "check-ins/CPU-s",
        "reference": "OpenSSL primitives",
        "reference_value": limit,
        "ratio": rate / limit,
        "conditions": f"{DEVICES} devices, {what}, {TOTAL[mode]} check-ins, SQLite FULL commit before the reply; "
        f"median of {len(rounds)} rounds (ratios {min(spread):.2f} to {max(spread):.2f}, mean "
        f"{statistics.mean(spread):.2f}), {wall:.0f}/s wall with the load generator on the same machine",
    }
