# SPDX-License-Identifier: Apache-2.0
"""Reports connection attempts, the first at once, repetitions counted and reported together; and server ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from armillary.capability.network import Decision
from armillary.engines.sandbox.port import CallsCrowded, ConnectionAttempt, ServerPort

# Repetitions within this time become one event.
FOLD_WINDOW_S = 10.0
# Different destinations reported one by one within a window; a scan of more becomes one event with a count.
DISTINCT_LIMIT = 256
# That too many calls wait is told again after so long.
CROWDED_S = 600.0
# Host of the event that stands for those.
MANY_HOSTS = "(many)"

_Key = tuple[str, int, bool, str]


@dataclass(slots=True)
class AttemptLog:
    """Turns decisions into events for ``emit``."""

    emit: Callable[[ConnectionAttempt | ServerPort | CallsCrowded], None]
    _repeated: dict[_Key, ConnectionAttempt | None] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None
    _ports: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _crowded_until: float = 0.0

    def record(self, decision: Decision, protocol: str) -> None:
        """Note one attempt; needs a running loop."""
        key: _Key = (decision.host, decision.port, decision.allowed, protocol)
        if key not in self._repeated and len(self._repeated) >= DISTINCT_LIMIT:
            key = (MANY_HOSTS, 0, decision.allowed, protocol)
        host, port, allowed, _ = key
        attempt = ConnectionAttempt(host=host, port=port, allowed=allowed, at=time.time(), protocol=protocol)
        if key not in self._repeated and host != MANY_HOSTS:
            self._repeated[key] = None
            self.emit(attempt)
        else:
            earlier = self._repeated.get(key)
            self._repeated[key] = attempt if earlier is None else replace(earlier, count=earlier.count + 1)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FOLD_WINDOW_S, self.flush)

    def note_port(self, protocol: str, address: str, port: int, problem: str) -> None:
        """Report that a server port was opened or could not be, unless that was the last of it."""
        key = (protocol, address, port)
        if self._ports.get(key) != problem:
            self._ports[key] = problem
            self.emit(ServerPort(protocol, address, port, problem))

    def note_crowded(self, waiting: int) -> None:
        """Report that a call was refused for the number of those that wait, now and then."""
        if time.monotonic() >= self._crowded_until:
            self._crowded_until = time.monotonic() + CROWDED_S
            self.emit(CallsCrowded(waiting))

    def flush(self) -> None:
        """Report what was counted and begin a new window."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted = [attempt for attempt in self._repeated.values() if attempt is not None]
        self._repeated.clear()
        for attempt in counted:
            self.emit(attempt)
