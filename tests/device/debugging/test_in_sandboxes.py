# SPDX-License-Identifier: Apache-2.0
"""gdbserver holds what runs in each engine, whoever runs the device: root, or a user who is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from tests.engines.sandbox.sandbox_stage import crun
from tests.fixtures.other_user import run_as_other

pytestmark = pytest.mark.skipif(
    shutil.which("gdbserver") is None, reason="needs gdbserver: sudo apt-get install gdbserver"
)

# A native program runs, a client asks gdb's question why it stopped (?), and leaves; then the program runs on.
SCRIPT = """
import asyncio, sys, tempfile
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.device.debugging.sessions import DebugSessions
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.engines.sandbox.port import Launch
from armillary.engines.sandbox.selection import open_sandbox
from armillary.wire.image.app_manifest import AppManifest

def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

async def play():
    sandbox = open_sandbox(sys.argv[1])
    assert sandbox.self_test().sandbox == sys.argv[1]
    journal, entries = Journal(None, lambda: 0), []
    journal.listen(entries.append)
    with tempfile.TemporaryDirectory() as folder:
        program = Path("/usr/bin/sleep").read_bytes()
        root = extract_image({"bin/app": program}, {"bin/app"}, Path(folder, "image"))
        manifest = AppManifest(name="sleeps", component_id=UUID(int=9), entry_point="/bin/app", cmd_args=("600",))
        grant = Grant(component_id=UUID(int=9), hosts=allowed_hosts([]))
        launch = Launch(image_root=root, manifest=manifest, grant=grant, debugged=True)
        running = await sandbox.start(launch, lambda event: None)
        application = SimpleNamespace(name="sleeps", image_id=UUID(int=1), grant=grant)
        sessions = DebugSessions("127.0.0.1", journal)
        ports = await sessions.open(SimpleNamespace(application=application, running=running))
        reader, writer = await asyncio.open_connection("127.0.0.1", ports.gdb)
        writer.write(b"+$?#3f")
        try:
            print((await reader.readexactly(4)).decode(), state_of(running.pid))
        except asyncio.IncompleteReadError:
            print(entries[-1])
        writer.close()
        async with asyncio.timeout(30):
            while state_of(running.pid) in "tT":
                await asyncio.sleep(0.01)
        await sessions.close()
        print("runs", (await running.stop(5.0)).signal)

asyncio.run(play())
"""
EXPECTED = ["+$T0 t", "runs 15"]


@pytest.mark.parametrize("name", ["linux", "crun", "reduced"])
@pytest.mark.parametrize("user", ["root", "another"])
def test_it_is_held_and_let_go(name: str, user: str) -> None:
    if name == "crun":
        crun(own_user=user == "root")
    if user == "another":
        done = run_as_other(["-c", SCRIPT, name], timeout_s=60)
    elif os.geteuid() != 0:
        pytest.skip("not run by root; to enable: run make test as root")
    else:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, name], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.stdout.splitlines() == EXPECTED, done.stderr
