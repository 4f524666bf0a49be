# SPDX-License-Identifier: Apache-2.0
"""The fields of MQTT packets: integers, strings, variable lengths, and MQTT 5 properties.

Sources: MQTT 3.1.1 (OASIS 2014) §1.5, §2.2.3; MQTT 5.0 (OASIS 2019) §1.5, §2.2.2. All integers are big
endian. What is stricter than many brokers: strings must be well-formed UTF-8 without U+0000 and without
surrogates, lengths use the shortest form, a property stands only in the packets the specification names
and only once unless it may repeat.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from armillary.errors import WireError

FORMAT = "mqtt"

# Error codes of what MQTT 5 calls a protocol error where all else malformed is a malformed packet (§4.13.1), and of a
# topic alias that stands for nothing (§3.3.2.3.4).
CODE_PROTOCOL = "wire.mqtt-order"
CODE_TOPIC_ALIAS = "wire.mqtt-topic-alias"

# §2.2.3: four bytes of seven bits; the longest remaining length the format can say.
MAX_REMAINING_LENGTH = 268_435_455

# A two-byte length prefix can say no more (§1.5.3).
MAX_STRING_BYTES = 65_535

PropertyValue = int | str | bytes | tuple[str, str]


class Property(enum.IntEnum):
    """The identifier of each property (MQTT 5 §2.2.2.2, table 2-4)."""

    PAYLOAD_FORMAT_INDICATOR = 0x01
    MESSAGE_EXPIRY_INTERVAL = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY_INTERVAL = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY_INTERVAL = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_SUBSCRIPTION_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


Properties = tuple[tuple[Property, PropertyValue], ...]


class Kind(enum.Enum):
    """How a property's value is written."""

    BOOLEAN = "one byte, 0 or 1"
    U16 = "two-byte integer"
    U16_POSITIVE = "two-byte integer, not 0"
    U32 = "four-byte integer"
    U32_POSITIVE = "four-byte integer, not 0"
    VARINT_POSITIVE = "variable byte integer, not 0"
    STRING = "UTF-8 string"
    BINARY = "binary data"
    PAIR = "pair of UTF-8 strings"


@dataclass(frozen=True, slots=True)
class PropertyRule:
    """Where a property may stand, how it is written, and whether it may repeat."""

    kind: Kind
    packets: frozenset[str]
    repeats: bool = False


def _rule(kind: Kind, packets: str, *, repeats: bool = False) -> PropertyRule:
    return PropertyRule(kind, frozenset(packets.split()), repeats)


_EVERYWHERE = "connect connack publish will puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback"

# MQTT 5 table 2-4, with the packets of each property's own section.
PROPERTY_RULES: dict[Property, PropertyRule] = {
    Property.PAYLOAD_FORMAT_INDICATOR: _rule(Kind.BOOLEAN, "publish will"),
    Property.MESSAGE_EXPIRY_INTERVAL: _rule(Kind.U32, "publish will"),
    Property.CONTENT_TYPE: _rule(Kind.STRING, "publish will"),
    Property.RESPONSE_TOPIC: _rule(Kind.STRING, "publish will"),
    Property.CORRELATION_DATA: _rule(Kind.BINARY, "publish will"),
    Property.SUBSCRIPTION_IDENTIFIER: _rule(Kind.VARINT_POSITIVE, "publish subscribe", repeats=True),
    Property.SESSION_EXPIRY_INTERVAL: _rule(Kind.U32, "connect connack disconnect"),
    Property.ASSIGNED_CLIENT_IDENTIFIER: _rule(Kind.STRING, "connack"),
    Property.SERVER_KEEP_ALIVE: _rule(Kind.U16, "connack"),
    Property.AUTHENTICATION_METHOD: _rule(Kind.STRING, "connect connack auth"),
    Property.AUTHENTICATION_DATA: _rule(Kind.BINARY, "connect connack auth"),
    Property.REQUEST_PROBLEM_INFORMATION: _rule(Kind.BOOLEAN, "connect"),
    Property.WILL_DELAY_INTERVAL: _rule(Kind.U32, "will"),
    Property.REQUEST_RESPONSE_INFORMATION: _rule(Kind.BOOLEAN, "connect"),
    Property.RESPONSE_INFORMATION: _rule(Kind.STRING, "connack"),
    Property.SERVER_REFERENCE: _rule(Kind.STRING, "connack disconnect"),
    Property.REASON_STRING: _rule(Kind.STRING, "connack puback pubrec pubrel pubcomp suback unsuback disconnect auth"),
    Property.RECEIVE_MAXIMUM: _rule(Kind.U16_POSITIVE, "connect connack"),
    Property.TOPIC_ALIAS_MAXIMUM: _rule(Kind.U16, "connect connack"),
    Property.TOPIC_ALIAS: _rule(Kind.U16_POSITIVE, "publish"),
    Property.MAXIMUM_QOS: _rule(Kind.BOOLEAN, "connack"),
    Property.RETAIN_AVAILABLE: _rule(Kind.BOOLEAN, "connack"),
    Property.USER_PROPERTY: _rule(Kind.PAIR, _EVERYWHERE + " disconnect auth", repeats=True),
    Property.MAXIMUM_PACKET_SIZE: _rule(Kind.U32_POSITIVE, "connect connack"),
    Property.WILDCARD_SUBSCRIPTION_AVAILABLE: _rule(Kind.BOOLEAN, "connack"),
    Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: _rule(Kind.BOOLEAN, "connack"),
    Property.SHARED_SUBSCRIPTION_AVAILABLE: _rule(Kind.BOOLEAN, "connack"),
}


class FieldReader:
    """Reads the fields of one packet, ``data`` from ``start`` to ``end``, in order; every read checks the bounds."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = start
        self.end = len(data) if end is None else end

    def fail(self, expected: str, got: str, code: str | None = None) -> WireError:
        """The error for the present offset; the caller raises it."""
        remedy = "Correct the MQTT client."
        return WireError(FORMAT, expected=expected, got=got, offset=self.at, remedy=remedy, code=code)

    def take(self, length: int, what: str) -> bytes:
        """The next ``length`` bytes."""
        if length > self.end - self.at:
            raise self.fail(f"{length} bytes of {what}", f"{self.end - self.at} bytes before the packet ends")
        value = self.data[self.at : self.at + length]
        self.at += length
        return value

    def u8(self, what: str) -> int:
        """A byte."""
        return self.take(1, what)[0]

    def u16(self, what: str) -> int:
        """A two-byte integer."""
        return int.from_bytes(self.take(2, what), "big")

    def u32(self, what: str) -> int:
        """A four-byte integer."""
        return int.from_bytes(self.take(4, what), "big")

    def varint(self, what: str) -> int:
        """A variable byte integer (MQTT 5 §1.5.5) in its shortest form."""
        start = self.at
        value = 0
        for position in range(4):
            byte = self.u8(what)
            value |= (byte & 0x7F) << (7 * position)
            if not byte & 0x80:
                if position and not byte:
                    self.at = start
                    raise self.fail(f"{what} in the shortest form", f"{position + 1} bytes for {value}")
                return value
        self.at = start
        raise self.fail(f"{what} of at most 4 bytes", "a fifth byte announced")

    def string(self, what: str) -> str:
        """A UTF-8 string with its two-byte length (§1.5.3)."""
        start = self.at
        raw = self.take(self.u16(f"length of {what}"), what)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            self.at = start
            raise self.fail(f"{what} in well-formed UTF-8", f"byte {raw[error.start]:#04x} at {error.start}") from None
        if "\0" in text:
            self.at = start
            raise self.fail(f"{what} without U+0000", "U+0000")
        return text

    def binary(self, what: str) -> bytes:
        """Bytes with their two-byte length (MQTT 5 §1.5.6)."""
        return self.take(self.u16(f"length of {what}"), what)

    def rest(self) -> bytes:
        """Everything up to the end of the packet."""
        value = self.data[self.at : self.end]
        self.at = self.end
        return value

    def finish(self, what: str) -> None:
        """Check that no bytes are left."""
        if self.at != self.end:
            raise self.fail(f"the end of {what}", f"{self.end - self.at} more bytes")

    def properties(self, packet: str) -> Properties:
        """A property list with its length (MQTT 5 §2.2.2), for the packet (or ``will``) of this name."""
        length = self.varint("property length")
        if length > self.end - self.at:
            raise self.fail(f"{length} bytes of properties", f"{self.end - self.at} bytes before the packet ends")
        inner = FieldReader(self.data, self.at, self.at + length)
        self.at += length
        found: list[tuple[Property, PropertyValue]] = []
        seen: set[int] = set()
        while inner.at < inner.end:
            found.append(_read_property(inner, packet, seen))
        return tuple(found)


def _read_property(reader: FieldReader, packet: str, seen: set[int]) -> tuple[Property, PropertyValue]:
    start = reader.at
    number = reader.varint("property identifier")
    try:
        key = Property(number)
    except ValueError:
        reader.at = start
        raise reader.fail("a property identifier of MQTT 5 table 2-4", f"{number:#04x}") from None
    rule = PROPERTY_RULES[key]
    if packet not in rule.packets:
        reader.at = start
        raise reader.fail(f"a property that {packet} may carry", key.name)
    if key in seen and (not rule.repeats or (packet == "subscribe" and key is Property.SUBSCRIPTION_IDENTIFIER)):
        reader.at = start
        raise reader.fail("each property once", f"{key.name} twice", CODE_PROTOCOL)
    seen.add(key)
    value = _READ[rule.kind](reader, key.name)
    if rule.kind is Kind.BOOLEAN and value not in (0, 1):
        reader.at = start
        raise reader.fail(f"{key.name} of 0 or 1", str(value), CODE_PROTOCOL)
    if not value and rule.kind in (Kind.U16_POSITIVE, Kind.U32_POSITIVE, Kind.VARINT_POSITIVE):
        reader.at = start
        raise reader.fail(
            f"{key.name} above 0", "0", CODE_TOPIC_ALIAS if key is Property.TOPIC_ALIAS else CODE_PROTOCOL
        )
    if key is Property.RESPONSE_TOPIC and isinstance(value, str) and ("+" in value or "#" in value):
        reader.at = start
        raise reader.fail("a response topic without wildcards (MQTT-3.3.2-14)", ascii(value[:60]), CODE_PROTOCOL)
    return key, value


_READ: dict[Kind, Callable[[FieldReader, str], PropertyValue]] = {
    Kind.BOOLEAN: FieldReader.u8,
    Kind.U16: FieldReader.u16,
    Kind.U16_POSITIVE: FieldReader.u16,
    Kind.U32: FieldReader.u32,
    Kind.U32_POSITIVE: FieldReader.u32,
    Kind.VARINT_POSITIVE: FieldReader.varint,
    Kind.STRING: FieldReader.string,
    Kind.BINARY: FieldReader.binary,
    Kind.PAIR: lambda reader, what: (reader.string(what), reader.string(what)),
}


def encode_varint(value: int) -> bytes:
    """A variable byte integer in its shortest form; raises WireError unless it is 0 to MAX_REMAINING_LENGTH."""
    if not 0 <= value <= MAX_REMAINING_LENGTH:
        raise WireError(FORMAT, expected=f"a length of 0 to {MAX_REMAINING_LENGTH}", got=str(value))
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        if not value:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def encode_binary(value: bytes) -> bytes:
    """Bytes with their two-byte length; raises WireError above MAX_STRING_BYTES."""
    if len(value) > MAX_STRING_BYTES:
        raise WireError(FORMAT, expected=f"at most {MAX_STRING_BYTES} bytes", got=f"{len(value)} bytes")
    return len(value).to_bytes(2, "big") + value


def encode_string(value: str) -> bytes:
    """A UTF-8 string with its two-byte length; raises WireError for U+0000, surrogates and above MAX_STRING_BYTES."""
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError:
        raise WireError(FORMAT, expected="text without surrogates", got=ascii(value[:64])) from None
    if b"\0" in raw:
        raise WireError(FORMAT, expected="text without U+0000", got=ascii(value[:64]))
    return encode_binary(raw)


def encode_properties(properties: Properties) -> bytes:
    """A property list with its length."""
    body = b"".join(encode_varint(key) + _encode_value(PROPERTY_RULES[key].kind, value) for key, value in properties)
    return encode_varint(len(body)) + body


_WIDTHS = {Kind.BOOLEAN: 1, Kind.U16: 2, Kind.U16_POSITIVE: 2, Kind.U32: 4, Kind.U32_POSITIVE: 4}


def _encode_value(kind: Kind, value: PropertyValue) -> bytes:
    if isinstance(value, int):
        if kind is Kind.VARINT_POSITIVE:
            return encode_varint(value)
        if kind in _WIDTHS and 0 <= value < 1 << (8 * _WIDTHS[kind]):
            return value.to_bytes(_WIDTHS[kind], "big")
    elif isinstance(value, str) and kind is Kind.STRING:
        return encode_string(value)
    elif isinstance(value, bytes) and kind is Kind.BINARY:
        return encode_binary(value)
    elif isinstance(value, tuple) and kind is Kind.PAIR:
        return encode_string(value[0]) + encode_string(value[1])
    raise WireError(FORMAT, expected=kind.value, got=ascii(value)[:64])
