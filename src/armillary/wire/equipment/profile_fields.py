# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: D102 - ``Field`` says once what ``read``, ``write`` and ``schema`` do
"""The fields of a profile's document: one table a part. Reader, writer and JSON Schema are made of these tables.

Limits are far above what one machine has and far below what a small guardian cannot hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final

from armillary.wire.equipment import profile as parts
from armillary.wire.equipment.field import (
    EXPRESSION_KEYS,
    Choice,
    Either,
    Field,
    Flag,
    Mapped,
    Number,
    Numbered,
    Place,
    Several,
    Text,
    Whole,
    members,
)
from armillary.wire.equipment.units import QUANTITY_UNITS, UNITS

MAX_NAME: Final = 64  # DTDL v2 §Interface: names of contents
MAX_TITLE: Final = 64  # DTDL v2 §Interface: displayName
MAX_CONTENTS: Final = 300  # DTDL v2 §Interface: of points (of arrays too), derived values, events and commands
MAX_POINTS: Final = MAX_CONTENTS - 9  # The interface has up to nine contents of its own
MAX_PARTS: Final = 128  # Commands, events, alarms, derived values, arrays, frames: each
MAX_GROUPS: Final = 16
MAX_STATES: Final = 256
MAX_BITS: Final = 32
MAX_CONDITIONS: Final = 8
MAX_FIELDS: Final = 256  # Of a recipe
MAX_VERSION: Final = 999_999_999  # DTMI: nine digits
LAST_ADDRESS: Final = 65535
MIN_PERIOD_S: Final = 0.02
MAX_PERIOD_S: Final = 31 * 86400.0
MAX_WRITE_WORDS: Final = 123  # Modbus Application Protocol 1.1b3 §6.12
MAX_FIRMWARE_BYTES: Final = 64 << 20

NAME: Final = Text("[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?", "a name of letters, digits and inner underscores", MAX_NAME)
# A member of an array; ``zone.temperature`` where an alarm means any element's.
POINT_OR_MEMBER: Final = Text(
    r"[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?(?:\.[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?)?",
    "a point, or array.member",
    2 * MAX_NAME + 1,
)
PROFILE_NAME: Final = Text(
    "[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:/[a-z][a-z0-9]*(?:-[a-z0-9]+)*){1,3}",
    "a name of lower-case words with a slash, as vendor/machine",
    MAX_NAME,
)
TITLE: Final = Text(r"(?![=\s])[^\x00-\x1f\x7f<>{}$`\\]+", "a line of text without < > { } $ ` \\", MAX_TITLE)
HOST: Final = Text(
    r"(?=.*[A-Za-z0-9])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*",
    "a host name or IPv4 address",
    253,
)
SERIAL_PORT: Final = Text("[A-Za-z][A-Za-z0-9_-]*", "the board's name of a serial port, as UART2", 32)
NODE: Final = Text(
    r"(?:ns=[0-9]{1,5};)?(?:i=[0-9]{1,10}|s=[A-Za-z0-9_.:/ -]*(?:\{i\})?[A-Za-z0-9_.:/ -]*)",
    "an OPC UA node, as ns=2;s=Zone.7.temperature",
    256,
)
URL: Final = Text(
    r"opc\.tcp://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._/-]*)?", "an address opc.tcp://host:port", 256
)
KEBAB: Final = Text("[a-z]+(?:-[a-z]+)*", "a BACnet name, as analog-input", 64)
DIGEST: Final = Text("(?:[0-9a-f]{64})?", "64 hexadecimal digits in lower case", 64)

ADDRESS: Final = Whole(0, LAST_ADDRESS)
BYTE: Final = Whole(0, 255)
UNIT_ID: Final = Whole(1, 247)  # Modbus over Serial Line 1.02 §2.2: 0 is broadcast, the rest reserved
SECONDS: Final = Number(0, MAX_PERIOD_S)
RAW: Final = Choice(tuple(parts.RAW_KINDS), "raw")
UNIT: Final = Choice(tuple(sorted(UNITS)), "unit")
CONDITIONS: Final = Mapped(NAME, Several(Either(NAME), 1, MAX_STATES), MAX_CONDITIONS)
BAUDS: Final = Choice((300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600))
PARITY: Final = Choice(("N", "E", "O"))

_READS = {"words_per_read": Whole(1, 125), "bridged_words": Whole(0, 124)}
_LINE: Mapping[str, Field] = {"port": SERIAL_PORT, "baud": BAUDS, "parity": PARITY, "stop_bits": Whole(1, 2)}
_TIMEOUT: Mapping[str, Field] = {"timeout_s": Number(0.01, 60)}
_SCALED: Mapping[str, Field] = {"raw": RAW, "scale": Number(), "offset": Number(), "unit": UNIT}
_RANGE: Mapping[str, Field] = {"low": Number(), "high": Number()}

# Document's word for a link -> class and fields.
LINKS: Mapping[str, tuple[type, Mapping[str, Field]]] = {
    "modbus-tcp": (
        parts.ModbusTcp,
        {"host": HOST, "port": Whole(1, 65535), "unit": UNIT_ID, **_TIMEOUT, **_READS},
    ),
    "modbus-rtu": (
        parts.ModbusRtu,
        {**_LINE, "unit": UNIT_ID, **_TIMEOUT, "gap_s": Number(0, 1), "echo": Flag(), **_READS},
    ),
    "framed-serial": (
        parts.FramedSerial,
        {**_LINE, "flag": BYTE, "escape": BYTE, "max_payload": Whole(1, 252), "acknowledged": Flag(), **_TIMEOUT},
    ),
    "opc-ua": (
        parts.OpcUa,
        {
            "url": URL,
            "policy": Choice(("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"), "policy"),
            "server_certificate_sha256": DIGEST,
            **_TIMEOUT,
        },
    ),
    "bacnet-ip": (
        parts.BacnetIp,
        {"host": HOST, "port": Whole(1, 65535), "device": Whole(0, 4_194_302), **_TIMEOUT},
    ),
}

LINK_PROTOCOL: Final = Choice(tuple(LINKS), "link")

# Class of address -> fields.
ADDRESSES: Mapping[type, Mapping[str, Field]] = {
    parts.ModbusAddress: {"table": Choice(tuple(parts.Table)), "address": ADDRESS},
    parts.FrameField: {"frame": NAME, "byte": BYTE},
    parts.NodeAddress: {"node": NODE},
    parts.ObjectAddress: {"object": KEBAB, "instance": Whole(0, 4_194_302), "property": KEBAB},
}
# Key -> attribute, where they differ: a point has an offset of its own, in engineering units.
ADDRESS_ATTRIBUTES: Final[Mapping[str, str]] = {"object": "object_type", "byte": "offset"}
# Class of link -> class of the addresses of its points.
ADDRESS_OF_LINK: Mapping[type, type] = {
    parts.ModbusTcp: parts.ModbusAddress,
    parts.ModbusRtu: parts.ModbusAddress,
    parts.FramedSerial: parts.FrameField,
    parts.OpcUa: parts.NodeAddress,
    parts.BacnetIp: parts.ObjectAddress,
}

REPORT: Mapping[str, Field] = {
    "absolute": Number(0),
    "percent": Number(0, 100),
    "min_s": SECONDS,
    "max_s": Number(0.1, MAX_PERIOD_S),
}


@dataclass(frozen=True, slots=True)
class Record:
    """A mapping with fixed keys that becomes a frozen value."""

    make: type
    fields: Mapping[str, Field]
    attributes: Mapping[str, str] = field(default_factory=dict)  # Key -> attribute, where they differ

    @property
    def required(self) -> frozenset[str]:
        """Keys that have no default."""
        without = {
            each.name for each in fields(self.make) if each.default is MISSING and each.default_factory is MISSING
        }
        return frozenset(key for key in self.fields if self.attributes.get(key, key) in without)

    def read(self, value: object, place: Place) -> Any:
        """The value of a document's mapping; raises ProfileError."""
        return self.make(**self.given(value, place))

    def named(self, value: object, place: Place, limit: int = MAX_PARTS) -> tuple[Any, ...]:
        """The values of a mapping of names to such mappings, ordered by name; raises ProfileError."""
        found = []
        for name, each in members(value, place, limit):
            NAME.read(name, place.below(name))
            found.append(self.make(name=name, **self.given(each, place.below(name))))
        return tuple(sorted(found, key=lambda each: each.name))

    def given(self, value: object, place: Place) -> dict[str, Any]:
        """What a mapping gives, by attribute."""
        entries = dict(members(value, place, len(self.fields) + MAX_CONDITIONS))
        for key in entries:
            if key not in self.fields:
                raise _unknown(key, self.fields, place)
        for key in self.fields:
            if key in self.required and key not in entries:
                raise place.below(key).fault("form", "it to be given", "nothing")
        return {
            self.attributes.get(key, key): self.fields[key].read(each, place.below(key))
            for key, each in entries.items()
        }

    def write(self, value: Any) -> dict[str, object]:
        """The document's form: fields that differ from their default."""
        defaults = {
            each.name: each.default if each.default_factory is MISSING else each.default_factory()
            for each in fields(self.make)
        }
        written = {}
        for key, kind in self.fields.items():
            attribute = self.attributes.get(key, key)
            each = getattr(value, attribute)
            default = defaults[attribute]
            if default is MISSING or each != default or type(each) is not type(default):
                written[key] = kind.write(each)
        return written

    def schema(self) -> dict[str, object]:
        """JSON Schema of the document's form."""
        return {
            "type": "object",
            "properties": {key: each.schema() for key, each in self.fields.items()},
            "required": sorted(self.required),
            "additionalProperties": False,
        }


# Keys by which profiles of other gateways let a point be written; ours lists writes as commands only.
WRITE_KEYS: Final = frozenset({"access", "mode", "read_write", "rw", "write", "writable", "writeable", "settable"})


def _unknown(key: str, known: Mapping[str, Field], place: Place) -> Exception:
    words = ", ".join(known)
    if key.lower() in EXPRESSION_KEYS:
        return place.below(key).fault("expression", "no expression: nothing in a profile is evaluated", key)
    if key.lower().replace("-", "_") in WRITE_KEYS:
        return place.below(key).fault("unlisted-write", "what may be written to be listed under commands", key)
    return place.below(key).fault("form", f"one of {words}", "an unknown key")


@dataclass(frozen=True, slots=True)
class Inner:
    """A record as a field."""

    record: Record

    def read(self, value: object, place: Place) -> Any:
        return self.record.read(value, place)

    def write(self, value: Any) -> object:
        return self.record.write(value)

    def schema(self) -> dict[str, object]:
        return self.record.schema()


@dataclass(frozen=True, slots=True)
class When:
    """Conditions, ``{state: [idle, heating]}``: point -> the values that it may have."""

    low: int
    high: int

    def read(self, value: object, place: Place) -> tuple[parts.Condition, ...]:
        found = CONDITIONS.read(value, place)
        if not self.low <= len(found) <= self.high:
            raise place.fault("form", f"{self.low} to {self.high} points with their values", f"{len(found)}")
        return tuple(parts.Condition(point, found[point]) for point in sorted(found))

    def write(self, value: Any) -> object:
        return {each.point: list(each.values) for each in value}

    def schema(self) -> dict[str, object]:
        return {**CONDITIONS.schema(), "minProperties": self.low, "maxProperties": self.high}


@dataclass(frozen=True, slots=True)
class OneCondition:
    """One condition, ``{state: [brewing]}``."""

    def read(self, value: object, place: Place) -> parts.Condition:
        (condition,) = When(1, 1).read(value, place)
        return condition

    def write(self, value: Any) -> object:
        return When(1, 1).write((value,))

    def schema(self) -> dict[str, object]:
        return When(1, 1).schema()


QUANTITY: Final = Choice(tuple(sorted(QUANTITY_UNITS)), "quantity")
_REPORT: Final = Inner(Record(parts.ReportRule, REPORT))
_WHEN: Final = When(0, MAX_CONDITIONS)

# What a point has besides its address.
POINT: Mapping[str, Field] = {
    "title": TITLE,
    **_SCALED,
    "quantity": QUANTITY,
    "group": NAME,
    "report": _REPORT,
    **_RANGE,
    "states": Numbered(NAME, -(2**31), 2**32 - 1, MAX_STATES),
    "bits": Numbered(NAME, 0, MAX_BITS - 1, MAX_BITS),
    "counter": Flag(),
}
# What a command has besides its address.
COMMAND: Mapping[str, Field] = {
    "title": TITLE,
    **_SCALED,
    **_RANGE,
    "fixed": Either(NAME),
    "step": Number(0),
    "shows": NAME,
    "every_s": SECONDS,
    "when": _WHEN,
    "local_consent": Flag(),
    "verify": Flag(),
    "frame": BYTE,
}
# An array besides its members; its position is a mapping of its own.
ARRAY: Final = Record(parts.Array, {"count": Whole(1, MAX_POINTS), "stride": Whole(0, 1024)})
POSITION: Final = Record(
    parts.Array,
    {"start": Number(), "pitch": Number(), "unit": UNIT},
    {"start": "position_start", "pitch": "position_pitch", "unit": "position_unit"},
)

EVENT: Final = Record(
    parts.EventRule,
    {"start": OneCondition(), "end": OneCondition(), "capture": Several(NAME, 0, 64)},
)
DERIVED: Final = Record(
    parts.Derived,
    {
        "title": TITLE,
        "operator": Choice(tuple(parts.Operator), "operator"),
        "inputs": Several(NAME, 1, 64),
        "window_s": SECONDS,
        "limit": Number(),
        "unit": UNIT,
        "report": _REPORT,
    },
)
ALARM: Final = Record(
    parts.AlarmRule,
    {
        "title": TITLE,
        "point": POINT_OR_MEMBER,
        "above": Flag(),
        "limit": Number(),
        "clear": Number(),
        "hold_s": SECONDS,
        "severity": Choice(("info", "warning", "critical")),
    },
)
FRAME: Final = Record(parts.FrameKind, {"kind": BYTE, "length": Whole(0, 252)})
RECIPE_FIELD: Final = Record(
    parts.RecipeField,
    {"offset": ADDRESS, "raw": RAW, "scale": Number(), "unit": UNIT, **_RANGE},
)
RECIPE: Mapping[str, Field] = {
    "address": ADDRESS,
    "words": Whole(1, 1024),
    "slots": Whole(1, 256),
    "commit_coil": ADDRESS,
    "when": _WHEN,
    "every_s": SECONDS,
}
FIRMWARE: Final = Record(
    parts.FirmwareArea,
    {
        "address": ADDRESS,
        "words": Whole(1, MAX_WRITE_WORDS),
        "offset_address": ADDRESS,
        "write_coil": ADDRESS,
        "commit_coil": ADDRESS,
        "revert_coil": ADDRESS,
        "version": NAME,
        "limit_bytes": Whole(1, MAX_FIRMWARE_BYTES),
        "when": _WHEN,
        "local_consent": Flag(),
    },
)
HEAD: Mapping[str, Field] = {
    "version": Whole(1, MAX_VERSION),
    "title": TITLE,
    "manufacturer": TITLE,
    "model": TITLE,
    "groups": Mapped(NAME, Number(MIN_PERIOD_S, MAX_PERIOD_S), MAX_GROUPS),
    "person_data": Flag(),
}
