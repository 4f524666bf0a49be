# SPDX-License-Identifier: Apache-2.0
"""A service of a story's own: ``armillary up`` in a folder, on loopback; started again it is where it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from armillary.errors import HostError

STOP_S: Final = 10.0


class Ports(NamedTuple):
    """Where a service listens; 0 takes a free one."""

    api: int = 0
    device: int = 0
    hub: int = 0


def start_service(
    data: Path, log: Path, *, ports: Ports, settings: Mapping[str, str]
) -> tuple[subprocess.Popen[str], dict[str, Any], Ports]:
    """Start it and wait until it is ready: its process, what it said, and where it listens.

    ``settings`` are variables of its environment. What it said has the first token only when the folder is new.

    Raises:
        HostError: it did not start, with the last line of its log.
    """
    words = [word for name, port in zip(Ports._fields, ports, strict=True) for word in (f"--{name}-port", str(port))]
    with log.open("ab") as opened:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
            [sys.executable, "-m", "armillary", "up", "--json", "--data", str(data), *words],
            stdout=subprocess.PIPE,
            stderr=opened,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **settings},
        )
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        end(process)
        raise HostError(f"the service did not start: {_tail(log)}", remedy=f"Look into {log}.")
    said = json.loads(line)
    api, device = (int(said[name].rpartition(":")[2].strip("/")) for name in ("api", "device_endpoint"))
    return process, said, Ports(api, device, int(said["hub_port"]))


def end(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, then SIGKILL after :data:`STOP_S`."""
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
