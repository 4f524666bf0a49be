# SPDX-License-Identifier: Apache-2.0
"""The second half of the demo: a visit to the console, then four attacks and what stops each."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from armillary.cli.story.console_visit import see_the_fleet
from armillary.cli.story.scenes import (
    CATALOG,
    GROUP,
    PRODUCTS,
    claim,
    confirmed,
    deploy,
    in_state,
    pack,
    require,
    upload,
)
from armillary.cli.story.stage import DeviceOnStage, Stage
from armillary.sim.device import attacker

TAMPERED = "sanitiser_dispenser"
REPLAYED = "sanitiser_dispenser"
CONTAINED = "coffee_machine_guardian"
RELEASED = "smart_cable"
MORE_CABLES = ("smart_cable_2", "smart_cable_3")


def look_at_the_console(stage: Stage) -> str:
    """Sign in to the console as a person would and read the first line of the fleet page."""
    seen = see_the_fleet(stage.ready["console"], stage.ready["token"], stage.ready["root_ca"])
    stage.begin_devices(MORE_CABLES)
    return seen


def tamper_with_the_boot_chain(stage: Stage) -> str:
    """One bit of a boot component is changed: the device refuses to boot, and if it did not, the service would see."""
    device = stage.devices[TAMPERED]
    component = stage.client.get("/releases")["items"][0]["components"][-1]["name"]
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
    stage.wait(f"{device.name} attested again", lambda: stage.show(device)["verdict"] == "attested" or None)
    return (
        f"byte {offset} of {component}: boot refused; with a ROM that does not verify the service failed "
        f"'{failed[0]}' and gave an update-only certificate; recovered"
    )


def replay_a_proof(stage: Stage) -> str:
    """An accepted proof is sent again, byte for byte, on the same connection and on a new one."""
    for cable in stage.take_devices():  # they boot and install while this and the next scene go on
        claim(stage, cable, PRODUCTS[RELEASED])
        stage.power_on(cable)
    device = stage.devices[REPLAYED]
    stage.power_off(device)
    result = asyncio.run(attacker.replay(device.data))
    stage.power_on(device)
    require(result.first == "attested", f"the honest proof was not accepted: {result.first}")
    require(result.refused == ("device.challenge", "device.challenge"), f"replays: {result.refused}")
    return "first use accepted; same bytes refused on the same and on a new connection (device.challenge)"


def phone_home(stage: Stage) -> str:
    """An application tries to reach a host that its manifest does not name."""
    device = stage.devices[CONTAINED]
    image_id, package = pack(stage, "phone_home")
    upload(stage, package)
    deploy(stage, PRODUCTS[CONTAINED], [stage.notes[CONTAINED], image_id])
    report = stage.wait("the blocked connection", lambda: _report(stage, device, "ConnectionBlocked"))
    heard = _last_heard(stage, device)
    stage.wait("the declared connection going on", lambda: _last_heard(stage, device) > heard or None)
    attempt = report["description"].partition("(")[2].partition(";")[0]
    return f"{attempt} refused and reported; the declared connection to the hub goes on"


def _last_heard(stage: Stage, device: DeviceOnStage) -> int:
    """When the hub last got a value from a device, Unix milliseconds."""
    items = stage.client.get(f"/devices/{device.device_id}/telemetry")["items"]
    return max((int(item["at_ms"]) for item in items), default=0)


def release_something_bad(stage: Stage) -> str:
    """A release that crashes goes to one cable of three: it takes itself back, and the roll-out stops there."""
    product = PRODUCTS[RELEASED]
    cables = [stage.devices[name] for name in (RELEASED, *MORE_CABLES)]
    good: uuid.UUID = stage.notes[RELEASED]
    for cable in cables:
        stage.wait(f"{cable.name} running", lambda cable=cable: confirmed(stage, cable, good) or None)  # type: ignore[misc]
    bad, package = pack(stage, "smart_cable_bad")
    upload(stage, package)
    rollout = stage.client.post("/rollouts", _plan(product, bad))
    path = f"/rollouts/{rollout['rollout_id']}"
    stage.wait("the roll-out rolled back", lambda: in_state(stage, path, "rolled-back"))
    touched = [row["device_id"] for row in stage.client.get(f"{path}/devices")["items"]]
    require(len(touched) == 1, f"{len(touched)} of {len(cables)} cables were given the bad release")
    for cable in cables:
        stage.wait(f"{cable.name} on the good release", lambda cable=cable: confirmed(stage, cable, good) or None)  # type: ignore[misc]
    finding = next(item for item in stage.client.get("/findings")["items"] if str(bad) in str(item))
    return f"1 of {len(cables)} cables tried it and took it back, the others never got it; finding: {finding['title']}"


def verify_the_audit(stage: Stage) -> str:
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


def _report(stage: Stage, device: DeviceOnStage, kind: str) -> dict[str, Any] | None:
    reports = stage.client.get(f"/devices/{device.device_id}/error-reports")["items"]
    return next((report for report in reports if report["event_type"] == kind), None)
