# SPDX-License-Identifier: Apache-2.0
"""When a new set of images is confirmed and when it is reverted.

Confirmed: every application of the set has been running without an exit for :data:`HEALTHY_S`, AND the service has
accepted a check-in since the set started. Health alone could confirm a set that disconnects the device; contact alone
could confirm one that crashes a minute later.

Reverted: the applications exited :data:`EXITS_ALLOWED` times in all, one could not be started, or the set was not
healthy :data:`DEADLINE_S` after it started. A service that is down reverts nothing: without contact a healthy set stays
on trial, and only the count of starts (``plan.TRIAL_STARTS``) limits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEALTHY_S = 10.0  # longer than any application of ours takes to connect; short enough that a roll-out flows
EXITS_ALLOWED = 3  # with the supervisor's back-off, three crashes show within about four seconds
DEADLINE_S = 300.0  # applications that never all stay up together are not healthy


@dataclass(frozen=True, slots=True)
class TrialRules:
    """The times and counts above, which a test or a simulator can shorten."""

    healthy_s: float = HEALTHY_S
    exits_allowed: int = EXITS_ALLOWED
    deadline_s: float = DEADLINE_S


DEFAULT_RULES = TrialRules()


@dataclass(frozen=True, slots=True)
class ApplicationHealth:
    """The state of one application of the set, as the supervisor saw it."""

    name: str  # For texts
    running_since: float | None  # When its present run started (monotonic seconds), or None when it does not run
    exits: int  # Since the trial began
    start_failure: str | None = None  # Why it could not be started


@dataclass(frozen=True, slots=True)
class Wait:
    """Undecided; judge again in ``seconds`` (or at the next exit or check-in)."""

    seconds: float
    needs_contact: bool = False  # healthy: only an accepted check-in is missing


@dataclass(frozen=True, slots=True)
class Keep:
    """Confirm the set."""


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Revert to the previous set."""

    reason: str


def judge(
    applications: Sequence[ApplicationHealth],
    *,
    started: float,
    contact: float | None,
    now: float,
    rules: TrialRules,
) -> Wait | Keep | TakeBack:
    """Decide about the set on trial; times are monotonic seconds.

    ``applications`` are those of the set that should run, none for a board configuration. The set was ``started`` then;
    the service last accepted a check-in at ``contact`` (None: never).
    """
    for application in applications:
        if application.start_failure is not None:
            return TakeBack(f"{application.name} could not be started: {application.start_failure}")
    exits = sum(application.exits for application in applications)
    if exits >= rules.exits_allowed:
        names = ", ".join(application.name for application in applications if application.exits)
        return TakeBack(f"{names} ended {exits} times within {now - started:.0f} s of the update")
    healthy_at = started
    for application in applications:
        if application.running_since is None:
            healthy_at = float("inf")
        else:
            healthy_at = max(healthy_at, application.running_since + rules.healthy_s)
    if now >= healthy_at:
        if contact is not None and contact >= started:
            return Keep()
        return Wait(rules.healthy_s, needs_contact=True)
    remaining = started + rules.deadline_s - now
    if remaining <= 0:
        return TakeBack(f"not healthy within {rules.deadline_s:.0f} s of the update")
    return Wait(min(max(healthy_at - now, 0.0), remaining))
