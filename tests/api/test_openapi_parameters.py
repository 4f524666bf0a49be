# SPDX-License-Identifier: Apache-2.0
"""The description states what is accepted: no parameter that fits it is refused as one that cannot be."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from tests.api.running_service import RunningService
from tests.fixtures.effort import effort

# Whatever of these a schema allows is sent: names in every spelling, and what only looks like one.
TEXTS = (
    "", "a", "A", "-", "_", ".", "..", "*", "%", "é", "日本", " ", "a b", " a", "a\n", "a/b", "a:b", "a,b", "'", '"', "\\",
    "0", "1", "-1", "1.5", "00", "a-b", "a_b", "-a", "a-", "a.b", "$top", "dtmi:a;1", "all", "null", "true", "abc", "ab",
    "0" * 8, "f" * 24, "0" * 40, "a" * 50, "a" * 51, "a" * 64, "0" * 65, "a" * 128, "a" * 129, "0" * 200, "f" * 256, "a" * 300, "a" * 1024,
    "Contoso", "2026-11-27", "2026-11-27T09:00:00Z", "MA==", "eyJhIjoxfQ==", "1_2", "1~2",
    str(uuid.UUID(int=7)), "0" * 128, "0" * 32, "VR-AAAA-BBBB-CCCC",
)  # fmt: skip
# Of a parameter that was met on another route: so many in a row, and one in so many of the rest.
SAMPLES, SPREAD = 2, effort(64, 16)
NUMBERS = (-(2**63), -1, 0, 1, 2, 100, 1000, 10**6, 10**10, 10**13, 2**53, 2**62, 2**63)


class Sent(NamedTuple):
    """A request, the parameter that it is about and the value that it gives it."""

    about: Mapping[str, Any]
    value: str
    method: str
    target: str


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def samples(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Values that a parameter of this schema may have, as text."""
    schema = resolved(schema, document)
    if "anyOf" in schema:  # what stands beside it holds as well
        beside = {name: value for name, value in schema.items() if name != "anyOf"}
        return [each for one in schema["anyOf"] for each in samples({**beside, **one}, document)]
    if "enum" in schema or "const" in schema:
        return [str(each) for each in schema.get("enum", [schema.get("const")])]
    kind = schema.get("type")
    if kind == "boolean":
        return ["true", "false"]
    if kind == "array":
        return samples(schema["items"], document)
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", -(2**70)))
        most = schema.get("maximum", schema.get("exclusiveMaximum", 2**70))
        return [
            str(each)
            for each in (*NUMBERS, schema.get("minimum", 1), schema.get("maximum", 1))
            if least <= each <= most
        ]
    if schema.get("format") == "uuid":
        return [str(uuid.UUID(int=7)), str(uuid.UUID(int=2**128 - 1))]
    if kind == "string":
        # ECMA's $ is the end, Python's may stand before a last line break.
        fits = re.compile(schema.get("pattern", "").replace("$", r"\Z"))
        low, high = schema.get("minLength", 0), schema.get("maxLength", 10**6)
        return [each for each in TEXTS if low <= len(each) <= high and fits.search(each)]
    return []


def is_bounded(schema: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a schema says which texts, or how long, or how large."""
    schema = resolved(schema, document)
    if "anyOf" in schema:
        beside = {name: value for name, value in schema.items() if name != "anyOf"}
        return all(is_bounded({**beside, **one}, document) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return "maxItems" in schema and is_bounded(schema["items"], document)
    if schema.get("type") in ("integer", "number"):
        return "minimum" in schema and ("maximum" in schema or "exclusiveMaximum" in schema)
    stated = ("enum", "const", "pattern", "maxLength", "format")
    return schema.get("type") == "boolean" or any(each in schema for each in stated)


def requests(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[Sent]:
    """Each parameter in turn with each of its samples, the others with one that fits."""
    parameters = operation.get("parameters", [])
    fitting = {
        one["name"]: next(each for each in samples(one["schema"], document) if each not in ("", ".", ".."))
        for one in parameters
    }
    for about in parameters:
        for value in samples(about["schema"], document):
            place, query = path, []
            for one in parameters:
                text = quote(value if one is about else fitting[one["name"]], safe="")
                if one["in"] == "path":
                    place = place.replace("{" + one["name"] + "}", text)
                elif one["in"] == "query" and (one is about or one["required"]):
                    query.append(f"{one['name']}={text}")
            yield Sent(about, value, method, f"{place}?{'&'.join(query)}" if query else place)


# Thousands of requests.
pytestmark = pytest.mark.timeout(400)


def test_every_parameter_says_what_it_may_be(service: RunningService) -> None:
    document = service.call("GET", "/api/v1/openapi.json", token=None).body
    loose = [
        f"{method} {path}: {one['name']}"
        for method, path, operation in operations(document)
        for one in operation.get("parameters", [])
        if not is_bounded(one["schema"], document)
    ]
    assert loose == []
    texts = [
        one["schema"]
        for _, _, operation in operations(document)
        for one in operation.get("parameters", [])
        if one["in"] == "query" and one["schema"].get("type") == "string" and "enum" not in one["schema"]
    ]
    assert texts
    assert all(one["minLength"] >= 1 for one in texts)  # no text of a query is ever empty (api/http/query.py)


def test_what_fits_the_description_is_not_refused_as_malformed(service: RunningService) -> None:
    """All samples where a parameter of this kind is met first, a few of them on every other route."""
    document = service.call("GET", "/api/v1/openapi.json", token=None).body
    first: dict[str, str] = {}
    met: dict[str, int] = {}
    sent: list[Sent] = []
    for method, path, operation in operations(document):
        if method not in ("GET", "DELETE") or path.endswith("/live"):  # others want a body; a stream does not end
            continue
        for number, one in enumerate(requests(method, path, operation, document)):
            kind = f"{one.about['in']} {one.about['name']} {one.about['schema']}"
            here = f"{method} {path} {kind}"
            met[here] = met.get(here, 0) + 1
            if first.setdefault(kind, here) == here or met[here] <= SAMPLES or number % SPREAD == 0:
                sent.append(one)
    refused = []
    for one in sent:
        reply = service.call(one.method, one.target)
        if reply.status in (400, 422):
            refused.append((one.method, one.target[:120], one.about["name"], reply.body["detail"][:120]))
    assert refused == [], "\n".join(map(str, refused))
    assert len(sent) > 500
    assert service.call("GET", "/api/v1/findings?severity=grave").status == 400  # what does not fit is told apart
    assert service.call("GET", "/api/v1/devices/-").status == 400


def test_a_method_that_a_path_has_not_is_told_which_it_has(service: RunningService) -> None:
    def answer(method: str, path: str) -> tuple[int, str | None]:
        reply = service.call(method, path)
        return reply.status, reply.headers.get("allow")

    assert answer("PUT", "/api/v1/releases/corim") == (405, "POST")  # GET is of releases by id, and this is none
    assert answer("PATCH", f"/api/v1/releases/{uuid.UUID(int=0)}") == (405, "GET, HEAD")
    assert answer("PUT", "/api/v1/devices") == (405, "GET, HEAD")
    for path in ("/api/v1/health", "/api/v1/devices", "/metrics"):
        assert answer("TRACE", path) == (405, "GET, HEAD"), path
    assert answer("TRACE", "/api/v1/nothing") == (404, None)


def test_bodies_say_which_of_their_texts_are_base64_and_how_long_a_reason_is(service: RunningService) -> None:
    schemas = service.call("GET", "/api/v1/openapi.json", token=None).body["components"]["schemas"]
    stated = {}
    for name, field in (
        ("CorimBody", "corim"), ("TpmBody", "endorsement_certificate"), ("TpmDeviceBody", "certification"),
        ("TpmDeviceBody", "secret"), ("CloudMessageBody", "body_base64"),
    ):  # fmt: skip
        schema = schemas[name]["properties"][field]
        stated[field] = schema.get("pattern") or next(one.get("pattern") for one in schema["anyOf"])
    (pattern,) = set(stated.values())
    for length in range(1, 8):
        text = base64.b64encode(b"x" * length).decode()
        assert re.search(pattern, text)
        assert not re.search(pattern, text.rstrip("=") + "A" if length % 3 == 0 else text.rstrip("="))
    longest = "x" * schemas["ReasonBody"]["properties"]["reason"]["maxLength"]
    assert service.call("POST", f"/api/v1/rollouts/{uuid.UUID(int=0)}/halt", {"reason": longest}).status == 404
