# SPDX-License-Identifier: Apache-2.0
"""The part of the demo about the OS of devices: an update, two releases that are taken back, a device that heals."""

from __future__ import annotations

from typing import Any

from armillary.cli.demo.machines import COFFEE
from armillary.cli.story.catalog import in_state
from armillary.cli.story.playing import require
from armillary.cli.story.stage import DeviceOnStage, Stage
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.status import read_status
from armillary.sim.device import attacker

NEW_OS = "99.1"  # newer than whatever this version of Armillary begins with
BAD_OS = "99.2"
# A device that has not confirmed an OS by then has failed: it takes two seconds once it has booted.
SILENT_S = 5
DAMAGED = COFFEE


def update_the_os(stage: Stage) -> str:
    """A release is published: each device fetches it, restarts into it, is measured anew and attested."""
    stage.notes["os_version"] = stage.show(next(iter(stage.devices.values())))["os_version"]
    body = {"chip": _chip(stage), "version": NEW_OS, "feed": "Retail"}
    stage.notes["release_id"] = stage.client.post("/releases", body)["release_id"]
    for each in stage.devices.values():
        _wait_for(stage, each, NEW_OS)
    return f"OS {stage.notes['os_version']} to {NEW_OS}: {len(stage.devices)} devices restarted and attested"


def halt_a_bad_os(stage: Stage) -> str:
    """A release goes out in rings: the first device that boots it falls silent, and the roll-out goes back."""
    release = stage.client.post("/releases", {"chip": _chip(stage), "version": BAD_OS, "feed": "RetailEval"})
    policy = {
        "cohorts": [1, 100],
        "soak_s": 2,
        "min_failures": 1,
        "failure_percent": 0,
        "timeout_s": SILENT_S,
        "roll_back_on_hold": True,
    }
    rollout = stage.client.post(f"/releases/{release['release_id']}/rollout", {"policy": policy})
    path = f"/rollouts/{rollout['rollout_id']}"
    first = stage.wait(f"a device with OS {BAD_OS}", lambda: _booted(stage, BAD_OS))
    stage.power_off(first)  # it hangs
    reason = stage.wait("the roll-out rolling back", lambda: in_state(stage, path, "rolling-back"))["reason"]
    stage.power_on(first)
    stage.wait("the roll-out rolled back", lambda: in_state(stage, path, "rolled-back"))
    _wait_for(stage, first, NEW_OS)
    touched = [row["device_id"] for row in stage.client.get(f"{path}/devices")["items"]]
    require(touched == [first.device_id], f"{len(touched)} of {len(stage.devices)} devices were given OS {BAD_OS}")
    return f"{first.name} fell silent with OS {BAD_OS}; {reason}: back on OS {NEW_OS}, nobody else was offered it"


def withdraw_the_os(stage: Stage) -> str:
    """The release is withdrawn: devices that run it are held to updates, and go back by themselves."""
    path = f"/releases/{stage.notes['release_id']}/withdraw"
    stage.client.post(path, {"reason": "Its kernel crashes after an hour."})
    for device in stage.devices.values():
        _wait_for(stage, device, stage.notes["os_version"])
    held = sum("update-only" in _verdicts(stage, device) for device in stage.devices.values())
    require(held > 0, "no device was held to updates while it ran a withdrawn release")
    return f"{held} devices were held to updates, and run OS {stage.notes['os_version']} again; nobody touched them"


def heal_a_damaged_device(stage: Stage) -> str:
    """One bit of the OS that boots is changed: the OS before it boots, is held, and fetches the genuine one."""
    device = stage.devices[DAMAGED]
    boots = stage.show(device)["boot_count"]
    component = releases(stage)[0]["components"][-1]["name"]
    stage.power_off(device)
    attacker.tamper(device.data, component)
    stage.power_on(device)
    shown = _wait_for(stage, device, stage.notes["os_version"], after_boot=boots + 1)
    return f"{component} damaged: OS {NEW_OS} booted instead, then OS {shown['os_version']} over the air, attested"


def releases(stage: Stage) -> list[dict[str, Any]]:
    """Releases for the chip of the demo's devices, newest first."""
    chip = _chip(stage)
    return [each for each in stage.client.get("/releases")["items"] if each["chip"] == chip]


def _chip(stage: Stage) -> str:
    chip: str = stage.show(next(iter(stage.devices.values())))["chip"]
    return chip


def _booted(stage: Stage, version: str) -> DeviceOnStage | None:
    """The device that says itself that it has booted an OS version."""
    return next((one for one in stage.devices.values() if _own(one).get("os_version") == version), None)


def _own(device: DeviceOnStage) -> dict[str, Any]:
    """What a device itself says of its state."""
    return dict(read_status(DeviceFolder(device.data).status) or {})


def _wait_for(stage: Stage, device: DeviceOnStage, version: str, *, after_boot: int = 0) -> dict[str, Any]:
    """Wait until a device is attested with an OS version and has confirmed it."""

    def look() -> dict[str, Any] | None:
        shown, own = stage.show(device), _own(device)
        is_there = shown["verdict"] == "attested" and shown["os_version"] == version
        is_confirmed = own.get("installation") == "idle" and own["os_version"] == version
        return shown if is_there and is_confirmed and shown["boot_count"] > after_boot else None

    return stage.wait(f"{device.name} attested with OS {version}", look)


def _verdicts(stage: Stage, device: DeviceOnStage) -> set[str]:
    """What the last check-ins of a device came to."""
    items = stage.client.get(f"/devices/{device.device_id}/check-ins", limit=50)["items"]
    return {item["verdict"] for item in items}
