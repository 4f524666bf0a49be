# SPDX-License-Identifier: Apache-2.0
"""Takes back what has failed its trial, unless what was before it may not boot: then that would be no device any more.

An OS that is to be taken back is verified as it is before a start, once more. Where it may not boot, the set on trial
stays, and the device reports it. Once the service was reached it stays for good, so that the service may bring another
OS; before, it is on trial still, since its service may be what it cannot reach, and is looked at again after
:data:`AGAIN_S`: what was before it may have been read wrongly.

An OS that took the place of one that did not come up goes back to that one once. Where it does not come up again, the
one that took over stays as soon as the service was reached, be it attested or not: going back and forth it would never
take the update that heals it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import UUID

from armillary.device.install.installer import Installer, Verify
from armillary.device.state.journal import Journal
from armillary.device.state.reports import FAULT, Incident
from armillary.errors import BootRefusedError, RootOfTrustError
from armillary.update.install.record import NO_OFFER
from armillary.update.install.steps import trial_of
from armillary.update.install.trial import TakeBack

# Both packages of the OS are read for it, and the loop stands still meanwhile.
AGAIN_S: Final = 900.0


class TakingBack:
    """Of one boot. ``verify`` lets boot what a record names, or raises; ``monotonic`` gives seconds."""

    def __init__(
        self,
        installer: Installer,
        verify: Verify,
        journal: Journal,
        report: Callable[[Incident], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._installer = installer
        self._verify = verify
        self._journal = journal
        self._report = report
        self._monotonic = monotonic
        self._again: tuple[UUID, float] = (NO_OFFER, 0.0)  # the offer of the trial, and when it is looked at again

    def settle(self, verdict: TakeBack, *, is_reached: bool) -> float:
        """Take the trial back, or keep it for good where the service ``is_reached``; returns 0.

        Returns the seconds after which it is to be asked again where the set stays on trial. DataFolderError if the
        flash does not take it; then nothing is changed.
        """
        record = self._installer.record
        trial = trial_of(record)
        offer_id, again_at = self._again
        if offer_id == trial.offer_id and (wait_s := again_at - self._monotonic()) > 0:
            return wait_s
        if trial.takes_over and is_reached and trial.rejection_key in record.rejected:
            return self._stay(verdict.reason, "did not come up again", for_good=True)
        names = ", ".join(image.name for image in record.active)
        bars = is_reached if trial.takes_over else verdict.bars
        try:
            self._installer.revert(verdict.reason, self._verify, bars=bars)
        except (BootRefusedError, RootOfTrustError) as error:
            for_good = is_reached and isinstance(error, BootRefusedError)
            return self._stay(verdict.reason, f"does not verify: {error.message}", for_good=for_good)
        self._journal.write("update-reverted", reason=verdict.reason)
        description = f"InstallReverted ({names}): {verdict.reason}"
        self._report(Incident(event_type="InstallReverted", event_class="OS", description=description))
        return 0.0

    def _stay(self, reason: str, before: str, *, for_good: bool) -> float:
        reason = f"{reason}; it stays, since what was before it {before}"
        if for_good:
            self._installer.keep_failed(reason)
        else:
            offer_id = trial_of(self._installer.record).offer_id
            self._again = (offer_id, self._monotonic() + AGAIN_S)
        self._journal.write("update-stays", reason=reason)
        self._report(Incident(event_type=FAULT, event_class="OS", description=f"the update failed its trial: {reason}"))
        return 0.0 if for_good else AGAIN_S
