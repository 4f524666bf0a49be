# SPDX-License-Identifier: Apache-2.0
"""What a roll-out over a million devices costs the planner, and how soon a halt is obeyed, against their limits.

A real service with its records on disk. Devices are rows: what a check-in writes of a device that got an offer, and of
one that confirmed it, is written here by SQL, for 10,000 devices between two runs of the planner. The roll-out goes
from its start through two cohorts into the third, which is everybody; ``RUNS`` of the 97 runs to its end. What each run
costs is its CPU time, with what follows from it, the new offers: somebody else's work on the machine is not the
planner's. The halt comes after that, while a thread asks again and again what a device that has not got it may have.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, text

from armillary.engines.records.schema.rollout_rows import Rollout
from armillary.engines.records.schema.rows import Image
from armillary.rollout.policy import RolloutPolicy
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.wire.certificates.certificate import build_root_authority
from armillary.wire.image import application
from bench.registry import PLACE, REGISTERED, copy_registry
from bench.result import result

REPORTS_BETWEEN_RUNS = 10_000  # as many as a run takes
# All 97 take three minutes, and none of them cost more than 1.3 s (SPECIFICATION.md, "Measured").
RUNS = 20
LIMIT_S = 2.0
HALT_LIMIT_S = 1.0
POLICY = RolloutPolicy(cohorts=(1, 10, 100), soak_s=0, success_percent=95, timeout_s=90 * 86400)
STEPS = "INSERT INTO appraisal_steps (steps_id, digest, document) VALUES (1, x'00', '[]')"


@dataclass(eq=False)
class Clock:
    """The service's time, which goes on a second a run."""

    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now


def run() -> list[dict[str, object]]:
    """The longest run of the planner, the usual one, and how long after a halt the last grant was given."""
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        clock = Clock()
        copy_registry(Path(folder, "data"))
        service = SecurityService.open(Settings(data=Path(folder, "data")), clock=clock)
        image = _image(service)
        rollout = service.updates.rollouts.start(*PLACE, [image.image_id], policy=POLICY, actor="bench")
        times, waited = zip(*_runs(service, clock, rollout, image), strict=True)
        if service.updates.rollouts.get(rollout.rollout_id).cohort != len(POLICY.cohorts) - 1:
            raise RuntimeError(f"after {RUNS} runs the roll-out has not come to everybody")
        halted = _halt(service, rollout, image)
    conditions = (
        f"{REGISTERED} devices in one group, the first {len(times)} runs, {REPORTS_BETWEEN_RUNS} devices report "
        f"between two; median {statistics.median(times):.2f} CPU-s, {statistics.median(waited):.2f} s by the clock, "
        f"{max(waited):.2f} s at most"
    )
    return [
        result("rollout-plan", max(times), "CPU-s, longest run", ("limit", LIMIT_S), conditions),
        result("rollout-halt", halted, "s to the last grant", ("limit", HALT_LIMIT_S), f"{REGISTERED} devices"),
    ]


def _image(service: SecurityService) -> Image:
    """An image for them."""
    service.context.records.write(lambda connection: connection.execute(text(STEPS)))
    key = ec.derive_private_key(7, ec.SECP256R1())
    authority = build_root_authority(key, name="bench", serial=7, not_before=1_700_000_000, not_after=2_000_000_000)
    manifest = {
        "SchemaVersion": 1,
        "Name": "kettle",
        "ComponentId": str(uuid4()),
        "EntryPoint": "/bin/app",
        "CmdArgs": [],
        "Capabilities": {},
        "ApplicationType": "Default",
    }
    files = {"app_manifest.json": json.dumps(manifest).encode(), "bin/app": b"#!/bin/sh\n"}
    package = application.pack(files, image_id=uuid4(), built=1_790_000_000, key=key, certificate=authority)
    return service.updates.images.upload(PLACE[0], package, actor="bench")


def _runs(service: SecurityService, clock: Clock, rollout: Rollout, image: Image) -> Iterator[tuple[float, float]]:
    """Run the planner; the seconds of each run, of this process and by the clock."""
    for _ in range(RUNS):
        clock.now += 1
        worked, begun = time.process_time(), time.perf_counter()
        service.updates.planner.run_once()
        yield time.process_time() - worked, time.perf_counter() - begun
        now = int(clock.now)
        service.context.records.write(lambda c, at=now: _report(c, rollout, image, at))
        _checkpoint(service)


def _report(connection: Connection, rollout: Rollout, image: Image, now: int) -> None:
    """Devices that have their turn check in and say that they run the image, the first that have not first."""
    name = rollout.rollout_id.hex
    chosen = (
        "SELECT device_number FROM rollout_device WHERE rollout_id = :name AND state IN ('started', 'offered')"
        " ORDER BY device_number LIMIT :most"
    )
    values = {"name": name, "most": REPORTS_BETWEEN_RUNS, "now": now, "deployment": rollout.deployment_id.hex}
    installed = f'[["{image.component_id}", "{image.image_id}", {image.image_type}, "{image.name}", "running"]]'
    connection.execute(
        text(
            "UPDATE device_status SET checked_in_at = :now, offered_deployment_id = :deployment, installed = :installed"
            f" WHERE device_number IN ({chosen})"
        ),
        {**values, "installed": installed},
    )
    connection.execute(
        text(
            "INSERT INTO check_in (device_number, at, verdict, steps_id, boot_count, os_version, certificate_serial,"
            " certificate_not_after, purpose, challenge_id, challenge_expires_at) SELECT device_number, :now,"
            f" 'attested', 1, 1, '26.11', '00', :now, 'client', randomblob(16), :now FROM ({chosen})"
        ),
        values,
    )


def _checkpoint(service: SecurityService) -> None:
    """Move what was written into the database file: in a service many commits share this work, here one run would."""
    with contextlib.closing(sqlite3.connect(service.context.folder.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _halt(service: SecurityService, rollout: Rollout, image: Image) -> float:
    """Halt the roll-out, and see when the last grant was given."""
    waiting = "SELECT device_number FROM rollout_device WHERE rollout_id = :name AND state = 'started' LIMIT 1"
    number = service.context.records.read(
        lambda c: int(c.execute(text(waiting), {"name": rollout.rollout_id.hex}).scalar_one())
    )
    ended, granted_at, asked = threading.Event(), 0.0, 0
    group = rollout.group_id

    def ask() -> None:
        nonlocal granted_at, asked
        while not ended.wait(0.001):
            asked += 1
            wanted = service.updates.offers.granted(group, number, "mt3620", ())
            if wanted is not None and image.image_id in wanted.image_ids:
                granted_at = time.perf_counter()

    asker = threading.Thread(target=ask)
    asker.start()
    while not granted_at:
        time.sleep(0.01)
    begun = time.perf_counter()
    service.updates.rollouts.hold(rollout.rollout_id, reason="bench", actor="bench")
    before = asked
    while asked < before + 100:
        time.sleep(0.01)
    ended.set()
    asker.join()
    return max(0.0, granted_at - begun)
