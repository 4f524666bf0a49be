# SPDX-License-Identifier: Apache-2.0
"""The device's clock: the time that the service gave over a pinned connection, continued by a monotonic clock.

The host's wall clock decides about nothing: it may stand at 1970 or 2100. It only dates what the device writes before
the first answer of a boot, and never below the last time the service gave.

How a device without the time gets it, and an attacker cannot give it another:

1. It connects to its service: signed by the one pinned root itself, host name, the private key's signature over this
   very handshake. Whether the certificate is in its days cannot be asked yet, but for one thing: a certificate that
   ended before the last time the service gave (kept in flash) is refused.
2. It asks for a challenge, which carries the time, and takes that time only if it lies within the days of the
   certificate it came with.
3. From then on every connection's certificate has to be valid by that time.

So a stolen key of an earlier certificate can at most pretend a time within that certificate's days, and only to a
device that has not heard the service since they ended.

Time runs back only by the word of the repository's root, which says what times of the service were false
(``update/repository/clock.py``), and by a recovery by hand (``device/boot/recovery.py``).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.update.repository.clock import corrected_time
from armillary.wire.update.clock_correction import ClockCorrection

_REGION = "device/time"
_TIME = struct.Struct(">Q")  # Unix seconds UTC
# The stored time only has to be a lower bound; writing it at most hourly spares flash.
_STORE_EVERY_S = 3600
_SECOND_NS = 1_000_000_000
_LATEST = (
    253_402_300_799  # 9999-12-31, the last day that a certificate can name (RFC 5280): no service gives a later one
)


def steady() -> float:
    """Seconds that count through a suspended host and are never set (CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def host_time() -> float:
    """The host's wall clock, Unix seconds."""
    return time.time()


class DeviceClock:
    """The time as the service signed it.

    The last signed time is kept in flash. ``monotonic`` is a clock in seconds that is never set, ``wall`` the host's
    clock, Unix seconds.
    """

    def __init__(
        self, flash: Flash, *, monotonic: Callable[[], float] = steady, wall: Callable[[], float] = host_time
    ) -> None:
        self._flash = flash
        self.monotonic = monotonic
        self._wall = wall
        self._floor = _last_time(flash)
        self._base: tuple[int, float] | None = None
        self._given: tuple[int, float] | None = None  # by an application, before the service gave any
        self._earlier: tuple[int, float] | None = None  # what the service says now, where that is before the floor
        self._service_days: tuple[int, int] | None = None

    @property
    def signed(self) -> bool:
        """Whether the service has given the time since this start."""
        return self._base is not None

    def now(self) -> int:
        """Unix seconds UTC."""
        if self._base is None:
            return max(self._unsigned(), self._floor)
        base, at = self._base
        return base + int(self.monotonic() - at)

    def now_ns(self) -> int:
        """The same in nanoseconds, for who is told the time: a second late at most, as the service gives whole ones."""
        if self._base is None:
            return self.now() * _SECOND_NS
        base, at = self._base
        return base * _SECOND_NS + int((self.monotonic() - at) * _SECOND_NS)

    @property
    def ahead_s(self) -> int:
        """How far the last time that this device believed is ahead of what its service says now; 0 if it is not."""
        return 0 if self._earlier is None else self._floor - self._earlier[0]

    def met_service(self, not_before: int, not_after: int) -> str:
        """Why a certificate of the service in a TLS handshake is refused; empty if it is not. Unix seconds UTC."""
        if self._base is None:
            if not_after < self._floor:
                return f"the certificate ended at {not_after}, before the time this device last heard, {self._floor}"
        elif not not_before <= self.now() <= not_after:
            return f"the certificate is good from {not_before} to {not_after}, and it is {self.now()} (Unix seconds)"
        self._service_days = (not_before, not_after)
        return ""

    def set_from_service(self, server_time: int) -> None:
        """Take over the time the service gave in a reply, if it lies within the days of the service's certificate.

        Time never runs backwards past the stored one: a service that is behind it is followed from there, and what it
        says is kept for a correction.
        """
        if self._service_days is not None and not self._service_days[0] <= server_time <= self._service_days[1]:
            return
        if server_time < self._floor:
            self._base = self._base or (self._floor, self.monotonic())
            self._earlier = (server_time, self.monotonic())
            return
        self._base, self._earlier = (server_time, self.monotonic()), None
        if server_time >= self._floor + _STORE_EVERY_S:
            self._keep(server_time)

    def correct(self, correction: ClockCorrection) -> int:
        """Go back to what the service says now where root calls the last time false; the time from then on.

        Raises:
            DataFolderError: the flash refuses; the time stays.
        """
        earlier = self._earlier
        if earlier is not None:
            told = corrected_time(correction, last=self._floor, told=earlier[0])
            if told is not None:
                self._keep(told)
                self._base, self._earlier = earlier, None
        return self.now()

    def set_unsigned(self, time_s: int) -> None:
        """Take over the time of a clock on the board in place of the host's, until the service gives it."""
        self._given = (time_s, self.monotonic())

    def _unsigned(self) -> int:
        if self._given is None:
            return int(self._wall())
        given, at = self._given
        return given + int(self.monotonic() - at)

    def _keep(self, time_s: int) -> None:
        replace_region(self._flash, _REGION, _TIME.pack(time_s))
        self._floor = time_s


def put_back(flash: Flash, time_s: int) -> None:
    """Have a device that is switched off believe ``time_s`` where its last time is later; once recovered by hand."""
    if time_s < _last_time(flash):
        replace_region(flash, _REGION, _TIME.pack(time_s))


def _last_time(flash: Flash) -> int:
    """The last time that the service gave; 0 for none, and where the record of it is damaged."""
    stored = read_or_none(flash, _REGION)
    found = int(_TIME.unpack(stored)[0]) if stored is not None and len(stored) == _TIME.size else 0
    return found if found <= _LATEST else 0
