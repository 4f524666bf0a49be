# SPDX-License-Identifier: Apache-2.0
"""Feedback and configuration data: what real clients send, and what is refused, each with the field named."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from armillary.errors import InvalidArgumentError, WireError
from armillary.wire.hawkbit.config_data import MAX_ATTRIBUTES, ConfigData, applied, parse_config_data
from armillary.wire.hawkbit.feedback import MAX_MESSAGE_CHARS, MAX_MESSAGES, Feedback, parse_feedback, visible

# As swupdate and RAUC's updater write them (fields and types; the values are ours).
SWUPDATE = (
    '{"id": 7, "time": "20261127T101500", "status": {"result": {"progress": {"cnt": 1, "of": 3}, "finished": "none"},'
    ' "execution": "proceeding", "details": [ "Installing Update Chunk Artifacts." ]}}'
)
SWUPDATE_WITHOUT_DETAILS = (
    '{"id": 7, "time": "20261127T101500", "status": {"result": {"progress": {"cnt": 0, "of": 0}, "finished": "failure"},'
    ' "execution": "closed", "details": [   ]}}'
)
RAUC = (
    '{"id": "7", "time": "20261127T101500", "status": {"result": {"finished": "success"}, "execution": "closed",'
    ' "details": ["Software bundle installed successfully."]}}'
)


def test_what_real_clients_send() -> None:
    assert parse_feedback(json.loads(SWUPDATE)) == Feedback(
        execution="proceeding", finished="none", messages=("Installing Update Chunk Artifacts.",), progress="1 of 3"
    )
    assert parse_feedback(json.loads(SWUPDATE_WITHOUT_DETAILS)) == Feedback(
        execution="closed", finished="failure", progress="0"
    )
    assert parse_feedback(json.loads(RAUC)).messages == ("Software bundle installed successfully.",)


GOOD: dict[str, Any] = {"status": {"execution": "closed", "result": {"finished": "none"}}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda it: it.pop("status"), "status"),
        (lambda it: it.update(status=[]), "status"),
        (lambda it: it["status"].pop("execution"), "status.execution"),
        (lambda it: it["status"].update(execution="CLOSED"), "status.execution"),
        (lambda it: it["status"].update(execution=["closed"]), "status.execution"),
        (lambda it: it["status"].pop("result"), "status.result"),
        (lambda it: it["status"]["result"].update(finished="yes"), "status.result.finished"),
        (lambda it: it["status"].update(details="text"), "status.details"),
        (lambda it: it["status"].update(details=[1]), "status.details"),
        (lambda it: it["status"].update(details=["x"] * (MAX_MESSAGES + 1)), "status.details"),
        (lambda it: it["status"].update(code=True), "status.code"),
        (lambda it: it["status"].update(code=1 << 40), "status.code"),
        (lambda it: it["status"]["result"].update(progress=3), "progress"),
        (lambda it: it["status"]["result"].update(progress={"cnt": "3"}), "progress.cnt"),
    ],
)
def test_what_is_refused_names_the_field(change: Any, field: str) -> None:
    document = copy.deepcopy(GOOD)
    change(document)
    with pytest.raises(WireError, match=field) as refused:
        parse_feedback(document)
    assert "expected" in refused.value.message
    assert refused.value.remedy


def test_a_body_that_is_no_object_is_refused() -> None:
    for body in (None, [], "closed", 3):
        with pytest.raises(WireError, match="body"):
            parse_feedback(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["status", "execution", "result", "finished", "details", "progress", "cnt", "code"]), inner)))  # fmt: skip
def test_any_json_is_feedback_or_one_clear_error(document: Any) -> None:
    try:
        found = parse_feedback(document)
    except WireError as error:
        assert error.remedy  # noqa: PT017 - both ways are good
    else:
        assert all(each.isprintable() and len(each) <= MAX_MESSAGE_CHARS for each in found.messages)


@given(st.text())
def test_messages_are_one_visible_line(text: str) -> None:
    line = visible(text)
    assert line == line.strip()
    assert len(line) <= MAX_MESSAGE_CHARS
    assert line.isprintable()


def test_config_data_replaces_merges_and_removes() -> None:
    before = {"a": "1", "b": "2"}
    assert applied(parse_config_data({"data": {"c": "3"}}), before) == {"c": "3"}
    assert applied(parse_config_data({"mode": "merge", "data": {"b": "9"}}), before) == {"a": "1", "b": "9"}
    assert applied(parse_config_data({"mode": "remove", "data": {"a": ""}}), before) == {"b": "2"}
    assert applied(parse_config_data({"id": "", "time": "x", "status": {}, "data": {}}), before) == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "data"),
        ({"data": []}, "data"),
        ({"mode": "other", "data": {}}, "mode"),
        ({"data": {"": "x"}}, "names"),
        ({"data": {"a\nb": "x"}}, "names"),
        ({"data": {"a": 1}}, "text"),
        ({"data": {"a": "x" * 129}}, "128"),
        ({"data": {str(each): "" for each in range(MAX_ATTRIBUTES + 1)}}, "100"),
    ],
)
def test_config_data_that_is_refused(body: object, words: str) -> None:
    with pytest.raises(WireError, match=words):
        parse_config_data(body)


def test_merging_has_a_limit_in_all() -> None:
    before = {str(each): "" for each in range(MAX_ATTRIBUTES)}
    with pytest.raises(InvalidArgumentError, match="100"):
        applied(ConfigData("merge", {"one": "more"}), before)
