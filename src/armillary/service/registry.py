# SPDX-License-Identifier: Apache-2.0
"""The registry: catalogs, products, device groups and devices, and who owns what."""

from __future__ import annotations

from armillary.service.catalogs import CatalogRegistry
from armillary.service.device_life import DeviceLife


class Registry(CatalogRegistry, DeviceLife):
    """All operations on the registry; ``catalogs.py``, ``devices.py`` and ``device_life.py`` hold them."""
