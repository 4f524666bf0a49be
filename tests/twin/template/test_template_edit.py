# SPDX-License-Identifier: Apache-2.0
"""Small changes of a draft: the element in question and nothing else, and always a template that makes sense."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.twin.template.test_template import BODY, THERMOSTAT

from armillary.errors import InvalidArgumentError, ModelError, NotFoundError
from armillary.twin.template import edit
from armillary.twin.template.json_form import parse_template

QUANTITIES = "dtmi:dtdl:extension:quantitativeTypes;1"
CENTRAL = "dtmi:iotcentral:context;2"


def plain(version: int = 2, **more: Any) -> dict[str, Any]:
    model = {"@context": f"dtmi:dtdl:context;{version}", "@id": "dtmi:com:example:Bare;1", "@type": "Interface", **more}
    return {"display_name": "Bare", "root": model["@id"], "models": [model]}


def last(body: dict[str, Any]) -> Any:
    return body["models"][0]["contents"][-1]


def test_a_capability_is_written_as_dtdl() -> None:
    wish = edit.CapabilityWish(
        kind="property", name="target", display_name="Target", schema="double", semantic_type="Temperature",
        unit="degreeCelsius", writable=True, minimum=-30, maximum=10,
    )  # fmt: skip
    made = edit.with_capability(plain(), wish)
    assert last(made) == {
        "@type": ["Property", "Temperature", "NumberValue"], "name": "target", "displayName": "Target",
        "schema": "double", "unit": "degreeCelsius", "minValue": -30, "maxValue": 10, "writable": True,
    }  # fmt: skip
    found = parse_template(made).capabilities["target"]
    assert (found.display_name, found.content.unit, found.content.writable) == ("Target", "degreeCelsius", True)  # type: ignore[union-attr]


def test_what_a_new_element_needs_is_in_the_context() -> None:
    warm = edit.CapabilityWish(kind="telemetry", name="t", schema="double", semantic_type="Temperature", unit="kelvin")
    assert edit.with_capability(plain(), warm)["models"][0]["@context"] == "dtmi:dtdl:context;2"
    third = edit.with_capability(plain(3), warm)
    assert third["models"][0]["@context"] == ["dtmi:dtdl:context;3", QUANTITIES]
    twice = edit.with_capability(third, edit.CapabilityWish(kind="telemetry", name="u", schema="double"))
    assert twice["models"][0]["@context"] == ["dtmi:dtdl:context;3", QUANTITIES]
    where = edit.with_capability(plain(), edit.CapabilityWish(kind="telemetry", name="at", schema="geopoint"))
    assert CENTRAL in where["models"][0]["@context"]


def test_commands_and_enums() -> None:
    command = edit.with_capability(plain(), edit.CapabilityWish(kind="command", name="flush", request=("s", "integer")))
    assert last(command) == {"@type": "Command", "name": "flush", "request": {"name": "s", "schema": "integer"}}
    wish = edit.CapabilityWish(kind="telemetry", name="level", schema="enum", values=(("low", 1), ("high", 2)))
    schema = last(edit.with_capability(plain(), wish))["schema"]
    assert schema["valueSchema"] == "integer"
    mixed = edit.CapabilityWish(kind="telemetry", name="level", schema="enum", values=(("low", 1), ("high", "two")))
    assert last(edit.with_capability(plain(), mixed))["schema"]["enumValues"][0] == {"name": "low", "enumValue": "1"}


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"kind": "dance"}, InvalidArgumentError),
        ({"schema": "number"}, InvalidArgumentError),
        ({"schema": "enum"}, InvalidArgumentError),
        ({"name": "1st"}, ModelError),
        ({"schema": "string", "semantic_type": "Temperature", "unit": "kelvin"}, ModelError),
        ({"semantic_type": "Temperature", "unit": "volt"}, None),  # a habit that is tolerated
        ({"minimum": 5, "maximum": 1}, InvalidArgumentError),
        ({"component": "none"}, NotFoundError),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_changed(
    wish: dict[str, Any], error: type[Exception] | None
) -> None:
    body = plain()
    before = copy.deepcopy(body)
    made = edit.CapabilityWish(**{"kind": "telemetry", "name": "t", "schema": "double", **wish})
    if error is None:
        assert parse_template(edit.with_capability(body, made)).model.warnings
    else:
        with pytest.raises(error):
            edit.with_capability(body, made)
    assert body == before


def test_version_3_has_no_limits() -> None:
    with pytest.raises(InvalidArgumentError, match="no limits"):
        edit.with_capability(plain(3), edit.CapabilityWish(kind="telemetry", name="t", schema="double", minimum=1))


def test_a_capability_goes_to_a_component_and_from_it() -> None:
    wish = edit.CapabilityWish(kind="telemetry", name="load", schema="double", component="thermostat1")
    made = edit.with_capability(BODY, wish)
    assert "thermostat1.load" in parse_template(made).capabilities
    assert [each["@id"] for each in made["models"]] == [each["@id"] for each in BODY["models"]]
    again, gone = edit.without_capability(made, "thermostat1.load")
    assert parse_template(again).capabilities.keys() == parse_template(BODY).capabilities.keys()
    assert gone == ()


def test_an_interface_inside_of_another_is_found() -> None:
    inner = {k: v for k, v in THERMOSTAT.items() if k != "@context"}  # type: ignore[attr-defined]
    body = plain(contents=[{"@type": "Component", "name": "part", "schema": inner}])
    made = edit.with_capability(
        body, edit.CapabilityWish(kind="telemetry", name="load", schema="geopoint", component="part")
    )
    assert "part.load" in parse_template(made).capabilities
    assert CENTRAL in made["models"][0]["@context"]


def test_what_an_interface_extends_loses_it() -> None:
    above = {**THERMOSTAT, "@id": "dtmi:com:example:Above;1"}  # type: ignore[dict-item]
    body = plain(extends="dtmi:com:example:Above;1")
    body["models"].append(above)
    made, _ = edit.without_capability(body, "temperature")
    assert "temperature" not in parse_template(made).capabilities


def test_what_named_a_capability_that_is_gone_goes_with_it() -> None:
    body = {**BODY, "labels": {"serial": "Number"}, "views": [{"name": "Overview", "tiles": ["serial", "Customer"]}]}
    made, gone = edit.without_capability(body, "serial")
    assert gone == ("serial",)
    assert made["views"] == [{"name": "Overview", "tiles": ["Customer"]}]
    assert made["labels"] == {}
    with pytest.raises(NotFoundError):
        edit.without_capability(made, "serial")


def test_cloud_properties_and_views_are_kept_replaced_and_taken_away() -> None:
    made = edit.with_cloud_property(plain(), {"name": "Limit", "schema": "double", "maximum": 5})
    made = edit.with_cloud_property(made, {"name": "Limit", "schema": "double", "maximum": 9})
    assert made["cloud_properties"] == [{"name": "Limit", "schema": "double", "maximum": 9}]
    made = edit.with_view(made, {"name": "All", "tiles": ["Limit"]})
    with pytest.raises(InvalidArgumentError, match="the template has no 'nothing'"):
        edit.with_view(made, {"name": "Odd", "tiles": ["nothing"]})
    bare, gone = edit.without_cloud_property(made, "Limit")
    assert (gone, bare["views"]) == (("Limit",), [{"name": "All", "tiles": []}])
    assert edit.without_view(bare, "All")["views"] == []
    with pytest.raises(NotFoundError):
        edit.without_view(bare, "None")
    with pytest.raises(NotFoundError, match="beside the model"):
        edit.without_cloud_property(bare, "Limit")


def test_every_unit_that_is_offered_is_taken() -> None:
    for version in (2, 3):
        for number, (meaning, units) in enumerate(edit.meanings(version).items()):
            wish = edit.CapabilityWish(
                kind="telemetry", name=f"t{number}", schema="double", semantic_type=meaning, unit=units[0]
            )
            assert not parse_template(edit.with_capability(plain(version), wish)).model.warnings, meaning


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(edit.KINDS),
            NAMES,
            st.sampled_from([each for each in edit.SCHEMAS if each != "enum"]),
            st.booleans(),
        ),
        max_size=5,
        unique_by=lambda each: each[1],
    )
)
def test_what_is_added_and_taken_away_again_leaves_what_was(wishes: list[tuple[str, str, str, bool]]) -> None:
    before = parse_template(plain()).capabilities
    body: dict[str, Any] = plain()
    for kind, name, schema, writable in wishes:
        body = edit.with_capability(body, edit.CapabilityWish(kind=kind, name=name, schema=schema, writable=writable))
    assert list(parse_template(body).capabilities) == [name for _, name, _, _ in wishes]
    for _, name, _, _ in reversed(wishes):
        body, gone = edit.without_capability(body, name)
        assert gone == ()
    assert parse_template(body).capabilities == before
