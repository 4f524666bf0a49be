# SPDX-License-Identifier: Apache-2.0
"""A device's supervisor with many applications, in a process of its own: ``python -m bench.sandbox_many_device N``.

It has loaded what a device loads, and nothing of the service. Says its memory before and with the applications, and
what stays beside them (the fork server; bubblewrap's processes and what waits in each sandbox; what they share with
others is divided), as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import armillary.device.process as device
from armillary.device.applications.supervisor import Supervisor
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.serving.fork_server import fork_server
from armillary.engines.sandbox.start import host
from bench.sandbox_stage import application, launch
from bench.service_process import memory_mb

PROGRAM = b"#!/usr/bin/env sh\nexec sleep 600\n"
STARTED_S = 300.0  # for all of them, on a machine that does much else
SETTLE_S = 2.0


class NoDeferrals:
    """Nobody puts off an update here."""

    def defer(self, component_id: UUID, minutes: int) -> None:
        """Not heard."""

    def forget(self, component_id: UUID) -> None:
        """Not heard."""


async def play(count: int, folder: Path) -> dict[str, object]:
    """Start ``count`` applications and measure."""
    sandbox = open_sandbox("linux")
    supervisor = Supervisor(
        sandbox,
        launch=lambda one: launch(one, folder),
        journal=Journal(None, lambda: 0),
        report=lambda _: None,
        changed=lambda: None,
        monotonic=time.monotonic,
        deferrals=NoDeferrals(),
        crashed=lambda *_: None,
    )
    alone = memory_mb(os.getpid())
    begun = time.monotonic()
    try:
        await supervisor.run_set([application(number, folder, PROGRAM) for number in range(count)])
        async with asyncio.timeout(STARTED_S):
            while sum(run.running is not None for run in supervisor.runs) < count:
                await asyncio.sleep(0.05)
        started = time.monotonic() - begun
        await asyncio.sleep(SETTLE_S)
        failed = sum(run.exits for run in supervisor.runs)
        found = {
            "alone_mb": alone,
            "with_mb": memory_mb(os.getpid()),
            "beside_mb": sum(_share_mb(pid) for pid in _wrappers()),
            "server_mb": _share_mb(fork_server(host.runtime().interpreter).pid),
            "started_s": started,
            "exits": failed,
            "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            "grouped": not sandbox.self_test().absent,
        }
    finally:
        await supervisor.stop()
    return found


def _wrappers() -> list[int]:
    """What stays beside the applications: bubblewrap for each, and what waits inside."""
    parents: dict[int, tuple[str, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text("ascii", "replace")
            except OSError:
                continue
            name = fields[fields.index("(") + 1 : fields.rindex(")")]
            parents[int(entry.name)] = (name, int(fields[fields.rindex(")") + 2 :].split()[1]))
    found = {fork_server(host.runtime().interpreter).pid}
    while fresh := {pid for pid, (_, parent) in parents.items() if parent in found} - found:
        found |= fresh
    waiting = Path(host.waiting_programs(host.runtime()).cat).name
    return [pid for pid in found if parents[pid][0] in ("bwrap", waiting)]


def _share_mb(pid: int) -> float:
    """Memory of a process, pages that it shares divided by how many share them (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def main() -> None:
    """Play and say."""
    assert device
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        Path(folder).chmod(0o755)
        sys.stdout.write(json.dumps(asyncio.run(play(int(sys.argv[1]), Path(folder)))) + "\n")


if __name__ == "__main__":
    main()
