# SPDX-License-Identifier: Apache-2.0
"""The address of the device endpoint as devices are given it."""

from __future__ import annotations

from armillary.settings import Settings


class DeviceAddress:
    """Host and port of the device endpoint.

    Attributes:
        port: The one that it listens on; 0 before it does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.port = 0

    @property
    def url(self) -> str:
        """``https://HOST:PORT``."""
        return f"https://{self._settings.public_host}:{self.port or self._settings.device_port}"
