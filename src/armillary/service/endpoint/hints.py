# SPDX-License-Identifier: Apache-2.0
"""Requests of devices that wait for a hint: "check in now" reaches a device that keeps one open at once.

The device endpoint carries it and not the hub: an application's connection to the hub is not the device's own, a second
one costs the same there, and a device that is let in for updates only, which needs it most, has none.

A held request costs a TLS connection, about 50 KiB; so they are bounded (``check_now_connections``). A device beyond is
told to come back later, and checks in at its interval as ever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from armillary.errors import RateLimitedError
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.verifier.device_states import DeviceState, DeviceStates
from armillary.service.verifier.peers import Peer
from armillary.wire.device.hint import encode_hint

# How long a request is held. Routers and load balancers drop what is silent for longer: four minutes are common.
HOLD_S: Final = 200.0
# When a device beyond the bound may ask again.
LATER_S: Final = 3600

_NOW, _NOTHING = encode_hint(check_in=True), encode_hint(check_in=False)


@dataclass(eq=False)
class Hints:
    """Holds the requests, in one event loop; at most ``limit``, one of a device."""

    _states: DeviceStates
    _monotonic: Callable[[], float]
    _counts: Counter[str]
    _limit: int
    _held: dict[str, tuple[DeviceConnection, float]] = field(default_factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._held)

    def wait(self, connection: DeviceConnection, peer: Peer) -> None:
        """Answer a request at once if there is a hint for its device, else hold it.

        Raises:
            DeviceFault: the device is not admitted.
            RateLimitedError: no more requests are held.
        """
        state = self._states.admitted(peer.device_id)
        if state.is_asked:
            self._tell(connection, state)
            return
        former = self._held.pop(peer.device_id, None)
        if former is None and len(self._held) >= self._limit:
            self._counts["hints refused"] += 1
            raise RateLimitedError("no more devices are told to check in at once", retry_after_s=LATER_S)
        self._held[peer.device_id] = (connection, self._monotonic() + HOLD_S)
        connection.deadline = float("inf")  # closed by whoever is gone, or answered in time
        if former is not None:
            former[0].reply_ok(_NOTHING)

    def wake(self, device_id: str) -> None:
        """Give a device that waits its hint, if there is one now."""
        found = self._held.get(device_id)
        if found is None:
            return
        state = self._states.admitted(device_id)
        if state.is_asked:
            del self._held[device_id]
            self._tell(found[0], state)

    def sweep(self) -> None:
        """Answer requests that were held long enough."""
        now = self._monotonic()
        for device_id, (connection, until) in tuple(self._held.items()):
            if until > now:
                return  # they are in the order in which they came
            del self._held[device_id]
            connection.reply_ok(_NOTHING)

    def forget(self, connection: DeviceConnection) -> None:
        """A connection was closed."""
        if connection.peer is not None:
            found = self._held.get(connection.peer.device_id)
            if found is not None and found[0] is connection:
                del self._held[connection.peer.device_id]

    def _tell(self, connection: DeviceConnection, state: DeviceState) -> None:
        """Give the hint; whether it is still true is read from the records when the device asks again."""
        state.stale = True
        self._counts["hints given"] += 1
        connection.reply_ok(_NOW)
