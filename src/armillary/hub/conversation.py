# SPDX-License-Identifier: Apache-2.0
"""What a connected device's packets mean: subscriptions, twin requests, method answers, pings.

Telemetry does not come through here: runs of it go from the decoder straight to the log (``front.ingest``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog

from armillary.engines.group_commit import Rejected
from armillary.engines.series.devices import subscribed
from armillary.engines.series.twins import changed_twin, read_twin
from armillary.errors import InvalidArgumentError, WireError
from armillary.hub.reasons import Reason
from armillary.twin.document import Twin, device_view, report
from armillary.twin.section import parse_patch
from armillary.wire.hub_topics import (
    Inbox,
    MethodAnswer,
    TwinGet,
    TwinReport,
    parse_filter,
    parse_topic,
    twin_answer_topic,
)
from armillary.wire.mqtt_fields import Property
from armillary.wire.mqtt_packet import (
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

if TYPE_CHECKING:
    from armillary.hub.connection import Connection
    from armillary.hub.front import Front

_log = structlog.get_logger(__name__)

# SUBACK's failure code, and MQTT 5's reason code for an UNSUBACK of something never subscribed to.
_REFUSED = 0x80
_NO_SUBSCRIPTION = 0x11


def converse(front: Front, connection: Connection, packet: Packet) -> None:
    """Act on a packet of a connected device.

    Raises:
        WireError: the device may not do this; close the connection.
    """
    if isinstance(packet, Publish):
        _publish(front, connection, packet)
    elif isinstance(packet, Subscribe):
        _subscribe(front, connection, packet)
    elif isinstance(packet, Unsubscribe):
        _unsubscribe(front, connection, packet)
    elif isinstance(packet, Pingreq):
        connection.send(Pingresp())
    elif isinstance(packet, Acknowledgement):  # PUBACK: the table of states lets no other in
        front.cloud_messages.acknowledged(connection, packet.packet_id)


def _publish(front: Front, connection: Connection, packet: Publish) -> None:
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
        _answer_twin(front, connection, packet, topic.request_id)
    elif isinstance(topic, TwinReport):
        _report_twin(front, connection, packet, topic.request_id)
    elif isinstance(topic, MethodAnswer):
        front.methods.answer(connection.device_id, topic.request_id, topic.status, packet.payload)
        _acknowledge(connection, packet)
    else:
        raise WireError(  # telemetry goes the other way, unless it uses what CONNACK said there is not
            "mqtt", expected="telemetry without a topic alias", got="one", code="wire.mqtt-order"
        )


def _acknowledge(connection: Connection, packet: Publish) -> None:
    if packet.packet_id is not None:
        connection.send(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))


def _answer(connection: Connection, status: int, request_id: str, body: bytes, version: int | None = None) -> None:
    if connection.inboxes & Inbox.TWIN_ANSWERS:
        connection.send(Publish(topic=twin_answer_topic(status, request_id, version), payload=body))


def _answer_twin(front: Front, connection: Connection, packet: Publish, request_id: str) -> None:
    # Read by the writing thread, so that the answer has what this device reported just before.
    front.counters.twin_reads += 1
    _acknowledge(connection, packet)
    device_id = connection.device_id

    def answer(twin: Any) -> None:
        if isinstance(twin, Twin):
            _answer(connection, 200, request_id, json.dumps(device_view(twin), separators=(",", ":")).encode())
        else:
            _failed(connection, request_id, twin)

    front.request(connection, lambda database: read_twin(database, device_id), answer)


def _report_twin(front: Front, connection: Connection, packet: Publish, request_id: str) -> None:
    now_ms = front.now_ms()
    try:
        patch = parse_patch(packet.payload, "reported")
    except InvalidArgumentError as error:
        _acknowledge(connection, packet)
        _refused_report(front, connection, request_id, error)
        return

    def answer(twin: Any) -> None:
        if isinstance(twin, Twin):
            front.counters.twin_reports += 1
            _acknowledge(connection, packet)
            _answer(connection, 204, request_id, b"", twin.reported.version)
        elif isinstance(twin, Rejected) and isinstance(twin.error, InvalidArgumentError):
            _acknowledge(connection, packet)
            _refused_report(front, connection, request_id, twin.error)
        else:
            _failed(connection, request_id, twin)

    change = changed_twin(connection.device_id, lambda twin: report(twin, patch, now_ms=now_ms))
    front.request(connection, change, answer, size_bytes=len(packet.payload))


def _refused_report(front: Front, connection: Connection, request_id: str, error: InvalidArgumentError) -> None:
    front.counters.twin_reports_refused += 1
    body = json.dumps({"errorCode": 400, "message": error.message}).encode()
    _answer(connection, 400, request_id, body)


def _failed(connection: Connection, request_id: str, outcome: object) -> None:
    why = str(outcome.error) if isinstance(outcome, Rejected) else "no twin"
    _log.error("hub.twin-failed", device=connection.device_id[:16], why=why)
    _answer(connection, 500, request_id, b'{"errorCode":500,"message":"the hub could not read or write the twin"}')


def _subscribe(front: Front, connection: Connection, packet: Subscribe) -> None:
    if any(key is Property.SUBSCRIPTION_IDENTIFIER for key, _ in packet.properties):
        raise WireError(
            "mqtt", expected="no subscription identifier, as CONNACK said", got="one", code="wire.mqtt-order"
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
            front.counters.subscriptions_refused += 1
            _log.info("hub.subscription-refused", device=connection.device_id[:16], why=error.message)
            reasons.append(Reason.TOPIC_FILTER.value.level_5 if connection.level >= LEVEL_5 else _REFUSED)
    answer = Suback(packet_id=packet.packet_id, reasons=tuple(reasons))
    _change_inboxes(front, connection, inboxes, answer)


def _unsubscribe(front: Front, connection: Connection, packet: Unsubscribe) -> None:
    inboxes = connection.inboxes
    reasons: list[int] = []
    for topic_filter in packet.filters:
        try:
            inbox = parse_filter(topic_filter, connection.device_id)
        except WireError:
            inbox = Inbox(0)
        reasons.append(0 if inbox & inboxes else _NO_SUBSCRIPTION)
        inboxes &= ~(inbox | (Inbox.DEVICEBOUND_ONCE if inbox is Inbox.DEVICEBOUND else Inbox(0)))
    _change_inboxes(front, connection, inboxes, Unsuback(packet_id=packet.packet_id, reasons=tuple(reasons)))


def _change_inboxes(front: Front, connection: Connection, inboxes: Inbox, answer: Packet) -> None:
    """Change subscriptions; a persistent session's are written down before the device is told."""
    unchanged = inboxes == connection.inboxes
    connection.inboxes = inboxes
    if unchanged or not connection.persistent:
        connection.send(answer)
        front.cloud_messages.wake(connection)
        return

    def deliver(outcome: Any) -> None:
        if isinstance(outcome, Rejected):
            _log.error("hub.subscription-not-kept", device=connection.device_id[:16], why=str(outcome.error))
            connection.close(Reason.UNAVAILABLE)
        else:
            connection.send(answer)
            front.cloud_messages.wake(connection)

    front.request(connection, subscribed(connection.number, int(inboxes)), deliver)
