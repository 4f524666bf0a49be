# SPDX-License-Identifier: Apache-2.0
"""A machine that is a device has what was found out and begun before its device process is made; that one is pretended."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from armillary.capability.board import Board
from armillary.device.machine import being
from armillary.device.machine.beforehand import Beforehand
from armillary.device.machine.wired_board import WiredBoard
from armillary.device.machine.words import Words
from armillary.device.settings import DeviceSettings
from armillary.device.state.journal import Journal
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.boot_slots import EfiBootSlots
from armillary.engines.flash.os_disk import OsDisk

BOARD = cast("Board", SimpleNamespace(name="a board"))
PORTS = {"ISU0": Path("/dev/ttyS1")}
DISK = OsDisk({}, EfiBootSlots({}), "x")
BEGUN = cast("Beforehand", SimpleNamespace(begin_test=object(), boot_rom=object()))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the device process is made of, and what is reported of the machine."""
    found: dict[str, Any] = {"reported": []}

    def device(folder: Path, **named: Any) -> Any:
        found.update(folder=folder, **named)
        return SimpleNamespace(journal=Journal(None, lambda: 0), root_of_trust=SimpleNamespace(kind="software"))

    async def be(_device: object, _words: object) -> None:
        found["ran"] = True

    def mend(folder: DeviceFolder, disk: OsDisk) -> str:
        assert (folder.flash, disk) == (DeviceFolder(Path("/data/device")).flash, DISK)
        return "the record was mended"

    monkeypatch.setattr(being, "Device", device)
    monkeypatch.setattr(being, "_be_device", be)
    monkeypatch.setattr(being, "mend_record", mend)
    monkeypatch.setattr(being, "load_configuration", lambda _flash: SimpleNamespace(chip="a chip"))
    monkeypatch.setattr(being, "settings_of_machine", DeviceSettings)
    monkeypatch.setattr(being, "serial_ports_of", lambda board: PORTS if board is BOARD else {})
    monkeypatch.setattr(being, "report", lambda _folder, sentences: found["reported"].extend(sentences))
    return found


def test_it_says_and_reports_what_is_wrong_and_uses_what_was_begun(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"a chip": WiredBoard(BOARD, "the board lacks a pin")}
    monkeypatch.setattr(being, "wired_board", told.__getitem__)
    being.be_device(Path("/data/device"), DISK, cast("Words", None), BEGUN)
    assert made["reported"] == ["the record was mended", "the board lacks a pin"]
    said = capsys.readouterr().out
    assert all(f"armillary: {each}\n" in said for each in made["reported"])
    settings = made["settings"]
    assert (settings.board, settings.serial_ports, settings.begin_test) == (BOARD, PORTS, BEGUN.begin_test)
    assert (made["folder"], made["boot_rom"]) == (Path("/data/device"), BEGUN.boot_rom)
    assert (made["disk"].slots, made["disk"].ahead) == (DISK.slots, DISK.ahead)  # which has been begun
    assert made["ran"]


def test_a_machine_without_a_board_has_none_and_says_nothing_of_it(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(being, "wired_board", lambda _chip: WiredBoard(None, ""))
    being.be_device(Path("/data/device"), DISK, cast("Words", None), BEGUN)
    assert made["reported"] == ["the record was mended"]
    assert made["settings"].board is None
