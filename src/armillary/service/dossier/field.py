# SPDX-License-Identifier: Apache-2.0
"""What is in the field: the images and OS releases that devices in scope said they run, with how many run each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.advisories import components as component_rows, software as software_rows
from armillary.engines.records.schema.advisory_rows import Artifact
from armillary.engines.records.schema.software_tables import NO_SET
from armillary.service.cases.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class InField:
    """Images and releases with their devices.

    Attributes:
        artifacts: Those that are known here, each with its devices.
        unknown: Versions that devices name and that nobody published here -> devices.
        attested: Devices whose last check-in was attested.
        silent: Devices that never said what they run.
    """

    artifacts: Mapping[Artifact, int]
    unknown: Mapping[str, int]
    attested: int
    silent: int
    devices: int


def read(connection: Connection, scope: Scope) -> InField:
    """What the devices in scope run."""
    groups = {each.group_id: each for each in scope.groups}
    sets = {each.set_id: each for each in software_rows.sets_after(connection, 0)}
    images: Counter[tuple[UUID | None, UUID]] = Counter()
    releases: Counter[tuple[str, str]] = Counter()
    attested = silent = 0
    for pair in software_rows.pairs(connection):
        group = groups.get(pair.group_id)
        if group is None:
            continue
        found = None if pair.set_id == NO_SET else sets.get(pair.set_id)
        if found is None:
            silent += pair.devices
            continue
        attested += pair.devices if found.attested else 0
        releases[found.chip, found.os_version] += pair.devices
        for image_id in found.image_ids:
            images[group.catalog_id, image_id] += pair.devices
    artifacts: dict[Artifact, int] = {}
    for each in component_rows.artifacts(connection, scope.catalog_id):
        if each.catalog_id is None:
            number = releases.pop((each.chip, each.version), 0)
        else:
            number = images.pop((each.catalog_id, each.artifact_id), 0)
        if number:
            artifacts[each] = number
    unknown = {f"image {image_id}": number for (_, image_id), number in images.items()}
    unknown |= {f"{chip} {version or 'no OS version'}": number for (chip, version), number in releases.items()}
    return InField(
        artifacts=artifacts,
        unknown=dict(sorted(unknown.items())),
        attested=attested,
        silent=silent,
        devices=scope.device_count,
    )
