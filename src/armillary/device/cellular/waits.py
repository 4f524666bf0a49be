# SPDX-License-Identifier: Apache-2.0
"""How long the uplink waits before its next step: nothing while it gets on, longer and longer where it does not.

Networks bar a SIM that tries too often (3GPP TS 24.301 has timers of 10 s to 12 minutes for it), and a modem that
searches needs its time. So where a network is tried again after it, nothing that a modem says ends a wait early.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from armillary.device.cellular.states import UplinkState

S = UplinkState
# First and longest wait in a state that lasts, seconds. Not here: states that lead on at once.
WAITS: Final[Mapping[UplinkState, tuple[float, float]]] = {
    S.OFF: (3600.0, 3600.0),  # a change of the configuration wakes it
    S.NO_MODEM: (1.0, 30.0),
    S.SIM_MISSING: (5.0, 60.0),
    S.SIM_FAILED: (5.0, 300.0),
    S.PIN_NEEDED: (30.0, 300.0),
    S.PIN_REFUSED: (60.0, 300.0),
    S.PUK_NEEDED: (60.0, 300.0),
    S.SEARCHING: (1.0, 30.0),
    S.DENIED: (30.0, 720.0),
    S.ROAMING_REFUSED: (30.0, 300.0),
    S.LOST: (1.0, 300.0),
    S.CONNECTED: (30.0, 30.0),
}
# These waits spare the network, and whoever refuses a session may signal a detach or a registration each time.
NEWS_ENDS_NO_WAIT: Final = frozenset({S.SEARCHING, S.DENIED, S.ROAMING_REFUSED, S.LOST})
# So often the first wait is doubled: to 1,024 s of one second, above every limit. A modem may be away for weeks.
MOST_DOUBLED: Final = 10
# A SIM that is still starting, or that was given its PIN, is asked again; anything else leads on at once.
SIM_STARTS_S: Final = 1.0
# A SIM that took its PIN may want it for so long: it reads its files first. Then it has refused the PIN.
PIN_SETTLES_S: Final = 10.0
# A session that stood for so long was a good one: what failed before it is forgotten.
STEADY_S: Final = 120.0


class Waits:
    """Counts how often each state lasted; ``scale`` makes tests quick."""

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale
        self._tries: dict[UplinkState, int] = {}
        self._connected_at: float | None = None

    def after(self, before: UplinkState, state: UplinkState, now: float) -> float:
        """Seconds to wait in ``state``, into which the last step led from ``before``."""
        self._look_steady(state, now)
        if state not in WAITS:
            return SIM_STARTS_S * self._scale if before is state else 0.0
        first, limit = WAITS[state]
        tries = self._tries.get(state, 0)
        self._tries[state] = tries + 1
        return min(first * 2.0 ** min(tries, MOST_DOUBLED), limit) * self._scale

    def begin_again(self) -> None:
        """Somebody changed something: everything is tried at once."""
        self._tries.clear()

    def _look_steady(self, state: UplinkState, now: float) -> None:
        if state is not S.CONNECTED:
            self._connected_at = None
        elif self._connected_at is None:
            self._connected_at = now
        elif now - self._connected_at >= STEADY_S * self._scale:
            self._tries.clear()
