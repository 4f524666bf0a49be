# SPDX-License-Identifier: Apache-2.0
"""The simulated modem's QMI: it says that it is simulated, refuses what it does not know, and survives what comes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.sim.modem.radio import Radio
from armillary.wire.modem import qmi
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, FrameReader, Kind, QmiMessage, encode_frame

FIELDS = st.dictionaries(st.sampled_from([1, 2, 0x10, 0x13, 0x14]), st.binary(max_size=12), max_size=4)


def ask(modem: SimulatedQmiModem, service: int, number: int, fields: dict[int, bytes], client: int = 1) -> QmiMessage:
    asked = QmiMessage(service=service, client=client, kind=Kind.REQUEST, transaction=9, number=number, fields=fields)
    (answer,) = [each for each in FrameReader().feed(modem.receive(encode_frame(asked))) if each.kind is Kind.RESPONSE]
    assert (answer.transaction, answer.number) == (9, number)
    return answer


@pytest.fixture
def modem() -> SimulatedQmiModem:
    return with_clients(Radio())


def with_clients(radio: Radio) -> SimulatedQmiModem:
    made = SimulatedQmiModem(radio)
    for service in Service:
        ask(made, CONTROL, qmi.ALLOCATE, {1: bytes([service])}, client=0)
    return made


def test_it_says_that_it_is_simulated(modem: SimulatedQmiModem) -> None:
    assert ask(modem, Service.DMS, qmi.MODEL, {}).fields[1] == b"simulated modem"


def test_clients_that_have_no_number_and_messages_that_it_does_not_know_are_refused(modem: SimulatedQmiModem) -> None:
    assert qmi.error_of(ask(modem, Service.NAS, qmi.SIGNAL, {}, client=7).fields) == qmi.BAD_CLIENT
    assert qmi.error_of(ask(modem, Service.NAS, 0x7777, {}).fields) == qmi.UNKNOWN_MESSAGE
    assert qmi.error_of(ask(modem, CONTROL, qmi.ALLOCATE, {1: b"\x63"}, client=0).fields) == qmi.UNKNOWN_MESSAGE
    given_numbers = [ask(modem, CONTROL, qmi.ALLOCATE, {1: bytes([Service.WDS])}, client=0) for _ in range(20)]
    assert qmi.error_of(given_numbers[-1].fields) == 5
    ask(modem, CONTROL, qmi.RELEASE, {1: bytes([Service.WDS, 1])}, client=0)
    assert ask(modem, CONTROL, qmi.ALLOCATE, {1: bytes([Service.WDS])}, client=0).fields[1] == bytes([Service.WDS, 1])


@given(st.sampled_from(sorted(SimulatedQmiModem._ANSWERS)), FIELDS, st.sampled_from(["", "1234"]))
def test_whatever_is_asked_there_is_an_answer(asked: tuple[int, int], fields: dict[int, bytes], pin: str) -> None:
    modem = with_clients(Radio(pin=pin))
    assert qmi.RESULT in ask(modem, *asked, fields, client=0 if asked[0] == CONTROL else 1).fields


def test_only_who_wants_to_hear_of_the_network_hears_of_it(modem: SimulatedQmiModem) -> None:
    assert modem.change(registration="roaming") == b""
    ask(modem, Service.NAS, qmi.REGISTER_INDICATIONS, {0x13: b"\1"})
    (told,) = FrameReader().feed(modem.change(registration="denied"))
    assert (told.kind, qmi.serving_of(told.fields).registration) == (Kind.INDICATION, "denied")
