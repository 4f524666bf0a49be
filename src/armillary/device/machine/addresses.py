# SPDX-License-Identifier: Apache-2.0
"""The address of the machine's Ethernet interface: asked for, renewed, and asked for again, without waiting for it."""

from __future__ import annotations

import contextlib
import time
from typing import Final

from armillary.device.machine import network
from armillary.device.machine.console import say
from armillary.engines.host.addressing import ETHERNET_METRIC, bring_up, leave_lost_links

WITHIN_S: Final = 20.0
AGAIN_S: Final = 30.0  # until a network that gave no address is asked again


class Addresses:
    """What process 1 does about addresses; ``asking`` is a request under way: look when its socket has something."""

    def __init__(self) -> None:
        self.asking: network.AddressRequest | None = None
        self._interface: str | None = None
        self._asked_at = 0.0
        self._has_address = False
        self._renew_at = float("inf")

    def begin(self) -> None:
        """Loopback and Ethernet; without an address the device starts all the same, and asks again."""
        bring_up("lo")
        with contextlib.suppress(OSError):  # a kernel without it takes a route whose cable was pulled out
            leave_lost_links()
        self._interface = network.first_ethernet()
        if self._interface is None:
            say("there is no Ethernet interface")
            return
        try:
            bring_up(self._interface)
        except OSError as error:
            say(f"{self._interface} is not switched on: {error.strerror or error}")
        self._renew_at = 0.0
        self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Ask for an address when it is time, take what has come, give up for a while when nobody answers."""
        if self._interface is None or (self.asking is None and now < self._renew_at):
            return
        try:
            if self.asking is None:
                self.asking, self._asked_at = network.AddressRequest(self._interface, metric=ETHERNET_METRIC), now
            lease = self.asking.look(now)
        except OSError as error:  # it was pulled out, or the kernel refuses what was given: the device goes on without
            say(f"{self._interface} gets no address: {error.strerror or error}; asking again")
            self._stop_asking(again_at=now + AGAIN_S)
            return
        if lease is not None:
            if not self._has_address:
                say(f"{self._interface} has the address {lease.address}")
            self._has_address = True
            self._stop_asking(again_at=now + lease.ask_again_s)
        elif now - self._asked_at >= WITHIN_S:
            say(f"nobody gave {self._interface} an address within {WITHIN_S:g} s; asking again")
            self._stop_asking(again_at=now + AGAIN_S)

    def _stop_asking(self, *, again_at: float) -> None:
        if self.asking is not None:
            self.asking.close()
        self.asking, self._renew_at = None, again_at
