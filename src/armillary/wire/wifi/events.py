# SPDX-License-Identifier: Apache-2.0
"""What wpa_supplicant says by itself: ``<3>CTRL-EVENT-...``, and why a radio does not get into a network.

The errors have the names and numbers that Azure Sphere documents for ``WifiConfig_NetworkDiagnostics``
(learn.microsoft.com/azure-sphere), and so have the faults of a certificate, which are wpa_supplicant's own.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from armillary.wire.wifi.network import EAP_TLS

_PRIORITY: Final = re.compile(r"<[0-9]>")
_GIVEN_UP: Final = re.compile(r"CTRL-EVENT-SSID-TEMP-DISABLED id=([0-9]{1,6}) .*reason=([A-Z_]+)", re.DOTALL)
_CONNECTED: Final = re.compile(r"CTRL-EVENT-CONNECTED .*\[id=([0-9]{1,6}) id_str=.*\]", re.DOTALL)
_CERTIFICATE: Final = re.compile(
    r"CTRL-EVENT-EAP-TLS-CERT-ERROR reason=([0-9]{1,3}) depth=([0-9]{1,3}) subject='(.*)' err='.*'", re.DOTALL
)
_MAX_SUBJECT: Final = 256


class WifiError(enum.Enum):
    """Why a network cannot be joined, with Azure Sphere's number of it."""

    CONNECTION_FAILED = ("ConnectionFailed", 1)
    NETWORK_NOT_FOUND = ("NetworkNotFound", 2)
    WRONG_KEY = ("WrongKey", 4)
    AUTHENTICATION_FAILED = ("AuthenticationFailed", 5)  # of networks with certificates alone
    SECURITY_TYPE_MISMATCH = ("SecurityTypeMismatch", 6)

    @property
    def word(self) -> str:
        """Its name."""
        return self.value[0]


@dataclass(frozen=True, slots=True)
class Connected:
    """The radio is in a network, of this id of wpa_supplicant's."""

    network: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The radio is in no network any more."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A network is left alone for a while, because it could not be joined: wpa_supplicant's id and word for it."""

    network: int
    why: str

    def error(self, security: str) -> WifiError:
        """What that means for a network of this security."""
        if security == EAP_TLS:
            return WifiError.AUTHENTICATION_FAILED if self.why == "AUTH_FAILED" else WifiError.CONNECTION_FAILED
        return WifiError.WRONG_KEY if self.why in ("WRONG_KEY", "AUTH_FAILED") else WifiError.CONNECTION_FAILED


@dataclass(frozen=True, slots=True)
class CertificateRefused:
    """The network's own certificate is none that is trusted: wpa_supplicant's number, place in the chain, subject."""

    reason: int
    depth: int
    subject: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """A look around has ended, well or not."""

    failed: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """wpa_supplicant ends."""


Event = Connected | Disconnected | GivenUp | CertificateRefused | Scanned | Ended
_PLAIN: Final[tuple[tuple[str, Event], ...]] = (
    ("CTRL-EVENT-DISCONNECTED", Disconnected()),
    ("CTRL-EVENT-SCAN-RESULTS", Scanned(failed=False)),
    ("CTRL-EVENT-SCAN-FAILED", Scanned(failed=True)),
    ("CTRL-EVENT-TERMINATING", Ended()),
)


def is_event(message: str) -> bool:
    """Whether this is something that wpa_supplicant says by itself, and no reply."""
    return _PRIORITY.match(message) is not None


def parse_event(message: str) -> Event | None:
    """The event of a message; None for one that nobody here acts on. No message is wrong: versions add more."""
    text = message[_PRIORITY.match(message).end() :] if is_event(message) else message  # type: ignore[union-attr]
    if found := _CONNECTED.match(text):
        return Connected(int(found[1]))
    if found := _GIVEN_UP.match(text):
        return GivenUp(int(found[1]), found[2])
    if found := _CERTIFICATE.match(text):
        subject = "".join(each for each in found[3] if each.isprintable())
        return CertificateRefused(int(found[1]), int(found[2]), subject[:_MAX_SUBJECT])
    return next((event for name, event in _PLAIN if text.startswith(name)), None)
