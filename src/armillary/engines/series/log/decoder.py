# SPDX-License-Identifier: Apache-2.0
"""The decoder: follows the log block by block and puts the values into the tail.

It works in slices of a time budget, so that an event loop can run it between reads without delaying acknowledgements.
Blocks that wait to be decoded stay in memory up to a limit and are read back from the log beyond it: a decoder that
falls behind reads the disk, uses no more memory and loses nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b

from armillary.engines.database.port import Connection
from armillary.engines.series.log.blocks import Block, iterate_stretches, pairs_of
from armillary.engines.series.log.tail import Tail
from armillary.errors import DataFolderError, HostError, WireError
from armillary.wire.hub import telemetry
from armillary.wire.hub.topics import parse_bag
from armillary.wire.mqtt.fields import Properties
from armillary.wire.mqtt.stream import iterate_run

# Bytes of blocks waiting to be decoded that stay in memory.
MAX_BACKLOG_BYTES = 4 * 1024 * 1024

# Messages between two looks at the clock.
MESSAGES_PER_LOOK = 8

# Topics whose property bag is remembered: those that carry a message id never come again, so they must not gather.
MAX_KNOWN_TOPICS = 2048

# IoT Hub's property for a message's id: tells a message sent again from one that says the same.
MESSAGE_ID = "$.mid"

# device number, what its message measured, seq of the message's block, arrival (Unix milliseconds) -> None.
Listener = Callable[[int, telemetry.Telemetry, int, int], None]


class Decoder:
    """Decodes the log from a position on.

    Args:
        tail: Where values go.
        read: A connection to read blocks back with, used in the caller's thread only.
        flushed: Every block up to this seq was decoded and flushed by an earlier process.
        listener: Called with the values of each message that says what is, or what was a moment ago.
        historical: Called with the values of each message that waited (property ``historical``).
    """

    def __init__(
        self, tail: Tail, read: Connection, flushed: int, listener: Listener, historical: Listener | None = None
    ) -> None:
        self._tail = tail
        self._read = read
        self._listener = listener
        self._historical = historical
        rows = read.execute("SELECT seq, length(data) FROM block WHERE seq > ? ORDER BY seq", (flushed,))
        self._backlog: deque[tuple[int, int, bytes | None]] = deque((seq, size, None) for seq, size in rows)
        self._kept_bytes = 0  # of blocks in the backlog that are in memory
        self.backlog_bytes = sum(size for _, size, _ in self._backlog)
        self._queued_seq = self._backlog[-1][0] if self._backlog else flushed
        self._steps: Iterator[None] | None = None
        self._bags: dict[str, tuple[dict[str, str], Listener | None]] = {}
        self.decoded_seq = flushed
        self.messages = 0
        self.opaque = 0
        self.historical = 0
        self.faults = 0
        self.damaged_blocks = 0

    @property
    def backlog(self) -> int:
        """Blocks that are not decoded yet, including the current one."""
        return len(self._backlog) + (self._steps is not None)

    @property
    def between_blocks(self) -> bool:
        """Whether the tail has everything up to :attr:`decoded_seq` and nothing beyond: only then may it be flushed."""
        return self._steps is None

    def add(self, block: Block) -> None:
        """Queue a block that was just committed.

        A batch with an unknown outcome (the connection was lost during its commit) may be in the log before it, and is
        read back.
        """
        size = len(block.data)
        self._backlog.extend((seq, 0, None) for seq in range(self._queued_seq + 1, block.seq))
        self._queued_seq = block.seq
        keep = self._kept_bytes + size <= MAX_BACKLOG_BYTES
        self._backlog.append((block.seq, size, block.data if keep else None))
        self.backlog_bytes += size
        if keep:
            self._kept_bytes += size

    def work(self, budget_s: float) -> bool:
        """Decode for about ``budget_s`` seconds; True when there is more to do.

        Stops after each block, so that the caller can flush.
        """
        deadline = time.perf_counter() + budget_s
        if self._steps is None:
            if not self._backlog:
                return False
            self._steps = self._decode(*self._backlog.popleft())
        for _ in self._steps:
            if time.perf_counter() >= deadline:
                return True
        self._steps = None
        return bool(self._backlog)

    def _decode(self, seq: int, size: int, data: bytes | None) -> Iterator[None]:
        if data is None:
            data = self._read_back(seq, size)
        else:
            self._kept_bytes -= size
        try:
            for level, device, received_ms, begin, end in iterate_stretches(data):
                for topic, payload, fields in iterate_run(data, begin, end, level=level):
                    self._take(seq, device, received_ms, topic, fields, payload)
                    if not self.messages % MESSAGES_PER_LOOK:
                        yield
        except WireError:
            self.damaged_blocks += 1  # the disk changed what was checked when it came: go on with the next
        self.backlog_bytes -= size
        self.decoded_seq = seq

    def _read_back(self, seq: int, size: int) -> bytes:
        try:
            row = self._read.execute("SELECT data FROM block WHERE seq = ?", (seq,)).fetchone()
        except Exception as error:  # whatever it is: the block is read again
            self._backlog.appendleft((seq, size, None))
            self._steps = None
            if isinstance(error, HostError):
                raise
            raise DataFolderError(
                f"log row {seq} cannot be read ({error})", remedy="Check the disk; it is tried again."
            ) from error
        return b"" if row is None else bytes(row[0])

    def _take(self, seq: int, device: int, received_ms: int, topic: str, fields: Properties, payload: bytes) -> None:
        self.messages += 1
        try:
            properties, listener = self._bags.get(topic) or self._read_bag(topic)
            if fields and (pairs := pairs_of(fields)):
                properties = {**dict(pairs), **properties}
                listener = self._listener_of(properties)
            if listener is None:
                self.opaque += 1
                return
            measured = telemetry.decode(payload, properties, received_ms)
            self._tail.add(seq, device, measured, mark_of(properties[MESSAGE_ID]) if MESSAGE_ID in properties else 0)
        except WireError as error:
            self.faults += 1
            self._tail.add_fault(seq, device, received_ms, error.message)
            return
        listener(device, measured, seq, received_ms)

    def _listener_of(self, properties: Mapping[str, str]) -> Listener | None:
        """Who gets the values of a message with these properties; None when it is not read for values."""
        if not telemetry.is_json(properties):
            return None
        return self._take_historical if telemetry.is_historical(properties) else self._listener

    def _take_historical(self, device: int, measured: telemetry.Telemetry, seq: int, received_ms: int) -> None:
        self.historical += 1
        if self._historical is not None:
            self._historical(device, measured, seq, received_ms)

    def _read_bag(self, topic: str) -> tuple[dict[str, str], Listener | None]:
        bag = dict(parse_bag(topic.partition("/messages/events/")[2]))
        if len(self._bags) >= MAX_KNOWN_TOPICS:
            self._bags.clear()
        self._bags[topic] = (bag, self._listener_of(bag))
        return self._bags[topic]


def mark_of(message_id: str) -> int:
    """The mark of a message id: 64 bits of its hash, never 0."""
    return int.from_bytes(blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") or 1
