# SPDX-License-Identifier: Apache-2.0
"""Serves devices, by an endpoint in this process or by device workers; a thread detects when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from armillary.service.authority.server_certificate import ServerFiles
from armillary.service.context.context import DeviceAddress
from armillary.service.endpoint.device_server import DeviceServer, ServingParts
from armillary.service.watch.detections import Observation
from armillary.service.watch.heartbeat import VerifierMonitor

if TYPE_CHECKING:
    from armillary.service.workers.device_workers import DeviceWorkers


class DeviceServing:
    """Starts what serves devices, joins it to the notices of the service, and ends it.

    ``observe`` takes findings about the verifier; ``address`` is given the port that was opened. Before the start
    ``server``, ``workers`` and ``monitor`` are None; then devices are served by one of the first two.
    """

    def __init__(self, parts: ServingParts, observe: Callable[[Observation], object], address: DeviceAddress) -> None:
        self._parts = parts
        self._observe = observe
        self._address = address
        self.server: DeviceServer | None = None
        self.workers: DeviceWorkers | None = None
        self.monitor: VerifierMonitor | None = None

    @property
    def front(self) -> DeviceServer | DeviceWorkers | None:
        """What serves devices; None before the start."""
        return self.server or self.workers

    async def start(self, hub: tuple[str, int]) -> int:
        """Accept devices, which are given ``hub`` (host, port); returns since when they could check in.

        That is in Unix seconds; 0 for always.

        Raises:
            PortInUseError: another process has the device port.
            HostError: a device worker cannot start.
        """
        settings = self._parts.context.settings
        front = self._make_workers(hub) if settings.device_worker_count else self._make_server(hub)
        self._address.port = await front.start(settings.host, settings.device_port)
        self.monitor = VerifierMonitor(self._parts.context, lambda: front.liveness, self._observe)
        return await asyncio.to_thread(self.monitor.start)

    def _make_server(self, hub: tuple[str, int]) -> DeviceServer:
        parts = self._parts
        self.server = server = DeviceServer(parts, hub=hub)
        parts.notices.on_revoked.append(server.endpoint.disconnect)
        parts.authority.silicon.on_new.append(server.trust)
        return server

    def _make_workers(self, hub: tuple[str, int]) -> DeviceWorkers:
        """Device workers: a call that changes something returns when all of them know of it."""
        from armillary.service.workers.device_workers import DeviceWorkers  # noqa: PLC0415 - the one-process form needs none
        from armillary.wire.device.worker_message import AUTHORITIES, OFFERS, POLICIES, RELEASES  # noqa: PLC0415

        parts = self._parts
        self.workers = workers = DeviceWorkers(parts.context, parts.notices, self._observe, hub=hub)
        parts.notices.on_device.append(workers.device_changed)
        parts.notices.on_asked.append(workers.devices_changed)
        parts.notices.on_revoked.append(workers.disconnect)
        parts.notices.on_groups.append(lambda: workers.reread(OFFERS))
        parts.releases.on_change.append(lambda: workers.reread(RELEASES))
        parts.policies.on_change.append(lambda: workers.reread(POLICIES))
        parts.authority.issued.on_renewed.append(lambda: workers.reread(AUTHORITIES))
        return workers

    def present(self, files: ServerFiles) -> None:
        """Present the server certificate in these files from the next handshake on."""
        if self.front is not None:
            self.front.present(files)

    def describe_workers(self) -> list[dict[str, object]]:
        """Each device worker (``service/workers/process.py``); empty where the service's own process serves devices."""
        return [] if self.workers is None else self.workers.describe()

    async def close(self) -> None:
        """End the monitor, then accept nobody any more and finish what is being recorded."""
        if self.monitor is not None:
            await asyncio.to_thread(self.monitor.close)
        if self.front is not None:
            await self.front.close()

    def refusals_dropped(self) -> int:
        """Refusals that were only counted, because too many came at once."""
        return 0 if self.front is None else self.front.counts["refusals dropped"]

    def health(self) -> dict[str, dict[str, object]]:
        """The health of endpoint and verifier, for ``/healthz``."""
        front, state = self.front, "not started" if self.monitor is None else self.monitor.state
        return {
            "device_endpoint": {
                "ok": front is not None and front.is_whole,
                "workers": self.describe_workers(),
                "port": self._address.port,
                "connections": 0 if front is None else front.connections,
                "counts": {} if front is None else dict(front.counts),
            },
            "verifier": {"ok": state == "ok", "state": state},
        }
