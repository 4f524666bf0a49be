# SPDX-License-Identifier: Apache-2.0
"""Twins: patches, versions, metadata and etags in IoT Hub's shape, and the limits of a section."""

from __future__ import annotations

import json
from typing import Any

import pytest

from armillary.errors import ConflictError, InvalidArgumentError
from armillary.twin.document import document
from armillary.twin.document.section import MAX_SECTION_BYTES, check_patch, parse_patch

NOW = 1_795_532_400_123
EMPTY = document.Twin(device_id="d")


def test_a_new_twin() -> None:
    assert document.device_view(EMPTY) == {"desired": {"$version": 1}, "reported": {"$version": 1}}


def test_null_deletes_and_objects_merge() -> None:
    twin = document.patch_desired(EMPTY, {"led": {"on": True, "colour": "red"}, "interval": 5}, now_ms=NOW)
    twin = document.patch_desired(twin, {"led": {"colour": None, "level": 3}, "interval": None}, now_ms=NOW)
    assert twin.desired.properties == {"led": {"on": True, "level": 3}}
    assert twin.desired.version == 3


def test_an_object_replaces_a_leaf_and_a_leaf_an_object() -> None:
    twin = document.report(document.report(EMPTY, {"a": 1}, now_ms=NOW), {"a": {"b": 2}}, now_ms=NOW)
    assert twin.reported.properties == {"a": {"b": 2}}
    twin = document.report(twin, {"a": [1, 2]}, now_ms=NOW)
    assert twin.reported.properties == {"a": [1, 2]}
    assert twin.reported.metadata["a"] == {"$lastUpdated": "2026-11-24T15:00:00.123Z"}


def test_metadata_in_iot_hubs_shape() -> None:
    twin = document.patch_desired(EMPTY, {"a": {"b": 1}, "c": 2}, now_ms=NOW)
    twin = document.patch_desired(twin, {"a": {"d": 3}}, now_ms=NOW + 60_000)
    early = {"$lastUpdated": "2026-11-24T15:00:00.123Z", "$lastUpdatedVersion": 2}
    late = {"$lastUpdated": "2026-11-24T15:01:00.123Z", "$lastUpdatedVersion": 3}
    assert document.operator_view(twin)["properties"]["desired"] == {
        "a": {"b": 1, "d": 3},
        "c": 2,
        "$metadata": {**late, "a": {**late, "b": early, "d": late}, "c": early},
        "$version": 3,
    }
    assert "$lastUpdatedVersion" not in document.report(EMPTY, {"a": 1}, now_ms=NOW).reported.metadata


def test_etag_changes_with_what_operators_write_only() -> None:
    desired = document.patch_desired(EMPTY, {"a": 1}, now_ms=NOW)
    tagged = document.patch_tags(desired, {"site": "x"})
    reported = document.report(tagged, {"a": 1}, now_ms=NOW)
    assert len({EMPTY.etag, desired.etag, tagged.etag}) == 3
    assert reported.etag == tagged.etag
    assert reported.version == 4
    assert document.patch_desired(reported, {}, now_ms=NOW, if_match=f'"{tagged.etag}"').desired.version == 3
    assert document.patch_desired(reported, {}, now_ms=NOW, if_match="*")
    for change in (
        lambda: document.patch_desired(reported, {}, now_ms=NOW, if_match=desired.etag),
        lambda: document.patch_tags(reported, {}, if_match="x"),
    ):
        with pytest.raises(ConflictError) as refused:
            change()
        assert refused.value.code == "request.precondition"


def test_a_notice_is_the_patch_with_its_version() -> None:
    assert document.desired_notice({"a": None}, 4) == {"a": None, "$version": 4}


REFUSED: dict[str, Any] = {
    "no object": [1],
    "dot in a key": {"a.b": 1},
    "dollar in a key": {"$version": 1},
    "space in a key": {"a b": 1},
    "control in a key": {"a\n": 1},
    "C1 control in a key": {"a\x85": 1},
    "empty key": {"": 1},
    "long key": {"k" * 1025: 1},
    "long text": {"a": "x" * 4097},
    "lone surrogate": {"a": "\ud800"},
    "large integer": {"a": 2**52},
    "small integer": {"a": -(2**52) - 1},
    "not finite": {"a": float("inf")},
    "null in an array": {"a": [None]},
    "not JSON": {"a": b"x"},
    "eleven levels": json.loads('{"a":' * 11 + "1" + "}" * 11),
}


@pytest.mark.parametrize("patch", REFUSED.values(), ids=REFUSED)
def test_refused_patches(patch: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        check_patch(patch, "desired")


def test_ten_levels_and_the_largest_values_are_allowed() -> None:
    check_patch(json.loads('{"a":' * 10 + "1" + "}" * 10), "desired")
    check_patch({"k" * 1024: "x" * 4096, "i": 2**52 - 1, "j": -(2**52), "b": True, "n": None}, "desired")


def test_a_section_may_not_outgrow_its_limit() -> None:
    twin = EMPTY
    for number in range(7):
        twin = document.report(twin, {f"k{number}": "x" * 4096}, now_ms=NOW)
    with pytest.raises(InvalidArgumentError, match=f"at most {MAX_SECTION_BYTES} bytes"):
        document.report(twin, {"k7": "x" * 4096}, now_ms=NOW)
    assert document.report(twin, {"k7": "x" * 4096, "k0": None}, now_ms=NOW)
    with pytest.raises(InvalidArgumentError, match="tags"):
        document.patch_tags(EMPTY, {"a": "x" * 4096, "b": "x" * 4096})


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b'{"a":NaN}', b'{"a":' * 5000, b" " * 70_000 + b"{}"])
def test_refused_bytes(payload: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        parse_patch(payload, "reported")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"desired":{},"reported":{"x":1}}', '{"desired":{},"reported":{},"more":1}']
)
def test_a_damaged_store_is_an_error_not_an_empty_twin(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="a stored twin"):
        document.decode_twin("d", text)


def test_time_as_iot_hub_writes_it() -> None:
    assert document.timestamp(0) == "1970-01-01T00:00:00.000Z"
    assert document.timestamp(NOW) == "2026-11-24T15:00:00.123Z"
