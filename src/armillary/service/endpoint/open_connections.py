# SPDX-License-Identifier: Apache-2.0
"""The open connections of a device endpoint, limited in all and for each device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from armillary.service.endpoint.connection import DeviceConnection

# Connections of one device: it keeps one, has another for a download; one that its network lost is here for a while.
MAX_CONNECTIONS_OF_DEVICE: Final = 8
# Connections at the same time; each costs about 50 KiB (OpenSSL and Python objects).
MAX_CONNECTIONS: Final = 20_000


class OpenConnections:
    """Connections of one event loop, oldest first; refused ones are counted in ``counts``."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._all: dict[DeviceConnection, None] = {}
        self._by_device: dict[str, dict[DeviceConnection, None]] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[DeviceConnection]:
        return iter(tuple(self._all))

    def add(self, connection: DeviceConnection) -> None:
        """Count a connection in; beyond a limit abort it, or an idle one of the same device."""
        if len(self._all) >= MAX_CONNECTIONS:
            self._counts["connections refused"] += 1
            connection.abort()
            return
        self._all[connection] = None
        if connection.peer is not None:
            mine = self._by_device.setdefault(connection.peer.device_id, {})
            mine[connection] = None
            if len(mine) > MAX_CONNECTIONS_OF_DEVICE:  # the oldest that nothing is being answered on, or the new one
                self._counts["connections refused"] += 1
                spare = next((each for each in mine if not each.busy), connection)
                del mine[spare]
                spare.abort()

    def remove(self, connection: DeviceConnection) -> None:
        """Count a closed connection out."""
        self._all.pop(connection, None)
        if connection.peer is not None:
            mine = self._by_device.get(connection.peer.device_id)
            if mine is not None:
                mine.pop(connection, None)
                if not mine:
                    del self._by_device[connection.peer.device_id]

    def disconnect(self, device_id: str) -> None:
        """Close every connection of a device."""
        for connection in tuple(self._by_device.get(device_id, ())):
            connection.abort()
