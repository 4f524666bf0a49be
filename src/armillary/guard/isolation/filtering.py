# SPDX-License-Identifier: Apache-2.0
"""The nftables rules that hold two sides apart, as text for ``nft -f``: one transaction, which replaces what stood.

``ip_forward=0`` is not enough: Linux answers for each of its addresses on every interface (the weak host model, RFC
1122 §3.3.4.2), by IP and by ARP, so each side would reach the guardian's other address. So each side's sources and
destinations are checked before anything else (BCP 38), and ARP tells each side of that side's address only. The
equipment's side is IPv4: IPv6 is dropped there in both directions, or a router advertisement would make the equipment
a way out.

Names go into the text only after their form was checked (``plan.py``). Source: nft(8); the tables are told apart by
their name and touch no other.
"""

from __future__ import annotations

from collections.abc import Mapping

from armillary.guard.isolation.plan import Isolation

TABLE = "armillary_guardian"
# Counters of what was refused -> what it means, for the log and for people.
REFUSED: Mapping[str, str] = {
    "routed": "a packet that was to be forwarded from one side to another",
    "spoofed": "a packet with a source that its side does not have",
    "misdirected": "a packet for an address of another side",
    "ipv6_equipment": "IPv6 on the equipment's side",
    "unasked_equipment": "a packet of the equipment that nobody asked for",
    "unasked_uplink": "a packet from the uplink that nobody asked for",
    "unasked_elsewhere": "a packet from another interface that nobody asked for",
    "leaving": "a packet of the guardian's own for the wrong side",
    "flooding": "a request for time or an address beyond what equipment needs",
}
# Requests for time and address together, a second and at once: equipment asks once in minutes, 64 pieces at a start.
REQUEST_RATE, REQUEST_BURST = 20, 100
_ERRORS = "destination-unreachable, time-exceeded, parameter-problem"
_ERRORS_V6 = f"{_ERRORS}, packet-too-big"
_NEIGHBOURS = "nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert"  # RFC 4861: with the full hop limit


def ruleset(plan: Isolation) -> str:
    """The rules as a script for ``nft -f``: one transaction that replaces this table and no other."""
    counters = "\n".join(f"    counter {name} {{ }}" for name in REFUSED)
    chains = "\n\n".join((_arriving(plan), _forward(), _input(plan), _output(plan)))
    return f"""{removal()}
table inet {TABLE} {{
{counters}
{_lease_set(plan)}
{chains}
}}
table arp {TABLE} {{
{_address_resolution(plan)}
}}
"""


def removal() -> str:
    """The script that takes the rules away; also where there are none."""
    return "\n".join(f"{verb} table {family} {TABLE}" for family in ("inet", "arp") for verb in ("add", "delete"))


def _lease_set(plan: Isolation) -> str:
    if not plan.leases:
        return ""
    pairs = ", ".join(f"{mac} . {address}" for mac, address in sorted(plan.leases.items()))
    known = ", ".join(sorted(plan.leases))
    return f"""
    set leases {{
        typeof ether saddr . ip saddr
        elements = {{ {pairs} }}
    }}
    set known {{
        typeof ether saddr
        elements = {{ {known} }}
    }}
"""


def _arriving(plan: Isolation) -> str:
    """Sources and destinations by side, before connections are looked up: a false one is never part of any."""
    network = plan.address.network
    from_equipment = f'iifname "{plan.equipment}"'
    from_uplink = f'iifname "{plan.uplink}"'
    own = f"{{ {plan.address.ip}, {network.broadcast_address}, 255.255.255.255 }}"
    newcomer = "ip saddr 0.0.0.0 ip daddr 255.255.255.255 udp sport 68 udp dport 67"
    if plan.leases:
        asking = f"{from_equipment} ether saddr @known {newcomer} accept"
        source = f"{from_equipment} ether saddr . ip saddr != @leases counter name spoofed drop"
    else:
        asking = ""
        source = f"""{from_equipment} ip saddr != {network} counter name spoofed drop
        {from_equipment} ip saddr {plan.address.ip} counter name spoofed drop"""
    return f"""    chain arriving {{
        type filter hook prerouting priority raw; policy accept;
        {from_equipment} meta nfproto ipv6 counter name ipv6_equipment drop
        {asking}
        {source}
        {from_equipment} ip daddr != {own} counter name misdirected drop
        iifname != {{ "lo", "{plan.equipment}" }} ip saddr {network} counter name spoofed drop
        iifname != {{ "lo", "{plan.equipment}" }} ip daddr {network} counter name misdirected drop
        {from_uplink} ip saddr 127.0.0.0/8 counter name spoofed drop
    }}"""


def _forward() -> str:
    return """    chain forward {
        type filter hook forward priority filter; policy drop;
        counter name routed drop
    }"""


def _input(plan: Isolation) -> str:
    from_equipment = f'iifname "{plan.equipment}"'
    rate = f"limit rate {REQUEST_RATE}/second burst {REQUEST_BURST} packets"
    address = f"{from_equipment} udp sport 68 udp dport 67 {rate} accept" if plan.leases else ""
    served = "{ 67, 123 }" if plan.leases else "123"
    return f"""    chain input {{
        type filter hook input priority filter; policy drop;
        iif "lo" accept
        ct state established ct direction reply accept
        ct state related icmp type {{ {_ERRORS} }} accept
        ct state related icmpv6 type {{ {_ERRORS_V6} }} accept
        {address}
        {from_equipment} udp dport 123 {rate} accept
        {from_equipment} udp dport {served} counter name flooding drop
        {from_equipment} counter name unasked_equipment drop
        iifname "{plan.uplink}" ip6 hoplimit 255 icmpv6 type {{ {_NEIGHBOURS} }} accept
        iifname "{plan.uplink}" counter name unasked_uplink drop
        counter name unasked_elsewhere drop
    }}"""


def _output(plan: Isolation) -> str:
    network = plan.address.network
    to_equipment = f'oifname "{plan.equipment}"'
    return f"""    chain output {{
        type filter hook output priority filter; policy accept;
        {to_equipment} meta nfproto ipv6 counter name leaving drop
        {to_equipment} ip saddr != {plan.address.ip} counter name leaving drop
        {to_equipment} ip daddr != {{ {network}, 255.255.255.255 }} counter name leaving drop
        oifname != {{ "lo", "{plan.equipment}" }} ip saddr {network} counter name leaving drop
        oifname != {{ "lo", "{plan.equipment}" }} ip daddr {network} counter name leaving drop
    }}"""


def _address_resolution(plan: Isolation) -> str:
    """ARP: each side hears of its own address only, and sees no other as a sender."""
    own, network = plan.address.ip, plan.address.network
    return f"""    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{plan.equipment}" arp daddr ip != {own} drop
        iifname "{plan.equipment}" arp saddr ip != {{ {network}, 0.0.0.0 }} drop
        iifname "{plan.equipment}" arp saddr ip {own} drop
        iifname != "{plan.equipment}" arp daddr ip {network} drop
        iifname != "{plan.equipment}" arp saddr ip {network} drop
    }}

    chain output {{
        type filter hook output priority filter; policy accept;
        oifname "{plan.equipment}" arp saddr ip != {own} drop
        oifname != "{plan.equipment}" arp saddr ip {network} drop
    }}"""
