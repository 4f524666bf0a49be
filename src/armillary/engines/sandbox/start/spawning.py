# SPDX-License-Identifier: Apache-2.0
"""Starts a launcher as a program of its own inside a command, for engines whose sandbox cannot be entered from outside.

It takes the start of an interpreter longer than the fork server (``serving``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

from armillary.engines.sandbox.start.plan import StartPlan
from armillary.engines.sandbox.start.supervise import READ_SIZE_BYTES

# A process stops within one scheduling of its thread; only failed starts wait for that.
STOP_POLLS, STOP_POLL_S = 200, 0.001
LAUNCHER_SOURCE = (Path(__file__).parents[1] / "within" / "launcher.py").read_text("utf-8")


async def spawn(plan: StartPlan, channel: int) -> asyncio.subprocess.Process:
    """Start the wrapper with the launcher in it. When cancelled, it waits for the process and kills it completely."""
    spawning = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(() if plan.group is None else plan.group.entry),
            *plan.command,
            plan.interpreter,
            *("-I", "-S", "-c", LAUNCHER_SOURCE, str(channel)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=READ_SIZE_BYTES,
            pass_fds=(channel, *plan.descriptors),
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
        )
    )
    try:
        return await asyncio.shield(spawning)
    except asyncio.CancelledError:
        process = await spawning
        kill_tree(process.pid)
        await process.communicate()
        raise


def kill_tree(process: int) -> None:
    """Kill a wrapper that may still be making its sandbox, and the process it made.

    If the wrapper dies too early its child stays: the child has not yet asked to end with it, and would wait for ever.
    So the wrapper is stopped, its children are killed, then the wrapper.
    """
    try:
        os.kill(process, signal.SIGSTOP)
        for _ in range(STOP_POLLS):
            if _stat(process)[0] in "TtZX":
                break
            time.sleep(STOP_POLL_S)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _stat(int(entry.name))[1] == process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(entry.name), signal.SIGKILL)
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _stat(process: int) -> tuple[str, int]:
    """State letter and parent of a process (proc_pid_stat(5)); dead and without a parent when it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return "X", 0
    return fields[0], int(fields[1])
