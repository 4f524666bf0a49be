# SPDX-License-Identifier: Apache-2.0
"""AllowedConnections: which hosts an application may reach, and the stand-in addresses of their names.

A manifest lists exact host names and addresses. A name means that name: no sub-domain, no other name on the same
address. So the decision is never made about an address that a name happened to resolve to. Inside the sandbox
every declared name has its own *stand-in*, an address in a reserved part of 127/8; the supervisor sees the
application connect to the stand-in, knows the name, and resolves it outside at that moment.

Azure Sphere grants a host, not a port (app manifest, ``AllowedConnections``); so does this module.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from armillary.wire.text.carried_address import carried_addresses

Address = IPv4Address | IPv6Address

# Part of the loopback block (RFC 6890 §2.2.2): such an address can never be a real destination elsewhere.
STAND_IN_NETWORK = ipaddress.IPv4Network("127.83.0.0/24")
# Where the sandbox's resolver configuration points; nothing listens there, the supervisor answers.
RESOLVER_ADDRESS = IPv4Address("127.83.1.53")
RESOLVER_PORT = 53
# What clouds tell a machine alone at an address that is not link local: credentials of the machine, and its platform.
_METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in ("168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254")
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one attempt.

    Attributes:
        host: The declared name or address when allowed; otherwise what the application asked for.
        reason: One clause for logs.
    """

    allowed: bool
    host: str
    port: int
    reason: str


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts one application may reach. Build it with :func:`allowed_hosts`.

    Attributes:
        names: Declared host names, lower case, without a final dot.
        stand_ins: Declared name to the address that stands for it inside the sandbox.
    """

    names: frozenset[str]
    addresses: frozenset[Address]
    stand_ins: Mapping[str, IPv4Address]
    _names: Mapping[Address, str] = field(init=False, repr=False, compare=False)  # Stand-in to its name

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", {address: name for name, address in self.stand_ins.items()})

    def decide(self, host: str, port: int) -> Decision:
        """Decide about a name or an address (textual form); a stand-in counts as its name."""
        address = parse_address(host)
        if address is None:
            name = canonical_name(host)
            if name in self.names:
                return Decision(allowed=True, host=name, port=port, reason="declared name")
            return Decision(allowed=False, host=name, port=port, reason="name is not in AllowedConnections")
        stands_for = self._names.get(address)
        if stands_for is not None:
            return Decision(allowed=True, host=stands_for, port=port, reason="declared name")
        if address in self.addresses:
            return Decision(allowed=True, host=str(address), port=port, reason="declared address")
        return Decision(allowed=False, host=str(address), port=port, reason="address is not in AllowedConnections")


def allowed_hosts(declared: Iterable[str]) -> AllowedHosts:
    """The decision table of a manifest's ``AllowedConnections``; ValueError if it names more hosts than stand-ins."""
    names: list[str] = []
    addresses: set[Address] = set()
    for entry in declared:
        address = parse_address(entry)
        if address is not None:
            addresses.add(address)
        elif canonical_name(entry) not in names:
            names.append(canonical_name(entry))
    if len(names) > STAND_IN_NETWORK.num_addresses - 2:
        raise ValueError(f"{len(names)} host names, at most {STAND_IN_NETWORK.num_addresses - 2}")
    stand_ins = {name: STAND_IN_NETWORK[index + 1] for index, name in enumerate(names)}
    return AllowedHosts(frozenset(names), frozenset(addresses), stand_ins)


def parse_address(text: str) -> Address | None:
    """The address a text spells, with IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) as IPv4; None for a name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def canonical_name(name: str) -> str:
    """Lower case and without a final dot: the spelling that is compared."""
    return name.lower().removesuffix(".")


def refuse_resolved(name: str, resolved: str, *, local_names: frozenset[str]) -> str | None:
    """Why an address that a declared name resolved to must not be used, or None when it may be.

    Whoever controls a name's DNS could otherwise point it at this machine's own services or at a cloud's
    metadata address (DNS rebinding), also by an IPv6 address that carries it (NAT64, 6to4). Names that this
    machine's administrator defined (``localhost``, the hosts file) may be loopback.

    Args:
        name: The declared name.
        resolved: Address in textual form.
        local_names: Lower-case names that the machine's hosts file defines.
    """
    address = parse_address(resolved)
    if address is None:
        return f"{resolved!r} is not an address"
    carried = carried_addresses(address) if isinstance(address, IPv6Address) else ()
    if any(each.is_multicast or each.is_unspecified for each in (address, *carried)):
        return f"{name} resolves to {address}, which is no host"
    if any(_is_of_this_machine(each) for each in carried):
        return f"{name} resolves to {address}, which carries an address of this machine"
    if _is_of_this_machine(address) and name not in local_names and name != "localhost":
        return f"{name} resolves to {address}, which belongs to this machine and not to that name"
    return None


def _is_of_this_machine(address: Address) -> bool:
    """Whether an address reaches this machine itself, or what its cloud tells this machine alone."""
    return address.is_loopback or address.is_link_local or address in _METADATA


def hosts_file(allowed: AllowedHosts) -> bytes:
    """``/etc/hosts`` of the sandbox: each declared name with its stand-in."""
    lines = [f"{address} {name}" for name, address in allowed.stand_ins.items()]
    if "localhost" not in allowed.names:
        lines.insert(0, "127.0.0.1 localhost")
    return "".join(f"{line}\n" for line in lines).encode()


def resolver_configuration() -> bytes:
    """``/etc/resolv.conf`` of the sandbox: every other name is asked at an address that the supervisor answers."""
    return f"nameserver {RESOLVER_ADDRESS}\noptions timeout:2 attempts:1\n".encode()
