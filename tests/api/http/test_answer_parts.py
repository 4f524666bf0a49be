# SPDX-License-Identifier: Apache-2.0
"""A large answer is written in parts, between which the server waits for its peer."""

from __future__ import annotations

import pytest

from armillary.api.http.callers import PART_BYTES, _parts

SIZES = [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 3 * PART_BYTES + 7]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [False, True])
def test_the_parts_are_the_body_and_the_last_says_what_it_said(size: int, more: bool) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    parts = list(_parts({"type": "http.response.body", "body": body[:size], "more_body": more}))
    assert b"".join(part["body"] for part in parts) == body[:size]
    assert all(part["type"] == "http.response.body" and len(part["body"]) <= PART_BYTES for part in parts)
    assert [part["more_body"] for part in parts] == [True] * (len(parts) - 1) + [more]
    assert len(parts) == max(1, -(-size // PART_BYTES))


def test_what_has_no_body_is_passed_on() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": []}
    assert list(_parts(start)) == [start]
