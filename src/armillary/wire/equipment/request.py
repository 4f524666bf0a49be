# SPDX-License-Identifier: Apache-2.0
"""Requests to equipment and their replies, one pair for each kind of link.

A request says what goes onto the wire and nothing of why. Links take none that is not inside a
:class:`~armillary.guard.permit.Permit`.
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.wire.equipment.reading import Value


@dataclass(frozen=True, slots=True)
class ModbusRequest:
    """A Modbus request, whichever way it goes (TCP or RTU). Modbus Application Protocol 1.1b3 §4.1."""

    unit: int  # 0 to 255; 0 is broadcast, which no guardian sends
    pdu: bytes  # Function code and data, 1 to 253 bytes


@dataclass(frozen=True, slots=True)
class ModbusReply:
    """The reply to a ModbusRequest: the same unit, function and lengths as asked, which the link has checked."""

    pdu: bytes


@dataclass(frozen=True, slots=True)
class NodesRead:
    """Reads the values of OPC UA nodes in one request."""

    nodes: tuple[str, ...]  # ``ns=2;s=Zone.7.temperature``


@dataclass(frozen=True, slots=True)
class NodeWrite:
    """Writes the value of one OPC UA node."""

    node: str
    value: Value
    variant: str  # Built-in type, ``Double``, ``UInt16``, ...


@dataclass(frozen=True, slots=True)
class ObjectsRead:
    """Reads present values of BACnet objects in one request."""

    objects: tuple[
        tuple[str, int, str], ...
    ]  # (object type, instance, property): ``("analog-input", 3, "present-value")``


@dataclass(frozen=True, slots=True)
class ValuesReply:
    """What a NodesRead or ObjectsRead brought, in the order asked. None: the server gave no good value."""

    values: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """A frame to send over a framed serial link."""

    kind: int  # Type byte
    payload: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that came over a framed serial link: its checksum holds, its kind and length are still unverified."""

    kind: int
    sequence: int
    payload: bytes


Request = ModbusRequest | NodesRead | NodeWrite | ObjectsRead | FrameRequest
Reply = ModbusReply | ValuesReply | Frame
