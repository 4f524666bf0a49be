# SPDX-License-Identifier: Apache-2.0
"""Which devices had an earlier owner: transferred ones, and those that were out of service and came back."""

from __future__ import annotations

from tests.fixtures.clocks import Clock

from armillary.sim.device.service_host import ServiceHost


def test_transferred_and_returned_devices_had_an_earlier_owner_and_no_others(host: ServiceHost, clock: Clock) -> None:
    service, registry = host.service, host.service.registry
    host.catalog("Fabrikam", "Kettle")
    mine, theirs = (registry.catalogs.get(each).catalog_id for each in ("Contoso", "Fabrikam"))
    stays, moved, returned = (host.claimed(bytes([number]) * 32).device_id for number in (1, 2, 3))
    registry.devices.move("Contoso", stays, product="Kettle", group="Development", actor="t")
    assert registry.devices.second_hand(mine) == {}
    clock.now += 100
    offer = service.registry.transfers.offer("Contoso", moved, theirs, actor="t")
    service.registry.transfers.accept("Fabrikam", offer.transfer_id, actor="t")
    registry.lifecycle.decommission(returned, reason="sold", actor="t")
    registry.lifecycle.allow_reprovision(returned, actor="t")
    assert registry.devices.second_hand(theirs) == {moved: int(clock.now)}
    clock.now += 100
    host.device(bytes([3]) * 32)
    assert registry.devices.second_hand(theirs) == {moved: int(clock.now) - 100}  # nobody's yet
    registry.devices.claim("Fabrikam", [returned], product="Kettle", group="Production", actor="t")
    assert registry.devices.second_hand(theirs) == {moved: int(clock.now) - 100, returned: int(clock.now)}
    assert registry.devices.second_hand(theirs, returned) == {returned: int(clock.now)}
    assert registry.devices.second_hand(mine) == registry.devices.second_hand(mine, stays) == {}
    assert service.hub_access.directory.second_hand("fabrikam") == {
        moved: (int(clock.now) - 100) * 1000, returned: int(clock.now) * 1000,
    }  # fmt: skip
    assert service.hub_access.directory.second_hand("nobody") == {}
