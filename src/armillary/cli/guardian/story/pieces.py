# SPDX-License-Identifier: Apache-2.0
"""Pieces of equipment of a story, the image of their guardian, and what the hub has of each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from armillary.cli.guardian.content import put_content
from armillary.cli.guardian.image import Made, build
from armillary.cli.guardian.story.site import Site
from armillary.cli.release.development_key import pair_in
from armillary.cli.story.catalog import CATALOG
from armillary.cli.story.stage import DeviceOnStage
from armillary.content.equipment import load
from armillary.wire.equipment.files.signing import PrivateKey, read_private_key, sign
from armillary.wire.equipment.profile import ModbusRtu, ModbusTcp, Profile
from armillary.wire.equipment.profile_reader import canonical, profile_document
from armillary.wire.equipment.signed_file import PROFILE
from armillary.wire.image import application as application_package

# How often everything is read in a story, seconds: shipped profiles read what is slow every half minute or minute.
READ_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of equipment of a story.

    ``line`` is the board's name of its serial port; empty: it is on TCP. ``options`` are those of the simulator.
    """

    name: str
    machine: str  # also the shipped profile
    line: str = ""
    options: tuple[str, ...] = ()
    cloud: tuple[tuple[str, object], ...] = ()  # what operators keep of it
    told: tuple[str, ...] = ()  # what befell it before the story


@dataclass(frozen=True, slots=True)
class Packed:
    """A guardian's image as a package."""

    image_id: uuid.UUID
    package: bytes


def begin(stage: Site, piece: Piece, place: str) -> None:
    """Start the simulated machine of a piece as ``place`` of the stage; ``Site.where`` waits for it."""
    link = ("--pty", str(stage.folder / place)) if piece.line else ("--tcp", "0")
    stage.begin_equipment(place, piece.machine, *link, *piece.options)


def tell_all(stage: Site, piece: Piece, place: str) -> None:
    """Let befall a machine what befell it before the story."""
    for line in piece.told:
        stage.tell(place, line)


def wire(stage: Site, device: DeviceOnStage, pieces: Mapping[str, Piece]) -> None:
    """Give a device's board the serial ports of its pieces (by their places) from its next start on."""
    ports = [f"Uart:{piece.line}={stage.where(place)['port']}" for place, piece in pieces.items() if piece.line]
    device.options = tuple(word for port in ports for word in ("--peripheral", port))


def image_of(stage: Site, name: str, pieces: Sequence[Piece], *, read_every_s: float = READ_EVERY_S) -> Made:
    """The image of the guardian ``name`` for these pieces: program, signed profiles, and grants for just them.

    A piece on TCP is where its machine on this stage is.
    """
    folder = stage.folder / "image"
    folder.mkdir(exist_ok=True)
    key_file = stage.folder / "developer" / "signing.pem"
    pair_in(key_file.parent)
    key = read_private_key(key_file.read_bytes())
    entries = []
    for piece in pieces:
        file = f"{piece.machine}.dsse"
        (folder / file).write_bytes(_signed_profile(piece, key, read_every_s))
        if piece.line:
            link = f"port: {piece.line}"
        else:
            where = stage.where(piece.name)
            link = f"host: {where['host']}, port: {where['port']}"
        entries.append(f"  - {{name: {piece.name}, profile: {file}, link: {{{link}}}}}\n")
    config = folder / f"{name}.yaml"
    head = f"name: {name}\ncatalog: {stage.notes['catalog_id']}\nhub: {stage.ready['hub_host']}\n"
    config.write_text(f"{head}equipment:\n{''.join(entries)}", "utf-8")
    return build(config.read_bytes(), config, key_file)


def packed(stage: Site, files: Mapping[str, bytes]) -> Packed:
    """An image's files as a package with a new image id, signed with this play's key."""
    key, certificate = pair_in(stage.folder / "developer")
    image_id = uuid.uuid4()
    package = application_package.pack(
        files, image_id=image_id, built=int(time.time()), key=key, certificate=certificate
    )
    return Packed(image_id, package)


def _signed_profile(piece: Piece, key: PrivateKey, read_every_s: float) -> bytes:
    """The shipped profile of a piece, signed, that reads everything so often that a story can be told in a minute."""
    return sign(
        PROFILE, canonical(profile_document(_on_its_line(hurried(load(piece.machine), read_every_s), piece))), key
    )


def hurried(profile: Profile, read_every_s: float = READ_EVERY_S) -> Profile:
    """A profile that reads all its groups every ``read_every_s``."""
    return replace(profile, groups=dict.fromkeys(profile.groups, read_every_s))


def _on_its_line(profile: Profile, piece: Piece) -> Profile:
    """The profile of a machine that speaks Modbus TCP, for one that has the same registers on a serial line."""
    if not piece.line or not isinstance(profile.link, ModbusTcp):
        return profile
    return replace(profile, link=ModbusRtu(port=piece.line, unit=profile.link.unit, timeout_s=profile.link.timeout_s))


def put_in_hub(stage: Site, machine: str) -> tuple[str, list[str]]:
    """What the hub has for a kind of machine: its template's id, and the kind of each document that was put there."""
    made = put_content(stage.client, machine, CATALOG)
    template: str = next(each["id"] for each in made if each["kind"] == "template")
    return template, [each["kind"] for each in made]


def register(stage: Site, device: DeviceOnStage, piece: Piece, template: str) -> None:
    """Make a piece a module of its device, with the template that its profile makes."""
    path = f"/devices/{device.device_id}"
    stage.client.post(f"/hub-devices/{device.device_id}/modules", {"module_id": piece.name})
    stage.client.put(f"{path}/template", {"template": template}, module=piece.name)
    if piece.cloud:
        stage.client.patch(f"{path}/cloud-properties", dict(piece.cloud), module=piece.name)


def values_of(stage: Site, device: DeviceOnStage, name: str) -> dict[str, Any]:
    """Last value of each metric of a piece of equipment behind a device."""
    shown = stage.client.get(f"/devices/{device.device_id}/telemetry", module=name)
    return {metric["metric"]: metric["value"] for metric in shown["items"]}


def reported_of(stage: Site, device: DeviceOnStage, name: str | None) -> Mapping[str, Any]:
    """Reported properties of a piece of equipment behind a device; of the guardian itself without a name."""
    twin = stage.client.get(f"/devices/{device.device_id}/twin", module=name)
    found: Mapping[str, Any] = twin["properties"]["reported"]
    return found
