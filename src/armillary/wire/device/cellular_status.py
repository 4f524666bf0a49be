# SPDX-License-Identifier: Apache-2.0
"""What a device says of its cellular modem, sent to ``POST /v1/cellular-status`` after a check-in.

::

    cellular-status = [
        version : 1,
        state : tstr,                    ; one of STATES
        sim : tstr,                      ; what the SIM wants, a word of wire/modem/radio.py
        registration : tstr,             ; where it is registered, a word of the same
        operator : tstr .size (0..64),   ; printable, empty in no network
        technology : tstr,               ; a word of the same
        minus-dbm : 0..200 / null,       ; strength of what it receives: 85 is -85 dBm
        sessions : 0..4294967295,        ; that came up since the device started
        bytes-received : 0..9007199254740991,
        bytes-sent : 0..9007199254740991
    ]
    cellular-status-receipt = []

Nothing of it names subscriber, SIM or modem. It is the device's word, for people: nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.encoding import cbor
from armillary.wire.encoding.cbor_fields import take_array, take_choice, take_text, take_uint
from armillary.wire.modem.radio import Registration, SimState, Technology

STATUS_MESSAGE_VERSION: Final = 1  # 1: 2026-11, first
# Some 60 bytes; a device on a metered link sends one with each check-in.
MAX_STATUS_BYTES: Final = 256
MAX_OPERATOR_BYTES: Final = 64
MAX_MINUS_DBM: Final = 200  # no receiver hears less
MAX_SESSIONS: Final = 2**32 - 1
MAX_TRAFFIC_BYTES: Final = 2**53 - 1  # what readers of JSON do not round
MAX_STATUS_RECEIPT_BYTES: Final = 1
# States that last. One that a device passes through is said as that which it is on the way to.
STATES: Final = frozenset(
    {
        "off", "no-modem", "sim-missing", "sim-failed", "pin-needed", "pin-refused", "puk-needed", "searching",
        "denied", "roaming-refused", "connected", "lost",
    }
)  # fmt: skip
_SIMS: Final = frozenset(SimState)
_REGISTRATIONS: Final = frozenset(Registration)
_TECHNOLOGIES: Final = frozenset(Technology)
_RECEIPT: Final = cbor.encode_ordered([])
_WHAT: Final = "cellular status"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellularStatus:
    """A modem's state, SIM, network, strength in dBm (None: not known), sessions, and bytes that went through it."""

    state: str
    sim: str
    registration: str
    operator: str
    technology: str
    signal_dbm: int | None
    sessions: int
    bytes_received: int
    bytes_sent: int


def encode_status(status: CellularStatus) -> bytes:
    """Encode a status; WireError above :data:`MAX_STATUS_BYTES` or for a field out of its limits."""
    fields = [
        STATUS_MESSAGE_VERSION,
        status.state,
        status.sim,
        status.registration,
        status.operator,
        status.technology,
        None if status.signal_dbm is None else -status.signal_dbm,
        status.sessions,
        status.bytes_received,
        status.bytes_sent,
    ]
    data = cbor.encode_ordered(fields)
    parse_status(data)
    return data


def parse_status(data: bytes) -> CellularStatus:
    """A status from its bytes; WireError if it is not of the form above."""
    version, *fields = take_array(cbor.decode(data, what=_WHAT, limit=MAX_STATUS_BYTES), _WHAT, limit=10, size=10)
    if type(version) is not int or version != STATUS_MESSAGE_VERSION:
        raise WireError(_WHAT, expected=f"version {STATUS_MESSAGE_VERSION}", got=f"{version!r:.20}")
    state, sim, registration, operator, technology, minus_dbm, sessions, received, sent = fields
    return CellularStatus(
        state=take_choice(state, STATES, "cellular state"),
        sim=take_choice(sim, _SIMS, "cellular SIM"),
        registration=take_choice(registration, _REGISTRATIONS, "cellular registration"),
        operator=_printable(operator),
        technology=take_choice(technology, _TECHNOLOGIES, "cellular technology"),
        signal_dbm=None if minus_dbm is None else -take_uint(minus_dbm, "cellular signal", limit=MAX_MINUS_DBM),
        sessions=take_uint(sessions, "cellular sessions", limit=MAX_SESSIONS),
        bytes_received=take_uint(received, "cellular bytes received", limit=MAX_TRAFFIC_BYTES),
        bytes_sent=take_uint(sent, "cellular bytes sent", limit=MAX_TRAFFIC_BYTES),
    )


def encode_status_receipt() -> bytes:
    """What answers a status that is kept."""
    return _RECEIPT


def check_status_receipt(data: bytes) -> None:
    """WireError for anything but a receipt."""
    if data != _RECEIPT:
        raise WireError("cellular status receipt", expected="an empty array", got=f"{data!r:.40}")


def _printable(value: Any) -> str:
    text = take_text(value, "cellular operator", limit=MAX_OPERATOR_BYTES)
    if not text.isprintable():
        raise WireError("cellular operator", expected="characters that can be printed", got=f"{text!a:.80}")
    return text
