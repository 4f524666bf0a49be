# SPDX-License-Identifier: Apache-2.0
"""DTDL: models become values; every broken rule is named with document, line, element and the specification's name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from armillary.errors import ModelError
from armillary.wire.dtdl import model as dtdl
from armillary.wire.dtdl.fault import MAX_FAULTS
from armillary.wire.dtdl.model import parse_model

V2, CENTRAL = "dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"
V3, QUANTITIES = "dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"
ID = "dtmi:com:example:Pump;1"


def interface(*contents: Any, context: Any = V2, **more: Any) -> dict[str, Any]:
    return {"@context": context, "@id": ID, "@type": "Interface", "contents": list(contents), **more}


def telemetry(name: str = "t", schema: Any = "double", **more: Any) -> dict[str, Any]:
    return {"@type": "Telemetry", "name": name, "schema": schema, **more}


def property_(name: str = "p", schema: Any = "double", **more: Any) -> dict[str, Any]:
    return {"@type": "Property", "name": name, "schema": schema, **more}


def parsed(*documents: Any, **options: Any) -> dtdl.Model:
    return parse_model([(f"d{n}", document) for n, document in enumerate(documents)], **options)


def faults(*documents: Any, **options: Any) -> list[tuple[str, str]]:
    with pytest.raises(ModelError) as caught:
        parsed(*documents, **options)
    return list(caught.value.faults)


def rules(*documents: Any, **options: Any) -> set[str]:
    return {re.search(r", (\w+)\)$", what)[1] for _, what in faults(*documents, **options)}  # type: ignore[index]


def nested(depth: int) -> dict[str, Any]:
    schema: Any = "double"
    for _ in range(depth):
        schema = {"@type": "Array", "elementSchema": schema}
    return schema


# Values -----------------------------------------------------------------------------------------------------


def test_a_whole_model_becomes_values() -> None:
    model = parsed(
        interface(
            {**telemetry("temp"), "@type": ["Telemetry", "Temperature"], "unit": "degreeCelsius"},
            property_("target", writable=True, displayName={"en": "Target", "de": "Ziel"}, comment="c"),
            {
                "@type": "Command",
                "name": "reboot",
                "request": {"name": "delay", "schema": "integer"},
                "response": {"name": "when", "schema": "dateTime"},
            },
            {"@type": "Component", "name": "info", "schema": "dtmi:com:example:Info;2"},
            {
                "@type": "Relationship",
                "name": "near",
                "maxMultiplicity": 3,
                "target": "dtmi:x:y;1",
                "properties": [property_("since", "date")],
            },
            telemetry("way", "dtmi:com:example:Way;1"),
            {
                **telemetry("n", "integer"),
                "@type": ["Telemetry", "NumberValue"],
                "minValue": 1,
                "decimalPlaces": 2,
                "unit": "widgets",
            },
            context=[V2, CENTRAL],
            schemas=[
                {
                    "@id": "dtmi:com:example:Way;1",
                    "@type": "Map",
                    "mapKey": {"name": "k", "schema": "string"},
                    "mapValue": {
                        "name": "v",
                        "schema": {
                            "@type": "Object",
                            "fields": [
                                {"name": "f", "schema": {"@type": "Array", "elementSchema": "point"}},
                                {
                                    "name": "g",
                                    "schema": {
                                        "@type": "Enum",
                                        "valueSchema": "integer",
                                        "enumValues": [{"name": "on", "enumValue": 1, "displayName": "On"}],
                                    },
                                },
                            ],
                        },
                    },
                }
            ],
            extends="dtmi:com:example:Base;1",
        ),
        {"@context": V2, "@id": "dtmi:com:example:Info;2", "@type": "Interface"},
        {**interface(telemetry("base")), "@id": "dtmi:com:example:Base;1"},
    )
    assert model.top_level == (ID, "dtmi:com:example:Info;2", "dtmi:com:example:Base;1")
    temp, target, reboot, info, near, way, number = model.interfaces[ID].contents
    assert temp == dtdl.Telemetry(
        name="temp", types=("Temperature",), schema=dtdl.Standard("double"), unit="degreeCelsius"
    )
    assert isinstance(target, dtdl.Property)
    assert (target.writable, target.comment, target.display_name["de"]) == (True, "c", "Ziel")
    assert isinstance(reboot, dtdl.Command)
    assert reboot.request is not None
    assert (reboot.request.name, reboot.request.schema) == ("delay", dtdl.Standard("integer"))
    assert info == dtdl.Component(name="info", interface="dtmi:com:example:Info;2")
    assert isinstance(near, dtdl.Relationship)
    assert (near.max_multiplicity, near.target, near.properties[0].name) == (3, "dtmi:x:y;1", "since")
    assert isinstance(way, dtdl.Telemetry)
    assert way.schema == dtdl.MapSchema(
        "k",
        "v",
        dtdl.ObjectSchema(
            (
                dtdl.Field(name="f", schema=dtdl.ArraySchema(dtdl.Standard("point"))),
                dtdl.Field(
                    name="g",
                    schema=dtdl.EnumSchema("integer", (dtdl.EnumValue(name="on", value=1, display_name={"en": "On"}),)),
                ),
            )
        ),
    )
    assert isinstance(number, dtdl.Telemetry)
    assert (number.unit, number.others["minValue"], number.others["decimalPlaces"]) == ("widgets", 1, 2)
    assert [each.name for each in model.contents(ID)][-1] == "base"


def test_labels_fall_back() -> None:
    assert dtdl.label({"de": "Ziel", "en": "Target"}, "t", "de") == "Ziel"
    assert dtdl.label({"en-GB": "Target"}, "t", "fr") == "Target"
    assert dtdl.label({"it": "Meta"}, "t") == "Meta"
    assert dtdl.label({}, "t") == "t"


def test_a_document_may_begin_with_a_mark_and_be_an_array_of_interfaces() -> None:
    other = {**interface(), "@id": "dtmi:com:example:Other;1"}
    model = parse_model([("d", b"\xef\xbb\xbf" + json.dumps([interface(telemetry()), other]).encode())])
    assert model.top_level == (ID, "dtmi:com:example:Other;1")


def test_words_may_be_written_as_identifiers() -> None:
    model = parsed(
        {
            "@context": V2,
            "@id": ID,
            "@type": "dtmi:dtdl:class:Interface;2",
            "dtmi:dtdl:property:contents;2": [telemetry(schema="dtmi:dtdl:instance:Schema:long;2")],
        }
    )
    assert model.interfaces[ID].contents == (dtdl.Telemetry(name="t", schema=dtdl.Standard("long")),)


def test_what_is_missing_or_unknown_is_allowed_when_asked_for() -> None:
    partial = interface(telemetry(), extends="dtmi:com:example:Base;1", context=[V2, "dtmi:foreign:context;1"])
    assert rules(partial) == {"ClassInterfacePropertyExtendsDependentReference"}
    model = parsed(partial, allow_missing=True)
    assert model.missing == {"dtmi:com:example:Base;1"}
    assert model.unknown_contexts == {"dtmi:foreign:context;1"}
    assert [each.name for each in model.contents(ID)] == ["t"]
    assert rules(partial, allow_missing=True, allow_unknown_contexts=False) == {"ContextDefinedLanguageExtension"}
    minor = parsed(interface(telemetry(), context=[V3, "dtmi:foreign:context;1.1"]))  # DTDL 3 has minor versions
    assert minor.unknown_contexts == {"dtmi:foreign:context;1.1"}


# Where a fault is ---------------------------------------------------------------------------------------------


def test_a_fault_names_document_line_element_and_rule_and_all_come_at_once() -> None:
    text = json.dumps(interface(telemetry("1st"), property_("p", {"@type": "Objekt"}), telemetry("_x")), indent=1)
    with pytest.raises(ModelError) as caught:
        parse_model([("pump.json", text.encode())])
    (where1, what1), (where2, what2), (where3, _) = caught.value.faults
    assert where1 == f"pump.json, line {_line(text, '1st')}, contents[0].name"
    assert "got '1st' (DTDL v2, ClassTelemetryPropertyNamePattern)" in what1
    assert where2 == f"pump.json, line {_line(text, 'Objekt')}, contents[1].schema"
    assert "ClassArrayTypeIncludesMaterial" in what2 or "TypeIncludesMaterial" in what2
    assert where3 == f"pump.json, line {_line(text, '_x')}, contents[2].name"
    assert caught.value.code == "model.invalid"
    assert caught.value.message.endswith("and 2 more")


def _line(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_faults_are_bounded_and_counted() -> None:
    with pytest.raises(ModelError) as caught:
        parsed(interface(*[telemetry(f"{n}") for n in range(250)]))
    assert len(caught.value.faults) == MAX_FAULTS
    assert caught.value.count == 250


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: expected a JSON value, got the end"),
        (b'{\n "a": 1,\n "a": 2}', r"line 3: expected each name once"),
        (b'{\n\n"a": tru}', "line 3: expected a JSON value"),
        (b"{} x", "end of the document"),
        (b'{"a": 01}', "expected ','"),
        (b'{"a": 1e999}', "within a double"),
        (b'{"a": ' + b"9" * 5000 + b"}", "at most 64 characters"),
        (b'{"a": "\x01"}', "text in double quotes"),
        (b'{"a": "\\ud800"}', "lone surrogates"),
        (b'{"a": "\\x"}', "escapes"),
        (b'\n{"a": "\xff"}', "line 2: expected UTF-8, got the byte 0xff"),
        (b"[" * 200, "at most 100 levels"),
        (b" " * (9 << 20), "at most"),
    ],
)
def test_text_that_is_no_json_is_refused_with_its_line(content: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_model([("d", content)])


# Rules (the specification's own cases are in tests/conformance/test_dtdl_specification.py) ---------------------


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ([1], "RootArrayOrObj"),
        ({"@id": ID, "@type": "Interface"}, "TopLevelDtdlContext"),
        (interface(context="http://azureiot.com/v1/contexts/IoTModel.json"), "TopLevelDtdlContext"),
        (interface(context="dtmi:dtdl:context;4"), "TopLevelDtdlContext"),
        (interface(context=["dtmi:x:context;1", V2]), "ContextDtdlPrecedesOrOnly"),
        (interface(telemetry(**{"@context": [V2, CENTRAL, V2]})), "ContextDtdlPrecedesOrOnly"),
        (interface(telemetry(**{"@context": "dtmi:foo:bar;1.1"})), "ContextDtmiWithVersion"),
        ({**interface(context=[V2, CENTRAL]), "@id": "dtmi:iotcentral:mine;1"}, "DtmiReservedPrefixes"),
        ({**interface(), "@id": "dtmi:com:example:Pump"}, "ClassInterfaceIdIsDtmi"),
        ({**interface(), "@id": "dtmi:" + "x" * 130 + ";1"}, "ClassInterfaceIdLong"),
        ({**interface(), "@id": "dtmi:dtdl:mine;1"}, "DtmiReservedPrefixes"),
        ({**interface(), "@type": "CapabilityModel"}, "ClassInterfaceTypeIncludesMaterial"),
        ({**interface(), "displayName": "x" * 65}, "ClassInterfacePropertyDisplayNameStringLength"),
        ({**interface(), "displayName": {"english": "x"}}, "LocalizableStringObjectMemberNameRegex"),
        ({**interface(), "extra": 1}, "ClassInterfacePropertyFormallyUndefinedTerm"),
        (interface(telemetry("x" * 65)), "ClassTelemetryPropertyNameStringLength"),
        (interface(telemetry(), property_("t")), "ClassPropertyPropertyNameUniqueAmongInterfaceContents"),
        (interface({"@type": "Telemetry", "name": "t"}), "ClassTelemetryRequiredProperties"),
        (interface(telemetry(schema="number")), "ClassTelemetryPropertySchemaElement"),
        (interface(telemetry(unit="kelvin")), "ClassTelemetryPropertyFormallyIrrelevantDtmiOrTerm"),
        (interface({**telemetry(), "@type": ["Telemetry", "Temperature"]}), "ClassTelemetryCotypePropertyPresent"),
        (
            interface({**telemetry(unit="metre"), "@type": ["Telemetry", "Temperature"]}),
            "ClassTelemetryCotypePropertyValueMatchesCotype",
        ),
        (
            interface({**telemetry(unit="smoots"), "@type": ["Telemetry", "Length"]}),
            "ClassTelemetryCotypePropertyValueFromTable",
        ),
        (
            interface({**telemetry(schema="string", unit="kelvin"), "@type": ["Telemetry", "Temperature"]}),
            "ClassTelemetryCotypeRequiresPropertySchemaValue",
        ),
        (interface(telemetry(schema=nested(6))), "ClassArrayPropertiesElementSchemaSchemaMaxDepth"),
        (interface(property_(schema=nested(1))), "ClassPropertyPropertySchemaTypeConformance"),
        (interface(property_(schema="point")), "ClassPropertyPropertySchemaImpliedExclusion"),
        (
            interface(property_(schema={"@type": "Object", "fields": {"name": "f", "schema": nested(1)}})),
            "ClassPropertyPropertiesSchemaExcludeArray",
        ),
        (interface(*[telemetry(f"t{n}") for n in range(301)]), "ClassInterfacePropertyContentsMaxCount"),
        (interface(extends=[ID]), "NoPathToSelf"),
        (interface({"@type": "Component", "name": "c", "schema": ID}), "NoPathToSelf"),
        (
            interface(telemetry(schema={"@type": "Enum", "valueSchema": "integer", "enumValues": []})),
            "ClassEnumPropertyEnumValuesMinCount",
        ),
        (
            interface(
                telemetry(
                    schema={
                        "@type": "Enum",
                        "valueSchema": "string",
                        "enumValues": [{"name": "a", "enumValue": "x"}, {"name": "b", "enumValue": "x"}],
                    }
                )
            ),
            "ClassEnumValuePropertyEnumValueUniqueAmongEnumEnumValues",
        ),
        (
            interface({**telemetry(schema="string"), "@type": ["Telemetry", "State"]}, context=[V2, CENTRAL]),
            "ClassTelemetryCotypeRequiresPropertySchemaValue",
        ),
        (
            interface({**telemetry(), "@type": ["Telemetry", "AccelerationVector"]}, context=[V2, CENTRAL]),
            "ClassTelemetryCotypeRequiresPropertySchemaValue",
        ),
        (interface(telemetry(schema="geopoint")), "ClassTelemetryPropertySchemaElement"),
        (interface({"@type": "Relationship", "name": "r", "maxMultiplicity": 501}), "ClassRelationshipPropertyMaxMultiplicityMaxValue"),
    ],
)  # fmt: skip
def test_a_broken_rule_has_the_specifications_name(document: Any, rule: str) -> None:
    assert rule in rules(document)


def test_shadowing_an_inherited_name_is_refused_and_a_diamond_is_not() -> None:
    base = {**interface(telemetry("base")), "@id": "dtmi:com:example:Base;1"}
    left = {**interface(extends="dtmi:com:example:Base;1"), "@id": "dtmi:com:example:Left;1"}
    right = {**interface(extends="dtmi:com:example:Base;1"), "@id": "dtmi:com:example:Right;1"}
    both = interface(telemetry("own"), extends=["dtmi:com:example:Left;1", "dtmi:com:example:Right;1"])
    assert [each.name for each in parsed(base, left, right, both).contents(ID)] == ["own", "base"]
    shadow = interface(telemetry("base"), extends="dtmi:com:example:Base;1")
    assert rules(shadow, base) == {"ClassTelemetryPropertyNameUniqueAmongInterfaceContents"}


@pytest.mark.parametrize(("levels", "is_fine"), [(10, True), (11, False)])
def test_extends_is_ten_levels_deep_at_most(levels: int, is_fine: bool) -> None:
    chain = [
        {"@context": V2, "@id": f"dtmi:a:b{n};1", "@type": "Interface", "extends": f"dtmi:a:b{n + 1};1"}
        for n in range(levels)
    ]
    chain.append({"@context": V2, "@id": f"dtmi:a:b{levels};1", "@type": "Interface"})
    if is_fine:
        assert len(parsed(chain).interfaces) == levels + 1
    else:
        assert rules(chain) == {"ClassInterfacePropertiesExtendsMaxDepth"}


def test_a_component_has_no_component_inside() -> None:
    inner = {**interface(), "@id": "dtmi:com:example:Inner;1"}
    outer = {
        **interface({"@type": "Component", "name": "c", "schema": "dtmi:com:example:Inner;1"}),
        "@id": "dtmi:com:example:Outer;1",
    }
    whole = interface({"@type": "Component", "name": "o", "schema": "dtmi:com:example:Outer;1"})
    assert len(parsed(inner, outer).interfaces) == 2
    assert rules(inner, outer, whole) == {"ClassComponentPropertiesSchemaContentsExcludeComponent"}


def test_version_3_differs_where_its_changes_say() -> None:
    many = [telemetry(f"t{n}") for n in range(301)]
    array = property_("a", nested(1))
    empty = telemetry("e", {"@type": "Object"})
    assert len(parsed(interface(*many, array, empty, context=V3)).contents(ID)) == 303
    assert parsed({**interface(context=V3), "@id": "dtmi:com:example:Pump;1.2"}).top_level
    assert parsed({**interface(context=V3), "@id": "dtmi:com:example:Pump"}).top_level
    measured = {**telemetry(unit="kelvin"), "@type": ["Telemetry", "Temperature"]}
    assert rules(interface(measured, context=V3)) >= {"ClassTelemetryTypeIncludesUndefinedTerm"}
    assert parsed(interface(measured, context=[V3, QUANTITIES])).contents(ID)[0].types == ("Temperature",)
    older = {**interface(telemetry("old")), "@id": "dtmi:com:example:Old;1"}
    assert parsed(interface(extends="dtmi:com:example:Old;1", context=V3), older).contents(ID)
    newer = {**interface(context=V3), "@id": "dtmi:com:example:New;1"}
    assert rules(interface(extends="dtmi:com:example:New;1"), newer) == {"ClassInterfacePropertyExtendsTypeConformance"}


def test_hostile_chains_cost_no_recursion() -> None:
    schemas = [
        {"@id": f"dtmi:a:s{n};1", "@type": "Array", "elementSchema": f"dtmi:a:s{n + 1};1" if n < 3000 else "double"}
        for n in range(3001)
    ]
    assert rules(interface(schemas=schemas)) == {"ClassArrayPropertiesElementSchemaSchemaMaxDepth"}
    ring = [
        {"@context": V2, "@id": f"dtmi:a:r{n};1", "@type": "Interface", "extends": f"dtmi:a:r{(n + 1) % 3000};1"}
        for n in range(3000)
    ]
    assert rules(ring) == {"NoPathToSelf"}
