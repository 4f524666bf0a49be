# SPDX-License-Identifier: Apache-2.0
"""Who connects and who leaves, and why: written down for data exports, from the first that wants it on.

A connection costs nothing for it before. The journal is ``engines/hub/connectivity.py``; it is of devices over MQTT
and WebSocket, not of clients of the general broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from armillary.engines.database.group_commit import LoopSink
from armillary.engines.hub import connectivity
from armillary.errors import RateLimitedError

if TYPE_CHECKING:
    from armillary.hub.front.front import Front
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
        self._hub.in_loop(self.attach)

    def recover(self) -> bool:
        """Say of who was connected when an earlier hub was stopped that they are not; whether a journal is wanted."""
        if not self._hub.series.read(connectivity.is_wanted):
            return False
        self._hub.series.commits.submit(connectivity.recovered(self._hub.now_ms())).result(KEEP_S)
        return True

    # In the hub's loop --------------------------------------------------------------------------------------

    def attach(self, front: Front) -> None:
        """Hear of connections."""

        def kept(_: list[object], __: list[object]) -> None:
            pass

        def came(device_id: str) -> None:
            self._post(front, connectivity.connected(device_id, now_ms=front.now_ms()), LoopSink(front.loop, kept))

        def went(device_id: str, why: str) -> None:
            change = connectivity.disconnected(device_id, why, now_ms=front.now_ms())
            self._post(front, change, LoopSink(front.loop, kept))

        front.came, front.went = came, went

    def _post(self, front: Front, change: object, sink: LoopSink[object, object]) -> None:
        try:
            front.store.commits.post(change, sink)  # type: ignore[arg-type]
        except RateLimitedError:  # the queue is full: the device is not held up for it
            front.counters.connectivity_dropped += 1
