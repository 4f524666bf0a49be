# SPDX-License-Identifier: Apache-2.0
"""Names of devices over their life: given, found, and gone with the owner who gave them."""

from __future__ import annotations

import pytest

from armillary.engines.records.queries import names as name_rows
from armillary.engines.records.schema.rows import DeviceFilter
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.sim.device.service_host import ServiceHost


def test_a_name_is_found_and_is_the_owners_alone(host: ServiceHost) -> None:
    service, registry, names = host.service, host.service.registry, host.service.registry.names
    host.catalog("Fabrikam", "Kettle")
    theirs = registry.catalogs.get("Fabrikam").catalog_id
    first, second = (host.claimed(bytes([number]) * 32).device_id for number in (1, 2))

    def found(text: str, **chosen: str) -> list[str]:
        return [each.name for each in registry.devices.list(DeviceFilter(search=text, **chosen)).items]

    assert registry.devices.get(first).name == f"Kettle {first[:8]}"
    assert not registry.devices.get(first).is_named
    shown = registry.devices.get(first).name  # a name that nobody gave is found as it is shown
    for each in (shown, shown.upper(), f"  {shown} "):
        assert [it.device_id for it in names.meant(each, catalog="Contoso")] == [first], each
    assert names.meant(f"Cup {first[:8]}", catalog=None) == names.meant(shown, catalog="Fabrikam") == []
    names.rename(first, "Hall kettle, North", actor="ann")
    assert names.meant(shown, catalog=None) == []  # it is not called so any more
    names.rename(second, shown, actor="ann")  # somebody may give another device this name: one device means it then
    assert [each.device_id for each in names.meant(shown, catalog=None)] == [second]
    names.rename(first, "", actor="ann")
    assert len(names.meant(shown, catalog=None)) == 2  # whoever means one is told of both
    names.rename(first, "Hall kettle, North", actor="ann")
    names.rename(second, "Hall kettle", actor="ann")
    line = service.audit.list(limit=1).items[0]
    assert (line.operation, line.target, line.actor) == ("device.rename", second, "ann")
    assert "Hall kettle" in str(line.detail)

    # Found by any word's beginning, in any case, within a catalog; and by the id.
    assert sorted(found("HALL ket")) == ["Hall kettle", "Hall kettle, North"]
    assert found("north", catalog="contoso") == ["Hall kettle, North"]
    assert found("north", catalog="Fabrikam") == found("ettle") == found("nobody") == []
    assert found(first[:9]) == ["Hall kettle, North"]
    assert registry.devices.count(DeviceFilter(search="hall")) == 2
    assert [each.device_id for each in names.meant("hall KETTLE", catalog=None)] == [second]
    assert [each.device_id for each in names.meant(first[:9], catalog="Contoso")] == [first]
    assert [each.device_id for each in names.meant(first.upper(), catalog=None)] == [first]
    assert names.meant(first[:3], catalog=None) == []  # too few digits
    assert names.meant(first, catalog="Fabrikam") == []
    names.rename(first, "Hall kettle", actor="ann")
    assert len(names.meant("Hall kettle", catalog=None)) == 2  # whoever means one is told of both
    assert found("north") == []  # the words of the earlier name are gone

    # A new owner sees nothing of it; a name that was given before anybody owned the device stays.
    offer = service.registry.transfers.offer("Contoso", first, theirs, actor="t")
    assert registry.devices.get(first).name == "Hall kettle"
    service.registry.transfers.accept("Fabrikam", offer.transfer_id, actor="t")
    assert not registry.devices.get(first).is_named
    assert found("hall", catalog="Fabrikam") == []
    registry.lifecycle.decommission(second, reason="sold", actor="t")
    assert not registry.devices.get(second).is_named
    assert service.context.records.read(lambda c: name_rows.matching(c, "hall", catalog_id=None, limit=9)) == ()
    fresh = host.device(bytes([3]) * 32).device_id
    names.rename(fresh, "Line 4", actor="factory")
    registry.devices.claim("Fabrikam", [fresh], product="Kettle", group="Production", actor="t")
    assert found("line", catalog="Fabrikam") == ["Line 4"]


def test_what_is_no_name_or_no_device_changes_nothing(host: ServiceHost) -> None:
    names, device = host.service.registry.names, host.claimed(bytes([1]) * 32).device_id
    names.rename(device, "Kept", actor="t")
    with pytest.raises(InvalidArgumentError, match=r"U\+000A"):
        names.rename(device, "a\nb", actor="t")
    with pytest.raises(NotFoundError):
        names.rename_all({device: "Other", "f" * 128: "x"}, actor="t")
    assert host.service.registry.devices.get(device).name == "Kept"
    names.rename(device, "", actor="t")
    assert not host.service.registry.devices.get(device).is_named
