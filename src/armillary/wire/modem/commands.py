# SPDX-License-Identifier: Apache-2.0
"""What a device asks a modem. A text from outside is checked before it stands in a command: none can end it early."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import Final

from armillary.errors import InvalidArgumentError

# The packet data network is reached by context 1: that one also serves an LTE modem's own attach.
CONTEXT: Final = 1
MAX_ACCESS_POINT: Final = 100  # 3GPP TS 23.003 §9.1
MAX_SECRET: Final = 64
_ACCESS_POINT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,98}[A-Za-z0-9])?")
_PIN: Final = re.compile(r"[0-9]{4,8}")  # 3GPP TS 31.101 §9.3
_TEXT: Final = re.compile(r"[ !#-~]{0,64}")  # printable ASCII without the quote that would end it


class Authentication(enum.StrEnum):
    """How an access point lets in (27.007 §10.1.31)."""

    NONE = "none"
    PAP = "pap"
    CHAP = "chap"


@dataclass(frozen=True, slots=True)
class Command:
    """One command line. ``text`` may hold a secret, so it is shown nowhere; ``name`` is for people.

    ``within_s`` is how long its answer may take: networks, not modems, need the time.
    """

    text: str = field(repr=False)
    name: str
    within_s: float = 5.0

    @property
    def line(self) -> bytes:
        """As it is sent."""
        return f"{self.text}\r".encode("ascii")


def _plain(text: str, within_s: float = 5.0) -> Command:
    return Command(text, text, within_s)


# 27.007 gives no times; makers of modules name 40 s for attaching and 150 s for activating, and 180 s for a search.
NUMBERED_ERRORS: Final = _plain("AT+CMEE=1")
MODEL: Final = _plain("AT+CGMM")
MAKER: Final = _plain("AT+CGMI")
IMEI: Final = _plain("AT+CGSN")
ICCID: Final = _plain("AT+CCID")
SIM: Final = _plain("AT+CPIN?", 10.0)
TELL_REGISTRATIONS: Final = (_plain("AT+CREG=2"), _plain("AT+CEREG=2"), _plain("AT+CGEREP=2,1"))
REGISTRATION: Final = _plain("AT+CREG?")
PACKET_REGISTRATION: Final = _plain("AT+CEREG?")
OPERATOR_NAME: Final = _plain("AT+COPS?", 10.0)
OPERATOR_AUTOMATIC: Final = _plain("AT+COPS=0", 180.0)
LONG_NAMES: Final = _plain("AT+COPS=3,0")
STRENGTH: Final = _plain("AT+CSQ")
STRENGTH_EXTENDED: Final = _plain("AT+CESQ")
ATTACHED: Final = _plain("AT+CGATT?")
ATTACH: Final = _plain("AT+CGATT=1", 40.0)
CONTEXTS: Final = _plain("AT+CGACT?")
ACTIVATE: Final = _plain(f"AT+CGACT=1,{CONTEXT}", 150.0)
DEACTIVATE: Final = _plain(f"AT+CGACT=0,{CONTEXT}", 40.0)
ADDRESSING: Final = _plain(f"AT+CGCONTRDP={CONTEXT}", 10.0)


def enter_pin(pin: str) -> Command:
    """Give the SIM its PIN; InvalidArgumentError if it is none."""
    return Command(f'AT+CPIN="{check_pin(pin)}"', "AT+CPIN=(hidden)", 20.0)


def define_context(access_point: str) -> Command:
    """Which access point the session goes to; empty is the network's choice."""
    text = f'AT+CGDCONT={CONTEXT},"IP","{check_access_point(access_point)}"'
    return _plain(text)


def authenticate(kind: Authentication, username: str, password: str) -> Command:
    """How the session signs in; InvalidArgumentError for what no command can hold."""
    if kind is Authentication.NONE:
        return _plain(f"AT+CGAUTH={CONTEXT},0")
    number = 1 if kind is Authentication.PAP else 2
    name, secret = check_text("username", username), check_text("password", password)
    return Command(f'AT+CGAUTH={CONTEXT},{number},"{name}","{secret}"', f"AT+CGAUTH={CONTEXT},{number},(hidden)")


def choose_operator(digits: str) -> Command:
    """Register in one network only, by its numbers; automatically where there are none."""
    if not digits:
        return OPERATOR_AUTOMATIC
    return _plain(f'AT+COPS=1,2,"{check_operator(digits)}"', 180.0)


def check_pin(pin: str) -> str:
    """The PIN; InvalidArgumentError if it is none, which does not repeat it."""
    if not _PIN.fullmatch(pin):
        raise InvalidArgumentError(
            "SIM PIN: expected 4 to 8 digits", remedy="It is on the card that the SIM came with; the PUK is another."
        )
    return pin


def check_access_point(name: str) -> str:
    """The name of an access point, or nothing; InvalidArgumentError."""
    if name and not _ACCESS_POINT.fullmatch(name):
        raise InvalidArgumentError(
            f"access point: expected letters, digits, . and -, at most {MAX_ACCESS_POINT}, got {name!a:.60}",
            remedy="The operator names it, such as internet or iot.example.com.",
        )
    return name


def check_operator(digits: str) -> str:
    """Country and network of an operator, or nothing; InvalidArgumentError."""
    if digits and not (digits.isascii() and digits.isdecimal() and len(digits) in (5, 6)):
        raise InvalidArgumentError(
            f"operator: expected 5 or 6 digits, got {digits!a:.40}", remedy="Country and network, such as 26201."
        )
    return digits


def check_text(name: str, text: str) -> str:
    """A user name or password of an access point; InvalidArgumentError, which does not repeat it."""
    if not _TEXT.fullmatch(text):
        raise InvalidArgumentError(
            f"{name}: expected at most {MAX_SECRET} printable ASCII characters without a quote",
            remedy="The operator names it; many need none.",
        )
    return text
