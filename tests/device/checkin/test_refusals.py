# SPDX-License-Identifier: Apache-2.0
"""What the OS on trial is judged by: what failed before an offer brought it does not count, else all does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast
from uuid import UUID

from tests.device.cut_flash import CutFlash

from armillary.device.checkin.refusals import Refusals
from armillary.update.install.record import NO_OFFER, Trial
from armillary.update.install.steps import TRIAL_STARTS
from armillary.update.install.trial import DEFAULT_RULES, Keep, TakeBack, Wait, judge
from armillary.wire.device.checkin import AppraisalStep, CheckinReply


def refused_for_firmware(flash: CutFlash) -> Refusals:
    """Of a device that fails step (19)."""
    reply = SimpleNamespace(verdict="update-only", steps=[AppraisalStep(19, "firmware", "", "fail", "too old")])
    refusals = Refusals(flash)
    refusals.hear(cast("CheckinReply", reply))
    return refusals


def judged(refusals: Refusals, offer_id: UUID) -> Keep | TakeBack | Wait:
    refusal = refusals.of_trial(Trial(offer_id, UUID(int=2), (), TRIAL_STARTS))
    return judge([], started=0.0, contact=5.0, now=20.0, rules=DEFAULT_RULES, with_os=True, refusal=refusal)


def test_an_os_that_took_over_is_not_kept_for_what_failed_before_an_earlier_one() -> None:
    flash = CutFlash()
    refused_for_firmware(flash).keep()
    now = refused_for_firmware(flash)
    assert isinstance(judged(now, UUID(int=1)), Keep), "an offer brought it, to a device that failed that already"
    assert isinstance(judged(now, NO_OFFER), TakeBack), "what was given up may have been attested since"
