# SPDX-License-Identifier: Apache-2.0
"""Wrong values are named as their sender knows them, with what was expected and what came; no framework's words."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import core_schema
from tests.api.running_service import RunningService

from armillary.api.http.validation_words import _SENTENCES, worded

# Words of the framework and of our code that nobody outside knows.
CODE = re.compile(r"\bString should|\bInput\b|path\.|body\.|query\.|Extra inputs|Field required|__|ctx")


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: Annotated[int, Field(ge=1, le=9)] = 1
    word: Literal["on", "off"] = "on"
    names: Annotated[list[Annotated[str, Field(min_length=2, max_length=4)]], Field(max_length=2)] = []
    id: UUID | None = None
    secret_word: Annotated[str, Field(max_length=3)] = ""
    flag: bool = False


def faults(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Inner(**body)
    return [worded({**each, "loc": ("body", *each["loc"])}) for each in caught.value.errors()]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"number": 12}, ("number", "expected at most 9, got 12")),
        ({"number": "many"}, ("number", "expected a whole number, got 'many'")),
        ({"word": "x"}, ("word", "expected one of 'on' or 'off', got 'x'")),
        ({"names": ["abc", "x"]}, ("names[1]", "expected at least 2 characters, got 'x'")),
        ({"names": ["ab"] * 3}, ("names", "expected at most 2 items, got a list of 3")),
        ({"names": ["x" * 99]}, ("names[0]", "expected at most 4 characters, got 99 characters")),
        ({"names": {"a": 1}}, ("names", "expected a list, got a JSON object")),
        ({"id": "1"}, ("id", "expected a UUID, got '1'")),
        ({"secret_word": "hunter2"}, ("secret_word", "expected at most 3 characters")),
        ({"flag": "maybe"}, ("flag", "expected true or false, got 'maybe'")),
        ({"nmae": 1}, ("nmae", "is not known here")),
    ],
)
def test_a_fault_is_a_sentence(body: dict[str, Any], said: tuple[str, str]) -> None:
    assert faults(body) == [said]


def test_every_sentence_is_of_a_fault_that_there_is() -> None:
    assert set(_SENTENCES) <= set(core_schema.ErrorType.__args__)
    assert worded({"type": "value_error", "loc": ("body",), "msg": "Value error, it is odd", "input": object()}) == (
        "body", "it is odd",
    )  # fmt: skip


def test_no_route_answers_in_the_words_of_the_code(service: RunningService) -> None:
    for method, path, body, says in (
        ("GET", "/api/v1/devices/abc%20d", None, "device id: expected the 128 hexadecimal digits"),
        ("GET", "/api/v1/devices?limit=0", None, "limit: expected at least 1, got '0' in the query"),
        ("GET", "/api/v1/devices?image=1", None, "image: expected a UUID, got '1' in the query"),
        ("GET", "/api/v1/alerts?status=odd", None, "status: expected one of 'open', 'active'"),
        ("POST", "/api/v1/tokens", {"name": "x"}, "role: is missing"),
        ("POST", "/api/v1/tokens", [], "body: expected a JSON object"),
        ("POST", "/api/v1/rule-test", {"start_ms": -1, "end_ms": 3}, "start_ms: expected at least 0, got -1"),
        ("GET", f"/api/v1/devices/{'0' * 128}/telemetry/series?metric=t", None, "start_ms: is missing in the query"),
    ):
        reply = service.call(method, path, body)
        assert reply.status == 400, path
        text = " ".join([reply.body["detail"], *(each["reason"] for each in reply.body.get("invalid_params", ()))])
        assert text.startswith(says), text
        assert CODE.search(text) is None, text
        assert reply.body["remedy"]
