# SPDX-License-Identifier: Apache-2.0
"""The check-ins that arrive in one turn of the loop are judged together and stay apart."""

from __future__ import annotations

import pytest

from armillary.errors import RevokedDeviceError
from armillary.service.endpoint import connection as endpoint_connection
from armillary.sim.device.service_host import ServiceHost


def test_a_bug_that_one_request_finds_ends_its_connection_and_no_others(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = host.service.serving.server.endpoint
    assert endpoint is not None
    running = endpoint._check_ins
    unlucky, refused, served = (endpoint_connection.DeviceConnection(endpoint) for _ in range(3))
    ended: list[tuple[str, object]] = []
    names = {unlucky: "unlucky", refused: "refused", served: "served"}
    kind = endpoint_connection.DeviceConnection
    monkeypatch.setattr(kind, "abort", lambda one: ended.append((names[one], "aborted")))
    monkeypatch.setattr(kind, "fail", lambda one, error: ended.append((names[one], error.code)))

    def check_in(connection: endpoint_connection.DeviceConnection, body: bytes, now: int) -> None:
        if connection is unlucky:
            raise RuntimeError("a bug")
        if connection is refused:
            raise RevokedDeviceError("revoked")
        ended.append((names[connection], (body, now)))

    monkeypatch.setattr(running, "_check_in", check_in)
    running._arrived = [(unlucky, b"", 1), (refused, b"", 1), (served, b"body", 1)]
    running._judge()
    assert ended == [("unlucky", "aborted"), ("refused", "device.revoked"), ("served", (b"body", 1))]
    assert running._arrived == []
