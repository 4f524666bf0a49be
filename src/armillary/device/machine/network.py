# SPDX-License-Identifier: Apache-2.0
"""The machine's interfaces, and an address for one by DHCP, which is asked for over a packet socket.

Of several networks that lead to everywhere the kernel takes the one with the smallest metric, and name servers follow
(``engines/host/addressing.py``, ``name_servers.py``).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from armillary.engines.host import addressing, name_servers
from armillary.errors import WireError
from armillary.wire.device_image import service_link
from armillary.wire.device_image.address_lease import (
    ACKNOWLEDGE,
    MAX_BYTES,
    OFFER,
    Lease,
    discover,
    parse_reply,
    request,
)

INTERFACES: Final = Path("/sys/class/net")
# The hardware address of the card that stands for the interface of a virtual machine's modem.
MODEM_CARD: Final = "02:61:72:6d:00:01"
_ETHERNET: Final = "1"
_IPV4: Final = 0x0800
_EVERYBODY: Final = b"\xff" * 6
_ANSWER_S: Final = 2.0
# What a flood of packets may keep process 1 from at a time: some milliseconds.
_PACKETS_AT_A_TIME: Final = 64


def first_ethernet() -> str | None:
    """The first interface with a card behind it that is no radio and none of its own kind, by name."""
    for path in sorted(INTERFACES.iterdir()):
        is_card = (path / "device").exists() and (path / "type").read_text().strip() == _ETHERNET
        if is_card and not is_radio(path) and not is_of_modem(path) and not _has_address(path, service_link.CARD):
            return path.name
    return None


def first_radio() -> str | None:
    """The first interface that is a Wi-Fi radio, by name."""
    return next((path.name for path in sorted(INTERFACES.iterdir()) if is_radio(path)), None)


def modem_card() -> str | None:
    """The interface of a virtual machine's modem, by name; None where there is none."""
    return next((path.name for path in sorted(INTERFACES.iterdir()) if is_of_modem(path)), None)


def service_card() -> str | None:
    """The interface of a virtual machine's service link, by name; None where there is none."""
    return next((path.name for path in sorted(INTERFACES.iterdir()) if _has_address(path, service_link.CARD)), None)


def is_of_modem(path: Path) -> bool:
    """Whether an interface, by its folder in sysfs, is the one of a virtual machine's modem."""
    return _has_address(path, MODEM_CARD)


def _has_address(path: Path, hardware_address: str) -> bool:
    with contextlib.suppress(OSError):
        return (path / "address").read_text("ascii").strip() == hardware_address
    return False


def is_radio(path: Path) -> bool:
    """Whether an interface, by its folder in sysfs, is a Wi-Fi radio."""
    return (path / "phy80211").exists()


class AddressRequest:
    """Asks for an address on an interface, and waits for nothing: the caller looks when its socket has something.

    :meth:`look` is called when :attr:`socket` is readable and whenever :attr:`ask_again_at` has come. Use :meth:`close`
    at the end. OSError from any call: the interface is gone, or the kernel refuses what was given.
    """

    def __init__(self, interface: str, *, metric: int) -> None:
        self._interface = interface
        self._metric = metric
        self._hardware = bytes.fromhex((INTERFACES / interface / "address").read_text().strip().replace(":", ""))
        self._transaction = 0
        self._offer: Lease | None = None
        self.ask_again_at = float("-inf")
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, socket.htons(_IPV4))
        try:
            self.socket.bind((interface, _IPV4))
        except OSError:
            self.socket.close()
            raise

    def close(self) -> None:
        """Ask no more."""
        self.socket.close()

    def look(self, now: float) -> Lease | None:
        """Take the replies that have come, ask (again) if it is time; the lease once there is one, in use already."""
        for reply in self._replies():
            if self._offer is None and reply.kind == OFFER:
                self._offer = reply
                self._send(request(self._hardware, self._transaction, reply), now)
            elif self._offer is not None and reply.kind == ACKNOWLEDGE:
                use(self._interface, reply, metric=self._metric)
                return reply
        if now >= self.ask_again_at:
            self._offer, self._transaction = None, int.from_bytes(os.urandom(4), "big")
            self._send(discover(self._hardware, self._transaction), now)
        return None

    def _replies(self) -> Iterator[Lease]:
        """Replies to this request among what has come, at most so many packets at a time."""
        for _ in range(_PACKETS_AT_A_TIME):
            try:
                packet = self.socket.recv(MAX_BYTES)
            except BlockingIOError:
                return
            with contextlib.suppress(WireError):  # somebody else's packet, or a broken server: another may answer
                reply = parse_reply(packet, self._hardware, self._transaction)
                if reply is not None:
                    yield reply

    def _send(self, packet: bytes, now: float) -> None:
        self.socket.sendto(packet, (self._interface, _IPV4, 0, 0, _EVERYBODY))
        self.ask_again_at = now + _ANSWER_S


def lease_address(interface: str, *, metric: int, within_s: float) -> Lease | None:
    """Ask for an address until one is given, at most so long, and use it; None if nobody answers."""
    ends_at = time.monotonic() + within_s
    with closing(AddressRequest(interface, metric=metric)) as asking:
        while (now := time.monotonic()) < ends_at:
            lease = asking.look(now)
            if lease is not None:
                return lease
            select.select([asking.socket], [], [], max(0.0, min(asking.ask_again_at, ends_at) - now))
    return None


def use(interface: str, lease: Lease, *, metric: int) -> None:
    """Give an interface the address of a lease, and the machine its router and name servers."""
    addressing.set_address(interface, lease.address, lease.mask)
    if lease.router is not None:
        addressing.add_default_route(interface, lease.router, metric=metric)
    name_servers.tell(interface, metric, lease.name_servers)


def leave(interface: str, *, metric: int) -> None:
    """Use no more what a lease gave; nothing where there was none."""
    with contextlib.suppress(OSError):
        addressing.forget_address(interface)
    name_servers.forget(interface, metric)
