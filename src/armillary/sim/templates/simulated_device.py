# SPDX-License-Identifier: Apache-2.0
"""One running simulated device: connects to the hub in this process, sends telemetry, answers commands.

What it is: the device's end of an ordinary MQTT conversation (``hub/front/in_process.py``), driven by a behaviour.
Every message carries the property ``simulated``, so what it measured is never taken for a real device's. What it is
not: an identity; its tier is *simulated*, and its private key was thrown away when it was made.

Everything here runs in the hub's event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from armillary.errors import InvalidArgumentError
from armillary.hub.front.in_process import InProcessChannel
from armillary.sim.templates.behaviour import accept, answer
from armillary.wire.hub.telemetry import CREATION_TIME_PROPERTY
from armillary.wire.hub.topics import method_answer_topic, telemetry_topic, twin_get_topic, twin_report_topic
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import (
    LEVEL_3_1_1,
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    PacketType,
    Publish,
    Suback,
    Subscribe,
    Subscription,
)
from armillary.wire.mqtt.stream import PacketDecoder

if TYPE_CHECKING:
    from armillary.hub.front.front import Front
    from armillary.sim.templates.plans import DevicePlan

_log = structlog.get_logger(__name__)

# Messages of one device under way: more wait for their acknowledgements.
MAX_UNACKED: Final = 16
# A device whose connection was closed comes back after so long (seconds).
RETURN_S: Final = 5.0
# What every message says of itself.
_MARK: Final = (("$.ct", "application/json"), ("$.ce", "utf-8"), ("simulated", "true"))
_INBOXES: Final = ("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#")
_METHODS: Final = "$iothub/methods/POST/"
_TWIN_ANSWERS: Final = "$iothub/twin/res/"
_TWIN_DESIRED: Final = "$iothub/twin/PATCH/properties/desired/"
_COMPONENT: Final = {"__t": "c"}


class SimulatedDevice:
    """A simulated device that is connected to the hub.

    Attributes:
        due_s: When it wants its next :meth:`tick`, Unix seconds.
        sent: Messages that the hub has acknowledged.
        settings: What was changed from outside.
        incidents: Names of the incidents under way.
    """

    def __init__(self, plan: DevicePlan, front: Front) -> None:
        self.plan = plan
        self.due_s = 0.0
        self.sent = 0
        self.settings: dict[str, Any] = {}
        self.incidents: tuple[str, ...] = ()
        self._front = front
        self._channel: InProcessChannel | None = None
        self._decoder = PacketDecoder(level=LEVEL_3_1_1)
        self._ready = False
        self._last_id = 0
        self._unacked: set[int] = set()
        self._room = asyncio.Event()
        self._reported: dict[str, Any] = {}
        self._reporting = False
        self._requests = 0

    @property
    def is_live(self) -> bool:
        """Whether it is connected and has its twin."""
        return self._ready

    # Life ---------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect, if it is not."""
        if self._channel is not None:
            return
        self._decoder = PacketDecoder(level=LEVEL_3_1_1)
        self._unacked.clear()
        self._reporting = False
        self._room.set()
        self._channel = InProcessChannel(self._front, self.plan.device_id, self._received, self._closed)
        self._send(Connect(client_id=self.plan.device_id))

    def disconnect(self) -> None:
        """End the connection, as a device that is switched off."""
        channel, self._channel = self._channel, None
        self._ready = False
        if channel is not None:
            channel.send(encode_packet(Disconnect()))
            channel.close()
        self._room.set()

    def tick(self, now_s: float) -> None:
        """Measure and send, if it is time."""
        observed = self.plan.observe(now_s, self.settings)
        self.incidents = observed.incidents
        self.due_s = now_s + self.plan.every_s
        if observed.silent:
            self.disconnect()
            return
        if self._channel is None:
            self.connect()
        if not self._ready:
            self.due_s = now_s + min(1.0, self.plan.every_s)
            return
        if len(self._unacked) < MAX_UNACKED:
            self._measure(observed.values, None)
        self._report(observed.values)

    async def backfill(self, start_s: float, end_s: float, step_s: float) -> int:
        """Send what it would have measured from ``start_s`` on, before ``end_s``; the number of messages.

        Stops when the connection is lost.
        """
        count = 0
        at_s = start_s
        while at_s < end_s and self._ready:
            observed = self.plan.observe(at_s, self.settings)
            if not observed.silent:
                self._measure(observed.values, at_s)
                count += 1
            at_s += step_s
            if len(self._unacked) >= MAX_UNACKED:
                self._room.clear()
                await self._room.wait()
            else:
                await asyncio.sleep(0)  # one message at a time: others are served between them
        return count

    # To the hub ---------------------------------------------------------------------------------------------

    def _send(self, packet: Any) -> None:
        if self._channel is not None:
            self._channel.send(encode_packet(packet))

    def _measure(self, values: Mapping[str, Any], at_s: float | None) -> None:
        """Send telemetry, a message a component; ``at_s`` where it is not of now."""
        by_component: dict[str, dict[str, Any]] = {}
        for full in self.plan.shape.telemetry:
            if full in values:
                component, _, name = full.rpartition(".")
                by_component.setdefault(component, {})[name] = values[full]
        for component, body in by_component.items():
            bag: tuple[tuple[str, str], ...] = _MARK
            if component:
                bag += (("$.sub", component),)
            if at_s is not None:
                bag += ((CREATION_TIME_PROPERTY, datetime.fromtimestamp(at_s, UTC).isoformat()),)
            packet_id = self._next_id()
            self._unacked.add(packet_id)
            payload = json.dumps(body, separators=(",", ":")).encode()
            topic = telemetry_topic(self.plan.device_id, bag)
            self._send(Publish(topic=topic, payload=payload, qos=1, packet_id=packet_id))

    def _report(self, values: Mapping[str, Any]) -> None:
        """Report the properties that differ from what the hub knows."""
        if self._reporting:
            return
        news = {
            name: values[name]
            for name in self.plan.shape.properties
            if name in values and _plain(self._reported.get(name)) != values[name]
        }
        if news:
            self._patch(news)

    def _patch(self, news: Mapping[str, Any]) -> None:
        self._reported |= news
        self._reporting = True
        self._requests += 1
        body = json.dumps(_nested(news), separators=(",", ":")).encode()
        self._send(Publish(topic=twin_report_topic(f"r{self._requests}"), payload=body))

    def _next_id(self) -> int:
        self._last_id = self._last_id % 65_535 + 1
        return self._last_id

    # From the hub -------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        if self._channel is None:
            return
        self._decoder.feed(data)
        while (packet := self._decoder.next()) is not None:
            if isinstance(packet, Acknowledgement):
                self._unacked.discard(packet.packet_id)
                self.sent += 1
                if len(self._unacked) < MAX_UNACKED // 2:
                    self._room.set()
            elif isinstance(packet, Publish):
                self._published(packet)
            elif isinstance(packet, Connack) and packet.reason == 0:
                filters = tuple(Subscription(each) for each in _INBOXES)
                self._send(Subscribe(packet_id=self._next_id(), subscriptions=filters))
            elif isinstance(packet, Suback):
                self._send(Publish(topic=twin_get_topic("g"), payload=b" "))

    def _published(self, packet: Publish) -> None:
        if packet.qos:
            self._send(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id or 0))
        topic = packet.topic
        if topic.startswith(_METHODS):
            name, _, request_id = topic[len(_METHODS) :].partition("/?$rid=")
            self._called(name.replace("*", "."), request_id, packet.payload)
        elif topic.startswith(_TWIN_ANSWERS):
            if topic.partition("$rid=")[2] == "g":
                self._awake(json.loads(packet.payload))
            else:
                self._reporting = False
        elif topic.startswith(_TWIN_DESIRED):
            self._desired(json.loads(packet.payload))

    def _awake(self, twin: Mapping[str, Any]) -> None:
        """Take over, from the twin, the settings that were changed before this start."""
        self._reported = dict(_flat(twin.get("reported", {})))
        for name in self.plan.behaviour.settings:
            if name in self._reported:
                self.settings[name] = _plain(self._reported[name])
        self._ready = True
        self._desired(twin.get("desired", {}))
        self.due_s = 0.0

    def _desired(self, document: Mapping[str, Any]) -> None:
        """Apply desired properties and acknowledge them (IoT Plug and Play: value, ac, av)."""
        flat = dict(_flat(document))
        changes = accept(self.plan.behaviour, flat, self.plan.shape.writable)
        fresh = {name: value for name, value in changes.items() if self.settings.get(name) != value}
        if not fresh:
            return
        self.settings |= fresh
        version = document.get("$version", 1)
        self._patch({name: {"value": value, "ac": 200, "av": version} for name, value in fresh.items()})
        self.due_s = 0.0

    def _called(self, name: str, request_id: str, body: bytes) -> None:
        command = self.plan.behaviour.commands.get(name)
        if command is None:
            self._answer(404, request_id, {"message": f"a {self.plan.role} has no command {name}"})
            return
        now_s = self._front.now_ms() / 1000.0
        try:
            changes = answer(command, json.loads(body) if body.strip() else None, now_s=now_s)
        except (InvalidArgumentError, ValueError) as error:
            self._answer(400, request_id, {"message": str(error)[:300]})
            return
        self.settings |= changes
        if changes:
            self._patch(changes)
        values = self.plan.observe(now_s, self.settings).values
        self._answer(200, request_id, {each: values[each] for each in command.answer} or None)
        self.due_s = 0.0

    def _answer(self, status: int, request_id: str, body: object) -> None:
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        self._send(Publish(topic=method_answer_topic(status, request_id), payload=payload))

    def _closed(self) -> None:
        if self._channel is not None:  # not by us
            self._channel = None
            self._ready = False
            self._room.set()
            self.due_s = self._front.now_ms() / 1000.0 + RETURN_S


def _plain(value: Any) -> Any:
    """A reported value without its acknowledgement."""
    return value["value"] if isinstance(value, Mapping) and {"value", "ac"} <= set(value) else value


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of full names as the twin has it: components are marked (IoT Plug and Play)."""
    found: dict[str, Any] = {}
    for full, value in flat.items():
        component, _, name = full.rpartition(".")
        if component:
            found.setdefault(component, dict(_COMPONENT))[name] = value
        else:
            found[name] = value
    return found


def _flat(document: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A section of a twin by full names; its own words (``$version``) are left out."""
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        if name.startswith("$"):
            continue
        if isinstance(value, Mapping) and value.get("__t") == "c":
            found += [(f"{name}.{part}", each) for part, each in value.items() if part != "__t"]
        else:
            found.append((name, value))
    return found
