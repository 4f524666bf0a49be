# SPDX-License-Identifier: Apache-2.0
"""The guard's decision about one request, taken just before it goes to the equipment.

``decide`` is the only function that makes a permit by a profile, and links send permits only (a person who searches
unknown equipment has those of :mod:`armillary.guard.discovery.permitting`: reads alone). It holds no state: what stands
in the allow-list may be sent, everything else is refused with the rule that it breaks. What depends on time and on the
state of the equipment (step, rate, interlock, consent, replay) is judged before, for a whole command, by
:mod:`armillary.guard.commanding`, which hands its requests to ``decide`` as well.

Checks of a Modbus request, in this order:

(1) unit: the one of the profile; a broadcast (0) is none.
(2) function: one that the profile needs. Diagnostics, file records, mask write, read/write and encapsulated
    transports (7, 8, 11, 12, 17, 20 to 24, 43) are needed by none, so that no write hides in a read.
(3) length: a read has 5 bytes; a write has what its count says, and no byte more.
(4) span and count: exactly one that is listed.
(5) value: each number of a write within its range; a coil's value is FF00 or 0000.
"""

from __future__ import annotations

from typing import NoReturn, TypeVar

from armillary.guard.allow_list import WRITE_COIL, WRITE_REGISTER, AllowList, NodeRule, WriteRule
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import (
    FrameRequest,
    ModbusRequest,
    NodesRead,
    NodeWrite,
    ObjectsRead,
    Request,
)

R = TypeVar("R", bound=Request)

SHORT_HEAD, LONG_HEAD = 3, 6  # Bytes before the data of functions 5 and 6, and of 15 and 16
SHORT_PDU = 5  # Bytes of a request of functions 1 to 6
NODES_MAX, OBJECTS_MAX = 500, 50  # Of one read: what servers take in one request and an answer of bounded size


def decide(allow: AllowList, request: R) -> Permit[R]:
    """Return the permit for a request that is listed.

    Raises:
        GuardRefusedError: it is not; ``rule`` is ``unit``, ``function``, ``length``, ``span``, ``count``, ``value``
            or ``not-listed``.
    """
    if isinstance(request, ModbusRequest):
        if request.pdu in allow.read_pdus and request.unit == allow.unit:  # Nearly all: a read of the poll plan
            return Permit(request)
        return Permit(request, _modbus_command(allow, request))
    if isinstance(request, NodesRead):
        _listed(request.nodes, allow.nodes, NODES_MAX, "node")
        return Permit(request)
    if isinstance(request, NodeWrite):
        return Permit(request, _node_command(allow, request))
    if isinstance(request, ObjectsRead):
        _listed(request.objects, allow.objects, OBJECTS_MAX, "object")
        return Permit(request)
    if isinstance(request, FrameRequest):
        return Permit(request, _frame_command(allow, request))
    raise GuardRefusedError("not-listed", f"{type(request).__name__} is no request to equipment")


def _modbus_command(allow: AllowList, request: ModbusRequest) -> str:
    """Return which command a write carries out; whatever is not a listed write is refused."""
    pdu = request.pdu
    if request.unit != allow.unit:  # (1)
        _refuse("unit", f"unit {request.unit} is not {_unit(allow.unit)}")
    rule = allow.writes.get(pdu[: SHORT_HEAD if pdu[:1] in _SHORT_FUNCTIONS else LONG_HEAD])
    if rule is None:
        _refuse_unlisted(allow, pdu)
    _check_write(rule, pdu)
    return rule.command


_SHORT_FUNCTIONS = (bytes([WRITE_COIL]), bytes([WRITE_REGISTER]))


def _check_write(rule: WriteRule, message: bytes) -> None:
    """Checks (3) and (5) of a Modbus write, and the same of a frame."""
    if len(message) != rule.length:
        _refuse("length", f"a write for {rule.command} has {rule.length} bytes, not {len(message)}")
    data = message[len(rule.head) :]
    if rule.choices is not None and data not in rule.choices:
        _refuse("value", f"{rule.command} may not write {data.hex()}")
    for item in rule.ranges:
        number = item.raw(data)
        if not item.holds(number):
            _refuse("value", f"{rule.command}: raw {number} is not within {item.low} to {item.high}")
    if rule.has_gaps and any(_uncovered(rule, data)):
        _refuse("value", f"{rule.command} writes bytes that belong to none of its fields")


def _uncovered(rule: WriteRule, data: bytes) -> bytes:
    """The bytes of the data that no field covers."""
    fields = {item.layout.offset + place for item in rule.ranges for place in item.layout.order}
    return bytes(byte for place, byte in enumerate(data) if place not in fields)


def _refuse_unlisted(allow: AllowList, pdu: bytes) -> NoReturn:
    """Refuse a PDU that is listed neither as a read nor as a write, with the first check that it fails."""
    starts = allow.starts.get(pdu[0]) if pdu else None
    if starts is None:  # (2)
        _refuse("function", f"function {pdu[0] if pdu else 'none'} is needed by nothing in the profile")
    function, first = pdu[0], int.from_bytes(pdu[1:3], "big")
    if len(pdu) != SHORT_PDU if function <= WRITE_REGISTER else len(pdu) < LONG_HEAD:  # (3)
        _refuse("length", f"a request of function {function} does not have {len(pdu)} bytes")
    if first not in starts:  # (4)
        _refuse("span", f"function {function} at address {first} is not listed")
    _refuse("count", f"function {function} at address {first} is listed with another count")


def _listed(asked: tuple[object, ...], listed: frozenset[object], limit: int, name: str) -> None:
    if not 1 <= len(asked) <= limit:
        _refuse("count", f"a read is of 1 to {limit} {name}s, not {len(asked)}")
    for place in asked:
        if place not in listed:
            _refuse("not-listed", f"{name} {place!r} is in no point and no command of the profile")


def _node_command(allow: AllowList, request: NodeWrite) -> str:
    rule = allow.node_writes.get(request.node)
    if rule is None:
        _refuse("not-listed", f"node {request.node!r} is written by no command of the profile")
    if request.variant != rule.variant:
        _refuse("length", f"{rule.command} writes a {rule.variant}, not a {request.variant}")
    if not _within(rule, request.value):
        _refuse("value", f"{rule.command}: raw {request.value!r} is not within {rule.low} to {rule.high}")
    return rule.command


def _within(rule: NodeRule, value: Value) -> bool:
    """Whether a value is of the rule's type and within its range. A bool is no number, a number is no bool."""
    if rule.variant == "Boolean":
        return isinstance(value, bool) and rule.low <= value <= rule.high
    if rule.variant in ("Float", "Double"):
        return isinstance(value, float) and rule.low <= value <= rule.high
    return isinstance(value, int) and not isinstance(value, bool) and rule.low <= value <= rule.high


def _frame_command(allow: AllowList, request: FrameRequest) -> str:
    rule = allow.frames.get(request.kind)
    if rule is None:
        _refuse("not-listed", f"frames of kind 0x{request.kind:02x} are sent by no command of the profile")
    _check_write(rule, rule.head + request.payload)
    return rule.command


def _unit(unit: int | None) -> str:
    return "a unit of this link" if unit is None else f"unit {unit}, the only one of the profile"


def _refuse(rule: str, message: str) -> NoReturn:
    raise GuardRefusedError(rule, message)
