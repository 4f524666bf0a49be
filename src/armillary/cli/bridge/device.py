# SPDX-License-Identifier: Apache-2.0
"""``armillary bridge device``: controllers of hawkBit's DDI, their tokens and what they were told to install."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from armillary.cli.terminal.files import read_file
from armillary.cli.terminal.output import Shown, counted, note, noun, only, record, table
from armillary.cli.terminal.readable import readable
from armillary.cli.terminal.remote import RemoteService, remote_command
from armillary.cli.terminal.remote_names import (
    CatalogOption,
    DeviceGroupOption,
    LimitOption,
    ProductOption,
    YesOption,
    confirm,
    in_catalog,
)
from armillary.errors import InvalidArgumentError
from armillary.service.bridge.tokens import checked_token
from armillary.wire.hawkbit.controller import is_controller

app = noun("Bridged devices: they attest nothing.")

COLUMNS = ("controller", "trust_tier", "product", "group", "polled_at", "installed")
ACTION_COLUMNS = ("action", "state", "reason", "deployment_id", "created_at", "finished_at")
HISTORY_COLUMNS = ("at", "event", "progress", "code", "messages")
# Ids and tokens of a hundred thousand devices.
MAX_LIST_BYTES = 48 << 20

IdOption = Annotated[str, typer.Option("--id", metavar="ID", help="Controller id.")]
ActionOption = Annotated[int, typer.Option("--action", min=1, metavar="N", help="Number of an action.")]


@remote_command(app, "create")
def create(
    remote: RemoteService,
    controller: IdOption,
    product: ProductOption,
    device_group: DeviceGroupOption,
    catalog: CatalogOption = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The token that it has already; - is stdin.")
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="It shows something else.")] = False,
) -> Shown:
    """Make a bridged device.

    A token that is made for it is shown this once.
    """
    body: dict[str, Any] = {"controller": controller, "product": product, "group": device_group}
    if no_token:
        body["token"] = ""
    elif token_file is not None:
        body["token"] = read_file(token_file, limit=1024).decode("ascii", "replace").strip()
    return _with_token(remote.post(in_catalog(remote, catalog, "bridge-devices"), body))


@remote_command(app, "import")
def import_(
    remote: RemoteService,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="CSV: id and token in each line; - is stdin.")],
    product: ProductOption,
    device_group: DeviceGroupOption,
    catalog: CatalogOption = None,
) -> None:
    """Make the devices of a list.

    Each gets the token that it has. What is there already is left alone.
    """
    path = in_catalog(remote, catalog, "bridge-devices")
    known = {each["controller"] for each in remote.pages(path)}
    rows = _rows(read_file(file, limit=MAX_LIST_BYTES).decode("utf-8", "replace"))
    new = [(controller, token) for controller, token in rows if controller not in known]
    for controller, token in new:
        body = {"controller": controller, "token": token, "product": product, "group": device_group}
        remote.post(path, body)
    note(f"{counted(len(new), 'device')} made, {len(rows) - len(new)} there before")


@remote_command(app, "list")
def list_(
    remote: RemoteService,
    catalog: CatalogOption = None,
    prefix: Annotated[str | None, typer.Option("--prefix", metavar="TEXT", help="Only ids that begin so.")] = None,
    limit: LimitOption = None,
) -> Shown:
    """List a catalog's bridged devices."""
    found = remote.pages(in_catalog(remote, catalog, "bridge-devices"), prefix=prefix, limit=limit)
    return table(found, COLUMNS, row=_row, empty="There is none: armillary bridge device create --id ID.")


@remote_command(app, "show")
def show(remote: RemoteService, controller: IdOption, catalog: CatalogOption = None) -> Shown:
    """Show a bridged device, with what it tells about itself."""
    return record(remote.get(in_catalog(remote, catalog, "bridge-devices", controller)), row=_row)


@remote_command(app, "move")
def move(
    remote: RemoteService,
    controller: IdOption,
    product: ProductOption,
    device_group: DeviceGroupOption,
    catalog: CatalogOption = None,
) -> Shown:
    """Put a bridged device into another device group."""
    path = in_catalog(remote, catalog, "bridge-devices", controller)
    return record(remote.patch(path, {"product": product, "group": device_group}), row=_row)


@remote_command(app, "token")
def token(
    remote: RemoteService,
    controller: IdOption,
    catalog: CatalogOption = None,
    off: Annotated[bool, typer.Option("--off", help="Give it none.")] = False,
) -> Shown:
    """Give a bridged device a new token.

    It is shown this once; the one before is refused.
    """
    path = in_catalog(remote, catalog, "bridge-devices", controller, "token")
    return _with_token(remote.put(path, {"token": "" if off else None}))


@remote_command(app, "actions")
def actions(
    remote: RemoteService, controller: IdOption, catalog: CatalogOption = None, limit: LimitOption = None
) -> Shown:
    """List what a device was told to install, newest first."""
    found = remote.pages(in_catalog(remote, catalog, "bridge-devices", controller, "actions"), limit=limit)
    return table(found, ACTION_COLUMNS, row=readable, empty="Nothing was offered to it yet.")


@remote_command(app, "action")
def action(remote: RemoteService, controller: IdOption, number: ActionOption, catalog: CatalogOption = None) -> Shown:
    """Show what a device said of an action, oldest first."""
    path = in_catalog(remote, catalog, "bridge-devices", controller, "actions", str(number))
    return table(remote.get(path)["history"], HISTORY_COLUMNS, row=_line, empty="It has said nothing.")


@remote_command(app, "cancel")
def cancel(
    remote: RemoteService,
    controller: IdOption,
    number: ActionOption,
    catalog: CatalogOption = None,
    yes: YesOption = False,
) -> Shown:
    """Ask a device to cancel its open action.

    That deployment is not offered to it again.
    """
    confirm(f"Cancel action {number} of {controller}?", yes=yes)
    path = in_catalog(remote, catalog, "bridge-devices", controller, "actions", str(number), "cancel")
    return record(remote.post(path), row=readable)


@remote_command(app, "retry")
def retry(remote: RemoteService, controller: IdOption, catalog: CatalogOption = None) -> Shown:
    """Offer a device again what failed there.

    Also what a person canceled.
    """
    return record(remote.post(in_catalog(remote, catalog, "bridge-devices", controller, "retry")), row=_row)


@remote_command(app, "delete")
def delete(remote: RemoteService, controller: IdOption, catalog: CatalogOption = None, yes: YesOption = False) -> None:
    """Take a bridged device out of service."""
    confirm(f"Delete bridged device {controller}?", yes=yes)
    remote.delete(in_catalog(remote, catalog, "bridge-devices", controller))
    note(f"{controller} is deleted")


def _row(found: dict[str, Any]) -> dict[str, Any]:
    installed = ", ".join(each["name"] for each in found["installed"]) or "nothing of ours"
    attributes = ", ".join(f"{name}={value}" for name, value in found["attributes"].items())
    return {**readable(found), "installed": installed, "attributes": attributes}


def _line(said: dict[str, Any]) -> dict[str, Any]:
    return {**readable(said), "messages": "; ".join(said["messages"])}


def _with_token(made: dict[str, Any]) -> Shown:
    names = ("controller", "trust_tier", "product", "group", "has_token", *(("token",) if "token" in made else ()))
    return record(made, row=only(*names)).then("The token is shown this once." if "token" in made else None)


def _rows(text: str) -> list[tuple[str, str]]:
    """Ids and tokens of a list, all of it checked before a device is made; InvalidArgumentError names the line."""
    reader, found = csv.reader(io.StringIO(text)), dict[str, str]()
    for row in reader:
        if not row or row[0].startswith("#"):
            continue
        if len(row) != 2:
            raise _bad_line(reader.line_num, f"expected id,token, got {len(row)} fields")
        controller, token = (field.strip() for field in row)
        if not is_controller(controller):
            raise _bad_line(reader.line_num, f"expected a controller id, got {controller!a:.80}")
        if controller in found:
            raise _bad_line(reader.line_num, f"{controller!a:.80} is there twice")
        try:
            found[controller] = token and checked_token(token)
        except InvalidArgumentError as error:
            raise _bad_line(reader.line_num, error.message) from error
    return list(found.items())


def _bad_line(number: int, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"line {number}: {what}; no device was made",
        remedy="Write one device a line, once; leave the token empty for a device without one.",
    )
