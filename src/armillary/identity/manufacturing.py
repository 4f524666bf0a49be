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
from dataclasses import dataclass
from typing import Final

from armillary.errors import DeviceStateError, InvalidArgumentError


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

# A capability file is good for so long after it was made, by the device's signed clock: a forgotten one must not keep
# a device open for ever. Azure Sphere's never end.
CAPABILITY_LIFETIME_S: Final = 30 * 86400

# What a state lets a device do without a capability file.
ACCEPTS_TEST_KEY: Final[dict[ManufacturingState, bool]] = {_B: True, _M: True, _D: False}
LETS_RF_TOOLS_RUN: Final[dict[ManufacturingState, bool]] = {_B: True, _M: False, _D: False}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a device may do.

    Attributes:
        loads_by_hand: A person at the device may load and remove applications.
        accepts_test_key: Applications signed by a development key run.
        runs_rf_tools: Radio test tools run.
        takes_deployments: Applications come from the service; not while the device is used for development, as in
            Azure Sphere.
        changes_peripherals: Peripherals may be mapped to another core without a restart.
    """

    loads_by_hand: bool
    accepts_test_key: bool
    runs_rf_tools: bool
    takes_deployments: bool
    changes_peripherals: bool


def permissions_of(
    state: ManufacturingState, *, app_development: bool, field_servicing: bool, rf_test: bool
) -> Permissions:
    """What follows from the state and the capabilities of a verified file."""
    is_open = state is not ManufacturingState.DEVICE_COMPLETE
    return Permissions(
        loads_by_hand=is_open or app_development or field_servicing,
        accepts_test_key=ACCEPTS_TEST_KEY[state] or app_development,
        runs_rf_tools=LETS_RF_TOOLS_RUN[state] or rf_test,
        takes_deployments=not app_development,
        changes_peripherals=is_open or app_development,
    )


def advance(current: ManufacturingState, wanted: ManufacturingState) -> ManufacturingState:
    """``wanted``, if it comes after ``current``; else DeviceStateError: states never move back."""
    if not TRANSITIONS[current, wanted]:
        raise DeviceStateError(
            f"manufacturing state: expected one after {current.value}, got {wanted.value}",
            remedy="States only move forward: Blank, Module1Complete, DeviceComplete. Nothing was changed.",
        )
    return wanted


def state_named(name: str) -> ManufacturingState:
    """The state of Azure Sphere's name; InvalidArgumentError if there is none."""
    try:
        return ManufacturingState(name)
    except ValueError as error:
        names = ", ".join(state.value for state in ManufacturingState)
        raise InvalidArgumentError(
            f"manufacturing state: expected {names}, got {name!r:.40}", remedy="Use one of these words."
        ) from error
