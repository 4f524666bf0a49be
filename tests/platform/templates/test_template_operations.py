# SPDX-License-Identifier: Apache-2.0
"""What people do with device templates and with devices' properties: whose they are, and what is audited."""

from __future__ import annotations

from uuid import uuid4

import pytest
from tests.fixtures.directories import Owners
from tests.hub.running_hub import DEVICE, OTHER, RunningHub
from tests.twin.template.test_template import BODY

from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError, PermissionDeniedError
from armillary.identity.operator import Operator

ANN = Operator("ann", "Contributor", None, None)
NORTH = Operator("nora", "Contributor", uuid4(), None)


def seen(_etag: str | None) -> None:
    """No precondition."""


def test_each_change_of_a_template_is_audited_with_who_made_it(running: RunningHub) -> None:
    templates = running.platform.template_operations
    templates.put(ANN, "controller", BODY, None, None)
    assert templates.publish(ANN, "controller", None) == 1
    with pytest.raises(ConflictError, match="the same already"):
        templates.publish(ANN, "controller", None)
    assert templates.migrate(ANN, "controller", None, None, dry_run=True).devices == 0
    assert templates.migrate(ANN, "controller", 1, None, dry_run=False).devices == 0
    assert templates.delete(ANN, "controller", 1, None) == 1
    assert templates.delete(ANN, "controller", 0, None) == 1
    assert running.audited == [
        ("ann", "template.put", "controller", {"version": 1}),
        ("ann", "template.publish", "controller", {"version": 1}),
        ("ann", "template.migrate", "controller", {"version": 1, "devices": 0}),
        ("ann", "template.delete", "controller", {"version": 1}),
        ("ann", "template.delete", "controller", {"version": None}),
    ]


def test_who_speaks_for_a_catalog_changes_its_templates_and_no_others(running: RunningHub) -> None:
    templates = running.platform.template_operations
    templates.put(ANN, "all", BODY, None, None)
    templates.put(ANN, "south", {**BODY, "catalog": "South"}, None, None)
    running.audited.clear()
    for attempt in (
        lambda: templates.put(NORTH, "all", BODY, "North", None),
        lambda: templates.publish(NORTH, "all", "North"),
        lambda: templates.migrate(NORTH, "all", None, "North", dry_run=True),
        lambda: templates.delete(NORTH, "all", 0, "North"),
        lambda: templates.put_published(NORTH, "all", dict(BODY), "North", None, seen),
    ):
        with pytest.raises(PermissionDeniedError):
            attempt()
    with pytest.raises(InvalidArgumentError, match="expected North"):
        templates.put(NORTH, "mine", {**BODY, "catalog": "South"}, "North", None)
    with pytest.raises(ConflictError, match="is taken"):
        templates.put(NORTH, "south", BODY, "North", None)
    with pytest.raises(NotFoundError):
        templates.delete(NORTH, "south", 0, "North")
    with pytest.raises(NotFoundError):
        templates.visible("south", 0, "North")
    assert running.audited == []
    templates.put(NORTH, "mine", BODY, "North", None)
    assert templates.visible("mine", 0, "North").template.catalog == "North"


@pytest.mark.parametrize(("owner", "refused"), [("South", NotFoundError), (None, PermissionDeniedError)])
def test_a_template_that_was_imported_without_its_draft_is_its_owners(
    running: RunningHub, owner: str | None, refused: type[Exception]
) -> None:
    templates, documents = running.platform.template_operations, running.platform.documents
    templates.put(ANN, "south", {**BODY, "catalog": owner}, None, None)
    templates.publish(ANN, "south", None)
    documents.delete("template", "south", by="test")
    with pytest.raises((ConflictError, PermissionDeniedError), match=r"is taken|is of all catalogs"):
        templates.put(NORTH, "south", BODY, "North", None)
    with pytest.raises(refused):
        templates.delete(NORTH, "south", 0, "North")
    documents.put("template", "south", {**BODY, "catalog": "North"}, by="test")  # a draft of before this was refused
    with pytest.raises(refused):
        templates.delete(NORTH, "south", 0, "North")
    assert [each.id for each in running.platform.templates.versions("south")] == ["south.1"]
    documents.delete("template", "south", by="test")
    assert templates.delete(ANN, "south", 0, owner) == 1


def test_a_template_that_is_put_and_published_at_once_is_a_version_only_where_it_differs(running: RunningHub) -> None:
    templates = running.platform.template_operations
    first = templates.put_published(NORTH, "mine", dict(BODY), "North", None, seen)
    assert (first.template.version, first.template.catalog) == (1, "North")
    assert templates.put_published(NORTH, "mine", dict(BODY), "North", None, seen).template.version == 1
    other = {**BODY, "display_name": "Other"}
    assert templates.put_published(NORTH, "mine", dict(other), "North", None, seen).template.version == 2

    def stale(etag: str | None) -> None:
        raise ConflictError(f"expected another ETag than {etag}", remedy="Read it again.")

    with pytest.raises(ConflictError, match="another ETag"):
        templates.put_published(NORTH, "mine", dict(BODY), "North", None, stale)
    with pytest.raises(ConflictError, match="another ETag"):
        templates.delete_seen(NORTH, "mine", first.document, "North", stale)
    assert len(running.platform.templates.versions("mine")) == 2
    templates.delete_seen(NORTH, "mine", first.document, "North", seen)
    assert running.platform.templates.names() == {}


def test_two_who_publish_a_template_at_the_same_moment_publish_one_version_each(running: RunningHub) -> None:
    templates = running.platform.template_operations

    def meanwhile(etag: str | None) -> None:
        if etag is None:
            templates.put_published(ANN, "pump", {**BODY, "display_name": "Other"}, None, None, seen)

    assert templates.put_published(ANN, "pump", dict(BODY), None, None, meanwhile).template.version == 2
    names = [each.content["display_name"] for each in running.platform.templates.versions("pump")]
    assert names == [BODY["display_name"], "Other"]
    assert [line[1] for line in running.audited] == ["template.publish"] * 2


def test_a_device_gets_a_template_of_its_catalog_only(running: RunningHub) -> None:
    running.directory.now = Owners({DEVICE: "North", OTHER: "South"})
    platform = running.platform
    platform.template_operations.put(NORTH, "mine", BODY, "North", None)
    platform.template_operations.publish(NORTH, "mine", "North")
    running.audited.clear()
    devices = platform.device_template_operations
    with pytest.raises(NotFoundError):
        devices.assign(ANN, OTHER, "mine", None)
    assert platform.device_templates.get(OTHER).name == ""
    assert devices.assign(ANN, DEVICE, "mine", None, dry_run=True)[0] == 1
    assert running.audited == []
    devices.assign(ANN, DEVICE, "mine", None)
    devices.assign_resolved(ANN, DEVICE, "mine", 1)  # it has it: nothing happens
    devices.unassign(ANN, DEVICE)
    assert running.audited == [
        ("ann", "device.template", DEVICE, {"template": "mine", "version": 1}),
        ("ann", "device.template", DEVICE, {"template": None}),
    ]


def test_cloud_properties_and_wanted_values_are_set_both_or_neither(running: RunningHub) -> None:
    platform = running.platform
    devices = platform.device_template_operations
    with pytest.raises(NotFoundError, match="has no template"):
        devices.want(ANN, DEVICE, {"thermostat1.target": 21})
    platform.template_operations.put(ANN, "controller", BODY, None, None)
    platform.template_operations.publish(ANN, "controller", None)
    devices.assign(ANN, DEVICE, "controller", None)
    running.audited.clear()
    kept = platform.device_templates.get(DEVICE)
    for cloud, values in (({"Limit": 1000}, {"thermostat1.target": 21}), ({"Limit": 50}, {"serial": "not writable"})):
        with pytest.raises(InvalidArgumentError):
            devices.want_both(ANN, DEVICE, kept, cloud, values)
    assert running.audited == []
    assert platform.device_templates.get(DEVICE).cloud == {"Limit": 40}
    devices.want_both(ANN, DEVICE, kept, {"Limit": 50}, {"thermostat1.target": 21})
    devices.want(ANN, DEVICE, {"thermostat1.target": 22})
    assert platform.device_templates.get(DEVICE).cloud == {"Limit": 50}
    assert running.hub.twins.get(DEVICE).desired.properties["thermostat1"]["target"] == 22
    wanted = ("ann", "device.twin", DEVICE, {"section": "desired", "names": ["thermostat1.target"]})
    assert running.audited == [("ann", "device.cloud-properties", DEVICE, {"names": ["Limit"]}), wanted, wanted]
    etag = running.hub.twins.get(DEVICE).etag
    with pytest.raises(ConflictError):
        devices.want(ANN, DEVICE, {"thermostat1.target": 23}, f"{etag}x")
