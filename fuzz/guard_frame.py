# SPDX-License-Identifier: Apache-2.0
"""The guard's decision about a frame: for any unit and bytes it is the one of a second reading of the profile."""

from __future__ import annotations

from armillary import content
from armillary.content import equipment
from armillary.guard.compiling import compile_profile
from armillary.guard.deciding import decide
from armillary.guard.sweep.second_reading import SecondReading
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import ModbusRequest

ALLOW = compile_profile(equipment.load("coffee")).allow
DOCUMENT, _ = equipment.read_yaml((content.folder("equipment") / "coffee.yaml").read_bytes(), "coffee.yaml")
READING = SecondReading(DOCUMENT)  # type: ignore[arg-type]  # A profile's document is a mapping
PDU_BYTES = 253


def seeds() -> list[bytes]:
    """A unit and one of the longest and shortest frames that are permitted, of each beginning."""
    examples = [request for request in READING.examples() if isinstance(request, ModbusRequest)]
    by_head = {request.pdu[:3]: bytes([request.unit]) + request.pdu for request in examples}
    return [*by_head.values(), b"\x01\x17\0\x64\0\1\0\x64\0\1\2\3\xa2", b"\0\x06\0\x64\3\xa2"]


def fuzz(data: bytes) -> None:
    request = ModbusRequest(data[0] if data else 0, data[1 : 1 + PDU_BYTES])
    try:
        permit = decide(ALLOW, request)
    except GuardRefusedError:
        assert not READING.allows(request)
        return
    assert READING.allows(request)
    assert permit.request is request
