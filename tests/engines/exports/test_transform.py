# SPDX-License-Identifier: Apache-2.0
"""jq programs over records: what they make; one that never ends, eats memory or fails hurts its own record only."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.engines.exports import transform
from armillary.engines.exports.transform import Transform
from armillary.errors import InvalidArgumentError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jq") is None, reason="needs the extra jq")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "RECORD_TIMEOUT_S", 0.5)


def applied(program: str, *records: object) -> list[tuple[list[object], str]]:
    made = Transform(program)
    try:
        found = made.apply([json.dumps(each).encode() for each in records])
    finally:
        made.close()
        made.close()
    return [([json.loads(each) for each in outputs], error) for outputs, error in found]


def test_outputs_none_and_many() -> None:
    assert applied("{d: .device, t: .values.t}", {"device": "x", "values": {"t": 4}}) == [([{"d": "x", "t": 4}], "")]
    assert applied("select(.a > 1)", {"a": 1}, {"a": 2}) == [([], ""), ([{"a": 2}], "")]
    assert applied(".[]", [1, [2], "ü\n"]) == [([1, [2], "ü\n"], "")]


def test_a_record_that_it_fails_on_is_that_records_business() -> None:
    (good, _), (bad, why), (again, _) = applied(".a + 1", {"a": 1}, {"a": "x"}, {"a": 2})
    assert (good, bad, again) == ([2], [], [3])
    assert "cannot be added" in why


@pytest.mark.parametrize("program", ["{", ".a |", "nothing_like_this", '"'])
def test_what_does_not_compile_is_refused(program: str) -> None:
    with pytest.raises(InvalidArgumentError, match="does not compile"):
        Transform(program)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("program", ["def f: f; if .bad then f else . end", "if .bad then [range(1e9)] else . end"])
def test_one_that_never_ends_is_killed_and_the_next_record_goes_on(program: str) -> None:
    began = time.monotonic()
    (first, _), (bad, why), (after, _) = applied(program, {"n": 1}, {"bad": True}, {"n": 2})
    assert (first, bad, after) == ([{"n": 1}], [], [{"n": 2}])
    assert why
    assert time.monotonic() - began < 20


def test_too_much_output_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "MAX_OUTPUT_BYTES", 1000)
    (_, why), (after, _) = applied('if .bad then "x" * 2000 else . end', {"bad": True}, {"n": 1})
    assert "more output" in why
    assert after == [{"n": 1}]


def test_it_sees_nothing_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARMILLARY_TOKEN", "secret")  # jq's env is also refused when a body is read (data_export.py)
    assert "secret" not in json.dumps(applied("env", {}))
    assert os.environ["ARMILLARY_TOKEN"] == "secret"


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidArgumentError, match="jq is not installed") as caught:
        Transform(".")
    assert "pip install" in (caught.value.remedy or "")


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**50), 2**50)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def same() -> Iterator[Transform]:
    made = Transform(".")
    yield made
    made.close()


@settings(max_examples=examples(60), deadline=None)
@given(records=st.lists(documents, max_size=4))
def test_the_identity_gives_back_what_it_got(same: Transform, records: list[object]) -> None:
    found = same.apply([json.dumps(each).encode() for each in records])
    assert [json.loads(outputs[0]) for outputs, _ in found] == records
