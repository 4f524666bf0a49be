# SPDX-License-Identifier: Apache-2.0
"""Puts the rows of the method table together: one line for each file of rows."""

from __future__ import annotations

from dataclasses import dataclass

from armillary.device.interface.health import Health
from armillary.device.interface.log import Log
from armillary.device.interface.table import MethodTable
from armillary.device.state.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceParts:
    """The parts of a device that methods use."""

    device_id: str
    journal: Journal


def method_table(parts: DeviceParts) -> MethodTable:
    """The table of a device. A new file of rows is one more line here and a part of the reference."""
    return MethodTable(
        (
            *Log(parts.journal).methods,
            *Health().methods,
        ),
        device_id=parts.device_id,
    )
