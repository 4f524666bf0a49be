# SPDX-License-Identifier: Apache-2.0
"""Our tables of DTDL against the published metamodel, and published models through our reader."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.foreign_vectors import VECTORS, needs

from armillary.wire.dtdl import tables
from armillary.wire.dtdl.model import parse_model
from armillary.wire.dtdl.units import SEMANTIC_TYPES, UNITS

METAMODEL, MODELS = VECTORS / "dtdl" / "metamodel", VECTORS / "dtdl" / "models"
CHECKOUT = Path(os.environ.get("ARMILLARY_DTDL_DIR") or "/nonexistent") / "DTDL"

vectors_only = needs(METAMODEL)
checkout_only = pytest.mark.skipif(
    not CHECKOUT.is_dir(),
    reason="the metamodel's constraints are absent: set ARMILLARY_DTDL_DIR to a checkout of Azure/opendigitaltwins-dtdl",
)

# Named there by identifiers of published models that are not among the vectors.
ELSEWHERE = {"dtmi:azure:iot:deviceUpdateContractModel;1", "dtmi:azure:iot:deviceUpdateContractModel;2"}


def loaded(path: Path) -> Any:
    return json.loads(path.read_text("utf-8-sig"))


def terms(path: Path) -> dict[str, str]:
    """Term -> identifier, of a context."""
    document = loaded(path)
    found = document.get("@context", document)
    pairs = {
        term: value["@id"] if isinstance(value, dict) else value for term, value in found.items() if ":" not in term
    }
    return {term: identifier for term, identifier in pairs.items() if identifier.startswith("dtmi:")}


@vectors_only
@pytest.mark.parametrize("version", tables.VERSIONS)
def test_words_are_those_of_the_published_context(version: int) -> None:
    found = terms(METAMODEL / f"DTDL.v{version}.context.json")
    assert set(found) == tables.RESERVED[version]
    classes = {term for term, identifier in found.items() if identifier.startswith("dtmi:dtdl:class:")}
    assert set(tables.CLASSES[version]) <= classes
    instances = [term for term, identifier in found.items() if identifier.startswith("dtmi:dtdl:instance:Schema:")]
    assert sorted(instances) == sorted(tables.PRIMITIVES)
    geospatial = [
        term for term, identifier in found.items() if identifier.startswith("dtmi:standard:schema:geospatial:")
    ]
    assert sorted(geospatial) == sorted(tables.GEOSPATIAL)


@vectors_only
def test_semantic_types_and_units_are_those_of_the_published_context() -> None:
    found = terms(METAMODEL / "DTDL.v2.context.json")
    units = {term for term, identifier in found.items() if identifier.startswith("dtmi:standard:unit:")}
    assert set().union(*UNITS[2].values()) == units
    classes = {term for term, identifier in found.items() if identifier.startswith("dtmi:standard:class:")}
    helpers = {"RatioUnit", "DecimalUnit", "DecimalPrefix", "BinaryUnit", "BinaryPrefix", "QuantitativeType"}
    assert set(SEMANTIC_TYPES[2]) | set(UNITS[2]) == classes - helpers
    assert all(
        unit_type in UNITS[version] for version in tables.VERSIONS for unit_type in SEMANTIC_TYPES[version].values()
    )


@vectors_only
def test_the_iot_central_extension_is_the_published_one() -> None:
    found = loaded(METAMODEL / "DTDL.v2.iotcentral.context.json")
    assert set(found) == {*tables.IOT_CENTRAL_TYPES, *tables.IOT_CENTRAL_SCHEMAS}
    for element in loaded(METAMODEL / "DTDL.v2.PartnerExtension.iotcentral.Elements.json"):
        name = element["@id"].rsplit(":", 1)[1].partition(";")[0]
        assert tuple(field["name"] for field in element["fields"]) == tables.IOT_CENTRAL_SCHEMAS[name]
        assert {field["schema"] for field in element["fields"]} == {"double"}


@vectors_only
@pytest.mark.parametrize("version", tables.VERSIONS)
def test_model_elements_are_known(version: int) -> None:
    known = {*tables.PRIMITIVES, *tables.GEOSPATIAL, "asynchronous", "synchronous"}
    for element in loaded(METAMODEL / f"DTDL.v{version}.ModelElements.json"):
        assert element["@id"].rsplit(":", 1)[1].partition(";")[0] in known | set(tables.CLASSES[version])


@checkout_only
@pytest.mark.parametrize("version", tables.VERSIONS)
def test_members_and_limits_are_those_of_the_published_constraints(version: int) -> None:
    graph = loaded(CHECKOUT / f"v{version}" / "metamodel" / f"DTDL.v{version}.ModelRDF-SHACL.json")["@graph"]
    shapes = {node["@id"].rsplit(":", 1)[1].partition(";")[0]: node for node in graph if ":class:" in node["@id"]}
    compared = 0
    for kind, table in tables.CLASSES[version].items():
        constraints: dict[str, dict[str, Any]] = {}
        above: str | None = kind
        while above is not None and above in shapes:
            for constraint in shapes[above].get("sh:property", []):
                constraints.setdefault(_last(constraint["sh:path"]), constraint)
            parent = shapes[above].get("rdfs:subClassOf")
            above = None if parent is None else _last(parent if isinstance(parent, str) else parent[0])
        for name, member in table.items():
            constraint = constraints[name]
            assert (constraint.get("sh:minCount", 0) >= 1) == member.is_required, (kind, name)
            if "sh:maxLength" in constraint:
                assert constraint["sh:maxLength"] == member.max_characters, (kind, name)
            if member.kind is tables.Kind.ELEMENTS and kind != "Interface":
                assert constraint.get("sh:maxCount") == member.maximum, (kind, name)
            compared += 1
    assert compared > 80
    if version == 2:
        interface = shapes["Interface"]
        contents, extends, _ = interface["sh:property"]
        assert contents["sh:maxCount"] == tables.MAX_CONTENTS_2
        assert extends["sh:maxCount"] == tables.CLASSES[2]["Interface"]["extends"].maximum
        assert interface["dtmm:identifier"]["sh:maxLength"] == tables.MAX_INTERFACE_ID_CHARACTERS
        assert interface["dtmm:descendants"][0]["dtmm:maxDepth"] == tables.MAX_EXTENDS_DEPTH


@checkout_only
def test_quantitative_types_are_those_of_the_published_extension() -> None:
    found = terms(CHECKOUT / "v3" / "context" / "DTDL.FeatureExtension.quantitativeTypes.v1.context.json")
    units = {term for term, identifier in found.items() if ":v1:unit:" in identifier}
    assert set().union(*UNITS[3].values()) == units
    shapes = loaded(CHECKOUT / "v3" / "metamodel" / "DTDL.FeatureExtension.quantitativeTypes.v1.RDF-SHACL.json")[
        "@graph"
    ]
    types = {
        _last(shape["@id"]): shape["sh:property"][0]["dtmm:childOf"]
        for shape in shapes
        if shape.get("rdfs:subClassOf") == "QuantitativeType"
    }
    assert types == SEMANTIC_TYPES[3]


@vectors_only
def test_every_published_model_imports() -> None:
    files = sorted(MODELS.glob("**/*.json"))
    assert len(files) >= 33
    documents = [(str(path.relative_to(MODELS)), path.read_bytes()) for path in files]
    model = parse_model(documents, allow_missing=True)
    assert model.missing == ELSEWHERE
    assert len(model.top_level) == len(files)
    names = {content.name for content in model.contents("dtmi:com:example:TemperatureController;2")}
    assert {"thermostat1", "thermostat2", "deviceInformation", "reboot", "workingSet"} <= names


def _last(name: str) -> str:
    return name.rsplit(":", 1)[-1].partition(";")[0]
