# SPDX-License-Identifier: Apache-2.0
"""The registry: catalogs, products, device groups and devices, and who owns what."""

from __future__ import annotations

from armillary.service.catalogs import CatalogRegistry
from armillary.service.devices import DeviceRegistry


class Registry(CatalogRegistry, DeviceRegistry):
    """All operations on the registry; ``catalogs.py`` and ``devices.py`` hold them."""
