# SPDX-License-Identifier: Apache-2.0
"""Detects two machines with one identity: each reply gives the device a value that its next evidence must contain.

The value is the challenge that a reply carries. The device keeps it before it acts on the reply. A proof that answers
that challenge shows it by that; any other proof (after a restart, after a lost reply) carries it beside its report,
under the same signature. The service knows the value of its newest reply and the one that was shown to get it: a lost
reply makes a device show the second again, and nothing else does. So two machines that hold one identity and both go
on speaking cannot both show a right value for longer than two answered check-ins of each, however they count boots::

    original shows L    service hands O1                    shown: L, newest: O1
    copy     shows L    service hands C1 (a lost reply?)    shown: L, newest: C1
    original shows O1   neither: two machines

What this does not tell apart: a copy, and a machine whose whole storage was set back to before its last answered
check-in. Both are held until an operator has looked and releases the device; then the next proof begins anew.

Records that were set back (a service restored from its backup) know less than the devices: a genuine value that no
record has, and that is younger than the last recorded check-in, begins anew as well (``service/verifier/verifier.py``).

A device that never showed a value (older software) is judged by its boot counter alone. One that has cannot stop.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from armillary.attest.reference import utc

# Bytes that name a value: the random part of a challenge, which is also the serial of the reply's certificate.
ID_BYTES: Final = 16
# What a device shows that keeps values and has none yet.
NONE_YET: Final = b""


class Lineage(NamedTuple):
    """What the records hold of a device.

    Attributes:
        newest: Id of the challenge in the newest recorded reply, empty before the first.
        shown: Id that was shown to get it, :data:`NONE_YET`, or None: the device shows none (older software), or
            an operator released it.
        begins: An operator released it: whatever comes next begins a lineage.
        held_at: When it was held, Unix seconds UTC, or None.
    """

    newest: bytes = b""
    shown: bytes | None = None
    begins: bool = False
    held_at: int | None = None


# Of a device before its first check-in.
NO_LINEAGE: Final = Lineage()


def lineage_fault(lineage: Lineage, answered: bytes, shown: bytes | None) -> str:
    """Why a proof does not continue the lineage; empty when it does.

    Args:
        lineage: As recorded.
        answered: Id of the challenge the proof answers.
        shown: Id the proof shows, :data:`NONE_YET`, or None where it shows none.
    """
    if lineage.held_at is not None:
        return (
            f"Held since {utc(lineage.held_at)}: two machines seemed to hold this identity. "
            "An operator has to look and release the device."
        )
    if answered == lineage.newest or lineage.shown is None:
        return ""
    if shown is None:
        return "The proof shows no value of an earlier reply, as this device has always done."
    if shown in (lineage.newest, lineage.shown):
        return ""
    return "The proof continues neither the newest reply nor the one before: two machines hold this identity."


def continued(lineage: Lineage, answered: bytes, shown: bytes | None, handed: bytes) -> Lineage:
    """The lineage after a recorded check-in whose reply hands out the value ``handed``."""
    if answered == lineage.newest and (lineage.shown is not None or lineage.begins):
        shown = answered
    return Lineage(handed, shown, begins=lineage.begins and shown is None, held_at=lineage.held_at)
