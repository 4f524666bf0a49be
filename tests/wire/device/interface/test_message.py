# SPDX-License-Identifier: Apache-2.0
"""Requests, answers, errors and notifications of the application interface."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from armillary.errors import WireError
from armillary.wire.device.interface import message as messages
from armillary.wire.device.interface.message import MAX_ID, Request, read_request


def test_a_request_is_read() -> None:
    found = read_request({"id": 0, "method": "storage.usage", "parameters": {"a": 1}})
    assert found == Request(id=0, method="storage.usage", parameters={"a": 1})
    assert read_request({"id": MAX_ID, "method": "describe"}).parameters == {}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({}, "request id"),
        ({"id": True, "method": "a"}, "request id"),
        ({"id": -1, "method": "a"}, "request id"),
        ({"id": MAX_ID + 1, "method": "a"}, "request id"),
        ({"id": 1.0, "method": "a"}, "request id"),
        ({"id": 1}, "request method"),
        ({"id": 1, "method": 2}, "request method"),
        ({"id": 1, "method": "Storage.Usage"}, "request method"),
        ({"id": 1, "method": "a.b.c.d"}, "request method"),
        ({"id": 1, "method": "a\n"}, "request method"),
        ({"id": 1, "method": "a", "parameters": []}, "request parameters"),
        ({"id": 1, "method": "a", "parameters": None}, "request parameters"),
        ({"id": 1, "method": "a", "\ud800": 1}, "request"),
    ],
)
def test_everything_else_is_refused(message: dict[str, Any], said: str) -> None:
    with pytest.raises(WireError, match=f"^{said}: expected "):
        read_request(message)


def test_what_the_device_says() -> None:
    assert messages.answer(7, {"a": 1}) == {"id": 7, "result": {"a": 1}}
    assert messages.answer(7, {}, descriptors=2) == {"id": 7, "result": {}, "descriptors": 2}
    refused = messages.refusal(7, errno.EACCES, "no", remedy="Ask.", named="a.b", error_id=2097182)
    assert refused == {
        "id": 7,
        "error": {
            "errno": 13, "name": "EACCES", "message": "no", "remedy": "Ask.", "code": "a.b", "error_id": 2097182,
        },
    }  # fmt: skip
    assert messages.refusal(None, 9999, "x" * 600)["error"] == {"errno": 9999, "name": "9999", "message": "x" * 500}
    assert messages.notification("update", {"state": "pending"}) == {"event": "update", "data": {"state": "pending"}}
    assert messages.notification("update", {}, lost=3)["lost"] == 3
