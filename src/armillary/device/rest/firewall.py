# SPDX-License-Identifier: Apache-2.0
"""What applications may reach and be reached at, in the form of Azure Sphere's firewall rules.

The sandbox enforces it, and no packet filter of the host. A declared name is shown at the address that stands for it
inside the sandbox (``capability/network.py``); ``destinationName`` and ``componentId`` are additions to the form.
What is counted as packets is what the sandbox decides about: connections (``connection_counts.py``); those that come in
it does not see, and bytes neither: both are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from armillary.capability.grant import Grant
from armillary.device.applications.connection_counts import ConnectionCounts

ANY_USER: Final = 0xFFFF_FFFF
ANY_PORT: Final = (0, 65535)
_ANYWHERE: Final = {"IP": "0.0.0.0", "Mask": "0.0.0.0"}  # noqa: S104 - an address of the form, nothing listens


def rulesets(applications: Iterable[tuple[Grant, ConnectionCounts]]) -> list[dict[str, Any]]:
    """The rules of both directions; each ends with the one that refuses the rest."""
    known = sorted(applications, key=lambda each: each[0].component_id)
    outgoing = [rule for grant, counts in known for rule in _outgoing(grant, counts)]
    incoming = [rule for grant, _ in known for rule in _incoming(grant)]
    refused = sum(counts.refused for _, counts in known)
    refused_listeners = sum(counts.refused_listeners for _, counts in known)
    return [
        {"hook": "input", "isValid": True, "rules": [*incoming, _rule("drop", counted=refused_listeners)]},
        {"hook": "output", "isValid": True, "rules": [*outgoing, _rule("drop", counted=refused)]},
    ]


def _outgoing(grant: Grant, counts: ConnectionCounts) -> Iterator[dict[str, Any]]:
    component = {"componentId": str(grant.component_id)}
    for name in sorted(grant.hosts.names):
        rule = _rule("accept", to=grant.hosts.stand_ins[name], counted=counts.allowed[name])
        yield rule | component | {"destinationName": name}
    for address in sorted(grant.hosts.addresses, key=lambda each: (each.version, int(each))):
        yield _rule("accept", to=address, counted=counts.allowed[str(address)]) | component


def _incoming(grant: Grant) -> Iterator[dict[str, Any]]:
    for protocol, ports in (("tcp", grant.tcp_server_ports), ("udp", grant.udp_server_ports)):
        for port in sorted(ports):
            rule = _rule("accept", protocol=protocol, ports=(port, port))
            yield rule | {"componentId": str(grant.component_id)}


def _rule(
    action: str,
    *,
    to: IPv4Address | IPv6Address | None = None,
    protocol: str = "any",
    ports: tuple[int, int] = ANY_PORT,
    counted: int = 0,
) -> dict[str, Any]:
    whole = 0 if to is None else (1 << to.max_prefixlen) - 1
    mask = _ANYWHERE["Mask"] if to is None else str(type(to)(whole))
    return {
        "sourceIP": _ANYWHERE["IP"],
        "sourceMask": _ANYWHERE["Mask"],
        "destinationIP": _ANYWHERE["IP"] if to is None else str(to),
        "destinationMask": mask,
        "uid": ANY_USER,
        "action": action,
        "interfaceInName": "",
        "interfaceOutName": "",
        "state": "none",
        "tcpMask": [],
        "tcpCmp": [],
        "tcpInv": False,
        "protocol": protocol,
        "sourcePortRange": {"min": ANY_PORT[0], "max": ANY_PORT[1]},
        "destinationPortRange": {"min": ports[0], "max": ports[1]},
        "packets": counted,
        "bytes": 0,
    }
