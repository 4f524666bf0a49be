# SPDX-License-Identifier: Apache-2.0
"""The state table of an installation.

Rules:

* One transaction at a time; it covers the whole wanted set of images, so a set is never half installed.
* Nothing before SWITCHED changes what runs: an interruption in FETCHED or STAGED falls back to IDLE.
* Only TRIAL is durable (it is in the install record). It ends CONFIRMED or REVERTED, both written with the one record
  write that ends it; CONFIRMED and REVERTED last until the service has acknowledged the outcome. A set that failed and
  cannot be taken back is kept, which ends in IDLE: the service may bring another.
* Every (state, event) pair that is not in the table is a defect of the caller and raises.

::

    IDLE --fetched--> FETCHED --staged--> STAGED --switched--> TRIAL --confirmed--> CONFIRMED --reported--> IDLE
      ^                 |  failed           | failed             |  reverted                                  ^
      +-----------------+-------------------+------kept----------+--------------> REVERTED -------reported----+
"""

from __future__ import annotations

import enum

from armillary.errors import InstallError


class InstallState(enum.StrEnum):
    """The state of an installation."""

    IDLE = "idle"  # the active set runs, nothing is under way
    FETCHED = "fetched"  # every missing image is here, its digest, signature, manifest and grant checked
    STAGED = "staged"  # every missing image is in its candidate slot and was read back equal
    TRIAL = "trial"  # the new set runs, the previous set is kept
    CONFIRMED = "confirmed"  # the new set stays; the outcome is still to be reported
    REVERTED = "reverted"  # the previous set runs again; the outcome is still to be reported


class InstallEvent(enum.StrEnum):
    """What can happen to an installation."""

    FETCHED = "fetched"
    STAGED = "staged"
    FAILED = "failed"  # fetching or staging failed: nothing was changed
    SWITCHED = "switched"  # the record that names the new set is durable
    RESTARTED = "restarted"  # the device process or the device started again
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    KEPT = "kept"  # it failed and stays: what was before it may not boot
    REPORTED = "reported"  # the service has the outcome


S, E = InstallState, InstallEvent

TRANSITIONS: dict[tuple[InstallState, InstallEvent], InstallState] = {
    (S.IDLE, E.FETCHED): S.FETCHED,
    (S.IDLE, E.FAILED): S.IDLE,
    (S.IDLE, E.RESTARTED): S.IDLE,
    (S.FETCHED, E.STAGED): S.STAGED,
    (S.FETCHED, E.FAILED): S.IDLE,
    (S.FETCHED, E.RESTARTED): S.IDLE,
    (S.STAGED, E.SWITCHED): S.TRIAL,
    (S.STAGED, E.FAILED): S.IDLE,
    (S.STAGED, E.RESTARTED): S.IDLE,
    (S.TRIAL, E.RESTARTED): S.TRIAL,
    (S.TRIAL, E.CONFIRMED): S.CONFIRMED,
    (S.TRIAL, E.REVERTED): S.REVERTED,
    (S.TRIAL, E.KEPT): S.IDLE,
    (S.CONFIRMED, E.RESTARTED): S.CONFIRMED,
    (S.CONFIRMED, E.REPORTED): S.IDLE,
    (S.REVERTED, E.RESTARTED): S.REVERTED,
    (S.REVERTED, E.REPORTED): S.IDLE,
}


def advance(state: InstallState, event: InstallEvent) -> InstallState:
    """The state after ``event``; InstallError if it cannot happen in this state."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InstallError(
            f"installation: {event} cannot happen in state {state}",
            remedy="This is a defect of the device software; report it with the device's log.",
        ) from None
