# SPDX-License-Identifier: Apache-2.0
"""A profile: what one kind of equipment is, what may be read of it and what may be asked of it.

One source for the poll plan, the guard's allow-list, reporting, the DTDL interface, the simulator and the grants of the
guardian's application; ``armillary.guard`` makes these of it. Values only: nothing in a profile is evaluated as code.

Source: ``docs/reference/equipment-profile.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from armillary.wire.equipment.reading import Value


class Table(StrEnum):
    """Where a Modbus value lives."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"


@dataclass(frozen=True, slots=True)
class RawKind:
    """How a value is written on the wire. Integers have ``minimum`` and ``maximum`` as raw numbers."""

    size: int  # Bytes; 0 for a single bit
    code: str  # Of ``struct``, big-endian: ``H``, ``i``, ``f``; empty for a single bit
    minimum: float
    maximum: float
    swapped: bool = False  # The least significant 16-bit word (Modbus) or byte (frames) comes first


# Name in a profile -> how it is written. ``be`` and ``le``: order of words in Modbus, of bytes in frames.
RAW_KINDS: Mapping[str, RawKind] = {
    "bool": RawKind(0, "", 0, 1),
    "u8": RawKind(1, "B", 0, 2**8 - 1),
    "i8": RawKind(1, "b", -(2**7), 2**7 - 1),
    "u16": RawKind(2, "H", 0, 2**16 - 1),
    "i16": RawKind(2, "h", -(2**15), 2**15 - 1),
    "u16le": RawKind(2, "H", 0, 2**16 - 1, swapped=True),
    "i16le": RawKind(2, "h", -(2**15), 2**15 - 1, swapped=True),
    "u32be": RawKind(4, "I", 0, 2**32 - 1),
    "u32le": RawKind(4, "I", 0, 2**32 - 1, swapped=True),
    "i32be": RawKind(4, "i", -(2**31), 2**31 - 1),
    "i32le": RawKind(4, "i", -(2**31), 2**31 - 1, swapped=True),
    "f32be": RawKind(4, "f", -3.4028234663852886e38, 3.4028234663852886e38),
    "f32le": RawKind(4, "f", -3.4028234663852886e38, 3.4028234663852886e38, swapped=True),
    "f64be": RawKind(8, "d", -1.7976931348623157e308, 1.7976931348623157e308),
}


@dataclass(frozen=True, slots=True)
class ModbusAddress:
    """A place in a Modbus table; addresses count from 0, as on the wire."""

    table: Table
    address: int  # 0 to 65535


@dataclass(frozen=True, slots=True)
class FrameField:
    """A place in the payload of a frame of one kind."""

    frame: int  # Type byte
    offset: int  # Bytes


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """An OPC UA node, ``ns=2;s=Zone.7.temperature``; of an array's member ``{i}`` stands for the element."""

    node: str


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """A property of a BACnet object."""

    object_type: str  # ``analog-input``
    instance: int
    property: str = "present-value"


Address = ModbusAddress | FrameField | NodeAddress | ObjectAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRule:
    """When a reading is worth sending.

    It moved by the deadband and ``min_s`` passed since the last, or ``max_s`` passed, or its quality changed.
    """

    absolute: float = 0.0  # Engineering units; 0 sends each change
    percent: float = 0.0  # Of the last sent value; the larger of both counts
    min_s: float = 0.0
    max_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One value that the equipment has. ``value = raw * scale + offset``."""

    name: str  # [A-Za-z][A-Za-z0-9_]*, as DTDL demands
    address: Address
    raw: str  # Key of RAW_KINDS
    scale: float = 1.0
    offset: float = 0.0
    unit: str = "none"  # DTDL unit name (``degreeCelsius``), or one of the profile's own units
    group: str = ""  # Poll group; empty where frames come by themselves
    report: ReportRule = field(default_factory=ReportRule)
    quantity: str | None = None  # DTDL semantic type, ``Temperature``
    low: float | None = None  # Plausible range; outside of it the quality is RANGE
    high: float | None = None
    states: Mapping[int, str] = field(default_factory=dict)  # Of an enumeration: raw number -> name
    bits: Mapping[int, str] = field(default_factory=dict)  # Of a set of flags: bit -> name
    counter: bool = False  # Only grows, and wraps at its raw maximum
    title: str = ""  # Display name


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """Equal parts side by side, each with the same members: the zones of a cable.

    Element ``i`` has the points ``{name}{i}_{member}``, at the member's address plus ``i * stride``.
    """

    name: str
    count: int
    stride: int  # Words, of frames bytes, of BACnet instances
    members: tuple[Point, ...]  # Named by the member, addressed as of element 0
    position_start: float = 0.0  # Of element 0, in ``position_unit``
    position_pitch: float = 0.0  # Distance from one element to the next
    position_unit: str = "metre"


@dataclass(frozen=True, slots=True)
class Condition:
    """A point's value is one of these (interlocks, events)."""

    point: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """A span between two conditions, sent as one message with what was captured at its end."""

    name: str
    start: Condition
    end: Condition
    capture: tuple[str, ...]  # Points


class Operator(StrEnum):
    """The only calculations of a profile."""

    RATIO = "ratio"  # Growth of the first counter over growth of the second, in the window
    DIFFERENCE = "difference"  # First minus second
    SUM = "sum"
    MEAN = "mean"  # Of the inputs
    RATE = "rate"  # Growth of a counter a second, in the window
    REMAINING = "remaining"  # Seconds until a value reaches ``limit`` at its rate in the window


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A value made of other points by a fixed operator."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    window_s: float = 0.0
    limit: float = 0.0
    unit: str = "none"
    report: ReportRule = field(default_factory=ReportRule)
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRule:
    """Raised when a value stays beyond ``limit`` for ``hold_s``, cleared when it is back at ``clear``."""

    name: str
    point: str  # A point, or ``zone.temperature``: any element of an array
    above: bool  # True: raised above the limit; False: below it
    limit: float
    clear: float
    hold_s: float = 0.0
    severity: str = "warning"  # ``info``, ``warning``, ``critical``
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One thing that may be asked of the equipment, within these bounds and never otherwise."""

    name: str
    address: Address | None  # None for a frame without payload
    raw: str = "bool"
    scale: float = 1.0
    offset: float = 0.0
    unit: str = "none"
    low: float | None = None  # Range in engineering units; None where ``fixed`` is set
    high: float | None = None
    fixed: Value | None = None  # The only value there is; the command then has none
    step: float | None = None  # Largest change from the value that stands
    shows: str = ""  # Point that shows the value that stands; empty: the point at the command's own address
    every_s: float = 0.0  # Least time between two
    when: tuple[Condition, ...] = ()  # Interlock: all hold, by readings that are good and fresh
    local_consent: bool = False  # A person at the equipment agrees first
    verify: bool = False  # Read back and compared
    frame: int | None = None  # Type byte of the frame that carries it (framed links)
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeField:
    """One value of a recipe, with the range that it may have."""

    name: str
    offset: int  # Words from the start of the slot
    raw: str
    scale: float = 1.0
    unit: str = "none"
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeArea:
    """Where recipes are written, and under which conditions."""

    address: int  # First holding register of slot 0
    words: int  # Of one slot
    slots: int
    commit_coil: int  # Written true when a slot is complete
    fields: tuple[RecipeField, ...]
    when: tuple[Condition, ...] = ()
    every_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareArea:
    """How the equipment takes a new firmware: a window of registers that is written chunk by chunk."""

    address: int  # First holding register of the window
    words: int  # Of the window; at most 123
    offset_address: int  # Holding register pair (u32be): byte offset of what is in the window
    write_coil: int  # Written true: the window is taken
    commit_coil: int  # Written true: the new firmware is started
    revert_coil: int  # Written true: the one before is started
    version: str  # Point that shows the version that runs
    limit_bytes: int
    when: tuple[Condition, ...] = ()
    local_consent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameKind:
    """A kind of frame that the equipment may send; any other, or one of another length, is dropped and counted."""

    kind: int
    name: str
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusTcp:
    """Modbus TCP."""

    host: str
    port: int = 502
    unit: int = 1
    timeout_s: float = 0.5
    words_per_read: int = 125  # Most registers in one request; less for equipment that refuses so many
    bridged_words: int = 8  # Registers of no point that a read may span; 0 where the equipment refuses them


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusRtu:
    """Modbus over a serial line."""

    port: str  # The board's name of it, ``UART2``
    baud: int = 19200
    parity: str = "E"  # N, E or O
    stop_bits: int = 1
    unit: int = 1
    timeout_s: float = 0.3
    gap_s: float = 0.005  # Silence between two frames
    words_per_read: int = 125  # As of ModbusTcp
    bridged_words: int = 8
    echo: bool = False  # The adapter gives back what is sent (two wires)


@dataclass(frozen=True, slots=True, kw_only=True)
class FramedSerial:
    """A serial line with frames ``flag length kind sequence payload crc16 flag``, escaped."""

    port: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    flag: int = 0x7E
    escape: int = 0x7D
    max_payload: int = 32
    acknowledged: bool = True
    timeout_s: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OpcUa:
    """OPC UA over TCP, encrypted, with a server certificate that is pinned."""

    url: str
    policy: str = "Basic256Sha256"  # or Aes128_Sha256_RsaOaep, Aes256_Sha256_RsaPss; never None
    server_certificate_sha256: str = ""  # 64 hex digits, of the DER form
    timeout_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BacnetIp:
    """BACnet/IP, read only."""

    host: str
    port: int = 47808
    device: int = 0  # Device instance
    timeout_s: float = 2.0


LinkSettings = ModbusTcp | ModbusRtu | FramedSerial | OpcUa | BacnetIp


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of equipment."""

    name: str  # ``guard/coffee``
    version: int  # Rises; a guardian takes none that is lower than it had
    title: str
    manufacturer: str
    model: str
    link: LinkSettings
    groups: Mapping[str, float]  # Poll group -> seconds between two reads
    points: tuple[Point, ...] = ()
    arrays: tuple[Array, ...] = ()
    frames: tuple[FrameKind, ...] = ()
    events: tuple[EventRule, ...] = ()
    derived: tuple[Derived, ...] = ()
    alarms: tuple[AlarmRule, ...] = ()
    commands: tuple[Command, ...] = ()
    recipe: RecipeArea | None = None
    firmware: FirmwareArea | None = None
    person_data: bool = False  # False: names that speak of persons are refused in points, events and messages

    @property
    def all_points(self) -> tuple[Point, ...]:
        """All points, those of arrays as ``{array}{index}_{member}``, in the profile's order."""
        return self.points + tuple(
            element_point(array, index, member)
            for array in self.arrays
            for index in range(array.count)
            for member in array.members
        )


def element_point(array: Array, index: int, member: Point) -> Point:
    """The point that a member is in element ``index`` of an array."""
    place = member.address
    match place:
        case ModbusAddress(table, address):
            place = ModbusAddress(table, address + index * array.stride)
        case FrameField(frame, offset):
            place = FrameField(frame, offset + index * array.stride)
        case NodeAddress(node):
            place = NodeAddress(node.replace("{i}", str(index)))
        case ObjectAddress(object_type, instance, name):
            place = ObjectAddress(object_type, instance + index * array.stride, name)
    title = f"{member.title} {index}" if member.title else ""
    return replace(member, name=f"{array.name}{index}_{member.name}", address=place, title=title)


def standing_point(profile: Profile, command: Command) -> Point | None:
    """The point that shows the value that a command sets: for its step and its read-back. None: nothing shows it."""
    for point in profile.all_points:
        if command.shows == point.name:
            return point
        if not command.shows and command.address is not None and point.address == command.address:
            return point
    return None
