# SPDX-License-Identifier: Apache-2.0
"""Names, ids and operation ids of the management API: any text is read or refused, never anything else."""

from __future__ import annotations

import contextlib
import uuid

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.api.azure import names, operations
from armillary.api.azure.shape import canonical
from armillary.errors import InvalidArgumentError, NotFoundError

WORDS = st.sampled_from(
    ["subscriptions", "RESOURCEGROUPS", "catalogs", "countdevices", "DeviceGroups", "images", "x", ""]
)
PATHS = st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=14).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=examples(200))
@given(PATHS)
def test_a_canonical_path_is_its_own_canonical_path(path: str) -> None:
    path = f"/subscriptions{path}"
    once = canonical(path, "")
    assert canonical(once, "") == once
    assert once.lower() == path.lower()


@settings(max_examples=examples(200))
@given(st.text(max_size=200))
def test_any_text_is_an_operation_or_not_found(text: str) -> None:
    with contextlib.suppress(NotFoundError):
        assert operations.decode(text).at is not None


@settings(max_examples=examples(100))
@given(st.text(max_size=500), st.integers(0, 2**33), st.booleans())
def test_an_operation_id_keeps_what_it_is_given(resource: str, at: int, has_result: bool) -> None:
    made = operations.new_operation(resource, at=at, has_result=has_result)
    text = operations.encode(made)
    if len(text) <= operations.MAX_OPERATION_CHARS:
        assert operations.decode(text) == made


@settings(max_examples=examples(200))
@given(PATHS)
def test_any_text_is_a_device_group_id_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        assert names.parse_device_group_id(text).catalog


@settings(max_examples=examples(100))
@given(st.sampled_from(sorted(names.PATTERNS)), st.text(max_size=140))
def test_what_passes_as_a_name_fits_its_pattern_and_a_path(kind: str, text: str) -> None:
    with contextlib.suppress(InvalidArgumentError):
        found = names.checked(kind, text)
        assert names.PATTERNS[kind].fullmatch(found)
        assert "/" not in found


@settings(max_examples=examples(50))
@given(st.uuids())
def test_a_guid_is_read_in_each_spelling(value: uuid.UUID) -> None:
    for spelt in (str(value), str(value).upper(), value.hex, "{" + str(value) + "}"):
        assert names.checked_uuid("image", spelt) == value
