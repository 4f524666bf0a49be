# SPDX-License-Identifier: Apache-2.0
"""The JSON form of findings."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from armillary.errors import WireError
from armillary.wire.device.finding import KINDS, Finding, from_json, to_json

FINDING = Finding(
    finding_id=UUID(int=1),
    fingerprint="f",
    kind="proof-replayed",
    severity="high",
    title="t",
    cause="c",
    device_ids=("a", "b"),
    device_count=2,
    proposed_action="p",
    status="open",
    count=3,
    first_seen=1,
    last_seen=2,
    image_id=UUID(int=2),
)


def test_round_trip_through_json_text() -> None:
    assert from_json(json.loads(json.dumps(to_json(FINDING)))) == FINDING


@pytest.mark.parametrize(
    "change",
    [
        {"severity": "terrible"},
        {"status": "gone"},
        {"kind": "made-up"},
        {"finding_id": None},
        {"finding_id": "nonsense"},
        {"image_id": 5},
        {"count": True},
        {"count": "3"},
        {"device_ids": "ab"},
        {"device_ids": [1]},
        {"title": None},
        {"extra": 1},
    ],
)
def test_what_is_no_finding_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        from_json({**to_json(FINDING), **change})


def test_no_field_may_be_missing() -> None:
    for name in to_json(FINDING):
        document = to_json(FINDING)
        del document[name]
        with pytest.raises(WireError):
            from_json(document)


def test_every_kind_says_what_it_means() -> None:
    assert all(text.endswith(".") for text in KINDS.values())
