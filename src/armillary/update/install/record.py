# SPDX-License-Identifier: Apache-2.0
"""The install record: the one durable value that says which images run, OS components and applications alike.

Two regions hold a copy each. A new record replaces the *older* (or damaged) copy, with the sequence number one higher,
so that a power cut during the write damages at most the copy that is not in force.

Copy (big endian)::

    magic "ARMR" 4 | version u8 | sequence u64 | length u32 | CRC-32 u32 over all the rest | CBOR payload

The payload is deterministic CBOR (``wire.encoding.cbor``). The CRC-32 finds torn writes; it does not protect against a
person who can write the flash, which the images' signatures do.

An OS component that no list of images names is in slot ``a``, where it was put when the device was made.

History of the version: 1 (2026-11-24) applications; 2 (2026-11-27) OS components, version and ABI of the OS, the way
back, and which applications a trial watches. Version 1 is read for good, version 2 is written.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from armillary.errors import WireError
from armillary.update.install.component import (
    SLOTS,
    Kind,
    application_region,
    kind_of,
    os_region,
    trust_region,
)
from armillary.wire.device.checkin import UpdateOutcome
from armillary.wire.encoding import cbor

# 64 outcomes with the longest reason take 39 KiB, three sets of 64 images 29 KiB; what is longer is no record.
MAX_RECORD_BYTES = 128 * 1024
MAX_OUTCOMES = 64  # outcomes waiting for the service; older ones give way
MAX_REJECTED = 32  # deployments that failed on this device and are not tried again; older ones give way

# In the place of an offer's id: the trial is of an OS that takes the place of one that does not come up.
NO_OFFER = UUID(int=0)

_HEADER = struct.Struct(">4sBQII")
_MAGIC = b"ARMR"
_FIRST_VERSION = 1
_VERSION = 2
_FORMAT = "install-record"


@dataclass(frozen=True, slots=True)
class SlotImage:
    """An image in one of its component's two slots."""

    component_id: UUID
    image_id: UUID
    image_type: int  # As in image packages (10 application, 21 board configuration)
    name: str  # Name in the package, for people
    slot: str  # ``a`` or ``b``
    size: int  # Bytes of the package
    sha256: bytes  # SHA-256 of the whole package, 32 bytes

    @property
    def kind(self) -> Kind:
        """What the image is for."""
        return kind_of(self.image_type)

    @property
    def region(self) -> str:
        """Flash region that holds the package."""
        if self.kind is Kind.OS:
            return os_region(self.name, self.slot)
        if self.kind is Kind.TRUST:
            return trust_region(self.component_id, self.slot)
        return application_region(self.component_id, self.slot)


@dataclass(frozen=True, slots=True)
class OsVersion:
    """Which OS a set of images has: empty and 0 on a device whose OS no offer has named yet."""

    version: str = ""
    abi: int = 0  # Interface number that applications may ask for a range of; 0: the release names none


@dataclass(frozen=True, slots=True)
class WayBack:
    """The OS before the present one; its copies stay in flash in case the present one is damaged."""

    images: tuple[SlotImage, ...]  # OS components; one that is missing here is in slot ``a``
    os: OsVersion


@dataclass(frozen=True, slots=True)
class Trial:
    """A set of images that has to prove itself."""

    offer_id: UUID  # NO_OFFER: none brought it
    rejection_key: UUID  # What is not tried again after a failure: :func:`armillary.update.install.plan.rejection_key`
    previous: tuple[SlotImage, ...]  # The set to go back to
    starts_left: int  # How many more times the device may start with the trial unsettled before it is taken back
    previous_os: OsVersion = OsVersion()
    watched: tuple[UUID, ...] = ()  # Images (by image id) of the applications whose health decides

    @property
    def takes_over(self) -> bool:
        """Whether it is of an OS that runs in the place of one that did not come up."""
        return self.offer_id == NO_OFFER


@dataclass(frozen=True, slots=True)
class InstallRecord:
    """The images that run, the trial, and the outcomes that the service does not know yet."""

    active: tuple[SlotImage, ...] = ()  # The images that run now: the trial's new set while ``trial`` is there
    trial: Trial | None = None
    outcomes: tuple[UpdateOutcome, ...] = ()  # Outcomes that no check-in reply has acknowledged yet
    rejected: tuple[UUID, ...] = ()  # Keys of what failed here; see :class:`Trial`
    os: OsVersion = OsVersion()  # Of the active images
    way_back: WayBack | None = None  # None while there is no complete OS beside the present one

    def image_of(self, component_id: UUID) -> SlotImage | None:
        """The active image of a component."""
        return next((image for image in self.active if image.component_id == component_id), None)

    @property
    def applications(self) -> tuple[SlotImage, ...]:
        """Active applications and board configurations: what a deployment brings."""
        return tuple(image for image in self.active if not image.kind.is_system)

    @property
    def system_on_trial(self) -> bool:
        """Whether the trial brought OS components or trust stores, so that only a restart puts it into force."""
        return self.trial is not None and system_of(self.active) != system_of(self.trial.previous)

    @property
    def os_on_trial(self) -> bool:
        """Whether the trial brought OS components."""
        return self.trial is not None and frozenset(os_of(self.active)) != frozenset(os_of(self.trial.previous))

    @property
    def regions_in_use(self) -> frozenset[str]:
        """Flash regions that must not be overwritten: of the active set, the previous set and the way back."""
        kept = self.active if self.trial is None else self.active + self.trial.previous
        return frozenset(image.region for image in (kept if self.way_back is None else kept + self.way_back.images))

    def system_regions(self, names: Iterable[str]) -> frozenset[str]:
        """Flash regions of the boot components of these names, and of the trust stores, that are in force."""
        stores = {image.region for image in self.active if image.kind is Kind.TRUST}
        return frozenset({os_region(name, self.os_slot(name)) for name in names} | stores)

    def os_slot(self, name: str) -> str:
        """The slot that a boot component (its name in the chip profile) starts from."""
        return _slot_of(self.active, name)

    def settled_os_slot(self, name: str) -> str:
        """The slot of the OS that is no trial: the one that a boot component goes back to while there is one."""
        return _slot_of(self.active if self.trial is None else self.trial.previous, name)


def _slot_of(images: Iterable[SlotImage], name: str) -> str:
    return next((i.slot for i in images if i.kind is Kind.OS and i.name.lower() == name.lower()), SLOTS[0])


@dataclass(frozen=True, slots=True)
class RecordCopy:
    """A copy as found in flash: its sequence number and value."""

    sequence: int
    record: InstallRecord


@dataclass(frozen=True, slots=True)
class ChosenRecord:
    """The record in force, and where the next one goes."""

    record: InstallRecord  # The record in force; empty on a device that never installed anything
    next_copy: int  # Index (0 or 1) of the copy to overwrite
    next_sequence: int  # Sequence number the next record has to carry
    damaged: tuple[int, ...] = field(default=())  # Indexes of copies that are there but unreadable
    is_from_copy: bool = True  # False: no copy is readable, and the record is that of a device that installed nothing


def os_of(images: Iterable[SlotImage]) -> tuple[SlotImage, ...]:
    """The OS components among ``images``."""
    return tuple(image for image in images if image.kind is Kind.OS)


def system_of(images: Iterable[SlotImage]) -> frozenset[SlotImage]:
    """The OS components and trust stores among ``images``."""
    return frozenset(image for image in images if image.kind.is_system)


def choose(copies: Sequence[bytes | None]) -> ChosenRecord:
    """Choose the record in force from the two copies; None for a region that does not exist.

    Raises:
        WireError: both copies exist and neither is readable. One power cut cannot cause that, and the device must not
            assume that nothing was installed.
    """
    readable: dict[int, RecordCopy] = {}
    damaged: dict[int, WireError] = {}
    for index, data in enumerate(copies):
        if data is None:
            continue
        try:
            readable[index] = decode(data)
        except WireError as error:
            damaged[index] = error
    if readable:
        newest = max(readable, key=lambda index: readable[index].sequence)
        found = readable[newest]
        return ChosenRecord(found.record, 1 - newest, found.sequence + 1, tuple(damaged))
    if len(damaged) == len(copies):
        raise damaged[0]
    # The very first record ever was cut short: nothing had been installed before it.
    return ChosenRecord(InstallRecord(), next(iter(damaged), 0), 1, tuple(damaged), is_from_copy=False)


def encode(record: InstallRecord, sequence: int) -> bytes:
    """A copy of ``record`` with its header."""
    payload = cbor.encode(
        {
            1: [_pack_image(image) for image in record.active],
            2: None if record.trial is None else _pack_trial(record.trial),
            3: [_pack_outcome(outcome) for outcome in record.outcomes],
            4: [key.bytes for key in record.rejected],
            5: _pack_os(record.os),
            6: None if record.way_back is None else _pack_way_back(record.way_back),
        }
    )
    crc = zlib.crc32(payload, zlib.crc32(_HEADER.pack(_MAGIC, _VERSION, sequence, len(payload), 0)))
    return _HEADER.pack(_MAGIC, _VERSION, sequence, len(payload), crc) + payload


def decode(data: bytes) -> RecordCopy:
    """Read one copy; WireError if it is torn, of another version, or no record."""
    if len(data) < _HEADER.size:
        raise WireError(_FORMAT, offset=0, expected=f"a header of {_HEADER.size} bytes", got=f"{len(data)} bytes")
    magic, version, sequence, length, crc = _HEADER.unpack_from(data)
    if magic != _MAGIC or version not in (_FIRST_VERSION, _VERSION):
        raise WireError(_FORMAT, offset=0, expected=f"magic ARMR version 1 to {_VERSION}", got=f"{magic!r} {version}")
    payload = data[_HEADER.size :]
    if length != len(payload) or length > MAX_RECORD_BYTES:
        raise WireError(_FORMAT, offset=13, expected=f"{length} payload bytes", got=f"{len(payload)}")
    if crc != zlib.crc32(payload, zlib.crc32(_HEADER.pack(magic, version, sequence, length, 0))):
        raise WireError(_FORMAT, offset=17, expected="a matching CRC-32", got="a torn or damaged copy")
    value = cbor.decode(payload, what=_FORMAT, limit=MAX_RECORD_BYTES)
    try:
        return RecordCopy(sequence, _unpack_first(value) if version == _FIRST_VERSION else _unpack_record(value))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        expected = f"the fields of version {version}"
        raise WireError(_FORMAT, expected=expected, got=f"{type(error).__name__}: {error}") from error


def _unpack_record(value: Any) -> InstallRecord:
    return InstallRecord(
        active=_unpack_images(value[1]),
        trial=None if value[2] is None else _unpack_trial(value[2]),
        outcomes=tuple(_unpack_outcome(outcome) for outcome in value[3]),
        rejected=tuple(UUID(bytes=key) for key in value[4]),
        os=_unpack_os(value[5]),
        way_back=None if value[6] is None else _unpack_way_back(value[6]),
    )


def _unpack_first(value: Any) -> InstallRecord:
    """A record of version 1: a trial watches the applications that it brought."""
    active = _unpack_images(value[1])
    trial = None
    if value[2] is not None:
        previous = _unpack_images(value[2][2])
        watched = [image.image_id.bytes for image in active if image not in previous]
        trial = _unpack_trial([*value[2], _pack_os(OsVersion()), watched])
    return InstallRecord(
        active=active,
        trial=trial,
        outcomes=tuple(_unpack_outcome(outcome) for outcome in value[3]),
        rejected=tuple(UUID(bytes=key) for key in value[4]),
    )


def _pack_image(image: SlotImage) -> list[Any]:
    return [
        image.component_id.bytes,
        image.image_id.bytes,
        image.image_type,
        image.name,
        image.slot,
        image.size,
        image.sha256,
    ]


def _unpack_image(value: Any) -> SlotImage:
    component_id, image_id, image_type, name, slot, size, sha256 = value
    if slot not in SLOTS:
        raise ValueError(f"slot {slot!r}")
    return SlotImage(UUID(bytes=component_id), UUID(bytes=image_id), image_type, name, slot, size, sha256)


def _unpack_images(value: Any) -> tuple[SlotImage, ...]:
    return tuple(_unpack_image(image) for image in value)


def _pack_os(os: OsVersion) -> list[Any]:
    return [os.version, os.abi]


def _unpack_os(value: Any) -> OsVersion:
    version, abi = value
    if type(version) is not str or type(abi) is not int:
        raise ValueError(f"OS version {version!r} {abi!r}")
    return OsVersion(version, abi)


def _pack_way_back(way_back: WayBack) -> list[Any]:
    return [[_pack_image(image) for image in way_back.images], _pack_os(way_back.os)]


def _unpack_way_back(value: Any) -> WayBack:
    images, os = value
    return WayBack(_unpack_images(images), _unpack_os(os))


def _pack_trial(trial: Trial) -> list[Any]:
    return [
        trial.offer_id.bytes,
        trial.rejection_key.bytes,
        [_pack_image(image) for image in trial.previous],
        trial.starts_left,
        _pack_os(trial.previous_os),
        [image_id.bytes for image_id in trial.watched],
    ]


def _unpack_trial(value: Any) -> Trial:
    offer_id, rejection_key, previous, starts_left, previous_os, watched = value
    return Trial(
        UUID(bytes=offer_id),
        UUID(bytes=rejection_key),
        _unpack_images(previous),
        starts_left,
        _unpack_os(previous_os),
        tuple(UUID(bytes=image_id) for image_id in watched),
    )


def _pack_outcome(outcome: UpdateOutcome) -> list[Any]:
    return [
        outcome.offer_id.bytes,
        outcome.image_id.bytes,
        outcome.component_id.bytes,
        outcome.outcome,
        outcome.reason,
        outcome.at,
    ]


def _unpack_outcome(value: Any) -> UpdateOutcome:
    offer_id, image_id, component_id, outcome, reason, at = value
    return UpdateOutcome(
        offer_id=UUID(bytes=offer_id),
        image_id=UUID(bytes=image_id),
        component_id=UUID(bytes=component_id),
        outcome=outcome,
        reason=reason,
        at=at,
    )
