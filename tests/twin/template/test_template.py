# SPDX-License-Identifier: Apache-2.0
"""Device templates: read, written, imported from models and from IoT Central's form; cloud properties; differences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from armillary.errors import InvalidArgumentError, ModelError
from armillary.twin.central.template import central_of_body
from armillary.twin.document.document import Twin, report
from armillary.twin.template import json_form as template_json
from armillary.twin.template.change import differences, migrate
from armillary.twin.template.json_form import body_of_documents, parse_template
from armillary.twin.template.name import check_name, published_id, split_id
from armillary.twin.template.template import changed_cloud, initial_cloud

ROOT = "dtmi:com:example:Controller;1"
THERMOSTAT = {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:com:example:Thermostat;1",
    "@type": "Interface",
    "displayName": "Thermostat",
    "contents": [
        {
            "@type": ["Telemetry", "Temperature"],
            "name": "temperature",
            "displayName": "Temperature",
            "schema": "double",
            "unit": "degreeCelsius",
        },
        {"@type": "Property", "name": "target", "schema": "double", "writable": True},
        {"@type": "Command", "name": "report", "request": {"name": "since", "schema": "dateTime"}},
    ],
}
CONTROLLER = {
    "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
    "@id": ROOT,
    "@type": "Interface",
    "displayName": {"en": "Controller", "de": "Regler"},
    "contents": [
        {"@type": "Component", "name": "thermostat1", "schema": "dtmi:com:example:Thermostat;1"},
        {"@type": "Telemetry", "name": "load", "schema": "double"},
        {"@type": "Command", "name": "reboot"},
        {"@type": "Property", "name": "serial", "schema": "string"},
    ],
}
BODY: dict[str, Any] = {
    "display_name": "Controller",
    "root": ROOT,
    "models": [CONTROLLER, THERMOSTAT],
    "cloud_properties": [
        {"name": "Customer", "schema": "string", "maximum_length": 10, "minimum_length": 2, "trim": True},
        {"name": "Limit", "schema": "double", "minimum": 0, "maximum": 100, "initial": 40, "unit": "degreeCelsius"},
        {"name": "Kind", "schema": {"enum": [{"value": 1, "name": "old"}, {"value": 2, "name": "new"}]}},
        {"name": "Installed", "schema": "date"},
    ],
    "views": [{"name": "Overview", "tiles": ["thermostat1.temperature", "Customer"]}, {"name": "Edit", "form": True}],
    "labels": {"thermostat1.temperature": "Inside"},
}


def changed(**change: Any) -> dict[str, Any]:
    return {**BODY, **change}


def test_a_template_has_capabilities_of_its_root_and_its_components() -> None:
    template = parse_template(BODY)
    assert list(template.capabilities) == [
        "thermostat1.temperature", "thermostat1.target", "thermostat1.report", "load", "reboot", "serial",
    ]  # fmt: skip
    assert template.capabilities["thermostat1.temperature"].display_name == "Inside"
    assert template.capabilities["load"].kind == "telemetry"
    assert template.components == {"thermostat1": "dtmi:com:example:Thermostat;1"}
    assert initial_cloud(template) == {"Limit": 40}
    assert parse_template(json.loads(json.dumps(BODY))) == template


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"root": "dtmi:com:example:Other;1"}, "template.root"),
        ({"display_name": ""}, "display_name"),
        ({"cloud_properties": [{"name": "load"}]}, "'load' is a telemetry"),
        ({"cloud_properties": [{"name": "a b"}]}, "letters, digits"),
        ({"cloud_properties": [{"name": "A"}, {"name": "A"}]}, "each name once"),
        ({"cloud_properties": [{"name": "A", "schema": "vector"}]}, "schema"),
        ({"cloud_properties": [{"name": "A", "schema": {"enum": []}}]}, "different values"),
        ({"cloud_properties": [{"name": "A", "schema": {"enum": [{"value": 1}, {"value": "x"}]}}]}, "all text"),
        ({"cloud_properties": [{"name": "A", "initial": 5}]}, "expected text"),
        ({"cloud_properties": [{"name": "A", "colour": 1}]}, "no other fields"),
        ({"views": [{"name": "V", "tiles": ["nothing"]}]}, "has no 'nothing'"),
        ({"labels": {"nothing": "x"}}, "has no 'nothing'"),
        ({"extra": 1}, "no other fields"),
        ({"models": {}}, "a list"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        parse_template(changed(**change))


def test_models_that_break_rules_are_refused_with_all_faults() -> None:
    broken = {**THERMOSTAT, "contents": [{"@type": "Telemetry", "name": "1", "schema": "x"}]}
    with pytest.raises(ModelError) as caught:
        parse_template(changed(models=[CONTROLLER, broken]))
    assert caught.value.count == 2
    assert caught.value.faults[0][0] == "dtmi:com:example:Thermostat;1, contents[0].name"


def test_files_become_a_template_and_the_root_is_found() -> None:
    files = [(each["@id"], json.dumps(each).encode()) for each in (THERMOSTAT, CONTROLLER)]  # type: ignore[misc]
    body = body_of_documents(files)
    assert (body["root"], body["display_name"]) == (ROOT, "Controller")
    assert parse_template(body).components
    together = body_of_documents([("all.json", b"\xef\xbb\xbf" + json.dumps([THERMOSTAT, CONTROLLER]).encode())])
    assert together == body
    chosen = body_of_documents(files, root="dtmi:com:example:Thermostat;1", display_name="Just one")
    assert list(parse_template(chosen).capabilities) == ["temperature", "target", "report"]
    other = {**THERMOSTAT, "@id": "dtmi:com:example:Loose;1"}
    with pytest.raises(InvalidArgumentError, match="no part of another"):
        body_of_documents([*files, ("loose", json.dumps(other).encode())])
    with pytest.raises(ModelError, match="line 1: expected"):
        body_of_documents([("bad", b"{")])


CENTRAL = {
    "displayName": "Thermostat",
    "@id": "dtmi:contoso:mythermostattemplate;1",
    "@type": ["ModelDefinition", "DeviceModel"],
    "@context": ["dtmi:iotcentral:context;2", "dtmi:dtdl:context;2"],
    "capabilityModel": {
        "@id": "dtmi:contoso:Thermostat;1",
        "@type": "Interface",
        "contents": [
            {
                "@type": ["Property", "Temperature"],
                "name": "targetTemperature",
                "schema": "double",
                "unit": "degreeCelsius",
                "writable": True,
                "decimalPlaces": 1,
                "maxValue": 80,
            },
            {"@type": ["Telemetry", "Humidity"], "name": "humidity", "schema": "double", "unit": "percent"},
            {
                "@type": ["Property", "Cloud", "StringValue"],
                "displayName": "Customer Name",
                "name": "CustomerName",
                "schema": "string",
                "maxLength": 20,
            },
        ],
        "displayName": "Thermostat",
    },
}


def test_files_of_a_model_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is bounded by its route; a hundred of them would be read for minutes and into gigabytes."""
    files = [("thermostat", json.dumps(THERMOSTAT).encode()), ("controller", json.dumps(CONTROLLER).encode())]
    size = sum(len(content) for _, content in files)
    monkeypatch.setattr(template_json, "MAX_MODEL_BYTES", size)
    assert len(body_of_documents(files)["models"]) == 2
    monkeypatch.setattr(template_json, "MAX_MODEL_BYTES", size - 1)
    with pytest.raises(InvalidArgumentError, match=f"bytes in all, got {size:,}"):
        body_of_documents(files)
    monkeypatch.undo()
    with pytest.raises(InvalidArgumentError, match="in all"):
        body_of_documents([(f"m{number}", b"[" + b" " * (1 << 20)) for number in range(5)])


def test_iot_centrals_own_form_is_taken_and_its_habits_are_warnings() -> None:
    body = body_of_documents([("export.json", json.dumps(CENTRAL).encode())])
    template = parse_template(body)
    assert template.identifier == "dtmi:contoso:mythermostattemplate;1"
    assert list(template.capabilities) == ["targetTemperature", "humidity"]
    assert template.cloud["CustomerName"].maximum_length == 20
    assert {what.rpartition(", ")[2] for _, what in template.model.warnings} == {
        "ClassPropertyPropertyFormallyUndefinedTerm)",
        "ClassTelemetryCotypePropertyValueMatchesCotype)",
    }
    assert template.capabilities["humidity"].content.unit == "percent"  # type: ignore[attr-defined]
    with pytest.raises(InvalidArgumentError, match="one file"):
        body_of_documents([("a", json.dumps(CENTRAL).encode()), ("b", json.dumps(THERMOSTAT).encode())])


def test_a_template_goes_out_in_iot_centrals_form_and_comes_back_the_same() -> None:
    out = central_of_body(BODY, etag="d-1", identifier="dtmi:armillary:template:controller;1")
    assert out["@id"] == "dtmi:armillary:template:controller;1"
    again = parse_template(body_of_documents([("x", json.dumps(out).encode())]))
    first = parse_template(BODY)
    assert differences(first, again).changed == {}
    assert set(again.capabilities) == set(first.capabilities)
    assert again.cloud["Limit"].maximum == 100
    assert again.cloud["Limit"].initial == 40
    assert set(again.cloud) == set(first.cloud)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"Customer": "  Ann  "}, {"Customer": "Ann"}),
        ({"Limit": 0, "Kind": 2}, {"Limit": 0, "Kind": 2}),
        ({"Limit": None}, {}),
        ({"Installed": "2026-11-24"}, {"Installed": "2026-11-24"}),
    ],
)
def test_cloud_properties_are_kept_as_the_template_says(change: dict[str, Any], after: dict[str, Any]) -> None:
    assert changed_cloud(parse_template(BODY), {}, change) == after


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Customer": "x"}, "at least 2 characters"),
        ({"Customer": "x" * 11}, "at most 10 characters"),
        ({"Customer": 5}, "expected text, got 5"),
        ({"Limit": 101}, "at most 100"),
        ({"Limit": True}, "a number"),
        ({"Kind": 3}, "one of 1"),
        ({"Installed": "24.11.2026"}, "a date"),
        ({"Other": 1}, "expected one of the template's"),
    ],
)
def test_cloud_properties_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        changed_cloud(parse_template(BODY), {"Limit": 1}, change)


def test_differences_say_what_a_device_would_notice() -> None:
    thermostat = {
        **THERMOSTAT,
        "contents": [
            {"@type": "Telemetry", "name": "temperature", "schema": "integer"},
            {"@type": "Property", "name": "target", "schema": "double", "displayName": "Wanted"},
            {"@type": "Command", "name": "report", "request": {"name": "since", "schema": "dateTime"}},
            {"@type": "Telemetry", "name": "humidity", "schema": "double"},
        ],
    }
    new = parse_template(
        changed(models=[CONTROLLER, thermostat], cloud_properties=BODY["cloud_properties"][1:], views=[])
    )
    found = differences(parse_template(BODY), new)
    assert found.added == ("thermostat1.humidity",)
    assert found.removed == ("Customer",)
    assert found.changed == {"thermostat1.temperature": "schema differs", "thermostat1.target": "writable differs"}
    assert not found.is_compatible
    assert differences(new, new).is_compatible


def test_a_migration_says_what_a_device_loses_and_keeps_the_rest() -> None:
    cloud = [{"name": "Limit", "schema": "double", "maximum": 50}, {"name": "Site", "initial": "north"}]
    new = parse_template(changed(models=[CONTROLLER, THERMOSTAT], cloud_properties=cloud, views=[]))
    twin = report(Twin(device_id="d"), {"serial": 7, "old": 1, "thermostat1": {"__t": "c", "target": 5}}, now_ms=0)
    found = migrate(
        new, twin=twin, cloud={"Limit": 60, "Customer": "Ann"}, metrics=["load", "thermostat1.temperature", "gone"]
    )
    assert found.cloud == {"Site": "north"}
    assert found.lost_cloud == {
        "Limit": "expected at most 50, got 60",
        "Customer": "the template has no such cloud property",
    }
    assert found.unmodelled_telemetry == ("gone",)
    assert found.unmodelled_properties == ("old",)
    assert [each.name for each in found.broken_properties] == ["serial"]
    assert not found.loses_nothing
    assert migrate(new, twin=Twin(device_id="d"), cloud={"Limit": 6}, metrics=[]).loses_nothing


def test_names_and_versions() -> None:
    assert split_id(published_id("pump", 12)) == ("pump", 12)
    assert split_id("pump") == ("pump", 0)
    for bad in ("", "A", "a.b", "a/b", "-a", "x" * 101):
        with pytest.raises(InvalidArgumentError):
            check_name(bad)
    assert check_name("waste-bin_2") == "waste-bin_2"


def test_a_whole_document_of_ours_is_taken_as_it_is() -> None:
    body = body_of_documents([("t.json", json.dumps({**BODY, "version": 3}).encode())])
    assert body == BODY
    with pytest.raises(InvalidArgumentError, match="labels"):
        body_of_documents([("t.json", json.dumps({**BODY, "labels": 5}).encode())])


def test_names_that_dtdl_does_not_take_go_out_as_others() -> None:
    values = [{"value": 1, "name": "very old"}, {"value": 2, "name": "new"}, {"value": 3, "name": "new"}]
    body = changed(cloud_properties=[{"name": "Kind", "schema": {"enum": values}, "display_name": "x" * 100}], views=[])
    out = central_of_body(body, etag="d-1", identifier="dtmi:a:b;1")
    cloud = out["capabilityModel"]["contents"][-1]
    assert [each["name"] for each in cloud["schema"]["enumValues"]] == ["value1", "new", "value3"]
    assert cloud["schema"]["enumValues"][0]["displayName"] == "very old"
    assert parse_template(body_of_documents([("x", json.dumps(out).encode())])).cloud["Kind"]


def test_cloud_properties_of_older_exports_are_taken() -> None:
    solution = {
        "@type": ["SolutionModel"],
        "cloudProperties": [
            {
                "@type": ["CloudProperty"],
                "displayName": {"en": "Install date"},
                "name": "installDate",
                "schema": "dateTime",
                "valueDetail": {"@type": ["ValueDetail/DateTimeValueDetail"]},
            },
            {"name": "Threshold", "schema": "double", "valueDetail": {"minValue": 1, "maxValue": 9}},
            {
                "name": "Kind",
                "schema": {"@type": "Enum", "valueSchema": "integer", "enumValues": [{"name": "a", "enumValue": 1}]},
            },
        ],
        "initialValues": [],
    }
    template = parse_template(body_of_documents([("x", json.dumps({**CENTRAL, "solutionModel": solution}).encode())]))
    assert list(template.cloud) == ["CustomerName", "installDate", "Threshold", "Kind"]
    assert (template.cloud["installDate"].display_name, template.cloud["Threshold"].maximum) == ("Install date", 9)
    for bad in ({"cloudProperties": [5]}, {"cloudProperties": [{"name": "a b"}]}):
        with pytest.raises(InvalidArgumentError):
            parse_template(body_of_documents([("x", json.dumps({**CENTRAL, "solutionModel": bad}).encode())]))
