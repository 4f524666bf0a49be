# SPDX-License-Identifier: Apache-2.0
"""Every application template in a real service: used, alive, complete, obedient, and gone without a trace of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.running_service import wait_until
from tests.sim.playing import Playing, playing

from armillary.content import application_templates as shipped
from armillary.sim.templates.plans import shapes
from armillary.sim.templates.shape import Shape, parts_of
from armillary.twin.author.dashboard import Tile, parse
from armillary.twin.author.group import parse_group
from armillary.wire.dtdl import model as dtdl

# How long all values of a template are waited for; `bench/delays.py` has how long they take.
LIVE_S = 60.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playing]:
    with playing(tmp_path_factory.mktemp("applications")) as found:
        yield found


@dataclass(frozen=True)
class Used:
    """A template in use."""

    template: shipped.ApplicationTemplate
    playing: Playing
    devices: list[dict[str, Any]]
    shapes: dict[str, Shape]

    def shape_of(self, device: dict[str, Any]) -> Shape:
        return self.shapes[self.template_of(device)]

    def template_of(self, device: dict[str, Any]) -> str:
        return next(str(table["template"]) for table in self.template.devices if table["role"] == device["role"])

    def latest(self, device: dict[str, Any]) -> dict[str, Any]:
        return {each.metric: each.value for each in self.playing.running.hub.series.last_values(device["id"])}


@pytest.fixture(scope="module", params=shipped.names())
def used(request: pytest.FixtureRequest, service: Playing) -> Iterator[Used]:
    name: str = request.param
    template = shipped.load(name)
    found = service.applications.use(name, actor="test")
    shaped = dict(shapes(template))
    application = Used(template, service, found["devices"], shaped)

    def alive() -> bool:
        return all(
            modelled_names(application.shape_of(device)) <= set(application.latest(device))
            for device in found["devices"]
        )

    wait_until(alive, f"every modelled value of {name}", LIVE_S)
    yield Used(template, service, found["devices"], shaped)
    wait_until(lambda: service.applications.describe(name)["state"] == "running", "a day of history", 60)
    gone = service.applications.unuse(name, actor="test")
    assert gone["devices"] == len(found["devices"])
    store = service.running.platform.documents
    kept = [
        (kind, each.id) for kind in ("template", "dashboard", "rule", "group", "job") for each in store.list(kind).items
    ]
    assert not [each for each in kept if each in template.documents or each[1] in template.models]
    # A client that had just connected is put out on the hub's own thread, a moment after the answer.
    ids = {each["id"] for each in found["devices"]}
    wait_until(lambda: not ids & service.running.hub.connected(), f"the devices of {name} to be gone")


def modelled_names(shape: Shape) -> set[str]:
    found: set[str] = set()
    for name, content in shape.telemetry.items():
        parts = parts_of(content.schema)
        found |= {f"{name}.{part}" for part in parts} if parts else {name}
    return found


def test_nothing_unmodelled_is_sent_or_reported(used: Used):
    hub = used.playing.running.hub
    for device in used.devices:
        shape = used.shape_of(device)
        assert {each.name for each in hub.series.metrics(device["id"])} == modelled_names(shape)
        wait_until(lambda d=device: reported_names(used, d), "reported properties")
        assert reported_names(used, device) == set(shape.properties)


def reported_names(used: Used, device: dict[str, Any]) -> set[str]:
    """Names of the properties that a device has reported, those of components included."""
    found: set[str] = set()
    for name, value in used.playing.running.hub.twins.get(device["id"]).reported.properties.items():
        is_component = isinstance(value, dict) and value.get("__t") == "c"
        found |= {f"{name}.{part}" for part in value if part != "__t"} if is_component else {name}
    return found


def test_simulated_devices_say_so_everywhere(used: Used):
    running = used.playing.running
    for device in used.devices:
        record = running.service.registry.devices.get(device["id"])
        assert record.trust_tier == "simulated"
        assert record.last_check_in_at is None
        assert running.hub.twins.get(device["id"]).tags["simulated"] is True
        message = running.hub.series.messages(device["id"], 1)[0]
        assert "simulated=true" in message.topic


def test_every_tile_of_every_dashboard_has_data(used: Used):
    platform = used.playing.running.platform
    for (kind, document_id), body in used.template.documents.items():
        if kind != "dashboard":
            continue
        kept = platform.documents.get("dashboard", document_id)
        for tile in parse(kept.content).tiles:
            assert tile == parse(body).tile(tile.id)
            if tile.source is not None:
                assert_data(used, document_id, tile)
        wait_until(lambda d=document_id, b=body: shows_data(used, d, b), f"data in every tile of {document_id}")


def shows_data(used: Used, document_id: str, body: Any) -> bool:
    """Whether the API's answer for a dashboard has something in every tile."""
    shown = used.playing.running.call("GET", f"/api/v1/dashboards/{document_id}/data").body["tiles"]
    return all(
        tile.source is None
        or (
            shown[tile.id]["devices"] > 0
            and (tile.kind != "kpi" or shown[tile.id]["value"] is not None)
            and (tile.kind != "line" or bool(shown[tile.id]["series"]))
        )
        for tile in parse(body).tiles
    )


def assert_data(used: Used, dashboard: str, tile: Tile) -> None:
    assert tile.source is not None
    platform = used.playing.running.platform
    hub = used.playing.running.hub
    if tile.source.kind == "group":
        group = parse_group(platform.documents.get("group", tile.source.id).content)
        ids = [each.device_id for each in platform.groups.members(group, catalog=None, after=None, limit=1000).items]
    else:
        ids = [each["id"] for each in used.devices if used.template_of(each) == tile.source.id]
    devices = [each for each in used.devices if each["id"] in ids]
    where = f"{dashboard}: tile {tile.id}"
    assert devices, where
    location = tile.options.get("location")
    values = {*tile.values, *([f"{location}.lat", f"{location}.lon"] if location else [])}
    for device in devices:
        properties = used.shape_of(device).properties
        wait_until(lambda d=device, p=properties: reported_names(used, d) == set(p), "every property is reported")
        twin = hub.twins.get(device["id"])
        cloud = platform.documents.get("device", device["id"]).content["cloud"]
        have = set(used.latest(device)) | set(twin.reported.properties) | set(cloud)
        have |= {
            f"{name}.{part}"
            for name, value in twin.reported.properties.items()
            if isinstance(value, dict)
            for part in value
        }
        assert values <= have, where
        assert set(tile.options.get("names", ())) <= have, where
        assert tile.options.get("command") in (None, *used.shape_of(device).commands), where


def test_every_command_is_answered(used: Used):
    hub = used.playing.running.hub
    roles: dict[str, dict[str, Any]] = {}
    for device in used.devices:
        roles.setdefault(device["role"], device)
    for device in roles.values():
        wait_until(lambda d=device: d["id"] in hub.connected(), "the device is connected")
        for name, command in used.shape_of(device).commands.items():
            payload = None if command.request is None else sample(command.request.schema, command.request.name)
            result = used.playing.in_loop(hub.invoke_method(device["id"], name.replace(".", "*"), payload, 5.0))
            assert result.status == 200, f"{device['role']}: {name}: {result}"
        refused = used.playing.in_loop(hub.invoke_method(device["id"], "fly", None, 5.0))
        assert refused.status == 404


def sample(schema: dtdl.Schema, name: str) -> Any:
    """A request that makes sense."""
    if isinstance(schema, dtdl.ObjectSchema):
        return {each.name: sample(each.schema, each.name) for each in schema.fields}
    if isinstance(schema, dtdl.EnumSchema):
        return schema.values[0].value
    assert isinstance(schema, dtdl.Standard)
    by_word: dict[str, Any] = {"boolean": True, "integer": 10, "long": 10, "double": 10.0, "float": 10.0}
    return by_word.get(schema.word, "2.0.0" if "irmware" in name or "ersion" in name else "text")


def test_using_it_again_changes_nothing(used: Used):
    store = used.playing.running.platform.documents
    wait_until(lambda: used.playing.applications.describe(used.template.name)["state"] == "running", "history", 60)
    before = store.seq
    again = used.playing.applications.use(used.template.name, actor="test")
    assert again["devices"] == used.devices
    assert store.seq == before


def test_a_day_of_history_is_made_up(used: Used):
    name = used.template.name
    wait_until(lambda: used.playing.applications.describe(name)["state"] == "running", "history", 60)
    described = used.playing.applications.describe(name)
    device = used.devices[0]
    metric = min(each for each in modelled_names(used.shape_of(device)) if is_number(used.latest(device)[each]))
    began = described["began_ms"]
    hub = used.playing.running.hub
    wait_until(
        lambda: len(hub.series.query(device["id"], metric, began - 86_400_000, began, 500).buckets) > 200,
        "points of a day",
    )


def is_number(value: object) -> bool:
    return isinstance(value, float)
