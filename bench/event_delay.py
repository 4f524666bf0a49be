# SPDX-License-Identifier: Apache-2.0
"""From what an application does on a device until the service has it in its records, and until it is a finding.

Real processes over real TLS: ``armillary up`` with its own intervals (devices come every 20 hours, the watch looks
every 5 s where nothing wakes it), and ``armillary device boot`` with an application in the sandbox that tries, every
few seconds, to reach a host or to listen at a port that its manifest does not name, and says when. What is measured
ends when the operator API shows it: the two calls that ask are part of the time.
"""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Final

from armillary.cli.release.development_key import pair_in
from armillary.cli.story import catalog, stage as stages
from armillary.cli.story.stage import DeviceOnStage, Stage
from armillary.wire.image import application
from bench.result import result

STORED_LIMIT_S: Final = 2.0
FINDING_LIMIT_S: Final = 5.0
EVENTS: Final = 4  # as many as a device tells at once, with one to spare
PRODUCT: Final = "Measured"
# Tries begin when the trial is over, and leave each other room.
PROGRAM: Final = b"""#!/usr/bin/env python3
import socket, time
time.sleep(5)
for number in range(%d):
    print("tries", 7000 + number, time.time(), flush=True)
    try:
        if number %% 2:
            socket.create_server(("0.0.0.0", 7000 + number))
        else:
            socket.create_connection(("203.0.113.66", 7000 + number), 3)
    except OSError:
        pass
    time.sleep(2)
time.sleep(600)
"""
MANIFEST: Final = {
    "SchemaVersion": 1,
    "Name": "tries",
    "ComponentId": "5d1c8a52-6a0b-4b0e-8a53-2f7f0c2b9a11",
    "EntryPoint": "/bin/app",
    "CmdArgs": [],
    "Capabilities": {},
    "ApplicationType": "Default",
}


def run() -> list[dict[str, object]]:
    """The longest of both ways over a few events."""
    stages.CHECK_IN_INTERVAL_S, stages.PLANNER_INTERVAL_S = 72_000, 5.0  # type: ignore[misc] - the service's own
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        stage = Stage(Path(folder))
        try:
            return _results(_measured(stage))
        finally:
            stage.close()


def _measured(stage: Stage) -> list[tuple[float, float]]:
    """For each event the seconds until it was stored, and until it was a finding."""
    stage.start_service()
    catalog.make_catalog(stage, [(PRODUCT, "of a measurement")])
    stage.create_devices(["tries"])
    device = stage.devices["tries"]
    catalog.claim(stage, device, PRODUCT)
    image_id, package = _package(stage)
    catalog.upload(stage, package)
    catalog.deploy(stage, PRODUCT, [image_id])
    stage.power_on(device)
    return [_event(stage, device, 7000 + number) for number in range(EVENTS)]


def _package(stage: Stage) -> tuple[uuid.UUID, bytes]:
    key, certificate = pair_in(stage.folder / "developer")
    image_id = uuid.uuid4()
    files = {"app_manifest.json": json.dumps(MANIFEST).encode(), "bin/app": PROGRAM % EVENTS}
    built = int(time.time())
    return image_id, application.pack(files, image_id=image_id, built=built, key=key, certificate=certificate)


def _event(stage: Stage, device: DeviceOnStage, port: int) -> tuple[float, float]:
    begun = stage.wait(f"the try at port {port}", lambda: _tried(device, port))
    stored = found = 0.0
    while not (stored and found):
        if not stored and _names(stage.client.get(f"/devices/{device.device_id}/error-reports")["items"], port):
            stored = time.time()
        if not found and _names(stage.client.get("/findings")["items"], port):
            found = time.time()
        if time.time() - begun > stages.WAIT_S:
            raise RuntimeError(f"the event at port {port} was not seen within {stages.WAIT_S:.0f} s")
        time.sleep(0.005)
    return stored - begun, found - begun


def _tried(device: DeviceOnStage, port: int) -> float | None:
    """When the application tried, by its own words in the device's log."""
    log = device.data / "log" / "device.jsonl"
    for line in log.read_text("utf-8").splitlines() if log.exists() else ():
        words = str(json.loads(line).get("text", "")).split()
        if words[:2] == ["tries", str(port)]:
            return float(words[2])
    return None


def _names(items: list[dict[str, Any]], port: int) -> bool:
    return any(str(port) in f"{item.get('description', '')}{item.get('cause', '')}" for item in items)


def _results(times: list[tuple[float, float]]) -> list[dict[str, object]]:
    stored, found = zip(*times, strict=True)
    conditions = (
        f"longest of {len(times)} events of one device process; each: {', '.join(f'{one:.2f}' for one in stored)}"
    )
    findings = f"as event-stored; each: {', '.join(f'{one:.2f}' for one in found)}"
    return [
        result("event-stored", max(stored), "s", ("limit", STORED_LIMIT_S), conditions),
        result("event-finding", max(found), "s", ("limit", FINDING_LIMIT_S), findings),
    ]
