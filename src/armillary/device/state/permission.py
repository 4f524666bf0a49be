# SPDX-License-Identifier: Apache-2.0
"""Permissions of a device, in flash: its manufacturing state and its capability file.

Regions: ``device/manufacturing-state`` (the state's name) and ``device/capability`` (the file as the service signed
it). The file is verified when it is selected and again whenever it is read, so that nobody gains a capability by
writing to flash. The state is not signed (a chip has it in fuses): who can write to this flash can set it back, and
then runs applications of his own, but boots nothing else. On a device image with a TPM he cannot either
(``device/boot/trust_guard.py``). A device without the first region was made before there was one: it is DeviceComplete,
the tightest.
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.device.state.configuration import DeviceConfiguration
from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import ArmillaryError, DeviceStateError
from armillary.identity.manufacturing import (
    CAPABILITY_LIFETIME_S,
    ManufacturingState,
    Permissions,
    advance,
    permissions_of,
)
from armillary.wire.image import capability_file
from armillary.wire.image.capability_file import CapabilityFile

STATE_REGION = "device/manufacturing-state"
CAPABILITY_REGION = "device/capability"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedState:
    """What a device may do now.

    Without a valid capability file ``capabilities`` is empty and ``expires_at`` (Unix seconds) None; ``refused`` says
    why the selected file is not valid, "" where it is or there is none.
    """

    state: ManufacturingState
    capabilities: tuple[str, ...]
    expires_at: int | None
    refused: str
    permissions: Permissions


def load_state(flash: Flash) -> ManufacturingState:
    """The manufacturing state; the tightest where flash holds none, something else, or does not give it."""
    return state_of(read_or_none(flash, STATE_REGION))


def state_of(data: bytes | None) -> ManufacturingState:
    """The manufacturing state that a record says."""
    names = {state.value.encode("ascii"): state for state in ManufacturingState}
    return names.get(data or b"", ManufacturingState.DEVICE_COMPLETE)


def begin_state(flash: Flash, state: ManufacturingState) -> None:
    """Record the state a new device is made in."""
    replace_region(flash, STATE_REGION, state.value.encode("ascii"))


def advance_state(flash: Flash, wanted: ManufacturingState) -> ManufacturingState:
    """Move the state forward, durably; DeviceStateError unless the new one comes after the present one."""
    state = advance(load_state(flash), wanted)
    replace_region(flash, STATE_REGION, state.value.encode("ascii"))
    return state


def select_capability(flash: Flash, configuration: DeviceConfiguration, data: bytes, *, now: int) -> CapabilityFile:
    """Verify a capability file and keep it; it takes the place of an earlier one.

    Raises:
        WireError: it is no capability file.
        SignatureError: the service did not sign it, or it is for another device.
        DeviceStateError: it has expired.
    """
    file = _verified(configuration, data, now)
    replace_region(flash, CAPABILITY_REGION, data)
    return file


def remove_capability(flash: Flash) -> None:
    """Forget the capability file: the device is what its manufacturing state says."""
    flash.remove(CAPABILITY_REGION)


def allowed_state(flash: Flash, configuration: DeviceConfiguration, *, now: int) -> AllowedState:
    """What the device may do now; a file that does not verify any more counts for nothing."""
    state, data = load_state(flash), read_or_none(flash, CAPABILITY_REGION)
    file, refused = None, ""
    if data is not None:
        try:
            file = _verified(configuration, data, now)
        except ArmillaryError as error:
            refused = error.message
    allowed = () if file is None else file.capabilities
    return AllowedState(
        state=state,
        capabilities=tuple(capability_file.CAPABILITIES[one] for one in allowed),
        expires_at=None if file is None else file.package.built + CAPABILITY_LIFETIME_S,
        refused=refused,
        permissions=permissions_of(
            state,
            app_development=capability_file.APP_DEVELOPMENT in allowed,
            field_servicing=capability_file.FIELD_SERVICING in allowed,
            rf_test=capability_file.RF_TEST_MODE in allowed,
        ),
    )


def _verified(configuration: DeviceConfiguration, data: bytes, now: int) -> CapabilityFile:
    file = capability_file.verify(
        capability_file.parse(data), configuration.os_signers, device_id=configuration.device_id
    )
    if now >= file.package.built + CAPABILITY_LIFETIME_S:
        days = CAPABILITY_LIFETIME_S // 86400
        raise DeviceStateError(
            f"capability file: it was made more than {days} days ago and has expired",
            remedy="Get a new one: armillary device capability download.",
        )
    return file
