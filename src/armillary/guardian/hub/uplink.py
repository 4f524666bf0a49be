# SPDX-License-Identifier: Apache-2.0
"""The way to the hub: a connection and a sender for the guardian and for each piece of equipment, twins, the time.

The guardian's own connection has the device's identity; each piece of equipment is a module of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from armillary.engines.equipment.queue import MessageQueue
from armillary.engines.equipment.queueing.lanes import LIVE_S
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.equipment import Equipment
from armillary.guardian.hub.certificate import DeviceCertificate
from armillary.guardian.hub.connection import HubConnection, Listener
from armillary.guardian.hub.hub_time import hub_time
from armillary.guardian.hub.reporting import FORMAT, Report, attempts_each
from armillary.guardian.hub.sending import Sender
from armillary.guardian.log import log
from armillary.guardian.surroundings import Surroundings

# Connecting waits for names and handshakes; more threads than these would only wait for the same hub.
THREADS = 4
LOOK_S = 1.0  # How often twins, clock and certificate are looked at
# How often the hub is asked for the time: a crystal of 100 ppm is off by a third of a second after an hour.
TIME_S = 3600.0
TIME_AGAIN_S = 10.0  # After an answer that did not come


class Identity:
    """One identity at the hub, with what it sends and reports; ``equipment`` is None for the guardian itself."""

    def __init__(self, uplink: Uplink, equipment: Equipment | None) -> None:
        name = "" if equipment is None else equipment.entry.name
        around = uplink.around
        self.report = Report(uplink.section if equipment is None else lambda: equipment.properties() or {})
        self.connection = HubConnection(
            f"{around.device_id}/{name}" if name else around.device_id,
            (around.hub_host, around.hub_port),
            uplink.certificate,
            Listener(
                method=self._method,
                desired=self._desired,
                reported=self.report.told,
                connected=self._connected,
                disconnected=self._disconnected,
            ),
            threads=uplink.threads,
        )
        self.sender = Sender(name, uplink.queue, self.connection)
        self._equipment = equipment
        self._away_since = time.monotonic()

    def look(self, now: float) -> None:
        """Report what has changed."""
        properties = self.report.due(now)
        if properties is not None and self.connection.report(properties):
            self.report.sent(now)

    async def _method(self, name: str, payload: object) -> tuple[int, object]:
        if self._equipment is None:
            return 404, {"error": "the guardian itself takes no commands", "remedy": "Call a module of the device."}
        return await self._equipment.call(name, payload)

    def _desired(self, desired: Mapping[str, object]) -> None:
        if self._equipment is not None:
            self._equipment.want(desired)

    def _connected(self) -> None:
        self.report.forget()
        self.sender.connected()
        if self._equipment is not None and time.monotonic() - self._away_since > LIVE_S:
            self._equipment.say_standing()

    def _disconnected(self) -> None:
        self._away_since = time.monotonic()
        self.sender.disconnected()


class Uplink:
    """All connections to the hub."""

    def __init__(
        self,
        around: Surroundings,
        certificate: DeviceCertificate,
        clock: GuardianClock,
        queue: MessageQueue,
        equipment: Sequence[Equipment],
    ) -> None:
        self.around = around
        self.certificate = certificate
        self.queue = queue
        self.threads = ThreadPoolExecutor(THREADS, "uplink")
        self._clock = clock
        self._equipment = equipment
        self._identities = [Identity(self, each) for each in (None, *equipment)]
        self._time_at = 0.0

    async def run(self) -> None:
        """Connect, send and report until cancelled."""
        if not self.around.hub_host:
            log("the device was told of no hub: everything is kept")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._look())
                for each in self._identities if self.around.hub_host else ():
                    tasks.create_task(each.connection.run())
                    tasks.create_task(each.sender.run())
        finally:
            self.threads.shutdown(wait=False, cancel_futures=True)

    def section(self) -> dict[str, object]:
        """What the guardian says of itself in its twin (``reporting.py``)."""
        counters = self.queue.counters
        each = attempts_each(len(self._equipment))
        section = {
            "format": FORMAT,
            "boot": self.queue.boot,
            "clock": self._clock.quality.value,
            "queue": {
                "messages": counters.messages,
                "bytes": counters.bytes,
                "dropped": dict(counters.dropped),
                "oldest_s": None if counters.oldest_s is None else round(counters.oldest_s),
            },
            "equipment": {one.entry.name: one.status(each) for one in self._equipment},
        }
        return {"guardian": section}

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._clock.look()
            if self._identities[0].connection.is_connected and loop.time() >= self._time_at:
                await self._ask_time(loop)
            for each in self._identities:
                each.look(loop.time())
            await asyncio.sleep(LOOK_S)

    async def _ask_time(self, loop: asyncio.AbstractEventLoop) -> None:
        """Compare the clock with the hub's; correct what was stamped before the time was known."""
        host, port = self.around.hub_host, self.around.hub_port

        def ask() -> float:
            return hub_time(host, port, self.certificate.context())

        try:
            is_new = self._clock.told(await loop.run_in_executor(self.threads, ask))
        except OSError as error:
            log(f"the hub was not asked for the time: {error}")
            self._time_at = loop.time() + TIME_AGAIN_S
            return
        self._time_at = loop.time() + TIME_S
        if is_new:
            log("the time is known")
            await self.queue.correct_clock(self._clock.now())
