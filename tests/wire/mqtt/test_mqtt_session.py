# SPDX-License-Identifier: Apache-2.0
"""Every cell of the connection's table."""

from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.mqtt.packet import PacketType
from armillary.wire.mqtt.session import BROKER_TRANSITIONS, EVENT_OF_PACKET, TRANSITIONS, Event, State, step

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


def test_the_brokers_table_is_the_same_with_qos_2() -> None:
    more = {
        (state, event, after)
        for state, row in BROKER_TRANSITIONS.items()
        for event, after in row.items()
        if TRANSITIONS[state].get(event) is not after
    }
    connected = State.CONNECTED
    assert more == {(connected, event, connected) for event in (Event.PUBREC, Event.PUBREL, Event.PUBCOMP)}
    assert all(set(TRANSITIONS[state]) <= set(BROKER_TRANSITIONS[state]) for state in State)
    assert step(connected, Event.PUBREL, BROKER_TRANSITIONS) is connected
