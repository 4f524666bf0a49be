# SPDX-License-Identifier: Apache-2.0
"""The OS that a disk was flashed with: which release it is, and how its slots become packages of this release.

A new disk has payloads in its slots and nothing else, since its image was built without any service. A release fits if
each of its signatures is right over what is there, and if its payload is all that is there: one that is only the
beginning of a slot's content would have metadata written into the middle of it, and the machine would not start again.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.x509 import Certificate, load_pem_x509_certificate

from armillary.device.install.installer import RECORD_REGIONS
from armillary.engines.flash.partition import Extent, PartitionFlash, extent, read_beginning
from armillary.engines.flash.port import replace_region
from armillary.errors import DataFolderError, ServiceUnreachableError, WireError
from armillary.update.install.component import SLOTS, os_region
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, WayBack, encode as encode_record
from armillary.wire.image import package as image_package

# So many releases, the newest, are named with what is wrong with each.
MAX_NAMED: Final = 5
# Every payload of a device image is whole blocks of its file system; every package's is whole words.
BLOCK_BYTES: Final = 4096
PADDING_BYTES: Final = 4
PUBLISH: Final = (
    "Publish the release of this device image (armillary image package, then release create, sign, publish), or flash "
    "the image of one of these releases."
)


@dataclass(frozen=True, slots=True)
class FlashedComponent:
    """A boot component whose payload of ``payload_bytes`` is on a disk; ``tail`` is what follows it in its package."""

    name: str
    payload_bytes: int
    tail: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class FlashedOs:
    """A release whose payloads may be on a disk, its components in boot order."""

    version: str
    components: tuple[FlashedComponent, ...]


def find_os(nodes: Mapping[str, Path], answer: Mapping[str, Any]) -> str:
    """The version of the release that is in slot ``a``, among those that a service has (``factory/releases``).

    ``nodes`` are the partitions of the OS's regions; they are read.

    Raises:
        DataFolderError: none of them is.
        ServiceUnreachableError: the answer is not of the protocol.
    """
    try:
        trusted = [load_pem_x509_certificate(each.encode("ascii")) for each in answer["trusted_os_certificates"]]
        offered = [_parse(each) for each in answer["releases"]]
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, binascii.Error) as error:
        raise ServiceUnreachableError(
            f"the service's list of releases lacks or spoils a field: {type(error).__name__}: {error}",
            remedy="Use an Armillary service of this version.",
        ) from error
    faults: list[str] = []
    extents: dict[str, Extent] = {}
    for each in offered:
        try:
            _verify_slot(nodes, each, trusted, SLOTS[0], extents)
        except WireError as error:
            faults.append(f"{each.version} ({error.format}: {error.got})")
        else:
            return each.version
    if len(faults) > MAX_NAMED:
        faults[MAX_NAMED:] = [f"{len(faults) - MAX_NAMED} older ones"]
    raise DataFolderError(
        "expected the OS of a release that the service has for this chip on the disk, found another than each: "
        + (", ".join(faults) or "there is none in force"),
        remedy=PUBLISH,
    )


def complete_slots(flash: PartitionFlash, flashed: FlashedOs, trusted: Sequence[Certificate]) -> None:
    """Make packages of what the slots were flashed with; nothing is written unless slot ``a`` has this release.

    A disk that has the same in slot ``b`` has a way back from the first day: a slot ``a`` that is damaged gives way.

    Raises:
        DataFolderError: slot ``a`` has another OS, or more than this release.
    """
    first, second = SLOTS
    extents: dict[str, Extent] = {}
    try:  # all of them, before a byte is written: the machine runs from these slots
        _verify_slot(flash.partitions, flashed, trusted, first, extents)
    except WireError as error:
        raise DataFolderError(
            f"{error.format}: expected the OS {flashed.version} of the factory on the disk, found {error.got}",
            remedy=PUBLISH,
        ) from error
    with contextlib.suppress(WireError):
        images = _verify_slot(flash.partitions, flashed, trusted, second, extents)
        _complete_slot(flash, flashed, second)
        record = InstallRecord(way_back=WayBack(images, OsVersion(flashed.version)))
        replace_region(flash, RECORD_REGIONS[0], encode_record(record, 1))
    _complete_slot(flash, flashed, first)


def _parse(value: Mapping[str, Any]) -> FlashedOs:
    components = tuple(
        FlashedComponent(
            str(each["name"]), int(each["payload_bytes"]), base64.b64decode(each["package"], validate=True)
        )
        for each in value["boot_components"]
    )
    if not components:
        raise ValueError("a release without boot components")
    return FlashedOs(str(value["os_version"]), components)


def _verify_slot(
    nodes: Mapping[str, Path],
    flashed: FlashedOs,
    trusted: Sequence[Certificate],
    slot: str,
    extents: dict[str, Extent],
) -> tuple[SlotImage, ...]:
    """The release as it is in a slot; WireError if it is not. ``extents`` has those that are known, by region."""
    for each in flashed.components:  # first: most releases of other payloads have other lengths
        region = os_region(each.name, slot)
        if region not in nodes:
            raise WireError(each.name, expected="a slot for it", got="no slot for it")
        if region not in extents:
            extents[region] = extent(nodes[region])
        _check_length(each, extents[region])
    images = []
    for each in flashed.components:
        data = read_beginning(nodes[os_region(each.name, slot)], each.payload_bytes) + each.tail
        try:
            package = image_package.verify(image_package.parse(data), trusted)
        except WireError as error:
            raise WireError(each.name, expected="the payload of the release", got="another") from error
        images.append(
            SlotImage(
                component_id=package.component_id,
                image_id=package.image_id,
                image_type=package.image_type,
                name=each.name,
                slot=slot,
                size=len(data),
                sha256=sha256(data).digest(),
            )
        )
    return tuple(images)


def _check_length(component: FlashedComponent, found: Extent) -> None:
    """Raise WireError unless a payload is all that is in its partition, or in the package there."""
    if component.payload_bytes < 1:
        raise WireError(component.name, expected="a release with a payload", got="a release with an empty payload")
    if found.is_package:
        held = max(0, found.length - len(component.tail))
        fits = component.payload_bytes == held
    else:
        held = found.length
        whole_blocks = -(-held // BLOCK_BYTES) * BLOCK_BYTES
        # Zeros after the content, up to the end of its block, are a part of it: a tree of hashes has such. A payload
        # that is no image of blocks ends where its content does.
        fits = component.payload_bytes >= whole_blocks or held <= component.payload_bytes < held + PADDING_BYTES
    if not held or not fits:
        raise WireError(
            component.name,
            expected="the payload of the release",
            got=f"{held:,} bytes, where this release has {component.payload_bytes:,}",
        )


def _complete_slot(flash: PartitionFlash, flashed: FlashedOs, slot: str) -> None:
    for each in flashed.components:
        flash.complete(os_region(each.name, slot), each.tail, each.payload_bytes)
