# SPDX-License-Identifier: Apache-2.0
"""One application floods, two beside it say a number again and again: ``flood_scene.py KIND`` plays it and says JSON.

Real applications in the sandbox of this host under the device's supervisor. The limits of the one that floods are low,
so that the machine does not feel it. Needs nothing that only a test run has, so that any user can play it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.fixtures.waiting import until

from armillary.capability.application_limits import ApplicationLimits
from armillary.capability.grant import Grant
from armillary.capability.network import allowed_hosts
from armillary.device.applications.admission import Application
from armillary.device.applications.supervisor import Supervisor
from armillary.device.state.journal import Journal
from armillary.device.state.reports import Incident
from armillary.engines.sandbox.port import Launch, Usage
from armillary.engines.sandbox.selection import open_sandbox
from armillary.engines.sandbox.within.image_root import extract_image
from armillary.wire.image.app_manifest import AppManifest
from armillary.wire.image.asxipfs import Filesystem

DEADLINE_S = 100.0  # a flood has a tenth of the processors
BEATS_BEFORE, BEATS_BESIDE = 3, 20
LOW = ApplicationLimits(memory_bytes=40 << 20, processes=12, processor_percent=10)

HEART = """
import time
number = 0
while True:
    print(number, flush=True)
    number += 1
    time.sleep(0.05)
"""
FILL = """
import errno, os, time
path = os.path.join(os.environ["{folder}"], "flood-")
while True:
    try:
        for number in range(64):
            with open(path + str(number), "wb") as file:
                while True:
                    file.write(bytes(50_000)); file.flush()
                    if "{folder}" == "TMPDIR" and file.tell() >= 500_000: break
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
    for name in os.listdir(os.environ["{folder}"]): os.unlink(os.path.join(os.environ["{folder}"], name))
    time.sleep(0.05)
"""
SEVERAL = """
import mmap, os, signal, time
while True:
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            block = {block}
            for place in range(0, len(block), 4096): block[place] = 1
            signal.pause()
        children.append(child)
    ended, status = os.wait()
    print("SIGKILL" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9 else status, flush=True)
    for child in children:
        if child != ended: os.kill(child, 9); os.waitpid(child, 0)
    time.sleep(0.05)
"""
FLOODS = {
    "crash": "import os\nos.abort()",
    "hang": "print('hangs', flush=True)\nwhile True: pass",
    "processes": """
import errno, os, time
said = False
while True:
    try: os.fork()
    except OSError as error:
        if not said: os.write(1, errno.errorcode[error.errno].encode() + b"\\n")
        said = True
        time.sleep(0.01)
""",
    "memory": """
import time
while True:
    try: block = bytearray(1 << 30); print("given", flush=True)
    except MemoryError: print("ENOMEM", flush=True)
    time.sleep(0.05)
""",
    "memory of several processes": SEVERAL.replace("{block}", "bytearray(20 << 20)"),
    "shared memory": SEVERAL.replace("{block}", "mmap.mmap(-1, 20 << 20)"),
    "memory of its first process": """
import mmap, time
time.sleep(0.2)
block = mmap.mmap(-1, 60 << 20)
for place in range(0, len(block), 4096): block[place] = 1
print("filled", flush=True)
time.sleep(60)
""",
    "temporary files": FILL.replace("{folder}", "TMPDIR"),
    "disk": FILL.replace("{folder}", "ARMILLARY_DATA"),
    "descriptors": """
import errno, os, time
while True:
    held = []
    try:
        while True: held.append(os.dup(1))
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
    for each in held: os.close(each)
    time.sleep(0.05)
""",
    "output": """
import os, time
os.set_blocking(1, False)
said = False
while True:
    try: os.write(1, b"flood\\n" * 500)
    except BlockingIOError:
        if not said: os.write(2, b"EAGAIN\\n")
        said = True
        time.sleep(0.01)
""",
}
# What each says when it meets its limit; the others are seen by their device.
WORDS = {
    "processes": {"EAGAIN"},
    "memory": {"ENOMEM"},
    "memory of several processes": {"SIGKILL"},
    "shared memory": {"SIGKILL"},
    "temporary files": {"ENOSPC"},
    "disk": {"EFBIG", "ENOSPC", "EDQUOT"},
    "descriptors": {"EMFILE"},
    "output": {"EAGAIN"},
}
# Those that only a control group stops.
GROUPED = ("memory of several processes", "shared memory", "memory of its first process")


@dataclass
class Scene:
    """What was seen of three applications."""

    folder: Path
    entries: list[dict[str, Any]] = field(default_factory=list)
    reports: list[Incident] = field(default_factory=list)
    at: dict[str, list[float]] = field(default_factory=dict)

    def note(self, entry: dict[str, Any]) -> None:
        self.entries.append(entry)
        self.at.setdefault(str(entry.get("name")), []).append(time.monotonic())

    def lines(self, name: str) -> list[str]:
        return [each["text"] for each in self.entries if each["event"] == "output" and each["name"] == name]

    def application(self, number: int, name: str, code: str, limits: ApplicationLimits) -> Application:
        component = UUID(int=0xF100D000 + number)
        root = self.folder / str(component)
        extract_image({"bin/app": b"#!/usr/bin/env python3\n" + code.encode()}, {"bin/app"}, root)
        return Application(
            component_id=component,
            image_id=component,
            name=name,
            manifest=AppManifest(name=name, component_id=component, entry_point="/bin/app"),
            grant=Grant(component_id=component, hosts=allowed_hosts(()), mutable_storage_kb=64, limits=limits),
            filesystem=Filesystem({}),
        )

    def launch(self, application: Application) -> Launch:
        root = self.folder / str(application.component_id)
        data = self.folder / f"{application.component_id}.data"
        data.mkdir(mode=0o700, exist_ok=True)
        return Launch(
            image_root=root, manifest=application.manifest, grant=application.grant, data=data, temporary=self.folder
        )


class NoDeferrals:
    """Nobody puts off an update here."""

    def defer(self, component_id: UUID, minutes: int) -> None:
        """Not heard."""

    def forget(self, component_id: UUID) -> None:
        """Not heard."""


async def play(kind: str, folder: Path) -> dict[str, Any]:
    """Play one flood."""
    scene = Scene(folder)
    journal = Journal(None, lambda: 0)
    journal.listen(scene.note)
    sandbox = open_sandbox("linux")
    supervisor = Supervisor(
        sandbox,
        launch=scene.launch,
        journal=journal,
        report=scene.reports.append,
        changed=lambda: None,
        monotonic=time.monotonic,
        deferrals=NoDeferrals(),
        crashed=lambda *_: None,
    )
    hearts = [scene.application(number, f"heart {number}", HEART, ApplicationLimits()) for number in (1, 2)]
    limits = replace(LOW, processor_percent=2) if kind == "hang" else LOW
    flooding = scene.application(3, "flood", FLOODS[kind], limits)
    try:
        await supervisor.run_set(hearts)
        await until(lambda: all(len(scene.lines(each.name)) >= BEATS_BEFORE for each in hearts), "the first beats")
        await supervisor.run_set([*hearts, flooding])
        (run,) = (each for each in supervisor.runs if each.application is flooding)

        def met() -> bool:
            if kind in WORDS:
                return not WORDS[kind].isdisjoint(scene.lines("flood"))
            if kind == "hang":
                used = None if run.running is None else run.running.usage()
                return "hangs" in scene.lines("flood") and (used is None or used.processor_periods_used_up > 0)
            return any(each.event_type == "AppCrash" for each in scene.reports)

        await until(met, "the limit that the flood meets", DEADLINE_S)
        so_far = {each.name: len(scene.lines(each.name)) for each in hearts}
        beside = time.monotonic()
        await until(
            lambda: all(len(scene.lines(name)) >= count + BEATS_BESIDE for name, count in so_far.items()),
            "the beats beside the flood",
        )
        usage = None if run.running is None else run.running.usage()
    finally:
        await supervisor.stop()
    return told(scene, usage, hearts, beside) | {"grouped": not sandbox.self_test().absent}


def told(scene: Scene, usage: Usage | None, hearts: list[Application], beside: float) -> dict[str, Any]:
    """What a test looks at."""
    gaps = {
        each.name: max((b - a for a, b in pairwise(at) if b >= beside), default=0.0)
        for each in hearts
        for at in (scene.at[each.name],)
    }
    return {
        "said": sorted(set(scene.lines("flood"))),
        "beats": {each.name: scene.lines(each.name) for each in hearts},
        "longest_gap_s": max(gaps.values()),
        "reports": [[each.event_type, str(each.component_id), each.description] for each in scene.reports],
        "exits": [each for each in scene.entries if each["event"] == "application-exited"],
        "killed_for_memory": 0 if usage is None else usage.killed_for_memory,
        "processes_refused": 0 if usage is None else usage.processes_refused,
        "processor_periods_used_up": 0 if usage is None else usage.processor_periods_used_up,
        "memory_peak_bytes": None if usage is None else usage.memory_peak_bytes,
    }


def main() -> None:
    """Play the flood named and write what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        print(json.dumps(asyncio.run(play(sys.argv[1], Path(folder))), default=str))


if __name__ == "__main__":
    main()
