# SPDX-License-Identifier: Apache-2.0
"""IPv4 addresses inside an IPv6 address, to which a router on the way may forward a connection.

Mapped (RFC 4291 §2.5.5.2), 6to4 (RFC 3056), Teredo (RFC 4380), NAT64 with the well-known prefix (RFC 6052 §2.1) and
with the local-use prefix (RFC 8215), ISATAP (RFC 5214 §6.1).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_TRANSLATED_LOCALLY: Final = IPv6Network("64:ff9b:1::/48")
_LOW_32: Final = 0xFFFFFFFF
# An interface identifier that ends in an IPv4 address, under any prefix.
_ISATAP: Final = (0x00005EFE, 0x02005EFE)


def carried_addresses(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Every IPv4 address inside ``address`` in one of the forms above; empty for most."""
    found = [each for each in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if each is not None]
    value = int(address)
    if address in TRANSLATED or address in _TRANSLATED_LOCALLY or (value >> 32) & _LOW_32 in _ISATAP:
        found.append(IPv4Address(value & _LOW_32))
    if address in _TRANSLATED_LOCALLY:  # a prefix of 48 bits: the address stands around bits 64 to 71 (RFC 6052 §2.2)
        found.append(IPv4Address((value >> 64 & 0xFFFF) << 16 | value >> 40 & 0xFFFF))
    return tuple(found)
