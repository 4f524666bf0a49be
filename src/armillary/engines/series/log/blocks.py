# SPDX-License-Identifier: Apache-2.0
"""The log's format: one block a committed batch, holding runs of PUBLISH packets as they arrived.

::

    block = run*
    run   = u8   MQTT protocol level (4 or 5)
            u32  device number
            u64  time of receipt, Unix milliseconds
            u32  length of what follows, bytes
            ...  whole PUBLISH packets (MQTT 3.1.1 §3.3, MQTT 5 §3.3)

All big endian. Packets are checked before they get here (``wire/mqtt/stream.py``) and kept byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from armillary.errors import WireError
from armillary.wire.mqtt.fields import Properties, Property
from armillary.wire.mqtt.stream import iterate_run

_HEAD = struct.Struct(">BIQI")

FORMAT = "hub-log-block"


@dataclass(frozen=True, slots=True, eq=False)
class PacketRun:
    """Messages of one device, to be written to the log."""

    level: int  # MQTT protocol level
    device: int  # Its number
    received_ms: int
    data: bytes
    count: int  # Packets in ``data``
    context: Any = None  # Returned to the submitter with the outcome


class PlacedRun(PacketRun):
    """Messages of a guardian, which say their place among all of it (``repeated.py``)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A batch in the log."""

    seq: int
    data: bytes


class Message(NamedTuple):
    """One message read from the log."""

    device: int  # Its number
    received_ms: int
    topic: str
    # MQTT 5 user properties and content type, as property bag pairs; empty on 3.1.1
    user_properties: tuple[tuple[str, str], ...]
    payload: bytes


def encode_block(runs: list[PacketRun]) -> bytes:
    """The block of these runs, in order."""
    parts: list[bytes] = []
    for run in runs:
        parts.append(_HEAD.pack(run.level, run.device, run.received_ms, len(run.data)))
        parts.append(run.data)
    return b"".join(parts)


class Stretch(NamedTuple):
    """Position of a run in a block."""

    level: int  # MQTT protocol level
    device: int  # Its number
    received_ms: int
    begin: int  # Offset of its first packet in the block
    end: int  # Offset of the byte after its last


def iterate_stretches(data: bytes) -> Iterator[Stretch]:
    """Positions of the runs of a block, in order.

    Raises:
        WireError: the block is damaged.
    """
    at = 0
    while at < len(data):
        if at + _HEAD.size > len(data):
            raise WireError(FORMAT, expected="a run's head", got=f"{len(data) - at} bytes", offset=at)
        level, device, received_ms, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        end = at + length
        if end > len(data):
            raise WireError(FORMAT, expected=f"{length} bytes of packets", got=f"{len(data) - at}", offset=at)
        yield Stretch(level, device, received_ms, at, end)
        at = end


def iterate_block(data: bytes) -> Iterator[Message]:
    """The messages of a block, in order.

    Raises:
        WireError: the block is damaged.
    """
    for level, device, received_ms, begin, end in iterate_stretches(data):
        for topic, payload, properties in iterate_run(data, begin, end, level=level):
            yield Message(device, received_ms, topic, pairs_of(properties) if properties else (), payload)


def pairs_of(properties: Properties) -> tuple[tuple[str, str], ...]:
    """The user properties and the content type of an MQTT 5 message, as pairs of a property bag."""
    found: list[tuple[str, str]] = []
    for key, value in properties:
        if key is Property.USER_PROPERTY and isinstance(value, tuple):
            found.append((value[0], value[1]))
        elif key is Property.CONTENT_TYPE and isinstance(value, str):
            found.append(("$.ct", value))
    return tuple(found)
