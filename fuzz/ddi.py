# SPDX-License-Identifier: Apache-2.0
"""Bodies of hawkBit's DDI: any JSON is feedback, attributes or one clear error; what is taken is bounded."""

from __future__ import annotations

from armillary.api.http.json_body import strict_json
from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.hawkbit.action import EVENTS, cancel_event_of, event_of
from armillary.wire.hawkbit.config_data import MAX_ATTRIBUTES, applied, parse_config_data
from armillary.wire.hawkbit.feedback import MAX_MESSAGE_CHARS, MAX_MESSAGES, parse_feedback

FEEDBACK = (
    b'{"id": 7, "time": "20261127T101500", "status": {"result": {"progress": {"cnt": 1, "of": 3}, "finished": "none"},'
    b' "execution": "proceeding", "code": 200, "details": [ "Installing.", "\\u001b[2J" ]}}'
)


def seeds() -> list[bytes]:
    return [FEEDBACK, b'{"mode": "merge", "data": {"hw": "2", "kernel": "6.12"}}']


def fuzz(data: bytes) -> None:
    try:
        document = strict_json(data)
    except (ValueError, RecursionError):
        return
    try:
        said = parse_feedback(document)
    except WireError:
        pass
    else:
        assert event_of(said) in EVENTS
        assert cancel_event_of(said) in EVENTS
        assert len(said.messages) <= MAX_MESSAGES
        assert all(each.isprintable() and len(each) <= MAX_MESSAGE_CHARS for each in said.messages)
    try:
        assert len(applied(parse_config_data(document), {"a": "b"})) <= MAX_ATTRIBUTES
    except (WireError, InvalidArgumentError):
        return
