# SPDX-License-Identifier: Apache-2.0
"""What devices of a group may send of a native crash, and where dumps of a group may be kept."""

from __future__ import annotations

from typing import Final

from armillary.engines.records.schema.rows import DeviceGroup
from armillary.errors import ConflictError
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS, SCRUBBED_DUMPS

EU: Final = "eu"  # the data region of a service whose data stay in the European Union
EU_BOUNDARY: Final = "EU"  # of a group: Azure Sphere's word


def consent_of(group: DeviceGroup, region: str) -> int:
    """What dumps of the group's devices may hold, on a service of a data region."""
    if group.allow_crash_dumps != "Enabled" or is_outside(group, region):
        return NO_DUMPS
    return FULL_DUMPS if group.crash_dump_stacks == "full" else SCRUBBED_DUMPS


def is_outside(group: DeviceGroup, region: str) -> bool:
    """Whether the group's data must stay where the service does not promise to keep them."""
    return group.regional_data_boundary == EU_BOUNDARY and region != EU


def check_region(group: DeviceGroup, region: str) -> None:
    """Raise ConflictError for a group that collects dumps, must keep them in a region, and is on another service."""
    if group.allow_crash_dumps == "Enabled" and is_outside(group, region):
        raise ConflictError(
            f"device group {group.name!r} keeps its data in the EU: expected a service with data_region = eu, "
            f"got {region or 'one without a region'}",
            remedy="Set data_region = eu where all data of the service are kept in the EU; else crash dumps stay off.",
        )
