# SPDX-License-Identifier: Apache-2.0
"""Who has which address of a range, and what a client is answered (RFC 2131 §4.3). Touches no network and no clock.

The device is the only DHCP server of its private network. So a client that asks for an address that it had before, and
that nobody has now, gets it again, also where the device knows nothing of it any more: leases are in memory, and a
device that starts again finds its clients at the addresses that they have.

The table has at most one row for each address of the range, whatever clients send. Where all are promised, the oldest
promise that nobody has taken up gives way: questions alone use up no addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from armillary.device.private_network.plan import DhcpPlan
from armillary.wire.device import dhcp
from armillary.wire.device.dhcp import NO_ADDRESS, ClientMessage, Kind, ServerMessage

# How long an address is kept for a client to whom it was offered: it takes it up in the next packet.
OFFER_S: Final = 30
# How long an address is left alone of which a client says that somebody else has it.
DECLINED_S: Final = 600


@dataclass(slots=True)
class Lease:
    """One address that is taken: ``key`` is its client, b"" where it was declined; ``until`` is monotonic seconds."""

    key: bytes
    hardware: bytes
    until: float
    is_bound: bool  # else only offered, or declined


class Leases:
    """The table of one range."""

    def __init__(self, plan: DhcpPlan) -> None:
        self.plan = plan
        self._rows: dict[IPv4Address, Lease] = {}

    def replan(self, plan: DhcpPlan) -> None:
        """Give out another range from now on; clients whose address is in it keep it."""
        self.plan = plan
        self._rows = {address: lease for address, lease in self._rows.items() if plan.has(address)}

    def bound(self, now: float) -> Mapping[IPv4Address, Lease]:
        """Addresses that clients have, in their order."""
        return {address: lease for address, lease in sorted(self._rows.items()) if lease.is_bound and lease.until > now}

    def answer(self, asked: ClientMessage, now: float) -> ServerMessage | None:
        """What a client is answered; None for nothing."""
        match asked.kind:
            case Kind.DISCOVER:
                return self._offer(asked, now)
            case Kind.REQUEST:
                return self._confirm(asked, now)
            case Kind.INFORM:
                return self._inform(asked)
            case Kind.DECLINE if asked.server == self.plan.server:
                self._decline(asked, now)
            case Kind.RELEASE if asked.server == self.plan.server:
                self._release(asked)
        return None

    def _offer(self, asked: ClientMessage, now: float) -> ServerMessage | None:
        address = self._choose(asked, now)
        if address is None:
            return None
        held = self._rows.get(address)
        if held is None or held.key != asked.key or not held.is_bound or held.until <= now:
            self._rows[address] = Lease(asked.key, asked.hardware, now + OFFER_S, is_bound=False)
        return self._say(Kind.OFFER, address)

    def _confirm(self, asked: ClientMessage, now: float) -> ServerMessage | None:
        """ACK or NAK; nothing for a client that takes what another server offered."""
        if asked.server is not None and asked.server != self.plan.server:
            self._take_back_offer(asked)
            return None
        has_address = asked.client_address != NO_ADDRESS
        wanted = asked.client_address if has_address or asked.requested is None else asked.requested
        if not self.plan.has(wanted) or self._is_taken(wanted, asked.key, now):
            message = b"this address is not yours"
            return ServerMessage(kind=Kind.NAK, server=self.plan.server, options={dhcp.MESSAGE: message})
        for address in self._of(asked.key):  # it has one address, and this is it now
            del self._rows[address]
        self._rows[wanted] = Lease(asked.key, asked.hardware, now + self.plan.lease_s, is_bound=True)
        return self._say(Kind.ACK, wanted)

    def _inform(self, asked: ClientMessage) -> ServerMessage | None:
        """What else a client with an address of its own is told (RFC 2131 §4.3.5)."""
        if asked.client_address not in self.plan.network or asked.client_address == self.plan.server:
            return None
        return ServerMessage(kind=Kind.ACK, server=self.plan.server, options=self._around())

    def _decline(self, asked: ClientMessage, now: float) -> None:
        """Leave alone what a client says somebody else has; only of what was given to that client."""
        if asked.requested in self._of(asked.key):
            self._rows[asked.requested] = Lease(b"", asked.hardware, now + DECLINED_S, is_bound=False)

    def _release(self, asked: ClientMessage) -> None:
        if asked.client_address in self._of(asked.key):
            del self._rows[asked.client_address]

    def _take_back_offer(self, asked: ClientMessage) -> None:
        for address in self._of(asked.key):
            if not self._rows[address].is_bound:
                del self._rows[address]

    def _choose(self, asked: ClientMessage, now: float) -> IPv4Address | None:
        """The address for a client: its own, the one it asks for, one by its key, or the oldest that is only offered.

        One by its key, so that it is the same again after the device has forgotten.
        """
        own = self._of(asked.key)
        if own:
            return own[0]
        wanted = asked.requested
        if wanted is not None and self.plan.has(wanted) and self._is_free(wanted, asked.key, now):
            return wanted
        start = int.from_bytes(hashlib.sha256(asked.key).digest()[:4], "big")
        for number in range(self.plan.count):
            address = self.plan.first + (start + number) % self.plan.count
            if self._is_free(address, asked.key, now):
                return address
        offered = [address for address, lease in self._rows.items() if not lease.is_bound and lease.key]
        return min(offered, key=lambda address: (self._rows[address].until, address), default=None)

    def _is_free(self, address: IPv4Address, key: bytes, now: float) -> bool:
        held = self._rows.get(address)
        return held is None or held.key == key or held.until <= now

    def _is_taken(self, address: IPv4Address, key: bytes, now: float) -> bool:
        """Whether another client has it, or somebody unknown; what was only offered is whose who asks first."""
        held = self._rows.get(address)
        return held is not None and (held.is_bound or not held.key) and not self._is_free(address, key, now)

    def _of(self, key: bytes) -> list[IPv4Address]:
        """What a client has or was offered."""
        return [address for address, lease in self._rows.items() if lease.key == key]

    def _say(self, kind: Kind, address: IPv4Address) -> ServerMessage:
        times = {
            dhcp.LEASE_TIME: self.plan.lease_s,
            dhcp.RENEWAL_TIME: self.plan.renew_s,
            dhcp.REBINDING_TIME: self.plan.rebind_s,
        }
        options = {code: seconds.to_bytes(4, "big") for code, seconds in times.items()}
        return ServerMessage(kind=kind, server=self.plan.server, address=address, options={**options, **self._around()})

    def _around(self) -> dict[int, bytes]:
        """What clients are told of their network."""
        found = {dhcp.NETMASK: self.plan.network.netmask.packed}
        if self.plan.gateway is not None:
            found[dhcp.ROUTER] = self.plan.gateway.packed
        for code, servers in ((dhcp.DNS_SERVERS, self.plan.dns_servers), (dhcp.NTP_SERVERS, self.plan.ntp_servers)):
            if servers:
                found[code] = b"".join(each.packed for each in servers)
        return found


def destination(asked: ClientMessage, answer: ServerMessage) -> IPv4Address:
    """Where an answer goes: to an address that a client has already, else to everybody on the network.

    RFC 2131 §4.1 would have it sent to the hardware address of a client without an address; that is no more than what
    everybody hears as well, and needs a socket that can send anything.
    """
    has_address = asked.client_address != NO_ADDRESS and answer.kind == Kind.ACK
    return asked.client_address if has_address else dhcp.BROADCAST


def shown(leases: Mapping[IPv4Address, Lease], now: float) -> Iterator[dict[str, object]]:
    """Leases for people and applications."""
    for address, lease in leases.items():
        yield {"address": str(address), "hardware": lease.hardware.hex(":"), "left_s": max(0, int(lease.until - now))}
