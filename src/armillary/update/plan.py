# SPDX-License-Identifier: Apache-2.0
"""Compares the wanted images with the installed ones, and makes the next install record.

Every function takes a record and returns a new one; the caller writes it in one atomic switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from armillary.errors import InstallError
from armillary.update.record import MAX_OUTCOMES, MAX_REJECTED, SLOTS, InstallRecord, SlotImage, Trial
from armillary.wire.device.checkin import MAX_REASON_BYTES, Offer, OfferedImage, UpdateOutcome
from armillary.wire.encoding.clip import clip_text

# Starts of the device with one trial unsettled before it is taken back. Three: one start may be an unlucky
# power cut, two an unlucky repair; three mean that the new set keeps the device from settling.
TRIAL_STARTS = 3


@dataclass(frozen=True, slots=True)
class StagedImage:
    """An image that has to be fetched, and the slot for it."""

    offered: OfferedImage
    target: SlotImage


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """How to get from the active set of images to the wanted one."""

    offer_id: UUID
    rejection_key: UUID  # The deployment; the offer if it names none
    fetch: tuple[StagedImage, ...]  # Images that are not on the device yet
    removed: tuple[SlotImage, ...]  # Active images that are not in the wanted set
    result: tuple[SlotImage, ...]  # The set that runs after the switch


def plan_install(record: InstallRecord, offer: Offer) -> InstallPlan | None:
    """The plan for ``offer``; None when there is nothing to do now.

    There is nothing to do during a trial (it is settled first; the service offers again at the next check-in), for a
    deployment that failed on this device before, or when the wanted set already runs.

    Raises:
        InstallError: the offer names a component twice.
    """
    key = offer.deployment_id or offer.offer_id
    if record.trial is not None or key in record.rejected:
        return None
    wanted: dict[UUID, OfferedImage] = {}
    for image in offer.images:
        if image.component_id in wanted:
            raise InstallError(
                f"offer {offer.offer_id} names component {image.component_id} twice",
                remedy="Deploy each component once.",
            )
        wanted[image.component_id] = image
    fetch: list[StagedImage] = []
    result: list[SlotImage] = []
    for component_id, image in wanted.items():
        present = record.image_of(component_id)
        if present is not None and (present.image_id, present.sha256) == (image.image_id, image.sha256):
            result.append(present)
            continue
        slot = SLOTS[0] if present is None or present.slot == SLOTS[1] else SLOTS[1]
        target = SlotImage(component_id, image.image_id, image.image_type, image.name, slot, image.size, image.sha256)
        fetch.append(StagedImage(image, target))
        result.append(target)
    removed = tuple(image for image in record.active if image.component_id not in wanted)
    if not fetch and not removed:
        return None
    return InstallPlan(offer.offer_id, key, tuple(fetch), removed, tuple(result))


def begin_trial(record: InstallRecord, plan: InstallPlan, *, now: int) -> InstallRecord:
    """The record that switches to the plan's set.

    A plan that only removes components needs no trial: the switch confirms it.

    Raises:
        InstallError: another trial is still under way.
    """
    if record.trial is not None:
        raise InstallError("a trial is under way", remedy="Settle it first: confirm or take back.")
    if not plan.fetch:
        removed = tuple(_outcome(plan.offer_id, image, "confirmed", "removed", now) for image in plan.removed)
        return replace(record, active=plan.result, outcomes=_bounded(record.outcomes + removed))
    trial = Trial(plan.offer_id, plan.rejection_key, record.active, TRIAL_STARTS)
    return replace(record, active=plan.result, trial=trial)


def start_device(record: InstallRecord, *, now: int) -> InstallRecord:
    """The record to write *before* a start: it counts the start against a trial, or reverts the trial."""
    if record.trial is None:
        return record
    if record.trial.starts_left <= 0:
        reason = f"the device started {TRIAL_STARTS} times without the new images proving healthy"
        return revert(record, reason=reason, now=now)
    return replace(record, trial=replace(record.trial, starts_left=record.trial.starts_left - 1))


def confirm(record: InstallRecord, *, now: int) -> InstallRecord:
    """The record that keeps the trial's set; InstallError if there is no trial."""
    trial = _trial(record)
    outcomes = tuple(
        _outcome(trial.offer_id, image, "confirmed", "", now) for image in record.active if image not in trial.previous
    )
    return replace(record, trial=None, outcomes=_bounded(record.outcomes + outcomes))


def revert(record: InstallRecord, *, reason: str, now: int) -> InstallRecord:
    """The record that goes back to the previous set and bars this deployment; InstallError if there is no trial."""
    trial = _trial(record)
    outcomes = tuple(
        _outcome(trial.offer_id, image, "reverted", reason, now)
        for image in record.active
        if image not in trial.previous
    )
    return InstallRecord(
        active=trial.previous,
        trial=None,
        outcomes=_bounded(record.outcomes + outcomes),
        rejected=_remembered(record.rejected, trial.rejection_key),
    )


def refuse(record: InstallRecord, plan: InstallPlan, *, reason: str, now: int) -> InstallRecord:
    """The record after an offer that this device must not install (bad signature, too large, capability).

    Nothing that runs is changed. The deployment is not tried again here.
    """
    outcomes = tuple(_outcome(plan.offer_id, staged.target, "failed", reason, now) for staged in plan.fetch)
    return replace(
        record,
        outcomes=_bounded(record.outcomes + outcomes),
        rejected=_remembered(record.rejected, plan.rejection_key),
    )


def drop_damaged(record: InstallRecord, damaged: Sequence[SlotImage], *, now: int) -> InstallRecord:
    """The record without images that are damaged in flash; the next offer brings them back.

    During a trial the whole set is reverted instead.
    """
    if not damaged:
        return record
    names = ", ".join(f"{image.name} ({image.image_id})" for image in damaged)
    if record.trial is not None:
        return revert(record, reason=f"damaged in flash: {names}", now=now)
    return replace(record, active=tuple(image for image in record.active if image not in damaged))


def acknowledge(record: InstallRecord, sent: Sequence[UpdateOutcome]) -> InstallRecord:
    """The record after the service answered a check-in that carried ``sent``."""
    return replace(record, outcomes=tuple(outcome for outcome in record.outcomes if outcome not in sent))


def _trial(record: InstallRecord) -> Trial:
    if record.trial is None:
        raise InstallError("no trial is under way", remedy="Report this with the device's log.")
    return record.trial


def _outcome(offer_id: UUID, image: SlotImage, outcome: str, reason: str, now: int) -> UpdateOutcome:
    return UpdateOutcome(
        offer_id=offer_id,
        image_id=image.image_id,
        component_id=image.component_id,
        outcome=outcome,
        reason=clip_text(reason, MAX_REASON_BYTES),
        at=now,
    )


def _bounded(outcomes: tuple[UpdateOutcome, ...]) -> tuple[UpdateOutcome, ...]:
    return outcomes[-MAX_OUTCOMES:]


def _remembered(rejected: tuple[UUID, ...], key: UUID) -> tuple[UUID, ...]:
    return (*(old for old in rejected if old != key), key)[-MAX_REJECTED:]
