# SPDX-License-Identifier: Apache-2.0
"""Device templates: any JSON is a template or an explained error; a template goes out and comes back the same."""

from __future__ import annotations

import json
import random
from typing import Any

from armillary.errors import InvalidArgumentError, ModelError
from armillary.twin.central.template import central_of_body
from armillary.twin.document.document import Twin
from armillary.twin.template.change import differences
from armillary.twin.template.json_form import body_of_documents, parse_template, with_kept
from armillary.twin.template.payload import PayloadTable
from armillary.twin.template.property_state import judge_twin
from armillary.twin.template.template import Template
from fuzz.harness import edited

MODEL = {
    "@context": ["dtmi:dtdl:context;2", "dtmi:iotcentral:context;2"],
    "@id": "dtmi:com:example:Pump;1",
    "@type": "Interface",
    "contents": [
        {"@type": "Telemetry", "name": "flow", "schema": "double"},
        {"@type": ["Property", "Location"], "name": "where", "schema": "geopoint", "writable": True},
        {"@type": ["Property", "Cloud", "StringValue"], "name": "Owner", "schema": "string", "maxLength": 9},
        {
            "@type": "Component",
            "name": "part",
            "schema": {"@id": "dtmi:com:example:Part;1", "@type": "Interface", "contents": []},
        },
    ],
}
BODY = {
    "display_name": "Pump",
    "root": "dtmi:com:example:Pump;1",
    "models": [MODEL],
    "cloud_properties": [
        {"name": "Limit", "schema": "double", "minimum": 0, "initial": 4},
        {"name": "Kind", "schema": {"enum": [{"value": 1, "name": "a"}]}, "trim": False},
    ],
    "views": [{"name": "V", "form": True, "tiles": ["flow", "Limit"]}],
    "labels": {"flow": "Flow"},
}
CENTRAL = {
    "displayName": {"en": "P"},
    "@id": "dtmi:a:t;1",
    "capabilityModel": MODEL,
    "@context": MODEL["@context"],
    "solutionModel": {"cloudProperties": [{"name": "C", "schema": "string", "valueDetail": {"maxLength": 4}}]},
}
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e9, "", "x", "flow", "dtmi:a:b;1", [], {}, [[]], ["x"], {"x": 1}, {"name": "x"}, "x" * 200,
)  # fmt: skip


def seeds() -> list[bytes]:
    return [json.dumps(BODY).encode(), json.dumps(CENTRAL).encode(), b'{"root":1}', b"[" * 500, b"\xef\xbb\xbf{}"]


def fuzz(data: bytes) -> None:
    source = random.Random(data)
    judge_file(data)
    judge_file(json.dumps(edited(source.choice([BODY, CENTRAL]), ODD, source, edits=3)).encode())
    judge_body(edited(BODY, ODD, source, edits=3))


def judge_file(data: bytes) -> None:
    try:
        body = body_of_documents([("input", data)])
    except (InvalidArgumentError, ModelError):
        return
    judge_body(body)


def judge_body(body: Any) -> None:
    try:
        template = parse_template(body)
    except (InvalidArgumentError, ModelError):
        return
    use(template)
    merged, _ = with_kept({name: BODY[name] for name in ("display_name", "root", "models")}, body)
    parse_template(merged)
    out = json.dumps(central_of_body(body, etag="d-1", identifier="dtmi:a:t;1")).encode()
    again = parse_template(body_of_documents([("out", out)]))
    assert not differences(template, again).changed


def use(template: Template) -> None:
    PayloadTable(template).judge({"flow": 1.0, "where.lat": "x", "part.more": True})
    judge_twin(template, Twin(device_id="d"))
