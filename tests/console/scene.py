# SPDX-License-Identifier: Apache-2.0
"""What scenes of a real service share: its console, a catalog whose devices they claim, browsers of each role."""

from __future__ import annotations

import ssl

from playwright.sync_api import Page
from tests.api.running_service import RunningService
from tests.console.plain_browser import Browser, signed_in
from tests.console.watched_browser import Watched

from armillary.console.application import create_console
from armillary.sim.device.wire_device import WireDevice


class Scene:
    """A running service with its console; devices are claimed for one device group of the catalog ``northwind``."""

    def __init__(self, running: RunningService, product: str = "", group: str = "Field") -> None:
        self.running = running
        self.url = running.address
        self.context = ssl.create_default_context(cafile=str(running.root))
        self.product, self.group = product, group
        closing = running.app.state.closing
        parts, state = (running.service, running.hub, running.platform), running.app.state
        console = create_console(*parts, closing=closing, applications=lambda: state.applications)
        running.app.mount("/", console)
        if product:
            registry = running.service.registry
            registry.catalogs.create("northwind", actor="test")
            registry.products.create("northwind", product, actor="test")
            registry.groups.create("northwind", product, group, actor="test")

    def claimed(self) -> WireDevice:
        """A new device of the catalog."""
        device = self.running.make_device()
        devices = self.running.service.registry.devices
        devices.claim("northwind", [device.device_id], product=self.product, group=self.group, actor="test")
        return device

    def browser(self, role: str = "Administrator") -> Browser:
        """Somebody of a role, signed in with a browser without a window."""
        return signed_in(self, self.running.token_of(role))

    def sign_in(self, watched: Watched, role: str = "Administrator") -> Page:
        """The page of somebody of a role, signed in with a real browser."""
        page: Page = watched.sign_in(self.running.token_of(role))
        return page
