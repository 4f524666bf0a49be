# SPDX-License-Identifier: Apache-2.0
"""The device endpoint: TLS 1.3, a device identity certificate, three routes.

========================  ==============================================================================
GET /v1/challenge         a challenge for this device
POST /v1/check-in         proof and report in; certificate, offer and next challenge out
GET /v1/images/{id}       the package of an image that this device should have (Range supported)
========================  ==============================================================================

Every request is checked: certificate valid now, device known, sealed, claimed, not revoked. A reply to a check-in
leaves only after its record is durable. Session tickets are off: a resumed session would skip the certificate
(measured: an expired one was accepted). One key exchange group, X25519: it costs a third less than P-256 and ML-KEM
hybrids, and what flows here is not secret for decades (certificates and signed reports).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.records.queries.check_ins import CheckInWrite
from armillary.engines.records.store import CheckInSink, Query, Records
from armillary.errors import ArmillaryError, ChallengeError, NotFoundError, RateLimitedError
from armillary.service.context.blobs import Blobs
from armillary.service.context.notices import Notices
from armillary.service.endpoint.connection import OCTETS, DeviceConnection
from armillary.service.endpoint.listener import SHUTDOWN_TIMEOUT_S, Listener
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.endpoint.ranges import parse_range
from armillary.service.endpoint.refusals import RefusalLog
from armillary.service.updates.offers import Offers
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.peers import Peers
from armillary.service.verifier.verifier import Accepted, Verifier
from armillary.service.watch.heartbeat import Pulse

# Connections of one device: it keeps one, has another for a download; one that its network lost is here for a while.
MAX_CONNECTIONS_OF_DEVICE: Final = 8
# Connections at the same time; each costs about 50 KiB (OpenSSL and Python objects).
MAX_CONNECTIONS: Final = 20_000
# Check-ins waiting for the disk; beyond, devices are told to come back: the queue would only grow older.
MAX_WAITING: Final = 5_000
BUSY_RETRY_S: Final = 5
# Check-ins are gathered this long and committed together. A commit costs 170 us and two disk writes, a check-in in it
# 15 us; no device minds the delay.
GATHER_S: Final = 0.02
# Slow and idle connections are looked for this often.
SWEEP_S: Final = 1.0
CHUNK_BYTES: Final = 64 * 1024

_IMAGES: Final = b"/v1/images/"

_log = structlog.get_logger("armillary.service.endpoint.endpoint")


def server_context(certificate: Path, key: Path, silicon: tuple[bytes, ...]) -> ssl.SSLContext:
    """TLS as devices must speak it: 1.3 only, client certificate required, no tickets."""
    if not silicon:
        raise ValueError("the device endpoint needs at least one silicon authority to trust")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    context.set_ecdh_curve("X25519")
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    for der in silicon:
        context.load_verify_locations(cadata=der)
    return context


class DeviceEndpoint:
    """The server. One event loop; built by ``assemble.py``."""

    def __init__(
        self,
        *,
        records: Records,
        verifier: Verifier,
        states: DeviceStates,
        offers: Offers,
        blobs: Blobs,
        notices: Notices,
        now: Callable[[], int],
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.peers = Peers()
        self.monotonic = time.monotonic
        self.counts: Counter[str] = Counter()
        self._records = records
        self._verifier = verifier
        self._states = states
        self._offers = offers
        self._blobs = blobs
        self._notices = notices
        self._now = now
        self._max_connections = max_connections
        self._connections: dict[DeviceConnection, None] = {}
        self._by_device: dict[str, dict[DeviceConnection, None]] = {}  # oldest first
        self._waiting: dict[int, tuple[DeviceConnection, Accepted]] = {}
        self._failed: list[Exception] = []
        self._arrived: list[tuple[DeviceConnection, bytes, int]] = []
        self._gathered: list[CheckInWrite] = []
        self._transfers: set[asyncio.Task[None]] = set()
        self._refusals = RefusalLog()
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: CheckInSink | None = None
        self._refusal_sink: CheckInSink | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self.pulse = Pulse(self.monotonic(), 0)

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, context: ssl.SSLContext, host: str, port: int, *, shared: bool = False) -> int:
        """Listen; returns the port (that the system chose, for 0). ``shared``: see :meth:`Listener.open`.

        Raises:
            PortInUseError: somebody else has it.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._sink = LoopSink(loop, self._delivered)
        self._refusal_sink = LoopSink(loop, lambda _, __: None)
        self._listener = Listener("device endpoint", context, lambda: DeviceConnection(self))
        port = await self._listener.open(host, port, shared=shared)
        self._sweep()
        return port

    async def close(self) -> None:
        """Stop listening, finish what is being recorded, close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._listener is not None:
            self._listener.close()
        deadline = self.monotonic() + SHUTDOWN_TIMEOUT_S
        while self._waiting and self.monotonic() < deadline:  # noqa: ASYNC110 - at shutdown only; an event costs each
            await asyncio.sleep(0.01)
        self._flush_refusals()
        for connection in tuple(self._connections):
            connection.abort()
        for task in tuple(self._transfers):
            task.cancel()
        await asyncio.gather(*self._transfers, return_exceptions=True)

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    def disconnect(self, device_id: str) -> None:
        """Close every connection of a device; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._disconnect, device_id)

    def _disconnect(self, device_id: str) -> None:
        for connection in tuple(self._by_device.get(device_id, ())):
            connection.abort()

    # -- connections ----------------------------------------------------------------------------------------------

    def opened(self, connection: DeviceConnection) -> None:
        """A device is connected."""
        if len(self._connections) >= self._max_connections:
            self.counts["connections refused"] += 1
            connection.abort()
            return
        self._connections[connection] = None
        if connection.peer is not None:
            mine = self._by_device.setdefault(connection.peer.device_id, {})
            mine[connection] = None
            if len(mine) > MAX_CONNECTIONS_OF_DEVICE:  # the oldest that nothing is being answered on, or the new one
                self.counts["connections refused"] += 1
                spare = next((each for each in mine if not each.busy), connection)
                del mine[spare]
                spare.abort()

    def closed(self, connection: DeviceConnection) -> None:
        """A device is gone."""
        self._connections.pop(connection, None)
        if connection.peer is not None:
            mine = self._by_device.get(connection.peer.device_id)
            if mine is not None:
                mine.pop(connection, None)
                if not mine:
                    del self._by_device[connection.peer.device_id]

    def refused(self, connection: DeviceConnection, error: ArmillaryError, status: int) -> None:
        """A request was refused: counted, and noted for the watch where it says something about a device."""
        self.counts[f"refused {status}"] += 1
        if connection.peer is not None:
            self._refusals.note(connection.peer.device_id, error, self._now())

    # -- requests -------------------------------------------------------------------------------------------------

    def handle(self, connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
        """Route a request.

        Raises:
            ArmillaryError: it is refused.
        """
        peer = connection.peer
        if peer is None:
            raise RequestRefusedError(403, "no client certificate")
        now = self._now()
        peer.check_valid(now)
        if target == b"/v1/check-in":
            _only(method, b"POST")
            self._arrived.append((connection, body, now))
            if len(self._arrived) == 1 and self._loop is not None:
                self._loop.call_soon(self._judge)
        elif target == b"/v1/challenge":
            _only(method, b"GET")
            connection.reply_ok(self._verifier.challenge(peer, now=now))
        elif target.startswith(_IMAGES):
            _only(method, b"GET")
            self._image(connection, target[len(_IMAGES) :])
        else:
            raise NotFoundError("no such address", remedy="See docs/reference/device-protocol.md.")

    def _judge(self) -> None:
        """Decide about the check-ins that arrived in this turn of the loop: one after the other keeps caches warm."""
        arrived, self._arrived = self._arrived, []
        for connection, body, now in arrived:
            try:
                self._check_in(connection, body, now)
            except ArmillaryError as error:
                connection.fail(error)
            except Exception:  # noqa: BLE001 - a bug that one request finds must not take the others with it
                _log.exception("a check-in could not be judged", device=connection.peer and connection.peer.device_id)
                connection.abort()

    def _check_in(self, connection: DeviceConnection, body: bytes, now: int) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise RateLimitedError("too many check-ins wait for the disk", retry_after_s=BUSY_RETRY_S)
        if connection.peer is None or self._sink is None:
            raise RequestRefusedError(503, "the endpoint is not running")
        accepted = self._verifier.check_in(connection.peer, body, now=now)
        self._verifier.begin(accepted)
        self._waiting[id(accepted.write)] = (connection, accepted)
        self._gathered.append(accepted.write)
        if len(self._gathered) == 1 and self._loop is not None:
            self._loop.call_later(GATHER_S, self._post)

    def _post(self) -> None:
        """Hand the gathered check-ins to the writer."""
        gathered, self._gathered = self._gathered, []
        for write in gathered:
            try:
                if self._sink is not None:
                    self._records.post(write, self._sink)
            except RateLimitedError as error:
                connection, accepted = self._waiting.pop(id(write))
                self._verifier.failed(accepted)
                connection.fail(error)

    def _delivered(self, items: list[CheckInWrite | Query[object]], outcomes: list[object]) -> None:
        """A batch is durable: let its replies go."""
        news = False
        for item, outcome in zip(items, outcomes, strict=True):
            connection, accepted = self._waiting.pop(id(item))
            if isinstance(outcome, Rejected):
                self._verifier.failed(accepted)
                connection.fail(self._unrecorded(outcome.error))
                continue
            self._verifier.recorded(accepted)
            connection.reply_ok(accepted.reply)
            write = accepted.write
            if write.held:
                self._notices.device_held(accepted.state.device_id)
            news = news or bool(
                write.outcomes
                or write.error_reports
                or write.suppressed
                or write.installed
                or write.verdict != "attested"
            )
        self.counts["check-ins"] += len(items)
        if news:
            self._notices.news()

    def _unrecorded(self, error: Exception) -> ArmillaryError:
        """What a device is told whose check-in could not be recorded; counted for the log."""
        explained = _explained(error)
        if not isinstance(error, ChallengeError):  # that one is the device's own doing
            self.counts["check-ins not recorded"] += 1
            self._failed.append(error)
        return explained

    def _image(self, connection: DeviceConnection, name: bytes) -> None:
        peer = connection.peer
        if peer is None:
            raise RequestRefusedError(403, "no client certificate")
        state = self._states.admitted(peer.device_id)
        try:
            image_id = UUID(name.decode("ascii"))
        except (ValueError, UnicodeDecodeError) as error:
            raise NotFoundError("no such image", remedy="Ask for an image of the last offer.") from error
        wanted = self._offers.wanted(state.group_id, state.number, state.chip)
        image = next((one for one in wanted.offer.images if one.image_id == image_id), None) if wanted else None
        if image is None:
            raise NotFoundError("this image is not offered to this device", remedy="Check in again for a new offer.")
        first, last, status = 0, image.size - 1, 200
        if connection.range_header is not None:
            first, last = parse_range(connection.range_header, image.size)
            status = 206
        task = asyncio.get_running_loop().create_task(
            self._send(connection, self._blobs.path(image.sha256), first, last, status, image.size)
        )
        self._transfers.add(task)
        task.add_done_callback(self._transfers.discard)

    async def _send(
        self, connection: DeviceConnection, path: Path, first: int, last: int, status: int, size: int
    ) -> None:
        try:
            file = path.open("rb")
        except OSError:
            self.counts["images missing"] += 1
            connection.fail(RequestRefusedError(503, "the image cannot be read"))
            return
        with file:
            extra = b"accept-ranges: bytes\r\n"
            if status == 206:
                extra += b"content-range: bytes %d-%d/%d\r\n" % (first, last, size)
            connection.start_reply(status, last - first + 1, content=OCTETS, extra=extra)
            file.seek(first)
            left = last - first + 1
            while left:
                chunk = file.read(min(CHUNK_BYTES, left))
                if not chunk or not await connection.write(chunk):
                    connection.abort()
                    return
                left -= len(chunk)
        self.counts["images sent"] += 1
        connection.end_reply()

    # -- every second ---------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Close slow and idle connections; hand refusals to the records."""
        now = self.monotonic()
        for connection in [one for one in self._connections if one.deadline < now and not self._is_waiting(one)]:
            self.counts["timed out"] += 1
            connection.abort()
        self._flush_refusals()
        self._log_unrecorded()
        oldest = next(iter(self._waiting.values()), None)
        self.pulse = Pulse(now, 0 if oldest is None else self._now() - oldest[1].write.at)
        if self._loop is not None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _log_unrecorded(self) -> None:
        """One line a second, however many devices are turned away: the audit log is where nothing can be written."""
        failed, self._failed = self._failed, []
        if failed:
            last = failed[-1]
            _log.error(
                "check-ins could not be recorded: these devices got no certificate",
                count=len(failed),
                code=last.code if isinstance(last, ArmillaryError) else "service.bug",
                error=str(last),
                remedy=last.remedy if isinstance(last, ArmillaryError) else "",
            )

    def _is_waiting(self, connection: DeviceConnection) -> bool:
        return connection.busy and any(one is connection for one, _ in self._waiting.values())

    def _flush_refusals(self) -> None:
        change = self._refusals.take()
        if change is None or self._refusal_sink is None:
            return
        try:
            self._records.post(change, self._refusal_sink)
        except RateLimitedError:
            self.counts["refusals dropped"] += 1
            return
        self._notices.news()


def _only(method: bytes, allowed: bytes) -> None:
    if method != allowed:
        raise RequestRefusedError(405, f"method: expected {allowed.decode()}")


def _explained(error: Exception) -> ArmillaryError:
    if isinstance(error, ArmillaryError):
        return error
    return RequestRefusedError(503, "the check-in could not be recorded")
