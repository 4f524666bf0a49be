# SPDX-License-Identifier: Apache-2.0
"""What wpa_supplicant replies: its state, the networks around.

Names of networks come from whoever sends radio waves: any 32 bytes. wpa_supplicant writes them with escapes
(``printf_encode``), so that a name holds neither the end of a line nor a tab; a reply that breaks its format all the
same is a :class:`~armillary.errors.WireError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK

COMPLETED: Final = "COMPLETED"
UNKNOWN: Final = "unknown"
FAILED: Final = "FAIL"
MAX_NAME_BYTES: Final = 32
_HEAD: Final = "bssid / frequency / signal level / flags / ssid"
_COLUMNS: Final = 5
_BSSID: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,6}")
_FLAG: Final = re.compile(r"\[([^\[\]]*)\]")
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-f]{2})|(.)|$)")
_SIMPLE: Final = {"\\": b"\\", '"': b'"', "e": b"\x1b", "n": b"\n", "r": b"\r", "t": b"\t"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An access point that a radio hears: hardware address, frequency (MHz), signal (dBm), security, name.

    ``security`` is ``open``, ``psk`` or ``eaptls``, and ``unknown`` for what no device of ours can be in.
    """

    bssid: str
    frequency: int
    signal: int
    security: str
    ssid: str


def parse_status(text: str) -> Mapping[str, str]:
    """The fields of ``STATUS``; WireError if it does not say in which state it is."""
    found = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    if not found.get("wpa_state"):
        raise WireError("wifi-status", expected="wpa_state=", got=repr(text[:80]))
    return found


def parse_neighbours(text: str) -> tuple[Neighbour, ...]:
    """The access points of ``SCAN_RESULTS``, the strongest first; those that hide their name have none.

    Raises:
        WireError: it is no such list.
    """
    head, _, rest = text.partition("\n")
    if head.strip() != _HEAD:
        raise WireError("wifi-scan", expected=_HEAD, got=repr(head[:80]))
    found = [_neighbour(line) for line in rest.split("\n") if line]
    return tuple(sorted(found, key=lambda each: (-each.signal, each.bssid)))


def parse_number(text: str) -> int:
    """The number that a command is answered with; WireError if it is none."""
    if _NUMBER.fullmatch(text.strip()) is None:
        raise WireError("wifi-number", expected="a number", got=repr(text[:80]))
    return int(text)


def security_of(flags: str) -> str:
    """What a network asks for, by the flags of a scan: ``[WPA2-PSK-CCMP][ESS]``."""
    words = _FLAG.findall(flags)
    if "ESS" not in words:
        return UNKNOWN
    protected = [word for word in words if word.startswith(("WPA", "RSN", "WEP", "OWE", "OSEN"))]
    if not protected:
        return OPEN
    kinds = {part for word in protected if word.startswith(("WPA2", "RSN")) for part in re.split(r"[-+/]", word)}
    if kinds & {"PSK", "SAE"}:
        return PSK
    return EAP_TLS if "EAP" in kinds else UNKNOWN


def _neighbour(line: str) -> Neighbour:
    columns = line.split("\t")
    if len(columns) != _COLUMNS or _BSSID.fullmatch(columns[0]) is None:
        raise WireError("wifi-scan", expected="bssid, frequency, signal, flags, ssid", got=repr(line[:80]))
    return Neighbour(
        bssid=columns[0],
        frequency=parse_number(columns[1]),
        signal=parse_number(columns[2]),
        security=security_of(columns[3]),
        ssid=_name(columns[4]),
    )


def _name(text: str) -> str:
    """A name as text: what is no UTF-8, and what would move a terminal, is replaced."""
    data, at = b"", 0
    for match in _ESCAPE.finditer(text):
        digits, letter = match.groups()
        plain = bytes((int(digits, 16),)) if digits else _SIMPLE.get(letter or "")
        if plain is None:
            raise WireError("wifi-scan", expected="an escape of printf", got=repr(match[0]))
        data += text[at : match.start()].encode("utf-8", "surrogateescape") + plain
        at = match.end()
    data += text[at:].encode("utf-8", "surrogateescape")
    if len(data) > MAX_NAME_BYTES:
        raise WireError("wifi-scan", expected=f"a name of at most {MAX_NAME_BYTES} bytes", got=f"{len(data)} bytes")
    name = data.decode("utf-8", "replace").rstrip("\0")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)
