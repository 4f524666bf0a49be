# SPDX-License-Identifier: Apache-2.0
"""What a start begins early is what it would have done later: the same test, the same packages, the same checks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.images import pair

from armillary import content
from armillary.boot import profile, virtual_chain
from armillary.device.machine import beforehand
from armillary.device.machine.beforehand import Beforehand
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.boot_slots import BootSlots
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.flash.partition import PartitionFlash
from armillary.engines.sandbox.port import SandboxReport
from armillary.errors import BootRefusedError, DataFolderError
from armillary.update.install.component import os_region
from armillary.wire.device_image.command_line import VerifiedRoot

OS = pair(ec.SECP256R1(), 7)
CHIP = profile.parse(content.chip_document("gateway-x86-64"))
NAMES = [component.name for component in CHIP.boot_components]


class Bare:
    """A disk's slots that nobody asks."""


@pytest.fixture
def disk(tmp_path: Path) -> OsDisk:
    """A disk of files, with signed packages in slot a."""
    nodes = {}
    packages = virtual_chain.build(CHIP, "26.12", built=1, security_version=1, key=OS[0], certificate=OS[1])
    for name in NAMES:
        for slot in ("a", "b"):
            node = tmp_path / f"{name}-{slot}"
            node.write_bytes(bytes(1 << 20))
            nodes[os_region(name, slot)] = node
    made = OsDisk(nodes, cast("BootSlots", Bare()), NAMES[0])
    for name in NAMES:
        PartitionFlash(made.flash(_files(tmp_path)).files, nodes).write(os_region(name, "a"), packages[name])
    return made


def _files(tmp_path: Path) -> beforehand.FileFlash:
    return beforehand.FileFlash(DeviceFolder(tmp_path / "device").flash)


@pytest.fixture
def begun(disk: OsDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Beforehand:
    report = SandboxReport("tested", (), ())
    monkeypatch.setattr(beforehand, "load_configuration", lambda _flash: SimpleNamespace(sandbox="linux"))
    monkeypatch.setattr(beforehand, "test_or_wait", lambda name: (name, report))
    made = Beforehand(DeviceFolder(tmp_path / "device"), disk)
    made.read(NAMES)
    return made


def boot(begun: Beforehand, flash: PartitionFlash) -> list[str]:
    packages = {name: flash.read(os_region(name, "a")) or b"" for name in NAMES}
    record = begun.boot_rom(CHIP, packages, trusted=[OS[1]], minimum_security_versions={})
    return [event.digest.hex() for event in record.events]


def test_packages_that_were_read_ahead_are_verified_and_measured_as_ever(
    disk: OsDisk, begun: Beforehand, tmp_path: Path
) -> None:
    flash = disk.flash(_files(tmp_path))
    ahead = boot(begun, flash)
    assert set(begun._hashes) == set(NAMES)
    assert not disk.ahead, "who reads it first gets it, and nobody else"
    later = begun.boot_rom(
        CHIP,
        {name: flash.read(os_region(name, "a")) or b"" for name in NAMES},
        trusted=[OS[1]],
        minimum_security_versions={},
    )
    assert [event.digest.hex() for event in later.events] == ahead


def test_a_package_of_another_os_than_the_one_that_runs_is_refused(
    disk: OsDisk, begun: Beforehand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition table that leads the firmware to an older OS, and the device to a newer one's packages."""
    flash = disk.flash(_files(tmp_path))
    root = VerifiedRoot(root_hash="ab" * 32, salt="cd" * 32, blocks=7)
    monkeypatch.setattr(beforehand, "command_line", lambda: f"console=ttyS0 {root.word()}\n")
    with pytest.raises(BootRefusedError, match=rf"{disk.started}: expected the OS that runs.*{root.root_hash}"):
        boot(begun, flash)
    in_the_package = "OS 26.12"
    monkeypatch.setattr(beforehand, "root_word", lambda line: in_the_package if root.word() in line else "")
    assert len(boot(begun, flash)) == len(NAMES)


def test_a_changed_byte_is_found_in_what_was_read_ahead(disk: OsDisk, begun: Beforehand, tmp_path: Path) -> None:
    for future in disk.ahead.values():
        future.result()
    node = disk.nodes[os_region(NAMES[1], "a")]
    data = bytearray(node.read_bytes())
    data[5] ^= 1
    node.write_bytes(data)
    again = Beforehand(DeviceFolder(tmp_path / "device"), disk)
    again.read(NAMES)
    with pytest.raises(BootRefusedError, match=rf"{NAMES[1]}, check \(3\)"):
        boot(again, disk.flash(_files(tmp_path)))


def test_a_hash_that_was_begun_of_other_bytes_is_not_used(disk: OsDisk, begun: Beforehand, tmp_path: Path) -> None:
    flash = disk.flash(_files(tmp_path))
    good = {name: flash.read(os_region(name, "a")) or b"" for name in NAMES}
    changed = {**good, NAMES[1]: bytes([good[NAMES[1]][0] ^ 1]) + good[NAMES[1]][1:]}
    with pytest.raises(BootRefusedError, match=rf"{NAMES[1]}, check \(3\)"):
        begun.boot_rom(CHIP, changed, trusted=[OS[1]], minimum_security_versions={})


def test_what_is_written_meanwhile_is_read_anew(disk: OsDisk, begun: Beforehand, tmp_path: Path) -> None:
    flash = PartitionFlash(_files(tmp_path), disk.nodes, ahead=disk.ahead)
    region = os_region(NAMES[1], "a")
    flash.write(region, b"another")
    assert flash.read(region) == b"another"


def test_the_test_that_has_begun_is_taken_once_and_another_sandbox_is_tested_anew(
    begun: Beforehand, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew: list[str] = []

    def begin(name: str) -> tuple[str, str]:
        anew.append(name)
        return name, "anew"

    monkeypatch.setattr(beforehand, "test_or_wait", begin)

    async def ask(name: str) -> object:
        return (await begun.begin_test(None, name))[0]

    assert asyncio.run(ask("linux")) == "linux"
    assert anew == []
    assert asyncio.run(ask("linux")) == "linux"
    assert anew == ["linux"]


def test_a_device_without_a_configuration_begins_nothing(
    disk: OsDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_flash: object) -> None:
        raise DataFolderError("none", remedy="")

    monkeypatch.setattr(beforehand, "load_configuration", missing)
    before = threading.active_count()
    Beforehand(DeviceFolder(tmp_path / "device"), disk)
    assert threading.active_count() == before
