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
    """A service that said it is ready.

    Attributes:
        process: The process; stopped by the context manager.
        ready: The ready object ``armillary up --json`` printed (addresses, token, ca).
        seconds: Wall time from start to ready.
        data: Its data folder.
    """

    process: subprocess.Popen[str]
    ready: dict[str, object]
    seconds: float
    data: Path

    def resident_mb(self) -> float:
        """Resident memory now, MB (10^6 bytes)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return kib * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """User and system time so far, seconds (10 ms steps)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
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
