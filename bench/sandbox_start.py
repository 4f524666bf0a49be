# SPDX-License-Identifier: Apache-2.0
"""How long an application takes in the sandbox from its start to its end, beside bare bubblewrap with the same filter.

The program is true(1); both get the same mounts, namespaces and system-call filter, in turns. Ours enters its control
groups, gives up its rights by a program of Python, is asked about connections and watched for crashes; bare bubblewrap
does none of that.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from armillary.capability.bubblewrap import bubblewrap_arguments
from armillary.engines.sandbox import namespaces
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.start import host
from bench.result import result
from bench.sandbox_stage import application, launch

PROGRAM = Path("/usr/bin/true")
STARTS = 20


def run() -> list[dict[str, object]]:
    """The median of both."""
    sandbox = LinuxSandbox(host.bubblewrap_candidates()[0])
    sandbox.self_test()
    ours, bare = [], []
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        Path(folder).chmod(0o755)
        one = launch(application(0, Path(folder), PROGRAM.read_bytes()), Path(folder))
        for _ in range(STARTS + 1):  # the first warms up
            ours.append(asyncio.run(_ours(sandbox, one)))
            bare.append(_bare(sandbox, one))
    value, reference = statistics.median(ours[1:]), statistics.median(bare[1:])
    conditions = (
        f"{STARTS} starts of true(1) each, in turns, median; fastest {min(ours[1:]):.1f} and {min(bare[1:]):.1f} ms"
    )
    return [result("sandbox-start", value, "ms", ("bubblewrap with seccomp, ms", reference), conditions)]


async def _ours(sandbox: LinuxSandbox, one: Launch) -> float:
    begun = time.perf_counter()
    running = await sandbox.start(one, lambda _: None)
    ended = await running.wait()
    spent = time.perf_counter() - begun
    if ended.exit_code != 0:
        raise RuntimeError(f"true(1) ended with {ended}")
    return spent * 1e3


def _bare(sandbox: LinuxSandbox, one: Launch) -> float:
    runtime, tree = host.runtime(), host.image_tree(one.image_root)
    plan = sandbox.plan(one, tree)
    program = namespaces.memory_file(plan.filter)
    generated = {path: namespaces.memory_file(text) for path, text in namespaces.own_files(one.grant).items()}
    # All mounts are bubblewrap's; of ours some are the launcher's.
    arguments = bubblewrap_arguments(
        runtime, tree, namespaces.folders(one, -1), generated=generated, user_namespace=None
    )
    command = [sandbox.bubblewrap, *arguments, "--seccomp", str(program), "--", one.manifest.entry_point]
    begun = time.perf_counter()
    # Without a limit of time: with one, Python looks every few milliseconds whether it has ended.
    subprocess.run(command, pass_fds=(program, *generated.values()), stdin=subprocess.DEVNULL, check=True)
    spent = time.perf_counter() - begun
    for descriptor in (program, *generated.values(), *plan.descriptors):
        os.close(descriptor)
    return spent * 1e3
