# SPDX-License-Identifier: Apache-2.0
"""One installation, from the offer to the switch: plan, fetch, check all, stage, switch.

Packages go to flash as they come, beside all slots, so one is in memory at a time. No slot is touched before the whole
bundle was checked as it would run: trust stores by the keys that are trusted now, then the OS and the applications by
those that will be, beside one another and on the new OS.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from armillary.device.applications.applications import ApplicationStore
from armillary.device.boot.startup import Startup, load_minimums
from armillary.device.checkin.update_wait import UpdateWait
from armillary.device.install.fetched import FOLDER as PACKAGES
from armillary.device.install.installer import Installer
from armillary.device.install.os_components import check_os
from armillary.device.install.trust_stores import Signers, signers_after
from armillary.device.repository.partial import FOLDER as PIECES
from armillary.device.state.journal import Journal
from armillary.engines.flash.port import Flash
from armillary.errors import (
    ArmillaryError,
    DataFolderError,
    DoesNotFitError,
    FlashFullError,
    InstallError,
    NoRoomError,
)
from armillary.update.install.component import SLOTS, OsPlace, os_region
from armillary.update.install.plan import InstallPlan, StagedImage, plan_install, rejection_key
from armillary.update.install.transaction import InstallState
from armillary.wire.device.checkin import Offer, OfferedImage

Fetch = Callable[[OfferedImage], Awaitable[bytes]]
# So long a download goes on before the device checks in; it goes on then with what it has. A link of the least rate
# gives three pieces in it, and of a certificate's 24 hours it is little.
FETCH_TURN_S: Final = 3600.0


# Kind of error -> reason code; the first that is one. Every other error is one of the download.
_REASONS: Final = (
    (NoRoomError, "no-room"),
    (FlashFullError, "no-room"),
    (DoesNotFitError, "does-not-fit"),
    (InstallError, "refused"),
    (DataFolderError, "flash"),
)


class Begun(enum.Enum):
    """What came of an offer."""

    NOTHING = "nothing"  # it is installed, was refused before, or another installation is under way
    REFUSED = "refused"  # this device does not install it; the outcome waits for the service
    POSTPONED = "postponed"  # it could not be fetched or written now: the service offers it again
    UNDER_WAY = "under-way"  # so much is to be fetched that the device checks in first: the service offers it again
    SWITCHED = "switched"  # the bundle is in force, on trial unless it only removes


class FetchTurns:
    """How long the device fetches before it checks in: :data:`FETCH_TURN_S`, as long as each turn brings it further.

    From a source that begins anew each time it would come to no end: a turn after one that kept nothing has no limit.
    """

    def __init__(self) -> None:
        self._last: tuple[UUID, tuple[int, int]] | None = None

    def limit_s(self, offer_id: UUID, kept: tuple[int, int]) -> float | None:
        """For a turn that begins with so many packages, and pieces of the next one, in flash; None: no limit."""
        before, self._last = self._last, (offer_id, kept)
        goes_on = before is None or before[0] != offer_id or kept > before[1]
        return FETCH_TURN_S if goes_on else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Installs what the service offers to a booted device."""

    installer: Installer
    store: ApplicationStore
    startup: Startup
    flash: Flash
    journal: Journal
    wait: UpdateWait
    turns: FetchTurns = field(default_factory=FetchTurns)

    async def begin(
        self,
        offer: Offer,
        *,
        fetch: Fetch,
        running: Collection[UUID],
        check_room: Callable[[Sequence[OfferedImage]], None] = lambda _: None,
    ) -> Begun:
        """Install an offered bundle up to the switch.

        ``fetch`` brings the package of one offered image, ``check_room`` raises FlashFullError where the flash does
        not take those that are to be fetched; ``running`` are the applications (by image id) that run now.
        """
        if self.installer.state is not InstallState.IDLE:
            self.wait.say("trial")
            return Begun.NOTHING  # a trial is under way or its outcome is on its way: the service offers again
        plan: InstallPlan | None = None
        try:
            plan = plan_install(self.installer.record, offer, self._places())
            if plan is None:
                if rejection_key(offer) in self.installer.record.rejected:
                    self.wait.say("failed-before")
                return Begun.NOTHING
            self.journal.write(
                "update-offered",
                offer_id=offer.offer_id,
                os_version=offer.os_version,
                images=[image.name for image in offer.images],
            )
            begun = await self._carry_out(offer, plan, fetch, running, check_room)
        except InstallError as error:
            self._refuse(offer, plan, error)
            return Begun.REFUSED
        except ArmillaryError as error:  # the download did not finish: the next check-in offers it again
            self.journal.write("update-postponed", offer_id=offer.offer_id, reason=error.message)
            self.wait.say(_reason_of(error), error.message)
            return Begun.POSTPONED
        if begun is Begun.SWITCHED:
            images = [staged.target.name for staged in plan.fetch]
            self.journal.write("update-started", offer_id=offer.offer_id, os_version=plan.os.version, images=images)
        return begun

    async def _carry_out(
        self,
        offer: Offer,
        plan: InstallPlan,
        fetch: Fetch,
        running: Collection[UUID],
        check_room: Callable[[Sequence[OfferedImage]], None],
    ) -> Begun:
        """Fetch what is missing, and install; ``UNDER_WAY`` or ``POSTPONED`` where turn or lease end before."""
        self.store.check_room(plan)
        missing = self.installer.missing(plan)
        check_room([staged.offered for staged in missing])
        if not await self._keep(offer.offer_id, missing, fetch):
            return Begun.UNDER_WAY
        if not await self._install(offer, plan, running):
            self.journal.write("update-postponed", offer_id=offer.offer_id, reason="its lease is over")
            self.wait.say("lease-over")
            return Begun.POSTPONED
        return Begun.SWITCHED

    async def _keep(self, offer_id: UUID, missing: Sequence[StagedImage], fetch: Fetch) -> bool:
        """Fetch packages and keep each; False where the turn is over before all are here."""
        kept = len(self.flash.regions(PACKAGES)), len(self.flash.regions(f"{PIECES}/"))
        limit_s = self.turns.limit_s(offer_id, kept)
        ends = None if limit_s is None else asyncio.get_running_loop().time() + limit_s
        for staged in missing:
            try:
                async with asyncio.timeout_at(ends):
                    data = await fetch(staged.offered)
            except TimeoutError:
                return False
            await asyncio.to_thread(self.installer.keep, staged.target, data)
        return True

    def _places(self) -> list[OsPlace]:
        """The boot components of the chip, and where they run from; a package may be no larger than its slots are.

        What has no room is refused before it is fetched, and before the way back is given up for it.
        """
        found = []
        for place in self.startup.places:
            regions = {slot: os_region(place.name, slot) for slot in SLOTS}
            rooms = [self.flash.room(region) for region in regions.values()]
            limit = min([place.size_limit_bytes, *(room for room in rooms if room is not None)])
            runs_from = next((slot for slot, region in regions.items() if self.flash.runs_from(region)), None)
            found.append(replace(place, size_limit_bytes=limit, runs_from=runs_from))
        return found

    async def _install(self, offer: Offer, plan: InstallPlan, running: Collection[UUID]) -> bool:
        """Check all that was fetched, and switch; False where the lease ended while the packages came."""
        await asyncio.to_thread(self._check, plan, self.installer.fetched(plan))
        if self.wait.is_lease_over(offer):
            return False
        self.installer.stage(plan)
        self.installer.switch(plan, running=running)
        return True

    def _check(self, plan: InstallPlan, packages: Mapping[UUID, bytes]) -> None:
        """Raise InstallError unless the set runs on this device as a whole."""
        present = Signers(os=self.startup.configuration.os_signers, images=self.store.trusted)
        signers = signers_after(plan, packages, present)
        check_os(
            plan,
            packages,
            chip=self.startup.profile,
            flash=self.flash,
            signers=signers.os,
            minimums=load_minimums(self.flash),
        )
        self.store.admit_set(plan, packages, signers.images)

    def _refuse(self, offer: Offer, plan: InstallPlan | None, error: InstallError) -> None:
        self.journal.write("update-refused", offer_id=offer.offer_id, reason=error.message)
        self.wait.say(_reason_of(error), error.message)
        if plan is None:
            self.installer.refuse_offer(offer, error.message)
        else:
            self.installer.refuse(plan, error.message)


def _reason_of(error: ArmillaryError) -> str:
    """The code of ``wire.device.update_reason`` for why an installation did not come about."""
    return next((code for kind, code in _REASONS if isinstance(error, kind)), "download")
