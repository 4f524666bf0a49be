# SPDX-License-Identifier: Apache-2.0
"""HEAD is answered as GET is, by the same rights, without a body."""

from __future__ import annotations

import re

import pytest
from tests.api.running_service import RunningService

from armillary.api.app import SHAPES
from armillary.api.http import route as rows
from armillary.api.http.callers import MAX_STREAMS_OF_CALLER

READ = sorted(row.path for row in SHAPES.routes.values() if row.method == "GET")


@pytest.mark.parametrize("path", READ)
def test_who_is_refused_get_is_refused_head_alike(service: RunningService, path: str) -> None:
    address = re.sub(r"\{\w+(:path)?\}", "1", path)
    shown = service.call("GET", address, token=None, headers={"X-Forwarded-For": "8.8.8.8"})
    head = service.call("HEAD", address, token=None, headers={"X-Forwarded-For": "8.8.8.8"})
    assert (head.status, head.raw) == (shown.status, b""), address


def test_what_is_public_or_for_this_host_needs_no_token(service: RunningService) -> None:
    for address in ("/api/v1/health", "/metrics"):
        shown, head = service.call("GET", address, token=None), service.call("HEAD", address, token=None)
        assert (shown.status, head.status, head.raw) == (200, 200, b"")
        assert head.headers["content-type"] == shown.headers["content-type"]
    assert {row.role for row in SHAPES.routes.values() if row.path in ("/api/v1/health", "/metrics")} == {
        rows.PUBLIC,
        rows.SCRAPE,
    }


def test_head_has_the_headers_of_get_and_is_refused_where_get_is(service: RunningService) -> None:
    shown, head = service.call("GET", "/api/v1/me"), service.call("HEAD", "/api/v1/me")
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-length"] == shown.headers["content-length"] == str(len(shown.raw))
    assert service.call("HEAD", "/api/v1/nowhere").status == 404
    refused = service.call("HEAD", "/api/v1/factory/tpm-challenges")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_nothing_of_another_catalog_is_told(service: RunningService) -> None:
    service.make_catalog("head-mine")
    service.make_catalog("head-theirs")
    token = service.service.tokens.create("head", "Reader", actor="test", catalog="head-mine").secret
    for catalog, status in (("head-mine", 200), ("head-theirs", 404)):
        for method in ("GET", "HEAD"):
            answer = service.call(method, f"/api/v1/devices?catalog={catalog}", token=token)
            assert answer.status == status, (method, catalog)


def test_head_of_a_stream_ends_and_takes_no_place(service: RunningService) -> None:
    service.make_catalog("head-live")
    device = service.make_device().device_id
    service.service.registry.devices.claim("head-live", [device], actor="test")
    address = f"/api/v1/devices/{device}/telemetry/stream"
    for _ in range(2 * MAX_STREAMS_OF_CALLER):
        answer = service.call("HEAD", address)
        assert (answer.status, answer.raw) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")
