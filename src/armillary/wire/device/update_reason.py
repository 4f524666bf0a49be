# SPDX-License-Identifier: Apache-2.0
"""Why a device does not have yet what it should have: the table of reason codes, for devices, people and scripts.

A device sends the code of its own reason with a check-in (the *update status* of its report); the service finds the
others out of its records. ``docs/reference/update-reasons.md`` is made of this table, and ``armillary device
update-status`` prints its sentences. A code never changes its meaning; a newer device may send one that is not here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

NOTHING: Final = ""  # the code of a device for which nothing waits
DEFERRED: Final = "deferred"
FAILED_BEFORE: Final = "failed-before"
OS_REVERTED: Final = "os-reverted"  # failed-before, said of an operating system
OFFERED: Final = "offered"
FETCHING: Final = "fetching"
FETCHED: Final = "fetched"
ON_TRIAL: Final = "trial"  # said also while the operating system is on trial and nothing else is offered


class UpdateReason(NamedTuple):
    """A reason code, who finds it (``device`` or ``service``), what it means, and what a person can do."""

    code: str
    found_by: str
    meaning: str
    remedy: str


# In the order in which one thinks of them: is the device there, may it, is there anything, when, how did it go.
REASONS: Final[tuple[UpdateReason, ...]] = (
    UpdateReason(
        "never-seen",
        "service",
        "The device has never checked in.",
        "Start it where it reaches the device endpoint, and look at its log: armillary device log.",
    ),
    UpdateReason(
        "silent",
        "service",
        "The device has missed its check-ins: it is off, or does not reach the service.",
        "Look at its power and its network; it checks in by itself once it reaches the service.",
    ),
    UpdateReason(
        "unclaimed",
        "service",
        "The device belongs to no catalog, or to no device group: nothing is meant for it.",
        "Claim it, and assign it to a group: armillary device assign.",
    ),
    UpdateReason(
        "revoked",
        "service",
        "The device was revoked: it is let in for nothing.",
        "Restore it if that was a mistake: armillary device restore.",
    ),
    UpdateReason(
        "held",
        "service",
        "Two machines seem to have this device's identity: it gets nothing until somebody has looked.",
        "Find out which one is genuine, then armillary device release.",
    ),
    UpdateReason(
        "up-to-date",
        "service",
        "The device has everything that is meant for it.",
        "Nothing.",
    ),
    UpdateReason(
        "nothing-deployed",
        "service",
        "No deployment is in force for its group, and the operating system stays as it is.",
        "Deploy images: armillary deployment create.",
    ),
    UpdateReason(
        "no-release",
        "service",
        "The OS feed of its group has no release in force for its chip.",
        "Publish one, or promote one from evaluation: armillary release promote.",
    ),
    UpdateReason(
        "wrong-chip",
        "service",
        "The deployment does not fit the chip of the device.",
        "Move the device to a group of its chip, or deploy images for it.",
    ),
    UpdateReason(
        "os-by-hand",
        "service",
        "The device's software cannot update its operating system by itself; its applications are updated.",
        "Bring the device software up to date once by hand; from then on it updates itself.",
    ),
    UpdateReason(
        "os-only",
        "service",
        "The update policy of the group is No3rdPartyAppUpdates: applications stay as they are.",
        "Set it to UpdateAll: armillary device-group update.",
    ),
    UpdateReason(
        "rollout-waits",
        "service",
        "A roll-out decides for the group, and has not come to this device.",
        "Nothing; or look at it: armillary rollout show.",
    ),
    UpdateReason(
        "rollout-held",
        "service",
        "A roll-out decides for the group, and was halted before it came to this device.",
        "Resume it or roll it back: armillary rollout show says why it was halted.",
    ),
    UpdateReason(
        "keys-first",
        "service",
        "The device gets a trust store first: it names the keys and roots by which the device goes from then on.",
        "Nothing; what those keys signed comes after it.",
    ),
    UpdateReason(
        "keys-by-hand",
        "service",
        "What is meant for the device is signed by a key that it does not trust, and no trust store leads it there.",
        "Give its group an OS release and a deployment, or recover it by hand: armillary device recover.",
    ),
    UpdateReason(
        "store-waits",
        "service",
        "A trust store for the device waits for the signature of the role os; until then it gets what it can check.",
        "Sign it: armillary release keys export, sign, import.",
    ),
    UpdateReason(
        "store-failed",
        "service",
        "The device could not install the newest trust store; it gets only what keys that it trusts have signed.",
        "Look at the reason; take the renewal back (armillary release signing-keys drop) and renew again.",
    ),
    UpdateReason(
        "check-in-due",
        "service",
        "The device hears of it at its next check-in.",
        "Nothing; or have it check in at once: armillary device check-now.",
    ),
    UpdateReason(
        OFFERED,
        "service",
        "The device was offered it, and has not said yet what became of it.",
        "Nothing: it fetches it as soon as it may. What it gets from a mirror is not seen here.",
    ),
    UpdateReason(
        FETCHING,
        "service",
        "The device fetches what it was offered.",
        "Nothing: it installs it after that. What it has already, or gets from a mirror, is not seen here.",
    ),
    UpdateReason(
        FETCHED,
        "service",
        "The device has fetched all that it lacks, and installs it: the writing, and a restart, are not seen here.",
        "Nothing: it takes minutes, more on a slow machine. Look at its power and its console if it takes an hour.",
    ),
    UpdateReason(
        "update-only",
        "service",
        "What the device booted is not accepted: it may fetch updates, and do nothing else.",
        "Nothing where an OS release is offered, it heals itself; else look at the failed step of its check-in.",
    ),
    UpdateReason(
        "window",
        "device",
        "The device waits for the maintenance window of its group.",
        "Nothing; or make it urgent: armillary device-group set-urgent.",
    ),
    UpdateReason(
        "not-before",
        "device",
        "The device waits for the time from which it may begin.",
        "Nothing.",
    ),
    UpdateReason(
        "deferred",
        "device",
        "An application on the device has put it off.",
        "Nothing: it may do so only for a limited time. Or make it urgent: armillary device-group set-urgent.",
    ),
    UpdateReason(
        "lease-over",
        "device",
        "The time in which the device was allowed to begin is over.",
        "Nothing: its next check-in renews it, unless the roll-out was halted.",
    ),
    UpdateReason(
        "development",
        "device",
        "The device is open for application development and takes no deployments.",
        "Move it out of development: armillary device enable-cloud-test; on it: armillary device capability remove.",
    ),
    UpdateReason(
        ON_TRIAL,
        "device",
        "The device tries out what it has installed last.",
        "Nothing: it confirms it or takes it back by itself.",
    ),
    UpdateReason(
        "download",
        "device",
        "The device could not fetch everything; it tries again.",
        "Look at its network if this stays.",
    ),
    UpdateReason(
        FAILED_BEFORE,
        "device",
        "This deployment has failed on the device before: it is not tried again here.",
        "Look at the reason, then deploy again: a new deployment is tried.",
    ),
    UpdateReason(
        OS_REVERTED,
        "service",
        "The device went back from the operating system that is meant for it: that version is not tried again here.",
        "Look at the reason, then publish a release that mends it: a new version is tried.",
    ),
    UpdateReason(
        "no-room",
        "device",
        "The device has no room for what it is offered.",
        "Deploy fewer or smaller images.",
    ),
    UpdateReason(
        "does-not-fit",
        "device",
        "The parts of what it is offered do not fit together: an application asks for another operating system.",
        "Deploy applications that are built for the release, or a release that they are built for.",
    ),
    UpdateReason(
        "refused",
        "device",
        "The device does not accept what it is offered: a signature, a hash, or what an application asks for.",
        "The detail says which; mend it and deploy it anew.",
    ),
    UpdateReason(
        "repository",
        "device",
        "The device could not verify the repository's metadata.",
        "The detail says which role and why; look at armillary release keys show.",
    ),
    UpdateReason(
        "clock-ahead",
        "device",
        "The device was told a time from the future by its service and takes nothing that has ended by then.",
        "Say which times were false: armillary release keys correct-clock; or by hand: armillary device recover.",
    ),
    UpdateReason(
        "flash",
        "device",
        "The flash of the device cannot be written.",
        "Replace the device if this stays: its flash is full or failing.",
    ),
)


class NextCheckIn(NamedTuple):
    """A code of what a device checks in after, and what that means."""

    code: str
    meaning: str


ASKED: Final = "asked"
INSTALLATION: Final = "installation"
TRIAL_OVER: Final = "trial"
RETRY: Final = "retry"
INTERVAL: Final = "interval"

NEXT_CHECK_INS: Final[tuple[NextCheckIn, ...]] = (
    NextCheckIn(
        ASKED,
        "It was asked to check in at once, and does so when it hears it; while it installs something, after that.",
    ),
    NextCheckIn(
        INSTALLATION,
        "When it has installed what it was offered, or could not; for an operating system after its restart.",
    ),
    NextCheckIn(TRIAL_OVER, "When it has confirmed or reverted what it tries out."),
    NextCheckIn(RETRY, "Soon: it tries again by itself, later each time."),
    NextCheckIn(INTERVAL, "At the interval of its group."),
)

_CHECK_INS_AFTER: Final = {
    **dict.fromkeys((OFFERED, FETCHING, FETCHED), INSTALLATION),
    ON_TRIAL: TRIAL_OVER,
    **dict.fromkeys(("download", "flash"), RETRY),
}

_BY_CODE: Final = {reason.code: reason for reason in REASONS}
DEVICE_CODES: Final = frozenset(reason.code for reason in REASONS if reason.found_by == "device")


def reason_of(code: str) -> UpdateReason:
    """The reason of a code; for one that this version does not know, a reason that says so."""
    unknown = UpdateReason(code, "device", f"The device gives a reason that is not known here: {code}.", "Update this.")
    return _BY_CODE.get(code, unknown)


def next_check_in(code: str, *, is_asked: bool) -> NextCheckIn:
    """What a device with this reason checks in after; ``is_asked``: it was asked to check in, and has not since."""
    after = ASKED if is_asked else _CHECK_INS_AFTER.get(code, INTERVAL)
    return next(one for one in NEXT_CHECK_INS if one.code == after)
