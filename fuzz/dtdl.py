# SPDX-License-Identifier: Apache-2.0
"""DTDL: any bytes are a model or a ModelError that names document, rule and fault; what is accepted has names."""

from __future__ import annotations

import json
import random

from armillary.errors import ModelError
from armillary.wire.dtdl.fault import MAX_FAULTS
from armillary.wire.dtdl.model import parse_model
from fuzz.harness import edited


def seeds() -> list[bytes]:
    interface = {
        "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
        "@id": "dtmi:com:example:Pump;1",
        "@type": "Interface",
        "displayName": {"en": "Pump", "de": "Pumpe"},
        "extends": {"@id": "dtmi:com:example:Base;1", "@type": "Interface", "comment": "base"},
        "contents": [
            {"@type": ["Telemetry", "Temperature"], "name": "t", "schema": "double", "unit": "kelvin"},
            {"@type": ["Property", "Location"], "name": "where", "schema": "geopoint", "writable": True},
            {"@type": "Command", "name": "go", "request": {"name": "how", "schema": "dtmi:com:example:Way;1"}},
            {"@type": "Relationship", "name": "to", "maxMultiplicity": 3, "target": "dtmi:com:example:Pump;1"},
            {"@type": "Component", "name": "part", "schema": "dtmi:com:example:Base;1"},
            {"@type": ["Telemetry", "NumberValue"], "name": "n", "schema": "integer", "minValue": 1},
        ],
        "schemas": [
            {
                "@id": "dtmi:com:example:Way;1",
                "@type": "Enum",
                "valueSchema": "integer",
                "enumValues": [{"name": "on", "enumValue": 1}, {"name": "off", "enumValue": 2}],
            },
            {
                "@id": "dtmi:com:example:Deep;1",
                "@type": "Object",
                "fields": {
                    "name": "f",
                    "schema": {
                        "@type": "Map",
                        "mapKey": {"name": "k", "schema": "string"},
                        "mapValue": {"name": "v", "schema": {"@type": "Array", "elementSchema": "point"}},
                    },
                },
            },
        ],
    }
    newer = {**interface, "@context": ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"]}
    return [
        json.dumps(interface).encode(),
        b"\xef\xbb\xbf" + json.dumps([newer], indent=1).encode(),
        b'{"@context":"dtmi:dtdl:context;2","@id":"dtmi:a:b;1","@type":"Interface","extends":"dtmi:a:b;1"}',
        b"[" * 3000,
        b'{"a":1,"a":2}',
        b'"\\ud800"',
    ]


ODD = (
    None, True, 0, -1, 2**31, 1.5, "", "x", "x_", "Enum", "Telemetry", "double", "point", "dtmi:a:b;1", "dtmi:a:b;01",
    "dtmi:com:example:Way;1", "dtmi:com:example:Pump;1", "dtmi:com:example:Deep;1", "dtmi:dtdl:context;3", "x" * 600,
    [], {}, ["x"], {"@value": 1}, {"@value": "x", "@type": "xsd:string"}, {"en": "x"},
    {"@type": "Object", "fields": []},
)  # fmt: skip


def edited_model(data: bytes) -> bytes:
    """A model with a few of its values replaced or added, as ``data`` says."""
    source = random.Random(data)
    document = json.loads(seeds()[0])
    if source.random() < 0.5:
        document["@context"] = ["dtmi:dtdl:context;3", "dtmi:dtdl:extension:quantitativeTypes;1"]
    names = ("@type", "@id", "name", "schema", "extends", "contents", "unit", "odd")
    return json.dumps(edited(document, ODD, source, edits=4, names=names)).encode()


def fuzz(data: bytes) -> None:
    judge(data)
    judge(edited_model(data))


def judge(data: bytes) -> None:
    error: ModelError | None = None
    try:
        model = parse_model([("input", data)])
    except ModelError as caught:
        error = caught
    if error is not None:
        assert 1 <= len(error.faults) <= MAX_FAULTS
        assert error.count >= len(error.faults)
        assert all(where.startswith("input") and what.startswith("expected") for where, what in error.faults)
        return
    for name in model.top_level:
        for content in model.contents(name):
            assert content.name.isascii()
            assert len(content.name) <= 512
