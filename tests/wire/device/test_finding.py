# SPDX-License-Identifier: Apache-2.0
"""The JSON form of findings."""

from __future__ import annotations

import dataclasses
import json
from uuid import UUID

from armillary.wire.device.finding import KINDS, Finding, to_json

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


def test_the_json_form_has_texts_lists_and_numbers() -> None:
    document = to_json(FINDING)
    assert json.loads(json.dumps(document)) == document
    ids = {name: str(getattr(FINDING, name)) for name in ("finding_id", "image_id")}
    assert document == {name: getattr(FINDING, name) for name in document} | ids | {"device_ids": ["a", "b"]}
    assert set(document) == {each.name for each in dataclasses.fields(Finding)}


def test_every_kind_says_what_it_means() -> None:
    assert all(text.endswith(".") for text in KINDS.values())
