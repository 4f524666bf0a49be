# SPDX-License-Identifier: Apache-2.0
"""Anti-rollback: the lowest security version per image type that may still boot.

Rules:

* A minimum only rises. A record that would lower one is a defect or an attack and is refused.
* It rises to the version of what booted, and only when that OS is the confirmed one: raised earlier, or after a
  new OS was taken back but still runs, the previous one could not boot any more, and the device would be lost
  (``update.install.starting.raised_minimums`` decides).
* On silicon the minimum is a fuse word per image type: bit N set means version N is distrusted (RV section). Fuses
  cannot be cleared, which is the first rule again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from armillary.errors import BootRefusedError
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.image.section import SECURITY_VERSION_LIMIT


def raise_minimums(minimums: Mapping[int, int], events: Iterable[BootEvent]) -> Mapping[int, int]:
    """The minimums (image type -> lowest allowed security version) after a confirmed boot of these events.

    Of several components of one type the lowest version counts.
    """
    booted: dict[int, int] = {}
    for event in events:
        lowest = min(booted.get(event.image_type, SECURITY_VERSION_LIMIT), event.security_version)
        booted[event.image_type] = lowest
    raised = {kind: max(version, minimums.get(kind, 0)) for kind, version in booted.items()}
    return MappingProxyType({**minimums, **raised})


def merge_minimums(current: Mapping[int, int], record: Mapping[int, int]) -> Mapping[int, int]:
    """Accept a stored or received record of minimums that must not be lower than what is in force.

    Raises:
        BootRefusedError: it would lower one, or names a version that no package can have.
    """
    for kind, version in current.items():
        if record.get(kind, 0) < version:
            raise BootRefusedError(
                f"anti-rollback: expected at least version {version} for image type {kind}, got {record.get(kind, 0)}",
                remedy="The record was rolled back; restore the device from a release.",
            )
    for kind, version in record.items():
        if not 0 <= version <= SECURITY_VERSION_LIMIT:
            raise BootRefusedError(
                f"anti-rollback: expected versions from 0 to {SECURITY_VERSION_LIMIT}, "
                f"got {version} for image type {kind}",
                remedy="The record is damaged; restore the device from a release.",
            )
    return MappingProxyType(dict(record))
