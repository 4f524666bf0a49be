# SPDX-License-Identifier: Apache-2.0
"""One line of a modem as a value. What is no line of the table, or has other fields than its form, is ``Other``.

Lines that a modem sends unasked have the same form as answers, but for registrations (27.007 §7.2): asked
``+CEREG: <n>,<stat>[,...]``, unasked ``+CEREG: <stat>[,...]``. Whoever reads them takes both alike.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from armillary.wire.modem.radio import (
    ERROR_TEXTS,
    REGISTRATIONS,
    SIM_CODES,
    TECHNOLOGIES,
    Registration,
    SimState,
    Technology,
    cesq_dbm,
    csq_dbm,
)

MAX_NAME_CHARACTERS: Final = 64  # of an operator, an access point, a model
_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_DIGITS: Final = re.compile(r"[0-9]{14,20}F?")
# Nothing is tried twice (``*+``): a line of spaces, which a modem may send, would take half a minute otherwise.
_FIELD: Final = re.compile(r'\s*+(?:"([^"]*+)"|([^,"]*+))\s*+(,|$)')


@dataclass(frozen=True, slots=True)
class Done:
    """The command succeeded (``OK``)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The command failed; ``number`` is that of +CME ERROR, None where the modem says no more than ERROR."""

    number: int | None = None
    text: str = "ERROR"


@dataclass(frozen=True, slots=True)
class CarrierLost:
    """The data session has ended (``NO CARRIER``, or +CGEV: a context was deactivated or the network detached)."""

    text: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The modem has started again, and has forgotten what it was told (``RDY``, as many modules say)."""


@dataclass(frozen=True, slots=True)
class Sim:
    """What the SIM wants."""

    state: SimState


@dataclass(frozen=True, slots=True)
class Registered:
    """Where the modem is registered; ``kind`` is CREG, CGREG, CEREG or C5GREG."""

    kind: str
    registration: Registration
    technology: Technology = Technology.UNKNOWN


@dataclass(frozen=True, slots=True)
class Operator:
    """The network that it is in; empty where in none. ``digits`` are country and network as numbers."""

    name: str = ""
    digits: str = ""
    technology: Technology = Technology.UNKNOWN


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong the network is received; None where that is not known."""

    dbm: int | None


@dataclass(frozen=True, slots=True)
class Attached:
    """Whether the packet service is there."""

    is_attached: bool


@dataclass(frozen=True, slots=True)
class Context:
    """Whether a data session (PDP context) is up."""

    number: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class Addressing:
    """What the network gave a data session. ``mask`` is that of one address where the modem names none."""

    number: int
    access_point: str
    address: IPv4Address
    mask: IPv4Address
    gateway: IPv4Address | None
    name_servers: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """A number that names something: ``kind`` is IMEI, IMSI or ICCID; ``number`` where a line has no name."""

    kind: str
    digits: str


@dataclass(frozen=True, slots=True)
class Other:
    """Any other line."""

    text: str


Answer = (
    Done
    | Refused
    | CarrierLost
    | Restarted
    | Sim
    | Registered
    | Operator
    | Strength
    | Attached
    | Context
    | Addressing
    | Identity
    | Other
)


def parse_line(line: str) -> Answer:
    """What a line says; never raises."""
    if line in _WHOLE:
        return _WHOLE[line]
    name, separator, rest = line.partition(":")
    read = _READERS.get(name.upper())
    if separator and read is not None:
        with contextlib.suppress(ValueError, IndexError):
            return read(name.upper().lstrip("+"), rest.strip())
    if _DIGITS.fullmatch(line):
        return Identity("number", line.removesuffix("F"))
    return Other(line)


def split_fields(text: str) -> list[str | None]:
    """The fields of an answer; one in quotes begins with a quote, one that is empty is None.

    Raises:
        ValueError: a quote is not closed, or something stands beside it.
    """
    found: list[str | None] = []
    place = 0
    while True:
        match = _FIELD.match(text, place)
        if match is None:
            raise ValueError(text)
        quoted, bare, end = match.groups()
        found.append(f'"{quoted}' if quoted is not None else bare.rstrip() or None)
        place = match.end()
        if not end:
            return found


def _number(field: str | None) -> int:
    if field is None or not _NUMBER.fullmatch(field):
        raise ValueError(field)
    return int(field)


def _technology(field: str | None) -> Technology:
    """How it speaks with the network; some modems have another field in its place."""
    text = (field or "").removeprefix('"')
    return TECHNOLOGIES.get(int(text), Technology.UNKNOWN) if _NUMBER.fullmatch(text) else Technology.UNKNOWN


def _text(field: str | None) -> str:
    text = (field or "").removeprefix('"').strip()
    if len(text) > MAX_NAME_CHARACTERS:
        raise ValueError(text)
    return text


def _address(text: str) -> IPv4Address | None:
    """An address; None for none, and for one that says that there is none."""
    if not text or text == "0.0.0.0":  # noqa: S104 - nothing listens
        return None
    return IPv4Address(text)


def _error(_: str, rest: str) -> Answer:
    number = int(rest) if _NUMBER.fullmatch(rest) else ERROR_TEXTS.get(rest.lower())
    return Refused(number, rest[:MAX_NAME_CHARACTERS])


def _sim(_: str, rest: str) -> Answer:
    return Sim(SIM_CODES.get(rest.strip('"').upper(), SimState.FAILED))


def _registered(kind: str, rest: str) -> Answer:
    fields = split_fields(rest)
    second = fields[1] if len(fields) > 1 else None
    if second is not None and _NUMBER.fullmatch(second) and len(second) <= 3:  # of an area there are four digits
        fields = fields[1:]
    status = _number(fields[0])
    technology = _technology(fields[3]) if len(fields) > 3 else Technology.UNKNOWN
    return Registered(kind, REGISTRATIONS.get(status, Registration.UNKNOWN), technology)


def _operator(_: str, rest: str) -> Answer:
    fields = split_fields(rest)
    _number(fields[0])
    if len(fields) < 3:
        return Operator()
    name = _text(fields[2])
    digits = name if fields[1] == "2" and name.isdecimal() else ""
    technology = _technology(fields[3]) if len(fields) > 3 else Technology.UNKNOWN
    return Operator("" if digits else name, digits, technology)


def _csq(_: str, rest: str) -> Answer:
    return Strength(csq_dbm(_number(split_fields(rest)[0])))


def _cesq(_: str, rest: str) -> Answer:
    levels = tuple(map(_number, split_fields(rest)))
    if len(levels) != 6:
        raise ValueError(rest)
    return Strength(cesq_dbm(levels))


def _attached(_: str, rest: str) -> Answer:
    return Attached(_number(rest) == 1)


def _context(_: str, rest: str) -> Answer:
    number, state = split_fields(rest)
    return Context(_number(number), _number(state) == 1)


def _addressing(_: str, rest: str) -> Answer:
    """``<cid>,<bearer>,<apn>[,<address and mask>[,<gateway>[,<DNS>[,<DNS>...]]]]`` (§10.1.23)."""
    fields = split_fields(rest)
    texts = [_text(field) for field in [*fields, *[None] * 7][:7]]
    numbers = texts[3].split(".")
    if len(numbers) not in (4, 8):  # IPv6 has 16 or 32
        raise ValueError(rest)
    mask = IPv4Address(".".join(numbers[4:]) or "255.255.255.255")
    servers = tuple(found for text in texts[5:7] if (found := _address(text)) is not None)
    address = IPv4Address(".".join(numbers[:4]))
    return Addressing(_number(fields[0]), texts[2], address, mask, _address(texts[4]), servers)


def _event(_: str, rest: str) -> Answer:
    """+CGEV (§10.1.19): only that something has ended is of interest."""
    return CarrierLost(rest[:MAX_NAME_CHARACTERS]) if "DEACT" in rest or "DETACH" in rest else Other(f"+CGEV: {rest}")


def _identity(kind: str, rest: str) -> Answer:
    digits = _text(rest).strip('"')
    if not _DIGITS.fullmatch(digits):
        raise ValueError(rest)
    return Identity({"CGSN": "IMEI", "CIMI": "IMSI"}.get(kind, "ICCID"), digits.removesuffix("F"))


_WHOLE: Final[Mapping[str, Answer]] = {
    "OK": Done(),
    "ERROR": Refused(),
    "BUSY": Refused(text="BUSY"),
    "NO ANSWER": Refused(text="NO ANSWER"),
    "NO DIALTONE": Refused(text="NO DIALTONE"),
    "COMMAND NOT SUPPORT": Refused(text="COMMAND NOT SUPPORT"),
    "NO CARRIER": CarrierLost("NO CARRIER"),
    "RDY": Restarted(),
}
_READERS: Final[Mapping[str, Callable[[str, str], Answer]]] = {
    "+CME ERROR": _error,
    "+CMS ERROR": _error,
    "+CPIN": _sim,
    "+CREG": _registered,
    "+CGREG": _registered,
    "+CEREG": _registered,
    "+C5GREG": _registered,
    "+COPS": _operator,
    "+CSQ": _csq,
    "+CESQ": _cesq,
    "+CGATT": _attached,
    "+CGACT": _context,
    "+CGCONTRDP": _addressing,
    "+CGEV": _event,
    "+CGSN": _identity,
    "+CIMI": _identity,
    "+CCID": _identity,
    "+ICCID": _identity,
}
