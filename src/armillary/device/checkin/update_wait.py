# SPDX-License-Identifier: Apache-2.0
"""The offer that waits for its time, why, and what the device says about it with the next check-in.

What the device was offered is kept in memory: after a restart it checks in at once and is offered it again. When it
first heard of an offer is kept in flash (``device/update-heard``), so that an application cannot put off an update for
ever by restarting the device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from armillary.engines.flash.port import Flash, replace_region
from armillary.errors import ArmillaryError, DataFolderError
from armillary.update.schedule.begin import DEFERRED, NotYet, not_yet
from armillary.wire.device.checkin import Offer
from armillary.wire.device.update_reason import NOTHING
from armillary.wire.encoding import cbor

REGION = "device/update-heard"
_MAX_BYTES = 256
MAX_DETAIL_BYTES = 256  # what an update status holds


@dataclass(frozen=True, slots=True)
class UpdateReason:
    """Why an update waits: a code of ``wire.device.update_reason``, in words, and until when, Unix seconds UTC."""

    code: str = NOTHING
    detail: str = ""
    until: int | None = None


class UpdateWait:
    """The offer that waits, one at a time.

    ``now`` gives Unix seconds of the device's clock. ``announce`` is called once before an offer would begin, and again
    after applications have put it off; it returns the seconds for which they are to be given the time to do so, which
    counts as a deferral.
    """

    def __init__(self, flash: Flash, now: Callable[[], int], announce: Callable[[Offer], int] = lambda _: 0) -> None:
        self._flash = flash
        self._now = now
        self._announce = announce
        self._announced = ""  # the offer that was
        self._announced_until = 0
        self._offer: Offer | None = None
        self._heard_at = 0
        self._deferred: dict[UUID, int] = {}  # component -> until when it put off updates
        self.reason = UpdateReason()

    def hear(self, offer: Offer | None) -> None:
        """A check-in was answered with this offer; None: the device has what it should have, or is to leave it."""
        if offer is None:
            self._offer = None
            self.reason = UpdateReason()
            return
        if self._offer is None or _key(self._offer) != _key(offer):
            self._heard_at = self._first_heard(offer)
        self._offer = offer

    def due(self) -> Offer | None:
        """The offer to begin now, which waits no more; None if there is none or its time has not come."""
        offer = self._offer
        if offer is None:
            return None
        found = self._not_yet(offer)
        if found is None and self._announced != _key(offer):
            self._announced = _key(offer)
            self._announced_until = self._now() + self._announce(offer)
            found = self._not_yet(offer)
        if found is not None:
            self.reason = UpdateReason(found.reason, self._words(found), found.until)
            return None
        self._offer = None
        self.reason = UpdateReason()
        return offer

    def wait_s(self) -> float:
        """Seconds until :meth:`due` may give an offer; infinite where only a check-in changes anything."""
        found = None if self._offer is None else self._not_yet(self._offer)
        if found is None:
            return float("inf") if self._offer is None else 0.0
        return float("inf") if found.until is None else max(0.0, float(found.until - self._now()))

    def is_lease_over(self, offer: Offer) -> bool:
        """Whether an offer that was begun in time may not be switched to any more."""
        until = None if offer.when is None else offer.when.lease_until
        return until is not None and self._now() >= until

    def say(self, code: str, detail: str = "") -> None:
        """Say with the next check-in why an update does not go on."""
        self.reason = UpdateReason(code, detail.encode()[:MAX_DETAIL_BYTES].decode(errors="ignore"))

    def defer(self, component_id: UUID, minutes: int) -> None:
        """An application puts off updates for so long from now; 0 takes it back."""
        if minutes:
            self._announced = ""
            self._deferred[component_id] = self._now() + 60 * minutes
            found = None if self._offer is None else self._not_yet(self._offer)
            if found is not None:
                self.reason = UpdateReason(found.reason, self._words(found), found.until)
        else:
            self.forget(component_id)

    def forget(self, component_id: UUID) -> None:
        """An application has ended: what it put off is put off no more."""
        self._deferred.pop(component_id, None)

    def _not_yet(self, offer: Offer) -> NotYet | None:
        deferred_until = max([*self._deferred.values(), self._announced_until])
        return not_yet(offer.when, now=self._now(), heard_at=self._heard_at, deferred_until=deferred_until)

    def _words(self, found: NotYet) -> str:
        late = [component for component, until in self._deferred.items() if until > self._now()]
        if found.reason != DEFERRED:
            return ""
        return f"component {late[0]}" if late else "applications are told of it first"

    def _first_heard(self, offer: Offer) -> int:
        """When this offer was first heard of, now unless flash says it was before; flash that fails delays nothing."""
        key, now = _key(offer), self._now()
        with contextlib.suppress(ArmillaryError):
            known = _read(self._flash.read(REGION))
            if known is not None and known[0] == key:
                return min(known[1], now)
        with contextlib.suppress(DataFolderError):
            replace_region(self._flash, REGION, cbor.encode([key, now]))
        return now


def _key(offer: Offer) -> str:
    """What an offer is told apart by: its deployment (itself where it names none) and its OS version."""
    return f"{offer.deployment_id or offer.offer_id} {offer.os_version}"


def _read(data: bytes | None) -> tuple[str, int] | None:
    if data is None:
        return None
    value: Any = cbor.decode(data, what="update heard of", limit=_MAX_BYTES)
    match value:
        case [str(key), int(at)]:
            return key, at
    return None
