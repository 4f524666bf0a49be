# SPDX-License-Identifier: Apache-2.0
"""Verbs of ``armillary device`` that call the service."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.device_reference import (
    DeviceOption,
    NewNameOption,
    SearchOption,
    SortOption,
    resolve_device,
)
from armillary.cli.terminal.files import write_file
from armillary.cli.terminal.given import json_of
from armillary.cli.terminal.image_reference import OnlyImageOption, resolve_image
from armillary.cli.terminal.output import (
    Shown,
    note,
    noun,
    only,
    record,
    table,
)
from armillary.cli.terminal.readable import readable, readable_device, with_unit
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import (
    DEFAULT_RESOURCE_GROUP,
    CatalogOption,
    CatalogPath,
    LimitOption,
    OnlyCatalogOption,
    OnlyGroupOption,
    OnlyProductOption,
    OnlySupportOption,
    OutputFileOption,
    ReasonOption,
    ResourceGroupOption,
    YesOption,
    catalog_path,
    confirm,
    device_group_path,
    device_place,
    split_ids,
)
from armillary.cli.terminal.times import seconds_or_time
from armillary.wire.attestation.mechanisms import WAITING
from armillary.wire.image.naming import label_of

LIST_COLUMNS = ("name", "device_id", "health", "trust_tier", "chip", "catalog", "product", "group", "os_version")
FACTS = (
    "device_id", "name", "health", "trust_tier", "chip", "manufacturing_state", "catalog", "product", "group",
    "verdict", "last_check_in_at", "last_attested_at", "held_at", "quarantined_at", "sandbox", "os_version",
    "boot_count", "certificate_serial", "certificate_not_after", "last_refusal",
)  # fmt: skip
# Groups that create-defaults makes; the two verbs below move a device between them.
DEVELOPMENT_GROUP = "Development"
FIELD_TEST_GROUP = "Field Test"

TargetProduct = Annotated[
    str, typer.Option("--target-product", "--product", "-p", metavar="NAME", help="Product to go to.")
]
TargetGroup = Annotated[
    str, typer.Option("--target-device-group", "--device-group", "-dg", metavar="NAME", help="Device group to go to.")
]

# What a capability file allows.
CapabilityType = Literal["ApplicationDevelopment", "FieldServicing", "RfTestMode"]

verbs = noun()
capability = noun("Capability files: what one device may do more.", within=verbs, name="capability")
twin = noun("The device's twin in the hub.", within=verbs, name="twin")


@remote_command(verbs, "claim")
def _claim(
    remote: RemoteService,
    device: Annotated[
        list[str] | None, typer.Option("--device", "-d", metavar="IDS", help="Device ids, repeatable.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Or the device on this host that is in this folder.")
    ] = None,
    catalog: CatalogOption = None,
    product: Annotated[str | None, typer.Option("--product", "-p", metavar="NAME", help="Product to claim to.")] = None,
    device_group: Annotated[
        str | None, typer.Option("--device-group", "-dg", metavar="NAME", help="Device group to claim to.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", "-n", metavar="TEXT", help="What people call it, where it is one device.")
    ] = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> None:
    """Bind devices to a catalog."""
    if (device is None) == (data is None):
        raise typer.BadParameter("give either --device or --data")
    ids = [resolve_device(remote, each) for each in split_ids(device or [])] if data is None else [_device_in(data)]
    if name is not None and len(ids) != 1:
        raise typer.BadParameter(f"--name is for one device; there are {len(ids)}: armillary device rename")
    if (product is None) != (device_group is None):
        raise typer.BadParameter("--product and --device-group go together")
    path = device_group_path(
        catalog_path(remote, catalog, resource_group), product or ".default", device_group or ".unassigned"
    )
    remote.management.call("POST", f"{path}/claimDevices", {"deviceIdentifiers": ids})
    if name is not None:
        remote.put(f"/devices/{ids[0]}/name", {"name": name})
    note(f"{len(ids)} device{'s are' if len(ids) != 1 else ' is'} claimed")


def _device_in(data: Path) -> str:
    from armillary.device.state.configuration import load_configuration  # noqa: PLC0415 - other commands load no device
    from armillary.device.state.layout import DeviceFolder  # noqa: PLC0415
    from armillary.engines.flash.file import FileFlash  # noqa: PLC0415

    folder = DeviceFolder(data)
    folder.check()
    return load_configuration(FileFlash(folder.flash)).device_id


@remote_command(verbs, "assign")
def _assign(
    remote: RemoteService,
    device: DeviceOption,
    target_product: TargetProduct,
    target_device_group: TargetGroup,
    base: CatalogPath,
) -> None:
    """Move a device to a device group."""
    _move(remote, base, device, target_product, target_device_group)
    note(f"the device is in {target_product} / {target_device_group}")


@remote_command(verbs, "unassign")
def _unassign(remote: RemoteService, device: DeviceOption, base: CatalogPath) -> None:
    """Take a device out of its group.

    It stays in its catalog.
    """
    _move(remote, base, device, ".default", ".unassigned")
    note("the device is in no device group")


def _move(remote: RemoteService, base: str, device: str, product: str, device_group: str) -> None:
    target = f"{base}/products/{product}/deviceGroups/{device_group}"
    remote.management.call("PATCH", device_place(remote, base, device), {"properties": {"deviceGroupId": target}})


@remote_command(verbs, "list")
def _list(
    remote: RemoteService,
    catalog: OnlyCatalogOption = None,
    product: OnlyProductOption = None,
    device_group: OnlyGroupOption = None,
    health: Annotated[
        str | None,
        typer.Option(
            "--health",
            metavar="WORD",
            help="attested, update-only, unattested, silent, refused, never, simulated, held, quarantined or revoked.",
        ),
    ] = None,
    tier: Annotated[
        str | None, typer.Option("--trust-tier", metavar="WORD", help="simulated, software, tpm or silicon.")
    ] = None,
    os_version: Annotated[str | None, typer.Option("--os-version", metavar="VERSION", help="Only on this OS.")] = None,
    image: OnlyImageOption = None,
    support: OnlySupportOption = None,
    search: SearchOption = None,
    sort: SortOption = None,
    limit: LimitOption = None,
) -> Shown:
    """List devices."""
    if image is not None:
        image = resolve_image(remote, image, catalog)
    where = {"catalog": catalog, "product": product, "group": device_group, "search": search, "support": support}
    only = {"health": health, "tier": tier, "os_version": os_version, "image": image}
    found = remote.pages("/devices", limit=limit, sort=sort, **only, **where)
    empty = "No device. Make one on this host: armillary device create"
    return table(found, LIST_COLUMNS, row=readable_device, empty=empty)


@remote_command(verbs, "rename")
def _rename(remote: RemoteService, device: DeviceOption, name: NewNameOption) -> Shown:
    """Call a device by another name.

    It need not be unique. A new owner of the device does not see it.
    """
    found = remote.put(f"/devices/{segment(device)}/name", {"name": name})
    return record(found, row=only("device_id", "name", "catalog"))


@remote_command(verbs, "show")
def _show(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show a device, and each step of its appraisal."""
    found = remote.get(f"/devices/{segment(device)}")
    facts = record(found, row=_facts_of)
    check_in = found.get("last_check_in")
    if not check_in:
        return facts
    rows = [{"step": f"({step['number']})", **step} for step in check_in["steps"]]
    return facts.then("", table(rows, ("step", "result", "name", "prevents", "detail"), empty=""))


def _facts_of(device: Mapping[str, Any]) -> dict[str, Any]:
    return readable({**{name: device.get(name) for name in FACTS}, "sandbox": sandbox_words(device)})


def sandbox_words(device: Mapping[str, Any]) -> str:
    """The engine that contains its applications, and which mechanisms do not hold; "" if the device has not said."""
    sandbox: str = device["sandbox"]
    lacking = [name for name, state in device["enforcement"] if state != "enforced"]
    if sandbox == WAITING:
        return f"{sandbox}: no application runs until it holds; why: armillary device insights"
    if not lacking:
        return sandbox
    return f"{sandbox}, without {len(lacking)} of {len(device['enforcement'])} mechanisms: {', '.join(lacking)}"


@remote_command(verbs, "show-count")
def _show_count(
    remote: RemoteService,
    catalog: CatalogOption = None,
    product: OnlyProductOption = None,
    device_group: OnlyGroupOption = None,
    resource_group: ResourceGroupOption = DEFAULT_RESOURCE_GROUP,
) -> Shown:
    """Count devices."""
    path = catalog_path(remote, catalog, resource_group)
    if device_group is not None and product is None:
        raise typer.BadParameter("--device-group needs --product")
    if product is not None:
        path = f"{path}/products/{segment(product)}"
    if device_group is not None:
        path = f"{path}/deviceGroups/{segment(device_group)}"
    counted = remote.management.call("POST", f"{path}/countDevices")
    return record(counted, row=lambda found: {"devices": found["value"]})


@remote_command(verbs, "show-deployment-status")
def _deployment_status(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show whether a device runs its deployment.

    If it does not, the text says why not.
    """
    found = remote.get(f"/devices/{segment(device)}/deployment")
    empty = "The device said nothing about its applications yet."
    rows = [{**each, "name": label_of(each)} for each in found["images"]]
    images = table(rows, ("name", "image_id", "wanted", "installed", "state"), empty=empty)
    return record(found, row=only("status", "deployment_id", "reason")).then("", images)


@remote_command(verbs, "enable-development")
def _enable_development(
    remote: RemoteService,
    *,
    device: DeviceOption,
    output_file: Annotated[
        Path, typer.Option("--output-file", metavar="FILE", help="Capability file to write; - is stdout.")
    ],
    device_group: Annotated[
        str, typer.Option("--device-group", "-dg", metavar="NAME", help="Development group of the device's product.")
    ] = DEVELOPMENT_GROUP,
    base: CatalogPath,
) -> None:
    """Move a device to its development group.

    Also writes the capability file that lets it run packages signed by a development key.
    """
    _move(remote, base, device, _product_of(remote, device), device_group)
    _write_capability(remote, base, device, "ApplicationDevelopment", output_file)


@remote_command(verbs, "enable-cloud-test")
def _enable_cloud_test(
    remote: RemoteService,
    *,
    device: DeviceOption,
    device_group: Annotated[
        str, typer.Option("--device-group", "-dg", metavar="NAME", help="Test group of the device's product.")
    ] = FIELD_TEST_GROUP,
    base: CatalogPath,
) -> None:
    """Move a device to its field test group.

    There it gets deployments from the service.
    """
    _move(remote, base, device, _product_of(remote, device), device_group)
    note(f"the device is in {device_group}; remove its development capability for deployments to be installed")


def _product_of(remote: RemoteService, device: str) -> str:
    return str(remote.get(f"/devices/{segment(device)}").get("product") or ".default")


@remote_command(verbs, "revoke")
def _revoke(remote: RemoteService, device: DeviceOption, reason: ReasonOption, yes: YesOption = False) -> Shown:
    """Withdraw a device's identity.

    It is refused until it is restored, and its connection to the hub is closed.
    """
    confirm(f"Revoke device {device[:12]}...? It is refused and disconnected at once.", yes=yes)
    found = remote.post(f"/devices/{segment(device)}/revoke", {"reason": reason})
    return record(found, row=only("device_id", "health"))


@remote_command(verbs, "restore")
def _restore(remote: RemoteService, device: DeviceOption) -> Shown:
    """Let a revoked device in again.

    It still has to prove itself.
    """
    return record(remote.post(f"/devices/{segment(device)}/restore"), row=only("device_id", "health"))


@remote_command(verbs, "quarantine")
def _quarantine(
    remote: RemoteService,
    device: DeviceOption,
    reason: ReasonOption,
    lasts: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="When it ends by itself, such as 7d; else: device release."),
    ] = None,
    yes: YesOption = False,
) -> Shown:
    """Let a device update, and do nothing else.

    It gets update certificates only; the hub refuses it and closes its connections.
    """
    seconds = None if lasts is None else seconds_or_time(lasts, "--for")
    confirm(f"Put device {device[:12]}... into quarantine? The hub refuses it at once.", yes=yes)
    found = remote.post(f"/devices/{segment(device)}/quarantine", {"reason": reason, "lifetime_s": seconds})
    return record(found, row=only("device_id", "health", "quarantined_at", "quarantined_until"))


@remote_command(verbs, "release")
def _release(remote: RemoteService, device: DeviceOption, yes: YesOption = False) -> Shown:
    """Take a device out of quarantine or a hold.

    A device is held when two machines seem to have its identity. Whichever of them proves itself next becomes the
    device; two that go on are found and held again.
    """
    what = "It is let in again; if it was held, the next machine that proves its identity becomes the device."
    confirm(f"Release device {device[:12]}... from quarantine or hold? {what}", yes=yes)
    return record(remote.post(f"/devices/{segment(device)}/release"), row=only("device_id", "health"))


@remote_command(verbs, "check-ins")
def _check_ins(remote: RemoteService, device: DeviceOption, limit: LimitOption = 20) -> Shown:
    """List a device's check-ins, newest first."""
    found = remote.pages(f"/devices/{segment(device)}/check-ins", limit=limit)
    columns = ("at", "verdict", "boot_count", "os_version", "certificate_serial", "deployment_id")
    return table(found, columns, row=readable, empty="The device has not checked in yet.")


@remote_command(verbs, "telemetry")
def _telemetry(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show the last value of each of a device's metrics."""
    found = remote.get(f"/devices/{segment(device)}/telemetry")["items"]
    empty = "The device has sent no telemetry yet."
    return table(found, ("metric", "display_name", "value", "at_ms"), row=_value, empty=empty)


@remote_command(verbs, "invoke")
def _invoke(
    remote: RemoteService,
    device: DeviceOption,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="Direct method.")],
    payload: Annotated[str, typer.Option("--payload", metavar="JSON", help="What the method gets.")] = "null",
    timeout_s: Annotated[
        int, typer.Option("--timeout", min=1, max=300, metavar="SECONDS", help="Seconds to wait for the answer.")
    ] = 30,
    connect_timeout_s: Annotated[
        int,
        typer.Option(
            "--connect-timeout",
            min=0,
            max=300,
            metavar="SECONDS",
            help="Seconds to wait for a device that is not connected.",
        ),
    ] = 10,
) -> Shown:
    """Call a direct method of a device.

    A device that is not connected is waited for, so that one which is just starting answers.
    """
    body = {"payload": json_of("--payload", payload), "timeout_s": timeout_s, "connect_timeout_s": connect_timeout_s}
    return record(remote.post(f"/devices/{segment(device)}/methods/{segment(method)}", body))


@remote_command(capability, "download")
def _capability_download(
    remote: RemoteService,
    device: DeviceOption,
    output_file: OutputFileOption,
    kind: Annotated[CapabilityType, typer.Option("--type", "-t", help="What to allow.")],
    base: CatalogPath,
) -> None:
    """Write a capability file for one device."""
    _write_capability(remote, base, device, kind, output_file)


def _write_capability(remote: RemoteService, base: str, device: str, kind: CapabilityType, output_file: Path) -> None:
    place = device_place(remote, base, device)
    made = remote.management.call("POST", f"{place}/generateCapabilityImage", {"capabilities": [kind]})
    write_file(output_file, base64.b64decode(made["image"]))
    note(f"{kind} for device {device[:12]}... is written to {output_file}")


@remote_command(twin, "show")
def _twin_show(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show a device's twin."""
    return _twin(remote.get(f"/devices/{segment(device)}/twin"))


@remote_command(twin, "update")
def _twin_update(
    remote: RemoteService,
    device: DeviceOption,
    desired: Annotated[str, typer.Option("--desired", metavar="JSON", help="Desired properties; null removes one.")],
) -> Shown:
    """Merge desired properties into a device's twin."""
    body = {"desired": json_of("--desired", desired)}
    return _twin(remote.patch(f"/devices/{segment(device)}/twin", body))


def _twin(twin: dict[str, Any]) -> Shown:
    """A twin as JSON, or a line for each property: what is wanted of the device beside what it reports."""
    desired, reported = (
        {name: value for name, value in twin["properties"][side].items() if not name.startswith("$")}
        for side in ("desired", "reported")
    )
    names = sorted(desired.keys() | reported.keys())
    rows = [{"property": name, "desired": desired.get(name), "reported": reported.get(name)} for name in names]
    properties = table(rows, ("property", "desired", "reported"), empty="The twin has no properties yet.")
    return record(twin, row=only("deviceId", "etag", "version", "tags")).then("", properties)


def _value(row: dict[str, Any]) -> dict[str, Any]:
    return with_unit(readable(row), "value")
