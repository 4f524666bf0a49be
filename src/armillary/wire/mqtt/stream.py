# SPDX-License-Identifier: Apache-2.0
"""Cuts a byte stream into MQTT packets, however it arrives in pieces, and reads runs of PUBLISH in bulk.

Almost everything a hub receives is PUBLISH to one topic of the device's own. :meth:`PacketDecoder.take_run`
checks such a run packet by packet with a few comparisons each and returns it as one piece of the input and
the bytes of its PUBACKs; anything it does not recognise at once it leaves to :meth:`PacketDecoder.next`, which
decodes strictly and explains what is wrong. The two agree: a run's packets all decode (a property test says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from armillary.errors import WireError
from armillary.wire.mqtt.codec import decode_packet
from armillary.wire.mqtt.fields import FORMAT, Properties, Property
from armillary.wire.mqtt.packet import LEVEL_3_1_1, LEVEL_5, Connect, Packet, Publish

# IoT Hub takes device-to-cloud messages of 256 KB, properties included; 8 KiB more for topic and MQTT's own fields.
MAX_PACKET_BYTES = 264 * 1024

# A CONNECT has a client id, a user name and a small will: a larger one is refused before authentication.
MAX_CONNECT_BYTES = 16 * 1024

# First bytes of PUBLISH with QoS 0 or 1 and flags that are allowed together (§3.3.1), and whether they want a PUBACK.
_PUBLISH_HEADS = {0x30: False, 0x31: False, 0x32: True, 0x33: True, 0x3A: True, 0x3B: True}

_PUBACK_HEAD = b"\x40\x02"


@dataclass(frozen=True, slots=True)
class PublishRun:
    """Consecutive PUBLISH packets, each checked, kept as they arrived."""

    data: bytes  # the packets' bytes
    count: int  # of packets
    acknowledgements: bytes  # their PUBACK packets, to be sent once the run is durable


class PacketDecoder:
    """An incremental decoder for one direction of one connection; without ``level`` it learns that from CONNECT.

    ``max_packet_bytes`` is the longest packet accepted, fixed header included. After a WireError the connection must be
    closed.
    """

    __slots__ = ("_at", "_buffer", "_missing", "_pending", "_topic", "level", "max_packet_bytes")

    def __init__(self, *, level: int | None = None, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self.level = level
        self.max_packet_bytes = max_packet_bytes
        self._buffer = b""
        self._at = 0
        self._pending: bytearray | None = (
            None  # a packet still incomplete, so that tiny pieces are not copied again and again
        )
        self._missing = 0
        self._topic = b""  # topic field (length and name) of the last accepted run

    @property
    def buffered(self) -> int:
        """Bytes received and not yet taken."""
        return len(self._buffer) - self._at if self._pending is None else len(self._pending)

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        if self._pending is not None:
            self._pending += data
            if len(self._pending) < self._missing:
                return
            self._buffer, self._at, self._pending = bytes(self._pending), 0, None
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0

    def next(self) -> Packet | None:
        """The next packet, or None until more bytes are fed; raises WireError for no MQTT or a packet too long."""
        if self._pending is not None or self._at == len(self._buffer):
            return None
        body, end = self._frame()
        if end > len(self._buffer):
            self._pending = bytearray(self._buffer[self._at :])
            self._missing = end - self._at
            self._buffer, self._at = b"", 0
            return None
        packet = decode_packet(self._buffer, self._at, body, end, level=self.level or LEVEL_3_1_1)
        if isinstance(packet, Connect) and self.level is None:
            self.level = packet.level
        self._move(end)
        return packet

    def take_run(  # noqa: C901, PLR0912 - the hot loop: a call a packet would cost more than its checks
        self, accepts: Callable[[str], bool]
    ) -> PublishRun | None:
        """The PUBLISH packets (QoS 0 and 1) at the front of the buffer, as long as ``accepts`` takes their topics.

        None when the next packet is something else, incomplete or refused.
        """
        if self._pending is not None:
            return None
        data, start = self._buffer, self._at
        at, total, count = start, len(data), 0
        topic, level, limit = self._topic, self.level, self.max_packet_bytes
        identifiers: list[bytes] = []
        while total - at > 4:
            wants_puback = _PUBLISH_HEADS.get(data[at])
            if wants_puback is None:
                break
            length, body = data[at + 1], at + 2
            if length & 0x80:
                length, body = length & 0x7F | (data[at + 2] & 0x7F) << 7, at + 3
                if data[at + 2] & 0x80:
                    length, body = length | (data[at + 3] & 0x7F) << 14, at + 4
                    if data[at + 3] & 0x80:
                        break
                if not data[body - 1]:
                    break
            end = body + length
            if end > total or end - at > limit:
                break
            if not (topic and data.startswith(topic, body, end)):
                topic = self._accept(data, at, body, end, accepts)
                if not topic:
                    break
            after = body + len(topic)
            if wants_puback:
                identifier = data[after : after + 2]
                if after + 2 > end or identifier == b"\0\0":
                    break
                after += 2
                if level == LEVEL_5 and (after >= end or data[after]) and not self._decodes(data, at, body, end):
                    break
                identifiers.append(identifier)
            elif level == LEVEL_5 and (after >= end or data[after]) and not self._decodes(data, at, body, end):
                break
            at = end
            count += 1
        if not count:
            return None
        self._topic = topic or self._topic
        self._move(at)
        acknowledgements = _PUBACK_HEAD + _PUBACK_HEAD.join(identifiers) if identifiers else b""
        return PublishRun(data if not start and at == total else data[start:at], count, acknowledgements)

    def _move(self, end: int) -> None:
        if end == len(self._buffer):
            self._buffer, self._at = b"", 0
        else:
            self._at = end

    def _frame(self) -> tuple[int, int]:
        """Offsets of the next packet's body and end; an end beyond the buffer when it is incomplete."""
        data, at, total = self._buffer, self._at, len(self._buffer)
        length = 0
        for position in range(4):
            index = at + 1 + position
            if index >= total:
                return index, max(index + 1, at + 2)
            byte = data[index]
            length |= (byte & 0x7F) << (7 * position)
            if not byte & 0x80:
                end = index + 1 + length
                limit = self.max_packet_bytes if self.level is not None else MAX_CONNECT_BYTES
                if end - at > limit:
                    raise WireError(
                        FORMAT,
                        expected=f"a packet of at most {limit} bytes",
                        got=f"{end - at} bytes announced",
                        offset=at,
                        remedy="Send smaller messages.",
                        code="wire.mqtt-too-large",
                    )
                if position and not byte:
                    raise WireError(FORMAT, expected="the shortest remaining length", got="a padded one", offset=at)
                return index + 1, end
        raise WireError(FORMAT, expected="a remaining length of at most 4 bytes", got="a fifth", offset=at)

    def _accept(self, data: bytes, at: int, body: int, end: int, accepts: Callable[[str], bool]) -> bytes:
        """The topic field of a PUBLISH whose topic is new to this run; empty to leave the packet to ``next``."""
        packet = self._decoded(data, at, body, end)
        if packet is None or not accepts(packet.topic):
            return b""
        return data[body : body + 2 + int.from_bytes(data[body : body + 2], "big")]

    def _decodes(self, data: bytes, at: int, body: int, end: int) -> bool:
        return self._decoded(data, at, body, end) is not None

    def _decoded(self, data: bytes, at: int, body: int, end: int) -> Publish | None:
        try:
            packet = decode_packet(data, at, body, end, level=self.level or LEVEL_3_1_1)
        except WireError:
            return None  # left in the buffer: next() decodes it again and raises
        if not isinstance(packet, Publish) or any(key is Property.TOPIC_ALIAS for key, _ in packet.properties):
            return None  # an alias stands for another packet's topic: a run keeps no such thing
        return packet


def iterate_packets(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Topic of each packet of a run, and where the packet begins and ends in ``data``.

    Raises WireError if the bytes are no run.
    """
    begin = 0
    while begin < len(data):
        end = length = shift = 0
        body = begin + 1
        while body < len(data) and shift <= 21:
            length |= (data[body] & 0x7F) << shift
            body += 1
            if data[body - 1] < 0x80:
                end = body + length
                break
            shift += 7
        after = body + 2 + int.from_bytes(data[body : body + 2], "big")
        if data[begin] not in _PUBLISH_HEADS or not body + 2 <= after <= end <= len(data):
            raise WireError(FORMAT, expected="whole PUBLISH packets", got="something else", offset=begin)
        yield data[body + 2 : after].decode("utf-8", "replace"), begin, end
        begin = end


def iterate_run(data: bytes, start: int, end: int, *, level: int) -> Iterator[tuple[str, bytes, Properties]]:
    """Topic, payload and properties of each packet of a stored run, ``data`` from ``start`` to ``end``.

    Raises WireError if the bytes are no run: storage is damaged.
    """
    at = start
    known, topic = b"", ""
    head, size, payload_from = b"", 0, 0  # of the packet before, up to its packet identifier: most are like it
    while at < end:
        following = at + size
        if size and following <= end and data.startswith(head, at):
            yield topic, data[at + payload_from : following], ()
            at = following
            continue
        body, length, shift = at + 1, 0, 0
        while True:
            if body >= end or shift > 21:
                raise WireError(FORMAT, expected="whole PUBLISH packets", got="an incomplete one", offset=at)
            byte = data[body]
            body += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        wants_puback = _PUBLISH_HEADS.get(data[at])
        following = body + length
        if following > end or wants_puback is None:
            raise WireError(FORMAT, expected="whole PUBLISH packets", got="something else", offset=at)
        after = body + len(known) + (2 if wants_puback else 0)
        if level < LEVEL_5 and known and data.startswith(known, body, following) and after <= following:
            head, size, payload_from = data[at : body + len(known)], following - at, after - at
            yield topic, data[after:following], ()  # the topic of the packet before: nothing new to check
        else:
            packet = decode_packet(data, at, body, following, level=level)
            if isinstance(packet, Publish):
                topic = packet.topic
                known = data[body : body + 2 + int.from_bytes(data[body : body + 2], "big")]
                size = 0
                yield topic, packet.payload, packet.properties
        at = following
