# SPDX-License-Identifier: Apache-2.0
"""A second reading of what a profile allows, to check the first one by: slow, plain, and written apart from it.

It works on the profile's document and on the rule as ``docs/concepts/guardian.md`` states it. It shares no code with
the reader of profiles, the compiler, the allow-list and ``decide``, so that a mistake in one of them shows as a
difference. It never permits anything; ``armillary guardian sweep`` and the tests ask it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from armillary.wire.equipment.request import (
    FrameRequest,
    ModbusRequest,
    NodesRead,
    NodeWrite,
    ObjectsRead,
    Request,
)

# Kind -> registers, letter of struct, least significant word (in frames: byte) first
_KINDS: Final[Mapping[str, tuple[int, str, bool]]] = {
    "bool": (1, "?", False),
    "u8": (1, "B", False),
    "i8": (1, "b", False),
    "u16": (1, "H", False),
    "i16": (1, "h", False),
    "u16le": (1, "H", True),
    "i16le": (1, "h", True),
    "u32be": (2, "I", False),
    "i32be": (2, "i", False),
    "f32be": (2, "f", False),
    "u32le": (2, "I", True),
    "i32le": (2, "i", True),
    "f32le": (2, "f", True),
    "f64be": (4, "d", False),
}
_NODE_TYPES: Final = {"?": "Boolean", "B": "Byte", "b": "SByte", "H": "UInt16", "h": "Int16", "I": "UInt32"} | {
    "i": "Int32",
    "f": "Float",
    "d": "Double",
}
_READ: Final = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
_FIRMWARE: Final = "firmware"
_NODES_MAX: Final = 500  # Of one read
_OBJECTS_MAX: Final = 50
_EXAMPLES_MAX: Final = 65536  # Of one number: all of a register, the ends of anything longer

Document = Mapping[str, Any]
Judge = Callable[[bytes], bool]


class SecondReading:
    """The rule of one profile's document."""

    def __init__(self, document: Document) -> None:
        self._link: Document = document["link"]
        self._commands: Mapping[str, Document] = document.get("commands", {})
        self._recipe: Document | None = document.get("recipe")
        self._firmware: Document | None = document.get("firmware")
        self._points = list(_points(document))
        self.is_modbus = self._link["protocol"].startswith("modbus")
        self.unit: int = self._link.get("unit", 1)
        self.reads = set(self._polled()) | set(self._read_backs()) if self.is_modbus else set()
        # One register of a command is written by function 6, several and all of recipes by function 16
        self._single = {place: judge for place, count, judge in self._registers() if count == 1}
        several = [(place, count, judge) for place, count, judge in self._registers() if count > 1]
        self._several = {(place, count): judge for place, count, judge in (*several, *self._blocks())}

    def allows(self, request: Request) -> bool:
        """Whether the profile allows this request."""
        if isinstance(request, ModbusRequest):
            return self.is_modbus and request.unit == self.unit and self._allows_pdu(request.pdu)
        if isinstance(request, FrameRequest):
            return any(
                command.get("frame") == request.kind and _frame_judge(command)(request.payload)
                for command in self._commands.values()
            )
        if isinstance(request, NodesRead):
            return bool(request.nodes) and len(request.nodes) <= _NODES_MAX and set(request.nodes) <= set(self.nodes())
        if isinstance(request, ObjectsRead):
            return 0 < len(request.objects) <= _OBJECTS_MAX and set(request.objects) <= set(self.objects())
        return any(
            command.get("node") == request.node and _allows_node(command, request)
            for command in self._commands.values()
        )

    def nodes(self) -> Iterator[str]:
        """The OPC UA nodes of points and commands."""
        for place in (*self._points, *self._commands.values()):
            if "node" in place:
                yield place["node"]

    def objects(self) -> Iterator[tuple[str, int, str]]:
        """The properties of BACnet objects that points are."""
        for place in self._points:
            if "object" in place:
                yield place["object"], place["instance"], place.get("property", "present-value")

    def examples(self) -> Iterator[Request]:
        """Requests that the profile allows: every read, and writes with every value of a register or its ends."""
        for function, first, count in sorted(self.reads):
            yield ModbusRequest(self.unit, struct.pack(">BHH", function, first, count))
        if self.is_modbus:
            for pdu in self._writes():
                if self._allows_pdu(pdu):
                    yield ModbusRequest(self.unit, pdu)
        yield from (NodesRead((node,)) for node in self.nodes())
        yield from (ObjectsRead((place,)) for place in self.objects())
        for command in self._commands.values():
            if "frame" in command:
                judge = _frame_judge(command)
                yield from (FrameRequest(command["frame"], data) for data in _payloads(command) if judge(data))

    def _allows_pdu(self, pdu: bytes) -> bool:
        if len(pdu) < 5:
            return False
        function, first, word = struct.unpack(">BHH", pdu[:5])
        if function in (1, 2, 3, 4):
            return len(pdu) == 5 and (function, first, word) in self.reads
        if function == 5:
            return len(pdu) == 5 and word in self._coil_words(first)
        if function == 6:
            return len(pdu) == 5 and first in self._single and self._single[first](pdu[3:])
        if function == 16 and len(pdu) > 5:
            judge, data = self._several.get((first, word)), pdu[6:]
            return judge is not None and pdu[5] == 2 * word == len(data) and judge(data)
        return False

    def _coil_words(self, coil: int) -> set[int]:
        """The values that may be written to a coil, as they stand in the request."""
        words: set[int] = set()
        for command in self._commands.values():
            if command.get("table") == "coil" and command["address"] == coil:
                words |= {0xFF00, 0} if command.get("fixed") is None else {0xFF00 if command["fixed"] else 0}
        if self._recipe is not None and self._recipe["commit_coil"] == coil:
            words.add(0xFF00)
        if self._firmware is not None and coil in (
            self._firmware[f"{name}_coil"] for name in ("write", "commit", "revert")
        ):
            words.add(0xFF00)
        return words

    def _registers(self) -> Iterator[tuple[int, int, Judge]]:
        """Address, count and judge of the commands that write registers."""
        for command in self._commands.values():
            if command.get("table") == "holding":
                yield command["address"], _KINDS[command["raw"]][0], _number_judge(command, framed=False)

    def _blocks(self) -> Iterator[tuple[int, int, Judge]]:
        """Address, count and judge of what recipes and firmware write."""
        for first, fields in self._slots():
            start = min(each["offset"] for each in fields)
            count = max(each["offset"] + _KINDS[each["raw"]][0] for each in fields) - start
            yield first + start, count, _fields_judge(fields, start)
        if self._firmware is not None:
            limit = self._firmware["limit_bytes"]
            yield self._firmware["address"], self._firmware["words"], lambda data: True  # noqa: ARG005 - any bytes
            yield self._firmware["offset_address"], 2, lambda data: int.from_bytes(data, "big") < limit

    def _slots(self) -> Iterator[tuple[int, list[Document]]]:
        """First register of each slot with the fields of each write: as many as 123 registers hold."""
        if self._recipe is None:
            return
        fields = sorted(self._recipe["fields"].values(), key=lambda each: each["offset"])
        for slot in range(self._recipe["slots"]):
            rest = fields
            while rest:
                reach = rest[0]["offset"] + 123
                taken = [each for each in rest if each["offset"] + _KINDS[each["raw"]][0] <= reach]
                yield self._recipe["address"] + slot * self._recipe["words"], taken
                rest = rest[len(taken) :]

    def _polled(self) -> Iterator[tuple[int, int, int]]:
        """Function, first address and count of each read of the poll plan."""
        for group in {each["group"] for each in self._points if each.get("group")}:
            for table, function in _READ.items():
                is_bits = table in ("coil", "discrete")
                longest = 2000 if is_bits else self._link.get("words_per_read", 125)
                bridged = 64 if is_bits else self._link.get("bridged_words", 8)
                spans = sorted(
                    (each["address"], each["address"] + (1 if is_bits else _KINDS[each["raw"]][0]))
                    for each in self._points
                    if each.get("group") == group and each["table"] == table
                )
                while spans:
                    first, end = spans.pop(0)
                    while spans and spans[0][0] - end <= bridged and max(end, spans[0][1]) - first <= longest:
                        end = max(end, spans.pop(0)[1])
                    yield function, first, end - first

    def _read_backs(self) -> Iterator[tuple[int, int, int]]:
        for command in self._commands.values():
            if command.get("verify") or command.get("step") is not None:
                is_coil = command["table"] == "coil"
                yield _READ[command["table"]], command["address"], 1 if is_coil else _KINDS[command["raw"]][0]
        if self._recipe is not None or self._firmware is not None:
            yield from ((3, first, count) for first, count, _ in self._blocks() if not self._is_offset(first, count))

    def _is_offset(self, first: int, count: int) -> bool:
        return self._firmware is not None and (first, count) == (self._firmware["offset_address"], 2)

    def _writes(self) -> Iterator[bytes]:
        """Writes of which the allowed ones are examples."""
        for coil in range(65536):
            if self._coil_words(coil):
                yield from (struct.pack(">BHH", 5, coil, word) for word in (0xFF00, 0))
        for command in self._commands.values():
            if command.get("table") == "holding":
                count = _KINDS[command["raw"]][0]
                head = struct.pack(">BH", 6 if count == 1 else 16, command["address"])
                head += b"" if count == 1 else struct.pack(">HB", count, 2 * count)
                yield from (head + data for data in _numbers(command, framed=False))
        for first, fields in self._slots():
            start = min(each["offset"] for each in fields)
            lowest = [_ends(each)[0] for each in fields]
            count = sum(len(data) for data in lowest) // 2
            head = struct.pack(">BHHB", 16, first + start, count, 2 * count)
            for at, each in enumerate(fields):
                for data in _ends(each):
                    yield head + b"".join((*lowest[:at], data, *lowest[at + 1 :]))
        if self._firmware is not None:
            words = self._firmware["words"]
            yield struct.pack(">BHHB", 16, self._firmware["address"], words, 2 * words) + bytes(2 * words)
            for offset in (0, self._firmware["limit_bytes"] - 1):
                yield struct.pack(">BHHBI", 16, self._firmware["offset_address"], 2, 4, offset)


def _points(document: Document) -> Iterator[Document]:
    yield from document.get("points", {}).values()
    for array in document.get("arrays", {}).values():
        for member in array["members"].values():
            for index in range(array["count"]):
                if "table" in member:
                    yield {**member, "address": member["address"] + index * array["stride"]}
                elif "node" in member:
                    yield {**member, "node": member["node"].replace("{i}", str(index))}
                elif "object" in member:
                    yield {**member, "instance": member["instance"] + index * array["stride"]}


def _decimal(number: object) -> Decimal:
    return Decimal(str(number))


def _arranged(kind: str, data: bytes, *, framed: bool) -> bytes:
    """Most significant byte first."""
    if not _KINDS[kind][2]:
        return data
    return bytes(reversed(data)) if framed else b"".join(data[at : at + 2] for at in range(len(data) - 2, -1, -2))


def _number_judge(field: Document, *, framed: bool) -> Judge:
    """Judges the bytes of one number: its size, and its value in engineering units within the field's range."""
    letter = _KINDS[field["raw"]][1]
    scale, offset = _decimal(field.get("scale", 1)), _decimal(field.get("offset", 0))
    fixed = field.get("fixed")
    low, high = (field.get("low"), field.get("high")) if fixed is None else (fixed, fixed)

    def judge(data: bytes) -> bool:
        if len(data) != struct.calcsize(letter):
            return False
        if letter == "?":
            return data in (b"\0", b"\1") and (fixed is None or bool(data[0]) is bool(fixed))
        (raw,) = struct.unpack(">" + letter, _arranged(field["raw"], data, framed=framed))
        if letter in "fd":
            ends = sorted(_held(letter, (_decimal(end) - offset) / scale) for end in (low, high))
            return bool(ends[0] <= raw <= ends[1]) and str(raw) != "-0.0"
        return bool(_decimal(low) <= raw * scale + offset <= _decimal(high))

    return judge


def _held(letter: str, number: Decimal) -> float:
    """The nearest number that a float of this size holds."""
    (held,) = struct.unpack(letter, struct.pack(letter, float(number)))
    return float(held)


def _frame_judge(command: Document) -> Judge:
    return _number_judge(command, framed=True) if "raw" in command else lambda data: data == b""


def _fields_judge(fields: list[Document], start: int) -> Judge:
    """Judges all fields of a piece of a recipe; their ``offset`` is a place, not part of their value."""
    parts = []
    for each in fields:
        begin = 2 * (each["offset"] - start)
        plain = {key: value for key, value in each.items() if key != "offset"}
        parts.append((begin, begin + 2 * _KINDS[each["raw"]][0], _number_judge(plain, framed=False)))
    return lambda data: all(judge(data[begin:end]) for begin, end, judge in parts)


def _numbers(field: Document, *, framed: bool) -> Iterator[bytes]:
    """Bytes to try for one number: all of up to 16 bits, the ends of its range for more."""
    letter = _KINDS[field["raw"]][1]
    size = struct.calcsize(letter)
    if size <= 2:
        yield from (number.to_bytes(size, "big") for number in range(min(256**size, _EXAMPLES_MAX)))
    else:
        yield from _ends(field, framed=framed)


def _ends(field: Document, *, framed: bool = False) -> list[bytes]:
    """The lowest and the highest number of a field on the wire."""
    letter = _KINDS[field["raw"]][1]
    place = _decimal(field.get("offset", 0)) if "table" in field or "frame" in field else Decimal(0)  # Else of a slot
    raws = sorted((_decimal(field[end]) - place) / _decimal(field.get("scale", 1)) for end in ("low", "high"))
    numbers = [float(raw) if letter in "fd" else int(raw) for raw in raws]
    return [_arranged(field["raw"], struct.pack(">" + letter, number), framed=framed) for number in numbers]


def _payloads(command: Document) -> Iterator[bytes]:
    if "raw" in command:
        yield from _numbers(command, framed=True)
    else:
        yield b""


def _allows_node(command: Document, request: NodeWrite) -> bool:
    letter = _KINDS[command.get("raw", "bool")][1]
    if request.variant != _NODE_TYPES[letter]:
        return False
    value = request.value
    if letter == "?":
        return isinstance(value, bool) and command.get("fixed") in (None, value)
    if isinstance(value, (bool, str)) or (letter in "fd") != isinstance(value, float):
        return False
    try:
        return _number_judge(command, framed=True)(struct.pack(">" + letter, value))
    except struct.error:
        return False
