# SPDX-License-Identifier: Apache-2.0
"""The registry: catalogs, products, device groups and devices, and who owns what."""

from __future__ import annotations

import time

from armillary.service.authority.authority import Authority
from armillary.service.context.answer_cache import Remembered
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.registry.catalogs import CatalogRegistry
from armillary.service.registry.device_life import DeviceLife


class Registry(CatalogRegistry, DeviceLife):
    """All operations on the registry; ``catalogs.py``, ``devices.py`` and ``device_life.py`` hold them."""

    def __init__(self, context: Context, authority: Authority, notices: Notices) -> None:
        super().__init__(context, authority, notices)
        self._summaries = Remembered(time.monotonic)
