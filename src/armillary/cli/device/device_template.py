# SPDX-License-Identifier: Apache-2.0
"""``armillary device template|cloud-property|property``: template and property values of a device."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

import typer

from armillary.cli.platform.template_device import DryRunOption, NewestOption, TemplateOption, losses
from armillary.cli.terminal.device_reference import DeviceOption
from armillary.cli.terminal.output import Shown, noun, only, print_json, record, table
from armillary.cli.terminal.readable import readable, with_unit
from armillary.cli.terminal.remote import RemoteService, remote_command, segment
from armillary.cli.terminal.remote_names import YesOption, confirm

PROPERTY_COLUMNS = ("name", "display_name", "state", "desired", "reported", "code", "description", "fault")
VALUE_COLUMNS = ("name", "display_name", "value", "at_ms", "fault")

ModuleOption = Annotated[
    str | None,
    typer.Option("--module", "-m", metavar="ID", help="A module of the device: a machine behind a guardian."),
]
ValuesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE...", help="VALUE is JSON, or text as it stands; null takes it away.")
]


verbs = noun()
template_group = noun("The template of a device.", within=verbs, name="template")
cloud_property = noun("What operators keep of a device.", within=verbs, name="cloud-property")
property_group = noun("What operators want of a device.", within=verbs, name="property")


@remote_command(template_group, "set")
def _set(
    remote: RemoteService,
    device: DeviceOption,
    template: TemplateOption,
    version: NewestOption = None,
    dry_run: DryRunOption = False,
) -> Shown:
    """Give a device a template, or another version of it."""
    sent = {"template": template, "version": version, "dry_run": dry_run}
    found = remote.put(_place(device, "template"), sent)
    return record(found, row=only("device_id", "template", "version", "dry_run")).then(*losses(found))


@remote_command(template_group, "show")
def _show(remote: RemoteService, device: DeviceOption) -> Shown:
    """Show a device as its template sees it.

    Properties with their states, last values, and what is not modelled.
    """
    found = remote.get(_place(device, "template"))
    values = [with_unit(readable(each), "value") for each in found["telemetry"]]
    notes: list[str] = []
    misfit = found["last_misfit"]
    if misfit is not None:
        last = f"{misfit['name']}: expected {misfit['expected']}, got {misfit['got']}"
        notes.append(f"values that did not fit: {misfit['count']}; the last was {last}")
    notes += [f"not modelled: {each['name']} = {each['value']}" for each in found["unmodelled_telemetry"]]
    for name, value in found["unmodelled_properties"].items():
        notes.append(f"property not modelled: {name} = {json.dumps(value, ensure_ascii=False)}")
    notes += [f'component {name} is reported without its marker "__t": "c"' for name in found["unmarked_components"]]
    head = record(found, row=only("device_id", "template", "version", "by", "announced_model", "cloud_properties"))
    return head.then(
        "The template is not there any more: give the device another." if found["is_missing"] else None,
        "",
        table(found["properties"], PROPERTY_COLUMNS, row=_property, empty="The template has no properties."),
        "",
        table(values, VALUE_COLUMNS, empty="It has sent no values that the template has."),
        *notes,
    )


@remote_command(template_group, "unset")
def _unset(remote: RemoteService, device: DeviceOption, yes: YesOption = False) -> Shown:
    """Take a device's template away.

    Its data and cloud properties stay.
    """
    confirm(f"Take the template of device {device[:12]}... away?", yes=yes)
    return record(remote.delete(_place(device, "template")))


@remote_command(cloud_property, "show")
def _show_cloud(remote: RemoteService, device: DeviceOption, module: ModuleOption = None) -> Shown:
    """Show a device's cloud properties, or a module's."""
    return _cloud_values(remote.get(_place(device, "cloud-properties"), module=module))


@remote_command(cloud_property, "set")
def _set_cloud(
    remote: RemoteService, device: DeviceOption, values: ValuesArgument, module: ModuleOption = None
) -> Shown:
    """Change cloud properties of a device, or of a module."""
    return _cloud_values(remote.patch(_place(device, "cloud-properties"), parsed(values), module=module))


@remote_command(property_group, "set")
def _set_property(
    remote: RemoteService,
    device: DeviceOption,
    values: ValuesArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the patch that would be merged.")] = False,
) -> Shown:
    """Want values of writable properties.

    They are called [component.]name in the device's template.
    """
    if dry_run:
        patch = remote.patch(_place(device, "properties"), parsed(values), dry_run="true")
        return Shown(patch, partial(print_json, patch))
    found = remote.patch(_place(device, "properties"), parsed(values))
    writable = [each for each in found["properties"] if each["writable"]]
    return table(writable, PROPERTY_COLUMNS, row=_property, empty="The template has no writable properties.")


def parsed(values: list[str]) -> dict[str, Any]:
    """``NAME=VALUE`` pairs as JSON values; what is no JSON is text."""
    found: dict[str, Any] = {}
    for each in values:
        name, equals, text = each.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"expected NAME=VALUE, got {each[:60]!r}")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _place(device: str, what: str) -> str:
    return f"/devices/{segment(device)}/{what}"


def _property(found: dict[str, Any]) -> dict[str, Any]:
    return with_unit(found, "desired", "reported")


def _cloud_values(found: dict[str, Any]) -> Shown:
    rows = [{"name": name, "value": value} for name, value in found["values"].items()]
    return Shown(found).then(table(rows, ("name", "value"), empty="Nothing is kept of this device."))
