# SPDX-License-Identifier: Apache-2.0
"""Catalogs, products, groups and devices: Azure Sphere's rules."""

from __future__ import annotations

import functools

import pytest

from armillary.engines.records.schema.rows import DeviceFilter
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, WrongCatalogError
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import capability_file


def test_a_catalog_comes_with_its_authority_and_names_compare_without_case(host: ServiceHost) -> None:
    registry = host.service.registry
    made = registry.catalogs.create("Fabrikam", actor="t", tags={"team": "a"}, resource_group="rg1")
    assert registry.catalogs.get("fABRIKAM") == made
    assert registry.catalogs.get_by_id(made.catalog_id).tags == {"team": "a"}
    assert [c.name for c in registry.catalogs.list(resource_group="RG1")] == ["Fabrikam"]
    (certificate,) = host.service.authority.catalogs.list("Fabrikam")
    assert certificate.status == "Active"
    with pytest.raises(ConflictError):
        registry.catalogs.create("fabrikam", actor="t")
    assert registry.catalogs.update("Fabrikam", tags={"team": "b"}, actor="t").tags == {"team": "b"}
    registry.catalogs.delete("Fabrikam", actor="t")
    with pytest.raises(NotFoundError):
        registry.catalogs.get("Fabrikam")


@pytest.mark.parametrize("name", ["", "a b", "x" * 51, "ä", "a/b", "a\n"])
def test_names_that_break_azure_spheres_rules_are_refused(host: ServiceHost, name: str) -> None:
    with pytest.raises(InvalidArgumentError):
        host.service.registry.catalogs.create(name, actor="t")
    with pytest.raises(InvalidArgumentError):
        host.service.registry.groups.create("Contoso", "Kettle", name + "!", actor="t")


def test_the_five_default_groups_have_azures_feeds_and_policies(host: ServiceHost) -> None:
    groups = host.service.registry.groups.list("contoso", "kettle")
    assert {(g.name, g.os_feed, g.update_policy) for g in groups} == {
        ("Development", "Retail", "No3rdPartyAppUpdates"),
        ("Field Test", "Retail", "UpdateAll"),
        ("Production", "Retail", "UpdateAll"),
        ("Field Test OS Evaluation", "RetailEval", "UpdateAll"),
        ("Production OS Evaluation", "RetailEval", "UpdateAll"),
    }
    assert {g.allow_crash_dumps for g in groups} == {"Disabled"}
    again = host.service.registry.groups.create_defaults("Contoso", "Kettle", actor="t")
    assert {g.group_id for g in again} == {g.group_id for g in groups}


def test_products_and_groups_live_and_die(host: ServiceHost) -> None:
    registry = host.service.registry
    registry.products.create("Contoso", "Toaster", description="hot", actor="t")
    assert registry.products.update("Contoso", "toaster", description="hotter", actor="t").description == "hotter"
    group = registry.groups.create("Contoso", "Toaster", "Lab", os_feed="RetailEval", actor="t")
    assert not group.has_deployment
    changed = registry.groups.update("Contoso", "Toaster", "Lab", update_policy="No3rdPartyAppUpdates", actor="t")
    assert (changed.os_feed, changed.update_policy) == ("RetailEval", "No3rdPartyAppUpdates")
    with pytest.raises(InvalidArgumentError):
        registry.groups.update("Contoso", "Toaster", "Lab", os_feed="Beta", actor="t")
    assert [p.name for p in registry.products.list("Contoso")] == ["Kettle", "Toaster"]
    assert ".default" in [p.name for p in registry.products.list("Contoso", hidden=True)]
    with pytest.raises(ConflictError):
        registry.products.delete("Contoso", ".default", actor="t")
    registry.groups.delete("Contoso", "Toaster", "Lab", actor="t")
    registry.products.delete("Contoso", "Toaster", actor="t")
    with pytest.raises(NotFoundError):
        registry.groups.get("Contoso", "Toaster", "Lab")


def test_a_claim_is_all_or_nothing_for_good_and_idempotent(host: ServiceHost) -> None:
    registry = host.service.registry
    registry.catalogs.create("Fabrikam", actor="t")
    mine, theirs = host.device(b"1" * 32), host.device(b"2" * 32)
    registry.devices.claim("Fabrikam", [theirs.device_id], actor="t")
    said = []
    for other in (theirs.device_id, "ab" * 64):  # another catalog's, and nobody's
        with pytest.raises(NotFoundError) as refused:
            registry.devices.claim("Contoso", [mine.device_id, other], actor="t")
        said.append((str(refused.value).replace(other[:16], "*"), refused.value.remedy, refused.value.code))
    assert said[0] == said[1]
    assert registry.devices.get(mine.device_id).catalog_id is None
    for _ in range(2):
        (device,) = registry.devices.claim("Contoso", [mine.device_id.upper()], actor="t")
    assert (device.catalog, device.product, device.group) == ("Contoso", ".default", ".unassigned")
    moved = registry.devices.move("Contoso", mine.device_id, product="Kettle", group="field test", actor="t")
    assert (moved.product, moved.group) == ("Kettle", "Field Test")
    with pytest.raises(WrongCatalogError):
        registry.devices.move("Contoso", theirs.device_id, product="Kettle", group="Field Test", actor="t")
    with pytest.raises(ConflictError):
        registry.groups.delete("Contoso", "Kettle", "Field Test", actor="t")


def test_lists_filter_count_and_page_without_gaps(host: ServiceHost) -> None:
    registry = host.service.registry
    ids = sorted(host.claimed(bytes([n]) * 32, group="Field Test").device_id for n in range(5))
    host.device(b"u" * 32)
    chosen = DeviceFilter(catalog="CONTOSO", group="field test")
    found, after = [], None
    while True:
        page = registry.devices.list(chosen, limit=2, after=after)
        found += [d.device_id for d in page.items]
        after = page.next_cursor
        if after is None:
            break
    assert found == ids
    assert registry.devices.count(chosen) == 5
    assert registry.devices.count(DeviceFilter(claimed=False)) == 1
    assert registry.devices.count(DeviceFilter(health="never")) == 6
    (one,) = registry.devices.list(DeviceFilter(device_id_prefix=ids[0][:20].upper())).items
    assert one.device_id == ids[0]
    for wrong in (DeviceFilter(health="fine"), DeviceFilter(device_id_prefix="%")):
        with pytest.raises(InvalidArgumentError):
            registry.devices.list(wrong)
    with pytest.raises(InvalidArgumentError):
        registry.devices.list(DeviceFilter(), limit=0)
    summary = registry.devices.summary()
    assert (summary.devices, summary.unclaimed, summary.health["never"]) == (6, 1, 6)
    assert registry.devices.summary("Contoso").devices == 5


def test_revoking_and_restoring_contradict_themselves(host: ServiceHost) -> None:
    registry = host.service.registry
    device = host.claimed(b"r" * 32)
    assert registry.lifecycle.revoke(device.device_id, reason="lost", actor="t").health == "revoked"
    with pytest.raises(ConflictError):
        registry.lifecycle.revoke(device.device_id, reason="lost", actor="t")
    assert registry.lifecycle.restore(device.device_id, actor="t").health == "never"
    with pytest.raises(ConflictError):
        registry.lifecycle.restore(device.device_id, actor="t")


def test_capability_files_are_for_one_device_of_the_catalog(host: ServiceHost) -> None:
    device = host.claimed(b"c" * 32)
    make = functools.partial(host.service.registry.devices.make_capability_file, "Contoso", actor="t")
    data = make(device.device_id, ["ApplicationDevelopment"])
    trusted = [host.service.authority.os_signer.certificate]
    file = capability_file.verify(capability_file.parse(data), trusted, device_id=device.device_id)
    assert file.capabilities == (capability_file.APP_DEVELOPMENT,)
    with pytest.raises(InvalidArgumentError):
        make(device.device_id, ["EnablePlutonDebug"])
    stranger = host.device(b"d" * 32)
    with pytest.raises(NotFoundError):
        make(stranger.device_id, ["FieldServicing"])


def test_every_operation_leaves_its_audit_line(host: ServiceHost) -> None:
    before = host.service.audit.verify()
    device = host.claimed(b"a" * 32)
    host.service.registry.lifecycle.revoke(device.device_id, reason="test", actor="anna")
    page = host.service.audit.list(limit=3)
    assert [(line.operation, line.actor) for line in page.items] == [
        ("device.revoke", "anna"),
        ("device.claim", "host"),
        ("device.manufacture", "host"),
    ]
    after = host.service.audit.verify()
    assert after.broken_at is None
    assert after.lines == before.lines + 3
