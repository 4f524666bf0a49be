# SPDX-License-Identifier: Apache-2.0
"""Executes installations on flash; the rules are in ``armillary.update.install``.

Every durable step is one write of the install record (two copies, see ``update.install.record``), synced and read
back. Whatever moment the power goes: the next start reads a whole record, and every image it names is whole, because
an image is in flash and read back before the record that names it is written, and no slot that a record in
force names is ever overwritten. A package is written once, as it comes (``fetched``), and renamed into its slot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar
from uuid import UUID

from armillary.device.install.fetched import FOLDER, FetchedPackages, fetched_region, is_package
from armillary.device.install.running_slots import settle
from armillary.device.install.trust_stores import accept_stores
from armillary.engines.flash.port import Flash, read_or_none, store_region
from armillary.errors import ArmillaryError, BootRefusedError, DataFolderError, InstallError
from armillary.update.install import starting, steps
from armillary.update.install.component import Kind
from armillary.update.install.plan import InstallPlan, StagedImage
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, WayBack, choose, encode
from armillary.update.install.transaction import InstallEvent, InstallState, advance
from armillary.wire.device.checkin import Offer, UpdateOutcome

T = TypeVar("T")
# Verifies the boot chain that a record names, with its trust stores and the anti-rollback minimums; raises
# BootRefusedError where that may not boot.
Verify = Callable[[InstallRecord], object]

RECORD_REGIONS = ("install/record.0", "install/record.1")
# Slots that hold nothing unless a record names them. Slot a of a boot component is none of them: it counts without one.
_COLLECTED = ("applications/", "boot.b/", "trust/", FOLDER)


class Installer:
    """Stages, switches, confirms and reverts the images of one device; ``now`` gives Unix seconds, for outcomes.

    At a start of the device call :meth:`count_start`, boot, and then :meth:`check_images`.

    WireError if both copies of the install record are unreadable.
    """

    def __init__(self, flash: Flash, now: Callable[[], int]) -> None:
        self._flash = flash
        self._now = now
        chosen = choose(read_copies(flash))
        self._record = chosen.record
        self._next_copy = chosen.next_copy
        self._next_sequence = chosen.next_sequence
        self.state = _state_of(chosen.record)

    @property
    def record(self) -> InstallRecord:
        """The record in force."""
        return self._record

    def count_start(self, verify: Verify) -> str:
        """Count a start of the device against a trial, or take the trial back; call it before the boot chain runs.

        One whose starts are used up stays on trial where ``verify`` does not let boot what was before it: then this
        returns why, a sentence, else it is empty.
        """
        self.state = advance(self.state, InstallEvent.RESTARTED)
        counted = starting.start_device(self._record, now=self._now())
        try:
            self._check_taken_back(counted, verify)
        except BootRefusedError as error:
            return f"what is on trial has used up its starts and stays: {error.message}"
        self._write(counted)
        self.state = _state_of(self._record)
        return ""

    def boot_refused(
        self,
        error: BootRefusedError,
        verify: Callable[[InstallRecord], T],
        running: Callable[[], WayBack | None] | None = None,
    ) -> T:
        """Put another OS into force because the boot chain was refused, once ``verify`` has let that one boot.

        ``running`` says which OS runs, where the one in force was not refused but does not come up: then what takes its
        place is on trial. What the record knows nothing of is tried last.

        Returns what ``verify`` returns of the record that is in force now. It raises BootRefusedError where a record
        names an OS that may not boot, be it damaged or below the anti-rollback minimums.

        Raises:
            BootRefusedError: there is no other OS, or it may not boot either. The record is as it was: the next start
                tries the refused one again, which may have been read wrongly.
        """
        given_up = self._record if running is None else starting.given_up(self._record, now=self._now())
        record, reason = given_up, error.message
        while (other := starting.boot_refused(record, reason=error.message, now=self._now())) is not None:
            try:
                verified = verify(other)
            except BootRefusedError as refused:
                if given_up.system_on_trial:
                    given_up = other  # that trial is over
                record, reason = other, f"{error.message}; the OS before it may not boot either: {refused.message}"
                continue
            self._write(other if running is None else starting.on_trial(given_up, other))
            self.state = _state_of(self._record)
            return verified
        taken_over = None if running is None else starting.taken_over(record, running())
        if taken_over is None:
            raise BootRefusedError(reason, remedy=error.remedy) from error
        try:
            verified = verify(taken_over)
        except BootRefusedError as refused:
            reason = f"{reason}; nor may the OS that runs: {refused.message}"
            raise BootRefusedError(reason, remedy=error.remedy) from error
        self._write(starting.on_trial(given_up, taken_over))  # not back to a way back that was refused
        self.state = _state_of(self._record)
        return verified

    def check_images(self, verify: Verify) -> tuple[SlotImage, ...]:
        """Check every active image but the OS, which the boot has measured; call it once per start.

        Returns images that were dropped because flash no longer holds them; the next offer brings them back. None is
        dropped from a set on trial whose OS would be taken back to one that ``verify`` does not let boot.
        """
        damaged = self._damaged()
        without = steps.drop_damaged(self._record, damaged, now=self._now())
        try:
            self._check_taken_back(without, verify)
        except BootRefusedError:
            return ()  # they do not run, for which the trial is judged
        self._write(without)
        # A set that was taken back to may be damaged as well: then drop from it too.
        still = self._damaged()
        self._write(steps.drop_damaged(self._record, still, now=self._now()))
        self.state = _state_of(self._record)
        self._collect()
        return damaged + still

    def package(self, image: SlotImage) -> bytes:
        """The package of an installed image, digest checked; InstallError if flash does not hold it whole."""
        data = read_or_none(self._flash, image.region)
        if data is None or not is_package(image, data):
            raise InstallError(
                f"{image.name} ({image.image_id}): flash no longer holds the package that was installed",
                remedy="The next check-in fetches it again; check the disk if this repeats.",
            )
        return data

    def missing(self, plan: InstallPlan) -> tuple[StagedImage, ...]:
        """Images of the plan that are not kept in flash yet; what was kept for another bundle goes."""
        kept = {fetched_region(staged.target): staged for staged in plan.fetch}
        for region in self._flash.regions(FOLDER):
            if region not in kept:
                self._flash.remove(region)
        return tuple(
            staged for region, staged in kept.items() if not is_package(staged.target, self._flash.read(region) or b"")
        )

    def keep(self, image: SlotImage, data: bytes) -> None:
        """Keep a fetched package in flash until the whole bundle is there; it is read back.

        InstallError if it is not the offered one, DataFolderError if flash did not give back what was written; then
        nothing is kept.
        """
        try:
            if not is_package(image, data):
                raise InstallError(
                    f"{image.name} ({image.image_id}): not the package that was offered",
                    remedy="The device fetches it again at the next check-in.",
                )
            store_region(self._flash, fetched_region(image), data)
        except ArmillaryError:
            self._collect()
            raise

    def fetched(self, plan: InstallPlan) -> FetchedPackages:
        """The kept packages of the plan."""
        return FetchedPackages(self._flash, plan)

    def stage(self, plan: InstallPlan) -> None:
        """Put the kept packages into their candidate slots.

        Each slot is asked for, and each package looked at, before the way back is given up. Then nothing that runs is
        changed, whatever fails.

        Raises:
            DataFolderError: flash has lost a package, does not take it, or the machine runs from its slot.
            HostError: the firmware does not take which slot is to be started meanwhile.
        """
        self.state = advance(self.state, InstallEvent.FETCHED)
        try:
            for staged in plan.fetch:
                self._flash.before_write(staged.target.region)
            for _ in self.fetched(plan).values():
                pass  # each is whole: only now the way back may be given up
            if plan.brings_os:
                active = settle(self._flash, self._record, plan)
                # Also where it says nothing new: without one, what is staged would be taken for the OS that it named.
                self._write(steps.begin_staging(self._record, active), even_same=True)
            for staged in plan.fetch:
                target = staged.target
                self._check_free(target)
                self._flash.rename(fetched_region(target), target.region)
                self._check_whole(target)
        except ArmillaryError:
            self.state = advance(self.state, InstallEvent.FAILED)
            self._collect()
            raise
        self.state = advance(self.state, InstallEvent.STAGED)

    def switch(self, plan: InstallPlan, *, running: Collection[UUID] = ()) -> None:
        """The one atomic switch: from here on the new set runs, on trial; a new OS with the next start of the device.

        ``running`` are the applications (by image id) that run now; see ``update.install.steps.begin_trial``.
        """
        try:
            record = steps.begin_trial(self._record, plan, now=self._now(), running=running)
            accept_stores(self._flash, self._record, plan)
            self._write(record)
        except ArmillaryError:
            self.state = advance(self.state, InstallEvent.FAILED)
            raise
        self.state = advance(self.state, InstallEvent.SWITCHED)
        if self._record.trial is None:  # only removals: nothing to try
            self.state = advance(self.state, InstallEvent.CONFIRMED)
            self._collect()

    def confirm(self) -> None:
        """Keep the set on trial; frees the slots of the previous applications, the OS before it stays."""
        self._write(steps.confirm(self._record, now=self._now()))
        self.state = advance(self.state, InstallEvent.CONFIRMED)
        self._collect()

    def attested(self) -> None:
        """The service has attested the OS in force: what took over from it may go back to it again."""
        self._write(steps.attested(self._record))

    def revert(self, reason: str, verify: Verify, *, bars: bool = True) -> None:
        """Go back to the previous set; what was on trial is not tried again here if the trial ``bars`` it.

        BootRefusedError, and nothing is changed, where ``verify`` does not let boot the OS that would be in force then.
        """
        reverted = steps.revert(self._record, reason=reason, now=self._now(), bars=bars)
        self._check_taken_back(reverted, verify)
        self._write(reverted)
        self.state = advance(self.state, InstallEvent.REVERTED)
        self._collect()

    def keep_failed(self, reason: str) -> None:
        """Keep a set that failed its trial and cannot be taken back; the service is told that it failed."""
        self._write(steps.keep_failed(self._record, reason=reason, now=self._now()))
        self.state = advance(self.state, InstallEvent.KEPT)
        self._collect()

    def refuse(self, plan: InstallPlan, reason: str) -> None:
        """Remember that this device does not install what the plan is for, and report why."""
        self._write(steps.refuse(self._record, plan, reason=reason, now=self._now()))
        self._collect()

    def refuse_offer(self, offer: Offer, reason: str) -> None:
        """As :meth:`refuse`, for an offer that there is no plan for."""
        self._write(steps.refuse_offer(self._record, offer, reason=reason, now=self._now()))

    def name_os(self, os: OsVersion) -> None:
        """The OS in force has this version; DataFolderError if the flash does not take it."""
        self._write(steps.name_os(self._record, os))

    def forget_system(self, reason: str) -> None:
        """All OS components are in slot ``a`` again, written by hand: forget what the record knew of OS and trust."""
        self._write(steps.forget_system(self._record, reason=reason, now=self._now()))
        self.state = _state_of(self._record)
        self._collect()

    def acknowledge(self, sent: Sequence[UpdateOutcome]) -> None:
        """Forget outcomes that the service has received."""
        self._write(steps.acknowledge(self._record, sent))
        if not self._record.outcomes and self.state in (InstallState.CONFIRMED, InstallState.REVERTED):
            self.state = advance(self.state, InstallEvent.REPORTED)

    def _check_taken_back(self, other: InstallRecord, verify: Verify) -> None:
        """Raise BootRefusedError where ``other`` takes OS or trust stores back to what may not boot."""
        if self._record.system_on_trial and other.trial is None:
            verify(other)

    def _check_free(self, target: SlotImage) -> None:
        if target.region in self._record.regions_in_use:
            raise InstallError(
                f"{target.region} is in use", remedy="This is a defect of the device software; report it."
            )

    def _write(self, record: InstallRecord, *, even_same: bool = False) -> None:
        if record == self._record and not even_same:
            return
        store_region(self._flash, RECORD_REGIONS[self._next_copy], encode(record, self._next_sequence))
        self._record = record
        self._next_copy = 1 - self._next_copy
        self._next_sequence += 1

    def _damaged(self) -> tuple[SlotImage, ...]:
        checked = (image for image in self._record.active if image.kind is not Kind.OS)
        return tuple(image for image in checked if not self._is_whole(image))

    def _check_whole(self, image: SlotImage) -> None:
        """What is in the slot of a disk is a copy: raise DataFolderError unless it is what was offered."""
        if image.kind is Kind.OS and not is_package(image, self._flash.read(image.region) or b""):
            raise DataFolderError(
                f"{image.name} ({image.image_id}): its slot does not hold the package that was fetched",
                remedy="It is fetched again at the next check-in; check the disk if this repeats.",
            )

    def _is_whole(self, image: SlotImage) -> bool:
        try:
            self.package(image)
        except InstallError:
            return False
        return True

    def _collect(self) -> None:
        """Remove packages that no record in force names.

        Not from a partition, which is no room for anything else: an OS in it is all that the device has where the one
        in force does not come up any more, whatever the record knows of it.
        """
        in_use = self._record.regions_in_use
        for prefix in _COLLECTED:
            for region in self._flash.regions(prefix):
                if region not in in_use and self._flash.room(region) is None:
                    self._flash.remove(region)


def read_copies(flash: Flash) -> list[bytes | None]:
    """The copies of the install record. One that the medium does not give is damaged: the other is enough."""
    copies: list[bytes | None] = []
    for region in RECORD_REGIONS:
        try:
            copies.append(flash.read(region))
        except DataFolderError:
            copies.append(b"")
    return copies


def _state_of(record: InstallRecord) -> InstallState:
    if record.trial is not None:
        return InstallState.TRIAL
    if record.outcomes:
        last = record.outcomes[-1].outcome
        if last == "confirmed":
            return InstallState.CONFIRMED
        if last == "reverted":
            return InstallState.REVERTED
    return InstallState.IDLE
