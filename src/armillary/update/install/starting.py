# SPDX-License-Identifier: Apache-2.0
"""What a start of the device boots: the first stage's table over the install record.

Rules:

* The record is read, and the start counted in it, BEFORE the boot chain runs: a new OS that hangs uses up its starts
  without running a line of code that could count.
* A boot chain that is refused while it is on trial takes the trial back, and the previous OS boots. One that had booted
  before was damaged since, which is not its fault: it may be tried again.
* A chain that is refused otherwise gives way to the OS before it, once, if its copies are still in flash.
* What is to boot instead has to pass the same checks *before* the record that names it is written (``Installer``): a
  way back below the anti-rollback minimums, or that cannot be read, is none, and the refused OS stays in force. It may
  have been read wrongly, and is all that the device has. So what is on trial stays there, with its starts used up,
  while the OS before it may not boot.
* Where the OS in force does not come up and another one runs, that one takes its place if the record names none that
  may boot (:func:`taken_over`).
* What takes the place of an OS that did not come up is on trial, and goes back to that one: power that goes in the
  first seconds of a few starts looks the same, and no check-in may ever have attested the other. A trial of
  applications ends before (:func:`given_up`): what an OS is judged for is not to bar a deployment.
* The record returned here must be durable before its effect happens. Every cell of :data:`TABLE` is filled.

::

    SETTLED  --start--> boot      --refused, a way back is there--> the OS before, else stop
    TRYING   --start--> count, boot      --refused, the chain is on trial--> take back
    EXHAUSTED --start--> take back, if the OS before it may boot; else boot
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from armillary.boot import counter
from armillary.errors import BootRefusedError
from armillary.update.install.component import Kind
from armillary.update.install.record import NO_OFFER, InstallRecord, SlotImage, Trial, WayBack, os_of
from armillary.update.install.steps import TRIAL_STARTS, revert, takeover_key, trial_of
from armillary.wire.attestation.event_log import BootEvent


class Situation(enum.Enum):
    """What the record says of a trial."""

    SETTLED = "settled"  # none
    TRYING = "trying"  # one, with starts left
    EXHAUSTED = "exhausted"  # one, without


class StartEvent(enum.Enum):
    """What happens at a start of the device."""

    START = "start"
    REFUSED_NEW = "refused-new"  # the boot chain is refused, and the trial brought it
    REFUSED_OLD = "refused-old"  # it is refused, no trial brought it, and the OS before it is in flash
    REFUSED_LAST = "refused-last"  # it is refused, and there is no other


class StartEffect(enum.Enum):
    """What the first stage does."""

    BOOT = "boot"  # the active set, as it is
    COUNT = "count"  # one start fewer for the trial, then the active set
    TAKE_BACK = "take-back"  # the trial ends, the previous set boots
    FALL_BACK = "fall-back"  # the OS before the present one boots
    STOP = "stop"  # nothing boots
    DEFECT = "defect"  # cannot happen


S, E, F = Situation, StartEvent, StartEffect

TABLE: Mapping[tuple[Situation, StartEvent], StartEffect] = {
    (S.SETTLED, E.START): F.BOOT,
    (S.SETTLED, E.REFUSED_NEW): F.DEFECT,
    (S.SETTLED, E.REFUSED_OLD): F.FALL_BACK,
    (S.SETTLED, E.REFUSED_LAST): F.STOP,
    (S.TRYING, E.START): F.COUNT,
    (S.TRYING, E.REFUSED_NEW): F.TAKE_BACK,
    (S.TRYING, E.REFUSED_OLD): F.FALL_BACK,
    (S.TRYING, E.REFUSED_LAST): F.STOP,
    (S.EXHAUSTED, E.START): F.TAKE_BACK,
    (S.EXHAUSTED, E.REFUSED_NEW): F.TAKE_BACK,
    (S.EXHAUSTED, E.REFUSED_OLD): F.FALL_BACK,
    (S.EXHAUSTED, E.REFUSED_LAST): F.STOP,
}


def start_device(record: InstallRecord, *, now: int) -> InstallRecord:
    """The record to write *before* the boot chain runs: it counts the start against a trial, or reverts the trial.

    One that reverts an OS or a trust store is to be written only if what it names may boot.
    """
    effect = TABLE[_situation(record), StartEvent.START]
    if effect is StartEffect.COUNT:
        trial = trial_of(record)
        return replace(record, trial=replace(trial, starts_left=trial.starts_left - 1))
    if effect is StartEffect.TAKE_BACK:
        reason = f"the device started {TRIAL_STARTS} times without the new images proving healthy"
        return revert(record, reason=reason, now=now)
    return record


def boot_refused(record: InstallRecord, *, reason: str, now: int) -> InstallRecord | None:
    """The record with the set to boot instead of a refused one; None when there is no other.

    It is to be written before that boots, and only if that may boot.
    """
    effect = TABLE[_situation(record), _refusal(record)]
    if effect is StartEffect.TAKE_BACK:
        never_booted = trial_of(record).starts_left >= TRIAL_STARTS - 1
        taken_back = revert(record, reason=reason, now=now, bars=None if never_booted else False)
        return replace(taken_back, way_back=record.way_back)  # what was refused is none
    if effect is StartEffect.FALL_BACK and record.way_back is not None:
        return _fall_back(record, record.way_back)
    if effect is StartEffect.STOP:
        return None
    raise AssertionError(f"{record!r}: a refused boot cannot be {_refusal(record)}")


def given_up(record: InstallRecord, *, now: int) -> InstallRecord:
    """The record without a trial of applications over an OS that does not come up any more.

    They may be tried again on this device: the OS under them is to blame. It is to be written only together with what
    takes the place of that OS.
    """
    if record.trial is None or record.system_on_trial:
        return record
    return revert(record, reason="the OS under it did not come up any more", now=now, bars=False)


def taken_over(record: InstallRecord, running: WayBack | None) -> InstallRecord | None:
    """The record with the OS that runs in the place of one that does not come up.

    ``running`` is None where a package of it is damaged. None then, and where ``record`` names this OS. It is to be
    written before that boots, and only if that may boot.
    """
    if running is None or all(record.os_slot(image.name) == image.slot for image in running.images):
        return None
    return _fall_back(record, running)


def on_trial(record: InstallRecord, other: InstallRecord) -> InstallRecord:
    """``other`` with its OS on trial where what it takes the place of in ``record`` was settled, and did not come up.

    The latter is what it goes back to; ``record`` is as :func:`given_up` leaves it. An OS whose trial ended so stays as
    the way back, by its version: it was not refused.
    """
    if record.os_on_trial:
        return replace(other, way_back=WayBack(os_of(record.active), record.os))
    if record.system_on_trial:
        return other
    key = takeover_key(os_of(other.active))
    return replace(other, trial=Trial(NO_OFFER, key, record.active, TRIAL_STARTS, record.os))


def raised_minimums(
    minimums: Mapping[int, int], record: InstallRecord, events: Sequence[BootEvent], booted: frozenset[str]
) -> Mapping[int, int]:
    """The anti-rollback minimums once the service has attested the boot of ``events`` from the ``booted`` regions.

    Raises:
        BootRefusedError: what booted is not confirmed, so a way back may still need the old versions; or it is not
            what the next start boots.
    """
    if record.system_on_trial:
        raise BootRefusedError(
            "anti-rollback: expected a confirmed OS, got one on trial", remedy="Confirm the trial first."
        )
    in_force = record.system_regions(event.component for event in events)
    if in_force != booted:
        raise BootRefusedError(
            f"anti-rollback: expected a boot from {', '.join(sorted(in_force - booted))}, "
            f"got one from {', '.join(sorted(booted - in_force))}",
            remedy="Restart the device first: the OS it runs was reverted.",
        )
    return counter.raise_minimums(minimums, events)


def _situation(record: InstallRecord) -> Situation:
    if record.trial is None:
        return Situation.SETTLED
    return Situation.TRYING if record.trial.starts_left > 0 else Situation.EXHAUSTED


def _refusal(record: InstallRecord) -> StartEvent:
    if record.system_on_trial:
        return StartEvent.REFUSED_NEW
    return StartEvent.REFUSED_LAST if record.way_back is None else StartEvent.REFUSED_OLD


def _fall_back(record: InstallRecord, way_back: WayBack) -> InstallRecord:
    """The record whose OS is the way back, which then is none any more; applications and a trial of them stay."""
    trial = record.trial
    if trial is not None:
        trial = replace(trial, previous=_with_os(trial.previous, way_back), previous_os=way_back.os)
    return replace(record, active=_with_os(record.active, way_back), os=way_back.os, trial=trial, way_back=None)


def _with_os(images: Iterable[SlotImage], way_back: WayBack) -> tuple[SlotImage, ...]:
    other = (image for image in images if image.kind is not Kind.OS)
    return tuple(sorted((*way_back.images, *other), key=lambda image: image.kind))
