# SPDX-License-Identifier: Apache-2.0
"""Which addresses are public: those that authors of rules and exports may have the service call.

The tables are IANA's special-purpose address registries (RFC 6890; iana-ipv4-special-registry,
iana-ipv6-special-registry, read November 2026): what is not globally reachable there, what is deprecated, and what a
cloud's machines reach at an address that looks like everybody's. An IPv6 address that carries an IPv4 address is as
public as that one, as somebody on the way may take it out.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from armillary.wire.text.carried_address import TRANSLATED, carried_addresses

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private use (RFC 1918)
        "100.64.0.0/10",  # shared address space of carriers (RFC 6598)
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link local (RFC 3927); metadata of most clouds
        "172.16.0.0/12",  # private use (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890); metadata of one cloud
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.88.99.0/24",  # 6to4 relays, deprecated (RFC 7526)
        "192.168.0.0/16",  # private use (RFC 1918)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved, and the limited broadcast (RFC 1112, RFC 8190)
        "168.63.129.16/32",  # Azure: the platform's wire server, to each of its machines
    )
)
# Everything that was given out for public use (RFC 4291 §2.4, IANA's list of IPv6 unicast assignments): neither
# loopback, site local (fec0::/10), unique local, link local nor multicast, nor prefixes that nobody has yet.
_GIVEN_OUT_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(each)
    for each in (
        "2001::/23",  # protocol assignments (RFC 2928): ORCHID, benchmarks, AMT, ...; Teredo is looked at before
        "2001:db8::/32",  # documentation (RFC 3849)
        "3fff::/20",  # documentation (RFC 9637)
    )
)


def is_public(address: Address) -> bool:
    """Whether an address is globally reachable, and so is each IPv4 address that it carries."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    if not all(is_public(each) for each in carried_addresses(address)):
        return False
    if address in TRANSLATED or address.ipv4_mapped is not None or address.teredo is not None:
        return True
    return address in _GIVEN_OUT_6 and not any(address in network for network in _NOT_PUBLIC_6)
