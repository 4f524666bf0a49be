# SPDX-License-Identifier: Apache-2.0
"""The first half of the demo: devices before machines attest, get guardians in their sandbox, and are heard."""

from __future__ import annotations

import time
import uuid
from typing import Any, Final

from armillary.cli.demo.machines import (
    COFFEE,
    DISPENSER,
    FIRST_DEVICES,
    MACHINES,
    MORE_CABLES,
    PRODUCTS,
    SPEED,
    claim_and_wire,
    guardian,
    plug_in,
    register_machine,
    reported,
    values,
)
from armillary.cli.guardian.command import call, fresh
from armillary.cli.guardian.story.coffee import ALLOWED_C, COMMAND, HARMFUL_C, recipe_taken, wanted_recipe
from armillary.cli.guardian.story.pieces import packed, put_in_hub
from armillary.cli.guardian.story.site import Site
from armillary.cli.story.catalog import (
    CATALOG,
    CATALOG_PATH,
    attested,
    confirmed,
    deploy,
    make_catalog,
    upload,
)
from armillary.cli.story.playing import require
from armillary.cli.story.stage import DeviceOnStage
from armillary.content import applications
from armillary.errors import ArmillaryError
from armillary.sim.equipment.cable import ZONES

TPM_STEPS: Final = frozenset({16, 20})  # of attest/appraise.py: what a TPM quotes, and the firmware log it quotes
VISITS: Final = 6


def start_the_service(stage: Site) -> str:
    """The whole service in one real process."""
    started = time.monotonic()
    plug_in(stage, FIRST_DEVICES)  # they start beside it
    stage.start_service()
    return f"{stage.ready['api']} ready after {time.monotonic() - started:.1f} s"


def make_the_catalog(stage: Site) -> str:
    """A catalog, three products, the five default device groups each."""
    products = dict.fromkeys(PRODUCTS.values())
    groups = make_catalog(stage, [(product, f"{product} of the demo") for product in products])
    return f"catalog {CATALOG}, {len(products)} products, {groups} device groups"


def plug_in_the_machines(stage: Site) -> str:
    """Simulated machines speak their real protocols on serial lines; what the hub has for each kind is put there."""
    stage.notes["templates"] = {}
    documents = 0
    for name in FIRST_DEVICES:
        machine = MACHINES[name].machine
        stage.notes["templates"][machine], kinds = put_in_hub(stage, machine)
        documents += len(kinds)
        stage.where(name)
    return (
        f"espresso machine, dispenser and sensing cable on a serial line each, simulated, and they say so; "
        f"{documents} templates, rules, groups, dashboards for them"
    )


def manufacture_devices(stage: Site) -> str:
    """Three virtual devices: secret, identity key, identity certificate, boot chain."""
    stage.create_devices(FIRST_DEVICES)
    shown = stage.show(stage.devices[COFFEE])
    return (
        f"{len(FIRST_DEVICES)} devices, chip {shown['chip']}, root of trust {shown['trust_tier']} "
        f"(a file, and it says so)"
    )


def claim_devices(stage: Site) -> str:
    """Each device joins its product's Production group; its machine becomes a module of it in the hub."""
    for device in stage.devices.values():
        claim_and_wire(stage, device)
        register_machine(stage, device)
    count = stage.client.management.call("POST", f"{CATALOG_PATH}/countDevices")["value"]
    return f"{count} devices claimed into {CATALOG}, each with the machine behind it as its module in the hub"


def boot_devices(stage: Site) -> str:
    """Verified and measured boot, as three real processes."""
    for device in stage.devices.values():
        stage.power_on(device)
    stage.notes["images"] = {name: guardian(stage, name) for name in FIRST_DEVICES}  # packed while they boot
    for device in stage.devices.values():
        stage.wait(f"{device.name} checking in", lambda device=device: stage.show(device)["last_check_in_at"])  # type: ignore[misc]
    shown = stage.show(device)
    return f"{len(stage.devices)} devices booted a verified, measured chain: OS {shown['os_version']}"


def attest_and_certify(stage: Site) -> str:
    """Each device proves what it booted and gets a certificate for a day."""
    hours = []
    for device in stage.devices.values():
        shown = stage.wait(f"{device.name} attested", lambda device=device: attested(stage, device))  # type: ignore[misc]
        hours.append((shown["certificate_not_after"] - shown["last_check_in_at"]) / 3600)
        require(shown["trust_tier"] == "software", f"{device.name}: tier {shown['trust_tier']}, expected software")
    steps = stage.client.get(f"/devices/{device.device_id}/check-ins", limit=1)["items"][0]["steps"]
    # A software root of trust has nothing to quote: the steps about a TPM do not apply to it, and only those.
    steps = [step for step in steps if step["result"] != "not-run" or step["number"] not in TPM_STEPS]
    passed = sum(step["result"] == "pass" for step in steps)
    require(passed == len(steps), f"{passed} of {len(steps)} appraisal steps passed")
    return f"{passed} of {len(steps)} appraisal steps passed on each; client certificates for {min(hours):.0f} h"


def deploy_guardians(stage: Site) -> str:
    """Upload and deploy a guardian for each machine: program, signed profile, and grants for just this machine."""
    sizes = []
    for name, image in stage.notes.pop("images").items():
        upload(stage, image.package)
        deploy(stage, PRODUCTS[name], [image.image_id])
        stage.notes[name] = image.image_id
        sizes.append(len(image.package))
    return (
        f"{len(sizes)} guardians' images ({min(sizes) >> 10} to {max(sizes) >> 10} KiB, each with a signed profile) "
        f"uploaded, deployed"
    )


def run_in_the_sandbox(stage: Site) -> str:
    """Each device installs its guardian, tries it, confirms it, and says how it is contained."""
    for device in stage.devices.values():
        stage.wait(f"{device.name} confirmed", lambda device=device: confirmed(stage, device, stage.notes[device.name]))  # type: ignore[misc]
    shown = stage.show(device)
    enforced = [mechanism for mechanism, state in shown["enforcement"] if state == "enforced"]
    require(bool(enforced), f"sandbox {shown['sandbox']} enforces nothing on this host")
    stage.notes["weaker"] = [state for _, state in shown["enforcement"] if state != "enforced"]
    return f"sandbox {shown['sandbox']}: {len(enforced)} of {len(shown['enforcement'])} mechanisms enforced and tested"


def hear_telemetry(stage: Site) -> str:
    """Machines are used; what their guardians read arrives over MQTT, by the identity of each machine."""
    begin_more_cables(stage)  # they are made while the machines work
    stage.tell(COFFEE, "brew")
    stage.tell(DISPENSER, f"visit {VISITS}")
    coffee, dispenser, cable = (stage.devices[name] for name in FIRST_DEVICES)
    doses = int(stage.tell(DISPENSER, "show")["values"]["dispenseCount"])
    stage.wait("the dispenses", lambda: values(stage, dispenser).get("dispenseCount") == doses or None)
    zones = stage.wait("every zone of the cable", lambda: _zones(values(stage, cable)))
    shot = stage.wait("a shot", lambda: _shot(values(stage, coffee)))
    told = stage.wait("what they report", lambda: reported(stage, coffee).get("simulated"))
    require(told is True, "the machine does not say that it is simulated")
    metrics = sum(len(values(stage, device)) for device in (coffee, dispenser, cable))
    return (
        f"{metrics} values live; a shot of {shot['shot.shotVolume']:g} ml at {shot['shot.brewTemp']:g} °C in "
        f"{shot['shot.shotTime']:g} s (time in it passes {SPEED} times faster); dispense {doses} of the dispenser; "
        f"warmest of {ZONES} zones {max(zones):g} °C"
    )


def _zones(found: dict[str, Any]) -> list[float] | None:
    names = [f"zone{zone}_temperature" for zone in range(ZONES)]
    return [float(found[name]) for name in names] if all(name in found for name in names) else None


def _shot(found: dict[str, Any]) -> dict[str, Any] | None:
    return found if found.get("shot.shotVolume") and found.get("state") == "idle" else None


def command_a_machine(stage: Site) -> str:
    """A command in its range is done and read back, one out of it refused; a desired recipe is reported back."""
    device = stage.devices[COFFEE]
    machine = MACHINES[COFFEE].name
    answer = call(stage.client, device.device_id, machine, COMMAND, {**fresh(), "value": ALLOWED_C})
    require(answer["verified"] is True, f"{COMMAND} {ALLOWED_C:g} was not read back: {answer}")
    refusal = ""
    try:
        call(stage.client, device.device_id, machine, COMMAND, {**fresh(), "value": HARMFUL_C})
    except ArmillaryError as error:
        refusal = error.message
    require(
        "rule value" in refusal, f"{COMMAND} {HARMFUL_C:g} was not refused by its value: {refusal or 'it was done'}"
    )
    stage.client.patch(f"/devices/{device.device_id}/twin", {"desired": wanted_recipe(stage)}, module=machine)
    stage.wait("the recipe reported back", lambda: recipe_taken(reported(stage, device)))
    return (
        f"{COMMAND} {ALLOWED_C:g} °C done and read back, {HARMFUL_C:g} °C refused by the guardian (rule value); "
        f"a signed recipe set and reported back"
    )


def begin_more_cables(stage: Site) -> None:
    """Manufacture more cables, each with a machine of its own, while scenes go on that wait for others."""
    plug_in(stage, MORE_CABLES)
    stage.begin_devices(MORE_CABLES)


def bring_more_cables(stage: Site) -> None:
    """Claim and power the cables that were begun: they boot and install while the next scenes go on."""
    for cable in stage.take_devices():
        claim_and_wire(stage, cable)
        register_machine(stage, cable)
        stage.power_on(cable)


def phone_home_image(stage: Site) -> tuple[uuid.UUID, bytes]:
    """The application of ``content/applications`` that reaches for what it was not granted."""
    files = applications.load("phone_home", allowed_host=stage.ready["hub_host"], catalog_id=stage.notes["catalog_id"])
    image = packed(stage, files)
    return image.image_id, image.package


def last_heard(stage: Site, device: DeviceOnStage) -> int:
    """When the hub last got a value from the machine behind a device, Unix milliseconds."""
    path = f"/devices/{device.device_id}/telemetry"
    items = stage.client.get(path, module=MACHINES[device.name].name)["items"]
    return max((int(item["at_ms"]) for item in items), default=0)
