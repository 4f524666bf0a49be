# SPDX-License-Identifier: Apache-2.0
"""Slots by UEFI's boot entries, over a pretended firmware."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.pretended_uefi import GLOBAL, LOADER_INTERFACE, SLOTS, PretendedUefi, Start, utf16

from armillary.engines.flash.boot_slots import LOADER, EfiBootSlots
from armillary.errors import HostError
from armillary.wire.disk.load_option import encode_load_option


@pytest.fixture
def firmware(tmp_path: Path) -> PretendedUefi:
    return PretendedUefi(tmp_path)


@pytest.mark.parametrize("settled", ["a", "b"])
@pytest.mark.parametrize("slot", ["a", "b"])
def test_the_wanted_slot_is_started_and_then_the_settled_one(firmware: PretendedUefi, slot: str, settled: str) -> None:
    firmware.slots().start_next(slot, settled=settled)
    assert firmware.start(lambda _: Start.RUNS) == slot
    assert firmware.slots().booted() == slot
    firmware.slots().start_next(slot, settled=settled)
    stops = iter([Start.KERNEL_STOPS])
    assert firmware.start(lambda _: next(stops, Start.RUNS)) == settled
    assert firmware.started == [slot, slot, settled]


@pytest.mark.parametrize("how", [Start.REFUSED, Start.INIT_STOPS])
@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_slot_that_gives_way_leads_to_the_other_one(firmware: PretendedUefi, slot: str, how: Start) -> None:
    firmware.slots().start_next(slot, settled=slot)
    assert firmware.start(lambda one: how if one == slot else Start.RUNS) != slot


def test_entries_that_were_lost_are_made_again_and_others_stay(firmware: PretendedUefi) -> None:
    setup = encode_load_option("Set-up", SLOTS["a"], "x").replace(SLOTS["a"].guid.bytes_le, bytes(16))
    firmware.put("Boot0001", setup)
    firmware.put("Boot0003", b"garbage")
    firmware.slots().start_next("b", settled="b")
    first = {path.name: path.read_bytes() for path in firmware.folder.iterdir()}
    assert firmware.value("Boot0001") == setup
    assert firmware.value("Boot0003") == b"garbage"
    assert {f"Boot{n}-{GLOBAL}" for n in ("0001", "0002", "0003", "0004", "Order", "Next")} == first.keys()
    firmware.slots().start_next("b", settled="b")
    assert {path.name: path.read_bytes() for path in firmware.folder.iterdir()} == first
    assert firmware.start(lambda _: Start.RUNS) == "b"


def test_an_entry_that_the_firmware_does_not_give_stops_nothing(firmware: PretendedUefi) -> None:
    firmware.slots().start_next("a", settled="a")
    (firmware.folder / f"Boot0003-{GLOBAL}").mkdir()  # nobody reads it
    lost: list[str] = []
    EfiBootSlots(SLOTS, firmware.folder, lost=lost.append).start_next("b", settled="b")
    assert lost == []
    assert (firmware.folder / f"Boot0003-{GLOBAL}").is_dir()


def test_an_entry_that_is_made_again_is_said_once(firmware: PretendedUefi) -> None:
    lost: list[str] = []
    slots = EfiBootSlots(SLOTS, firmware.folder, lost=lost.append)
    slots.start_next("a", settled="a")
    assert lost == [f"the firmware had no boot entry that starts slot {slot}; it was made" for slot in ("a", "b")]
    slots.start_next("b", settled="a")
    assert len(lost) == 2
    (firmware.folder / f"Boot0002-{GLOBAL}").unlink()
    slots.start_next("a", settled="a")
    assert lost[2:] == ["the firmware had no boot entry that starts slot b; it was made"]


@pytest.mark.parametrize("what", ["inactive", "another file"])
def test_an_entry_that_does_not_start_our_loader_is_none_of_ours(firmware: PretendedUefi, what: str) -> None:
    option = encode_load_option("old", SLOTS["a"], LOADER if what == "inactive" else "\\EFI\\other.efi")
    firmware.put("Boot0001", (b"\0\0\0\0" if what == "inactive" else option[:4]) + option[4:])
    firmware.slots().start_next("a", settled="a")
    order = firmware.value("BootOrder")
    assert order is not None
    assert order[:2] != b"\1\0"


def test_what_is_set_already_is_not_written_again(firmware: PretendedUefi) -> None:
    firmware.slots().start_next("a", settled="a")
    order = firmware.folder / f"BootOrder-{GLOBAL}"
    order.chmod(0o400)
    before = order.stat().st_mtime_ns
    firmware.slots().start_next("a", settled="a")
    assert order.stat().st_mtime_ns == before


def test_a_start_from_another_disk_is_named(firmware: PretendedUefi) -> None:
    with pytest.raises(HostError, match="it does not say"):
        firmware.slots().booted()
    firmware.put(
        "LoaderDevicePartUUID",
        utf16("00000000-0000-0000-0000-000000000009"),
        LOADER_INTERFACE,
    )
    with pytest.raises(HostError, match="000000000009"):
        firmware.slots().booted()


def test_variables_that_cannot_be_written_are_a_clear_error(firmware: PretendedUefi) -> None:
    (firmware.folder / f"BootNext-{GLOBAL}").mkdir()
    with pytest.raises(HostError, match="BootNext"):
        firmware.slots().start_next("a", settled="a")
