# SPDX-License-Identifier: Apache-2.0
"""The port of every link to equipment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.request import Frame, Reply, Request


@dataclass(slots=True)
class LinkCounters:
    """What became of a link's exchanges since the process started."""

    exchanges: int = 0  # Requests sent
    replies: int = 0  # Good ones
    timeouts: int = 0
    damaged: int = 0  # Wrong checksum, length or form
    foreign: int = 0  # Late, doubled, or of another unit, transaction or function
    exceptions: int = 0  # Refused by the equipment in its protocol
    connects: int = 0
    disconnects: int = 0
    clock_steps: int = 0  # Values that are older, by the equipment's clock, than the ones before
    received: int = 0  # Frames that the equipment sent by itself (framed links)

    def count(self, error: LinkError) -> None:
        """Count what became of an exchange that failed."""
        match error.reason:
            case "timeout":
                self.timeouts += 1
            case "damaged":
                self.damaged += 1
            case "foreign":
                self.foreign += 1
            case "refused":
                self.exceptions += 1


class Link(Protocol):
    """One connection to one piece of equipment. Connects by itself when it is used; one exchange at a time."""

    counters: LinkCounters

    async def exchange(self, permit: Permit[Request]) -> Reply:
        """Send one request and return its reply.

        Raises:
            LinkError: no connection, no reply in time, a damaged or foreign reply, or a refusal by the equipment. The
                link is in step again for the next exchange.
        """
        ...

    async def receive(self) -> Frame:
        """Wait for the next frame that the equipment sends by itself (framed links; others wait for ever).

        Raises:
            LinkError: the line is gone; call again to connect anew.
        """
        ...

    async def close(self) -> None:
        """Disconnect. May be called more than once."""
        ...
