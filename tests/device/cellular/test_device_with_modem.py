# SPDX-License-Identifier: Apache-2.0
"""A device that keeps the session of a simulated modem up: its status says what it finds, its journal names nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.rig import FAST, Rig
from tests.fixtures.waiting import until, wait_until

from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.holding import Telling
from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.device.machine import being, cellular, network
from armillary.device.settings import DeviceSettings
from armillary.device.state.journal import Journal
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash
from armillary.engines.modem.port import ModemIdentity
from armillary.sim.modem.modem import SimulatedModem
from armillary.sim.modem.serving import ServedModem, TerminalLine

IDENTITY = ModemIdentity(maker="Maker", model="Model", imei="001010123456789", iccid="8901010000000000001")


@pytest.fixture
def modem() -> Iterator[tuple[ServedModem, Path]]:
    line = TerminalLine()
    with ServedModem(SimulatedModem(), line) as served:
        yield served, line.path


def with_modem(node: Path) -> DeviceSettings:
    def make(flash: Flash) -> CellularUplink:
        return CellularUplink(lambda: node, CellularConfiguration(flash), None, scale=0.02)

    return replace(FAST, uplink=make)


def state(rig: Rig) -> Any:
    return (rig.status().get("cellular") or {}).get("state")


@pytest.mark.anyio
async def test_the_status_of_a_device_says_what_its_modem_finds(modem: tuple[ServedModem, Path], rig: Rig) -> None:
    served, node = modem
    await rig.start(with_modem(node))
    await until(lambda: state(rig) == "connected", "the session is up")
    found = rig.status()["cellular"]
    assert (found["sim"], found["operator"], found["technology"]) == ("ready", "Armillary simulated", "lte")
    assert (found["signalDbm"], found["model"], found["sessions"]) == (-85, "simulated modem", 1)
    await asyncio.to_thread(served.change, has_sim=False)
    await until(lambda: state(rig) == "sim-missing", "the SIM is gone")
    await asyncio.to_thread(served.change, has_sim=True)
    await until(lambda: rig.status()["cellular"]["sessions"] == 2, "the session is up again")
    said = rig.service.cellular_statuses
    await until(lambda: said and said[-1].sessions == 2, "the check-in that follows a session tells the service")
    assert (said[-1].state, said[-1].operator) == ("connected", "Armillary simulated")
    states = [each["state"] for each in rig.events("cellular")]
    assert "sim-missing" in states
    assert states[-1] == "connected"
    await rig.stop()


@pytest.mark.anyio
async def test_a_device_without_a_modem_says_none(rig: Rig) -> None:
    await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "check-in")
    assert rig.status()["cellular"] is None
    await rig.stop()


def test_each_session_has_the_device_check_in_and_no_number_is_in_its_journal() -> None:
    journal, entries, came_up = Journal(None, lambda: 0), list[dict[str, object]](), list[None]()
    journal.listen(entries.append)
    told = Telling(journal, lambda: None, lambda: came_up.append(None))
    for state in ("searching", "registered", "connected", "connected", "lost", "connected"):
        told.hear(UplinkStatus(state=UplinkState(state), modem=IDENTITY))
    assert len(came_up) == 2
    assert [each["state"] for each in entries] == ["searching", "connected", "lost", "connected"]
    assert IDENTITY.imei not in repr(entries)
    assert IDENTITY.iccid not in repr(entries)


def test_a_machine_takes_the_card_of_its_modem_for_no_ethernet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "INTERFACES", tmp_path / "net")
    for name, address in (("eth0", network.MODEM_CARD), ("eth1", "52:54:00:12:34:56")):
        (tmp_path / "net" / name / "device").mkdir(parents=True)
        (tmp_path / "net" / name / "type").write_text("1\n")
        (tmp_path / "net" / name / "address").write_text(f"{address}\n")
    assert (network.first_ethernet(), network.modem_card()) == ("eth1", "eth0")
    make = being.settings_of_machine().uplink
    assert make is not None
    assert make(FileFlash(tmp_path / "flash")).status.interface == "eth0"
    (tmp_path / "net" / "eth0" / "address").write_text("52:54:00:12:34:57\n")
    assert being.settings_of_machine().uplink is None


def test_before_it_is_a_device_a_machine_says_what_hinders_its_modem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(cellular, "say", said.append)
    monkeypatch.setattr(cellular, "UNTOLD", tmp_path)
    monkeypatch.setattr(cellular, "find_modem", lambda: None)
    with cellular.online("none0"):
        wait_until(lambda: said, "it is said")
    assert said == ["modem: no modem answers: this machine has none"]
