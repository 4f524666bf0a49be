# SPDX-License-Identifier: Apache-2.0
"""Whatever an authenticated caller sends, the answer is a refusal in the route's own shape, never a crash of ours."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.api.running_service import RunningService
from tests.fixtures.effort import examples

from armillary.api.app import SHAPES
from armillary.api.central import table as central_table
from armillary.api.http.routes import DeferredRoute

ENDLESS = ("/telemetry/stream", "/dashboards/{dashboard_id}/live")
ROUTES = sorted(key for key in SHAPES.routes if "{rest" not in key and not key.endswith(ENDLESS))
# Where an answer of a route's own shape has its words; elsewhere it is a problem document (RFC 9457).
WORDS = {
    "/subscriptions": ("error", "message"),
    "/providers": ("error", "message"),
    "/iothub": ("Message",),
    "/prometheus": ("error",),
    **{f"/api/{noun}": ("error", "message") for noun in central_table.NOUNS},
}
NAMES = st.one_of(
    st.sampled_from(
        [".default", ".unassigned", "Coffee", "Production", "0" * 128, "00000000-0000-0000-0000-000000000000"]
    ),
    st.text(min_size=1, max_size=20),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["properties", "image", "tags", "description", "deployedImages", "deviceIdentifiers", "capabilities", "name", "role",
     "reason", "policy", "image_ids", "desired", "payload", "csr", "chip", "deviceGroupId", "minimum"]
)  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=40),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, st.one_of(JSON, st.dictionaries(FIELDS, JSON, max_size=3)), max_size=4).map(
        lambda value: json.dumps(value).encode()
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(["$top", "$skip", "$maxpagesize", "$skiptoken", "limit", "after", "catalog", "health", "status", "metric",
                     "start_ms", "end_ms", "device", "image", "claimed"]),
    st.one_of(st.text(max_size=20), st.integers().map(str)),
    max_size=4,
)  # fmt: skip


def _filled(template: str, names: list[str]) -> str:
    parts = template.split("/")
    left = iter(names)
    return "/".join(quote(next(left), safe="") if part.startswith("{") else part for part in parts)


def _words(path: str, reply: Any) -> Any:
    """What an answer says was wrong, where its route's own shape has it."""
    if path.startswith("/device-files/"):  # as Put Blob answers
        return re.fullmatch(r"<\?xml .*<Message>(.*)</Message></Error>", reply.raw.decode(), re.DOTALL)[1]
    words = reply.body
    if "/controller/v1/" in path:  # hawkBit's DDI; its addresses begin with a catalog's name
        return words["message"]
    for name in next((names for prefix, names in WORDS.items() if path.startswith(prefix)), ("detail",)):
        words = words[name]
    return words


@settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_hostile_requests_are_refused_or_answered(service: RunningService, data: Any) -> None:
    method, template = data.draw(st.sampled_from(ROUTES)).split(" ", 1)
    path = _filled(template, data.draw(st.lists(NAMES, min_size=8, max_size=8)))
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in data.draw(QUERIES).items())
    body = data.draw(BODIES) if method in ("POST", "PUT", "PATCH") else None
    version = "2022-10-31-preview" if central_table.is_central(path) else "2024-04-01"
    reply = service.call(method, f"{path}?api-version={version}&{query}", body)
    assert reply.status < 500, (method, path, query, body, reply.raw)
    if reply.status >= 400 and method != "HEAD":  # whose answers have no body (RFC 9110 §9.3.2)
        assert _words(path, reply)


def test_the_generated_requests_reach_every_route(service: RunningService) -> None:
    mounted = {f"{m} {r.path}" for r in service.app.routes if isinstance(r, DeferredRoute) for m in r.row.methods}
    mounted |= {key for each in central_table.OPERATIONS for key in each.keys}
    assert set(ROUTES) == {key for key in mounted if "{rest" not in key and not key.endswith(ENDLESS)}


@pytest.mark.parametrize("header", ["Content-Length: -1", "Content-Length: ²", "Transfer-Encoding: chunked, chunked"])
def test_hostile_framing_does_not_crash(service: RunningService, header: str) -> None:
    connection = service.connection()
    connection.connect()
    request = (
        f"POST /api/v1/tokens HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {service.token}\r\n{header}\r\n\r\n"
    )
    connection.sock.sendall(request.encode("latin-1"))
    connection.sock.settimeout(5)
    first = connection.sock.recv(64)
    connection.close()
    assert first.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413", b"HTTP/1.1 501"))
    assert service.call("GET", "/api/v1/health", token=None).status == 200


def test_a_refused_upload_is_answered_as_put_blob_answers(service: RunningService) -> None:
    path = "/device-files/no-such-file"
    reply = service.call("PUT", path, b"x")
    assert (reply.status, _words(path, reply)) == (403, "the address of this upload is not signed by this service")
