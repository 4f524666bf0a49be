# SPDX-License-Identifier: Apache-2.0
"""The uplink with the simulated modem: up, lost, back; SIMs in every state; a PIN is tried once; no secret is told."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from armillary.device.cellular.configuration import CellularConfiguration
from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.status import UplinkStatus
from armillary.device.cellular.uplink import CellularUplink, OpenModem
from armillary.engines.flash.file import FileFlash
from armillary.engines.modem.at import open_at_modem
from armillary.engines.modem.qmi import open_qmi_modem
from armillary.sim.modem.modem import IMSI, SimulatedModem
from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.sim.modem.radio import PIN_TRIES, Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine
from armillary.wire.modem.answers import Addressing

S = UplinkState
WITHIN_S = 60.0
SCALE = 0.02
# What the modem refuses, as it is told: attaching, and a session.
REFUSED = {
    "at": ("AT+CGATT=1", "AT+CGACT"),
    "qmi": (
        "the modem refuses attaching: the network is not ready",
        "the modem refuses a data session: the call failed",
    ),
}


class Interface:
    """What the session comes out of; notes what is done to it."""

    name = "wwan0"

    def __init__(self) -> None:
        self.fails = False
        self.done: list[str] = []

    def up(self, given: Addressing | None) -> str:
        if self.fails:
            raise OSError(19, "No such device")
        self.done.append("up")
        return "" if given is None else str(given.address)

    def down(self) -> None:
        self.done.append("down")


class Played:
    """An uplink, its modem, and every status that there was."""

    def __init__(self, folder: Path, language: str, **radio: Any) -> None:
        kind = SimulatedQmiModem if language == "qmi" else SimulatedModem
        self.open_modem: OpenModem = open_qmi_modem if language == "qmi" else open_at_modem
        self.modem: Any = kind(Radio(**radio))
        self.refused = REFUSED[language]
        self.line = TerminalLine()
        self.served = ServedModem(self.modem, self.line)
        self.interface = Interface()
        self.seen: list[UplinkStatus] = []
        self._said: queue.SimpleQueue[UplinkStatus] = queue.SimpleQueue()
        self.uplink = self.make(folder)

    def make(self, folder: Path) -> CellularUplink:
        configuration = CellularConfiguration(FileFlash(folder))
        made = CellularUplink(
            lambda: self.line.path,
            configuration,
            self.interface,  # type: ignore[arg-type]
            open_modem=self.open_modem,
            scale=SCALE,
        )
        made.listen(self._hear)
        return made

    def _hear(self, status: UplinkStatus) -> None:
        self.seen.append(status)
        self._said.put(status)

    def wait(self, state: UplinkState, **fields: object) -> UplinkStatus:
        """The next status of this state, with these fields."""
        while True:
            status = self._said.get(timeout=WITHIN_S)
            if status.state is state and all(getattr(status, name) == value for name, value in fields.items()):
                return status


@pytest.fixture(params=["at", "qmi"])
def play(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    played: list[Played] = []

    def begin(*, settings: dict[str, Any] | None = None, **radio: Any) -> Played:
        made = Played(tmp_path, request.param, **radio)
        if settings:
            made.uplink.configuration.change(settings)
        played.append(made)
        made.served.__enter__()
        made.uplink.start()
        return made

    yield begin
    for each in played:
        each.uplink.stop()
        each.served.__exit__()


def test_the_session_comes_up_is_lost_and_comes_back(play: Any) -> None:
    played = play()
    status = played.wait(S.CONNECTED)
    assert (status.address, status.interface, status.sessions) == ("10.0.2.15", "wwan0", 1)
    assert status.shown()["operator"] == "Armillary simulated"
    assert status.shown()["signalDbm"] == -85
    assert status.shown()["model"] == "simulated modem"
    played.served.event("drop-session")
    assert played.wait(S.LOST).address == ""
    assert played.wait(S.CONNECTED).sessions == 2
    assert played.interface.done == ["up", "down", "up"]
    assert IMSI not in repr(played.seen)


def test_every_way_of_losing_the_network_leads_back(play: Any) -> None:
    played = play()
    played.wait(S.CONNECTED)
    for number, (lost, back) in enumerate(
        [
            ({"registration": "denied"}, S.DENIED),
            ({"registration": "searching"}, S.SEARCHING),
            ({"has_sim": False}, S.SIM_MISSING),
        ],
        start=2,
    ):
        played.served.change(**lost)
        played.wait(back)
        played.served.change(registration="home", has_sim=True)
        played.wait(S.CONNECTED, sessions=number)
    played.served.event("detach")
    played.wait(S.CONNECTED, sessions=5)
    played.served.event("restart")
    played.wait(S.NO_MODEM)
    played.wait(S.CONNECTED, sessions=6)


def test_a_wrong_pin_is_tried_once_whatever_happens(play: Any, tmp_path: Path) -> None:
    played = play(pin="1234", settings={"pin": "7391"})
    played.wait(S.PIN_REFUSED)
    assert played.modem.pin_tries == PIN_TRIES - 1
    played.served.event("restart")  # the SIM asks anew
    played.wait(S.NO_MODEM)
    played.wait(S.PIN_REFUSED)
    played.uplink.change({"roaming": True})
    played.wait(S.CHECKING_SIM)
    played.wait(S.PIN_REFUSED)
    played.uplink.stop()
    played.uplink = played.make(tmp_path)  # the device starts again
    played.uplink.start()
    played.wait(S.NO_MODEM)
    played.wait(S.PIN_REFUSED)
    assert played.modem.pin_tries == PIN_TRIES - 1
    played.uplink.change({"pin": "1234"})
    played.wait(S.CONNECTED)
    assert played.modem.pin_tries == PIN_TRIES
    assert "7391" not in repr(played.seen)


def test_sims_that_want_something_say_so_clearly(play: Any) -> None:
    played = play(pin="1234")
    assert "wants its PIN, and none is set" in played.wait(S.PIN_NEEDED).sentence
    played.modem.pin_tries = 0
    played.uplink.change({"roaming": True})
    assert "PUK" in played.wait(S.PUK_NEEDED).sentence


def test_refusals_are_told_in_the_words_of_whoever_refused(play: Any) -> None:
    played = play(attach_refused=True)
    attaching, session = played.refused
    assert attaching in played.wait(S.LOST).sentence
    played.served.change(attach_refused=False, session_refused=True)
    while session not in played.wait(S.LOST).sentence:
        pass
    played.interface.fails = True
    played.served.change(session_refused=False)
    while "wwan0: No such device" not in played.wait(S.LOST).sentence:
        pass
    played.interface.fails = False
    assert played.wait(S.CONNECTED).reason == ""


def test_a_foreign_network_is_used_only_where_that_is_allowed(play: Any) -> None:
    played = play(registration="roaming", settings={"roaming": False})
    played.wait(S.ROAMING_REFUSED)
    played.uplink.change({"roaming": True})
    played.wait(S.CONNECTED)
    played.uplink.change({"roaming": False})
    played.wait(S.ROAMING_REFUSED)
    assert not played.modem.is_session_up


def test_it_can_be_switched_off_and_on(play: Any) -> None:
    played = play()
    played.wait(S.CONNECTED)
    played.uplink.change({"enabled": False})
    played.wait(S.OFF)
    assert not played.modem.is_session_up
    played.uplink.change({"enabled": True})
    played.wait(S.CONNECTED)


def test_a_machine_without_a_modem_says_so(tmp_path: Path) -> None:
    uplink = CellularUplink(lambda: None, CellularConfiguration(FileFlash(tmp_path)), None, scale=SCALE)
    told: queue.SimpleQueue[UplinkStatus] = queue.SimpleQueue()
    uplink.listen(told.put)
    uplink.start()
    try:
        assert told.get(timeout=WITHIN_S).sentence == "no modem answers: this machine has none"
    finally:
        uplink.stop()
