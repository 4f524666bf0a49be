# SPDX-License-Identifier: Apache-2.0
"""The device endpoint: TLS 1.3, a device identity certificate, eleven routes.

============================  ==========================================================================
GET /v1/challenge             a challenge for this device
POST /v1/check-in             proof and report in; certificate, offer and next challenge out
GET /v1/images/{id}           the package of an image that this device should have (Range supported)
GET /v1/repository/{path}     metadata and artifacts of the repository, to admitted devices (Range supported)
GET /v1/delta/{from}/{to}     the delta that makes an offered artifact of one that the device has (Range supported)
GET /v1/trust-anchors         the service's living roots and what vouches for each
GET /v1/identity-certificate  a new identity certificate, for a device whose present one ends soon
POST /v1/crash-dump           a crash dump, where the device's group collects them
POST /v1/device-log           the newest lines of its log, where somebody asked for them
POST /v1/cellular-status      what its modem is like
GET /v1/hint                  held until somebody wants the device to check in, or some minutes
============================  ==========================================================================

Every request is checked: certificate valid now, device known, sealed, claimed, not revoked. The roots alone are given
to any device with a valid certificate: they are public, and a device that was away for years must be able to follow
before anything else is right with it. A reply to a check-in leaves only after its record is durable. Session tickets
are off: a resumed session would skip the certificate (measured: an expired one was accepted). One key exchange group,
X25519: it costs a third less than P-256 and ML-KEM hybrids, and what flows here is not secret for decades (certificates
and signed reports).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.engines.database.group_commit import LoopSink
from armillary.engines.records.store import CheckInSink, Records
from armillary.errors import ArmillaryError, NotFoundError, RateLimitedError
from armillary.service.context.blobs import Blobs
from armillary.service.context.notices import Notices
from armillary.service.context.refusals import RefusalLog
from armillary.service.endpoint.check_ins import CheckIns
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.endpoint.downloads import Downloads, RenewIdentity
from armillary.service.endpoint.fetch_log import FetchLog
from armillary.service.endpoint.hints import Hints
from armillary.service.endpoint.listener import SHUTDOWN_TIMEOUT_S, Listener
from armillary.service.endpoint.open_connections import OpenConnections
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.endpoint.uploads import Keep, Uploads, cellular_statuses, crash_dumps, device_logs
from armillary.service.repository.files import RepositoryFiles
from armillary.service.updates.deltas import Deltas
from armillary.service.updates.offers import Offers
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.peers import Peer
from armillary.service.verifier.verifier import Verifier
from armillary.service.watch.heartbeat import Liveness

# Slow and idle connections are looked for this often.
SWEEP_S: Final = 1.0

CHALLENGE: Final = b"/v1/challenge"
CHECK_IN: Final = b"/v1/check-in"
IMAGES: Final = b"/v1/images/"
REPOSITORY: Final = b"/v1/repository/"
DELTAS: Final = b"/v1/delta/"
TRUST_ANCHORS: Final = b"/v1/trust-anchors"
IDENTITY: Final = b"/v1/identity-certificate"
HINT: Final = b"/v1/hint"
CRASH_DUMP: Final = b"/v1/crash-dump"
DEVICE_LOG: Final = b"/v1/device-log"
CELLULAR_STATUS: Final = b"/v1/cellular-status"


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
    """The server that devices reach, in one event loop; built by ``DeviceServer``.

    ``now`` gives Unix seconds UTC; ``trust_anchors`` and ``renew_identity`` make the messages of those names,
    ``keep_dump`` keeps a crash dump, ``keep_log`` a device's log, ``keep_cellular``
    what it says of its modem. At most ``held_hints`` requests for a hint are held.
    """

    def __init__(
        self,
        *,
        records: Records,
        verifier: Verifier,
        states: DeviceStates,
        offers: Offers,
        blobs: Blobs,
        repository: RepositoryFiles,
        deltas: Deltas,
        notices: Notices,
        now: Callable[[], int],
        trust_anchors: Callable[[], bytes],
        renew_identity: RenewIdentity,
        keep_dump: Keep,
        keep_log: Keep,
        keep_cellular: Keep,
        held_hints: int,
    ) -> None:
        self.monotonic = time.monotonic
        self.counts: Counter[str] = Counter()
        self.liveness = Liveness(self.monotonic(), 0)
        self._records = records
        self._verifier = verifier
        self._notices = notices
        self._now = now
        self._trust_anchors = trust_anchors
        self._open = OpenConnections(self.counts)
        self._check_ins = CheckIns(records, verifier, notices, self.counts)
        self._fetches = FetchLog()
        self._downloads = Downloads(
            states, offers, blobs, deltas, repository, renew_identity, self.counts, self._fetches, now
        )
        self._uploads = {
            CRASH_DUMP: Uploads(states, crash_dumps(keep_dump, now), self.counts),
            DEVICE_LOG: Uploads(states, device_logs(keep_log, now), self.counts),
            CELLULAR_STATUS: Uploads(states, cellular_statuses(keep_cellular, now), self.counts),
        }
        self._hints = Hints(states, self.monotonic, self.counts, held_hints)
        self._refusals = RefusalLog()
        self._refusals_dropped = 0  # of them, those that are in the counts
        self._sink: CheckInSink | None = None
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self, context: ssl.SSLContext, host: str, port: int, *, shared: bool = False) -> int:
        """Listen and return the port (``shared``: see :meth:`Listener.open`); PortInUseError if it is taken."""
        self._loop = asyncio.get_running_loop()
        self._check_ins.start()
        self._sink = LoopSink(self._loop, lambda _, __: None)
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
        while self._check_ins and self.monotonic() < deadline:  # noqa: ASYNC110 - at shutdown only; an event costs each
            await asyncio.sleep(0.01)
        self._flush()
        for connection in self._open:
            connection.abort()
        await self._downloads.close()
        for uploads in self._uploads.values():
            await uploads.close()

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._open)

    def disconnect(self, device_id: str) -> None:
        """Close every connection of a device; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._open.disconnect, device_id)

    def wake(self, device_id: str) -> None:
        """Give a device that waits for a hint the one that there may be now; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, device_id)

    def _wake(self, device_id: str) -> None:
        with contextlib.suppress(ArmillaryError):  # it is let in no more: its connections are being closed
            self._hints.wake(device_id)

    # -- for connections ------------------------------------------------------------------------------------------

    def opened(self, connection: DeviceConnection) -> None:
        """Count a new connection in."""
        self._open.add(connection)

    def closed(self, connection: DeviceConnection) -> None:
        """Count a closed connection out."""
        self._open.remove(connection)
        self._hints.forget(connection)

    def refused(self, connection: DeviceConnection, error: ArmillaryError, status: int) -> None:
        """Count a refused request, and note it for the watch where it is known whose it was."""
        self.counts[f"refused {status}"] += 1
        if connection.peer is not None:
            self._refusals.note(connection.peer.device_id, error, self._now())

    def handle(self, connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
        """Route a request; ArmillaryError if it is refused."""
        peer = connection.peer
        if peer is None:
            raise RequestRefusedError(403, "no client certificate")
        now = self._now()
        peer.check_valid(now)
        if target == CHECK_IN:
            _only(method, b"POST")
            self._check_ins.take(connection, body, now)
        elif target == CHALLENGE:
            _only(method, b"GET")
            connection.reply_ok(self._verifier.challenge(peer, now=now))
        elif (uploads := self._uploads.get(target)) is not None:
            _only(method, b"POST")
            uploads.take(connection, peer, body)
        else:
            _only(method, b"GET")
            self._give(connection, peer, target)

    def _give(self, connection: DeviceConnection, peer: Peer, target: bytes) -> None:
        """Answer a request for what a device fetches."""
        if target.startswith(IMAGES):
            self._downloads.send_image(connection, peer, target[len(IMAGES) :])
        elif target.startswith(REPOSITORY):
            self._downloads.send_file(connection, peer, target[len(REPOSITORY) :])
        elif target.startswith(DELTAS):
            self._downloads.send_delta(connection, peer, target[len(DELTAS) :])
        elif target == TRUST_ANCHORS:
            connection.reply_ok(self._trust_anchors())
        elif target == IDENTITY:
            self._downloads.send_identity(connection, peer)
        elif target == HINT:
            self._hints.wait(connection, peer)
        else:
            raise NotFoundError("no such address", remedy="See docs/reference/device-protocol.md.")

    # -- every second ---------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """Close slow and idle connections; hand refusals and fetches to the records."""
        now = self.monotonic()
        for connection in self._open:
            if connection.deadline < now and not self._check_ins.is_waiting(connection):
                self.counts["timed out"] += 1
                connection.abort()
        self._hints.sweep()
        self._flush()
        self._check_ins.log_unrecorded()
        self.liveness = Liveness(now, self._check_ins.oldest_wait_s(self._now()))
        if self._loop is not None:
            self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _flush(self) -> None:
        sink = self._sink
        if sink is not None:
            self._fetches.flush(lambda change: self._records.post(change, sink))
        self.counts["refusals dropped"] += self._refusals.dropped - self._refusals_dropped
        self._refusals_dropped = self._refusals.dropped
        taken = self._refusals.take()
        if taken is None or sink is None:
            return
        try:
            self._records.post(taken.change, sink)
        except RateLimitedError:
            self.counts["refusals dropped"] += taken.count
            return
        self._notices.news()


def _only(method: bytes, allowed: bytes) -> None:
    if method != allowed:
        raise RequestRefusedError(405, f"method: expected {allowed.decode()}")
