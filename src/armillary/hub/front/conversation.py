# SPDX-License-Identifier: Apache-2.0
"""What a connected device's packets mean: subscriptions, twin requests, method answers, pings.

Telemetry does not come through here: runs of it go from the decoder straight to the log (``intake.py``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from armillary.engines.database.group_commit import Rejected
from armillary.engines.hub.devices import subscribed
from armillary.engines.hub.twins import changed_twin, read_twin
from armillary.errors import InvalidArgumentError, WireError
from armillary.hub.link.reasons import Reason
from armillary.twin.document.document import Twin, device_view, report
from armillary.twin.document.section import parse_patch
from armillary.wire.hub.topics import (
    Inbox,
    MethodAnswer,
    TwinGet,
    TwinReport,
    parse_filter,
    parse_topic,
    twin_answer_topic,
)
from armillary.wire.mqtt.fields import Properties, Property
from armillary.wire.mqtt.packet import (
    LEVEL_5,
    Acknowledgement,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from armillary.wire.mqtt.reasons import ReasonCode

if TYPE_CHECKING:
    from armillary.hub.front.cloud_messages import CloudMessages
    from armillary.hub.front.connection import HubConnection
    from armillary.hub.front.intake import Intake
    from armillary.hub.front.methods import DirectMethods
    from armillary.hub.front.notices import HubNotices
    from armillary.hub.link.counters import Counters

_log = structlog.get_logger(__name__)

# SUBACK's failure code, and MQTT 5's reason code for an UNSUBACK of something never subscribed to.
_REFUSED = int(ReasonCode.UNSPECIFIED_ERROR)
_NO_SUBSCRIPTION = int(ReasonCode.NO_SUBSCRIPTION_EXISTED)


@dataclass(eq=False)
class Conversation:
    """Acts on what devices' packets mean. Lives in the hub's loop."""

    _intake: Intake
    _methods: DirectMethods
    _cloud_messages: CloudMessages
    _notices: HubNotices
    _counters: Counters

    def converse(self, connection: HubConnection, packet: Packet) -> None:
        """Act on a packet of a connected device.

        Raises:
            WireError: the device may not do this; close the connection.
        """
        if isinstance(packet, Publish):
            self._publish(connection, packet)
        elif isinstance(packet, Subscribe):
            self._subscribe(connection, packet)
        elif isinstance(packet, Unsubscribe):
            self._unsubscribe(connection, packet)
        elif isinstance(packet, Pingreq):
            connection.send(Pingresp())
        elif isinstance(packet, Acknowledgement):  # PUBACK: the table of states lets no other in
            self._cloud_messages.acknowledged(connection, packet.packet_id)

    def _publish(self, connection: HubConnection, packet: Publish) -> None:
        if packet.qos > 1:
            raise WireError(
                "mqtt",
                expected="QoS 0 or 1",
                got="QoS 2",
                remedy="Publish with QoS 1; IoT Hub has no QoS 2.",
                code="wire.mqtt-qos",
            )
        topic = parse_topic(packet.topic, connection.device_id)
        if isinstance(topic, TwinGet):
            self._answer_twin(_Request.of(connection, packet, topic.request_id), packet)
        elif isinstance(topic, TwinReport):
            self._report_twin(_Request.of(connection, packet, topic.request_id), packet)
        elif isinstance(topic, MethodAnswer):
            self._methods.answer(connection.device_id, topic.request_id, topic.status, packet.payload)
            _acknowledge(connection, packet)
        # Telemetry does not come here: the intake has it.

    def _answer_twin(self, request: _Request, packet: Publish) -> None:
        connection = request.connection
        # Read by the writing thread, so that the answer has what this device reported just before.
        self._counters.twin_reads += 1
        _acknowledge(connection, packet)
        device_id = connection.device_id

        def answer(twin: Any) -> None:
            if isinstance(twin, Twin):
                request.answer(200, json.dumps(device_view(twin), separators=(",", ":")).encode())
            else:
                _failed(request, twin)

        self._intake.request(connection, lambda database: read_twin(database, device_id), answer)

    def _report_twin(self, request: _Request, packet: Publish) -> None:
        connection = request.connection
        now_ms = self._intake.now_ms()
        try:
            patch = parse_patch(packet.payload, "reported")
        except InvalidArgumentError as error:
            _acknowledge(connection, packet)
            self._refused_report(request, error)
            return

        def answer(twin: Any) -> None:
            if isinstance(twin, Twin):
                self._counters.twin_reports += 1
                self._notices.on_twin(connection.device_id)
                _acknowledge(connection, packet)
                request.answer(204, b"", twin.reported.version)
            elif isinstance(twin, Rejected) and isinstance(twin.error, InvalidArgumentError):
                _acknowledge(connection, packet)
                self._refused_report(request, twin.error)
            else:
                _failed(request, twin)

        change = changed_twin(connection.device_id, lambda twin: report(twin, patch, now_ms=now_ms), now_ms=now_ms)
        self._intake.request(connection, change, answer, size_bytes=len(packet.payload))

    def _refused_report(self, request: _Request, error: InvalidArgumentError) -> None:
        self._counters.twin_reports_refused += 1
        request.answer(400, json.dumps({"errorCode": 400, "message": error.message}).encode())

    def _subscribe(self, connection: HubConnection, packet: Subscribe) -> None:
        if any(key is Property.SUBSCRIPTION_IDENTIFIER for key, _ in packet.properties):
            raise WireError(
                "mqtt",
                expected="no subscription identifier, as CONNACK said",
                got="one",
                code="wire.mqtt-subscription-identifier",
            )
        reasons: list[int] = []
        inboxes = connection.inboxes
        for subscription in packet.subscriptions:
            try:
                inbox = parse_filter(subscription.filter, connection.device_id)
                inboxes |= inbox
                if inbox is Inbox.DEVICEBOUND:
                    once = Inbox.DEVICEBOUND_ONCE
                    inboxes = inboxes & ~once if subscription.qos else inboxes | once
                reasons.append(min(subscription.qos, 1))
            except WireError as error:
                self._counters.subscriptions_refused += 1
                _log.info("hub.subscription-refused", device=connection.device_id[:16], why=error.message)
                refused = Reason.SHARED if subscription.filter.startswith("$share/") else Reason.TOPIC_FILTER
                reasons.append(refused.value.level_5 if connection.level >= LEVEL_5 else _REFUSED)
        answer = Suback(packet_id=packet.packet_id, reasons=tuple(reasons))
        self._change_inboxes(connection, inboxes, answer)

    def change_session_end(self, connection: HubConnection, *, persistent: bool) -> None:
        """DISCONNECT changed how long the session lasts (MQTT 5 §3.14.2.2.2): forever, or no longer than now.

        Raises:
            WireError: a session that was to end with its connection cannot be made to last.
        """
        if persistent and not connection.persistent:
            raise WireError(
                "mqtt", expected="no session expiry where CONNECT gave none", got="one", code="wire.mqtt-order"
            )
        if connection.persistent and not persistent:
            self._intake.request(connection, subscribed(connection.number, 0), lambda _: None)

    def _unsubscribe(self, connection: HubConnection, packet: Unsubscribe) -> None:
        inboxes = connection.inboxes
        reasons: list[int] = []
        for topic_filter in packet.filters:
            try:
                inbox = parse_filter(topic_filter, connection.device_id)
            except WireError:
                inbox = Inbox(0)
            reasons.append(0 if inbox & inboxes else _NO_SUBSCRIPTION)
            inboxes &= ~(inbox | (Inbox.DEVICEBOUND_ONCE if inbox is Inbox.DEVICEBOUND else Inbox(0)))
        self._change_inboxes(connection, inboxes, Unsuback(packet_id=packet.packet_id, reasons=tuple(reasons)))

    def _change_inboxes(self, connection: HubConnection, inboxes: Inbox, answer: Packet) -> None:
        """Change subscriptions; a persistent session's are stored before the device gets its answer."""
        unchanged = inboxes == connection.inboxes
        connection.inboxes = inboxes
        if unchanged or not connection.persistent:
            connection.send(answer)
            self._cloud_messages.wake(connection)
            return

        def deliver(outcome: Any) -> None:
            if isinstance(outcome, Rejected):
                _log.error("hub.subscription-not-kept", device=connection.device_id[:16], why=str(outcome.error))
                connection.close(Reason.NOT_KEPT)
            else:
                connection.send(answer)
                self._cloud_messages.wake(connection)

        self._intake.request(connection, subscribed(connection.number, int(inboxes)), deliver)


def _acknowledge(connection: HubConnection, packet: Publish) -> None:
    if packet.packet_id is not None:
        connection.send(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))


@dataclass(frozen=True, slots=True)
class _Request:
    """A twin request: what its answer echoes."""

    connection: HubConnection
    id: str
    properties: Properties

    @classmethod
    def of(cls, connection: HubConnection, packet: Publish, request_id: str) -> _Request:
        # MQTT 5 §4.10: correlation data of a request is sent back with the answer.
        echoed = tuple(pair for pair in packet.properties if pair[0] is Property.CORRELATION_DATA)
        return cls(connection, request_id, echoed)

    def answer(self, status: int, body: bytes, version: int | None = None) -> None:
        if self.connection.inboxes & Inbox.TWIN_ANSWERS:
            topic = twin_answer_topic(status, self.id, version)
            self.connection.send(Publish(topic=topic, payload=body, properties=self.properties))


def _failed(request: _Request, outcome: object) -> None:
    why = str(outcome.error) if isinstance(outcome, Rejected) else "no twin"
    _log.error("hub.twin-failed", device=request.connection.device_id[:16], why=why)
    request.answer(500, b'{"errorCode":500,"message":"the hub could not read or write the twin"}')
