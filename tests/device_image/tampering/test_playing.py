# SPDX-License-Identifier: Apache-2.0
"""Attacks on a machine that is a device, played on a pretended one: what is accepted, what is put right, the control."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fixtures.variable_store import store, variable

from armillary.device.machine import first
from armillary.device_image import disk
from armillary.device_image.architecture.hardware import VARIABLES
from armillary.device_image.architecture.table import ARM64, X86_64, Architecture
from armillary.device_image.tampering import playing
from armillary.device_image.tampering.attacks import (
    SECURE_BOOT_ON,
    DeviceAttack,
    End,
    attacks_on_device,
    is_accepted,
)
from armillary.device_image.tampering.playing import REFUSED_STARTS, Victim, play_all
from armillary.device_image.tampering.tables import foreign_instead, foreign_place
from armillary.device_image.virtual_machine import DISK, MachineSettings
from armillary.errors import HostError
from armillary.wire.disk.gpt import SECTOR_BYTES
from armillary.wire.disk.gpt_writing import encode_tables

GOOD = store(variable("PK", bytes(60)), variable("db", bytes(60)), variable("Boot0001", b"x"))
ATTESTED, REFUSED = "check-in  verdict=attested  purpose=client", "check-in  verdict=refused  purpose=update"
REFUSES = "armillary: the device does not start: unified-kernel-image (5)"
Says = Callable[[Path], list[str]]
# What a start says of which all was verified, and what one says of which the firmware verified nothing.
VERIFIED = ("armillary: slot a, verified root from /dev/vda2", "armillary: secure boot on, a TPM, a watchdog")
UNVERIFIED = (VERIFIED[0], "armillary: secure boot off, a TPM, a watchdog")


class PretendedMachine:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def lines(self, *, within_s: float) -> Iterator[str]:
        assert within_s > 0
        yield from self._lines

    def pull_the_plug(self) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MachineSettings:
    image = tmp_path / "image"
    image.mkdir()
    (image / "unified.efi").write_bytes(b"signed")
    (image / "root.img").write_bytes(b"root")
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / VARIABLES).write_bytes(GOOD)
    begin, end = encode_tables(disk.layout())
    with (folder / DISK).open("wb") as file:
        file.truncate(disk.layout().sectors * SECTOR_BYTES)
        file.write(begin)
        file.seek(-len(end), 2)
        file.write(end)
    monkeypatch.setattr(playing, "architecture_of", lambda _image: X86_64)
    return MachineSettings(folder=folder, image=image, machine="x86_64")


def victim(settings: MachineSettings, monkeypatch: pytest.MonkeyPatch, says: Says) -> Victim:
    @contextlib.contextmanager
    def running(found: MachineSettings) -> Iterator[PretendedMachine]:
        yield PretendedMachine(says(found.folder))

    monkeypatch.setattr(playing, "running", running)
    assert settings.image is not None
    return Victim(settings, settings.image, within_s=1.0)


def changed_keys(store: bytes, _: object) -> bytes:
    return store.replace(bytes(60), b"\1" * 60)


ATTACK = DeviceAttack("keys", End.NOT_ATTESTED, changed_keys, is_believed=True)


def test_a_machine_that_is_believed_with_changed_keys_is_an_accepted_attack(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a service that does not look makes every attack of this kind an accepted one."""
    (outcome,) = play_all(victim(settings, monkeypatch, lambda _: [ATTESTED]), [ATTACK])
    assert (outcome.accepted, outcome.end, outcome.came_back) == (True, End.ATTESTED, True)


def test_a_machine_that_is_not_believed_is_put_right_and_is_again(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(folder: Path) -> list[str]:
        return [ATTESTED if (folder / VARIABLES).read_bytes() == GOOD else REFUSED]

    (outcome,) = play_all(victim(settings, monkeypatch, says), [ATTACK])
    assert (outcome.accepted, outcome.end, outcome.came_back) == (False, End.NOT_ATTESTED, True)


def test_a_machine_that_was_attested_with_the_change_is_started_again_without(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = iter([[ATTESTED], [*VERIFIED, ATTESTED], ["BdsDxe: No bootable option or device was found."]])
    order = DeviceAttack("order", End.ATTESTED, changed_keys)
    (outcome,) = play_all(victim(settings, monkeypatch, lambda _: next(starts)), [order])
    assert (outcome.accepted, outcome.end, outcome.came_back) == (False, End.ATTESTED, False)


def test_a_machine_that_stays_away_is_said(settings: MachineSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = iter([[ATTESTED], ["BdsDxe: No bootable option or device was found."], [REFUSES]])
    (outcome,) = play_all(victim(settings, monkeypatch, lambda _: next(starts)), [ATTACK])
    assert (outcome.accepted, outcome.end, outcome.came_back) == (False, End.NOTHING, False)


@pytest.mark.parametrize(
    "line",
    [
        "BdsDxe: No bootable option or device was found.",
        "!!!! X64 Exception Type - 06(#UD - Invalid Opcode)  CPU Apic ID - 00000000 !!!!",
        "Synchronous Exception at 0x000000005F9E1A2C",
        "armillary: the data partition /dev/vda6 does not mount: identity of this device are out of reach",
    ],
)
def test_a_machine_that_has_said_its_last_is_not_waited_for(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    end, lines = victim(settings, monkeypatch, lambda _: ["begins", line, ATTESTED]).start()
    assert (end, lines) == (End.NOTHING, ("begins", line))


def test_a_machine_that_refuses_one_os_is_waited_for_since_the_other_slot_gets_its_turn(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = [*VERIFIED, *[REFUSES] * 5] * (REFUSED_STARTS - 1) + [*VERIFIED, ATTESTED]
    assert victim(settings, monkeypatch, lambda _: says).start() == (End.ATTESTED, tuple(says))


def test_a_machine_that_has_refused_both_slots_as_often_as_they_are_tried_is_not_waited_for(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = [*VERIFIED, REFUSES] * REFUSED_STARTS
    end, lines = victim(settings, monkeypatch, lambda _: [*says, REFUSES, *VERIFIED, ATTESTED]).start()
    assert (end, lines) == (End.NOTHING, tuple(says))


@pytest.mark.parametrize("says", [[], ["begins"], [*VERIFIED, REFUSES] * (REFUSED_STARTS - 1)])
def test_a_machine_that_falls_silent_has_shown_nothing(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch, says: list[str]
) -> None:
    assert victim(settings, monkeypatch, lambda _: says).start() == (End.NOT_CLEAR, tuple(says))


def test_a_machine_is_put_right_though_an_attack_breaks_off(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def says(_: Path) -> list[str]:
        raise HostError("swtpm does not start")

    attacked = victim(settings, monkeypatch, says)
    attacked.keep()
    with pytest.raises(HostError, match="swtpm does not start"):
        attacked.play(ATTACK)
    assert (settings.folder / VARIABLES).read_bytes() == GOOD


def test_nothing_is_said_of_a_machine_that_was_not_attested_before(
    settings: MachineSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HostError, match="not attested before any attack"):
        list(play_all(victim(settings, monkeypatch, lambda _: [REFUSED]), [ATTACK]))


def test_the_disk_is_put_right_but_for_its_data(settings: MachineSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    place = settings.folder / DISK
    data_at = disk.layout().partition(disk.DATA).first_lba * SECTOR_BYTES
    before = place.read_bytes()[:SECTOR_BYTES]
    seen = []

    def says(folder: Path) -> list[str]:
        with (folder / DISK).open("r+b") as file:
            seen.append((file.read(SECTOR_BYTES), file.seek(0, 2)))
            file.seek(foreign_place(disk.layout()) * SECTOR_BYTES)
            seen.append(file.read(7))
            file.seek(data_at)
            file.write(b"start %d" % len(seen))
        return [*VERIFIED, ATTESTED]

    attack = DeviceAttack(
        "x",
        End.ATTESTED,
        table=foreign_instead("root-fs-a"),
        foreign=lambda _: b"foreign",
        ran=("verified root from x",),
    )
    (outcome,) = play_all(victim(settings, monkeypatch, says), [attack])
    assert not outcome.accepted
    assert seen[3] == b"foreign"
    assert seen[2][1] > disk.layout().sectors * SECTOR_BYTES
    with place.open("rb") as file:
        assert file.read(SECTOR_BYTES) == before
        file.seek(data_at)
        assert file.read(7) == b"start 6"
        assert file.seek(0, 2) == disk.layout().sectors * SECTOR_BYTES


def test_what_runs_unverified_is_accepted_whatever_the_service_says() -> None:
    attack = DeviceAttack("x", End.ATTESTED, ran=("verified root from /dev/vda1",))
    line = "armillary: slot a, verified root from /dev/vda1"
    assert is_accepted(attack, End.NOT_ATTESTED, (line,))
    assert not is_accepted(attack, End.ATTESTED, VERIFIED)


@pytest.mark.parametrize(
    ("lines", "is_so"),
    [
        (VERIFIED, False),
        ((*UNVERIFIED, *VERIFIED), False),
        (UNVERIFIED, True),
        ((*VERIFIED, *UNVERIFIED), True),
        (VERIFIED[:1], True),
        (VERIFIED[1:], True),
        ((), True),
    ],
)
def test_a_machine_that_is_attested_has_to_say_of_its_last_start_that_it_was_verified(
    lines: tuple[str, ...], is_so: bool
) -> None:
    order = DeviceAttack("order", End.ATTESTED, changed_keys)
    assert is_accepted(order, End.ATTESTED, lines) is is_so
    assert not is_accepted(order, End.NOT_ATTESTED, lines)
    assert not is_accepted(order, End.NOTHING, lines)


def test_that_secure_boot_is_on_is_what_process_1_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SecureBoot").write_bytes(b"\6\0\0\0\1")
    monkeypatch.setattr(first, "SECURE_BOOT", str(tmp_path / "SecureBoot"))
    assert first.secure_boot() == SECURE_BOOT_ON


@pytest.mark.parametrize("target", [X86_64, ARM64], ids=lambda target: target.name)
def test_every_attack_is_accepted_by_a_service_that_attests_whatever_runs(target: Architecture) -> None:
    """The control of all of them: one that nothing could show to be accepted would say nothing."""
    for each in attacks_on_device(target, 1):
        assert is_accepted(each, End.ATTESTED, (*UNVERIFIED, ATTESTED)), each.name


@pytest.mark.parametrize("target", [X86_64, ARM64], ids=lambda target: target.name)
def test_an_attack_after_which_nothing_may_be_attested_is_accepted_if_it_is(target: Architecture) -> None:
    """Damaged boot entries say only where to look: that firmware for arm64 does not come past them is its own way."""
    lines = (VERIFIED[0].replace("vda2", "vda4"), VERIFIED[1], ATTESTED)  # the root of slot B
    for each in attacks_on_device(target, 1):
        wanted = each.ends is not End.ATTESTED and not each.name.startswith("slot state")
        assert is_accepted(each, End.ATTESTED, lines) is wanted, each.name


def test_every_region_is_attacked_once_by_a_name_of_its_own() -> None:
    names = [each.name for each in attacks_on_device(X86_64, 1)]
    assert len({*names}) == len(names)
    for region in ("PK", "KEK", "db", "dbx", "boot entries", "order", "first header", "second header", "both headers"):
        assert any(region in name for name in names), region
