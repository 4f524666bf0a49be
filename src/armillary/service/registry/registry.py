# SPDX-License-Identifier: Apache-2.0
"""The registry: catalogs, products, device groups, OS feeds and devices, and who owns what."""

from __future__ import annotations

from armillary.service.authority.authority import Authority
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.catalogs import Catalogs
from armillary.service.registry.device_history import DeviceHistory
from armillary.service.registry.device_lifecycle import DeviceLifecycle
from armillary.service.registry.device_names import DeviceNames
from armillary.service.registry.devices import Devices
from armillary.service.registry.groups import Groups
from armillary.service.registry.os_feeds import OsFeeds
from armillary.service.registry.products import Products
from armillary.service.registry.quarantine import Quarantine
from armillary.service.registry.transfers import Transfers


class Registry:
    """All operations on the registry, by noun. Synchronous and thread-safe."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        self.catalogs = Catalogs(context, authority, notices)
        self.products = Products(context, notices)
        self.groups = Groups(context, notices)
        self.os_feeds = OsFeeds(context, notices)
        self.devices = Devices(context, authority, notices)
        self.lifecycle = DeviceLifecycle(context, self.devices, notices)
        self.quarantine = Quarantine(context, self.devices, notices)
        self.history = DeviceHistory(context)
        self.names = DeviceNames(context, self.devices)
        self.transfers = Transfers(context, self.devices, notices)
