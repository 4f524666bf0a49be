# SPDX-License-Identifier: Apache-2.0
"""Events as syslog messages (RFC 5424), and their frames over TCP and TLS (RFC 6587 §3.4.1, RFC 5425 §4.3).

::

    <PRI>1 2026-11-24T15:04:57Z HOST armillary - finding.opened [meta sequenceId="7"][armillary@32473 ...] BOM TEXT

PRI is 8 x facility + severity. The structured data has the event's number within its channel, so that a reader of the
messages sees what was left out, and its id, by which what comes twice is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from armillary.wire.notification.event import Event, one_line

# RFC 5424 §6.2.1: codes of severities.
SEVERITY: Final[Mapping[str, int]] = MappingProxyType({"critical": 2, "high": 3, "medium": 4, "low": 5, "info": 6})
FACILITIES: Final = range(24)
LOCAL0: Final = 16
# Every receiver takes 480 bytes and should take 2,048 (§6.1); those in use take 8 KiB by default.
MAX_BYTES: Final = 8192
# A datagram that no network cuts: IPv6's smallest packet without the headers of IP and UDP (RFC 5426 §3.2).
MAX_DATAGRAM_BYTES: Final = 1232
MAX_HOST_CHARACTERS: Final = 255
# RFC 5612's number for examples: Armillary has none of its own.
_ENTERPRISE: Final = "armillary@32473"
_MAX_SEQUENCE: Final = 2_147_483_647  # §7.3.1
_BOM: Final = b"\xef\xbb\xbf"


def message(
    event: Event, *, host: str, facility: int, sequence: int, catalog: str | None, limit: int = MAX_BYTES
) -> bytes:
    """One message of at most ``limit`` bytes: its text is cut, between characters."""
    priority = facility * 8 + SEVERITY[event.severity]
    time = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    header = f"<{priority}>1 {time} {_word(host, MAX_HOST_CHARACTERS)} armillary - {_word(event.kind, 32)} "
    details = {"eventId": str(event.event_id), "subject": event.subject, "severity": event.severity}
    if catalog is not None:
        details["catalog"] = catalog
    if event.topic == "finding":
        details |= {"findingKind": str(event.data.get("kind", "")), "devices": str(event.data.get("device_count", ""))}
    data = _element("meta", {"sequenceId": str((sequence - 1) % _MAX_SEQUENCE + 1)}) + _element(_ENTERPRISE, details)
    start = (header + data + " ").encode() + _BOM
    text = one_line(f"{event.title} {event.text}").encode()
    return start + text[: max(0, limit - len(start))].decode("utf-8", "ignore").encode()


def frame(sent: bytes) -> bytes:
    """A message as it goes over a stream: its length in ASCII digits, a space, and the message."""
    return b"%d %b" % (len(sent), sent)


def _element(name: str, values: Mapping[str, str]) -> str:
    """An SD-ELEMENT (§6.3): quotes, backslashes and closing brackets of a value have a backslash before them."""
    told = "".join(f' {each}="{_escaped(value)}"' for each, value in values.items() if value)
    return f"[{name}{told}]"


def _escaped(value: str) -> str:
    return one_line(value).replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(text: str, most: int) -> str:
    """Printable ASCII without spaces (§6: PRINTUSASCII), ``-`` for nothing."""
    return "".join(each for each in text if "!" <= each <= "~")[:most] or "-"
