# SPDX-License-Identifier: Apache-2.0
"""Each step of an installation as the next install record.

Every function takes a record and returns a new one; the caller writes it in one atomic switch. What a start of the
device does to the record is in ``starting``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from armillary.errors import InstallError
from armillary.update.install.component import Kind
from armillary.update.install.plan import InstallPlan, rejection_key
from armillary.update.install.record import (
    MAX_OUTCOMES,
    MAX_REJECTED,
    NO_OFFER,
    InstallRecord,
    OsVersion,
    SlotImage,
    Trial,
    WayBack,
    os_of,
)
from armillary.wire.device.checkin import MAX_REASON_BYTES, Offer, OfferedImage, UpdateOutcome
from armillary.wire.encoding.clip import clip_text

# Starts of the device with one trial unsettled before it is taken back. Three: one start may be an unlucky
# power cut, two an unlucky repair; three mean that the new set keeps the device from settling.
TRIAL_STARTS = 3


def begin_staging(record: InstallRecord, active: tuple[SlotImage, ...]) -> InstallRecord:
    """The record to write before the first byte of an OS is staged: it goes over the copies of the way back.

    ``active`` are the active images where they run: a slot that the record names instead may be overwritten.
    """
    return replace(record, active=active, way_back=None)


def begin_trial(record: InstallRecord, plan: InstallPlan, *, now: int, running: Collection[UUID] = ()) -> InstallRecord:
    """The record that switches to the plan's set.

    A plan that only removes components, or names the OS that runs, needs no trial: the switch confirms it. The trial
    watches the new applications and, where the OS under them changes, those that are ``running`` now (by image id): one
    that did not run before does not hold an OS back.

    Raises:
        InstallError: another trial is still under way.
    """
    if record.trial is not None:
        raise InstallError("a trial is under way", remedy="Settle it first: confirm or revert.")
    if not plan.fetch:
        removed = tuple(_outcome(plan.offer_id, image, "confirmed", "removed", now) for image in plan.removed)
        return replace(record, active=plan.result, os=plan.os, outcomes=_bounded(record.outcomes + removed))
    fetched = {staged.target.image_id for staged in plan.fetch}
    watched = tuple(
        image.image_id
        for image in plan.result
        if not image.kind.is_system and (image.image_id in fetched or (plan.restarts and image.image_id in running))
    )
    trial = Trial(plan.offer_id, plan.rejection_key, _explicit(record, plan), TRIAL_STARTS, record.os, watched)
    return replace(record, active=plan.result, os=plan.os, trial=trial)


def confirm(record: InstallRecord, *, now: int) -> InstallRecord:
    """The record that keeps the trial's set, whatever failed of it before; InstallError if there is no trial.

    The OS before it stays as the way back.
    """
    trial = trial_of(record)
    previous = os_of(trial.previous)
    changed = frozenset(previous) != frozenset(os_of(record.active))
    return replace(
        record,
        trial=None,
        outcomes=_with_ended(record, trial, "confirmed", "", now),
        rejected=tuple(key for key in record.rejected if key != trial.rejection_key),
        way_back=WayBack(previous, trial.previous_os) if changed else record.way_back,
    )


def attested(record: InstallRecord) -> InstallRecord:
    """The record once the service has attested the OS in force: it came up, whatever took its place meanwhile.

    So what took over from it, and was taken back, may be taken back to it again. Unchanged while an OS is on trial.
    """
    if record.system_on_trial:
        return record
    over = {takeover_key(os_of(record.active))}
    if record.way_back is not None:
        over.add(takeover_key(record.way_back.images))
    return replace(record, rejected=tuple(key for key in record.rejected if key not in over))


def takeover_key(images: Iterable[SlotImage]) -> UUID:
    """By which it is known that this OS took over before, and was taken back; no offer has this key."""
    return uuid5(NO_OFFER, ",".join(sorted(image.sha256.hex() for image in images)))


def revert(record: InstallRecord, *, reason: str, now: int, bars: bool | None = None) -> InstallRecord:
    """The record that goes back to the previous set; InstallError if there is no trial.

    What was tried is not tried again on this device if the trial ``bars`` it. None: if an offer brought it; an OS that
    took over is barred by its service alone. An OS among it stays as the way back: it has come up, which the one before
    it may not do any more.
    """
    trial = trial_of(record)
    if bars is None:
        bars = not trial.takes_over
    return replace(
        record,
        active=trial.previous,
        os=trial.previous_os,
        trial=None,
        outcomes=_with_ended(record, trial, "reverted", reason, now),
        rejected=_remembered(record.rejected, trial.rejection_key) if bars else record.rejected,
        way_back=WayBack(os_of(record.active), record.os) if record.os_on_trial else record.way_back,
    )


def keep_failed(record: InstallRecord, *, reason: str, now: int) -> InstallRecord:
    """The record in which a set that failed its trial stays in force, since the OS before it may not boot, or does not.

    InstallError if there is no trial. The service hears that it failed, and why. The OS before it stays as the way
    back, which is verified before it is used.
    """
    trial = trial_of(record)
    outcomes = _with_ended(record, trial, "failed", reason, now)
    previous = WayBack(os_of(trial.previous), trial.previous_os) if record.os_on_trial else record.way_back
    return replace(record, trial=None, outcomes=outcomes, way_back=previous)


def refuse(record: InstallRecord, plan: InstallPlan, *, reason: str, now: int) -> InstallRecord:
    """The record after an offer that this device must not install (bad signature, too large, capability).

    Nothing that runs is changed. It is not tried again here.
    """
    images = [staged.target for staged in plan.fetch]
    return _refused(record, plan.offer_id, plan.rejection_key, images, reason, now)


def refuse_offer(record: InstallRecord, offer: Offer, *, reason: str, now: int) -> InstallRecord:
    """As :func:`refuse`, for an offer that there is no plan for."""
    active = {(image.image_id, image.sha256) for image in record.active}
    images = [image for image in offer.images if (image.image_id, image.sha256) not in active]
    return _refused(record, offer.offer_id, rejection_key(offer), images, reason, now)


def drop_damaged(record: InstallRecord, damaged: Sequence[SlotImage], *, now: int) -> InstallRecord:
    """The record without images that are damaged in flash; the next offer brings them back.

    During a trial the whole set is reverted instead. OS components are not dropped: the boot decides about them.
    """
    if not damaged:
        return record
    names = ", ".join(f"{image.name} ({image.image_id})" for image in damaged)
    if record.trial is not None:
        return revert(record, reason=f"damaged in flash: {names}", now=now)
    return replace(
        record, active=tuple(image for image in record.active if image.kind is Kind.OS or image not in damaged)
    )


def name_os(record: InstallRecord, os: OsVersion) -> InstallRecord:
    """The record in which the OS in force has this version."""
    return replace(record, os=os)


def forget_system(record: InstallRecord, *, reason: str, now: int) -> InstallRecord:
    """The record after recovery by hand put OS components into slot ``a`` and the factory's trust into force.

    A trial of an OS is taken back.
    """
    if record.system_on_trial:
        record = revert(record, reason=reason, now=now)
    trial = record.trial
    if trial is not None:
        trial = replace(trial, previous=_without_system(trial.previous), previous_os=OsVersion())
    return replace(record, active=_without_system(record.active), os=OsVersion(), trial=trial, way_back=None)


def acknowledge(record: InstallRecord, sent: Sequence[UpdateOutcome]) -> InstallRecord:
    """The record after the service answered a check-in that carried ``sent``."""
    return replace(record, outcomes=tuple(outcome for outcome in record.outcomes if outcome not in sent))


def trial_of(record: InstallRecord) -> Trial:
    """The trial that is under way, else InstallError."""
    if record.trial is None:
        raise InstallError("no trial is under way", remedy="Report this with the device's log.")
    return record.trial


def _explicit(record: InstallRecord, plan: InstallPlan) -> tuple[SlotImage, ...]:
    """The active set, with the kept OS components that this boot has measured in place of what was known of them."""
    measured = {image.component_id: image for image in plan.measured}
    known = tuple(image for image in record.active if image.component_id not in measured)
    return (*plan.measured, *known)


def _without_system(images: Iterable[SlotImage]) -> tuple[SlotImage, ...]:
    return tuple(image for image in images if not image.kind.is_system)


def _refused(
    record: InstallRecord,
    offer_id: UUID,
    key: UUID,
    images: Iterable[SlotImage | OfferedImage],
    reason: str,
    now: int,
) -> InstallRecord:
    outcomes = tuple(_outcome(offer_id, image, "failed", reason, now) for image in images)
    return replace(record, outcomes=_bounded(record.outcomes + outcomes), rejected=_remembered(record.rejected, key))


def _outcome(offer_id: UUID, image: SlotImage | OfferedImage, outcome: str, reason: str, now: int) -> UpdateOutcome:
    return UpdateOutcome(
        offer_id=offer_id,
        image_id=image.image_id,
        component_id=image.component_id,
        outcome=outcome,
        reason=clip_text(reason, MAX_REASON_BYTES),
        at=now,
    )


def _with_ended(record: InstallRecord, trial: Trial, outcome: str, reason: str, now: int) -> tuple[UpdateOutcome, ...]:
    """The outcomes that wait, with those of each image that the trial brought: none where no offer brought it."""
    if trial.takes_over:
        return record.outcomes
    brought = (image for image in record.active if image not in trial.previous)
    return _bounded(record.outcomes + tuple(_outcome(trial.offer_id, each, outcome, reason, now) for each in brought))


def _bounded(outcomes: tuple[UpdateOutcome, ...]) -> tuple[UpdateOutcome, ...]:
    return outcomes[-MAX_OUTCOMES:]


def _remembered(rejected: tuple[UUID, ...], key: UUID) -> tuple[UUID, ...]:
    return (*(old for old in rejected if old != key), key)[-MAX_REJECTED:]
