# SPDX-License-Identifier: Apache-2.0
"""What a modem says by QMI: any bytes are messages that are written back the same, or nothing; values never raise."""

from __future__ import annotations

from armillary.sim.modem.qmi import SimulatedQmiModem
from armillary.wire.modem import qmi
from armillary.wire.modem.qmi import Service
from armillary.wire.modem.qmux import CONTROL, FrameReader, Kind, QmiMessage, encode_frame, parse_frame

_ASKED = (
    (CONTROL, qmi.ALLOCATE, {1: bytes([Service.NAS])}),
    (Service.NAS, qmi.SERVING_SYSTEM, {}),
    (Service.WDS, qmi.START_NETWORK, {0x14: b"internet"}),
    (Service.UIM, qmi.VERIFY_PIN, {1: bytes(2), 2: b"\x01\x041234"}),
)


def seeds() -> list[bytes]:
    asked = [
        encode_frame(
            QmiMessage(service=service, client=1, kind=Kind.REQUEST, transaction=1, number=number, fields=given)
        )
        for service, number, given in _ASKED
    ]
    return [*asked, *(SimulatedQmiModem().receive(asked[0] + each) for each in asked)]


def fuzz(data: bytes) -> None:
    for message in FrameReader().feed(data):
        assert parse_frame(encode_frame(message)) == message
        qmi.sim_of(message.fields)
        qmi.serving_of(message.fields)
        qmi.strength_of(message.fields)
        qmi.addressing_of(message.fields)
    SimulatedQmiModem().receive(data)
