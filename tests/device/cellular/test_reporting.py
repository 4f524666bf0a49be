# SPDX-License-Identifier: Apache-2.0
"""What a device tells the service of its modem: with each check-in, little, and nothing that names anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from armillary.device.cellular import interface
from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.reporting import MOST_LEFT_OUT, CellularReports, told
from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink
from armillary.device.state.journal import Journal
from armillary.engines.flash.file import FileFlash
from armillary.engines.modem.port import ModemIdentity, Reception
from armillary.errors import NotFoundError, RateLimitedError, ServiceUnreachableError
from armillary.wire.device.cellular_status import CellularStatus, parse_status
from armillary.wire.modem.radio import Registration, SimState, Technology

NUMBERS = ModemIdentity(maker="Maker", model="Model", imei="001010123456789", iccid="8901010000000000001")
UP = UplinkStatus(
    state=UplinkState.CONNECTED,
    sim=SimState.READY,
    registration=Registration.HOME,
    modem=NUMBERS,
    reception=Reception(operator="Operator", technology=Technology.LTE, dbm=-85),
    interface="wwan0",
    address="10.1.2.3",
    sessions=3,
)


class Endpoint:
    """Takes what is sent, or refuses it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.fault: Exception | None = None
        self.asked = 0

    async def send_cellular_status(self, data: bytes) -> None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        self.sent.append(data)


@pytest.fixture
def uplink(tmp_path: Path) -> CellularUplink:
    made = CellularUplink(lambda: None, CellularConfiguration(FileFlash(tmp_path)), None)
    made.status = UP
    return made


def send(reports: CellularReports, endpoint: Endpoint) -> None:
    anyio.run(reports.send, endpoint)


def test_it_is_small_and_names_neither_sim_nor_modem(uplink: CellularUplink) -> None:
    endpoint = Endpoint()
    send(CellularReports(uplink, Journal(None, lambda: 0)), endpoint)
    (data,) = endpoint.sent
    assert parse_status(data) == CellularStatus(
        state="connected",
        sim="ready",
        registration="home",
        operator="Operator",
        technology="lte",
        signal_dbm=-85,
        sessions=3,
        bytes_received=0,
        bytes_sent=0,
    )
    assert len(data) < 80
    for text in (NUMBERS.imei, NUMBERS.iccid, NUMBERS.model, "10.1.2.3", "wwan0"):
        assert text.encode() not in data


@pytest.mark.parametrize("state", UplinkState)
def test_every_state_is_told(uplink: CellularUplink, state: UplinkState) -> None:
    uplink.status = UplinkStatus(state=state, reception=Reception(dbm=20))
    assert told(uplink).signal_dbm == 0
    reports, endpoint = CellularReports(uplink, Journal(None, lambda: 0)), Endpoint()
    send(reports, endpoint)
    assert len(endpoint.sent) == 1


def test_a_service_that_is_away_is_asked_at_the_next_check_in(uplink: CellularUplink) -> None:
    journal, entries = Journal(None, lambda: 0), list[dict[str, Any]]()
    journal.listen(entries.append)
    reports, endpoint = CellularReports(uplink, journal), Endpoint()
    for fault in (ServiceUnreachableError("away"), RateLimitedError("later", retry_after_s=9)):
        endpoint.fault = fault
        send(reports, endpoint)
    assert (endpoint.asked, entries) == (2, [])


def test_a_service_that_refuses_is_asked_less_and_less_until_it_takes_one(uplink: CellularUplink) -> None:
    journal, entries = Journal(None, lambda: 0), list[dict[str, Any]]()
    journal.listen(entries.append)
    reports, endpoint = CellularReports(uplink, journal), Endpoint()
    endpoint.fault = NotFoundError("no such address")
    asked = []
    for _ in range(3 * MOST_LEFT_OUT):
        before = endpoint.asked
        send(reports, endpoint)
        asked.append(endpoint.asked > before)
    assert [number for number, was_asked in enumerate(asked) if was_asked] == [0, 2, 5, 10, 19, 36]
    assert [each["event"] for each in entries] == ["cellular-status-refused"]

    endpoint.fault = None
    for _ in range(MOST_LEFT_OUT):
        send(reports, endpoint)
    taken = len(endpoint.sent)
    send(reports, endpoint)
    assert (taken > 0, len(endpoint.sent)) == (True, taken + 1)


def test_bytes_are_those_of_the_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = tmp_path / "dev"
    monkeypatch.setattr(interface, "COUNTED", counted)
    found = interface.UplinkInterface("wwan0").traffic
    assert found() == interface.Traffic()
    counted.write_text(
        "Inter-|   Receive                            |  Transmit\n"
        " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier comp\n"
        "    lo:  7 1 0 0 0 0 0 0  7 1 0 0 0 0 0 0\n"
        " wwan0: 1500 3 0 0 0 0 0 0 42 2 0 0 0 0 0 0\n"
        "wwan01:  1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
    )
    assert found() == interface.Traffic(1500, 42)
    for line in ("wwan0: 1 2", "wwan0: x", f"wwan0: {2**70} 0 0 0 0 0 0 0 -1"):
        counted.write_text(line)
        assert found() == interface.Traffic()
