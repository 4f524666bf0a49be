# SPDX-License-Identifier: Apache-2.0
"""The provisioning endpoint on the hub's port: clients whose user name says that they ask for registration.

Such a connection is no device: it has no identity, no twin and no telemetry; it registers, polls and goes. What it
shows is checked at CONNECT. A registration is made in a thread, its result waits under an operation id for the
client's poll, so that an answer that gets lost is asked for again.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from armillary.engines.series.devices import DeviceRow
from armillary.errors import ArmillaryError, WireError
from armillary.hub.reasons import Reason
from armillary.wire.hub_credentials import HubCredentials
from armillary.wire.mqtt_packet import (
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
from armillary.wire.provisioning import (
    FILTER,
    PollTopic,
    RegistrationRequest,
    RegistrationResult,
    answer_topic,
    assigning_body,
    error_body,
    parse_request,
    parse_topic,
    parse_username,
    result_body,
)

if TYPE_CHECKING:
    from armillary.hub.connection import Connection
    from armillary.hub.front import Front

# Marks a connection that is no device's; it can stand in no topic, so it can never be published to or as.
MARK: Final = "#dps/"
# A registration takes a commit; a client that is slower than this is not registering (seconds).
CONNECTION_LIFE_S: Final = 300.0
# What the client waits before it polls (seconds).
RETRY_AFTER_S: Final = 1
# Registrations under way; beyond, clients are asked to come back after this time (seconds).
MAX_PENDING: Final = 64
BUSY_RETRY_S: Final = 5
# Results are kept for polls so long (seconds), and so many of them.
RESULT_LIFE_S: Final = 600.0
MAX_RESULTS: Final = 10_000

_log = structlog.get_logger(__name__)


class Desk(Protocol):
    """Who decides: the security service."""

    def authenticate(self, scope: str, registration_id: str, credentials: HubCredentials, /) -> Any:
        """Who asks; raises ArmillaryError for whom nothing lets in. Must not block for long."""

    def register(self, applicant: Any, request: RegistrationRequest, /) -> RegistrationResult:
        """Register; called in a thread."""


@dataclass(slots=True)
class _Operation:
    owner: str
    begun: float
    result: RegistrationResult | None = None


def announced_model(request: RegistrationRequest) -> str | None:
    """The model a client says its device follows (IoT Plug and Play; the older name is IoT Central's)."""
    if isinstance(request.payload, dict):
        for name in ("modelId", "iotcModelId"):
            if isinstance(request.payload.get(name), str):
                return str(request.payload[name])
    return None


class Provisioning:
    """Connections that register. Lives in the hub's loop.

    Args:
        front: The hub's front.
        desk: Who decides.
        first_twin: Gives a new device its first twin; called in the hub's loop.
    """

    def __init__(self, front: Front, desk: Desk, first_twin: Callable[[str, Any], None]) -> None:
        self._front = front
        self._desk = desk
        self._first_twin = first_twin
        self._applicants: dict[Connection, Any] = {}
        self._operations: dict[str, _Operation] = {}
        self._pending = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="provisioning")

    def close(self) -> None:
        """End the threads; what they began is recorded or not."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, connection: Connection, packet: Connect, certificate: bytes | None) -> bool:
        """Take a connection that asks for registration; False when it is another kind of client.

        Raises:
            ArmillaryError: it is not let in.
        """
        asked = parse_username(packet.username)
        if asked is None:
            return False
        scope, registration_id = asked
        if packet.client_id != registration_id:
            raise WireError("mqtt", expected="the registration id as client id", got="another", code="wire.hub-topic")
        password = None if packet.password is None else packet.password.decode("utf-8", "replace")
        credentials = HubCredentials(certificate, packet.client_id, password)
        self._front.check_certificate(certificate)
        applicant = self._desk.authenticate(scope, registration_id, credentials)
        connection.device_id = f"{MARK}{scope}/{registration_id}"
        connection.expires = self._front.now_ms() / 1000 + CONNECTION_LIFE_S
        self._applicants[connection] = applicant
        self._front.counters.provisioning_connections += 1
        connection.registers = True
        connection.established(DeviceRow(0, connection.device_id, 0, 0))
        return True

    def left(self, connection: Connection) -> None:
        """The connection is gone."""
        self._applicants.pop(connection, None)

    def converse(self, connection: Connection, packet: Packet) -> None:
        """Act on a packet.

        Raises:
            WireError: nothing that registers sends this.
        """
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

    def _publish(self, connection: Connection, packet: Publish) -> None:
        topic = parse_topic(packet.topic)
        if packet.packet_id is not None:
            connection.send(Acknowledgement(type=PacketType.PUBACK, packet_id=packet.packet_id))
        if isinstance(topic, PollTopic):
            self._answer_poll(connection, topic)
            return
        try:
            request = parse_request(packet.payload)
        except WireError as error:
            self._answer(connection, 400, topic.request_id, error_body(400004, error.message))
            return
        if self._pending >= MAX_PENDING or connection not in self._applicants:
            body = error_body(429001, "too many registrations at once")
            self._answer(connection, 429, topic.request_id, body, BUSY_RETRY_S)
            return
        operation_id = f"5.{secrets.token_hex(8)}.{secrets.token_hex(8)}"
        self._forget_old()
        self._operations[operation_id] = _Operation(connection.device_id, time.monotonic())
        self._pending += 1
        applicant = self._applicants[connection]
        future = self._front.loop.run_in_executor(self._threads, self._desk.register, applicant, request)
        future.add_done_callback(lambda done: self._registered(operation_id, request, done))
        self._answer(connection, 202, topic.request_id, assigning_body(operation_id), RETRY_AFTER_S)

    def _answer_poll(self, connection: Connection, topic: PollTopic) -> None:
        operation = self._operations.get(topic.operation_id)
        if operation is None or operation.owner != connection.device_id:
            body = error_body(404205, "there is no such operation")
            self._answer(connection, 404, topic.request_id, body)
        elif operation.result is None:
            self._answer(connection, 202, topic.request_id, assigning_body(topic.operation_id), RETRY_AFTER_S)
        else:
            self._answer(connection, 200, topic.request_id, result_body(topic.operation_id, operation.result))

    def _registered(
        self, operation_id: str, request: RegistrationRequest, done: asyncio.Future[RegistrationResult]
    ) -> None:
        self._pending -= 1
        operation = self._operations.get(operation_id)
        try:
            result = done.result()
        except (ArmillaryError, asyncio.CancelledError) as error:
            _log.error("hub.registration-failed", registration=request.registration_id[:40], why=str(error))
            result = RegistrationResult(
                registration_id=request.registration_id,
                status="failed",
                error_code=500001,
                message="the service could not record it",
            )
        if result.status == "assigned":
            self._front.counters.provisioning_registrations += 1
            if result.initial_twin is not None:
                self._first_twin(result.device_id, result.initial_twin)
            model = announced_model(request)
            if model is not None:
                self._front.loop.run_in_executor(None, self._front.model_announced, result.device_id, model)
        if operation is not None:
            operation.result = result

    def _answer(
        self, connection: Connection, status: int, request_id: str, body: bytes, retry_after_s: int | None = None
    ) -> None:
        connection.send(Publish(topic=answer_topic(status, request_id, retry_after_s), payload=body))

    def _forget_old(self) -> None:
        """Drop what is too old, and the oldest when there are too many; they are in order of time."""
        limit = time.monotonic() - RESULT_LIFE_S
        while self._operations:
            oldest = next(iter(self._operations))
            if len(self._operations) < MAX_RESULTS and self._operations[oldest].begun > limit:
                return
            del self._operations[oldest]
