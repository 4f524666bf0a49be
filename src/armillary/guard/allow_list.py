# SPDX-License-Identifier: Apache-2.0
"""The allow-list: every request that may go to a piece of equipment, worked out of its profile once.

Reads come from the poll plan (and the read-back of what is written), writes from commands, the recipe area and the
firmware area. What is not listed here is refused by :mod:`armillary.guard.deciding`; there is no rule that forbids.

Source: Modbus Application Protocol 1.1b3 §6 (forms of the requests); ``docs/concepts/guardian.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from armillary.guard.raw_range import FieldLayout, RawRange, frame_layout, raw_limits, register_layout
from armillary.wire.equipment.faults import ProfileError
from armillary.wire.equipment.profile import (
    RAW_KINDS,
    Command,
    FirmwareArea,
    FrameField,
    ModbusAddress,
    ModbusRtu,
    ModbusTcp,
    NodeAddress,
    Profile,
    RecipeArea,
    RecipeField,
    Table,
)
from armillary.wire.equipment.request import ModbusRequest, NodesRead, ObjectsRead, Request

READ_FUNCTIONS: Mapping[Table, int] = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS = 5, 6, 16
COIL_VALUES: Mapping[bool, bytes] = {True: b"\xff\x00", False: b"\x00\x00"}  # §6.5: nothing else is a coil's value
WRITE_WORDS_MAX = 123  # §6.12: quantity of registers of one write
RECIPE, FIRMWARE = "recipe", "firmware"  # What a permit names where no command of the profile is carried out
# Built-in types of OPC UA (part 6 §5.1.2) by how a value is written in the profile
VARIANTS: Mapping[str, str] = {
    "": "Boolean",
    "B": "Byte",
    "b": "SByte",
    "H": "UInt16",
    "h": "Int16",
    "I": "UInt32",
    "i": "Int32",
    "f": "Float",
    "d": "Double",
}


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """A Modbus read: exactly this function, first address and count, nothing inside of it and nothing around it."""

    function: int  # 1 to 4
    first: int
    count: int  # Bits or registers

    @property
    def pdu(self) -> bytes:
        """The request on the wire: function, first address, count."""
        return bytes([self.function]) + self.first.to_bytes(2, "big") + self.count.to_bytes(2, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRule:
    """A Modbus write or a frame: its beginning, its exact length, and what its data may be."""

    command: str  # ``setBrewTemp``, ``recipe`` or ``firmware``
    head: bytes  # What it begins with: for Modbus function, address and (FC 16) count and byte count
    length: int  # Of the whole, in bytes
    choices: frozenset[bytes] | None = None  # The data is one of these
    ranges: tuple[RawRange, ...] = ()  # Or numbers within these; bytes that none covers are 0
    free: bool = False  # Or anything: a piece of a firmware, which its signed hash vouches for
    has_gaps: bool = field(init=False, repr=False, compare=False)  # Not every byte is of a number

    def __post_init__(self) -> None:
        covered = sum(item.layout.size for item in self.ranges)
        object.__setattr__(self, "has_gaps", bool(self.ranges) and covered != self.length - len(self.head))


@dataclass(frozen=True, slots=True)
class NodeRule:
    """A write to one OPC UA node."""

    command: str
    variant: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """Everything that may be sent to one piece of equipment. Empty: nothing."""

    unit: int | None = None  # Modbus unit; None where the link is another
    reads: frozenset[ReadSpan] = frozenset()
    writes: Mapping[bytes, WriteRule] = field(default_factory=dict)  # By head
    nodes: frozenset[str] = frozenset()
    node_writes: Mapping[str, NodeRule] = field(default_factory=dict)  # By node
    objects: frozenset[tuple[str, int, str]] = frozenset()
    frames: Mapping[int, WriteRule] = field(default_factory=dict)  # By type byte
    read_pdus: frozenset[bytes] = field(init=False, repr=False, compare=False)
    starts: Mapping[int, frozenset[int]] = field(init=False, repr=False, compare=False)  # First addresses by function

    def __post_init__(self) -> None:
        object.__setattr__(self, "read_pdus", frozenset(span.pdu for span in self.reads))
        heads = [(span.function, span.first) for span in self.reads]
        heads += [(head[0], int.from_bytes(head[1:3], "big")) for head in self.writes]
        starts = {each: frozenset(first for function, first in heads if function == each) for each, _ in heads}
        object.__setattr__(self, "starts", starts)

    def writes_of(self, command: str) -> tuple[WriteRule, ...]:
        """The Modbus writes and frames that carry out a command."""
        return tuple(rule for rule in (*self.writes.values(), *self.frames.values()) if rule.command == command)


def allow_list(profile: Profile, polled: Iterable[Request]) -> AllowList:
    """Work out the allow-list of a profile whose poll plan sends these requests.

    Raises:
        ProfileError: a command cannot be written as the profile says, or two would be the same write.
    """
    polled = tuple(polled)
    link = profile.link
    if isinstance(link, ModbusTcp | ModbusRtu):
        if not 1 <= link.unit <= 247:  # Modbus over Serial Line §2.2: 0 is broadcast, 248 to 255 are reserved
            raise ProfileError("link.unit", expected="1 to 247", got=str(link.unit))
        return AllowList(
            unit=link.unit,
            reads=frozenset(_polled_spans(polled, link.unit)) | frozenset(_read_backs(profile)),
            writes=_keyed(_modbus_writes(profile)),
        )
    node_writes = [(command, command.address) for command in profile.commands]
    return AllowList(
        nodes=frozenset(node for request in polled if isinstance(request, NodesRead) for node in request.nodes)
        | {address.node for _, address in node_writes if isinstance(address, NodeAddress)},
        node_writes={
            address.node: _node_rule(command) for command, address in node_writes if isinstance(address, NodeAddress)
        },
        objects=frozenset(place for request in polled if isinstance(request, ObjectsRead) for place in request.objects),
        frames={rule.head[0]: rule for rule in _keyed(_frame_writes(profile)).values()},
    )


def read_back_span(address: ModbusAddress, raw: str) -> ReadSpan:
    """The read that shows what stands where a command writes."""
    words = 1 if address.table in (Table.COIL, Table.DISCRETE) else max(1, RAW_KINDS[raw].size // 2)
    return ReadSpan(READ_FUNCTIONS[address.table], address.address, words)


def recipe_pieces(area: RecipeArea, slot: int) -> Iterator[tuple[ReadSpan, tuple[RecipeField, ...]]]:
    """Cut a slot into spans that one write can carry, each with its fields; no field is divided."""
    first = area.address + slot * area.words
    piece: list[RecipeField] = []
    for item in sorted(area.fields, key=lambda item: item.offset):
        if piece and item.offset + _words(item.raw) - piece[0].offset > WRITE_WORDS_MAX:
            yield _piece(first, piece)
            piece = []
        piece.append(item)
    if piece:
        yield _piece(first, piece)


def write_head(span: ReadSpan) -> bytes:
    """The beginning of a write of several registers: function 16, address, count, byte count."""
    return bytes([WRITE_REGISTERS]) + span.pdu[1:] + bytes([2 * span.count])


def _piece(first: int, fields: list[RecipeField]) -> tuple[ReadSpan, tuple[RecipeField, ...]]:
    start, last = fields[0].offset, fields[-1]
    return ReadSpan(3, first + start, last.offset + _words(last.raw) - start), tuple(fields)


def _words(raw: str) -> int:
    return max(1, RAW_KINDS[raw].size // 2)


def _polled_spans(polled: Iterable[Request], unit: int) -> Iterator[ReadSpan]:
    for request in polled:
        span = _span(request.pdu) if isinstance(request, ModbusRequest) and request.unit == unit else None
        if span is None:
            raise ProfileError("groups", expected=f"reads from unit {unit} with functions 1 to 4", got=repr(request))
        yield span


def _span(pdu: bytes) -> ReadSpan | None:
    if len(pdu) != 5 or pdu[0] not in READ_FUNCTIONS.values() or not any(pdu[3:]):
        return None
    return ReadSpan(pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:], "big"))


def _read_backs(profile: Profile) -> Iterator[ReadSpan]:
    for command in profile.commands:
        if isinstance(command.address, ModbusAddress) and (command.verify or command.step is not None):
            yield read_back_span(command.address, command.raw)
    if profile.recipe is not None:
        for slot in range(profile.recipe.slots):
            yield from (span for span, _ in recipe_pieces(profile.recipe, slot))
    if profile.firmware is not None:
        yield ReadSpan(3, profile.firmware.address, profile.firmware.words)


def _modbus_writes(profile: Profile) -> Iterator[WriteRule]:
    for command in profile.commands:
        if isinstance(command.address, ModbusAddress):
            yield _command_write(command, command.address)
        else:
            raise ProfileError(_place(command), expected="a Modbus address, as its link is Modbus", got="none")
    if profile.recipe is not None:
        yield from _recipe_writes(profile.recipe)
    if profile.firmware is not None:
        yield from _firmware_writes(profile.firmware)


def _command_write(command: Command, address: ModbusAddress) -> WriteRule:
    place = address.address.to_bytes(2, "big")
    if address.table is Table.COIL:
        if command.raw != "bool":
            raise ProfileError(_place(command), expected="raw kind bool, as it writes a coil", got=command.raw)
        values = (True, False) if command.fixed is None else (bool(command.fixed),)
        choices = frozenset(COIL_VALUES[value] for value in values)
        return WriteRule(command=command.name, head=bytes([WRITE_COIL]) + place, length=5, choices=choices)
    if address.table is not Table.HOLDING:
        raise ProfileError(_place(command), expected="a table that can be written", got=address.table)
    layout = register_layout(command.raw)
    ranges = (_range(command, layout),)
    if layout.size == 2:
        return WriteRule(command=command.name, head=bytes([WRITE_REGISTER]) + place, length=5, ranges=ranges)
    head = write_head(ReadSpan(3, address.address, layout.size // 2))
    return WriteRule(command=command.name, head=head, length=len(head) + layout.size, ranges=ranges)


def _range(command: Command, layout: FieldLayout) -> RawRange:
    return RawRange(layout, *_limits(command))


def _limits(command: Command) -> tuple[float, float]:
    """The raw limits of a command; one with neither range nor fixed value allows nothing, and is refused."""
    if isinstance(command.fixed, str):
        raise ProfileError(_place(command), expected="a fixed value that is a number or true or false", got="text")
    limits = (command.low, command.high) if command.fixed is None else (float(command.fixed),)
    if RAW_KINDS[command.raw].size == 0:
        return (0, 1) if command.fixed is None else (int(bool(command.fixed)),) * 2
    if None in limits:
        raise ProfileError(_place(command), expected="a lowest and a highest value", got=f"{limits}")
    return raw_limits(command.raw, command.scale, command.offset, [limit for limit in limits if limit is not None])


def _place(command: Command) -> str:
    return f"commands.{command.name}"


def _recipe_writes(area: RecipeArea) -> Iterator[WriteRule]:
    for slot in range(area.slots):
        for span, fields in recipe_pieces(area, slot):
            start = fields[0].offset
            ranges = tuple(
                RawRange(
                    register_layout(item.raw, 2 * (item.offset - start)),
                    *raw_limits(item.raw, item.scale, 0.0, (item.low, item.high)),
                )
                for item in fields
            )
            head = write_head(span)
            yield WriteRule(command=RECIPE, head=head, length=len(head) + 2 * span.count, ranges=ranges)
    yield _true_coil(RECIPE, area.commit_coil)


def _firmware_writes(area: FirmwareArea) -> Iterator[WriteRule]:
    window = write_head(ReadSpan(3, area.address, area.words))
    yield WriteRule(command=FIRMWARE, head=window, length=len(window) + 2 * area.words, free=True)
    place = write_head(ReadSpan(3, area.offset_address, 2))
    bound = RawRange(register_layout("u32be"), 0, area.limit_bytes - 1)
    yield WriteRule(command=FIRMWARE, head=place, length=len(place) + 4, ranges=(bound,))
    for coil in (area.write_coil, area.commit_coil, area.revert_coil):
        yield _true_coil(FIRMWARE, coil)


def _true_coil(command: str, coil: int) -> WriteRule:
    head = bytes([WRITE_COIL]) + coil.to_bytes(2, "big")
    return WriteRule(command=command, head=head, length=5, choices=frozenset((COIL_VALUES[True],)))


def _frame_writes(profile: Profile) -> Iterator[WriteRule]:
    for command in profile.commands:
        if command.frame is None:
            continue
        head = bytes([command.frame])
        if not isinstance(command.address, FrameField):
            yield WriteRule(command=command.name, head=head, length=1, choices=frozenset((b"",)))
            continue
        layout = frame_layout(command.raw, command.address.offset)
        length = 1 + layout.offset + layout.size
        yield WriteRule(command=command.name, head=head, length=length, ranges=(_range(command, layout),))


def _node_rule(command: Command) -> NodeRule:
    return NodeRule(command.name, VARIANTS[RAW_KINDS[command.raw].code], *_limits(command))


def _keyed(rules: Iterable[WriteRule]) -> dict[bytes, WriteRule]:
    kept: dict[bytes, WriteRule] = {}
    for rule in rules:
        if rule.head in kept:
            raise ProfileError(
                f"commands.{rule.command}", expected="a write of its own", got=f"the one of {kept[rule.head].command}"
            )
        kept[rule.head] = rule
    return kept
