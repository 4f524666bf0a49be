# SPDX-License-Identifier: Apache-2.0
"""The hub as the rest of the process uses it: open, start, ask, close.

Everything here may be called from any thread unless it says otherwise; coroutines from any event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from armillary.engines.database.outbox import AuditOutboxes
from armillary.engines.hub.announcements import read_model_id
from armillary.engines.hub.forget import forgotten
from armillary.engines.series.retention import Retention
from armillary.engines.series.store import SeriesStore, no_template
from armillary.engines.threads import in_thread
from armillary.errors import DeviceStateError
from armillary.hub.devices.connectivity import Connectivity
from armillary.hub.devices.files import FileUploads
from armillary.hub.devices.listeners import LiveListeners
from armillary.hub.devices.mailboxes import Mailboxes
from armillary.hub.devices.operations import DeviceOperations
from armillary.hub.devices.twins import Twins
from armillary.hub.front.front import Front
from armillary.hub.front.methods import MethodResult, encode_call
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.admission import Admission
from armillary.hub.link.counters import Counters
from armillary.hub.link.http_opening import ServiceConnections
from armillary.hub.provisioning.https import ProvisioningHttp
from armillary.hub.provisioning.mqtt import MARK, Provisioning
from armillary.hub.provisioning.registrations import RegistrationAuthority, Registrations
from armillary.hub.provisioning.routes import DeviceHttps
from armillary.settings import Settings
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.hub.telemetry import Telemetry

if TYPE_CHECKING:
    from armillary.hub.broker.broker import MqttBroker

Result = TypeVar("Result")


class Hub:
    """One hub.

    Attributes:
        series: Values over time, latest values, messages as they came.
        mailboxes: Cloud-to-device messages.
        operations: What people do with devices: each operation takes who acts, and writes a line of the audit log.
        services: Takes connections of services on the hub's ports.
        storage_host: ``host:port`` of the operator API, where devices send the bytes of files; set by the process.
        service_host: What connection strings of services name: ``host``, or ``host:port``; set by the process.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Settings | None = None,  # For retention, the reserve of the disk and the database of series
        authenticate: Callable[[bytes], str],  # Device id of a client certificate (DER) that TLS has verified
        admit: Callable[[HubCredentials], HubPeer] | None = None,  # Called instead: it knows other clients as well
        provision: RegistrationAuthority | None = None,  # Decides about clients that register; None where none may
        template_of: Callable[[str], str] = no_template,  # Device template of a device id, empty for none
        audit: AuditOutboxes | None = None,  # Takes the audit entries of changes that people make
        clock: Callable[[], float] = time.time,  # Unix time, seconds
    ) -> None:
        """Open the hub's folder.

        ``authenticate`` and ``admit`` are called in the hub's event loop, so they must not block; they raise
        DeviceFault for a client that may not connect. ``template_of`` is first called after the start.

        Raises:
            DataFolderInUseError: another process holds the folder.
            DataFolderError: not writable, damaged, or of another version.
            DatabaseUnavailableError: the PostgreSQL database of ``series_database`` does not let us in.
        """
        settings = settings or Settings()
        self.notices = HubNotices()
        self._authenticate = authenticate
        self._admit = admit
        self._provision = provision
        self._clock = clock
        self._admission = Admission(self._identify, clock)
        self._started = False
        self._counters = Counters()
        self.live = LiveListeners(self._counters)
        self._folder = folder
        self._front: Front | None = None
        self._broker: MqttBroker | None = None
        self.series = SeriesStore(
            folder,
            retention=Retention(
                values_days=settings.values_retention_days,
                rollups_days=settings.rollups_retention_days,
                messages_days=settings.messages_retention_days,
            ),
            listener=self.notices.on_message,
            historical=self.notices.on_historical,
            reserve_bytes=settings.disk_reserve_mb << 20,
            database=settings.series_database,
            template_of=template_of,
            audit=audit,
        )
        self.notices.on_message.append(self._publish_live)
        self.twins = Twins(self.series, self.notices, self.now_ms, lambda: self._front)
        self.mailboxes = Mailboxes(self.series, self.now_ms, self._wake)
        self.files = FileUploads(self.series, self.now_ms, folder / "files")
        self.connectivity = Connectivity(self.series, self.notices, self._counters, self.now_ms, self.soon)
        self.storage_host = self.service_host = ""
        self.services = ServiceConnections()
        self.operations = DeviceOperations(self.series, self.twins, self.mailboxes, self.files, self.invoke_method)

    async def start(self, ssl_context: ssl.SSLContext, host: str, port: int) -> int:
        """Accept devices in the running event loop, which becomes the hub's; returns the port (0 picks a free one).

        Raises:
            PortInUseError: another process listens there.
        """
        if not self._started:
            self._started = True
            if await in_thread(self.connectivity.recover):
                self.connectivity.attach()
            await self.files.start()
        return await self.front.listen(ssl_context, host, port)

    async def start_broker(self, ssl_context: ssl.SSLContext, host: str, port: int) -> int:
        """Listen as a general broker as well, in the hub's loop; arguments and errors as of :meth:`start`."""
        from armillary.engines.hub.broker import BrokerStore  # noqa: PLC0415 - off unless configured: costs memory
        from armillary.hub.broker.broker import MqttBroker  # noqa: PLC0415 - as above

        store = BrokerStore(self._folder)
        self._broker = MqttBroker(self._admission.identify, self._counters, store=store, clock=self._clock)
        return await self._broker.listen(ssl_context, host, port)

    async def close(self) -> None:
        """Close every connection, keep everything, release the folder. Call it in the hub's loop."""
        await self.files.close()
        if self._broker is not None:
            await self._broker.close()
        if self._front is not None:
            await self._front.close()
        self.live.close()
        await asyncio.get_running_loop().run_in_executor(None, self._close_stores)

    @property
    def front(self) -> Front:
        """The front; made in the running event loop when first asked for."""
        if self._front is None:
            self._front = self._make_front()
        return self._front

    def _make_front(self) -> Front:
        identify, check = self._admission.identify, self._admission.check_certificate
        provisioning = over_http = None
        if self._provision is not None:
            registrations = Registrations(
                self._provision, asyncio.get_running_loop(), self._counters, self.twins.begin, self.notices
            )
            provisioning = Provisioning(registrations, check, self._counters, self._clock)
            over_http = ProvisioningHttp(registrations, check, self._counters)
        return Front(
            self.series,
            identify,
            self._counters,
            self.notices,
            self._clock,
            services=self.services,
            https=DeviceHttps(
                identify, self._counters, self.files, lambda: self.storage_host, self.services, over_http
            ),
            provisioning=provisioning,
        )

    def name_of(self, number: int) -> str | None:
        """Id of the device with this number, if it has connected since the hub's start. In the hub's loop."""
        return None if self._front is None else self._front.names.get(number)

    def connected(self) -> frozenset[str]:
        """Ids of the devices that are connected."""
        if self._front is None:
            return frozenset()
        return frozenset(name for name in self._front.sessions if not name.startswith(MARK))

    def last_seen_ms(self, device_id: str) -> int | None:
        """When a device was last connected or sent something, Unix milliseconds; None when never."""
        front = self._front
        if front is not None:
            connection = front.sessions.get(device_id)
            if connection is not None:
                return front.now_ms() - int((front.monotonic() - connection.heard) * 1000)
        row = self.series.device(device_id)
        return None if row is None else row.last_seen_ms

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return int(self._clock() * 1000)

    def soon(self, act: Callable[[], object]) -> None:
        """Run something in the hub's loop soon; nothing when the hub has not started. From any thread."""
        if self._front is not None:
            self._front.loop.call_soon_threadsafe(act)

    def names(self) -> Collection[str]:
        """Ids of all devices that have connected since the hub's start. In the hub's loop."""
        return () if self._front is None else self._front.names.values()

    def has_undecoded(self) -> bool:
        """Whether messages are on their way from connections to the decoder. In the hub's loop."""
        return self._front is not None and bool(self._front.intake.runs_under_way)

    def begin_connectivity(self) -> None:
        """Have connects and disconnects written down from now on. Blocks."""
        self.connectivity.begin()

    def forget(self, identity: str) -> None:
        """Forget a device with its modules, or a module (``device/module``); its name may be given to another owner.

        ``engines/hub/forget.py`` says what stays. Blocks: call it from a thread.
        """
        for upload_id in self.series.commits.commit(forgotten(identity)):
            self.files.remove(upload_id)
        self.notices.on_twin(identity)

    def disconnect(self, device_id: str) -> None:
        """Close the connections of a device and its modules: call it when the device is revoked."""
        self.soon(lambda: self.front.disconnect(device_id))
        broker = self._broker
        if broker is not None:
            self.soon(lambda: broker.disconnect(device_id))

    async def invoke_method(
        self,
        device_id: str,
        name: str,
        payload: object = None,
        timeout_s: float = 30.0,
        *,
        connect_timeout_s: float = 0.0,
    ) -> MethodResult:
        """Call a direct method of a connected device and wait for its answer.

        ``payload`` is anything that JSON has; None sends ``null``. The call waits ``connect_timeout_s`` for the device
        to connect, then ``timeout_s`` for its answer.

        Raises:
            DeviceOfflineError: not connected, takes no methods, or went away.
            DeviceTimeoutError: no answer in time.
            InvalidArgumentError: payload or a timeout make no sense.
            WireError: the name is not allowed.
            RateLimitedError: too many calls of this device are open.
        """
        methods = self.front.methods
        if connect_timeout_s:
            await self._in_loop(methods.wait_for(device_id, connect_timeout_s))
        return await self._in_loop(methods.invoke(device_id, name, encode_call(payload, timeout_s), timeout_s))

    def counters(self) -> Mapping[str, int]:
        """Everything the hub counts, by name; names ending in ``_now`` go up and down."""
        decoder = self.series.decoder
        return {
            **dataclasses.asdict(self._counters),
            **self.series.counts(),
            "messages_decoded": decoder.messages,
            "messages_opaque": decoder.opaque,
            "messages_undecodable": decoder.faults,
            "messages_historical": decoder.historical,
            "log_rows_damaged": decoder.damaged_blocks,
            "messages_repeated": self.series.repeated,
            "commits": self.series.commits.batches,
            "disk_full_now": int(self.series.is_refusing),
            "database_unreachable_now": int(self.series.is_cut_off),
            "connected_now": len(self.connected()),
            "commit_queue_now": self.series.commits.queued,
            "decode_backlog_bytes_now": decoder.backlog_bytes,
            **({} if self._broker is None else self._broker.gauges()),
        }

    def _close_stores(self) -> None:
        try:
            self.series.close(int(self._clock() * 1000), self.notices.end)  # it holds the folder
        finally:
            self.notices.end()  # also where the disk failed

    def model_id(self, device_id: str) -> str | None:
        """The model a device said it follows when it connected last; its word, not proven."""
        return self.series.read(lambda connection: read_model_id(connection, device_id))

    def _identify(self, credentials: HubCredentials) -> HubPeer:
        if self._admit is not None:
            return self._admit(credentials)
        if credentials.certificate is None:
            raise DeviceStateError("no client certificate", remedy="Connect with the certificate of the last check-in.")
        return HubPeer(self._authenticate(credentials.certificate))

    def _publish_live(self, device: int, telemetry: Telemetry, *_: int) -> None:
        if not self.live.idle:
            name = self.name_of(device)  # none: it was in the log before the start, and is not live any more
            if name is not None:
                self.live.publish(name, telemetry, self.front.loop)

    def _wake(self, device_id: str) -> None:
        self.soon(lambda: self.front.cloud_messages.wake_device(device_id))

    async def _in_loop(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        loop = self.front.loop
        if asyncio.get_running_loop() is loop:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))
