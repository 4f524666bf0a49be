# SPDX-License-Identifier: Apache-2.0
"""Attacks on the disk of a machine, each played on a machine of its own: what was changed must never run.

An attack changes slot A of a fresh disk and switches the machine on. It is **accepted** if the device process comes up
from the root file system of slot A; of the signed file, if anything of ours in slot A runs at all. Else what nobody
touched comes up, slot B or its root: that shows that the machine itself was able to start. An attack on both slots is
stopped if nothing of ours runs.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from armillary.device_image import disk, unified
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.architecture.table import Architecture, architecture_of
from armillary.device_image.keys import secure_boot_keys
from armillary.device_image.root_image import BLOCK_BYTES
from armillary.device_image.tools import run
from armillary.device_image.uboot import attacks as uboot
from armillary.device_image.uboot.image import FILE as SLOT_FILE
from armillary.device_image.uboot.signed_file import verified_root
from armillary.device_image.virtual_machine import DISK, READY, MachineSettings, running
from armillary.engines.flash import uboot_slots
from armillary.engines.flash.os_disk import read_partitions, slot_partition
from armillary.errors import HostError
from armillary.update.install.component import SLOTS
from armillary.wire.device_image.command_line import VerifiedRoot
from armillary.wire.device_image.unified_sections import sections_of
from armillary.wire.disk.gpt import SECTOR_BYTES

# The first words of everything of ours that is started from a slot.
_SLOT: Final = "armillary: slot"
# Folder of a stranger's keys, below an attack's own.
STRANGER: Final = "stranger"
_ROOT_FROM: Final = re.compile(r"verified root from (\S+)")
_BOOT_FAILED: Final = "armillary: boot failed"
# The firmware's own entry for the disk, after those of both slots: it starts one of the same files, or nothing.
NOTHING_LEFT: Final = ("failed to load Boot0003", "U-Boot: no slot starts")
# A byte of the first 1,024 of a root, of which EROFS reads none, its checksum neither: with another one it mounts, and
# its programs run, unless dm-verity refuses it.
UNREAD_AT: Final = 7


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: its name, what it does to the signed file or to the root's bytes, on slot A or on both.

    ``environment`` is what U-Boot's environment is then; ``comes_up`` the slot that has to come up, "" for none.
    """

    name: str
    unified: Callable[[bytes, Path], bytes] | None = None
    root: Callable[[bytearray, VerifiedRoot], None] | None = None
    slots: tuple[str, ...] = ("a",)
    environment: Callable[[], bytes] | None = None
    comes_up: str = "b"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack: which slot came up ("" for none), and whether what was changed ran.

    Of an attack on the root, it is the slot whose root file system came up: a signed file takes that of the other slot
    where its own is damaged.
    """

    name: str
    started: str
    accepted: bool
    seconds: float
    lines: tuple[str, ...] = dataclasses.field(repr=False)


def _flipped(section: str) -> Callable[[bytes, Path], bytes]:
    """One bit of the middle of a section."""

    def change(image: bytes, _: Path) -> bytes:
        place, size = sections_of(image)[section]
        changed = bytearray(image)
        changed[place + size // 2] ^= 1
        return bytes(changed)

    return change


def another_root(image: bytes, _: Path) -> bytes:
    """The command line binds another root, as whoever wants to boot a root of their own would write it."""
    place, size = sections_of(image)[".cmdline"]
    bound = unified.verified_root(image).root_hash.encode("ascii")
    return image[:place] + image[place : place + size].replace(bound, bound[::-1]) + image[place + size :]


def unsigned(image: bytes, folder: Path) -> bytes:
    """Without a signature."""
    (folder / "signed.efi").write_bytes(image)
    (folder / "unsigned.efi").unlink(missing_ok=True)
    run(["osslsigncode", "remove-signature", "-in", folder / "signed.efi", "-out", folder / "unsigned.efi"])
    return (folder / "unsigned.efi").read_bytes()


def signed_by_a_stranger(image: bytes, folder: Path) -> bytes:
    """With the signature of a key that is made in ``folder``."""
    return unified.sign(unsigned(image, folder), secure_boot_keys(folder / STRANGER)["signing"])


def _truncated(image: bytes, _: Path) -> bytes:
    return image[: len(image) * 3 // 4]


def _first_data_block(content: bytearray, _: VerifiedRoot) -> None:
    content[UNREAD_AT] ^= 1


def _many_data_blocks(content: bytearray, root: VerifiedRoot) -> None:
    for block in range(1, root.blocks, 4):
        content[block * BLOCK_BYTES + 7] ^= 1


def _top_of_the_tree(content: bytearray, root: VerifiedRoot) -> None:
    content[root.blocks * BLOCK_BYTES] ^= 1


def _leaves_of_the_tree(content: bytearray, root: VerifiedRoot) -> None:
    content[-BLOCK_BYTES * 8 :: BLOCK_BYTES // 2] = bytes(
        byte ^ 1 for byte in content[-BLOCK_BYTES * 8 :: BLOCK_BYTES // 2]
    )
    content[(root.blocks + 2) * BLOCK_BYTES] ^= 1


# The control: a machine that nobody has changed comes up in slot A, and counts as accepted.
UNCHANGED: Final = Attack("nothing", comes_up="a")
ATTACKS: Final = (
    Attack("signed file: one bit of the kernel", _flipped(".linux")),
    Attack("signed file: one bit of the initial file system", _flipped(".initrd")),
    Attack("signed file: another root hash in the command line", another_root),
    Attack("signed file: unsigned", unsigned),
    Attack("signed file: signed by another key", signed_by_a_stranger),
    Attack("signed file: truncated", _truncated),
    Attack("root: one bit of the first data block", root=_first_data_block),
    Attack("root: one bit of every fourth data block", root=_many_data_blocks),
    Attack("root: one bit of the top of the tree", root=_top_of_the_tree),
    Attack("root: bits of the leaves of the tree", root=_leaves_of_the_tree),
    Attack("both slots: one bit of each kernel", _flipped(".linux"), slots=SLOTS, comes_up=""),
)
UBOOT_ATTACKS: Final = (
    *(Attack(name, change) for name, change in uboot.CHANGES),
    *(attack for attack in ATTACKS if attack.root is not None),
    Attack(
        "environment: variables that are not taken, signed by another key",
        uboot.signed_by_a_stranger,
        environment=uboot.forbidden_variables,
    ),
    Attack(
        "environment: values that are no slots, signed by another key",
        uboot.signed_by_a_stranger,
        environment=uboot.hostile_values,
    ),
    Attack("environment: both copies damaged", slots=(), environment=uboot.damaged_copies, comes_up="a"),
    Attack("both slots: signed by another key", uboot.signed_by_a_stranger, slots=SLOTS, comes_up=""),
)


def attacks_on(target: Architecture) -> tuple[Attack, ...]:
    """All attacks on an image of an architecture."""
    return ATTACKS if target.has_uefi else UBOOT_ATTACKS


def play(image: Path, *, within_s: float, attacks: tuple[Attack, ...] | None = None) -> Iterator[Outcome]:
    """Play attacks one after the other on machines of an image, all where none are named; each outcome as it comes."""
    for attack in attacks_on(architecture_of(image)) if attacks is None else attacks:
        with tempfile.TemporaryDirectory(prefix="armillary-attack-") as name:
            yield _play(attack, image, Path(name), within_s)


def check_unchanged(image: Path, *, within_s: float) -> Outcome:
    """Start a machine of the image as it is, and return what came of it.

    Raises:
        HostError: it does not come up in slot A: then no outcome of an attack would say anything.
    """
    (found,) = play(image, within_s=within_s, attacks=(UNCHANGED,))
    if not found.accepted or found.started != UNCHANGED.comes_up:
        last = " | ".join(found.lines[-3:]) or "it says nothing"
        raise HostError(
            f"a machine of this image does not come up in slot A before any attack: {last}",
            remedy="Look at what it says: armillary device boot --machine.",
        )
    return found


def _play(attack: Attack, image: Path, folder: Path, within_s: float) -> Outcome:
    changed = _changed(attack, image, folder)
    machine_name = architecture_of(image).name
    settings = MachineSettings(
        folder=folder / "machine", image=changed, machine=machine_name, tpm=HARDWARE[machine_name].needs_tpm
    )
    begun, seen, started, ours, root = time.monotonic(), list[str](), "", set[str](), ""
    node = HARDWARE[machine_name].partitions
    roots = {f"{node}{each.number}": each.name[-1] for each in read_partitions(changed / DISK)}
    with running(settings) as machine:
        for line in machine.lines(within_s=within_s):
            seen.append(line)
            if line.startswith(_SLOT):
                ours.add(line.removeprefix(_SLOT).strip()[0])
                found = _ROOT_FROM.search(line)
                root = roots.get(found[1], "") if found else ""
            elif line.startswith(_BOOT_FAILED):
                ours.add("?" if attack.root is None else "")
            if READY in line or any(text in line for text in NOTHING_LEFT):
                started = line.rpartition("(slot ")[2][:1] if READY in line else ""
                started = root if started and attack.root is not None else started
                break
    ran = started if attack.root is not None else "".join(ours)
    accepted = any(slot in ran for slot in (*attack.slots, "?"))
    return Outcome(attack.name, started, accepted, time.monotonic() - begun, tuple(seen))


def _changed(attack: Attack, image: Path, folder: Path) -> Path:
    """A copy of the image whose disk is attacked."""
    changed = folder / "image"
    changed.mkdir()
    run(["cp", "--sparse=always", image / DISK, changed / DISK])
    target = architecture_of(image)
    kept = HARDWARE[target.name].kept
    shutil.copyfile(image / kept, changed / kept)
    signed = (image / ("unified.efi" if target.has_uefi else SLOT_FILE)).read_bytes()
    content, component = b"", disk.STARTED
    if attack.unified is not None:
        content = attack.unified(signed, folder)
        if target.has_uefi:
            disk.boot_partition(content, folder / disk.STARTED_FILE, target.started_file)
            content = (folder / disk.STARTED_FILE).read_bytes()
    elif attack.root is not None:
        whole = bytearray((image / "root.img").read_bytes())
        attack.root(whole, unified.verified_root(signed) if target.has_uefi else verified_root(signed))
        content, component = bytes(whole), disk.ROOT
    partitions = {partition.name: partition for partition in read_partitions(changed / DISK)}
    places = {slot_partition(component, slot): content for slot in attack.slots if content}
    if attack.environment is not None:
        places[uboot_slots.PARTITION] = attack.environment()
    with (changed / DISK).open("r+b") as file:
        for name, written in places.items():
            file.seek(partitions[name].first_lba * SECTOR_BYTES)
            file.write(written)
    return changed
