# SPDX-License-Identifier: Apache-2.0
"""A link to equipment with OPC UA: values of nodes are read in batches and written one by one, with encryption only.

The session is opened when it is used, renewed in time, and opened anew after any fault; ``opcua_channel`` says what a
server must show before. Values count as read by the guardian's clock: a server that sets its own back is counted
(``clock_steps``) and changes nothing. A value whose status is not good, that is no number or is no plain value is None.

Source: OPC UA part 4 §5.10.2 (Read), §5.10.4 (Write), §7.34 (StatusCode); part 6 §5.1.2 (built-in types).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from asyncua import ua
from asyncua.ua.uaerrors import BadTooManyOperations, UaStatusCodeError
from cryptography import x509

from armillary.engines.equipment.foreign_errors import as_link_errors, printable
from armillary.engines.equipment.opcua_channel import OpcUaSession, checked_settings, pinned_certificate, variant
from armillary.engines.equipment.opcua_identity import ClientIdentity, client_identity
from armillary.engines.equipment.port import LinkCounters
from armillary.engines.equipment.reconnecting import Backoff
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.profile import OpcUa
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import Frame, NodesRead, NodeWrite, Request, ValuesReply

BATCH = 500  # Nodes of one request; halved for a server that takes fewer
TEXT_MAX = 1000  # Characters of a text that is taken as a value


class OpcUaLink:
    """One OPC UA server.

    Args:
        settings: Of the profile, with the server's certificate.
        folder: Where the guardian keeps its own key and certificate.
        wall: Unix seconds.
        monotonic: Seconds that never step back.

    Raises:
        ProfileError: the settings name no encryption, no certificate or no server.
    """

    def __init__(
        self,
        settings: OpcUa,
        folder: Path,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = LinkCounters()
        self._settings = checked_settings(settings)
        self._folder = folder
        self._wall, self._monotonic = wall, monotonic
        self._turn = asyncio.Lock()
        self._backoff = Backoff()
        self._identity: ClientIdentity | None = None
        self._server: x509.Certificate | None = None  # Verified by its pin
        self._session: OpcUaSession | None = None
        self._batch = BATCH
        self._nodes: dict[str, ua.NodeId] = {}  # As many as the profile has
        self._stamps: dict[str, datetime] = {}

    async def exchange(self, permit: Permit[Request]) -> ValuesReply:
        """Read or write nodes. A write that the server took is answered without values.

        Raises:
            LinkError: no connection, another server than the profile's, no answer, or a refusal.
        """
        request = permit.request
        if not isinstance(request, NodesRead | NodeWrite):
            raise TypeError(f"a link to OPC UA takes reads and writes of nodes, not {type(request).__name__}")
        async with self._turn:
            self.counters.exchanges += 1
            try:
                with as_link_errors(self._settings.url, reason_of):
                    session = await self._ready()
                    if isinstance(request, NodesRead):
                        reply = await self._read(session, request.nodes)
                    else:
                        reply = await self._write(session, request)
            except LinkError as error:
                self.counters.count(error)
                if error.refusal is None:  # Else the server answered, and the session stands
                    self._drop()
                    self._backoff.failed(self._monotonic())
                raise
            except BaseException:  # Stopped in the middle: the answer may still come
                self._drop()
                raise
            self.counters.replies += 1
            self._backoff.worked()
            return reply

    async def receive(self) -> Frame:
        """Wait for ever: nothing comes by itself."""
        await asyncio.Event().wait()
        raise AssertionError

    async def close(self) -> None:
        """End the session; a server that does not answer is left."""
        async with self._turn:
            if self._session is not None:
                with suppress(LinkError), as_link_errors(self._settings.url, reason_of):
                    await self._session.close()
                self._drop()

    async def _ready(self) -> OpcUaSession:
        """Return the session that stands, with fresh keys, or a new one."""
        now = self._monotonic()
        if self._session is not None and self._session.is_over(now):
            self._drop()
        if self._session is not None:
            await self._session.renew(now)
            return self._session
        self._backoff.check(now)
        if self._identity is None:
            self._identity = await asyncio.to_thread(client_identity, self._folder)
        if self._server is None:
            self._server = await pinned_certificate(self._settings, self._wall())
        server, self._server = self._server, None  # Asked for again unless this goes well
        try:
            self._session = await OpcUaSession.open(self._settings, server, self._identity, now)
        except UaStatusCodeError as error:
            raise self._not_let_in(error, self._identity) from error
        self._server = server
        self.counters.connects += 1
        return self._session

    def _not_let_in(self, error: UaStatusCodeError, identity: ClientIdentity) -> LinkError:
        """Most often the server was never told to trust the guardian's certificate."""
        message = f"{self._settings.url} refuses the guardian's certificate {identity.sha256} or session"
        return LinkError("unreachable", f"{message}: {printable(error)}")

    async def _read(self, session: OpcUaSession, nodes: Sequence[str]) -> ValuesReply:
        values: list[Value | None] = []
        while len(values) < len(nodes):
            batch = nodes[len(values) : len(values) + self._batch]
            try:
                results = await session.read([self._node(node) for node in batch], self._monotonic())
            except BadTooManyOperations:
                if len(batch) == 1:
                    raise
                self._batch = len(batch) // 2
                continue
            if len(results) != len(batch):
                raise LinkError("damaged", f"{self._settings.url} gave {len(results)} values for {len(batch)} nodes")
            for node, result in zip(batch, results, strict=True):
                self._watch_clock(node, result.SourceTimestamp)
                values.append(plain_value(result))
        return ValuesReply(tuple(values))

    async def _write(self, session: OpcUaSession, request: NodeWrite) -> ValuesReply:
        value = variant(request.value, request.variant)
        status = await session.write(self._node(request.node), value, self._monotonic())
        if not status.is_good():
            raise LinkError("refused", f"{request.node} was not written: {status.name}", refusal=int(status.value))
        return ValuesReply(())

    def _node(self, text: str) -> ua.NodeId:
        if text not in self._nodes:
            self._nodes[text] = ua.NodeId.from_string(text)
        return self._nodes[text]

    def _watch_clock(self, node: str, stamp: datetime | None) -> None:
        if stamp is None:
            return
        if node in self._stamps and stamp < self._stamps[node]:
            self.counters.clock_steps += 1
        self._stamps[node] = stamp

    def _drop(self) -> None:
        if self._session is not None:
            self._session.drop()
            self._session = None
            self.counters.disconnects += 1


def plain_value(result: ua.DataValue) -> Value | None:
    """The value of a node, or None where it is not good, not finite or no plain value."""
    if result.StatusCode is not None and not result.StatusCode.is_good():
        return None
    value = result.Value.Value if result.Value is not None else None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and len(value) <= TEXT_MAX:
        return str(value)
    return None


def reason_of(error: BaseException) -> str:
    """A status by which the server answers is its refusal; anything else came damaged."""
    return "refused" if isinstance(error, UaStatusCodeError) else "damaged"
