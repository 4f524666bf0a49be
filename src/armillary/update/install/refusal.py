# SPDX-License-Identifier: Apache-2.0
"""Why a service does not attest an OS on trial: the steps of its appraisal (docs/concepts/appraisal.md) that failed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from armillary.wire.device.checkin import CheckinReply

ATTESTED: Final = "attested"
# What a release is judged by: components, a whole release, security versions, a release in force. These say of an OS
# that it is no good, whatever was wrong before.
OF_THE_RELEASE: Final = frozenset({13, 14, 15, 18})
# What says of a device that there are two of it. An OS may be to blame, but another release is none the better for it.
OF_THE_IDENTITY: Final = frozenset({10, 17})


class Refusal(NamedTuple):
    """Why, in words, and whether the release is not to be tried again on this device."""

    reason: str
    bars: bool


def failed_steps(reply: CheckinReply) -> frozenset[int]:
    """The numbers of the steps that failed."""
    return frozenset(step.number for step in reply.steps if step.result == "fail")


def refusal_of(reply: CheckinReply, before: Collection[int]) -> Refusal | None:
    """What the service has against the OS that checked in; None for one that fails only what failed ``before`` it."""
    if reply.verdict == ATTESTED:
        return None
    failed = failed_steps(reply)
    of_os = failed - (frozenset(before) - OF_THE_RELEASE)
    if failed and not of_os:
        return None
    words = [f"step ({step.number}) {step.name}: {step.detail}" for step in reply.steps if step.number in of_os]
    return Refusal("; ".join(words) or reply.verdict, bars=not of_os or not of_os <= OF_THE_IDENTITY)
