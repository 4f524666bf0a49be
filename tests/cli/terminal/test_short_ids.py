# SPDX-License-Identifier: Apache-2.0
"""An id is meant by its first digits when they are the beginning of no other."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from armillary.cli.terminal.short_ids import resolve_ids
from armillary.errors import InvalidArgumentError, NotFoundError

FIRST, SECOND = "6f230000-0000-4000-8000-000000000001", "6f231111-0000-4000-8000-000000000002"


def listed() -> Iterable[tuple[str, str]]:
    return [(FIRST, "blink"), (SECOND, "smart_cable")]


def unasked() -> Iterable[tuple[str, str]]:
    raise AssertionError("nothing had to be listed")


def test_digits_of_one() -> None:
    assert resolve_ids(["6F230", SECOND, FIRST[:20]], listed, "image") == [FIRST, SECOND, FIRST]


def test_whole_ids_and_what_is_no_beginning_are_the_service_s() -> None:
    given_ids = [FIRST, "abc", "blink", "", "../6f23"]
    assert resolve_ids(given_ids, unasked, "image") == given_ids


def test_digits_of_several_list_them() -> None:
    with pytest.raises(InvalidArgumentError, match="beginning of 2 ids") as caught:
        resolve_ids(["6f23"], listed, "image")
    assert f"{FIRST} (blink), {SECOND} (smart_cable)" in caught.value.message


def test_digits_of_none() -> None:
    with pytest.raises(NotFoundError, match="no image whose id begins with '6f24'") as caught:
        resolve_ids(["6f24"], listed, "image")
    assert caught.value.remedy == "List them: armillary image list."


@given(st.lists(st.uuids(), min_size=1, max_size=20, unique=True), st.data())
def test_what_is_found_begins_as_was_written(ids: list[uuid.UUID], data: st.DataObject) -> None:
    known = [(str(each), "") for each in ids]
    text = str(data.draw(st.sampled_from(ids)))[: data.draw(st.integers(4, 36))]
    matching = [each for each, _ in known if each.startswith(text)]
    if len(matching) > 1:
        with pytest.raises(InvalidArgumentError):
            resolve_ids([text], lambda: known, "image")
    else:
        assert resolve_ids([text], lambda: known, "image") == matching
