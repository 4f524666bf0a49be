# SPDX-License-Identifier: Apache-2.0
"""Manufacturing states of a device, as Azure Sphere's: they only move forward.

::

    Blank --module maker--> Module1Complete --device maker--> DeviceComplete
      '----------------------------device maker-------------------^

Blank takes images of the test key and RF tools without a capability; Module1Complete fixes what the module
maker has tested; DeviceComplete fixes the device: from there only a capability file opens development.
"""

from __future__ import annotations

import enum
from typing import Final

from armillary.errors import DeviceStateError


class ManufacturingState(enum.Enum):
    """Azure Sphere's names of the states."""

    BLANK = "Blank"
    MODULE1_COMPLETE = "Module1Complete"
    DEVICE_COMPLETE = "DeviceComplete"


_B, _M, _D = ManufacturingState

# (from, to) -> allowed. The whole machine; a test walks every cell.
TRANSITIONS: Final[dict[tuple[ManufacturingState, ManufacturingState], bool]] = {
    (_B, _B): False,
    (_B, _M): True,
    (_B, _D): True,
    (_M, _B): False,
    (_M, _M): False,
    (_M, _D): True,
    (_D, _B): False,
    (_D, _M): False,
    (_D, _D): False,
}

# What a state lets a device do without a capability file.
ACCEPTS_TEST_KEY: Final[dict[ManufacturingState, bool]] = {_B: True, _M: True, _D: False}
LETS_RF_TOOLS_RUN: Final[dict[ManufacturingState, bool]] = {_B: True, _M: False, _D: False}


def advance(current: ManufacturingState, wanted: ManufacturingState) -> ManufacturingState:
    """The new state.

    Raises:
        DeviceStateError: states never move back, nor to themselves.
    """
    if not TRANSITIONS[current, wanted]:
        raise DeviceStateError(
            f"manufacturing state: expected one after {current.value}, got {wanted.value}",
            remedy="States only move forward: Blank, Module1Complete, DeviceComplete. Nothing was changed.",
        )
    return wanted
