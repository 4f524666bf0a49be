# SPDX-License-Identifier: Apache-2.0
"""Resolves a device as people write it (name, id, or four or more of its first digits), and shortens ids in tables."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final, Protocol

import typer

from armillary.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError

# Digits of an id in a table: enough to be told apart in any fleet, and taken again by every command as they stand.
SHORT_DIGITS: Final = 12
_ATTESTED: Final = re.compile(r"[0-9A-Fa-f]{128}")
# Devices that an error lists where one was meant.
_LISTED: Final = 8


class Directory(Protocol):
    """Whoever can be asked for devices: the operator API."""

    def get(self, path: str, **query: object) -> Any:
        """GET a native route."""


class DeviceReference:
    """Marks an option that takes a device; the command gets the id of the one that is meant."""


REFERENCE: Final = DeviceReference()
DEVICE_HELP: Final = "Device: name, id, or its first digits."
DeviceOption = Annotated[str, typer.Option("--device", "-d", metavar="DEVICE", help=DEVICE_HELP), REFERENCE]
NewNameOption = Annotated[
    str, typer.Option("--name", "-n", metavar="TEXT", help="What people call it; empty takes the name away.")
]
SearchOption = Annotated[
    str | None, typer.Option("--search", "-s", metavar="TEXT", help="Beginning of a word of the name, or of the id.")
]
SortOption = Annotated[
    str | None,
    typer.Option("--sort", metavar="WORD", help="name, health, last_check_in_at, group...; falling with - before it."),
]
AnyDeviceOption = Annotated[str | None, typer.Option("--device", "-d", metavar="DEVICE", help=DEVICE_HELP), REFERENCE]


def resolve_devices(directory: Directory, hints: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a person wrote them, with ids where devices are meant. Raises as :func:`resolve_device`."""
    found = dict(values)
    for name, value in values.items():
        marked = typing.get_origin(hints.get(name)) is Annotated and REFERENCE in typing.get_args(hints[name])
        if not marked or not value:
            continue
        catalog = values.get("catalog")
        if isinstance(value, str):
            found[name] = resolve_device(directory, value, catalog)
        else:
            found[name] = [resolve_device(directory, each, catalog) for each in value]
    return found


def resolve_device(directory: Directory, text: str, catalog: str | None = None) -> str:
    """The id of the device that ``text`` means. Raises NotFoundError for none, InvalidArgumentError for several."""
    if _ATTESTED.fullmatch(text):
        return text.lower()
    try:
        found = directory.get("/device-names", text=text, catalog=catalog)["items"]
    except PermissionDeniedError:
        return text  # a token of one catalog that names none: the id itself, then
    if len(found) == 1:
        return str(found[0]["device_id"])
    if not found:
        raise NotFoundError(
            f"no device is called {text!a:.80}, and no id begins so",
            remedy="Give its name as it stands, its id, or four or more first digits: armillary device list.",
        )
    listed = ", ".join(f"{short_id(each['device_id'])} ({each['name']})" for each in found[:_LISTED])
    more = ", ..." if len(found) > _LISTED else ""
    raise InvalidArgumentError(
        f"{text!a:.80} means {len(found)} devices: {listed}{more}", remedy="Give the id of one, or more digits of it."
    )


def short_id(device_id: str) -> str:
    """The first digits of a long id, which commands take for all of it; a hub device's id as it is."""
    return device_id[:SHORT_DIGITS] if _ATTESTED.fullmatch(device_id) else device_id


def device_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table about a device: ``name`` for people, and its id as short as commands take it."""
    name = row.get("device_name") or row.get("name")
    return {**row, "name": name, "device_id": short_id(str(row["device_id"]))}
