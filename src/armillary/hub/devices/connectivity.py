# SPDX-License-Identifier: Apache-2.0
"""The journal of connects and disconnects, with reasons, which is kept from the first data export of them on.

Until then it costs a connection nothing. The journal is ``engines/hub/connectivity.py``; it is of devices over MQTT
and WebSocket, not of clients of the general broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from armillary.engines.database.group_commit import LoopSink
from armillary.engines.hub import connectivity
from armillary.engines.series.store import SeriesStore
from armillary.engines.series.writer import Change
from armillary.errors import RateLimitedError
from armillary.hub.front.notices import HubNotices
from armillary.hub.link.counters import Counters


@dataclass(eq=False)
class Connectivity:
    """The journal of one hub."""

    _series: SeriesStore
    _notices: HubNotices
    _counters: Counters
    _now_ms: Callable[[], int]  # Unix time, milliseconds
    _soon: Callable[[Callable[[], object]], None]  # Runs something in the hub's loop soon, from any thread
    _sink: LoopSink[Any, Any] | None = field(default=None, init=False)

    # For any thread but the loop's; they wait for the disk ---------------------------------------------------

    def begin(self) -> None:
        """Write the journal from now on."""
        self._series.commits.commit(connectivity.wanted)
        self._soon(self.attach)

    def recover(self) -> bool:
        """Note as disconnected who was connected when the hub stopped; returns whether the journal is kept at all."""
        if not self._series.read(connectivity.is_wanted):
            return False
        self._series.commits.commit(connectivity.recovered(self._now_ms()))
        return True

    # In the hub's loop --------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Subscribe to connects and disconnects."""
        if self._sink is None:
            self._sink = LoopSink(asyncio.get_running_loop(), lambda *_: None)
            self._notices.on_connect.append(self._connected)
            self._notices.on_disconnect.append(self._disconnected)

    def _connected(self, device_id: str) -> None:
        self._post(connectivity.connected(device_id, now_ms=self._now_ms()))

    def _disconnected(self, device_id: str, why: str) -> None:
        self._post(connectivity.disconnected(device_id, why, now_ms=self._now_ms()))

    def _post(self, change: Change) -> None:
        assert self._sink is not None  # noqa: S101 - there are no callbacks before attach
        try:
            self._series.commits.post(change, self._sink)
        except RateLimitedError:  # the queue is full: the device is not held up for it
            self._counters.connectivity_dropped += 1
