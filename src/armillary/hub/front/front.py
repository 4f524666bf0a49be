# SPDX-License-Identifier: Apache-2.0
"""The front: all connections of devices, and the clock that closes what is over.

Everything here runs in the hub's loop. Messages go to the disk through ``intake.py``, and on from there through
``decoding.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from armillary.engines.hub.announcements import announced
from armillary.engines.hub.devices import DeviceRow, enrolled, seen
from armillary.engines.series.store import SeriesStore
from armillary.errors import RateLimitedError
from armillary.hub.front.cloud_messages import CloudMessages
from armillary.hub.front.connection import DeviceRequests, HubConnection, RegistrationConversation
from armillary.hub.front.conversation import Conversation
from armillary.hub.front.decoding import Decoding
from armillary.hub.front.intake import Intake
from armillary.hub.front.methods import DirectMethods
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.admission import Identify
from armillary.hub.link.counters import Counters
from armillary.hub.link.gate import Gate
from armillary.hub.link.http_opening import ServiceConnections
from armillary.hub.link.limits import SEEN_INTERVAL_S, SWEEP_INTERVAL_S
from armillary.hub.link.link import check_all
from armillary.hub.link.reasons import Reason, why_ended
from armillary.wire.hub.topics import Inbox, twin_desired_topic
from armillary.wire.mqtt.packet import Publish

_log = structlog.get_logger(__name__)


class Front:
    """All connections of one hub. Belongs to the event loop it is made in.

    Attributes:
        sessions: Connections by device id, or by what marks a client that registers.
        names: Device ids by the devices' numbers, of devices that have connected since the start.
    """

    def __init__(
        self,
        store: SeriesStore,
        identify: Identify,  # Says who a client is; must not block
        counters: Counters,
        notices: HubNotices,
        clock: Callable[[], float] = time.time,  # Unix time, seconds
        *,
        services: ServiceConnections | None = None,
        https: DeviceRequests | None = None,  # Answers devices over HTTP; None where nothing does
        provisioning: RegistrationConversation | None = None,  # Registers over MQTT; None where none may
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.monotonic = time.monotonic
        self.identify = identify
        self.counters = counters
        self.services = services or ServiceConnections()
        self.https = https
        self.provisioning = provisioning
        self.sessions: dict[str, HubConnection] = {}
        self.names: dict[int, str] = {}
        self._notices = notices
        self._clock = clock
        self._gate: Gate[HubConnection] = Gate("hub", counters)
        self._decoding = Decoding(store, self.loop, notices, clock)
        self.intake = Intake(store, self.loop, counters, clock, self._decoding.soon)
        notices.on_slice.append(self.intake.release)
        self.methods = DirectMethods(self.sessions, counters)
        self.cloud_messages = CloudMessages(self.intake, self.sessions, counters)
        self.conversation = Conversation(self.intake, self.methods, self.cloud_messages, notices, counters)
        self._seen_at = self.monotonic()
        self._sweeper = self.loop.create_task(self._sweep(), name="hub-sweep")
        self._decoding.soon()  # what was not decoded when the hub ended

    # Listening ----------------------------------------------------------------------------------------------

    async def listen(self, context: ssl.SSLContext | None, host: str, port: int) -> int:
        """Accept connections; as :meth:`Gate.listen`. Without TLS, for benchmarks, a connection has no identity."""
        return await self._gate.listen(context, lambda: HubConnection(self), host, port)

    async def close(self) -> None:
        """Stop accepting, close every connection."""
        self._sweeper.cancel()
        for each in (self.provisioning, self.https):
            if each is not None:
                each.close()
        self._decoding.close()
        self._note_seen(list(self.sessions.values()))
        self._gate.close()
        await asyncio.sleep(0)  # let transports flush

    def disconnect(self, device_id: str) -> bool:
        """Close the connections of a revoked device and of its modules; False when there is none."""
        prefix = f"{device_id}/"
        found = [each for name, each in self.sessions.items() if name == device_id or name.startswith(prefix)]
        for connection in found:
            connection.close(Reason.REVOKED, keep_will=False)
        return bool(found)

    def notify_desired(self, device_id: str, notice: Mapping[str, Any], version: int) -> None:
        """Tell a connected device of new desired properties."""
        connection = self.sessions.get(device_id)
        if connection is None or not connection.inboxes & Inbox.TWIN_DESIRED:
            return
        self.counters.desired_notices += 1
        body = json.dumps(notice, separators=(",", ":")).encode()
        connection.send(Publish(topic=twin_desired_topic(version), payload=body))

    # From connections ---------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return self.intake.now_ms()

    def entered(self, connection: HubConnection) -> None:
        """A connection is open; it is closed at once if too many are not authenticated."""
        self._gate.entered(connection)

    def left(self, connection: HubConnection) -> None:
        """A connection is closed or closing; may be called more than once."""
        self._gate.left(connection)
        self.intake.left(connection)
        self.cloud_messages.left(connection)
        if self.provisioning is not None and connection.registers:
            self.provisioning.left(connection)
        if self.sessions.get(connection.device_id) is connection:
            del self.sessions[connection.device_id]
            self.methods.abandon(connection.device_id)
            self._note_seen([connection])
            if not connection.registers:
                self._notices.on_disconnect(connection.device_id, connection.ended or why_ended(None))

    def register(self, connection: HubConnection, *, clean: bool) -> None:
        """Store a device's row, then accept its connection."""

        def deliver(row: object) -> None:
            if isinstance(row, DeviceRow):
                connection.established(row)
                if model_id is not None:
                    self.loop.run_in_executor(None, self._notices.on_model, connection.device_id, model_id)
            else:
                _log.error("hub.device-not-registered", device=connection.device_id[:16], why=str(row))
                connection.refuse(Reason.UNAVAILABLE, "the hub cannot write to its disk")

        model_id = connection.model_id
        if model_id is not None:
            self.intake.post(announced(connection.device_id, model_id, now_ms=self.now_ms()))
        self.intake.post(enrolled(connection.device_id, now_ms=self.now_ms(), clean=clean), deliver)

    def accepted(self, connection: HubConnection) -> None:
        """A device is connected; its older connection, if any, ends."""
        self._gate.authenticated(connection)
        older = self.sessions.get(connection.device_id)
        if older is not None:
            self.counters.connections_taken_over += 1
            if not connection.registers:
                self._notices.on_put_out(connection.device_id, older.address, connection.address)
            older.close(Reason.TAKEN_OVER)
        self.sessions[connection.device_id] = connection
        if connection.registers:
            return
        self.names[connection.number] = connection.device_id
        self.counters.connections_accepted += 1
        self._notices.on_connect(connection.device_id)
        self.cloud_messages.wake(connection)

    # Time ---------------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self.sweep()
            self.cloud_messages.tick()
            self._decoding.flush()
            self._decoding.maintain()
            if self.monotonic() - self._seen_at > SEEN_INTERVAL_S:
                self._note_seen([each for each in self.sessions.values() if each.heard >= self._seen_at])
                self._seen_at = self.monotonic()

    def sweep(self) -> None:
        """Look at every connection's times now."""
        check_all(self.loop, self._gate.links, self.monotonic(), self._clock())

    def _note_seen(self, connections: list[HubConnection]) -> None:
        if not connections:
            return
        offset = self._clock() - self.monotonic()
        times = [(each.number, int((each.heard + offset) * 1000)) for each in connections]
        with contextlib.suppress(RateLimitedError):  # written again in a few seconds, or closing
            self.intake.post(seen(times))
