# SPDX-License-Identifier: Apache-2.0
"""Any model made by the rules is accepted and says the same however it is written; any edit is accepted or explained."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import ModelError
from armillary.wire.dtdl import model as dtdl
from armillary.wire.dtdl.tables import PRIMITIVES

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,10}[A-Za-z0-9]", fullmatch=True)
labels = st.one_of(
    st.text(max_size=20), st.dictionaries(st.sampled_from(["en", "de", "fr-CA", "zh-Hans"]), st.text(max_size=9))
)


def described(elements: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    extra = st.fixed_dictionaries(
        {}, optional={"displayName": labels, "description": labels, "comment": st.text(max_size=9)}
    )
    return st.tuples(elements, extra).map(lambda pair: {**pair[1], **pair[0]})


def unique(elements: st.SearchStrategy[Any], *, least: int = 0) -> st.SearchStrategy[list[Any]]:
    return st.lists(elements, min_size=least, max_size=4, unique_by=lambda element: element["name"])


def complex_schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.fixed_dictionaries({"name": names, "schema": inner})
    return st.one_of(
        st.fixed_dictionaries({"@type": st.just("Array"), "elementSchema": inner}),
        st.fixed_dictionaries({"@type": st.just("Object"), "fields": unique(described(named), least=1)}),
        st.fixed_dictionaries(
            {
                "@type": st.just("Map"),
                "mapKey": st.fixed_dictionaries({"name": names, "schema": st.just("string")}),
                "mapValue": named,
            }
        ),
    )


enums = st.sampled_from(["integer", "string"]).flatmap(
    lambda kind: st.fixed_dictionaries(
        {
            "@type": st.just("Enum"),
            "valueSchema": st.just(kind),
            "enumValues": st.lists(
                st.tuples(names, st.integers(-9, 99)),
                min_size=1,
                max_size=5,
                unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
            ).map(
                lambda pairs: [
                    {"name": name, "enumValue": value if kind == "integer" else str(value)} for name, value in pairs
                ]
            ),
        }
    )
)
simple = st.sampled_from(PRIMITIVES) | enums
schemas = st.recursive(simple, complex_schemas, max_leaves=5).filter(lambda schema: depth(schema) <= 5)
contents = described(
    st.one_of(
        st.fixed_dictionaries({"@type": st.just("Telemetry"), "name": names, "schema": schemas}),
        st.fixed_dictionaries(
            {"@type": st.just("Property"), "name": names, "schema": simple, "writable": st.booleans()}
        ),
        st.fixed_dictionaries(
            {"@type": st.just("Command"), "name": names},
            optional={"request": st.fixed_dictionaries({"name": names, "schema": schemas})},
        ),
        st.fixed_dictionaries({"@type": st.just("Relationship"), "name": names}),
    )
)
interfaces = st.tuples(st.sampled_from([2, 3]), unique(contents)).map(
    lambda pair: {
        "@context": f"dtmi:dtdl:context;{pair[0]}",
        "@id": "dtmi:com:example:Any;1",
        "@type": "Interface",
        "contents": pair[1],
    }
)


def depth(schema: Any) -> int:
    if isinstance(schema, str):
        return 0
    inner = [schema.get("elementSchema"), schema.get("mapValue", {}).get("schema")]
    inner += [field["schema"] for field in schema.get("fields", [])]
    return max((1 + depth(each) for each in inner if each is not None), default=0)


def written(schema: dtdl.Schema) -> Any:
    """A schema as its document, without labels."""
    if isinstance(schema, dtdl.Standard):
        return schema.word
    if isinstance(schema, dtdl.ArraySchema):
        return {"@type": "Array", "elementSchema": written(schema.element)}
    if isinstance(schema, dtdl.EnumSchema):
        values = [{"name": each.name, "enumValue": each.value} for each in schema.values]
        return {"@type": "Enum", "valueSchema": schema.value_schema, "enumValues": values}
    if isinstance(schema, dtdl.MapSchema):
        key = {"name": schema.key_name, "schema": "string"}
        value = {"name": schema.value_name, "schema": written(schema.value)}
        return {"@type": "Map", "mapKey": key, "mapValue": value}
    assert isinstance(schema, dtdl.ObjectSchema)
    return {"@type": "Object", "fields": [{"name": f.name, "schema": written(f.schema)} for f in schema.fields]}


def bare(value: Any) -> Any:
    """A document without labels."""
    if isinstance(value, dict):
        return {k: bare(v) for k, v in value.items() if k not in ("displayName", "description", "comment")}
    return [bare(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=examples(60), deadline=None)
@given(interfaces)
def test_a_model_by_the_rules_is_accepted_and_says_what_its_document_says(document: dict[str, Any]) -> None:
    model = dtdl.parse_model([("d", document)])
    found = model.contents("dtmi:com:example:Any;1")
    assert [each.name for each in found] == [each["name"] for each in document["contents"]]
    for content, element in zip(found, document["contents"], strict=True):
        assert type(content).__name__ == element["@type"]
        if "schema" in element:
            assert written(content.schema) == bare(element["schema"])  # type: ignore[attr-defined]
    again: dtdl.Model = dtdl.parse_model([("d", b"\xef\xbb\xbf" + json.dumps([document], indent=2).encode())])
    assert again == model


@settings(max_examples=examples(60), deadline=None)
@given(interfaces, st.data())
def test_an_edit_is_accepted_or_explained(document: dict[str, Any], data: st.DataObject) -> None:
    holder: Any = document
    while True:
        key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
        if isinstance(holder[key], (dict, list)) and holder[key] and data.draw(st.booleans()):
            holder = holder[key]
            continue
        break
    holder[key] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | names)
    try:
        dtdl.parse_model([("d", json.dumps(document).encode())])
    except ModelError as error:
        assert error.faults[0][0].startswith("d, line 1")  # noqa: PT017 - acceptance is as good
