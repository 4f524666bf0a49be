# SPDX-License-Identifier: Apache-2.0
"""Check-ins per CPU second of the service, against a bare TLS handshake and against OpenSSL's bare primitives.

The whole path: TLS 1.3 with client certificate, HTTP, appraisal, certificate, SQLite commit with fsync before the
reply. CPU seconds of a process come from /proc (10 ms steps, all its threads). Two references, each in the same run:

* ``bench/bare_handshake.py``: mutual TLS by the same library with the same certificates on the same event loop, and
  nothing else. Nobody who speaks TLS in Python gets a device's first byte for less; two thirds of a check-in on a new
  connection are that. The floors are against it.
* ``openssl speed``: what the primitives alone allow, whatever calls them: 2 signatures, 3 verifications and 2 X25519
  operations for a check-in on a new connection, 1 signature and 1 verification for one on a kept connection. It is
  told, and has no floor: it says as much of the TLS library and of how OpenSSL is tuned to the machine as of us.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.checkin_load import RunningLoad
from bench.result import result
from bench.service_process import cpu_seconds

# So many that the service always has the next request while a commit gathers; with few it waits, and waking costs.
DEVICES = 192
TOTAL = {"handshake": 2_304, "new": 2_304, "kept": 7_680}
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


def started(*command: str, **options: Any) -> subprocess.Popen[str]:
    """A process that says its port and serves until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )


@contextmanager
def serving(*command: str, **options: Any) -> Iterator[tuple[int, int]]:
    """(process id, port) of such a process while the block lasts."""
    with started(*command, **options) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def measure(load: RunningLoad, pid: int, mode: str, total: int, port: int = 0) -> tuple[float, float]:
    """(operations per CPU second of a process, per second of wall time) of one round."""
    load.prepare(mode, total, port)
    before, start = cpu_seconds(pid), time.monotonic()
    load.begin()
    done = load.done()
    wall = time.monotonic() - start
    used = cpu_seconds(pid) - before
    return done / used, done / wall


@dataclass(frozen=True)
class Round:
    """One round's rates per CPU second, and by the clock."""

    handshakes: float
    new: float
    kept: float
    wall: dict[str, float]


def run() -> list[dict[str, object]]:
    """The ratios, median of some rounds each with its own bare handshakes."""
    limit = limits(primitives())
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder, ExitStack() as stack:
        data = Path(folder, "data")
        pid, port = stack.enter_context(
            serving("bench.checkin_service", str(data), str(DEVICES), stderr=subprocess.DEVNULL)
        )
        bare_pid, bare_port = stack.enter_context(serving("bench.bare_handshake", str(data)))
        load = stack.enter_context(RunningLoad(data / "devices.bin", port))
        rounds = []
        for _ in range(ROUNDS):
            handshakes, _ = measure(load, bare_pid, "handshake", TOTAL["handshake"], bare_port)
            new, new_wall = measure(load, pid, "new", TOTAL["new"])
            kept, kept_wall = measure(load, pid, "kept", TOTAL["kept"])
            rounds.append(Round(handshakes, new, kept, {"new": new_wall, "kept": kept_wall}))
    return [_result("new", rounds, limit["new"]), _result("kept", rounds, limit["kept"])]


def _result(mode: str, rounds: list[Round], limit: float) -> dict[str, object]:
    middle = sorted(rounds, key=lambda one: getattr(one, mode) / one.handshakes)[len(rounds) // 2]
    spread = [getattr(one, mode) / one.handshakes for one in rounds]
    of_primitives = statistics.median(getattr(one, mode) for one in rounds) / limit
    what = {"new": "a new TLS connection each", "kept": "kept connections"}[mode]
    return result(
        f"checkin-{mode}",
        getattr(middle, mode),
        "check-ins/CPU-s",
        ("bare mutual TLS handshakes", middle.handshakes),
        f"{DEVICES} devices, {what}, {TOTAL[mode]} check-ins, SQLite FULL commit before the reply; "
        f"median of {len(rounds)} rounds (ratios {min(spread):.2f} to {max(spread):.2f}); {of_primitives:.2f} of what "
        f"OpenSSL's primitives alone allow; {middle.wall[mode]:.0f}/s wall with the load generator on the same machine",
    )
