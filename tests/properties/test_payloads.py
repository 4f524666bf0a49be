# SPDX-License-Identifier: Apache-2.0
"""A value made by a schema fits it, flat and whole; any other value is judged and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples
from tests.properties.test_dtdl_models import schemas

from armillary.errors import WireError
from armillary.twin.document.document import Twin, patch_desired, report
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.payload import PayloadTable
from armillary.twin.template.property_state import judge_twin
from armillary.twin.template.schema import mismatches
from armillary.twin.template.template import Template
from armillary.wire.hub.telemetry import decode

ROOT = "dtmi:com:example:Any;1"

SAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "date": st.dates().map(lambda day: day.isoformat()),
    "dateTime": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "duration": st.sampled_from(["PT1H", "P1DT2M3.5S", "P2W"]),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**53), 2**53),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    "time": st.times().map(lambda moment: moment.isoformat() + "Z"),
}
keys = st.from_regex(r"[a-z]{1,5}", fullmatch=True)


def values(schema: Any) -> st.SearchStrategy[Any]:
    if isinstance(schema, str):
        return SAMPLES[schema]
    if schema["@type"] == "Enum":
        return st.sampled_from([each["enumValue"] for each in schema["enumValues"]])
    if schema["@type"] == "Array":
        return st.lists(values(schema["elementSchema"]), max_size=3)
    if schema["@type"] == "Map":
        return st.dictionaries(keys, values(schema["mapValue"]["schema"]), max_size=3)
    return st.fixed_dictionaries({}, optional={each["name"]: values(each["schema"]) for each in schema["fields"]})


def template(schema: Any, kind: str = "Telemetry") -> Template:
    version = 3 if kind == "Property" else 2  # DTDL v2 has no arrays in properties
    content = {"@type": kind, "name": "value", "schema": schema}
    if kind == "Property":
        content["writable"] = True
    interface = {"@context": f"dtmi:dtdl:context;{version}", "@id": ROOT, "@type": "Interface", "contents": [content]}
    return parse_template({"display_name": "Any", "root": ROOT, "models": [interface]})


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_value_of_a_schema_fits_whole_and_flat(data: st.DataObject) -> None:
    schema = data.draw(schemas)
    made = template(schema)
    document = {"value": data.draw(values(schema))}
    assert mismatches(made.capabilities["value"].content.schema, document["value"], "value") == []
    try:
        flat = decode(json.dumps(document).encode(), {}, 0).values
    except WireError:  # larger than a message of values may be
        return
    judged = PayloadTable(made).judge(flat)
    assert (judged.broken, judged.unmodelled) == ((), ())
    assert set(judged.modelled) == set(flat)


@settings(max_examples=examples(100), deadline=None)
@given(schemas, st.dictionaries(st.sampled_from(["value", "other"]), anything, max_size=2))
def test_any_document_is_judged_and_every_value_is_in_one_place(schema: Any, document: dict[str, Any]) -> None:
    made = template(schema)
    found = mismatches(made.capabilities["value"].content.schema, document.get("value"), "value")
    assert {each.name.partition(".")[0] for each in found} <= {"value"}
    try:
        flat = decode(json.dumps(document).encode(), {}, 0).values
    except WireError:
        return
    judged = PayloadTable(made).judge(flat)
    named = [*judged.modelled, *judged.unmodelled, *(each.name for each in judged.broken)]
    assert sorted(named) == sorted(flat)


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_any_twin_has_one_view_of_each_property(data: st.DataObject) -> None:
    schema = data.draw(schemas)
    device = Twin(device_id="d")
    reported = data.draw(
        st.dictionaries(st.sampled_from(["value", "other"]), anything.filter(_is_reportable), max_size=2)
    )
    wanted = data.draw(st.none() | anything.filter(_is_reportable))
    if wanted is not None:
        device = patch_desired(device, {"value": wanted}, now_ms=1)
    if reported:
        device = report(device, reported, now_ms=2)
    found = judge_twin(template(schema, "Property"), device)
    assert [view.name for view in found.properties] == ["value"]
    assert set(found.unmodelled) == set(device.reported.properties) - {"value"}


def _is_reportable(value: Any) -> bool:
    """What a twin takes: no null in arrays."""
    if isinstance(value, list):
        return all(each is not None and _is_reportable(each) for each in value)
    return all(_is_reportable(each) for each in value.values()) if isinstance(value, dict) else True
