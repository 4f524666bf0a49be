# SPDX-License-Identifier: Apache-2.0
"""A guardian's way to a hub over a network that loses, doubles and reorders: a real queue, real MQTT over real TLS."""

from __future__ import annotations

import contextlib
import json
import random
import ssl
from collections.abc import Sequence

from tests.hub.running_hub import DEVICE
from tests.hub.wire_client import WireClient

from armillary.engines.equipment.queue import MessageQueue
from armillary.wire.equipment.message import ClockQuality, Lane, MessageKind, Outgoing, Stored
from armillary.wire.hub.topics import telemetry_topic
from armillary.wire.mqtt.packet import LEVEL_3_1_1, Acknowledgement, Publish

# Before the hub's clock, so that nothing is from the future.
START = 1_790_000_000.0


class Clocks:
    """Both clocks of a machine, simulated."""

    def __init__(self) -> None:
        self.wall = START
        self.running = 100.0

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


def reading(clocks: Clocks, number: int, equipment: str = "espresso1") -> Outgoing:
    body = json.dumps({"n": number}).encode()
    return Outgoing(equipment, MessageKind.TELEMETRY, body, clocks.wall, clocks.running, ClockQuality.SYNCED)


class Uplink:
    """Takes from a queue, publishes, and acknowledges what the hub has; every connection may be cut at any moment."""

    def __init__(self, queue: MessageQueue, context: ssl.SSLContext, chance: random.Random) -> None:
        self.queue = queue
        self.context = context
        self.chance = chance
        self.acknowledged: set[int] = set()
        self.sent = 0  # Publishes, those of messages that were sent before included
        self.live_first: list[bool] = []  # Of each round that had both: whether live ones were taken as well

    async def round(self, port: int, *, cut: float = 0.4, messages: int = 60) -> int:
        """One connection: send some messages, in any order and some twice; returns how many were taken.

        With the chance ``cut`` the connection ends before the hub's acknowledgements were read.
        """
        live = await self.queue.take(Lane.LIVE, messages)
        old = await self.queue.take(Lane.BACKFILL, messages)
        found = [*live, *old]
        with contextlib.suppress(OSError, AssertionError):  # a hub that was killed
            client = WireClient(port, context=self.context, level=LEVEL_3_1_1, client_id=DEVICE)
            try:
                client.connect(clean_start=True)
                self._publish(client, [*found, *self.chance.sample(found, len(found) // 4)])
                reads = self.chance.randint(0, len(found)) if self.chance.random() < cut else len(found)
                self._read(client, {each.sequence for each in found}, reads)
            finally:
                client.close()
        self.queue.release()
        return len(found)

    def _publish(self, client: WireClient, messages: Sequence[Stored]) -> None:
        shuffled = list(messages)
        self.chance.shuffle(shuffled)
        self._on_the_way: dict[int, int] = {}
        packets = []
        for identifier, each in enumerate(shuffled, 1):
            self._on_the_way[identifier] = each.sequence
            topic = telemetry_topic(DEVICE, tuple(each.properties.items()))
            packets.append(Publish(topic=topic, payload=each.body, qos=1, packet_id=identifier))
        self.sent += len(packets)
        client.send(*packets)

    def _read(self, client: WireClient, wanted: set[int], reads: int) -> None:
        while wanted and reads:
            packet = client.receive()
            if packet is None:
                return
            assert isinstance(packet, Acknowledgement)
            sequence = self._on_the_way[packet.packet_id]
            if sequence in wanted:
                wanted.discard(sequence)
                reads -= 1
                self.acknowledged.add(sequence)
                self.queue.acknowledge([sequence])
