# SPDX-License-Identifier: Apache-2.0
"""The map of peripherals: free to change on an open device, locked on a complete one until it starts again."""

from __future__ import annotations

import uuid

import pytest
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.capability.grant import Grant, Peripheral
from armillary.capability.network import allowed_hosts
from armillary.device.peripherals.ownership import PeripheralMap
from armillary.device.state.permission import begin_state
from armillary.engines.flash.file import FileFlash
from armillary.identity.manufacturing import ManufacturingState

FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)
LAMP, BUTTON = Peripheral(kind="Gpio", name="8"), Peripheral(kind="Gpio", name="12")


def owns(component: uuid.UUID, *peripherals: Peripheral) -> Grant:
    return Grant(component_id=component, hosts=allowed_hosts(()), peripherals=frozenset(peripherals))


def test_before_the_first_set_nothing_has_an_owner_and_any_set_is_taken() -> None:
    owners = PeripheralMap(lambda: True)
    assert owners.owner(LAMP) is None
    assert owners.assign([owns(FIRST, LAMP), owns(SECOND, BUTTON)])
    assert (owners.owner(LAMP), owners.owner(BUTTON)) == (FIRST, SECOND)


@pytest.mark.parametrize(
    ("grants", "taken"),
    [
        ([owns(FIRST, LAMP)], True),  # the same
        ([], True),  # what is left stays without another owner
        ([owns(SECOND, LAMP)], False),  # another owner
        ([owns(FIRST, LAMP, BUTTON)], False),  # one that had none
    ],
)
def test_a_locked_map_gives_nothing_another_owner(grants: list[Grant], taken: bool) -> None:
    for locked in (True, False):
        owners = PeripheralMap(lambda locked=locked: locked)  # type: ignore[misc]
        owners.assign([owns(FIRST, LAMP)])
        assert owners.assign(grants) is (taken or not locked)
        assert owners.needs_restart is (locked and not taken)
        if locked:
            assert owners.owner(LAMP) == FIRST
            assert owners.owner(BUTTON) is None


@pytest.mark.anyio
@pytest.mark.parametrize("state", [ManufacturingState.DEVICE_COMPLETE, ManufacturingState.BLANK])
async def test_a_complete_device_starts_again_for_another_map(rig: Rig, state: ManufacturingState) -> None:
    """The set waits in flash, the device boots, and the set runs; on an open device it runs at once."""
    begin_state(FileFlash(rig.folder / "flash"), state)
    restarts = 1 if state is ManufacturingState.DEVICE_COMPLETE else 0
    first = rig.service.application(Gpio=[8])
    rig.service.deploy(first)
    await rig.start()
    await until(lambda: (first.image_id, "confirmed") in rig.outcomes(), "first set")
    # The first set of this boot was none: an owner for what had none is another map already.
    boots = len(rig.events("booted"))
    assert boots == 1 + restarts
    second = rig.service.application(component=2, Gpio=[8])
    rig.service.deploy(second)
    rig.device.check_in_now()
    await until(lambda: (second.image_id, "confirmed") in rig.outcomes(), "second set")
    assert rig.sandbox.alive == ["app2"]
    assert len(rig.events("booted")) == boots + restarts
    assert len(rig.events("peripherals-locked")) == 2 * restarts
    third = rig.service.application(b"#!/bin/sh\n:\n", component=2, Gpio=[8])
    rig.service.deploy(third)  # the same owner: no restart
    rig.device.check_in_now()
    await until(lambda: (third.image_id, "confirmed") in rig.outcomes(), "third set")
    assert len(rig.events("booted")) == boots + restarts
