# SPDX-License-Identifier: Apache-2.0
"""The attacks on a machine that is a device, and when one of them is accepted.

What is changed is either not to be *believed* by anybody (the keys of Secure Boot, the program that the firmware
starts, a partition table of which neither copy is whole, or with one partition over another), or it only says what is
tried first (boot entries, their order, the other partition tables). Of the first kind an attack is **accepted** if the
service attests the machine that started with it: nothing on the machine can be asked, since who writes the flash
decides what the firmware believes. Of the second kind the machine may come up and be attested, because all that runs
was verified; it is accepted if something runs that was not, or if a machine that is attested does not say that all of
it was.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image import attacks as content
from armillary.device_image.architecture.table import Architecture
from armillary.device_image.disk import ROOT, STARTED, STARTED_FILE, boot_partition, layout
from armillary.device_image.firmware import variables
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.tampering import tables, variables as change
from armillary.engines.flash.os_disk import slot_partition
from armillary.wire.device_image.unified_sections import sections_of


class End(enum.Enum):
    """What came of a start; a machine that is silent, or tries on when the time is over, did not show any of it."""

    ATTESTED = "attested"
    NOT_ATTESTED = "runs, not attested"
    NOTHING = "does not start"
    NOT_CLEAR = "not clear within the time"


# What a start says that the kernel verifies its root of, and that the firmware verified the kernel, in this order.
_VERIFIED_ROOT: Final = "verified root from"
SECURE_BOOT_ON: Final = "secure boot on"
# What a start says whose OS may not boot; the machine starts again then, into its other slot where there is one.
_REFUSED: Final = "the device does not start"
# What QEMU's firmware does with a damaged header of its store: for x86-64 it stops at an invalid instruction, for
# arm64 it makes a new store, without keys. With the seed 1, damaged boot entries stop the latter by an exception.
_DAMAGED_STORE: Final = {"x86_64": End.NOTHING, "arm64": End.NOT_ATTESTED}
_DAMAGED_ENTRIES: Final = {"x86_64": End.ATTESTED, "arm64": End.NOTHING}


@dataclass(frozen=True, slots=True)
class Tools:
    """What an attacker has: the image's architecture, its signed file and its root, and a folder of their own."""

    architecture: Architecture
    signed: bytes
    root: bytes
    folder: Path


@dataclass(frozen=True, slots=True)
class DeviceAttack:
    """One attack.

    ``store`` changes the firmware's variables, ``table`` the partition table; ``foreign`` makes what is in a partition
    that somebody else adds. It is accepted if one of the texts of ``ran`` is on the console, and where
    ``is_believed``, if the machine is attested with it. ``ends`` is what comes of it otherwise.
    """

    name: str
    ends: End
    store: Callable[[bytes, Tools], bytes] | None = None
    table: tables.Change | None = None
    foreign: Callable[[Tools], bytes] | None = None
    is_believed: bool = False
    ran: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack; ``came_back``: the machine was attested at its next start, once it was put right."""

    name: str
    end: End
    accepted: bool
    came_back: bool
    seconds: float
    lines: tuple[str, ...] = dataclasses.field(repr=False)


def is_accepted(attack: DeviceAttack, end: End, lines: tuple[str, ...]) -> bool:
    """Whether what was changed was believed, or something ran that nothing verified."""
    if any(text in line for line in lines for text in attack.ran):
        return True
    return end is End.ATTESTED and (attack.is_believed or not _was_verified(lines))


def _was_verified(lines: tuple[str, ...]) -> bool:
    """Whether the last start in these lines says of its kernel and of its root that they were verified."""
    starts = [number for number, line in enumerate(lines) if _VERIFIED_ROOT in line]
    return bool(starts) and any(SECURE_BOOT_ON in line for line in lines[starts[-1] :])


def refused_starts(lines: Iterable[str]) -> int:
    """How many starts in these lines refused the OS that they started, which each may say several times."""
    refused, has_refused = 0, False
    for line in lines:
        if _VERIFIED_ROOT in line:
            has_refused = False
        elif _REFUSED in line and not has_refused:
            refused, has_refused = refused + 1, True
    return refused


def attacks_on_device(target: Architecture, seed: int) -> tuple[DeviceAttack, ...]:
    """All of them on a device of this architecture; the seed chooses the places of flipped bits."""
    return (*_on_variables(target, seed), *_on_order(target, seed), *_on_table(seed))


def _on_variables(target: Architecture, seed: int) -> tuple[DeviceAttack, ...]:
    def keys(name: str, ends: End = End.NOT_ATTESTED) -> DeviceAttack:
        changed = change.flipped_contents((name,), seed=seed)
        return DeviceAttack(f"variables: bits of {name}", ends, lambda store, _: changed(store), is_believed=True)

    volume, cut = change.flipped_volume(seed), change.cut_off("db")
    return (
        keys("PK"),
        keys("KEK"),
        keys("db", End.NOTHING),
        keys("dbx"),
        DeviceAttack(
            "variables: bits of the store's header",
            _DAMAGED_STORE[target.name],
            lambda store, _: volume(store),
            is_believed=True,
        ),
        DeviceAttack("variables: erased from db on", End.NOTHING, lambda store, _: cut(store), is_believed=True),
        DeviceAttack("variables: none, Secure Boot in setup mode", End.NOT_ATTESTED, _empty, is_believed=True),
        DeviceAttack(
            "variables: none, an unsigned kernel of a stranger",
            End.NOT_ATTESTED,
            _empty,
            tables.foreign_instead(slot_partition(STARTED, "a")),
            _strange_unsigned,
            is_believed=True,
        ),
        DeviceAttack(
            "variables: a stranger's keys, a kernel signed by them",
            End.NOT_ATTESTED,
            _strange_keys,
            tables.foreign_instead(slot_partition(STARTED, "a")),
            _strange_signed,
            is_believed=True,
        ),
    )


def _on_order(target: Architecture, seed: int) -> tuple[DeviceAttack, ...]:
    def of(name: str, changed: Callable[[bytes], bytes], ends: End = End.ATTESTED) -> DeviceAttack:
        return DeviceAttack(f"slot state: {name}", ends, lambda store, _: changed(store))

    contents = change.flipped_contents(change.ENTRIES, seed=seed)
    return (
        of("bits of the boot entries", contents, _DAMAGED_ENTRIES[target.name]),
        of("bits of the boot entries' headers", change.flipped_headers(change.ENTRIES, seed=seed)),
        of("bits of the order and of the next slot", change.flipped_contents(change.SLOT_STATE, seed=seed)),
        of("no entries, no order", change.removed((*change.ENTRIES, *change.SLOT_STATE))),
    )


def _on_table(seed: int) -> tuple[DeviceAttack, ...]:
    """The last one costs the device its slot A: from then on it runs from slot B, and has no other."""

    def of(name: str, table: tables.Change) -> DeviceAttack:
        return DeviceAttack(f"partition table: {name}", End.ATTESTED, table=table)

    def wrong(name: str, table: tables.Change) -> DeviceAttack:
        return DeviceAttack(f"partition table: {name}", End.NOTHING, table=table, is_believed=True)

    return (
        of("bits of the first header", tables.first_header(seed)),
        of("bits of the first entries", tables.first_entries(seed)),
        of("bits of the second header", tables.second_header(seed)),
        wrong("bits of both headers", tables.both_headers(seed)),
        of("two partitions with one GUID", tables.equal_guids),
        wrong("what starts in slot A lies over that of slot B", tables.started_a_over_b),
        wrong("the data lie over the root of slot A", tables.data_over_root_a),
        wrong("the root of slot B is where the data are", tables.root_b_at_data),
        DeviceAttack(
            "partition table: a stranger's root with slot A's name",
            End.ATTESTED,
            table=tables.foreign_instead(slot_partition(ROOT, "a")),
            foreign=_changed_root,
            ran=("verified root from /dev/vda2",),
        ),
        DeviceAttack(
            "partition table: a stranger's kernel with slot A's GUID",
            End.ATTESTED,
            table=tables.foreign_instead(slot_partition(STARTED, "a")),
            foreign=_strange_root,
            ran=("boot failed: neither slot has",),
        ),
    )


def _empty(_: bytes, tools: Tools) -> bytes:
    """A firmware that has never been told anything: Secure Boot is off, and whoever comes first gives it keys."""
    return tools.architecture.empty_variables.read_bytes()


def _strange_keys(_: bytes, tools: Tools) -> bytes:
    keys = secure_boot_keys(tools.folder / content.STRANGER)
    return variables(layout(), STARTED, keys, architecture=tools.architecture)


def _renamed(signed: bytes) -> bytes:
    """Another name of the system in its description, which is measured and read by nobody on the machine."""
    place, size = sections_of(signed)[".osrel"]
    return signed[:place] + signed[place : place + size].replace(b"Armillary", b"Attackers") + signed[place + size :]


def _strange_unsigned(tools: Tools) -> bytes:
    return _started(content.unsigned(_renamed(tools.signed), tools.folder), tools)


def _strange_signed(tools: Tools) -> bytes:
    return _started(content.signed_by_a_stranger(_renamed(tools.signed), tools.folder), tools)


def _strange_root(tools: Tools) -> bytes:
    changed = content.another_root(tools.signed, tools.folder)
    return _started(content.signed_by_a_stranger(changed, tools.folder), tools)


def _started(signed: bytes, tools: Tools) -> bytes:
    """A partition that the firmware starts this from."""
    file = tools.folder / STARTED_FILE
    boot_partition(signed, file, tools.architecture.started_file)
    return file.read_bytes()


def _changed_root(tools: Tools) -> bytes:
    changed = bytearray(tools.root)
    changed[content.UNREAD_AT] ^= 1
    return bytes(changed)
