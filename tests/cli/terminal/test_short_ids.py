# SPDX-License-Identifier: Apache-2.0
"""An id is meant by its first digits when they are the beginning of no other."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Any

import pytest
from hypothesis import given, strategies as st

from armillary.cli.terminal.short_ids import ACTION, resolve_ids, resolve_references, short, with_short
from armillary.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError

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


class Lists:
    """A service with two actions of one catalog, which its token must name."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, object]] = []

    def pages(self, path: str, *, limit: int | None = None, **query: object) -> Iterable[dict[str, Any]]:  # noqa: ARG002 - as the service has it
        self.asked.append((path, query["catalog"]))
        if query["catalog"] is None:
            raise PermissionDeniedError("name a catalog")
        return [{"action_id": FIRST, "kind": "halt"}, {"action_id": SECOND, "kind": "quarantine"}]


KINDS = {"action": Annotated[str | None, "an option", ACTION], "catalog": str | None}


def test_an_option_that_is_marked_gets_the_whole_id_from_the_list_of_its_catalog() -> None:
    lists = Lists()
    values = {"action": "6f2311", "catalog": "mill"}
    assert resolve_references(lists, KINDS, values) == {"action": SECOND, "catalog": "mill"}
    assert lists.asked == [("/actions", "mill")]
    with pytest.raises(InvalidArgumentError, match="quarantine"):
        resolve_references(lists, KINDS, {**values, "action": "6f23"})


@pytest.mark.parametrize("text", [FIRST, None, "no digits"])
def test_what_is_whole_or_not_given_asks_for_no_list(text: str | None) -> None:
    lists = Lists()
    assert resolve_references(lists, KINDS, {"action": text, "catalog": "mill"})["action"] == text
    assert lists.asked == []


def test_who_may_not_list_has_to_give_the_whole_id() -> None:
    assert resolve_references(Lists(), KINDS, {"action": "6f23"}) == {"action": "6f23"}


def test_ids_are_shortened_and_nothing_else_is() -> None:
    assert (short(FIRST), short("6f23" * 16), short("blink"), short("")) == ("6f230000", "6f236f23", "blink", "")
    row = {"id": FIRST, "other": FIRST, "none": None, "count": 3}
    assert with_short(row, "id", "none", "count", "missing") == {**row, "id": "6f230000"}


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
