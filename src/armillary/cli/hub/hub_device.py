# SPDX-License-Identifier: Apache-2.0
"""``armillary hub-device``: clients of the hub that do not attest, their keys and modules, and their admission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.device_reference import DeviceOption, NewNameOption, SearchOption
from armillary.cli.terminal.output import Shown, note, noun, only, present, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm, in_catalog

app = noun("Hub devices: clients with a key or certificate of their own that attest nothing.")
module = noun("Modules of a device.")
app.add_typer(module, name="module")

COLUMNS = ("name", "device_id", "trust_tier", "authentication", "enabled", "connected", "created_at")
MODULE_COLUMNS = ("module_id", "authentication", "enabled", "connected")

NewIdOption = Annotated[str, typer.Option("--device", "-d", metavar="ID", help="Device id.")]
NameOption = Annotated[str, typer.Option("--name", "-n", metavar="TEXT", help="What people call it.")]
ModuleOption = Annotated[str, typer.Option("--module", "-m", metavar="ID", help="Module id.")]
CertificateOption = Annotated[Path | None, typer.Option("--certificate", metavar="FILE", help="Its certificate, PEM.")]

# On or off.
Switch = Literal["on", "off"]


@remote_command(app, "admission")
def admission(
    remote: RemoteService,
    catalog: CatalogOption = None,
    certificates: Annotated[
        Switch | None, typer.Option("--certificates", help="Let in hub devices with certificates of their own.")
    ] = None,
    symmetric_keys: Annotated[
        Switch | None, typer.Option("--symmetric-keys", help="Let in hub devices with symmetric keys.")
    ] = None,
) -> Shown:
    """Show or change what a catalog admits.

    Without a change it admits devices that attest, and nothing else.
    """
    path = in_catalog(remote, catalog, "hub-admission")
    change = {"certificates": certificates, "symmetric_keys": symmetric_keys}
    body = {name: value == "on" for name, value in change.items() if value is not None}
    return record(remote.patch(path, body) if body else remote.get(path), row=readable)


@remote_command(app, "create")
def create(
    remote: RemoteService,
    device: NewIdOption,
    name: NameOption = "",
    catalog: CatalogOption = None,
    certificate: CertificateOption = None,
) -> Shown:
    """Register a hub device.

    With its certificate, or with symmetric keys that are shown this once.
    """
    body: dict[str, Any] = {"device_id": device, "name": name, "authentication": "sas"}
    if certificate is not None:
        body.update(authentication="selfSigned", certificate=certificate.read_text("utf-8"))
    made = remote.post(in_catalog(remote, catalog, "hub-devices"), body)
    return _with_keys(made)


@remote_command(app, "list")
def list_(
    remote: RemoteService,
    catalog: CatalogOption = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Only ids that begin so.")] = "",
    search: SearchOption = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="WORD", help="name, authentication, created_at...; falling with - before it."),
    ] = None,
) -> Shown:
    """List a catalog's hub devices."""
    path = in_catalog(remote, catalog, "hub-devices")
    found = remote.pages(path, device_id_prefix=prefix or None, search=search, sort=sort)
    return table(found, COLUMNS, row=readable, empty="There is none: armillary hub-device create --device ID.")


@remote_command(app, "show")
def show(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show a hub device."""
    found = remote.get(f"/hub-devices/{segment(device)}")
    modules = ", ".join(each["module_id"] for each in found["modules"])
    facts = only(*(name for name in found if name != "modules"))
    shown = record(found, row=lambda device: readable(facts(device)))
    return shown.then(f"\nmodules: {modules}" if modules else None)


@remote_command(app, "update")
def update(
    remote: RemoteService,
    device: DeviceOption,
    enabled: Annotated[Switch | None, typer.Option("--enabled", help="Whether it may connect.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why (not).")] = None,
    new_keys: Annotated[bool, typer.Option("--new-keys", help="Make new symmetric keys, shown this once.")] = False,
    certificate: CertificateOption = None,
) -> Shown:
    """Change a hub device; its open connection ends."""
    body: dict[str, Any] = {"new_keys": new_keys}
    if enabled is not None:
        body["enabled"] = enabled == "on"
    if reason is not None:
        body["status_reason"] = reason
    if certificate is not None:
        body["certificate"] = certificate.read_text("utf-8")
    return _with_keys(remote.patch(f"/hub-devices/{segment(device)}", body))


@remote_command(app, "rename")
def rename(remote: RemoteService, device: DeviceOption, name: NewNameOption) -> Shown:
    """Call a hub device by another name."""
    return record(remote.put(f"/devices/{segment(device)}/name", {"name": name}))


@remote_command(app, "delete")
def delete(remote: RemoteService, device: DeviceOption, yes: YesOption = False) -> None:
    """Delete a hub device with its modules."""
    confirm(f"Delete hub device {device}?", yes=yes)
    remote.delete(f"/hub-devices/{segment(device)}")
    note(f"{device} is deleted")


@remote_command(module, "create")
def module_create(
    remote: RemoteService,
    device: DeviceOption,
    module_id: ModuleOption,
    symmetric_keys: Annotated[
        bool, typer.Option("--symmetric-keys", help="Keys of its own; without, it shows what its device shows.")
    ] = False,
) -> Shown:
    """Register a module of a device, hub device or one that attests."""
    body = {"module_id": module_id, "authentication": "sas" if symmetric_keys else "device"}
    return _with_keys(remote.post(f"/hub-devices/{segment(device)}/modules", body))


@remote_command(module, "list")
def module_list(remote: RemoteService, device: DeviceOption) -> Shown:
    """List the modules of a device."""
    found = remote.get(f"/hub-devices/{segment(device)}/modules")["items"]
    return table(found, MODULE_COLUMNS, row=readable, empty="It has none.")


@remote_command(module, "delete")
def module_delete(remote: RemoteService, device: DeviceOption, module_id: ModuleOption, yes: YesOption = False) -> None:
    """Delete a module."""
    confirm(f"Delete module {module_id} of {device[:12]}?", yes=yes)
    remote.delete(f"/hub-devices/{segment(device)}/modules/{segment(module_id)}")
    note(f"{module_id} is deleted")


def _with_keys(made: dict[str, Any]) -> Shown:
    names = ("device_id", "name", "module_id", "trust_tier", "authentication", "enabled")
    keys = ("primary_key", "secondary_key", "connection_string")
    return record(made, row=present(*names, *keys)).then(
        "The keys are shown this once." if "primary_key" in made else None
    )
