# SPDX-License-Identifier: Apache-2.0
"""Readers for the values of an app manifest: each takes one decoded JSON value and returns it checked.

A capability reader has the shape of :data:`Reader`: value, JSON path, Azure Sphere's error id for a value that
does not parse, and the :class:`Context` of this parse. Some capabilities have further ids for values that parse
but are not allowed; those are written where they are raised.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from armillary.errors import ManifestError

# Device error code = category << 20 | id; category 2 is the app manifest.
ERROR_CATEGORY = 2

# One firewall rule and one resolver entry each; a manifest that needs more has no least privilege left.
HOST_LIMIT = 64
PORT_LIMIT = 64
APPLICATION_CONNECTION_LIMIT = 64
# More than any chip profile has; the profile says which of them exist.
PERIPHERAL_LIMIT = 128
GPIO_PIN_LIMIT = 1023
HOST_NAME_LIMIT_CHARACTERS = 253  # RFC 1035 §2.3.4, in presentation form
TEXT_LIMIT_CHARACTERS = 1024  # one argument: longer than any path or connection string

_Item = TypeVar("_Item")

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# RFC 1123 §2.1 labels, with the underscore that service names use (_http._tcp.local).
_HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# A last label like this makes some resolvers read the whole name as an IPv4 address (0x7f.1, 10.1).
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PERIPHERAL = re.compile(r"[A-Z][A-Z0-9_-]{0,63}")
_NAME = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]{0,127}")
_PATH_PART = re.compile(r"[A-Za-z0-9._+-]{1,255}")


@dataclass(frozen=True, slots=True)
class Context:
    """What the caller of the parser allows."""

    names_allowed: bool  # ``$NAME`` peripherals may stand in the manifest
    storage_limit_kb: int  # largest mutable storage, KiB


Reader = Callable[[Any, str, int, Context], Any]


def error_code(error_id: int) -> int:
    """Azure Sphere's device error code for an id of the app manifest's table."""
    return ERROR_CATEGORY << 20 | error_id


def wrong(path: str, expected: str, got: object, error_id: int | None = None) -> ManifestError:
    """The error for one value; shows at most 80 characters of it."""
    shown = got if isinstance(got, str) and _printable(got) else repr(got)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    code = None if error_id is None else error_code(error_id)
    return ManifestError(path, expected=expected, got=shown or "an empty string", error_id=code)


def known_keys(document: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    """Refuse keys that are not in ``known``."""
    unknown = sorted(set(document) - set(known), key=str)
    if unknown:
        raise wrong(path, "known keys only", f"the unknown key {unknown[0]!r}")


def required(document: Mapping[str, Any], key: str, error_id: int | None = None) -> Any:
    """The value of a key that must be there."""
    if key not in document:
        raise wrong(key, "a value", "nothing", error_id)
    return document[key]


def integer(value: object, path: str, error_id: int | None, *, minimum: int, maximum: int) -> int:
    """A whole number in a range; JSON's true and 1.0 are not numbers here."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise wrong(path, f"a whole number from {minimum} to {maximum}", value, error_id)
    return value


def optional_integer(
    document: Mapping[str, Any], key: str, error_id: int | None, *, minimum: int, maximum: int
) -> int | None:
    """As :func:`integer`, or None where the key is absent."""
    return integer(document[key], key, error_id, minimum=minimum, maximum=maximum) if key in document else None


def text(value: object, path: str, error_id: int | None = None, *, limit: int = TEXT_LIMIT_CHARACTERS) -> str:
    """A string of 1 to ``limit`` characters without control characters."""
    if not isinstance(value, str) or not 0 < len(value) <= limit or not _printable(value):
        raise wrong(path, f"1 to {limit} characters of text", value, error_id)
    return value


def optional_text(document: Mapping[str, Any], key: str, *, limit: int) -> str | None:
    """As :func:`text`, or None where the key is absent."""
    return text(document[key], key, limit=limit) if key in document else None


def guid(value: object, path: str, error_id: int | None = None) -> UUID:
    """A GUID in its 36-character form, either case."""
    if not isinstance(value, str) or not _GUID.fullmatch(value):
        raise wrong(path, "a GUID such as 2f074b0f-d99d-4692-82d9-ef93a7d6463c", value, error_id)
    return UUID(value)


def absolute_path(value: object, path: str, error_id: int | None = None) -> str:
    """An absolute path without ``.``, ``..``, empty parts or characters beyond letters, digits and ``._+-``."""
    if isinstance(value, str) and value.startswith("/") and len(value) <= TEXT_LIMIT_CHARACTERS:
        parts = value[1:].split("/")
        if all(_PATH_PART.fullmatch(part) and part not in (".", "..") for part in parts):
            return value
    raise wrong(path, "an absolute path inside the image, such as /bin/app", value, error_id)


def arguments(value: object, path: str, error_id: int, *, limit: int) -> tuple[str, ...]:
    """Command-line arguments: strings without NUL; an empty string is an argument."""
    return tuple(_argument(item, place, error_id) for place, item in _entries(value, path, error_id, limit))


def boolean(value: object, path: str, error_id: int, context: Context) -> bool:  # noqa: ARG001 - Reader's shape
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(path, "true or false", value, error_id)
    return value


def hosts(value: object, path: str, error_id: int, context: Context) -> tuple[str, ...]:  # noqa: ARG001
    """Host names and IP addresses, each once; returned in lower case, addresses in their canonical form."""
    found = [_host(item, place, error_id) for place, item in _entries(value, path, error_id, HOST_LIMIT)]
    return _distinct(found, path, error_id)


def tcp_ports(value: object, path: str, error_id: int, context: Context) -> tuple[int, ...]:  # noqa: ARG001
    """TCP ports, each once; 2097190 for a number that is no port."""
    return _ports(value, path, error_id, 38)


def udp_ports(value: object, path: str, error_id: int, context: Context) -> tuple[int, ...]:  # noqa: ARG001
    """UDP ports, each once; 2097191 for a number that is no port."""
    return _ports(value, path, error_id, 39)


def component_ids(value: object, path: str, error_id: int, context: Context) -> tuple[UUID, ...]:  # noqa: ARG001
    """Component ids, each once."""
    entries = _entries(value, path, error_id, APPLICATION_CONNECTION_LIMIT)
    return _distinct([guid(item, place, error_id) for place, item in entries], path, error_id)


def gpio(value: object, path: str, error_id: int, context: Context) -> tuple[int | str, ...]:
    """Pin numbers, each once (2097187); ``$NAME`` where allowed."""
    found: list[int | str] = []
    for place, item in _entries(value, path, error_id, PERIPHERAL_LIMIT):
        if isinstance(item, str):
            found.append(_reference(item, place, error_id, context))
        else:
            found.append(integer(item, place, error_id, minimum=0, maximum=GPIO_PIN_LIMIT))
    return _distinct(found, path, 35)


def peripherals(value: object, path: str, error_id: int, context: Context) -> tuple[str, ...]:
    """Controller names such as ``ISU0``, each once (2097187); ``$NAME`` where allowed."""
    found: list[str] = []
    for place, item in _entries(value, path, error_id, PERIPHERAL_LIMIT):
        if isinstance(item, str) and _PERIPHERAL.fullmatch(item):
            found.append(item)
        elif isinstance(item, str):
            found.append(_reference(item, place, error_id, context))
        else:
            raise wrong(place, "a peripheral's name, such as ISU0", item, error_id)
    return _distinct(found, path, 35)


def mutable_storage(value: object, path: str, error_id: int, context: Context) -> int:
    """``{"SizeKB": n}``: 2097183 no object, 2097184 no size, 2097185 no number, 2097186 too large."""
    if not isinstance(value, Mapping):
        raise wrong(path, 'an object such as {"SizeKB": 8}', value, error_id)
    known_keys(value, ("SizeKB",), path)
    if "SizeKB" not in value:
        raise wrong(f"{path}.SizeKB", "a value", "nothing", 32)
    size_kb = integer(value["SizeKB"], f"{path}.SizeKB", 33, minimum=1, maximum=2**32)
    if size_kb > context.storage_limit_kb:
        raise wrong(f"{path}.SizeKB", f"at most {context.storage_limit_kb} KiB", size_kb, 34)
    return size_kb


def power_controls(known: tuple[str, ...]) -> Reader:
    """A reader for a non-empty subset of ``known``: 2097200 no array or twice, 2097201 empty, 2097202 unknown."""

    def read(value: object, path: str, error_id: int, context: Context) -> tuple[str, ...]:  # noqa: ARG001
        entries = _entries(value, path, error_id, 16)
        if not entries:
            raise wrong(path, f"one or more of {', '.join(known)}", "an empty array", 49)
        for place, item in entries:
            if item not in known:
                raise wrong(place, f"one of {', '.join(known)}", item, 50)
        return _distinct([item for _, item in entries], path, error_id)

    return read


def catalog_id(value: object, path: str, error_id: int, context: Context) -> UUID:  # noqa: ARG001 - Reader's shape
    """The catalog (Azure Sphere: tenant) whose certificates are asked for: 2097181 when longer than a GUID."""
    if isinstance(value, str) and len(value) > 36:
        raise wrong(path, "a GUID of 36 characters", value, 29)
    return guid(value, path, error_id)


def _printable(value: str) -> bool:
    return _encodable(value) and all(character >= " " and character != "\x7f" for character in value)


def _encodable(value: str) -> bool:
    """Whether UTF-8 can hold the value: JSON can spell lone surrogates, no file or argument list can."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _entries(value: object, path: str, error_id: int, limit: int) -> list[tuple[str, Any]]:
    """The JSON path and the value of each entry of an array."""
    if not isinstance(value, list) or len(value) > limit:
        raise wrong(path, f"an array of at most {limit} entries", value, error_id)
    return [(f"{path}[{index}]", item) for index, item in enumerate(value)]


def _distinct(found: Sequence[_Item], path: str, error_id: int) -> tuple[_Item, ...]:
    for index, item in enumerate(found):
        if item in found[:index]:
            raise wrong(f"{path}[{index}]", "each entry once", f"{item} twice", error_id)
    return tuple(found)


def _argument(value: object, path: str, error_id: int) -> str:
    if not isinstance(value, str) or len(value) > TEXT_LIMIT_CHARACTERS or "\0" in value or not _encodable(value):
        raise wrong(path, f"a string of at most {TEXT_LIMIT_CHARACTERS} characters without NUL", value, error_id)
    return value


def _host(value: object, path: str, error_id: int) -> str:
    expected = "a host name or IP address, without wildcard, port or scheme"
    # Not ASCII: lower() would make ASCII of some other letters. A per cent sign: an interface name behind an IPv6
    # address may hold anything.
    if not isinstance(value, str) or not value.isascii() or "%" in value:
        raise wrong(path, expected, value, error_id)
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    name = value.lower()
    labels = name.split(".")
    if (
        len(name) > HOST_NAME_LIMIT_CHARACTERS
        or not all(_HOST_LABEL.fullmatch(label) for label in labels)
        or _NUMERIC_LABEL.fullmatch(labels[-1])
    ):
        raise wrong(path, expected, value, error_id)
    return name


def _ports(value: object, path: str, error_id: int, illegal_id: int) -> tuple[int, ...]:
    found: list[int] = []
    for place, item in _entries(value, path, error_id, PORT_LIMIT):
        if not isinstance(item, int) or isinstance(item, bool):
            raise wrong(place, "a port number", repr(item), error_id)
        found.append(integer(item, place, illegal_id, minimum=1, maximum=65535))
    return _distinct(found, path, error_id)


def _reference(value: str, path: str, error_id: int, context: Context) -> str:
    if not _NAME.fullmatch(value):
        raise wrong(path, "a peripheral's value or $NAME", value, error_id)
    if not context.names_allowed:
        raise wrong(path, "a value; names are resolved with a hardware definition before packing", value, error_id)
    return value
