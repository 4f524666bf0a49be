# SPDX-License-Identifier: Apache-2.0
"""A supervisor that is going to be killed: ``supervisor_runner.py FOLDER ENGINE CODE``.

Starts the code as an application and prints the application's process id once it has written four lines.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.engines.sandbox.sandbox_stage import Outcome, Stage, engine
from tests.fixtures.waiting import until

from armillary.engines.sandbox.control_groups.groups import DeviceGroups
from armillary.engines.sandbox.control_groups.hierarchies import Found


async def play(folder: Path, kind: str, code: str) -> None:
    tempfile.tempdir = str(folder)  # what it cannot clean up stays in the test's folder
    # Another device on this host removes the groups of a dead one, with what runs in them.
    sandbox = replace(engine(kind), groups=DeviceGroups(Found((), "none for this test"), "/bin/sh"))
    outcome = Outcome()
    running = await sandbox.start(Stage(folder).launch(code), outcome.events.append)
    await until(lambda: len(outcome.lines) == 4, "four processes")
    sys.stdout.write(f"{running.pid}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(play(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
