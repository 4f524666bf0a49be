# SPDX-License-Identifier: Apache-2.0
"""The way of what devices send to the disk: messages into the log, changes into the tables, acknowledgements back.

Everything here runs in the hub's loop. The disk is reached through the store's group commit only, so the loop never
waits for it. A device is acknowledged when its message is committed; where disk or decoder have enough to do, its
connection is not read from.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from armillary.engines.database.group_commit import LoopSink, Rejected
from armillary.engines.series.log.blocks import Block, PacketRun, PlacedRun
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.writer import Change
from armillary.errors import RateLimitedError
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import HOLD_ABOVE_BACKLOG_BYTES, HOLD_ABOVE_WEIGHT, RELEASE_BELOW_WEIGHT, WEIGHT_BYTES
from armillary.hub.link.reasons import Reason
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.fields import Property
from armillary.wire.mqtt.packet import Publish, Will
from armillary.wire.mqtt.stream import PublishRun

if TYPE_CHECKING:
    from armillary.hub.front.connection import HubConnection

_log = structlog.get_logger(__name__)


class Intake:
    """What devices send, on its way to the disk."""

    def __init__(
        self,
        store: SeriesStore,
        loop: asyncio.AbstractEventLoop,
        counters: Counters,
        clock: Callable[[], float],  # Unix time, seconds
        decode_soon: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.runs_under_way = 0  # Runs of messages that were received and are not with the decoder yet
        self._store = store
        self._counters = counters
        self._clock = clock
        self._decode_soon = decode_soon
        self._held: set[HubConnection] = set()
        self._runs: LoopSink[Any, Any] = LoopSink(loop, self._kept)

    def now_ms(self) -> int:
        """Unix time, milliseconds."""
        return int(self._clock() * 1000)

    def ingest(self, connection: HubConnection, run: PublishRun) -> None:
        """Bring messages into the log; the device is acknowledged when they are in it.

        Raises:
            RateLimitedError: the queue is full or closing.
        """
        counters = self._counters
        counters.messages_received += run.count
        counters.bytes_received += len(run.data)
        item = (PlacedRun if connection.placed else PacketRun)(
            connection.level,
            connection.number,
            int(self._clock() * 1000),
            run.data,
            run.count,
            (connection, run.acknowledgements),
        )
        self._store.commits.post(item, self._runs, weight=max(run.count, len(run.data) // WEIGHT_BYTES))
        self.runs_under_way += 1
        connection.in_flight += 1
        self._limit(connection)

    def expect_placed(self) -> None:
        """A guardian is connected: what it sends again is not stored again."""
        self._store.expect_placed()

    def publish_will(self, connection: HubConnection, will: Will) -> None:
        """Bring the will of a vanished device into the log."""
        packet = Publish(
            topic=will.topic,
            payload=will.payload,
            qos=will.qos,
            packet_id=1 if will.qos else None,
            properties=tuple(pair for pair in will.properties if pair[0] is not Property.WILL_DELAY_INTERVAL),
        )
        data = encode_packet(packet, level=connection.level)
        context = connection, b""
        kind = PlacedRun if connection.placed else PacketRun
        run = kind(connection.level, connection.number, self.now_ms(), data, 1, context)
        connection.in_flight += 1
        with contextlib.suppress(RateLimitedError):  # as lost as the device itself
            self._store.commits.post(run, self._runs)
            self.runs_under_way += 1

    def request(
        self, connection: HubConnection, change: Change, answer: Callable[[Any], None], *, size_bytes: int = 0
    ) -> None:
        """Run a change for a device in the writing thread; ``answer`` gets its result or :class:`Rejected`.

        Requests count as in flight like messages, so a device that asks faster than the disk answers waits.

        Raises:
            RateLimitedError: the queue is full or closing.
        """

        def deliver(outcome: Any) -> None:
            connection.in_flight -= 1
            answer(outcome)
            connection.flow()

        self.post(change, deliver, weight=1 + size_bytes // WEIGHT_BYTES)
        connection.in_flight += 1
        self._limit(connection)

    def post(self, change: Change, answer: Callable[[Any], None] = lambda _: None, *, weight: int = 1) -> None:
        """Run a change of the hub's own in the writing thread; ``answer`` gets its result or :class:`Rejected`.

        Raises:
            RateLimitedError: the queue is full or closing.
        """
        self._store.commits.post(change, LoopSink(self.loop, lambda _, outcomes: answer(outcomes[0])), weight=weight)

    def left(self, connection: HubConnection) -> None:
        """A connection is gone."""
        self._held.discard(connection)

    def release(self) -> None:
        """Read again from the connections that were not read from, as soon as disk and decoder have caught up."""
        if (
            not self._held
            or self._store.commits.queued > RELEASE_BELOW_WEIGHT
            or self._store.decoder.backlog_bytes > HOLD_ABOVE_BACKLOG_BYTES // 2
        ):
            return
        held, self._held = self._held, set()
        for connection in held:
            connection.held = False
            connection.flow()

    def _kept(self, items: list[PacketRun], outcomes: list[Block | Rejected | None]) -> None:
        """A batch is in the log (None: it was already), or was refused by the disk: acknowledge, or close without."""
        self.runs_under_way -= len(items)
        acknowledgements: dict[HubConnection, list[bytes]] = {}
        block: Block | None = None
        for run, outcome in zip(items, outcomes, strict=True):
            connection: HubConnection = run.context[0]
            packets: bytes = run.context[1]
            connection.in_flight -= 1
            if isinstance(outcome, Rejected):
                self._not_kept(connection, outcome.error)
                continue
            if outcome is not block and outcome is not None:
                block = outcome
                self._store.decoder.add(block)
            self._counters.messages_kept += run.count
            acknowledgements.setdefault(connection, []).append(packets)
        for each, parts in acknowledgements.items():
            each.acknowledge(parts[0] if len(parts) == 1 else b"".join(parts))
            each.flow()
        self.release()
        self._decode_soon()

    def _not_kept(self, connection: HubConnection, error: Exception) -> None:
        self._counters.commits_failed += 1
        if not connection.is_closed:
            _log.error("hub.messages-not-kept", device=connection.device_id[:16], why=str(error))
            connection.close(Reason.NOT_KEPT)

    def _limit(self, connection: HubConnection) -> None:
        """Stop reading from a connection where disk or decoder have enough to do."""
        if (
            self._store.commits.queued > HOLD_ABOVE_WEIGHT
            or self._store.decoder.backlog_bytes > HOLD_ABOVE_BACKLOG_BYTES
        ):
            self._counters.reads_held += 1
            self._held.add(connection)
            connection.held = True
        connection.flow()
