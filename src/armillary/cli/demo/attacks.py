# SPDX-License-Identifier: Apache-2.0
"""The second half of the demo: a visit to the console, then four attacks and what stops each."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from armillary.cli.demo.console_visit import see_the_fleet
from armillary.cli.demo.machines import CABLE, CABLES, COFFEE, DISPENSER, PRODUCTS, guardian_that_fails
from armillary.cli.demo.os_updates import releases
from armillary.cli.demo.scenes import bring_more_cables, last_heard, phone_home_image
from armillary.cli.guardian.story.site import Site
from armillary.cli.story.catalog import CATALOG, GROUP, attested, confirmed, deploy, in_state, upload
from armillary.cli.story.playing import require
from armillary.cli.story.stage import DeviceOnStage
from armillary.sim.device import attacker

TAMPERED = DISPENSER
REPLAYED = DISPENSER
CONTAINED = COFFEE
RELEASED = CABLE


def look_at_the_console(stage: Site) -> str:
    """Sign in to the console as a person would and read the first line of the fleet page."""
    seen = see_the_fleet(stage.ready["console"], stage.ready["token"], stage.ready["root_ca"])
    bring_more_cables(stage)  # they boot and install while the next scenes go on
    return seen


def tamper_with_the_boot_chain(stage: Site) -> str:
    """One bit of a boot component is changed: the device refuses to boot, and if it did not, the service would see."""
    device = stage.devices[TAMPERED]
    component = releases(stage)[0]["components"][-1]["name"]
    stage.power_off(device)
    offset = attacker.tamper(device.data, component)
    printed = stage.refused("device", "boot", "--data", device.data)
    require("device.boot" in printed, f"the device booted a changed {component}: {printed}")
    reply = asyncio.run(attacker.check_in_unverified(device.data))
    failed = [step.name for step in reply.steps if step.result == "fail"]
    require(reply.verdict == "update-only" and bool(failed), f"a boot ROM that does not verify got: {reply.verdict}")
    require(reply.purpose == "update", f"it was given a certificate for {reply.purpose}")
    stage.command("device", "recover", "--data", device.data)
    stage.power_on(device)
    stage.wait(f"{device.name} attested again", lambda: attested(stage, device))
    return (
        f"byte {offset} of {component}: boot refused; with a ROM that does not verify the service failed "
        f"'{failed[0]}' and gave an update-only certificate; recovered"
    )


def replay_a_proof(stage: Site) -> str:
    """An accepted proof is sent again, byte for byte, on the same connection and on a new one."""
    device = stage.devices[REPLAYED]
    stage.power_off(device)
    result = asyncio.run(attacker.replay(device.data))
    stage.power_on(device)
    require(result.first == "attested", f"the honest proof was not accepted: {result.first}")
    require(result.refused == ("device.challenge", "device.challenge"), f"replays: {result.refused}")
    return "first use accepted; same bytes refused on the same and on a new connection (device.challenge)"


def phone_home(stage: Site) -> str:
    """An application beside the guardian tries to reach a host that its manifest does not name."""
    device = stage.devices[CONTAINED]
    image_id, package = phone_home_image(stage)
    upload(stage, package)
    deploy(stage, PRODUCTS[CONTAINED], [stage.notes[CONTAINED], image_id])
    report = stage.wait("the blocked connection", lambda: _report(stage, device, "ConnectionBlocked"))
    heard = last_heard(stage, device)
    stage.tell(CONTAINED, "brew")
    stage.wait("the guardian's connection going on", lambda: last_heard(stage, device) > heard or None)
    attempt = report["description"].partition("(")[2].partition(";")[0]
    return f"{attempt} refused and reported; the guardian beside it goes on telling the hub of its machine"


def release_something_bad(stage: Site) -> str:
    """A guardian whose build left out a module goes to one cable of three, which takes it back; others never get it."""
    product = PRODUCTS[RELEASED]
    cables = [stage.devices[name] for name in CABLES]
    good: uuid.UUID = stage.notes[RELEASED]
    for cable in cables:
        stage.wait(f"{cable.name} running", lambda cable=cable: confirmed(stage, cable, good) or None)  # type: ignore[misc]
    bad = guardian_that_fails(stage, RELEASED)
    upload(stage, bad.package)
    rollout = stage.client.post("/rollouts", _plan(product, bad.image_id))
    path = f"/rollouts/{rollout['rollout_id']}"
    stage.wait("the roll-out rolled back", lambda: in_state(stage, path, "rolled-back"))
    touched = [row["device_id"] for row in stage.client.get(f"{path}/devices")["items"]]
    require(len(touched) == 1, f"{len(touched)} of {len(cables)} cables were given the bad release")
    for cable in cables:
        stage.wait(f"{cable.name} on the good release", lambda cable=cable: confirmed(stage, cable, good) or None)  # type: ignore[misc]
    finding = next(item for item in stage.client.get("/findings")["items"] if str(bad.image_id) in str(item))
    return f"1 of {len(cables)} cables tried it and took it back, the others never got it; finding: {finding['title']}"


def verify_the_audit(stage: Site) -> str:
    """The audit log's hash chain holds from the first line to the last, and so does the tree that is signed."""
    result = stage.client.get("/audit/verification")
    require(result["broken_at"] is None, f"the chain breaks at line {result['broken_at']}")
    for log in ("forked_at", "releases_forked_at"):
        require(result[log] is None, f"the checkpoint of {result[log]} entries does not fit the log")
    return f"{result['lines']} lines, head {result['head'][:16]}"


def _plan(product: str, image_id: uuid.UUID) -> dict[str, Any]:
    return {
        "catalog": CATALOG,
        "product": product,
        "group": GROUP,
        "image_ids": [str(image_id)],
        "policy": {
            "cohorts": [1, 100],
            "soak_s": 2,
            "min_failures": 1,
            "failure_percent": 0,
            "roll_back_on_hold": True,
        },
    }


def _report(stage: Site, device: DeviceOnStage, kind: str) -> dict[str, Any] | None:
    reports = stage.client.get(f"/devices/{device.device_id}/error-reports")["items"]
    return next((report for report in reports if report["event_type"] == kind), None)
