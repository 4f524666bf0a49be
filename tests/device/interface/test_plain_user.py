# SPDX-License-Identifier: Apache-2.0
"""The interface of a device that is not started by root: in a process that really is another user's."""

from __future__ import annotations

import os

import pytest
from tests.engines.sandbox.sandbox_stage import crun
from tests.fixtures.application_samples import APPLIBS
from tests.fixtures.other_user import run_as_other

SCRIPT = """
import asyncio, sys, tempfile
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.device.applications.port import Run
from armillary.device.interface.interface import ApplicationInterface
from armillary.device.interface.table import MethodTable
from armillary.device.state.journal import Journal
from armillary.engines.sandbox.port import Launch, OutputLine
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.wire.image.app_manifest import AppManifest

CODE = b'''#!/usr/bin/env python3
from armillary_application import Device
with Device() as device: print(device.ask("interface.describe")["component_id"], flush=True)
'''
OWN = UUID(int=9)

def hear(event):
    if isinstance(event, OutputLine): print(event.text)

async def main():
    sandbox = open_sandbox(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        files = {"bin/app": CODE, "bin/armillary_application.py": sys.stdin.buffer.read()}
        root = extract_image(files, {"bin/app"}, Path(folder, "image"))
        manifest = AppManifest(name="asks", component_id=OWN, entry_point="/bin/app")
        grant = Grant(component_id=OWN, hosts=allowed_hosts([]))
        application = SimpleNamespace(grant=grant, image_id=OWN, name="asks")
        run = Run(application=application, on_event=print, end=print, defer=print, pid=lambda: None)
        monotonic = asyncio.get_running_loop().time
        interface = ApplicationInterface(Path(folder, "run"), lambda: MethodTable(()), Journal(None, lambda: 0), monotonic)
        async with interface.open(run) as path, asyncio.timeout(30):
            running = await sandbox.start(Launch(image_root=root, manifest=manifest, grant=grant, interface=path), hear)
            await running.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["linux", "crun", "reduced"])
def test_an_application_asks_a_device_of_a_plain_user(name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests run as this user already")
    if name == "crun":
        crun(own_user=False)  # skips where this host has none
    library = (APPLIBS / "python/armillary_application.py").read_text("utf-8")
    run = run_as_other(["-c", SCRIPT, name], given=library, timeout_s=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "00000000-0000-0000-0000-000000000009"
