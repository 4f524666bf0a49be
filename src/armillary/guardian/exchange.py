# SPDX-License-Identifier: Apache-2.0
"""The one way to a piece of equipment: what polls and commands send is decided here, and goes one at a time."""

from __future__ import annotations

import asyncio
from collections import Counter

from armillary.engines.equipment.port import Link
from armillary.guard.allow_list import AllowList
from armillary.guard.deciding import decide
from armillary.guard.permit import Permit
from armillary.wire.equipment.faults import GuardRefusedError
from armillary.wire.equipment.request import Frame, Reply, Request


class Exchange:
    """A link behind the guard."""

    def __init__(self, allow: AllowList, link: Link) -> None:
        self.link = link
        self.refused: Counter[str] = Counter()  # Rule -> how often a request or a command broke it
        self._allow = allow
        self._turn = asyncio.Lock()

    async def send(self, request: Request) -> Reply:
        """Send a request that the allow-list has.

        Raises:
            GuardRefusedError: it has not; nothing was sent.
            LinkError: the exchange failed.
        """
        try:
            permit = decide(self._allow, request)
        except GuardRefusedError as error:
            self.refused[error.rule] += 1
            raise
        return await self.carry_out(permit)

    async def carry_out(self, permit: Permit[Request]) -> Reply:
        """Send what the guard has permitted. Raises LinkError: the exchange failed."""
        async with self._turn:
            return await self.link.exchange(permit)

    async def receive(self) -> Frame:
        """Wait for a frame that the equipment sends by itself. Raises LinkError when the line is gone."""
        return await self.link.receive()

    async def close(self) -> None:
        """End the connection."""
        await self.link.close()
