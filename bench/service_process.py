# SPDX-License-Identifier: Apache-2.0
"""Starts a real ``armillary up`` for a measurement, and reads its CPU time and memory from /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunningService:
    """A service that said it is ready, ``seconds`` after its start.

    ``ready`` is the object that ``armillary up --json`` printed (addresses, token, ca); the context manager stops the
    process.
    """

    process: subprocess.Popen[str]
    ready: dict[str, object]
    seconds: float
    data: Path


def memory_mb(pid: int, line: str = "VmRSS") -> float:
    """Memory of a process in MB (10^6 bytes) by a line of its status: resident now, or ``VmHWM`` for the most ever."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(each.split()[1]) for each in status.splitlines() if each.startswith(f"{line}:")) * 1024 / 1e6


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (10 ms steps)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_service(**settings: object) -> Iterator[RunningService]:
    """Run ``armillary up`` on free ports in a temporary folder until the block ends."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder) / "data"
        environment = {**os.environ, **{f"ARMILLARY_{name.upper()}": str(value) for name, value in settings.items()}}
        command = [sys.executable, "-m", "armillary", "up", "--data", str(data), "--json"]
        command += ["--api-port", "0", "--device-port", "0", "--hub-port", "0"]
        start = time.perf_counter()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                seconds = time.perf_counter() - start
                yield RunningService(process, json.loads(line), seconds, data)
            finally:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()
