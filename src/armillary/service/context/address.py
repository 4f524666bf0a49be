# SPDX-License-Identifier: Apache-2.0
"""The address of the device endpoint as devices are given it."""

from __future__ import annotations

from armillary.settings import Settings


class DeviceAddress:
    """Host and port of the device endpoint; ``port`` is 0 before it listens."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.port = 0

    @property
    def url(self) -> str:
        """``https://HOST:PORT``."""
        return f"https://{self._settings.public_host}:{self.port or self._settings.device_port}"
