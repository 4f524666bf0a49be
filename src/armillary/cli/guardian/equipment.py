# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian equipment``: the pieces of equipment of a guardian, as modules of its device in the hub."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from armillary.cli.guardian.device_arguments import DeviceArgument, EquipmentArgument
from armillary.cli.guardian.profile_file import read_profile_file
from armillary.cli.terminal.authored import id_of
from armillary.cli.terminal.output import Shown, note, noun, record, table
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import CatalogOption, YesOption, confirm
from armillary.guard.interface import dtdl_interface
from armillary.wire.equipment.profile import Profile

app = noun("Equipment of a guardian: modules of its device in the hub.")

COLUMNS = ("equipment", "connected", "enabled", "template")


@remote_command(app, "add")
def add(
    remote: RemoteService,
    device: DeviceArgument,
    equipment: EquipmentArgument,
    profile: Annotated[
        str,
        typer.Option("--profile", metavar="NAME|FILE", help="guard/coffee, a YAML file or a signed profile (.dsse)."),
    ],
    catalog: CatalogOption = None,
) -> Shown:
    """Register a piece of equipment with the hub.

    It has the template that its profile makes.

    The template is made, or made anew where the profile has changed, and published.
    """
    found = read_profile_file(profile)
    path = f"/hub-devices/{segment(device)}/modules"
    there = [each["module_id"] for each in remote.get(path)["items"]]
    template, version = _template(remote, found, catalog)  # First: equipment without a template would be half done
    if equipment not in there:
        remote.post(path, {"module_id": equipment})
    remote.put(f"/devices/{segment(device)}/template", {"template": template, "version": version}, module=equipment)
    return record(
        {"device_id": device, "equipment": equipment, "profile": found.name, "template": template, "version": version}
    )


@remote_command(app, "list")
def list_equipment(remote: RemoteService, device: DeviceArgument) -> Shown:
    """List the equipment of a guardian."""
    found = remote.get(f"/hub-devices/{segment(device)}/modules")["items"]
    rows = []
    for each in found:
        given = remote.get(f"/devices/{segment(device)}/template", module=each["module_id"])
        rows.append({**each, "equipment": each["module_id"], "template": given["template"]})
    return table(rows, COLUMNS, empty="It has none; add one: armillary guardian equipment add.")


@remote_command(app, "remove")
def remove(remote: RemoteService, device: DeviceArgument, equipment: EquipmentArgument, yes: YesOption = False) -> None:
    """Take equipment out of the hub, with twin and messages."""
    confirm(f"Remove {equipment} of {device[:12]}?", yes=yes)
    remote.delete(f"/hub-devices/{segment(device)}/modules/{segment(equipment)}")
    note(f"{equipment} is removed")


def _template(remote: RemoteService, profile: Profile, catalog: str | None) -> tuple[str, int]:
    """Name and newest version of the template that a profile makes, published where it differs from the last."""
    name, interface = id_of(profile.name), dtdl_interface(profile)
    documents = [{"name": f"{profile.name}.json", "content": json.dumps(interface, ensure_ascii=False)}]
    sent: dict[str, Any] = {"documents": documents, "root": None, "display_name": profile.title}
    there = (each["versions"] for each in remote.pages("/templates", catalog=catalog) if each["name"] == name)
    published = max(next(there, ()), default=0)
    if published:
        stands = remote.get(f"/templates/{segment(name)}/versions/{published}", catalog=catalog)["body"]
        if stands["root"] == interface["@id"] and interface in stands["models"]:
            return name, published
    remote.post(f"/templates/{segment(name)}/import", sent, catalog=catalog)
    return name, int(remote.post(f"/templates/{segment(name)}/publish", catalog=catalog)["version"])
