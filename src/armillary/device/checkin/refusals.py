# SPDX-License-Identifier: Apache-2.0
"""Why the service does not attest this device, and what of it was so before the OS that is on trial.

An OS is not judged by what was wrong with its device before: a copied device is held until somebody has looked, and a
catalog may demand firmware that the machine does not have, whatever it runs. Which steps those are is kept in flash
(region ``install/refused``, one byte for the number of each) before an OS is put on trial, since it starts with a
restart. An OS that took the place of one that did not come up is judged by all that fails: no offer came before it, and
what is kept is of the last one.
"""

from __future__ import annotations

from typing import Final

from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.update.install.record import Trial
from armillary.update.install.refusal import Refusal, failed_steps, refusal_of
from armillary.wire.device.checkin import CheckinReply

REGION: Final = "install/refused"


class Refusals:
    """What the service said at the last check-in of this boot."""

    def __init__(self, flash: Flash) -> None:
        self._flash = flash
        self._reply: CheckinReply | None = None

    def hear(self, reply: CheckinReply) -> None:
        """Take note of a reply."""
        self._reply = reply

    def keep(self) -> None:
        """Keep which steps fail now: an OS is about to be put on trial. DataFolderError if the flash does not."""
        failed = bytes(sorted(failed_steps(self._reply))) if self._reply is not None else b""
        if failed == (read_or_none(self._flash, REGION) or b""):
            return
        if failed:
            replace_region(self._flash, REGION, failed)
        else:
            self._flash.remove(REGION)

    def of_trial(self, trial: Trial) -> Refusal | None:
        """Why the OS on trial is not attested; None if it is, or fails only what failed before an offer brought it."""
        if self._reply is None:
            return None
        before = b"" if trial.takes_over else read_or_none(self._flash, REGION) or b""
        return refusal_of(self._reply, before=frozenset(before))
