# SPDX-License-Identifier: Apache-2.0
"""When a device may begin to install what it is offered; part of an offer.

::

    offer-timing = [
        not-before   : time,                        ; 0: at once
        lease-until  : time / null,                 ; not begun from then on; null: no end
        windows      : [ 0*32 [ start: time, end: time ] ] / null,   ; null: at any time
        max-deferral : 0..1209600,                  ; seconds for which applications may put it off
        urgent       : bool,
    ]

The service reckons maintenance windows in local time and sends them as moments: a device needs no table of time zones,
and one that is wrong about daylight saving time cannot be. Windows rise and do not touch. An empty list, or one whose
windows are all over, means that the device has to check in before it knows of the next one.

``lease-until`` is the install lease: a roll-out that was halted is not begun by devices that were offered it before and
have not been heard of since. Nothing overrides it. ``urgent`` overrides windows and what applications put off.

What a device makes of it: ``armillary.update.schedule.begin``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.encoding.cbor_fields import take_array, take_time, take_uint

# A window a day for a month, which is the longest interval between two check-ins.
MAX_WINDOWS: Final = 32
# Two weeks: what waits longer than a release of the evaluation feed is tried out is not waiting but refused.
MAX_DEFERRAL_S: Final = 14 * 24 * 3600
_ITEMS: Final = 5


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which an installation may begin: from ``start`` to before ``end``, Unix seconds UTC."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTiming:
    """When an offer may be begun; all times are Unix seconds UTC.

    Attributes:
        not_before: Not before this time; 0 for at once.
        lease_until: Not from this time on, unless a later check-in offers it again; None for no end.
        windows: Only within one of these; None for at any time.
        max_deferral_s: How long applications may put it off, counted from when the device first heard of it.
        urgent: Begin outside windows, and whatever applications say.
    """

    not_before: int = 0
    lease_until: int | None = None
    windows: tuple[Window, ...] | None = None
    max_deferral_s: int = 0
    urgent: bool = False


def timing_fields(timing: OfferTiming) -> list[Any]:
    """The CBOR array of a timing."""
    windows = timing.windows
    return [
        timing.not_before,
        timing.lease_until,
        None if windows is None else [[window.start, window.end] for window in windows],
        timing.max_deferral_s,
        timing.urgent,
    ]


def timing_from_fields(value: Any) -> OfferTiming:
    """The timing in a decoded CBOR array, else WireError."""
    fields = take_array(value, "offer timing", limit=_ITEMS, size=_ITEMS)
    not_before, lease_until, windows, max_deferral_s, urgent = fields
    if type(urgent) is not bool:
        raise WireError("offer timing urgent", expected="true or false", got=f"{urgent!r:.40}")
    return OfferTiming(
        not_before=take_time(not_before, "offer timing not before"),
        lease_until=None if lease_until is None else take_time(lease_until, "offer timing lease"),
        windows=None if windows is None else _windows(windows),
        max_deferral_s=take_uint(max_deferral_s, "offer timing deferral", limit=MAX_DEFERRAL_S),
        urgent=urgent,
    )


def _windows(value: Any) -> tuple[Window, ...]:
    what = "offer timing windows"
    found: list[Window] = []
    last = -1
    for item in take_array(value, what, limit=MAX_WINDOWS):
        start, end = (take_time(moment, what) for moment in take_array(item, what, limit=2, size=2))
        if not last < start < end:
            raise WireError(what, expected="windows that rise and do not touch", got=f"{start} to {end} after {last}")
        found.append(Window(start, end))
        last = end
    return tuple(found)
