# SPDX-License-Identifier: Apache-2.0
"""Keeps a guardian's two sides apart until it is told to stop: rules, addresses and time, set and watched.

Order: the rules first, then what listens. When it ends the rules stay. Rules that another program took away are set
anew within CHECK_S and told; what was refused meanwhile is told with its count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from armillary.engines.isolation.address_server import AddressServer
from armillary.engines.isolation.firewall import Firewall
from armillary.engines.isolation.time_server import ClockReader, TimeServer, kernel_clock
from armillary.errors import HostError
from armillary.guard.isolation.addressing import dhcp_configuration
from armillary.guard.isolation.filtering import REFUSED
from armillary.guard.isolation.plan import Isolation

# How long the sides may be joined after another program emptied the rules. One look costs two short processes.
CHECK_S = 2.0
RESTART_FIRST_S, RESTART_LIMIT_S = 1.0, 60.0

# An event's name and what it is about, for a log.
Tell = Callable[[str, Mapping[str, object]], None]


class Keeping:
    """Isolation by one plan on this host."""

    def __init__(self, plan: Isolation, tell: Tell, *, clock: ClockReader = kernel_clock) -> None:
        self._plan = plan
        self._tell = tell
        self._firewall = Firewall(plan)
        self._time = TimeServer(clock)
        self._addresses: AddressServer | None = None
        if plan.leases:
            configuration = dhcp_configuration(plan)
            self._addresses = AddressServer(plan.equipment, configuration, self._say)
        self._refused: dict[str, int] = {}

    def check(self) -> None:
        """Let the kernel and dnsmasq look at everything and change nothing; HostError if one refuses."""
        self._firewall.check()
        if self._addresses is not None:
            self._addresses.check()

    def set_rules(self) -> None:
        """Set the rules; HostError if the host refuses."""
        self._firewall.set()
        self._refused = {}

    async def run(self, stopped: asyncio.Event, *, ready: Callable[[], None]) -> None:
        """Set the rules, serve, and watch until stopped; ``ready`` is called when everything serves.

        Raises:
            HostError: the rules cannot be set, or something cannot be started.
        """
        self.set_rules()
        await self._time.listen(self._plan.equipment, self._plan.address.ip)
        tasks: list[asyncio.Task[None]] = []
        try:
            if self._addresses is not None:
                await self._addresses.start()
                tasks.append(asyncio.create_task(self._keep_addresses(self._addresses), name="dnsmasq"))
            tasks.append(asyncio.create_task(self._watch(), name="watch of the rules"))
            ready()
            await stopped.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._addresses is not None:
                await self._addresses.stop()
            self._time.close()

    async def _keep_addresses(self, server: AddressServer) -> None:
        """Start it again whenever it ends, less and less often while it ends at once."""
        loop = asyncio.get_running_loop()
        wait_s = RESTART_FIRST_S
        while True:
            started = loop.time()
            code = await server.ended()
            wait_s = RESTART_FIRST_S if loop.time() - started > RESTART_LIMIT_S else min(2 * wait_s, RESTART_LIMIT_S)
            self._tell("addresses-ended", {"exit_code": code, "again_in_s": wait_s})
            await asyncio.sleep(wait_s)
            await server.stop()
            try:
                await server.start()
            except HostError as error:
                self._tell("addresses-failed", {"reason": error.message})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                if not await asyncio.to_thread(self._firewall.stands):
                    await asyncio.to_thread(self.set_rules)
                    self._tell("rules-set-anew", {"reason": "another program had removed or changed them"})
                self._tell_refused(await asyncio.to_thread(self._firewall.refused))
            except HostError as error:
                self._tell("rules-failed", {"reason": error.message, "remedy": error.remedy})

    def _tell_refused(self, counts: Mapping[str, int]) -> None:
        for name, count in counts.items():
            more = count - self._refused.get(name, 0)
            if more > 0:
                self._tell("refused", {"rule": name, "packets": more, "what": REFUSED.get(name, "")})
        self._refused = dict(counts)

    def _say(self, line: str) -> None:
        self._tell("addresses", {"said": line})
