# SPDX-License-Identifier: Apache-2.0
"""Every cell of the connection's table."""

from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.mqtt_packet import PacketType
from armillary.wire.mqtt_session import EVENT_OF_PACKET, TRANSITIONS, Event, State, step

# The table once more, as sentences: state -> what may happen -> where it leads. All else is a violation.
ALLOWED = {
    ("awaiting-connect", "CONNECT"): "establishing",
    ("awaiting-connect", "refused"): "closed",
    ("awaiting-connect", "lost"): "closed",
    ("establishing", "accepted"): "connected",
    ("establishing", "refused"): "closed",
    ("establishing", "lost"): "closed",
    ("connected", "PUBLISH"): "connected",
    ("connected", "PUBACK"): "connected",
    ("connected", "SUBSCRIBE"): "connected",
    ("connected", "UNSUBSCRIBE"): "connected",
    ("connected", "PINGREQ"): "connected",
    ("connected", "DISCONNECT"): "closed",
    ("connected", "refused"): "closed",
    ("connected", "lost"): "closed",
    ("closed", "lost"): "closed",
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_cell(state: State, event: Event) -> None:
    expected = ALLOWED.get((state.value, event.value))
    if expected is None:
        with pytest.raises(WireError) as refused:
            step(state, event)
        assert refused.value.code == "wire.mqtt-order"
    else:
        assert step(state, event).value == expected


def test_every_state_has_a_row_and_every_packet_an_event() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(EVENT_OF_PACKET) == set(PacketType)
