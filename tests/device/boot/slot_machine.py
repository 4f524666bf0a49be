# SPDX-License-Identifier: Apache-2.0
"""A machine with two slots: it loses power, its device process ends, at any operation, or reads go wrong.

The firmware and the chip are pretended; what chooses the slot, counts starts and verifies is the device's own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from tests.device.cut_flash import CutFlash, PowerCutError
from tests.device.install.offers import OS_COMPONENTS, OS_TYPES, WHOLE_OS, Booted, made, os_package
from tests.fixtures.pretended_uefi import SLOTS, PretendedUefi, Start

from armillary.boot.chain import BootRecord
from armillary.device.boot import running_os, startup
from armillary.device.boot.running_os import RunningOs
from armillary.device.boot.slot_choice import SlotChoice
from armillary.device.boot.startup import Startup, confirm_boot, verify_chain
from armillary.device.install.installer import Installer
from armillary.device.machine.slot_state import mend_in_flash
from armillary.device.state.journal import Journal
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import ArmillaryError, BootRefusedError, DataFolderError, WireError
from armillary.update.install.component import OsPlace, os_region, other_slot
from armillary.update.install.record import InstallRecord
from armillary.wire.attestation.event_log import BootEvent

PROCESS_STARTS = 5  # of a device process that ends by itself, in one start of the machine (``machine/first.py``)
WRONG_BYTES = "wrong bytes"
KERNEL = OS_TYPES["kernel"]
SLOT_BYTES = 4096
KERNELS = {os_package("kernel", version): version for version in range(1, 9)}
CHIP: Any = SimpleNamespace(
    boot_components=tuple(
        SimpleNamespace(name=name, component_id=component, image_type=OS_TYPES[name], size_limit_bytes=4096)
        for name, component in OS_COMPONENTS.items()
    )
)


@dataclass(frozen=True)
class Configuration:
    """As much of a device's as a start asks for."""

    chip: str = "a chip"
    os_version: str = "26.1"  # The factory's
    os_signers: tuple[()] = ()
    accepted_stores: tuple[()] = ()


CONFIGURATION: Any = Configuration()


class ProcessEndError(BaseException):
    """The device process ends. Not an Exception: nothing in the device may catch it."""


@dataclass(frozen=True)
class CutSlots(EfiBootSlots):
    """Firmware whose variables are written between two operations of the machine."""

    step: Callable[[], None] = lambda: None

    def _write(self, name: str, value: bytes) -> None:
        self.step()
        super()._write(name, value)
        self.step()


class DiskFlash(CutFlash):
    """Tells the disk before a slot is written, as ``PartitionFlash`` does; the process ends at operation ``end_at``."""

    disk: OsDisk
    end_at: int | None = None
    # Whether the reads of packages that follow go wrong: they fail, or give other bytes; WRONG_BYTES: never the former
    misreads: Iterator[bool | str] = iter(())

    def read(self, region: str) -> bytes | None:
        data = super().read(region)
        if region.startswith("boot") and data is not None and (how := next(self.misreads, False)):
            if how != WRONG_BYTES and self.operations % 2:
                raise DataFolderError(f"{region}: Input/output error")
            return data[:-1] + b"?"
        return data

    def before_write(self, region: str) -> None:
        self.disk.before_write(region)

    def room(self, region: str) -> int | None:
        return SLOT_BYTES if region.startswith("boot") else None  # its slots are partitions

    def rename(self, source: str, target: str) -> None:
        self.disk.before_write(target)
        super().rename(source, target)

    def step(self) -> None:
        """An operation that is none of the flash."""
        self._step()

    def _step(self, *, cuts: bool = True) -> bool:
        if self.operations + 1 == self.end_at:
            self.operations += 1
            raise ProcessEndError
        return super()._step(cuts=cuts)


@dataclass(frozen=True)
class End:
    """At which operation of a device process the power goes, or that process ends."""

    operation: int
    is_power: bool = True


@dataclass
class Machine:
    """One device. ``ends`` says what becomes of each start of a device process, by the slot that runs."""

    folder: Path
    broken: dict[bytes, Start] = field(default_factory=dict)  # What comes of kernels that do not come up
    minimum: int = 0  # The lowest security version of a kernel that may boot, as the root of trust keeps it
    security: Callable[[int], int] = lambda version: version  # Security version of a kernel, by its version
    ends: Callable[[str], End | None] = lambda _slot: None
    root_fails: ArmillaryError | None = None  # What asking the root of trust for its minimums comes to

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.firmware = PretendedUefi(self.folder)
        self.given_up: list[str] = []
        self.has_guessed = False  # The record was made anew where what ran had no whole packages: which root is unknown
        self.refused: list[str] = []  # What the device told of OSes that may not boot
        self.cuts: Iterator[Start] = iter(())  # Where the power goes in the starts that follow; RUNS: it does not
        self.misreads: Iterator[bool | str] = iter(())  # Whether the reads of packages that follow go wrong
        self.verified_at = self.named_at = 0  # After how many operations the last start had verified, named its slot
        self.processes: list[str] = []  # Slots whose device process was started, in order
        self._plug_in(made(), None)

    def _plug_in(self, durable: dict[str, bytes], end: End | None) -> None:
        """The flash as it is read from now on."""
        self.flash = DiskFlash(durable, cut_at=end.operation if end is not None and end.is_power else None)
        self.flash.end_at = end.operation if end is not None and not end.is_power else None
        self.flash.misreads = self.misreads
        self.slots = CutSlots(SLOTS, self.folder, step=self.flash.step)
        nodes = {os_region(name, slot): Path(f"{name}-{slot}") for name in OS_COMPONENTS for slot in SLOTS}
        self.flash.disk = OsDisk(nodes, self.slots, "kernel", root_nodes=self.folder / "slaves")

    def outcome(self, slot: str) -> Start:
        kernel = self.flash.durable.get(os_region("kernel", slot), b"")
        version = _version(kernel)
        if version is None:
            return Start.REFUSED
        cut = next(self.cuts, Start.RUNS)
        if cut is not Start.RUNS:
            return cut
        comes_up = Start.RUNS if self._mount(slot, version) else Start.INIT_STOPS
        return self.broken.get(os_package("kernel", version), comes_up)

    def _mount(self, slot: str, version: int) -> bool:
        """What the first program does: mount the root of this kernel, of its own slot if that has it, or the other's."""
        wanted = os_package("root-fs", version)
        for each in (slot, other_slot(slot)):
            if self.flash.durable.get(os_region("root-fs", each), b"").startswith(wanted):
                nodes = self.folder / "slaves"
                shutil.rmtree(nodes, ignore_errors=True)
                nodes.mkdir()
                (nodes / f"root-fs-{each}").touch()
                return True
        return False

    def start(self, *, at_most: int = 200) -> Booted:
        """Start until the slot that runs is the wanted one and has booted."""
        for _ in range(at_most):
            slot = self.firmware.start(self.outcome)
            for _ in range(PROCESS_STARTS):
                try:
                    booted = self._device_process(slot)
                except (PowerCutError, BootRefusedError):  # as ``machine/being.py`` has it
                    break
                except (ProcessEndError, ArmillaryError):
                    continue
                if booted is not None:
                    return booted
                break
        raise AssertionError("the device never settled")

    def _device_process(self, slot: str) -> Booted | None:
        """What ``device/process.py`` does; None, or BootRefusedError, where it has the machine start again."""
        self.processes.append(slot)
        self._plug_in({**self.flash.durable, **self.flash.pending}, self.ends(slot))
        with self._pretended():
            self.flash.misreads = iter(())  # a record that is lost, and wrong readings of what runs, are two faults
            told = mend_in_flash(self.flash, CHIP.boot_components, self.flash.disk, str)
            self.has_guessed |= "the OS in slot a is wanted" in told
            self.flash.misreads = self.misreads
            installer = Installer(self.flash, lambda: 0)
            running = RunningOs(self.flash, CHIP.boot_components, self.flash.disk)
            choice = SlotChoice(
                self.slots, self.flash, "kernel", self._verify, running, self._journal(), self._tell_refused
            )
            if not choice.is_wanted(installer):
                return None
            try:
                started = choice.boot(self.flash, CONFIGURATION, self._root(), self._boot_rom, installer)
            except BootRefusedError as error:
                self._tell_refused(error)
                if choice.is_wanted(installer):
                    raise
                return None
        self.named_at = self.flash.operations
        self.flash.cut_at = self.flash.end_at = None  # it has come up
        self.flash.misreads = iter(())
        self.started = started
        booted = self._booted(started, installer)
        assert booted.os["kernel"] == self.flash.read(os_region("kernel", slot)), "it runs what it measured"
        assert self.has_guessed or booted.os["root-fs"] == os_package("root-fs", KERNELS[booted.os["kernel"]]), (
            "and mounts it"
        )
        return booted

    def _pretended(self) -> AbstractContextManager[object]:
        """The chip and its packages."""
        stack = ExitStack()
        stack.enter_context(patch.object(startup, "chip_profile", lambda _name: CHIP))
        stack.enter_context(patch.object(startup, "chain", SimpleNamespace(boot=self._verified)))
        stack.enter_context(patch.object(running_os, "image_package", SimpleNamespace(parse=_parsed)))
        return stack

    def _journal(self) -> Journal:
        journal = Journal(None, lambda: 0)
        journal.listen(lambda entry: self.given_up.append(entry["reason"]) if "reverted" in entry["event"] else None)
        return journal

    def _tell_refused(self, error: BootRefusedError) -> None:
        self.refused.append(error.message)

    @property
    def claimed(self) -> str:
        """The OS version that the last start says to the service."""
        return self.started.configuration.os_version

    def attested(self, booted: Booted) -> None:
        """The service attests it: what is on trial is confirmed, and its security version is the lowest from now on."""
        assert self.claimed == f"26.{KERNELS[booted.os['kernel']]}", "the service compares it with what was measured"
        if booted.installer.record.trial is not None:
            booted.installer.confirm()
        confirm_boot(self.flash, self.started, booted.installer)

    def _verify(self, record: Any) -> None:
        verify_chain(self.flash, CONFIGURATION, self._root(), self._boot_rom, record)

    def _root(self) -> Any:
        def minimums() -> dict[int, int]:
            if self.root_fails is not None:
                raise self.root_fails
            return {KERNEL: self.minimum}

        def keep(minimums: Mapping[int, int]) -> None:
            self.minimum = minimums[KERNEL]

        return SimpleNamespace(minimums=minimums, keep_minimums=keep, begin_boot=lambda _events: None)

    def _boot_rom(self, chip: Any, packages: Mapping[str, bytes], **named: Any) -> BootRecord:
        """As ``machine/beforehand.py`` has it: packages of another OS than the one that runs are refused."""
        record = self._verified(chip, packages, **named)
        kernel = self.flash.durable[os_region("kernel", self.processes[-1])]
        if record.events[0].digest != _digest(kernel):
            raise BootRefusedError("kernel: of another OS than the one that runs", remedy="none")
        self.verified_at = self.flash.operations
        return record

    def _verified(
        self, chip: Any, packages: Mapping[str, bytes], *, minimum_security_versions: Mapping[int, int], **_: object
    ) -> BootRecord:
        data = {component.name: packages[component.name] for component in chip.boot_components}
        version = KERNELS.get(data["kernel"])
        if version is None or data["root-fs"] not in WHOLE_OS:
            raise BootRefusedError("kernel or root-fs: damaged", remedy="none")
        security = {KERNEL: self.security(version)}
        if security[KERNEL] < minimum_security_versions.get(KERNEL, 0):
            raise BootRefusedError("kernel: older than the minimum", remedy="none")
        events = tuple(
            BootEvent(
                component=each.name,
                image_type=each.image_type,
                component_id=each.component_id,
                image_id=UUID(int=1),
                digest=_digest(data[each.name]),
                security_version=security.get(each.image_type, 0),
            )
            for each in chip.boot_components
        )
        return BootRecord(events=events)

    def _booted(self, started: Startup, installer: Installer) -> Booted:
        places = tuple(
            OsPlace(
                component_id=event.component_id,
                image_type=event.image_type,
                name=event.component,
                size_limit_bytes=4096,
                digest=event.digest,
            )
            for event in started.events
        )
        found = {
            name: self.flash.read(os_region(name, installer.record.os_slot(name))) or b"" for name in OS_COMPONENTS
        }

        def verify(record: InstallRecord) -> None:
            with self._pretended():
                started.verify_other(record)

        return Booted(installer, places, found, installer.check_images(verify), verify)


def _version(kernel: bytes) -> int | None:
    """Which version a kernel is, damaged behind its end or not; None where it is torn: nothing starts it."""
    return next((version for package, version in KERNELS.items() if kernel.startswith(package)), None)


def _parsed(data: bytes) -> Any:
    if data not in KERNELS and data not in WHOLE_OS:
        raise WireError("image package", expected="a whole one", got=f"{len(data)} bytes")
    return SimpleNamespace(image_id=UUID(int=1))


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
