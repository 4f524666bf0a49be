# SPDX-License-Identifier: Apache-2.0
"""What a device asks a modem by QMI, and what it says, as values. Both sides share the numbers.

Source: the public description of messages in libqmi (``data/qmi-service-{ctl,dms,nas,uim,wds}.json``), of which this is
a small part. A value that is not of its form is as good as none: these functions raise nothing but for what a
configuration says.
"""

from __future__ import annotations

import contextlib
import enum
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from armillary.wire.modem.answers import MAX_NAME_CHARACTERS, Addressing
from armillary.wire.modem.commands import (
    CONTEXT,
    Authentication,
    check_access_point,
    check_operator,
    check_pin,
    check_text,
)
from armillary.wire.modem.radio import Registration, SimState, Technology

Fields = Mapping[int, bytes]
RESULT: Final = 0x02
# Numbers of messages, by service.
SYNC, ALLOCATE, RELEASE, VERSIONS = 0x0027, 0x0022, 0x0023, 0x0021
MAKER, MODEL, IDENTITIES, ICCID = 0x0021, 0x0022, 0x0025, 0x003C
CARD_STATUS, VERIFY_PIN = 0x002F, 0x0026
REGISTER_INDICATIONS, REGISTER, ATTACH_DETACH, SERVING_SYSTEM, SIGNAL = 0x0003, 0x0022, 0x0023, 0x0024, 0x004F
START_NETWORK, STOP_NETWORK, PACKET_STATUS, SETTINGS, IP_FAMILY = 0x0020, 0x0021, 0x0022, 0x002D, 0x004D
# QMI_PROTOCOL_ERROR: of these alone something follows.
NO_EFFECT, WRONG_PIN, PIN_BLOCKED, NO_SIM = 26, 12, 35, 102
CALL_FAILED, BAD_CLIENT, UNKNOWN_MESSAGE, MISSING, NOT_READY = 14, 7, 71, 17, 53
CONNECTED: Final = 2
IPV4: Final = 4
ANY_SESSION: Final = 0xFFFFFFFF  # the handle of a session that somebody else started
ADDRESSES: Final = 1 << 4 | 1 << 8 | 1 << 9  # of the settings of a session: name servers, address, gateway
NO_RADIO_CHANGE: Final = 0xFF
_STRENGTH_OF: Final = {0x12: ("b", 0), 0x13: ("b", 0), 0x17: ("<h", 0), 0x14: ("<h", 2)}  # LTE's RSRP is its third


class Service(enum.IntEnum):
    """The services that are used."""

    WDS = 1  # data sessions
    DMS = 2  # the modem itself
    NAS = 3  # the network
    UIM = 11  # the SIM


# What people are told of a request that was refused, and why; any other is a number.
NAMES: Final[Mapping[tuple[int, int], str]] = {
    (Service.UIM, CARD_STATUS): "the state of the SIM",
    (Service.UIM, VERIFY_PIN): "the PIN",
    (Service.NAS, REGISTER): "a search",
    (Service.NAS, ATTACH_DETACH): "attaching",
    (Service.WDS, START_NETWORK): "a data session",
}
REASONS: Final[Mapping[int, str]] = {
    WRONG_PIN: "it is wrong",
    CALL_FAILED: "the call failed",
    16: "the SIM is not provisioned",
    PIN_BLOCKED: "it is blocked",
    NOT_READY: "the network is not ready",
    NO_SIM: "there is no SIM",
}
_REGISTRATIONS: Final = {
    0: Registration.IDLE,
    1: Registration.HOME,
    2: Registration.SEARCHING,
    3: Registration.DENIED,
    4: Registration.UNKNOWN,
}
_RADIOS: Final = {4: Technology.GSM, 5: Technology.UMTS, 8: Technology.LTE, 12: Technology.NR}
_PINS: Final = {1: SimState.PIN, 2: SimState.READY, 3: SimState.READY, 4: SimState.PUK, 5: SimState.FAILED}
_APPLICATIONS: Final = {2: SimState.PIN, 3: SimState.PUK, 5: SimState.FAILED, 6: SimState.FAILED, 7: SimState.READY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The network that a modem is in."""

    registration: Registration = Registration.UNKNOWN
    technology: Technology = Technology.UNKNOWN
    operator: str = ""
    is_attached: bool = False


def error_of(fields: Fields) -> int | None:
    """The number of the error that an answer says; None where it succeeded."""
    if len(fields.get(RESULT, b"")) != 4:
        return 1  # malformed
    status, number = struct.unpack("<HH", fields[RESULT])
    return number if status else None


def text_of(fields: Fields, kind: int) -> str:
    """A text of printable ASCII, empty where there is none."""
    text = fields.get(kind, b"")[:MAX_NAME_CHARACTERS].decode("ascii", "replace").strip("\0 ")
    return text if text.isascii() and text.isprintable() else ""


def sim_of(fields: Fields) -> SimState:
    """What the first card wants, from the answer to CARD_STATUS."""
    value = fields.get(0x10, b"")
    if len(value) < 9 or value[8] == 0:
        return SimState.UNKNOWN
    card = value[9:]
    if len(card) < 6:
        return SimState.UNKNOWN
    if card[0] != 1:  # absent, or an error
        return SimState.MISSING if card[0] == 0 or card[4] == 6 else SimState.FAILED
    application, rest = card[6:13], card[13:]
    if card[5] == 0 or len(application) < 7 or len(rest) < application[6] + 7:
        return SimState.UNKNOWN  # it is still starting
    pin = rest[application[6] :]
    state = _APPLICATIONS.get(application[1])
    if state is SimState.PIN and len(pin) > 1:
        return _PINS.get(pin[1], SimState.PIN)
    return SimState.UNKNOWN if state is None else state


def serving_of(fields: Fields) -> Serving:
    """The network, from the answer to SERVING_SYSTEM."""
    value = fields.get(0x01, b"")
    if len(value) < 5:
        return Serving()
    radios = value[5 : 5 + value[4]]
    registration = _REGISTRATIONS.get(value[0], Registration.UNKNOWN)
    if registration is Registration.HOME and fields.get(0x10) == b"\0":
        registration = Registration.ROAMING
    technology = next((_RADIOS[each] for each in radios if each in _RADIOS), Technology.UNKNOWN)
    return Serving(
        registration=registration,
        technology=technology,
        operator=_operator(fields.get(0x12, b"")),
        is_attached=value[2] == 1,
    )


def strength_of(fields: Fields) -> int | None:
    """Received strength in dBm, from the answer to SIGNAL."""
    for kind, (form, offset) in _STRENGTH_OF.items():
        with contextlib.suppress(struct.error, KeyError):
            (dbm,) = struct.unpack_from(form, fields[kind], offset)
            return int(dbm) if -200 <= dbm < 0 else None
    return None


def addressing_of(fields: Fields) -> Addressing | None:
    """What the network gave a session, from the answer to SETTINGS; None where it says no address."""
    address = _address(fields, 0x1E)
    if address is None:
        return None
    servers = tuple(each for each in (_address(fields, 0x15), _address(fields, 0x16)) if each is not None)
    mask = _address(fields, 0x21) or IPv4Address("255.255.255.255")
    return Addressing(CONTEXT, text_of(fields, 0x14), address, mask, _address(fields, 0x20), servers)


def handle_of(fields: Fields) -> int:
    """The handle of a session, from the answer to START_NETWORK."""
    value = fields.get(0x01, b"")
    return int.from_bytes(value, "little") if len(value) == 4 else ANY_SESSION


def is_connected(fields: Fields) -> bool:
    """Whether a session is there, from the answer to PACKET_STATUS."""
    return fields.get(0x01, b"")[:1] == bytes([CONNECTED])


def start_network(name: str, kind: Authentication, username: str, password: str) -> Fields:
    """Fields of START_NETWORK; InvalidArgumentError for what no access point is called."""
    fields = {0x19: bytes([IPV4])}
    if check_access_point(name):
        fields[0x14] = name.encode("ascii")
    if kind is not Authentication.NONE:
        fields[0x16] = bytes([1 if kind is Authentication.PAP else 2])
        fields[0x17] = check_text("username", username).encode("ascii")
        fields[0x18] = check_text("password", password).encode("ascii")
    return fields


def verify_pin(pin: str) -> Fields:
    """Fields of VERIFY_PIN for the first card; InvalidArgumentError if it is no PIN, which does not repeat it."""
    value = check_pin(pin).encode("ascii")
    return {0x01: b"\0\0", 0x02: bytes([1, len(value)]) + value}


def register(operator: str) -> Fields:
    """Fields of REGISTER: in one network only, or in any; InvalidArgumentError."""
    if not check_operator(operator):
        return {0x01: b"\x01"}
    place = struct.pack("<HHB", int(operator[:3]), int(operator[3:]), NO_RADIO_CHANGE)
    return {0x01: b"\x02", 0x10: place, 0x12: bytes([len(operator) == 6])}


def _operator(value: bytes) -> str:
    """Name of a network, or its numbers."""
    if len(value) < 5:
        return ""
    country, network, size = struct.unpack_from("<HHB", value)
    name = text_of({0: value[5 : 5 + size]}, 0)
    return name or f"{country:03}{network:02}"


def _address(fields: Fields, kind: int) -> IPv4Address | None:
    value = fields.get(kind, b"")
    return IPv4Address(value[::-1]) if len(value) == 4 and any(value) else None
