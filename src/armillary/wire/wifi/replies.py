# SPDX-License-Identifier: Apache-2.0
"""What wpa_supplicant replies: its state, the networks around.

Names of networks come from whoever sends radio waves: any 32 bytes. wpa_supplicant writes them with escapes
(``printf_encode``), so that a name holds neither the end of a line nor a tab; a reply that breaks its format all the
same is a :class:`~armillary.errors.WireError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.wifi.network import EAP_TLS, OPEN, PSK

COMPLETED: Final = "COMPLETED"
UNKNOWN: Final = "unknown"
FAILED: Final = "FAIL"
MAX_NAME_BYTES: Final = 32
# Of an access point (``BSS ID-n MASK=...``): id, bssid, freq, level, flags, ssid, each in a line of its own.
ACCESS_POINT_MASK: Final = 0x1887
IDS_MASK: Final = 0x1
_FIELDS: Final = ("bssid", "freq", "level", "flags", "ssid")
_BSSID: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,10}")
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


def parse_ids(text: str, *, least: int) -> tuple[int, ...]:
    """wpa_supplicant's ids of access points from ``least`` on, ascending (``BSS RANGE=...``); WireError otherwise."""
    found: list[int] = []
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name != "id" or parse_number(value) < least:
            raise WireError("wifi-scan", expected=f"ascending ids from {least} on", got=repr(line[:80]))
        found.append(parse_number(value))
        least = found[-1] + 1
    return tuple(found)


def parse_neighbour(text: str) -> Neighbour:
    """An access point (``BSS ID-n``); one that hides its name has none.

    Raises:
        WireError: it is none.
    """
    found = dict(line.partition("=")[::2] for line in text.split("\n"))
    missing = [name for name in _FIELDS if name not in found]
    if missing or _BSSID.fullmatch(found["bssid"]) is None:
        raise WireError("wifi-scan", expected=", ".join(_FIELDS), got=repr(text[:80]))
    return Neighbour(
        bssid=found["bssid"],
        frequency=parse_number(found["freq"]),
        signal=parse_number(found["level"]),
        security=security_of(found["flags"]),
        ssid=_name(found["ssid"]),
    )


def strongest_first(found: Iterable[Neighbour]) -> tuple[Neighbour, ...]:
    """Access points by their signal."""
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
