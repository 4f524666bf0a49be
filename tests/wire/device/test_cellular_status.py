# SPDX-License-Identifier: Apache-2.0
"""What a device says of its modem is read back as it was written, and everything else is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.device.cellular.states import UplinkState
from armillary.device.cellular.waits import WAITS
from armillary.errors import WireError
from armillary.wire.device import cellular_status as cs
from armillary.wire.encoding import cbor
from armillary.wire.modem.radio import Registration, SimState, Technology

GOOD: list[Any] = [1, "connected", "ready", "home", "Operator", "lte", 85, 3, 1_000, 2_000]


@given(
    st.builds(
        cs.CellularStatus,
        state=st.sampled_from(sorted(cs.STATES)),
        sim=st.sampled_from(SimState).map(str),
        registration=st.sampled_from(Registration).map(str),
        operator=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=cs.MAX_OPERATOR_BYTES),
        technology=st.sampled_from(Technology).map(str),
        signal_dbm=st.none() | st.integers(-cs.MAX_MINUS_DBM, 0),
        sessions=st.integers(0, cs.MAX_SESSIONS),
        bytes_received=st.integers(0, cs.MAX_TRAFFIC_BYTES),
        bytes_sent=st.integers(0, cs.MAX_TRAFFIC_BYTES),
    )
)
def test_round_trip(status: cs.CellularStatus) -> None:
    data = cs.encode_status(status)
    assert cs.parse_status(data) == status
    assert len(data) < cs.MAX_STATUS_BYTES


def test_every_state_that_lasts_has_a_word() -> None:
    assert {state.value for state in UplinkState if state in WAITS} == cs.STATES


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 2),
        (0, True),
        (1, "attached"),
        (1, 1),
        (2, "puk2"),
        (3, "abroad"),
        (4, "x" * (cs.MAX_OPERATOR_BYTES + 1)),
        (4, "a\x1b[31m"),
        (4, "\u202eab"),
        (4, b"bytes"),
        (5, "6g"),
        (6, cs.MAX_MINUS_DBM + 1),
        (6, -85),
        (7, cs.MAX_SESSIONS + 1),
        (8, -1),
        (9, cs.MAX_TRAFFIC_BYTES + 1),
        (9, None),
    ],
)
def test_other_statuses_are_refused(at: int, value: Any) -> None:
    cs.parse_status(cbor.encode(GOOD))
    with pytest.raises(WireError):
        cs.parse_status(cbor.encode([*GOOD[:at], value, *GOOD[at + 1 :]]))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", cbor.encode(GOOD[:9]), cbor.encode([*GOOD, 1]), cbor.encode(GOOD) + b"x", bytes(300)]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        cs.parse_status(data)


def test_a_receipt_says_nothing() -> None:
    cs.check_status_receipt(cs.encode_status_receipt())
    for data in (b"", b"\x00", b"\x81\x00"):
        with pytest.raises(WireError):
            cs.check_status_receipt(data)
