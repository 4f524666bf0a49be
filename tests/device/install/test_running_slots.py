# SPDX-License-Identifier: Apache-2.0
"""A machine whose kernel takes the root file system of its own slot where that fits: each update of the OS finds a way.

The partitions are files and the firmware is pretended; plan, installer and disk are the device's own. Which root file
system is mounted is decided here as ``image/init/init.c`` decides it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st
from tests.device.cut_flash import CutFlash, PowerCutError
from tests.fixtures.effort import examples
from tests.fixtures.images import P256
from tests.fixtures.pretended_uefi import PretendedUefi, Start

from armillary.device.install.installer import RECORD_REGIONS, Installer
from armillary.engines.flash import partition
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.flash.port import store_region
from armillary.errors import BootRefusedError, DataFolderError
from armillary.update.install.component import SLOTS, OsPlace, os_region, other_slot
from armillary.update.install.plan import plan_install
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, WayBack, encode
from armillary.wire.device.checkin import Offer, OfferedImage
from armillary.wire.image import package as image_package

COMPONENTS = {"kernel": uuid.UUID(int=4), "root-fs": uuid.UUID(int=5)}
TYPES = {"kernel": 7, "root-fs": 8}
PAYLOAD_BYTES = 64


@dataclass(frozen=True)
class Release:
    """A kernel and the root file system beside it, each as a package."""

    kernel: bytes
    root: bytes

    def package(self, name: str) -> bytes:
        return self.kernel if name == "kernel" else self.root


def kernel_package(number: int, root: bytes) -> bytes:
    """A kernel with a signed command line that names the payload of ``root``."""
    return _package("kernel", f"kernel {number} ".encode().ljust(16) + _digest(root_of(root)), str(number))


def root_package(content: int, signed: int, *, security_version: int = 1) -> bytes:
    """A root file system of so many; signed again it is another package with the same payload."""
    return _package("root-fs", f"root {content} ".encode() * 8, f"{content} {signed}", security_version)


def _package(name: str, payload: bytes, said: str, security_version: int = 1) -> bytes:
    sections = image_package.standard_sections(
        image_type=TYPES[name], component_id=COMPONENTS[name], image_id=uuid.uuid5(COMPONENTS[name], said + str(payload)),
        name=name, built=1_790_000_000, security_version=security_version,
    )  # fmt: skip
    return image_package.build(
        payload.ljust(PAYLOAD_BYTES)[:PAYLOAD_BYTES], sections=sections, key=P256[0], certificate=P256[1]
    )


def root_of(package: bytes) -> bytes:
    return image_package.parse(package).payload


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def offer(number: int, release: Release) -> Offer:
    images = []
    for name, component_id in COMPONENTS.items():
        data = release.package(name)
        parsed = image_package.parse(data)
        images.append(
            OfferedImage(
                component_id=component_id,
                image_id=parsed.image_id,
                image_type=TYPES[name],
                name=name,
                size=len(data),
                sha256=_digest(data),
            )
        )
    return Offer(
        offer_id=uuid.UUID(int=number << 8),
        deployment_id=None,
        images=tuple(images),
        os_version=f"26.{number}",
        os_abi=0,
    )


class Machine:
    """A machine that was flashed with one release, in both slots or in one."""

    def __init__(self, folder: Path, release: Release, *, slots: tuple[str, ...] = SLOTS) -> None:
        self.firmware = PretendedUefi(folder / "efivars")
        self.firmware.folder.mkdir()
        self.mounted = folder / "slaves"
        self.mounted.mkdir()
        self.nodes = {os_region(name, slot): folder / f"{name}-{slot}" for name in COMPONENTS for slot in SLOTS}
        for node in self.nodes.values():
            node.write_bytes(bytes(4096))
        self.files = CutFlash()
        self.known: set[bytes] = set()
        self._publish(release)
        flash = PartitionFlash(self.files, self.nodes)
        for name in COMPONENTS:
            for slot in slots:
                store_region(flash, os_region(name, slot), release.package(name))
        if slots == SLOTS:
            images = tuple(self._flashed(name, release) for name in COMPONENTS)
            record = InstallRecord(way_back=WayBack(images, OsVersion("26.0")))
            store_region(self.files, RECORD_REGIONS[0], encode(record, 1))
        self.offers = 0
        self.came_up: list[str] = []  # Which slot's root file system each start has mounted

    def _flashed(self, name: str, release: Release) -> SlotImage:
        data = release.package(name)
        image_id = image_package.parse(data).image_id
        return SlotImage(COMPONENTS[name], image_id, TYPES[name], name, "b", len(data), _digest(data))

    def _publish(self, release: Release) -> None:
        self.known |= {release.kernel, release.root}

    def start(self, *, cut_at: int | None = None, seed: int = 0, broken: bytes = b"") -> None:
        """Start it until it has come up with what its record wants; the power goes at operation ``cut_at`` from then on.

        A kernel whose package is ``broken`` does not come up, nor does one that finds no root file system of its own.
        """
        for _ in range(4):
            self.files = CutFlash({**self.files.durable, **self.files.pending}, seed=seed)
            self.disk = OsDisk(self.nodes, self.firmware.slots(), "kernel", root_nodes=self.mounted)
            self.flash = self.disk.flash(self.files)
            installer = Installer(self.flash, lambda: 0)
            wanted = installer.record.os_slot("kernel")
            self.firmware.slots().start_next(wanted, settled=wanted)
            self.firmware.start(lambda _slot: Start.RUNS)
            installer.count_start(self._verify)
            if installer.record.os_slot("kernel") != wanted:
                continue  # a trial that used up its starts
            mounted = self._mounted_by(wanted)
            refused = BootRefusedError("it did not come up", remedy="none")
            if mounted is None or PartitionFlash(self.files, self.nodes).read(os_region("kernel", wanted)) == broken:
                installer.boot_refused(refused, self._verify)
                continue
            try:
                self._verify(installer.record)
            except BootRefusedError as error:
                installer.boot_refused(error, self._verify)
                continue
            self._mount(mounted)
            self.came_up.append(mounted)
            self.installer = installer
            self.files.cut_at = None if cut_at is None else self.files.operations + cut_at
            installer.check_images(self._verify)
            return
        raise AssertionError("it does not come up")

    def _mounted_by(self, slot: str) -> str | None:
        """The slot whose root file system the kernel of a slot takes: its own one where that is the named one."""
        named = self.nodes[os_region("kernel", slot)].read_bytes()[16:48]
        for each in (slot, other_slot(slot)):
            if _digest(self.nodes[os_region("root-fs", each)].read_bytes()[:PAYLOAD_BYTES]) == named:
                return each
        return None

    def _mount(self, slot: str) -> None:
        for each in self.mounted.iterdir():
            each.unlink()
        node = self.nodes[os_region("root-fs", slot)]
        (self.mounted / node.name).touch()
        self.running = {node: PAYLOAD_BYTES}
        self.running[self.nodes[os_region("kernel", self.disk.slots.booted())]] = 4096

    def _verify(self, record: InstallRecord) -> None:
        for name in COMPONENTS:
            if self.flash.read(os_region(name, record.os_slot(name))) not in self.known:
                raise BootRefusedError(f"boot stopped at {name}", remedy="none")

    def write(self, descriptor: int, offset: int, data: bytes) -> None:
        """What the disk does when a partition is written: half of it where the power goes."""
        node = next(each for each in self.nodes.values() if each.samefile(f"/proc/self/fd/{descriptor}"))
        assert offset >= self.running.get(node, 0), f"{node.name} runs, and is written at {offset}"
        cut = self.files.operations + 1 == self.files.cut_at
        os.pwrite(descriptor, data[: len(data) // 2] if cut else data, offset)
        self.files._step()

    def places(self) -> list[OsPlace]:
        """As ``Installation`` has them."""
        found = []
        for name, component_id in COMPONENTS.items():
            region = os_region(name, self.installer.record.os_slot(name))
            runs_from = next((slot for slot in SLOTS if self.flash.runs_from(os_region(name, slot))), None)
            found.append(
                OsPlace(
                    component_id=component_id,
                    image_type=TYPES[name],
                    name=name,
                    size_limit_bytes=4096,
                    digest=_digest(self.flash.read(region) or b""),
                    runs_from=runs_from,
                )
            )
        return found

    def install(self, release: Release) -> bool:
        """What the device does with an offer; returns whether it switched."""
        self._publish(release)
        self.offers += 1
        installer = self.installer
        installer.acknowledge(installer.record.outcomes)
        plan = plan_install(installer.record, offer(self.offers, release), self.places())
        if plan is None:
            return False
        packages = {image_package.parse(data).image_id: data for data in (release.kernel, release.root)}
        for staged in installer.missing(plan):
            installer.keep(staged.target, packages[staged.target.image_id])
        installer.stage(plan)
        installer.switch(plan)
        return True

    def settle(self, *, healthy: bool = True) -> None:
        """End a trial, if there is one."""
        if self.installer.record.trial is not None:
            self.installer.confirm() if healthy else self.installer.revert("crashed", self._verify)
        self.installer.acknowledge(self.installer.record.outcomes)

    def system(self) -> Release:
        """What the record in force names."""
        found = {name: self.flash.read(os_region(name, self.installer.record.os_slot(name))) for name in COMPONENTS}
        return Release(found["kernel"] or b"", found["root-fs"] or b"")

    def way_back(self) -> Release | None:
        """The OS that the record has as its way back; None where it has none."""
        way_back = self.installer.record.way_back
        if way_back is None:
            return None
        slots = dict.fromkeys(COMPONENTS, "a") | {image.name: image.slot for image in way_back.images}
        found = {name: self.flash.read(os_region(name, slot)) for name, slot in slots.items()}
        return Release(found["kernel"] or b"", found["root-fs"] or b"")


@contextlib.contextmanager
def machine(release: Release, **options: Any) -> Iterator[Machine]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        made = Machine(Path(folder), release, **options)
        patched.setattr(partition, "_write_at", made.write)
        patched.setattr(os, "fsync", lambda _descriptor: None)  # the power that goes is pretended
        yield made


def release(kernel: int, content: int, signed: int = 0) -> Release:
    root = root_package(content, signed)
    return Release(kernel_package(kernel, root), root)


def update(made: Machine, wanted: Release, *, healthy: bool = True) -> None:
    """An update that must come about, up to its end."""
    assert made.install(wanted)
    made.start()
    made.settle(healthy=healthy)


def test_after_an_update_of_the_kernel_alone_a_whole_one_goes_into_the_slot_that_is_not_mounted() -> None:
    with machine(first := release(1, 1)) as made:
        made.start()
        update(made, kernel_alone := release(2, 1))
        assert made.came_up[-1] == "b", "its own, which is the same"
        assert made.installer.record.os_slot("root-fs") == "a"
        assert made.way_back() == first
        made.start()
        update(made, whole := release(3, 2))
        assert (made.system(), made.came_up[-1]) == (whole, "a")
        assert made.way_back() == kernel_alone
        assert made.installer.record.os_slot("root-fs") == "a"


def test_what_runs_becomes_whole_before_the_recorded_slot_is_overwritten() -> None:
    """The root file system that runs has other metadata behind it: it was signed again, and lies in the other slot."""
    with machine(release(1, 1), slots=("a",)) as made:
        made.start()
        update(made, release(2, 2))
        update(made, release(3, 2))
        assert (made.installer.record.os_slot("kernel"), made.came_up[-1]) == ("a", "b")
        update(made, signed_again := release(4, 2, signed=1))
        assert (made.installer.record.os_slot("root-fs"), made.came_up[-1]) == ("a", "b")
        made.start()
        update(made, whole := release(5, 3))
        assert made.system() == whole
        assert made.way_back() == signed_again


def test_a_way_back_that_runs_stands_for_a_root_file_system_that_no_kernel_takes() -> None:
    """Of a release whose kernel names another root file system than the one beside it."""
    with machine(first := release(1, 1)) as made:
        made.start()
        update(made, Release(first.kernel, root_package(2, 0)))
        assert (made.installer.record.os_slot("root-fs"), made.came_up[-1]) == ("b", "a")
        update(made, whole := release(3, 3))
        assert made.system() == whole
        assert made.way_back() == first


@pytest.mark.parametrize("why", ["no way back", "an older security version"])
def test_what_runs_and_cannot_be_recorded_is_not_lost_and_another_kernel_leads_on(why: str) -> None:
    """As above, but what runs may not take the place of what the record names."""
    with machine(first := release(1, 1)) as made:
        made.start()
        root = root_package(2, 0, security_version=2 if why == "an older security version" else 1)
        update(made, Release(first.kernel, root))
        if why == "no way back":
            record = replace(made.installer.record, way_back=None)
            for region in RECORD_REGIONS:
                store_region(made.files, region, encode(record, 1000))
        made.start()
        before = made.installer.record
        nodes = {node: node.read_bytes() for node in made.nodes.values()}
        with pytest.raises(DataFolderError, match="boot/root-fs: expected the slot that the machine does not run from"):
            made.install(release(3, 3))
        assert {node: node.read_bytes() for node in made.nodes.values()} == nodes
        assert made.installer.record == before
        made.start()
        update(made, Release(kernel_package(4, root), root))
        assert made.came_up[-1] == "b"
        update(made, whole := release(5, 5))
        assert made.system() == whole


def test_an_update_that_the_disk_refuses_costs_no_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with machine(first := release(1, 1)) as made:
        made.start()
        update(made, second := release(2, 2))
        before = {node: node.read_bytes() for node in made.nodes.values()}

        def refuse(region: str) -> None:
            if region == "boot/root-fs":  # the second of two
                raise DataFolderError(f"{region}: refused")

        made.flash = replace(made.flash, before_write=refuse)
        made.installer = Installer(made.flash, lambda: 0)
        with pytest.raises(DataFolderError, match="boot/root-fs: refused"):
            made.install(release(3, 3))
        assert {node: node.read_bytes() for node in made.nodes.values()} == before
        assert (made.system(), made.way_back()) == (second, first)
        made.start()
        assert (made.system(), made.way_back()) == (second, first)


CHANGES = st.tuples(st.booleans(), st.sampled_from(["same", "signed again", "another", "as flashed"]))
STEPS = st.lists(
    st.tuples(
        CHANGES,
        st.sampled_from(["healthy", "crashes", "broken", "unsettled"]),
        st.integers(1, 120),
        st.integers(0, 10**6),
    ),
    min_size=1,
    max_size=7,
)


def changed(before: Release, change: tuple[bool, str], number: int) -> Release:
    """The next release: another kernel or not, and the root file system changed so. A new kernel names its own root."""
    kernel, how = change
    content = int(root_of(before.root).split()[1])
    root = {
        "same": before.root,
        "signed again": root_package(content, number),
        "another": root_package(number, 0),
        "as flashed": root_package(1, 0),
    }[how]
    return Release(kernel_package(number, root) if kernel else before.kernel, root)


def stands_for(release: Release, known: set[bytes]) -> list[Release]:
    """The OS that a release is: itself, or what its kernel takes in place of a root file system that is not its own."""
    named = image_package.parse(release.kernel).payload[16:48]
    fits = [package for package in known if _digest(root_of(package)) == named]
    return [release] if release.root in fits else [release, *(Release(release.kernel, package) for package in fits)]


@settings(max_examples=examples(400), deadline=None)
@given(steps=STEPS, both=st.booleans())
@example(steps=[((True, "same"), "healthy", 120, 0)], both=True)
@example(steps=[((False, "another"), "healthy", 120, 0)], both=True)
@example(steps=[((False, "another"), "healthy", 16, 0), ((True, "same"), "healthy", 12, 0)], both=False)
@example(steps=[((False, "signed again"), "healthy", 120, 0), ((True, "signed again"), "healthy", 120, 0)], both=True)
def test_from_every_state_that_updates_lead_to_a_whole_update_is_written(steps: list[Any], *, both: bool) -> None:
    with machine(last := release(1, 1), slots=SLOTS if both else ("a",)) as made:
        for number, (change, end, cut_at, seed) in enumerate(steps, 10):
            before = last
            with contextlib.suppress(PowerCutError):
                made.start(cut_at=cut_at, seed=seed)
                made.settle()
                before = made.system()
                if made.install(last := changed(before, change, number)):
                    made.start(broken=last.kernel if end == "broken" and change[0] else b"")
                    if end != "unsettled":
                        made.settle(healthy=end == "healthy")
            made.start()
            assert made.system() in (last, *stands_for(before, made.known)), "a whole OS, never a mixture of two"
            made.settle()
            last = made.system()
        update(made, whole := release(1000, 1000))
        assert made.system() == whole
        assert made.way_back() in stands_for(last, made.known)
