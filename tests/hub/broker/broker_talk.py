# SPDX-License-Identifier: Apache-2.0
"""What clients of the general broker say in tests."""

from __future__ import annotations

from typing import Any

from tests.hub.wire_client import WireClient

from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import Acknowledgement, PacketType, Publish, Suback, Subscribe, Subscription

# A session that outlives its connection.
KEPT = (Property.SESSION_EXPIRY_INTERVAL, 600)


def subscribe(client: WireClient, *filters: str | Subscription, qos: int = 2, properties: Any = ()) -> tuple[int, ...]:
    listed = tuple(Subscription(each, qos) if isinstance(each, str) else each for each in filters)
    client.send(Subscribe(packet_id=1, subscriptions=listed, properties=properties))
    packet = client.receive()
    assert isinstance(packet, Suback), packet
    return packet.reasons


def publish(
    client: WireClient, topic: str, payload: bytes = b"x", *, retain: bool = False, properties: Any = ()
) -> int:
    """Publish with QoS 1; the reason code of the acknowledgement."""
    client.send(Publish(topic=topic, payload=payload, qos=1, packet_id=7, retain=retain, properties=properties))
    packet = client.receive()
    assert isinstance(packet, Acknowledgement), packet
    assert packet.type is PacketType.PUBACK
    return packet.reason


def arrived(client: WireClient) -> Publish:
    packet = client.receive()
    assert isinstance(packet, Publish), packet
    return packet


def acknowledge(client: WireClient, kind: PacketType, message: Publish, reason: int = 0) -> None:
    assert message.packet_id is not None
    client.send(Acknowledgement(type=kind, packet_id=message.packet_id, reason=reason))
