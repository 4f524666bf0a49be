# SPDX-License-Identifier: Apache-2.0
"""Who connects and who leaves, and why: written down for data exports, from the first that wants it on.

A connection costs nothing for it before. The journal is ``engines/hub/connectivity.py``; it is of devices over MQTT
and WebSocket, not of clients of the general broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from armillary.engines.hub import connectivity
from armillary.errors import RateLimitedError

if TYPE_CHECKING:
    from armillary.engines.series.writer import Change
    from armillary.hub.hub import Hub

# How long the disk may take to keep that the journal is wanted (seconds).
KEEP_S: Final = 30.0


class Connectivity:
    """The journal of one hub.

    Args:
        hub: The hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # For any thread but the loop's; they wait for the disk ---------------------------------------------------

    def begin(self) -> None:
        """Write the journal from now on."""
        self._hub.series.commits.submit(connectivity.wanted).result(KEEP_S)
        self._hub.in_loop(lambda _: self.attach())

    def recover(self) -> bool:
        """Say of who was connected when an earlier hub was stopped that they are not; whether a journal is wanted."""
        if not self._hub.series.read(connectivity.is_wanted):
            return False
        self._hub.series.commits.submit(connectivity.recovered(self._hub.now_ms())).result(KEEP_S)
        return True

    # In the hub's loop --------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Hear of connections, from the first call on."""
        notices = self._hub.notices
        if self._connected not in notices.on_connect:
            notices.on_connect.append(self._connected)
            notices.on_disconnect.append(self._disconnected)

    def _connected(self, device_id: str) -> None:
        self._post(connectivity.connected(device_id, now_ms=self._hub.now_ms()))

    def _disconnected(self, device_id: str, why: str) -> None:
        self._post(connectivity.disconnected(device_id, why, now_ms=self._hub.now_ms()))

    def _post(self, change: Change) -> None:
        try:
            self._hub.front.intake.post(change)
        except RateLimitedError:  # the queue is full: the device is not held up for it
            self._hub.front.counters.connectivity_dropped += 1
