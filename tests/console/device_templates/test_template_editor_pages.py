# SPDX-License-Identifier: Apache-2.0
"""The template editor over a real service, without a browser: nothing typed is lost, nobody is overwritten, roles hold."""

from __future__ import annotations

import copy
import json
import re
import uuid
from typing import Any

import pytest
from tests.console.device.test_device_twin_pages import hidden
from tests.console.hub_devices.test_hub_devices_pages import said
from tests.console.hub_scene import MODEL, HubScene

from armillary.console.device_templates.pages_template_forms import capability_of, cloud_property_of, enum_of, view_of
from armillary.console.frame.guard import MAX_FORM_BYTES
from armillary.console.frame.model import FEWEST_LINES, ModelEditor, models_text, report_of
from armillary.errors import InvalidArgumentError


def fresh() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def name(hub_scene: HubScene) -> str:
    made = fresh()
    hub_scene.template(made)
    return made


def model(**more: Any) -> dict[str, Any]:
    return {**copy.deepcopy(MODEL), "@id": f"dtmi:northwind:x{uuid.uuid4().hex[:8]};1", **more}


def draft(scene: HubScene, name: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.call("GET", f"/templates/{name}")
    return found


def test_small_forms_say_what_they_say():
    assert enum_of("low=1, high=2\nodd = x") == (("low", 1), ("high", 2), ("odd", "x"))
    assert enum_of("eco, turbo") == (("eco", "eco"), ("turbo", "turbo"))
    wish = capability_of(
        {
            "kind": "command",
            "name": "go",
            "schema": "double",
            "meaning": "Length/metre",
            "minimum": "x",
            "request": "s",
            "request_schema": "integer",
        }
    )
    assert (wish.schema, wish.semantic_type, wish.minimum, wish.request) == ("", "", None, ("s", "integer"))
    wish = capability_of(
        {
            "kind": "property",
            "name": " p ",
            "schema": "double",
            "meaning": "Length/metre",
            "minimum": "-1.5",
            "writable": "on",
        }
    )
    assert (wish.name, wish.semantic_type, wish.unit, wish.minimum, wish.writable) == (
        "p",
        "Length",
        "metre",
        -1.5,
        True,
    )
    with pytest.raises(InvalidArgumentError, match=r"^maximum: expected a number"):
        capability_of({"kind": "telemetry", "name": "t", "schema": "double", "maximum": "many"})
    assert cloud_property_of({"name": "n", "schema": "string", "minimum": "2", "initial": "12"}) == {
        "name": "n", "schema": "string", "minimum_length": 2, "initial": "12",
    }  # fmt: skip
    assert cloud_property_of({"name": "n", "schema": "enum", "values": "old=1", "initial": "1"})["initial"] == 1
    assert view_of({"name": "v", "tiles": "a, b\r\nc,", "form": "on"}) == {
        "name": "v",
        "tiles": ["a", "b", "c"],
        "form": True,
    }


def test_an_editor_is_as_tall_as_its_text():
    editor = ModelEditor(text="a\n" * 40, report_href="", check_href="")
    assert (editor.lines, editor.numbers.count("\n")) == (41, 40)
    assert ModelEditor(text="", report_href="", check_href="").lines == FEWEST_LINES
    assert models_text([{"a": 1}]) == '{\n  "a": 1\n}'
    assert json.loads(models_text([{"a": 1}, {"b": 2}])) == [{"a": 1}, {"b": 2}]


def test_a_report_without_a_fault_is_good_and_a_warning_is_not():
    answer = {
        "ok": True,
        "root": "dtmi:x;1",
        "display_name": "X",
        "capabilities": [{"kind": "telemetry"}],
        "warnings": [],
    }
    assert report_of(answer).sentence == "No rule is broken: X (dtmi:x;1) has 1 telemetry value."
    assert report_of({**answer, "warnings": [{"name": "m", "reason": "odd"}]}).kind == "attention"


def test_the_api_checks_models_and_keeps_nothing(hub_scene: HubScene):
    broken = json.dumps(model(contents=[{"@type": "Telemetry", "name": "1st", "schema": "double"}]), indent=1)
    answer = hub_scene.call("POST", "/template-check", {"documents": [{"name": "m", "content": broken}]})
    assert (answer["ok"], answer["count"]) == (False, 1)
    fault = answer["faults"][0]
    assert fault["line"] == broken[: broken.index('"1st"')].count("\n") + 1
    assert (fault["path"], fault["rule"], fault["version"]) == (
        "contents[0].name",
        "ClassTelemetryPropertyNamePattern",
        2,
    )
    assert fault["expected"]
    assert fault["remedy"].startswith("Begin with a letter;")
    cut = hub_scene.call("POST", "/template-check", {"documents": [{"name": "m", "content": broken[:60]}]})
    assert (cut["faults"][0]["line"], cut["faults"][0]["rule"]) == (broken[:60].count("\n") + 1, "RFC 8259")
    two = json.dumps([model(), model()])
    unclear = hub_scene.call("POST", "/template-check", {"documents": [{"name": "m", "content": two}]})
    assert "no part of another" in unclear["faults"][0]["reason"]
    good = hub_scene.call("POST", "/template-check", {"documents": [{"name": "m", "content": json.dumps(model())}]})
    assert (good["ok"], good["faults"], len(good["capabilities"])) == (True, [], len(MODEL["contents"]))
    reader = hub_scene.running.token_of("Reader")
    assert hub_scene.running.call("POST", "/api/v1/template-check", {"documents": []}, token=reader).status == 403


def test_a_template_is_made_and_every_mistake_keeps_the_text(hub_scene: HubScene):
    look, name = hub_scene.browser("Contributor"), fresh()
    text = look.get("/new-template").text
    assert "dtmi:com:example:Thermostat;1" in text
    bad = json.dumps(model(contents=[{"@type": "Telemetry", "name": "t", "schema": "number"}]), indent=1).replace(
        "\n", "\r\n"
    )
    checked = look.post("/new-template/check", name=name, model=bad, display_name="Mine", root="")
    assert checked.status == 200
    line = bad[: bad.index('"number"')].count("\n") + 1
    for page in (checked.text, look.post("/new-template", name=name, model=bad, display_name="Mine", root="").text):
        assert f'data-line="{line}">Line {line}</a>' in page
        assert "contents[0].schema" in page
        assert "&#34;number&#34;" in page
        assert f'value="{name}"' in page
        assert 'value="Mine"' in page
    part = look.post("/new-template/report", model=bad).text
    assert f'data-line="{line}"' in part
    assert "<html" not in part
    assert "No rule is broken" in look.post("/new-template/report", model=json.dumps(model())).text
    assert "expected JSON" not in look.post("/new-template/report", model="{").text
    wrong = look.post("/new-template", name="Not a name", model=json.dumps(model()))
    assert (wrong.status, "a letter or digit first and last" in said(wrong.text)) == (400, True)
    made = look.post("/new-template", name=name, model=json.dumps(model()), display_name="Mine")
    assert made.headers["location"] == f"/templates/{name}/edit?told=template-made"
    assert draft(hub_scene, name)["display_name"] == "Mine"
    again = look.post("/new-template", name=name, model=json.dumps(model()), display_name="Other")
    assert (again.status, "is there already" in said(again.text)) == (400, True)
    assert draft(hub_scene, name)["display_name"] == "Mine"


def test_a_large_model_is_taken_and_a_huge_one_refused(hub_scene: HubScene):
    look = hub_scene.browser()
    text = json.dumps(model(description="x" * 500), indent=1) + " " * (2 * MAX_FORM_BYTES)
    assert "No rule is broken" in look.post("/new-template/report", model=text).text
    assert look.post("/new-template/report", model=" " * 900_000).status == 400
    assert look.post("/rules/new", name="x" * (MAX_FORM_BYTES + 10)).status == 400


def test_the_draft_is_changed_step_by_step_and_published_with_a_report(hub_scene: HubScene, name: str):
    look, place = hub_scene.browser("Contributor"), f"/templates/{name}"
    device_id = hub_scene.device.device_id
    hub_scene.give(device_id, name)
    hub_scene.call("PATCH", f"/devices/{device_id}/cloud-properties", {"Customer": "Ann"})
    assert "the draft is the same as version 1." in said(look.get(f"{place}/edit").text)

    def etag() -> str:
        return str(draft(hub_scene, name)["etag"])

    fields = {"kind": "telemetry", "name": "noise", "schema": "double", "meaning": "SoundPressure/decibel"}
    added = look.post(f"{place}/capability", etag=etag(), **fields)
    assert added.headers["location"] == f"{place}/edit?told=draft-kept#capabilities"
    assert draft(hub_scene, name)["capabilities"][-1]["unit"] == "decibel"
    wrong = look.post(f"{place}/capability", etag=etag(), **{**fields, "name": "2nd"})
    assert (wrong.status, 'value="2nd"' in wrong.text, "Nothing was changed." in wrong.text) == (400, True, True)
    assert '<option value="SoundPressure/decibel" selected>' in wrong.text
    assert look.post(f"{place}/cloud", etag=etag(), name="Crew", schema="string", maximum="9").status == 303
    assert look.post(f"{place}/view", etag=etag(), name="All", tiles="noise, Crew").status == 303
    stray = look.post(f"{place}/view", etag=etag(), name="Odd", tiles="nothing")
    assert "the template has no 'nothing'" in said(stray.text)
    for what, gone in (("capability", "firmware"), ("cloud", "Customer")):
        direct = look.post(
            f"{place}/remove", etag=etag(), what=what, name=gone
        )  # it asks first, whoever sends the form
        assert (direct.status, direct.headers["location"]) == (303, f"{place}/remove?what={what}&name={gone}")
        assert look.confirm(f"{place}/remove?what={what}&name={gone}").headers["location"].startswith(f"{place}/edit?")
    page = said(look.get(f"{place}/edit").text)
    assert "the draft differs from version 1: 2 new and 2 gone." in page

    report = said(look.get(f"{place}/publish").text)
    assert "Publish version 2 of Cooler?" in report
    assert "Not compatible: it lacks or changes what version 1 has." in report
    assert "noise new" in report
    assert "firmware gone" in report
    assert "cloud property Customer is dropped: the template has no such cloud property" in report
    assert draft(hub_scene, name)["published_versions"] == [1]  # nothing was published by looking
    assert look.post(f"{place}/publish").status == 303
    assert look.get(f"{place}/publish").status == 409
    assert hub_scene.call("GET", f"/devices/{device_id}/template")["version"] == 1

    move = said(look.get(f"{place}/move?version=2").text)
    assert "Move 1 device to version 2 of Cooler?" in move
    assert "1 device of them would lose something." in move
    assert hub_scene.call("GET", f"/devices/{device_id}/template")["version"] == 1
    assert look.post(f"{place}/move", version="2").status == 303
    assert hub_scene.call("GET", f"/devices/{device_id}/template")["version"] == 2
    assert "has version 2 already" in said(look.get(f"{place}/move?version=2").text)
    assert look.get(f"{place}/move?version=9").status == 404
    assert look.post(f"{place}/delete", word=name).status == 409  # a device has it
    hub_scene.give(device_id)

    assert look.post(f"{place}/draft/1").status == 303
    body = draft(hub_scene, name)["body"]
    assert body == {
        k: v for k, v in hub_scene.call("GET", f"/templates/{name}/versions/1")["body"].items() if k != "version"
    }
    assert look.post(f"{place}/delete").status == 400
    assert look.post(f"{place}/delete", word=name).status == 303
    assert look.get(place).status == 404


def test_the_model_is_kept_with_what_its_author_added(hub_scene: HubScene, name: str):
    look, place = hub_scene.browser(), f"/templates/{name}"
    text = look.get(f"{place}/edit").text
    seen = {"etag": hidden(text, "etag", 'id="model"'), "root": "", "display_name": "Cooler"}
    fewer = {**MODEL, "contents": MODEL["contents"][:3]}
    bad = {**seen, "model": json.dumps(fewer).replace('"Telemetry"', '"Telemetri"')}
    refused = look.post(f"{place}/edit", **bad)
    assert (refused.status, "Telemetri" in refused.text, "data-line" in refused.text) == (400, True, True)
    assert look.post(f"{place}/check", **bad).status == 200
    assert look.post(f"{place}/edit", **seen, model=json.dumps(fewer)).status == 303
    found = draft(hub_scene, name)
    assert [each["name"] for each in found["capabilities"]] == ["temperature", "door", "target"]
    assert [each["name"] for each in found["cloud_properties"]] == ["Customer", "Limit", "Kind"]


def test_who_comes_too_late_is_told_and_keeps_what_he_typed(hub_scene: HubScene, name: str):
    look, place = hub_scene.browser(), f"/templates/{name}"
    old = draft(hub_scene, name)["etag"]
    hub_scene.call("PUT", f"/templates/{name}", {**draft(hub_scene, name)["body"], "display_name": "Theirs"})
    fields = {"kind": "telemetry", "name": "mine", "schema": "double"}
    late = look.post(f"{place}/capability", etag=old, **fields)
    told = "The draft was changed by someone else" in said(late.text)
    assert (late.status, told, 'value="mine"' in late.text) == (412, True, True)
    late = look.post(f"{place}/edit", etag=old, model=json.dumps({**MODEL, "comment": "mine"}))
    assert (late.status, "&#34;mine&#34;" in late.text) == (412, True)
    assert look.confirm(f"{place}/remove?what=cloud&name=Limit", seen="0" * 16).status == 409
    assert look.confirm(f"{place}/remove?what=cloud&name=Limit", etag=old).status == 412
    found = draft(hub_scene, name)
    assert (found["display_name"], len(found["capabilities"])) == ("Theirs", len(MODEL["contents"]))
    assert look.post(f"{place}/capability", etag=found["etag"], **fields).status == 303  # the positive control


def test_a_reader_looks_and_changes_nothing(hub_scene: HubScene, name: str):
    look, place = hub_scene.browser("Reader"), f"/templates/{name}"
    for path in (place, f"{place}/edit", "/templates"):
        text = look.get(path).text
        main = text[text.index("<main") : text.index("</main>")]
        forms = re.findall(r'method="post" action="([^"]+)"', main)
        assert {each for each in forms if not each.startswith("/table-")} == set(), path  # what is their own
        assert "new-template" not in main, path
    for path in ("/new-template", f"{place}/publish", f"{place}/move?version=1", f"{place}/draft/1", f"{place}/delete"):
        assert look.get(path).status == 403, path
    before = draft(hub_scene, name)["etag"]
    for verb in (
        "edit",
        "check",
        "report",
        "capability",
        "cloud",
        "view",
        "remove",
        "publish",
        "move",
        "draft/1",
        "delete",
    ):
        assert look.post(f"{place}/{verb}", name="x", model="{}", what="view", version="1", word=name).status == 403, (
            verb
        )
    for path in ("/new-template", "/new-template/check", "/new-template/report"):
        assert look.post(path, name="x", model="{}").status == 403
    assert draft(hub_scene, name)["etag"] == before
