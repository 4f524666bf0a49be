# SPDX-License-Identifier: Apache-2.0
"""The sandboxes started by a user who is not root, as on most machines: in a process that really is one."""

from __future__ import annotations

import json
import os

import pytest
from tests.engines.sandbox.sandbox_stage import crun
from tests.fixtures.other_user import NOBODY, run_as_other

SCRIPT = """
import asyncio, json, sys, tempfile
from pathlib import Path
from uuid import UUID
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.engines.sandbox.port import Launch, OutputLine
from armillary.engines.sandbox.selection import open_sandbox
from armillary.wire.image.app_manifest import AppManifest

FORKS = b'''#!/usr/bin/env python3
import errno, os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0: time.sleep(60)
        count += 1
except OSError as error: print(errno.errorcode[error.errno], count < 64, flush=True)
os._exit(0)
'''

async def forks(sandbox):
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        root = extract_image({"bin/app": FORKS}, {"bin/app"}, Path(folder, "image"))
        manifest = AppManifest(name="forks", component_id=UUID(int=9), entry_point="/bin/app")
        launch = Launch(image_root=root, manifest=manifest, grant=Grant(component_id=UUID(int=9), hosts=allowed_hosts([])))
        running = await sandbox.start(launch, lambda event: lines.append(event.text) if isinstance(event, OutputLine) else None)
        async with asyncio.timeout(30):
            await running.wait()
    return lines

sandbox = open_sandbox(sys.argv[1])
report = sandbox.self_test()
print(json.dumps({
    "sandbox": report.sandbox,
    "missing": [f"{each.name}: {each.detail}" for each in report.mechanisms if not each.enforced],
    "weaker": report.weaker,
    "absent": [each.name for each in report.absent],
    "forks": asyncio.run(forks(sandbox)) if sys.argv[1] != "reduced" else None,
}))
"""


NAMES = ("linux", "crun", "reduced")
GIVES_WAY = "import os; os.nice(10); open('/proc/self/oom_score_adj', 'w').write('700')\n"


def needs(name: str) -> None:
    """Skip where this host lacks the engine's program."""
    if name == "crun":
        crun(own_user=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_gives_way_itself_runs_applications(name: str) -> None:
    """As under nice(1), or by the settings of a service: nobody but root takes that back."""
    needs(name)
    run = run_as_other(["-c", GIVES_WAY + SCRIPT, name], timeout_s=60)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["sandbox"], report["missing"]) == (name, [])


# A login has its own group among the supplementary ones, and often others; a service manager may clear them.
@pytest.mark.parametrize("groups", ["--clear-groups", f"--groups={NOBODY}", f"--groups={NOBODY},27,44"])
@pytest.mark.parametrize("name", NAMES)
def test_everything_holds_for_a_user_who_is_not_root(name: str, groups: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests run as this user already")
    needs(name)
    run = run_as_other(["-c", SCRIPT, name], groups=groups, timeout_s=60)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["sandbox"], report["missing"]) == (name, [])
    assert {"memory-limit", "process-limit", "processor-limit", "device-list"} <= set(report["absent"])
    if name != "reduced":
        assert any("not started by root" in sentence for sentence in report["weaker"])
        assert any("No control groups: this user may not make groups" in sentence for sentence in report["weaker"])
        assert report["forks"] == ["EAGAIN True"]
