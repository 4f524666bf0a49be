# SPDX-License-Identifier: Apache-2.0
"""The network interface that a modem's session comes out of: its address, its route, its name servers.

Its default route has a larger metric than Ethernet's: the modem is taken where nothing else leads on. A router that is
not in the address's network, as many modems name, is not asked: the modem answers for everybody.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from armillary.engines.host import name_servers
from armillary.engines.host.addressing import MODEM_METRIC, add_default_route, bring_up, forget_address, set_address
from armillary.wire.modem.answers import Addressing

# Of this process's network: a line for each interface, with eight numbers of what came, then eight of what went.
COUNTED: Final = Path("/proc/net/dev")
_NUMBERS: Final = 16
_SENT: Final = 8
# More than any modem moves, less than what JSON readers round.
MAX_BYTES: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of all packets, those of the link too; what an operator counts may differ."""

    received: int = 0
    sent: int = 0


class UplinkInterface:
    """One interface of this host; ``resolver`` is where its name servers are told, None for nowhere."""

    def __init__(self, name: str, *, resolver: Path | None = name_servers.RESOLVER) -> None:
        self.name = name
        self._resolver = resolver

    def up(self, given: Addressing | None) -> str:
        """Use what the network gave the session; returns the address.

        Raises OSError: there is no such interface, the modem names no address, or the process may not (CAP_NET_ADMIN).
        """
        bring_up(self.name)
        if given is None:
            raise OSError("the modem names no address of its session")
        set_address(self.name, given.address, given.mask)
        here = IPv4Network((int(given.address), str(given.mask)), strict=False)
        router = given.gateway if given.gateway is not None and given.gateway in here else None
        add_default_route(self.name, router, metric=MODEM_METRIC)
        if self._resolver is not None:
            name_servers.tell(self.name, MODEM_METRIC, given.name_servers, self._resolver)
        return str(given.address)

    def down(self) -> None:
        """Use it no more."""
        with contextlib.suppress(OSError):
            forget_address(self.name)
        if self._resolver is not None:
            name_servers.forget(self.name, MODEM_METRIC, self._resolver)

    def traffic(self) -> Traffic:
        """What the kernel has counted at it since it is there; nothing where it is gone."""
        with contextlib.suppress(OSError, ValueError):
            for line in COUNTED.read_text("ascii").splitlines():
                name, _, numbers = line.partition(":")
                if name.strip() == self.name:
                    found = [min(int(each), MAX_BYTES) for each in numbers.split()]
                    return Traffic(found[0], found[_SENT]) if len(found) >= _NUMBERS else Traffic()
        return Traffic()
