# SPDX-License-Identifier: Apache-2.0
"""Times and nothing, as people read them."""

from __future__ import annotations

from armillary.cli.terminal.readable import readable


def test_times_are_written_out_and_the_rest_is_left_alone() -> None:
    shown = readable(
        {"at": 0, "created_at": 1_700_000_000, "at_ms": 1_700_000_000_123, "count": 3, "yes": True, "seen_at": None}
    )
    assert shown == {
        "at": "1970-01-01T00:00:00Z",
        "created_at": "2023-11-14T22:13:20Z",
        "at_ms": "2023-11-14T22:13:20.123Z",
        "count": 3,
        "yes": True,
        "seen_at": None,
    }


def test_an_empty_text_is_nothing() -> None:
    assert readable({"reason": ""}) == {"reason": None}
