# SPDX-License-Identifier: Apache-2.0
"""Runs a security service in a thread of its own, for tests, attacks and demonstrations with simulated devices."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.wire_device import WireDevice

START_TIMEOUT_S = 30.0
HOUR_S = 3600  # simulated devices come hourly where nobody says otherwise
ACTOR = "host"


class ServiceHost:
    """Opens a service, starts it on a free loopback port, closes it at the end of the block.

    Args:
        clock: Seconds since 1970; the real clock when None.
        hub: Host and port of the hub that devices are given; those of the settings when None.
        settings: Changes to the default settings.
    """

    def __init__(
        self,
        data: Path,
        *,
        clock: Callable[[], float] = time.time,
        hub: tuple[str, int] | None = None,
        **settings: object,
    ) -> None:
        chosen = {
            "data": data,
            "device_port": 0,
            "hub_port": 0,
            "api_port": 0,
            "check_in_interval_s": HOUR_S,
            **settings,
        }
        self.service = SecurityService.open(Settings(**chosen), clock=clock)  # type: ignore[arg-type]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service-host", daemon=True)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.service.start(hub), self._loop).result(START_TIMEOUT_S)
        except BaseException:  # undone whatever it was, then raised on
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the service and end the thread."""
        asyncio.run_coroutine_threadsafe(self.service.close(), self._loop).result(START_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def catalog(self, name: str = "Contoso", product: str = "Kettle") -> None:
        """Make a catalog with a product and its five default device groups."""
        registry = self.service.registry
        registry.catalogs.create(name, actor=ACTOR)
        registry.products.create(name, product, actor=ACTOR)
        registry.groups.create_defaults(name, product, actor=ACTOR)

    def device(self, secret: bytes, *, chip: str = "mt3620") -> WireDevice:
        """Manufacture a device with a unique secret of 32 bytes; it is not claimed."""
        return WireDevice.make(
            secret,
            lambda request: self.service.factory.enrol(request, chip, ACTOR),
            port=self.service.device_address.port,
            chip=chip,
        )

    def claimed(
        self, secret: bytes, *, catalog: str = "Contoso", product: str = "Kettle", group: str = "Production"
    ) -> WireDevice:
        """Manufacture a device and claim it into a group."""
        device = self.device(secret)
        self.service.registry.devices.claim(catalog, [device.device_id], product=product, group=group, actor=ACTOR)
        return device
