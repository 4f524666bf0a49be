# SPDX-License-Identifier: Apache-2.0
"""The QMI engine with the simulated modem behind a pseudo-terminal: each call, and modems that are no good."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from armillary.engines.modem import qmi_channel
from armillary.engines.modem.port import AccessPoint, ModemGoneError, ModemRefusedError, ModemStoppedError
from armillary.engines.modem.qmi import QmiModem, open_qmi_modem
from armillary.engines.modem.qmi_channel import QmiChannel
from armillary.engines.modem.waking import Waking
from armillary.sim.modem.modem import ICCID, IMEI, SimulatedModem
from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.sim.modem.radio import PIN_TRIES, Radio
from armillary.sim.modem.serving import ServedModem, TerminalLine
from armillary.wire.modem import qmi
from armillary.wire.modem.commands import Authentication
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, Kind, QmiMessage, encode_frame
from armillary.wire.modem.radio import WRONG_PASSWORD, Registration, SimState, Technology


@dataclass
class Opened:
    """A modem that is open, and the simulated one behind it."""

    modem: QmiModem
    served: ServedModem
    waking: Waking
    changes: list[bool]


@pytest.fixture
def opened() -> Iterator[Opened]:
    line, waking, changes = TerminalLine(), Waking(), list[bool]()
    simulated = SimulatedQmiModem(Radio(registration="idle", signal_dbm=-97), changes.append)
    with ServedModem(simulated, line) as served, open_qmi_modem(line.path, waking) as modem:
        yield Opened(modem, served, waking, changes)


def test_every_call_up_to_a_session_and_down(opened: Opened) -> None:
    modem = opened.modem
    found = modem.identity()
    assert (found.maker, found.model, found.imei, found.iccid) == ("Armillary", "simulated modem", IMEI, ICCID)
    assert modem.sim() is SimState.READY
    assert modem.registration().registration is Registration.IDLE
    modem.search("00101")
    assert modem.registration().registration is Registration.HOME
    heard = modem.reception()
    assert (heard.operator, heard.technology, heard.dbm) == ("Armillary simulated", Technology.LTE, -97)
    modem.attach(AccessPoint(name="internet", authentication=Authentication.CHAP, username="me", password="it"))
    assert not modem.session_is_up()
    given = modem.start_session()
    assert given is not None
    assert (str(given.address), str(given.gateway), [str(each) for each in given.name_servers]) == (
        "10.0.2.15",
        "10.0.2.2",
        ["10.0.2.3"],
    )
    assert modem.session_is_up()
    modem.start_session()  # one that is there is none to refuse
    modem.end_session()
    modem.end_session()
    assert not modem.session_is_up()
    assert opened.changes == [True, False]


def test_a_session_of_somebody_else_is_ended(opened: Opened) -> None:
    opened.modem.search("")
    opened.modem.start_session()
    again = QmiModem(opened.modem._channel)
    again.end_session()
    assert not opened.modem.session_is_up()


def test_the_sim_is_asked_with_its_pin_and_a_wrong_one_counts(opened: Opened) -> None:
    opened.served.change(pin="7391")
    assert opened.modem.sim() is SimState.PIN
    with pytest.raises(ModemRefusedError, match="it is wrong") as raised:
        opened.modem.enter_pin("1111")
    assert (raised.value.number, opened.served.modem.pin_tries) == (WRONG_PASSWORD, PIN_TRIES - 1)
    opened.modem.enter_pin("7391")
    assert opened.modem.sim() is SimState.READY
    opened.served.change(has_sim=False)
    assert opened.modem.sim() is SimState.MISSING
    opened.served.change(has_sim=True)
    opened.served.modem.pin_tries = 0
    assert opened.modem.sim() is SimState.PUK
    with pytest.raises(ModemRefusedError) as raised:
        opened.modem.enter_pin("7391")
    assert raised.value.number == 12


@pytest.mark.parametrize("event", ["drop-session", "detach"])
def test_it_wakes_when_the_network_does_something(opened: Opened, event: str) -> None:
    opened.modem.search("")
    opened.modem.start_session()
    timer = threading.Timer(0.05, opened.served.event, (event,))
    timer.start()
    assert opened.modem.wait(60)
    timer.join()
    assert not opened.modem.session_is_up()


def test_it_wakes_when_it_is_rung_and_ends_when_it_is_stopped(opened: Opened) -> None:
    opened.waking.ring()
    assert not opened.modem.wait(60)
    opened.waking.stop()
    with pytest.raises(ModemStoppedError):
        opened.modem.sim()


def test_a_modem_that_starts_again_is_gone(opened: Opened) -> None:
    opened.served.event("restart")
    with pytest.raises(ModemGoneError, match="started again"):
        opened.modem.wait(60)


def test_refusals_say_what_was_refused(opened: Opened) -> None:
    with pytest.raises(ModemRefusedError, match="a search: the network is not ready"):
        opened.modem.search("99999")
    opened.modem.search("")
    opened.served.change(session_refused=True, attach_refused=True)
    with pytest.raises(ModemRefusedError, match="attaching"):
        opened.modem.attach(AccessPoint())
    with pytest.raises(ModemRefusedError, match="a data session: the call failed"):
        opened.modem.start_session()


@pytest.mark.parametrize("how", [{"is_silent": True}, {}])
def test_what_gives_no_answer_is_no_modem(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent one, and one that speaks AT commands."""
    monkeypatch.setattr(qmi_channel, "ANSWER_S", 0.1)
    modem = SimulatedQmiModem(Radio(**how)) if how else SimulatedModem()
    line = TerminalLine()
    with ServedModem(modem, line), pytest.raises(ModemGoneError), open_qmi_modem(line.path, Waking()):
        pytest.fail("it opens")


def test_garbage_between_answers_is_passed_over(opened: Opened) -> None:
    opened.served.change(is_garbled=True)
    for _ in range(5):
        assert opened.modem.sim() is SimState.READY


def test_client_numbers_are_given_back() -> None:
    line, simulated = TerminalLine(), SimulatedQmiModem()
    with ServedModem(simulated, line):
        for _ in range(40):
            with open_qmi_modem(line.path, Waking()) as modem:
                assert modem.sim() is SimState.READY


def test_an_answer_that_comes_late_is_not_that_of_the_next_request() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        channel = QmiChannel(ours.fileno(), Waking())
        for transaction, client in ((200, 9), (1, 3)):
            theirs.send(answered(CONTROL, 0, transaction, qmi.ALLOCATE, {1: bytes([Service.NAS, client])}))
        channel.allocate(Service.NAS)
        theirs.send(answered(Service.NAS, 3, 2, qmi.SIGNAL, {0x12: b"\xb0"}))
        assert qmi.strength_of(channel.ask(Service.NAS, qmi.SIGNAL, {}, 60.0)) == -80
        theirs.send(answered(Service.NAS, 3, 2, qmi.SIGNAL, {}))
        with pytest.raises(ModemGoneError, match="no answer to message 0x004f"):
            channel.ask(Service.NAS, qmi.SIGNAL, {}, 0.05)


def answered(service: int, client: int, transaction: int, number: int, fields: dict[int, bytes]) -> bytes:
    message = QmiMessage(
        service=service,
        client=client,
        kind=Kind.RESPONSE,
        transaction=transaction,
        number=number,
        fields={qmi.RESULT: bytes(4), **fields},
    )
    return encode_frame(message)
