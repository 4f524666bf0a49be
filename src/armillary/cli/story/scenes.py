# SPDX-License-Identifier: Apache-2.0
"""The first half of the demo: devices are made, attest, get applications, are sandboxed and send telemetry."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from typing import Any

from armillary.cli.release.development_key import pair_in
from armillary.cli.story.stage import DeviceOnStage, Stage
from armillary.cli.terminal.management import SUBSCRIPTION
from armillary.cli.terminal.remote import segment
from armillary.content import applications
from armillary.wire.image import application as application_package

CATALOG = "Northwind"
CATALOG_PATH = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/default/providers/Microsoft.AzureSphere/catalogs/{CATALOG}"
)
GROUP = "Production"
NEW_LIMIT_A = 10
# device (and application) -> its product
TPM_STEPS = frozenset({16, 20})  # of attest/appraise.py: what a TPM quotes, and the firmware log it quotes
PRODUCTS = {
    "coffee_machine_guardian": "Coffee machine guardian",
    "sanitiser_dispenser": "Sanitiser dispenser",
    "smart_cable": "Smart cable",
}


def group_path(product: str) -> str:
    """Management path of a product's Production group."""
    return f"{CATALOG_PATH}/products/{segment(product)}/deviceGroups/{GROUP}"


def start_the_service(stage: Stage) -> str:
    """The whole service in one real process."""
    started = time.monotonic()
    stage.start_service()
    return f"{stage.ready['api']} ready after {time.monotonic() - started:.1f} s"


def make_the_catalog(stage: Stage) -> str:
    """A catalog, three products, the five default device groups each."""
    catalog = stage.client.management.call("PUT", CATALOG_PATH, {"location": "Global"})
    stage.notes["catalog_id"] = uuid.UUID(catalog["properties"]["tenantId"])
    groups = 0
    for product in PRODUCTS.values():
        path = f"{CATALOG_PATH}/products/{segment(product)}"
        stage.client.management.call("PUT", path, {"properties": {"description": f"{product} of the demo"}})
        made = stage.client.management.call("POST", f"{path}/generateDefaultDeviceGroups")
        groups += len(made["value"])
    return f"catalog {CATALOG}, {len(PRODUCTS)} products, {groups} device groups"


def manufacture_devices(stage: Stage) -> str:
    """Three virtual devices: secret, identity key, identity certificate, boot chain."""
    stage.create_devices(PRODUCTS)
    shown = stage.show(stage.devices["smart_cable"])
    return (
        f"{len(PRODUCTS)} devices, chip {shown['chip']}, root of trust {shown['trust_tier']} (a file, and it says so)"
    )


def claim_devices(stage: Stage) -> str:
    """Each device joins its product's Production group."""
    for name, product in PRODUCTS.items():
        claim(stage, stage.devices[name], product)
    count = stage.client.management.call("POST", f"{CATALOG_PATH}/countDevices")["value"]
    return f"{count} devices claimed into {CATALOG}"


def claim(stage: Stage, device: DeviceOnStage, product: str) -> None:
    """Claim one device into a product's Production group."""
    stage.client.management.call(
        "POST", f"{group_path(product)}/claimDevices", {"deviceIdentifiers": [device.device_id]}
    )


def boot_devices(stage: Stage) -> str:
    """Verified and measured boot, as three real processes."""
    for device in stage.devices.values():
        stage.power_on(device)
    for device in stage.devices.values():
        stage.wait(f"{device.name} checking in", lambda device=device: stage.show(device)["last_check_in_at"])  # type: ignore[misc]
    shown = stage.show(stage.devices["smart_cable"])
    return f"3 devices booted a verified, measured chain: OS {shown['os_version']}"


def attest_and_certify(stage: Stage) -> str:
    """Each device proves what it booted and gets a certificate for a day."""
    hours = []
    for device in stage.devices.values():
        shown = stage.wait(f"{device.name} attested", lambda device=device: _attested(stage, device))  # type: ignore[misc]
        hours.append((shown["certificate_not_after"] - shown["last_check_in_at"]) / 3600)
        require(shown["trust_tier"] == "software", f"{device.name}: tier {shown['trust_tier']}, expected software")
    steps = stage.client.get(f"/devices/{device.device_id}/check-ins", limit=1)["items"][0]["steps"]
    # A software root of trust has nothing to quote: the steps about a TPM do not apply to it, and only those.
    steps = [step for step in steps if step["result"] != "not-run" or step["number"] not in TPM_STEPS]
    passed = sum(step["result"] == "pass" for step in steps)
    require(passed == len(steps), f"{passed} of {len(steps)} appraisal steps passed")
    return f"{passed} of {len(steps)} appraisal steps passed on each; client certificates for {min(hours):.0f} h"


def deploy_applications(stage: Stage) -> str:
    """Pack three real applications, upload them, deploy them."""
    sizes = []
    for name, product in PRODUCTS.items():
        image_id, package = pack(stage, name)
        upload(stage, package)
        deploy(stage, product, [image_id])
        stage.notes[name] = image_id
        sizes.append(len(package))
    return f"3 image packages ({min(sizes) >> 10} to {max(sizes) >> 10} KiB) signed, uploaded, deployed"


def pack(stage: Stage, application: str) -> tuple[uuid.UUID, bytes]:
    """Pack an application of ``content/applications`` for this play's hub and catalog."""
    files: Mapping[str, bytes] = applications.load(
        application, allowed_host=stage.ready["hub_host"], catalog_id=stage.notes["catalog_id"]
    )
    key, certificate = pair_in(stage.folder / "developer")
    image_id = uuid.uuid4()
    package = application_package.pack(
        files, image_id=image_id, built=int(time.time()), key=key, certificate=certificate
    )
    return image_id, package


def upload(stage: Stage, package: bytes) -> None:
    """Upload a package to the catalog."""
    body = {"properties": {"image": base64.b64encode(package).decode("ascii")}}
    stage.client.management.call("POST", f"{CATALOG_PATH}/uploadImage", body)


def deploy(stage: Stage, product: str, images: list[uuid.UUID]) -> None:
    """Make a set of images the deployment of a product's Production group."""
    body = {"properties": {"deployedImages": [{"properties": {"imageId": str(image)}} for image in images]}}
    stage.client.management.call("PUT", f"{group_path(product)}/deployments/.default", body)


def run_in_the_sandbox(stage: Stage) -> str:
    """Each device installs its application, tries it, confirms it, and says how it is contained."""
    for name in PRODUCTS:
        device = stage.devices[name]
        stage.wait(f"{name} confirmed", lambda device=device, name=name: confirmed(stage, device, stage.notes[name]))  # type: ignore[misc]
    shown = stage.show(stage.devices["smart_cable"])
    enforced = [mechanism for mechanism, state in shown["enforcement"] if state == "enforced"]
    require(bool(enforced), f"sandbox {shown['sandbox']} enforces nothing on this host")
    stage.notes["weaker"] = [state for _, state in shown["enforcement"] if state != "enforced"]
    return f"sandbox {shown['sandbox']}: {len(enforced)} of {len(shown['enforcement'])} mechanisms enforced and tested"


def confirmed(stage: Stage, device: DeviceOnStage, image_id: uuid.UUID) -> bool:
    """Whether the device runs this image and no trial is under way."""
    installed = stage.show(device)["installed"]
    return any(image["image_id"] == str(image_id) and image["state"] == "running" for image in installed)


def hear_telemetry(stage: Stage) -> str:
    """Every application's values arrive over MQTT with its device's certificate."""
    heard: dict[str, dict[str, Any]] = {}
    for name in PRODUCTS:
        device = stage.devices[name]
        heard[name] = stage.wait(f"telemetry of {name}", lambda device=device: last_values(stage, device) or None)  # type: ignore[misc]
    values = ", ".join(
        f"{metric} {value:g}"
        for metric, value in sorted(heard["coffee_machine_guardian"].items())
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    )
    return f"{sum(map(len, heard.values()))} metrics live; coffee machine: {values}"


def last_values(stage: Stage, device: DeviceOnStage) -> dict[str, Any]:
    """Last value of each metric of a device."""
    shown = stage.client.get(f"/devices/{device.device_id}/telemetry")
    return {metric["metric"]: metric["value"] for metric in shown["items"]}


def command_a_device(stage: Stage) -> str:
    """A desired property reaches the application and is reported back; a direct method answers."""
    device = stage.devices["smart_cable"]
    path, call = f"/devices/{device.device_id}", {"payload": {"closed": True}}
    stage.client.patch(f"{path}/twin", {"desired": {"currentLimit": NEW_LIMIT_A}})
    stage.wait(
        "the reported property",
        lambda: _reported(stage.client.get(f"{path}/twin")).get("currentLimit") == NEW_LIMIT_A or None,
    )
    # With a new certificate every second the application reconnects often; a call between two connections is refused.
    answer = stage.wait("the method's answer", lambda: stage.client.post(f"{path}/methods/switch", call))
    require(answer["status"] == 200, f"the method answered {answer['status']}")
    return f"currentLimit {NEW_LIMIT_A} A set and reported back; method switch answered {answer['payload']}"


def _reported(twin: Mapping[str, Any]) -> Mapping[str, Any]:
    reported: Mapping[str, Any] = twin["properties"]["reported"]
    return reported


def _attested(stage: Stage, device: DeviceOnStage) -> dict[str, Any] | None:
    shown = stage.show(device)
    return shown if shown["verdict"] == "attested" else None


def in_state(stage: Stage, path: str, state: str) -> dict[str, Any] | None:
    """The roll-out of a path once it is in a state; None before."""
    rollout: dict[str, Any] = stage.client.get(path)
    return rollout if rollout["state"] == state else None


def require(holds: bool, otherwise: str) -> None:
    """Go on only when ``holds``; else the scene has failed with the sentence ``otherwise``."""
    if not holds:
        raise SceneError(otherwise)


class SceneError(Exception):
    """A scene saw something other than it must."""
