# SPDX-License-Identifier: Apache-2.0
"""Whether a device begins an installation now, and else why not and until when.

Asked in this order; the first that says no is the reason:

1. the lease: begun within the time for which the service allowed it. A roll-out that was halted meanwhile renews no
   lease, so a device that was away does not begin what others have stopped. Nothing overrides it;
2. not before the time that the service gave;
3. the maintenance window;
4. what applications put off, for at most as long as the service allows, counted from when the device first heard of it:
   an application that asks for more gets the rest, and one that asks again and again gets no more than that.

``urgent`` passes over 3 and 4.
"""

from __future__ import annotations

from typing import NamedTuple

from armillary.wire.device.offer_timing import OfferTiming

LEASE_OVER = "lease-over"
NOT_BEFORE = "not-before"
OUT_OF_WINDOW = "window"
DEFERRED = "deferred"


class NotYet(NamedTuple):
    """An installation does not begin now.

    ``reason`` is a code of ``wire.device.update_reason``; ``until`` is when to ask again, Unix seconds UTC, None for
    after the next check-in.
    """

    reason: str
    until: int | None


def not_yet(timing: OfferTiming | None, *, now: int, heard_at: int, deferred_until: int | None = None) -> NotYet | None:
    """Why an installation does not begin ``now``; None if it begins.

    The device first heard of this offer at ``heard_at``; an application put it off to ``deferred_until``. All times are
    Unix seconds UTC. An offer without a timing begins at once.
    """
    if timing is None:
        return None
    if timing.lease_until is not None and now >= timing.lease_until:  # 1
        return NotYet(LEASE_OVER, None)
    found = None
    if now < timing.not_before:  # 2
        found = NotYet(NOT_BEFORE, timing.not_before)
    elif not timing.urgent:
        found = _out_of_window(timing, now) or _deferred(timing, now, heard_at, deferred_until)
    if found is None or found.until is None or timing.lease_until is None:
        return found
    return NotYet(found.reason, min(found.until, timing.lease_until))  # what ends first is asked about first


def _out_of_window(timing: OfferTiming, now: int) -> NotYet | None:  # 3
    if timing.windows is None:
        return None
    window = next((one for one in timing.windows if now < one.end), None)
    if window is None:
        return NotYet(OUT_OF_WINDOW, None)
    return NotYet(OUT_OF_WINDOW, window.start) if now < window.start else None


def _deferred(timing: OfferTiming, now: int, heard_at: int, deferred_until: int | None) -> NotYet | None:  # 4
    if deferred_until is None:
        return None
    until = min(deferred_until, heard_at + timing.max_deferral_s)
    return NotYet(DEFERRED, until) if now < until else None
