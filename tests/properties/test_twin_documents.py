# SPDX-License-Identifier: Apache-2.0
"""Twins: merge patches, versions and metadata hold for any documents."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.errors import InvalidArgumentError
from armillary.twin.document.document import Twin, decode_twin, device_view, encode_twin, patch_desired, report
from armillary.twin.document.section import check_patch, merge, parse_patch

NOW = 1_795_532_400_000

keys = st.sampled_from(["a", "b", "c", "ä", "x-y"])
leaves = (
    st.booleans()
    | st.integers(-(2**52), 2**52 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
)
values = st.recursive(
    leaves, lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(leaves, max_size=3), max_leaves=8
)
documents = st.dictionaries(keys, values, max_size=4)
patches = st.dictionaries(
    keys,
    st.recursive(leaves | st.none(), lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=8),
    max_size=4,
)


def holds_no_null(value: Any) -> bool:
    if isinstance(value, dict):
        return all(holds_no_null(each) for each in value.values())
    return value is not None


@settings(max_examples=examples(150), deadline=None)
@given(documents, patches)
def test_merge_patches(document: dict[str, Any], patch: dict[str, Any]) -> None:
    before = repr(document)
    merged = merge(document, patch)
    assert repr(document) == before
    assert merge(merged, patch) == merged  # applying it twice changes nothing more
    assert merge(document, {}) == document
    for key in document.keys() - patch.keys():
        assert merged[key] == document[key]
    for key, value in patch.items():
        assert (key in merged) == (value is not None)
        if value is not None and not isinstance(value, dict):
            assert merged[key] == value
    assert holds_no_null(merge({}, patch))


def mirrors(metadata: Any, document: Any) -> bool:
    """Metadata have exactly the document's objects and leaves, each with a time."""
    if "$lastUpdated" not in metadata:
        return False
    named = {key: value for key, value in metadata.items() if not key.startswith("$")}
    if not isinstance(document, dict):
        return not named
    return named.keys() == document.keys() and all(mirrors(named[key], document[key]) for key in document)


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(patches, min_size=1, max_size=4))
def test_versions_and_metadata_follow_the_patches(given_patches: list[dict[str, Any]]) -> None:
    twin = Twin(device_id="d")
    expected: dict[str, Any] = {}
    for number, patch in enumerate(given_patches):
        twin = report(patch_desired(twin, patch, now_ms=NOW + number), patch, now_ms=NOW + number)
        expected = merge(expected, patch)
        assert twin.desired.version == twin.reported.version == number + 2
    assert twin.desired.properties == twin.reported.properties == expected
    assert mirrors(twin.desired.metadata, expected)
    assert mirrors(twin.reported.metadata, expected)
    assert device_view(twin)["desired"] == {**expected, "$version": twin.desired.version}
    assert decode_twin("d", encode_twin(twin)) == twin


@settings(max_examples=examples(150), deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_a_patch_or_refused(payload: bytes) -> None:
    try:
        patch = parse_patch(payload, "reported")
    except InvalidArgumentError:
        return
    assert check_patch(patch, "reported") == patch
