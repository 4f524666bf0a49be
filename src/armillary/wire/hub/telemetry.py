# SPDX-License-Identifier: Apache-2.0
"""Reads telemetry messages: JSON bytes and message properties into measured values with a time.

A message body is one JSON object (RFC 8259, UTF-8). Its numbers, booleans and strings become values; nested
objects and arrays are flattened with dots (``{"air":{"co2":612},"lanes":[3,1]}`` is ``air.co2``, ``lanes.0``,
``lanes.1``); null values are left out. NaN, Infinity and numbers beyond a double are refused: charts and rules could
not use them.

Message properties that matter here (IoT Hub): ``$.ct`` content type, ``$.ce`` content encoding, ``$.sub`` the
component the message is from (prefixed to the names), ``iothub-creation-time-utc`` the time of measurement; and ours:
``historical=true`` for a message that waited at its sender.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from armillary.errors import WireError

try:
    import msgspec
except ModuleNotFoundError:  # nobody has built it for 32-bit Arm: the full reader reads every message there
    _HAS_MSGSPEC = False
else:
    _HAS_MSGSPEC = True

FORMAT = "telemetry"

# Values in one message: IoT Central allows 300 capabilities in a whole device template.
MAX_VALUES = 256

# Nesting of a message body, the outermost object being level 1: models have components of components at most.
MAX_DEPTH = 8

# A name is a column heading and part of a URL; a device template's names are far shorter.
MAX_NAME_CHARACTERS = 128

# A string is a state or a short text, not a document: those belong into a file upload.
MAX_STRING_CHARACTERS = 1024

# Bytes of one message, as IoT Hub's: 256 KB.
MAX_MESSAGE_BYTES = 256 * 1024

# A measurement from the future would hide every later one as the latest value; clocks drift by less than this.
MAX_AHEAD_MS = 24 * 3600 * 1000

# Before 2000-01-01 there was no such device: a clock that was never set.
EARLIEST_MS = 946_684_800_000

CREATION_TIME_PROPERTY = "iothub-creation-time-utc"

HISTORICAL_PROPERTY = "historical"

Value = float | bool | str


class Telemetry(NamedTuple):
    """The values of one message."""

    at_ms: int  # time of measurement, Unix milliseconds UTC
    values: Mapping[str, Value]  # flattened name -> number (always a float), truth value or text


def _refuse_constant(text: str) -> float:
    raise _fault("numbers as in RFC 8259", text)


def _parse_int(digits: str) -> float:
    # Straight to a double: an integer of thousands of digits costs quadratic time and could not be kept anyway.
    return float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_parse_int)


def _flat_reader() -> Any:
    """What reads a message that is one flat object without null; None where there is no msgspec."""
    if not _HAS_MSGSPEC:
        return None
    return msgspec.json.Decoder(
        Annotated[
            dict[
                Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)],
                float | bool | Annotated[str, msgspec.Meta(max_length=MAX_STRING_CHARACTERS)],
            ],
            msgspec.Meta(max_length=MAX_VALUES),
        ]
    )


_FLAT = _flat_reader()


def is_json(properties: Mapping[str, str]) -> bool:
    """Whether a message is JSON in UTF-8 by its properties, or has none. Others are stored but not read."""
    content_type = properties.get("$.ct", "application/json").partition(";")[0].strip().lower()
    encoding = properties.get("$.ce", "utf-8").lower()
    return content_type in ("application/json", "text/json") and encoding in ("utf-8", "utf8")


def is_historical(properties: Mapping[str, str]) -> bool:
    """Whether a message waited at its sender, by its properties: what it says was so, and need not be so any more.

    Raises WireError for one that does not say when: its values have no place in time.
    """
    if properties.get(HISTORICAL_PROPERTY) != "true":
        return False
    if CREATION_TIME_PROPERTY not in properties:
        raise _fault(f"{CREATION_TIME_PROPERTY} with {HISTORICAL_PROPERTY}", "none")
    return True


def decode(payload: bytes, properties: Mapping[str, str], received_ms: int) -> Telemetry:
    """Read one JSON message, received at ``received_ms``: its time of measurement unless its properties state another.

    Raises WireError with what is wrong; the message has no values then.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise _fault(f"at most {MAX_MESSAGE_BYTES} bytes", f"{len(payload)} bytes")
    component = properties.get("$.sub", "")
    prefix = component + "." if component else ""
    values = _flat(payload, prefix)
    if values is None:
        values = {}
        _flatten(_document(payload), prefix, 1, values)
    return Telemetry(_measured_at(properties.get(CREATION_TIME_PROPERTY), received_ms), values)


def _flat(payload: bytes, prefix: str) -> dict[str, Value] | None:
    """The values of a message that is one flat object without null, as nearly all are.

    None for any other and for a faulty one, whose fault the full reader names. The two agree (a property test).
    """
    if _FLAT is None:
        return None
    try:
        values: dict[str, Value] = _FLAT.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if prefix:
        values = {prefix + name: value for name, value in values.items()}
        if max(map(len, values), default=0) > MAX_NAME_CHARACTERS:
            return None
    return values if "".join(values).isprintable() else None


def _document(payload: bytes) -> dict[str, object]:
    try:
        document = _DECODER.decode(payload.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _fault("UTF-8", f"byte {payload[error.start]:#04x} at {error.start}") from None
    except RecursionError:
        raise _fault(f"at most {MAX_DEPTH} levels", "hundreds") from None
    except ValueError as error:
        raise _fault("a JSON document", str(error)) from None
    if not isinstance(document, dict):
        raise _fault("a JSON object", type(document).__name__)
    return document


def encode(values: Mapping[str, Value]) -> bytes:
    """A message body with these values; names keep their dots. Raises WireError for a number that is not finite."""
    try:
        return json.dumps(dict(values), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except ValueError as error:
        raise _fault("finite numbers and text without surrogates", str(error)) from None


def _flatten(document: dict[str, object], prefix: str, depth: int, values: dict[str, Value]) -> None:
    for key, value in document.items():
        name = prefix + key
        if value is None:
            continue
        if type(value) is float:
            if not math.isfinite(value):
                raise _fault(f"{name[:64]!a} within a double", "a number beyond it")
        elif isinstance(value, (dict, list)):
            if depth >= MAX_DEPTH:
                raise _fault(f"at most {MAX_DEPTH} levels", f"more at {name[:64]!a}")
            _check_name(key, name)
            inner = value if isinstance(value, dict) else dict(_numbered(value))
            _flatten(inner, name + ".", depth + 1, values)
            continue
        elif isinstance(value, str):
            _check_text(name, value)
        _check_name(key, name)
        if name in values:
            raise _fault("each name once after flattening", f"{name[:64]!a} twice")
        values[name] = value  # type: ignore[assignment]  # float, bool or str: all that JSON has left
        if len(values) > MAX_VALUES:
            raise _fault(f"at most {MAX_VALUES} values", "more")


def _numbered(items: list[object]) -> Iterator[tuple[str, object]]:
    if len(items) > MAX_VALUES:
        raise _fault(f"at most {MAX_VALUES} values", f"an array of {len(items)}")
    return ((str(index), item) for index, item in enumerate(items))


def _check_name(key: str, name: str) -> None:
    if not key or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise _fault(
            f"printable names of 1 to {MAX_NAME_CHARACTERS} characters", ascii(name[: MAX_NAME_CHARACTERS + 1])
        )


def _check_text(name: str, text: str) -> None:
    if len(text) > MAX_STRING_CHARACTERS:
        raise _fault(f"{name[:64]!a} of at most {MAX_STRING_CHARACTERS} characters", f"{len(text)} characters")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _fault(f"{name[:64]!a} without lone surrogates", ascii(text[:32]))


def _measured_at(text: str | None, received_ms: int) -> int:
    if text is None:
        return received_ms
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at_ms = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _fault(f"{CREATION_TIME_PROPERTY} in ISO 8601", ascii(text[:40])) from None
    if not EARLIEST_MS <= at_ms <= received_ms + MAX_AHEAD_MS:
        raise _fault(f"{CREATION_TIME_PROPERTY} after 1999 and at most a day ahead", ascii(text[:40]))
    return at_ms


def _fault(expected: str, got: str) -> WireError:
    return WireError(
        FORMAT,
        expected=expected,
        got=got,
        remedy="Correct what the device sends; the message itself is kept as it came.",
        code="wire.telemetry",
    )
