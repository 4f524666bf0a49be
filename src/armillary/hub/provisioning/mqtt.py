# SPDX-License-Identifier: Apache-2.0
"""The provisioning endpoint on the hub's port: clients whose user name says that they ask for registration.

Such a connection has no device identity, no twin and no telemetry; it registers, polls and closes. Its credentials are
checked at CONNECT. ``registrations.py`` makes the registrations; ``https.py`` is the same over HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.hub.devices import DeviceRow
from armillary.errors import ArmillaryError, WireError
from armillary.hub.link.admission import credentials_of
from armillary.hub.link.counters import Counters
from armillary.hub.link.reasons import Reason
from armillary.hub.provisioning.registrations import NO_OPERATION, RETRY_AFTER_S, Registrations, refusal
from armillary.wire.hub.provisioning import (
    FILTER,
    PollTopic,
    RegisterTopic,
    answer_topic,
    assigning_body,
    error_body,
    parse_request,
    parse_topic,
    parse_username,
    result_body,
)
from armillary.wire.mqtt.packet import (
    LEVEL_5,
    Acknowledgement,
    Connect,
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
    from armillary.hub.front.connection import HubConnection

# Marks a connection that is no device's; it can stand in no topic, so it can never be published to or as.
MARK: Final = "#dps/"
# A registration takes a commit; a client that is slower than this is not registering (seconds).
CONNECTION_LIFE_S: Final = 300.0


def owner_of(scope: str, registration_id: str) -> str:
    """The key under which the operations of a client that registers are kept."""
    return f"{MARK}{scope}/{registration_id}"


@dataclass(eq=False)
class Provisioning:
    """Connections of clients that ask to be registered. Lives in the hub's loop."""

    _registrations: Registrations
    _check_certificate: Callable[[bytes | None], object]  # Raises ArmillaryError if it is not valid now
    _counters: Counters
    _clock: Callable[[], float]  # Unix time, seconds
    _applicants: dict[HubConnection, Any] = field(default_factory=dict, init=False)

    def close(self) -> None:
        """Begin no more registrations."""
        self._registrations.close()

    def begin(self, connection: HubConnection, packet: Connect, certificate: bytes | None) -> bool:
        """Take a connection that asks for registration; False when it is another kind of client.

        Raises:
            ArmillaryError: it is refused.
        """
        asked = parse_username(packet.username)
        if asked is None:
            return False
        scope, registration_id = asked
        if packet.client_id != registration_id:
            raise WireError("mqtt", expected="the registration id as client id", got="another", code="wire.hub-topic")
        self._check_certificate(certificate)
        credentials = credentials_of(packet, certificate)
        applicant = self._registrations.authority.authenticate(scope, registration_id, credentials)
        connection.device_id = owner_of(scope, registration_id)
        connection.expires = self._clock() + CONNECTION_LIFE_S
        self._applicants[connection] = applicant
        self._counters.provisioning_connections += 1
        connection.registers = True
        connection.established(DeviceRow(0, connection.device_id, 0, 0))
        return True

    def left(self, connection: HubConnection) -> None:
        """The connection is gone."""
        self._applicants.pop(connection, None)

    def converse(self, connection: HubConnection, packet: Packet) -> None:
        """Act on a packet; raises WireError for one that no registering client sends."""
        if isinstance(packet, Publish):
            self._publish(connection, packet)
        elif isinstance(packet, Subscribe):
            refused = Reason.TOPIC_FILTER.value.level_5 if connection.level >= LEVEL_5 else 0x80
            reasons = tuple(min(each.qos, 1) if each.filter == FILTER else refused for each in packet.subscriptions)
            connection.send(Suback(packet_id=packet.packet_id, reasons=reasons))
        elif isinstance(packet, Unsubscribe):
            connection.send(Unsuback(packet_id=packet.packet_id, reasons=(0,) * len(packet.filters)))
        elif isinstance(packet, Pingreq):
            connection.send(Pingresp())

    def _publish(self, connection: HubConnection, packet: Publish) -> None:
        topic = parse_topic(packet.topic)
        if packet.packet_id is not None:
            connection.send(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))
        if connection not in self._applicants:  # it takes nothing, and is cut off
            return
        retry_after_s: int | None
        try:
            status, body = self._answer(connection, topic, packet.payload)
            retry_after_s = RETRY_AFTER_S if status == 202 else None
        except ArmillaryError as error:
            code, message, retry_after_s = refusal(error, NO_OPERATION)
            status, body = code // 1000, error_body(code, message)
        answer = answer_topic(status, topic.request_id, retry_after_s)
        connection.send(Publish(topic=answer, payload=body))

    def _answer(self, connection: HubConnection, topic: RegisterTopic | PollTopic, payload: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        owner = connection.device_id
        if isinstance(topic, PollTopic):
            result = self._registrations.result(owner, topic.operation_id)
            if result is not None:
                return 200, result_body(topic.operation_id, result)
            return 202, assigning_body(topic.operation_id)
        request = parse_request(payload)
        return 202, assigning_body(self._registrations.begin(owner, self._applicants[connection], request))
