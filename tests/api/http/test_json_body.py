# SPDX-License-Identifier: Apache-2.0
"""What Python's JSON reader takes and RFC 8259 or RFC 7493 does not is refused, and nothing of it is kept."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, strategies as st
from tests.api.running_service import RunningService

from armillary.api.http import json_body
from armillary.api.http.json_body import MAX_NAMES, MAX_VALUES, TooManyValuesError, strict_json

REFUSED = {
    b'{"name":"a","name":"b","role":"Reader"}': "the name 'name' twice",
    b'{"name":"a","role":"Reader","lifetime_s":NaN}': "NaN",
    b'{"name":"a","role":"Reader","lifetime_s":-Infinity}': "-Infinity",
    b'{"name":"a","role":"Reader","lifetime_s":1e999}': "1e999, which no double holds",
    b'{"name":"a","role":"Reader","\\ud800":1}': "lone surrogate",
    b'{"name":"\xff","role":"Reader"}': "byte 0xff at 9",
    '{"name":"a","role":"Reader"}'.encode("utf-16"): "byte 0xff at 0",
    b'{"name":"a","role":"Reader","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}": "hundreds of levels",
    b'{"name":"a","role":"Reader","lifetime_s":' + b"9" * 5000 + b"}": "a whole number of 5,000 digits",
    b'{"name":"a","role":"Reader"} x': "Extra data",
}


@pytest.mark.parametrize("body", REFUSED, ids=range(len(REFUSED)))
def test_hostile_json_is_refused_with_a_reason(service: RunningService, body: bytes) -> None:
    before = service.call("GET", "/api/v1/tokens").body
    reply = service.call("POST", "/api/v1/tokens", body)
    assert (reply.status, reply.body["code"]) == (400, "request.invalid")
    assert REFUSED[body] in reply.body["detail"]
    assert "sys." not in reply.body["detail"]
    assert reply.body["remedy"]
    assert service.call("GET", "/api/v1/tokens").body == before


@pytest.mark.parametrize("tags", [b'{"\\ud800":"x"}', b'{"x":"\\udfff"}'])
def test_no_stored_name_makes_its_catalog_unreadable(service: RunningService, catalog: str, tags: bytes) -> None:
    path = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.AzureSphere/catalogs/" + catalog
    body = b'{"location":"global","tags":' + tags + b"}"
    assert service.call("PUT", path + "?api-version=2024-04-01", body).status == 400
    assert service.azure("GET", f"/{catalog}").status == 200


@pytest.mark.parametrize("document", [{}, [], None, 1.5, {"a": {"a": 1}, "b": "é \U0001f600 \\u"}, ["\x00"]])
def test_what_is_json_is_taken(document: object) -> None:
    assert strict_json(json.dumps(document).encode()) == document
    assert strict_json(json.dumps(document, ensure_ascii=False).encode()) == document


def values_in(document: object) -> int:
    """Values in arrays and objects, and the outermost."""
    inner = list(document.values()) if isinstance(document, dict) else document if isinstance(document, list) else []
    return 1 + sum(map(values_in, inner))


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a,[]{}"\\\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a,[]{}"\\'), inner),
)


@given(DOCUMENTS)
def test_values_are_counted_before_there_are_any(document: object) -> None:
    body, values = json.dumps(document).encode(), values_in(document)
    assert strict_json(body, max_values=2 * values) == document, "nothing in a text counts"
    if values > 2:
        with pytest.raises(TooManyValuesError):
            strict_json(body, max_values=values - 2)


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"{}"] * MAX_VALUES) + b"]",
        b'{"a":' * (MAX_VALUES + 1) + b"0" + b"}" * (MAX_VALUES + 1),
        b"[" + b"0," * MAX_VALUES + b"0,0]",
        b"{" + b",".join(b'"%d":0' % number for number in range(MAX_NAMES + 1)) + b"}",
        b'"' * (4 * MAX_VALUES + 8) + b"," * (MAX_VALUES + 1),
    ],
)
def test_a_body_of_too_many_values_is_refused_and_not_decoded(
    service: RunningService, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    each_name_once = json_body._each_name_once
    monkeypatch.setattr(json_body, "_each_name_once", lambda pairs: built.append(pairs) or each_name_once(pairs))
    reply = service.call("POST", "/api/v1/tokens", body)
    assert (reply.status, reply.body["code"], built) == (413, "request.too-large", [])
    assert re.search("at most (20,000 values|5,000 names)", reply.body["detail"])
