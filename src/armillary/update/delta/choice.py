# SPDX-License-Identifier: Apache-2.0
"""Which artifact of a device a delta starts from, and when a delta is worth it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.update.install.component import Kind, OsPlace, os_region
from armillary.update.install.record import InstallRecord
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.update.delta import MAX_ARTIFACT_BYTES

# Below, the request for a delta costs as much as it could save.
MIN_TARGET_BYTES: Final = 8 << 10
# A delta that leaves more than this of the target is none: the device fetches the target, and reads no old flash.
WORTH: Final = 0.9


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """An artifact in the device's flash: its component, its SHA-256, and the region that holds it."""

    component_id: UUID
    sha256: bytes
    region: str


def stored_artifacts(record: InstallRecord, places: Sequence[OsPlace]) -> tuple[StoredArtifact, ...]:
    """What runs on a device: the boot components as this boot measured them, the rest as the record has it."""
    booted = [
        StoredArtifact(place.component_id, place.digest, os_region(place.name, record.os_slot(place.name)))
        for place in places
    ]
    others = [
        StoredArtifact(image.component_id, image.sha256, image.region)
        for image in record.active
        if image.kind is not Kind.OS
    ]
    return (*booted, *others)


def source_of(target: OfferedImage, stored: Iterable[StoredArtifact]) -> StoredArtifact | None:
    """The stored artifact to start from, another version of the target's component; None where the whole is better."""
    if not MIN_TARGET_BYTES <= target.size <= MAX_ARTIFACT_BYTES:
        return None
    return next(
        (one for one in stored if one.component_id == target.component_id and one.sha256 != target.sha256), None
    )


def is_worth_it(delta_bytes: int, target_bytes: int) -> bool:
    """Whether a delta is enough smaller than its target to be used."""
    return delta_bytes <= WORTH * target_bytes
