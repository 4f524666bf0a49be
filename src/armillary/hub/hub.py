# SPDX-License-Identifier: Apache-2.0
"""The hub as the rest of the process uses it: open, start, ask, close.

Everything here may be called from any thread unless it says otherwise; coroutines from any event loop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Set as AbstractSet
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.documents.store import DocumentStore
from armillary.engines.hub.announcements import read_model_id
from armillary.engines.hub.twins import changed_twin
from armillary.engines.series.store import Retention, SeriesStore
from armillary.engines.threads import in_thread
from armillary.errors import DeviceStateError
from armillary.hub.devices.connectivity import Connectivity
from armillary.hub.devices.files import FileUploads
from armillary.hub.devices.listeners import Gathering, Listener, Listeners
from armillary.hub.front.cloud_messages import Mailboxes
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
from armillary.platform.authored.device_facts import Directory, NoDirectory
from armillary.platform.authored.groups import Groups
from armillary.platform.authored.organisations import Organisations
from armillary.platform.exports.exports import Exports
from armillary.platform.jobs.jobs import Jobs
from armillary.platform.jobs.updates import NoUpdates, Updates
from armillary.platform.rules.rules import Rules
from armillary.platform.templates.model_check import ModelCheck
from armillary.platform.templates.templates import Templates
from armillary.settings import Settings
from armillary.twin.document.document import Twin, desired_notice, patch_desired, patch_tags
from armillary.twin.document.section import check_patch
from armillary.wire.hub.credentials import HubCredentials, HubPeer
from armillary.wire.hub.telemetry import Telemetry

if TYPE_CHECKING:
    from armillary.hub.broker.broker import MqttBroker

Result = TypeVar("Result")

# A commit that takes longer than this is a broken disk (seconds).
COMMIT_TIMEOUT_S = 30.0


class Hub:
    """One hub.

    Attributes:
        notices: What devices do, for whoever has to know.
        series: Values over time, latest values, messages as they came: ``query``, ``last_values``, ``metrics``,
            ``texts``, ``messages``.
        twins: Device twins.
        mailboxes: Cloud-to-device messages.
        files: Files that devices upload.
        storage_host: ``host:port`` of the operator API, where devices send the bytes of files; the owner sets it.
        changing_secrets: Held from looking at a document with secrets until both are changed: they are kept apart.
        services: Where connections of services on the hub's ports go.
        service_host: What connection strings of services name: ``host``, or ``host:port``; the owner sets it.
        application: What the application's author makes: device templates, rules, jobs, dashboards, as documents.
        templates: Device templates, and which device has which.
        models: Messages against templates as they come in: ``last_misfit``.
        directory: Whose devices are and how they are doing; the owner sets it.
        updates: Who moves devices between the security service's device groups; the owner sets it.
        groups: Members of device groups.
        exports: Data exports: ``status``, ``replays``, ``store``.
        connectivity: The journal of connects and disconnects, for exports.
        organisations: Who sees which devices of a catalog.
        jobs: Jobs over device groups: begin, cancel, ``store`` for runs and results.
        rules: Rules, their alerts and actions.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authenticate: Callable[[bytes], str],
        admit: Callable[[HubCredentials], HubPeer] | None = None,
        provision: RegistrationAuthority | None = None,
        retention: Retention | None = None,
        reserve_bytes: int = 0,
        series_database: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """See :meth:`open`; this one takes the hub's own folder instead of settings."""
        self.notices = HubNotices()
        self._authenticate = authenticate
        self._admit = admit
        self._provision = provision
        self._clock = clock
        self._admission = Admission(self._identify, clock)
        self._started = False
        self._counters = Counters()
        self._listeners = Listeners(self._counters)
        self._folder = folder
        self._front: Front | None = None
        self._broker: MqttBroker | None = None
        self.series = SeriesStore(
            folder,
            retention=retention or Retention(),
            listener=self.notices.message,
            reserve_bytes=reserve_bytes,
            database=series_database,
        )
        self.twins = Twins(self)
        self.mailboxes = Mailboxes(self)
        self.files = FileUploads(self, folder / "files")
        self.changing_secrets = threading.Lock()
        self.storage_host = self.service_host = ""
        self.services = ServiceConnections()
        self.directory: Directory = NoDirectory()
        self.updates: Updates = NoUpdates()
        self.groups = Groups(self)
        self.jobs = Jobs(self, folder)
        self.organisations = Organisations(self)
        self.exports = Exports(self, folder)
        self.connectivity = Connectivity(self)
        self.rules = Rules(self, folder, clock)
        try:
            self.application = DocumentStore(folder, clock=clock)
            self.templates = Templates(self)
            self.models = ModelCheck(self)
            self.application.on_change.append(self.models.forget)
            self.series.template_of = self._template_of
            self.application.on_change.append(self.templates.forget)
            self.notices.on_message += [self.rules.measured, self.models.measured, self._publish_live]
            self.notices.on_slice.append(self.rules.settle)
            self.notices.on_twin.append(self.rules.device_changed)
            self.notices.on_model.append(self.templates.announced)
        except BaseException:  # whatever it is: the folder is given back, and it goes on
            self.series.close(int(clock() * 1000))
            raise

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        authenticate: Callable[[bytes], str],
        admit: Callable[[HubCredentials], HubPeer] | None = None,
        provision: RegistrationAuthority | None = None,
        clock: Callable[[], float] = time.time,
    ) -> Hub:
        """Open the hub's folder below the data folder.

        Args:
            settings: The process's settings.
            authenticate: Device id of a client certificate (DER) that TLS has verified; raises DeviceFault for a
                device that may not connect. Called in the hub's event loop: it must not block.
            provision: Decides about clients that ask to be registered; without it there is no such endpoint.
            admit: Asked instead where it is given: it also knows modules, and clients that do not attest.
            clock: Unix time, seconds.

        Raises:
            DataFolderInUseError: another process holds the folder.
            DataFolderError: not writable, damaged, or of another version.
            DatabaseUnavailableError: the PostgreSQL database of ``series_database`` does not let us in.
        """
        retention = Retention(
            values_days=settings.values_retention_days,
            rollups_days=settings.rollups_retention_days,
            messages_days=settings.messages_retention_days,
        )
        reserve_bytes = settings.disk_reserve_mb << 20
        return cls(
            settings.data / "hub",
            authenticate=authenticate,
            admit=admit,
            provision=provision,
            retention=retention,
            reserve_bytes=reserve_bytes,
            series_database=settings.series_database,
            clock=clock,
        )

    async def start(self, ssl_context: ssl.SSLContext, host: str, port: int) -> int:
        """Accept devices in the running event loop, which becomes the hub's; returns the port.

        Args:
            ssl_context: See ``hub.tls.hub_context``.
            host: Address to listen on.
            port: Port; 0 picks a free one.

        Raises:
            PortInUseError: another process listens there.
        """
        if not self._started:
            self._started = True
            if await in_thread(self.connectivity.recover):
                self.connectivity.attach()
            await self.rules.start()
            await self.jobs.start()
            await self.exports.start()
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
        await self.jobs.close()
        await self.exports.close()
        await self.files.close()
        if self._broker is not None:
            await self._broker.close()
        if self._front is not None:
            await self._front.close()
        await self.rules.close()
        self._listeners.close()
        await asyncio.get_running_loop().run_in_executor(None, self._close_stores)

    @property
    def front(self) -> Front:
        """The front; made in the running event loop when first asked for."""
        if self._front is None:
            self._front = self._make_front()
            self.rules.attach(self._front)
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
        """Id of the device with this number, if it has connected in this life of the hub. In the hub's loop."""
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

    def in_loop(self, act: Callable[[Front], object]) -> None:
        """Run something in the hub's loop soon; nothing when the hub has not started. From any thread."""
        if self._front is not None:
            self._front.loop.call_soon_threadsafe(act, self._front)

    def disconnect(self, device_id: str) -> None:
        """Close the connections of a device and its modules: call it when the device is revoked."""
        self.in_loop(lambda front: front.disconnect(device_id))
        broker = self._broker
        if broker is not None:
            self.in_loop(lambda _: broker.disconnect(device_id))

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

        Args:
            device_id: The device.
            name: Method name.
            payload: Anything that JSON can say; None sends an empty body.
            timeout_s: How long to wait for the answer, seconds.
            connect_timeout_s: How long to wait for the device to connect before, seconds.

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

    def listen(self, device_id: str | None = None) -> Listener:
        """Live values of a device, or of all, as an async iterator. Call it in the loop that will iterate."""
        return self._listeners.add(device_id)

    def gather(self, wanted: Mapping[str, AbstractSet[str]]) -> Gathering:
        """Newest values of some names of many devices, for who looks now and then. Call it in the loop that looks."""
        return self._listeners.gather(wanted)

    def shed_live_reader(self) -> None:
        """Count a reader of live values that was too slow and was let go."""
        self._counters.live_readers_shed += 1

    def counters(self) -> Mapping[str, int]:
        """Everything the hub counts, by name; names ending in ``_now`` go up and down."""
        decoder = self.series.decoder
        return {
            **dataclasses.asdict(self._counters),
            **self.series.counts(),
            **self.rules.count(),
            "messages_decoded": decoder.messages,
            "messages_opaque": decoder.opaque,
            "messages_undecodable": decoder.faults,
            "values_checked": self.models.values_checked,
            "values_unmodelled": self.models.values_unmodelled,
            "values_misfit": self.models.values_misfit,
            "log_rows_damaged": decoder.damaged_blocks,
            "commits": self.series.commits.batches,
            "disk_full_now": int(self.series.is_refusing),
            "database_unreachable_now": int(self.series.is_cut_off),
            "connected_now": len(self.connected()),
            "commit_queue_now": self.series.commits.queued,
            "decode_backlog_bytes_now": decoder.backlog_bytes,
            **self.jobs.counts(),
            **self.exports.counts(),
            **({} if self._broker is None else self._broker.gauges()),
        }

    def _template_of(self, device_id: str) -> str:
        """The device template of a device; empty for none."""
        document = self.application.find("device", device_id)
        return "" if document is None else str(document.content.get("template") or "")

    # Inside -------------------------------------------------------------------------------------------------

    def _close_stores(self) -> None:
        try:
            self.series.close(int(self._clock() * 1000), self.rules.close_store)  # it holds the folder
        finally:
            self.rules.close_store()
            self.jobs.close_store()
            self.exports.close_store()
            self.application.close()

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
        if not self._listeners.idle:
            name = self.name_of(device)  # none: from the log of an earlier life, live no more
            if name is not None:
                self._listeners.publish(name, telemetry, self.front.loop)

    async def _in_loop(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        loop = self.front.loop
        if asyncio.get_running_loop() is loop:
            return await coroutine
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, loop))


class Twins:
    """Twins of all devices, connected or not."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def get(self, device_id: str) -> Twin:
        """A device's twin; an empty one when nobody has written it yet."""
        return self._hub.series.twin(device_id)

    def patch_desired(self, device_id: str, patch: object, *, if_match: str | None = None) -> Twin:
        """Merge a patch into the desired properties, durably, and tell the device if it is connected.

        Blocks for the commit: call it from a thread, never in the hub's event loop; there, await
        ``asyncio.wrap_future(submit_desired(...))``.

        Raises:
            ConflictError: the twin's ETag is not ``if_match``.
            InvalidArgumentError: a limit is broken.
        """
        self._refuse_in_loop()
        return self.submit_desired(device_id, patch, if_match=if_match).result(COMMIT_TIMEOUT_S)

    def patch_tags(self, device_id: str, patch: object, *, if_match: str | None = None) -> Twin:
        """Merge a patch into the tags. Blocks and raises as :meth:`patch_desired`."""
        now_ms = self._hub.now_ms()
        change = changed_twin(device_id, lambda twin: patch_tags(twin, patch, if_match=if_match), now_ms=now_ms)
        twin = self._submit(change, None).result(COMMIT_TIMEOUT_S)
        self._hub.notices.twin_changed(device_id)
        return twin

    def submit_desired(self, device_id: str, patch: object, *, if_match: str | None = None) -> Future[Twin]:
        """As :meth:`patch_desired`, without waiting.

        Raises:
            InvalidArgumentError: the patch itself breaks a limit.
        """
        checked = check_patch(patch, "desired")
        now_ms = int(self._hub._clock() * 1000)  # noqa: SLF001 - the hub's other half
        change = changed_twin(
            device_id,
            lambda twin: patch_desired(twin, checked, now_ms=now_ms, if_match=if_match),
            now_ms=now_ms,
        )

        def notify(twin: Twin) -> None:
            self._hub.front.notify_desired(
                device_id, desired_notice(checked, twin.desired.version), twin.desired.version
            )
            self._hub.notices.twin_changed(device_id)

        return self._submit(change, notify)

    def begin(self, device_id: str, first: Mapping[str, Any]) -> None:
        """Give a new device its first twin: ``{"tags": .., "desired": ..}``. In the hub's loop; does not wait."""
        if first.get("desired"):
            self.submit_desired(device_id, first["desired"])
        if first.get("tags"):
            change = changed_twin(device_id, lambda twin: patch_tags(twin, first["tags"]), now_ms=self._hub.now_ms())
            self._submit(change, lambda _: None)

    def _refuse_in_loop(self) -> None:
        front = self._hub._front  # noqa: SLF001
        try:
            inside = front is not None and asyncio.get_running_loop() is front.loop
        except RuntimeError:
            return  # in no event loop: a thread, as it should be
        if inside:
            raise RuntimeError("the hub's event loop would wait for itself: await submit_desired instead")

    def _submit(self, change: Callable[..., Twin], notify: Callable[[Twin], None] | None) -> Future[Twin]:
        """Commit a change; ``notify`` runs in the hub's loop, in the order of the commits."""
        front = self._hub._front  # noqa: SLF001
        if front is None or notify is None:
            return self._hub.series.commits.submit(change)
        future: Future[Twin] = Future()

        def deliver(_: list[Any], outcomes: list[Any]) -> None:
            outcome = outcomes[0]
            if isinstance(outcome, Rejected):
                future.set_exception(outcome.error)
            else:
                notify(outcome)
                future.set_result(outcome)

        self._hub.series.commits.post(change, LoopSink(front.loop, deliver))
        return future
