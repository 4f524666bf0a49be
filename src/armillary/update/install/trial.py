# SPDX-License-Identifier: Apache-2.0
"""When a new set of images is confirmed and when it is reverted.

Confirmed: every watched application has been running without an exit for :data:`HEALTHY_S`, AND the service has
accepted a check-in since the set started. Health alone could confirm a set that disconnects the device; contact alone
could confirm one that crashes a minute later. A set with a new OS needs more of that check-in: the service has to have
attested what booted.

Reverted: the applications exited :data:`EXITS_ALLOWED` times in all, one could not be started, or the set was not
healthy :data:`DEADLINE_S` after it started. A service that is down reverts no application: without contact a healthy
set stays on trial, and only the count of starts (``steps.TRIAL_STARTS``) limits it. A new OS is different: it may be
what keeps the device from its service, so it goes :data:`CONTACT_S` after it started, and at once when the service
answers that it does not attest it, unless for what was wrong with the device before (``refusal``). A trust store is in
between: it may keep the device from its service, and is not what the service attests. A device that is held to updates
only needs it to be healed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from armillary.update.install.refusal import Refusal

HEALTHY_S = 10.0  # longer than any application of ours takes to connect; short enough that a roll-out flows
EXITS_ALLOWED = 3  # with the supervisor's back-off, three crashes show within about four seconds
DEADLINE_S = 300.0  # applications that never all stay up together are not healthy
# Longer than most outages of a service and its network; an OS without a network costs a site an afternoon.
CONTACT_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class TrialRules:
    """The times and counts above, which a test or a simulator can shorten."""

    healthy_s: float = HEALTHY_S
    exits_allowed: int = EXITS_ALLOWED
    deadline_s: float = DEADLINE_S
    contact_s: float = CONTACT_S


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
    """Revert to the previous set; what was tried is not tried again here where the trial ``bars`` it."""

    reason: str
    bars: bool = True


def judge(
    applications: Sequence[ApplicationHealth],
    *,
    started: float,
    contact: float | None,
    now: float,
    rules: TrialRules,
    with_os: bool = False,
    refusal: Refusal | None = None,
) -> Wait | Keep | TakeBack:
    """Decide about the set on trial; times are monotonic seconds.

    ``applications`` are the watched ones, none for a board configuration. The set was ``started`` then; the service
    last accepted a check-in at ``contact`` (None: never). A set ``with_os`` has new OS components or trust stores;
    where it has the former ``refusal`` says why the service does not attest it (None: it has nothing against it).
    """
    failure, bars = _failure(applications, now - started, rules), True
    if refusal is not None:
        failure, bars = f"the service does not attest the new OS: {refusal.reason}", refusal.bars
    if failure:
        return TakeBack(failure, bars=bars)
    healthy_at = started
    for application in applications:
        since = application.running_since
        healthy_at = float("inf") if since is None else max(healthy_at, since + rules.healthy_s)
    if now < healthy_at:
        remaining = started + rules.deadline_s - now
        if remaining <= 0:
            return TakeBack(f"not healthy within {rules.deadline_s:.0f} s of the update")
        return Wait(min(healthy_at - now, remaining))
    if contact is not None and contact >= started:
        return Keep()
    if with_os and now >= started + rules.contact_s:
        return TakeBack(f"no attested check-in within {rules.contact_s:.0f} s of the new OS", bars=False)
    return Wait(rules.healthy_s, needs_contact=True)


def _failure(applications: Sequence[ApplicationHealth], age_s: float, rules: TrialRules) -> str:
    """Why the applications cannot be kept; empty while they can."""
    for application in applications:
        if application.start_failure is not None:
            return f"{application.name} could not be started: {application.start_failure}"
    exits = sum(application.exits for application in applications)
    if exits < rules.exits_allowed:
        return ""
    names = ", ".join(application.name for application in applications if application.exits)
    return f"{names} ended {exits} times within {age_s:.0f} s of the update"
