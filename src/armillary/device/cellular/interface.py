# SPDX-License-Identifier: Apache-2.0
"""The network interface that a modem's session comes out of: its address, its route, its name servers.

Its default route has a larger metric than Ethernet's: the modem is taken where nothing else leads on. A router that is
not in the address's network, as many modems name, is not asked: the modem answers for everybody.
"""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Network

from armillary.engines.host import name_servers
from armillary.engines.host.addressing import MODEM_METRIC, add_default_route, bring_up, forget_address, set_address
from armillary.wire.modem.answers import Addressing


class UplinkInterface:
    """One interface of this host."""

    def __init__(self, name: str) -> None:
        self.name = name

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
        name_servers.tell(self.name, MODEM_METRIC, given.name_servers)
        return str(given.address)

    def down(self) -> None:
        """Use it no more."""
        with contextlib.suppress(OSError):
            forget_address(self.name)
        name_servers.forget(self.name, MODEM_METRIC)
