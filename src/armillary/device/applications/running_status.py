# SPDX-License-Identifier: Apache-2.0
"""What the device's status says of each installed application: where it is, what holds it, and what it uses."""

from __future__ import annotations

from dataclasses import asdict

from armillary.capability.holdings import holdings
from armillary.device.applications.supervisor import ApplicationRun
from armillary.device.checkin.proof import enforcement
from armillary.engines.sandbox.port import SandboxReport
from armillary.update.install.record import InstallRecord, SlotImage
from armillary.wire.attestation.mechanisms import WAITING


def application_status(
    image: SlotImage, record: InstallRecord, run: ApplicationRun | None, report: SandboxReport
) -> dict[str, object]:
    """One application of the record in force, and its run if the supervisor has one.

    ``held_by`` says for each thing that it was granted which mechanism of this host holds it to that, by the
    self-test's report.
    """
    used = None if run is None or run.running is None else run.running.usage()
    held = () if run is None else holdings(image.name, run.application.grant, enforcement(report))
    return {
        "name": image.name,
        "component_id": str(image.component_id),
        "image_id": str(image.image_id),
        "slot": image.slot,
        "state": _state(run, report),
        "core": "" if run is None else run.core,
        "on_trial": record.trial is not None and image not in record.trial.previous,
        "held_by": [asdict(each) for each in held],
        "usage": None if used is None else asdict(used),
    }


def _state(run: ApplicationRun | None, report: SandboxReport) -> str:
    """Its state, and ``restarting`` while it waits to be started again: nobody has stopped it.

    ``waiting`` is one that runs once the sandbox holds.
    """
    if run is None:
        return "stopped"
    if run.state == "stopped" and run.task is not None:
        return "waiting" if report.sandbox == WAITING else "restarting"
    return run.state
