# SPDX-License-Identifier: Apache-2.0
"""What the hub hears of devices that only the watch can make something of: refused certificates, and shared ones.

The hub's loop only notes; the watch's run records. What is noted between two runs is bounded, and what is beyond is
counted in ``dropped``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final
from uuid import UUID

from armillary.errors import ArmillaryError
from armillary.service.context.context import Context
from armillary.service.context.refusals import RefusalLog
from armillary.service.watch.detections import Observation

if TYPE_CHECKING:
    from armillary.detect.places import Places, SharedCertificate

MAX_TURNS: Final = 10_000


class HeardAtHub:
    """Notes what the hub hears; ``wake`` is called where somebody should look soon. Notes come from any thread."""

    def __init__(self, context: Context, wake: Callable[[], object]) -> None:
        self._context = context
        self._wake = wake
        self._refusals = RefusalLog()
        self._turns: deque[tuple[str, str, str, int]] = deque()
        self._turns_dropped = self._lost = 0

    @cached_property
    def _places(self) -> Places:
        from armillary.detect.places import Places  # noqa: PLC0415 - memory: where nobody puts anybody out it is not used

        return Places()

    @property
    def dropped(self) -> int:
        """What was noted and neither recorded nor counted, because too much came between two runs."""
        return self._refusals.dropped + self._turns_dropped + self._lost

    def refused(self, device_id: str, error: ArmillaryError) -> None:
        """A device that holds the key of its certificate was not let in."""
        self._refusals.note(device_id, error, self._context.now())
        self._wake()

    def put_out(self, device_id: str, before: str, after: str) -> None:
        """A device's connection at one address was ended by its own at another."""
        if len(self._turns) >= MAX_TURNS:
            self._turns_dropped += 1
            return
        self._turns.append((device_id, before, after, self._context.now()))
        self._wake()

    def take(self) -> list[SharedCertificate]:
        """Record the refusals noted since the last call; the devices whose certificate is in two places."""
        refused = self._refusals.take()
        if refused is not None:
            try:
                self._context.records.write(refused.change)
            except BaseException:  # whatever it was: they are counted, then it is raised on
                self._lost += refused.count
                raise
        found: dict[str, SharedCertificate] = {}
        while self._turns:
            shared = self._places.put_out(*self._turns.popleft())
            if shared is not None:
                before = found.get(shared.client)
                found[shared.client] = shared if before is None else replace(shared, count=shared.count + before.count)
        return list(found.values())


def of_shared_certificate(shared: SharedCertificate, catalog_id: UUID | None, now: int) -> Observation:
    """A device whose connections at the hub put each other out from several addresses."""
    short = shared.client[:16]
    return Observation(
        kind="certificate-shared",
        key=(shared.client,),
        severity="high",
        title=f"The certificate of device {short} is used in two places at once",
        cause=f"Connections of device {short} at the hub put each other out, from {', '.join(shared.addresses)}.",
        proposed_action="Find out which machine is the device, and how the other came by its key; revoke it if that is "
        "not found. A device at the edge of two networks does not do this so often.",
        device_ids=(shared.client,),
        count=shared.count,
        at=now,
        catalog_id=catalog_id,
    )
