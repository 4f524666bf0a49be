# SPDX-License-Identifier: Apache-2.0
"""Lists in an order over all pages: each row once, ties by a key, both ways, in both engines, and bad cursors refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, select
from tests import postgresql
from tests.engines.records import update_play
from tests.engines.records.test_case_queries import case
from tests.engines.records.test_dump_queries import row
from tests.engines.records.test_response_queries import action

from armillary.engines.records import order_words, ordered
from armillary.engines.records.crashes import dumps
from armillary.engines.records.queries import hub as hub_rows, images as image_rows, names as name_rows
from armillary.engines.records.queries.hub import HubIdentity
from armillary.engines.records.queries.security import cases
from armillary.engines.records.response import actions
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import Page
from armillary.errors import InvalidArgumentError
from armillary.regulation.case import CaseEntry

NOW, OWNER = update_play.NOW, update_play.CATALOG
ROWS = 11
Ask = Callable[[Connection, str, str | None], Page[Any]]


def hub_device(number: int) -> HubIdentity:
    return HubIdentity(
        identity=f"press-{number:02d}", catalog_id=OWNER, authentication=("sas", "selfSigned")[number % 2],
        is_enabled=number % 3 > 0, generation_id="g", created_at=NOW + number % 4, changed_at=NOW,
    )  # fmt: skip


def fill(connection: Connection) -> None:
    """Rows of every list, of which many have the same values."""
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    device_ids = [update_play.device_id(number) for number in (1, 2, 3)]
    name_rows.put(connection, device_ids[1], OWNER, "Ärm")
    senders = [dumps.sender(connection, each) for each in device_ids]
    for number in range(ROWS):
        made = cases.add(connection, replace(case(number + 1, OWNER), title=("b", "A", "a")[number % 3]))
        aware = CaseEntry(
            number=1, kind="aware", recorded_at=NOW, stated_at=NOW + number % 4, actor="ana", text="x"
        )  # fmt: skip
        cases.add_entry(connection, made.number, aware)
        if number % 3 == 0:
            cases.close(connection, made.number, at=NOW + number % 2)
        kinds = {"kind": ("halt", "quarantine")[number % 2], "state": ("done", "waiting")[number % 2]}
        counts = {"devices": number % 4, "done": number % 3, "asked_by": ("Zoe", "anna")[number % 2]}
        actions.add(connection, action(UUID(int=number + 1), **kinds, **counts, asked_at=NOW + number % 5))
        sender = senders[number % 3]
        assert sender is not None
        dump = row(
            number + 1, sender.device_id, signal=(6, 11)[number % 2], stack=("none", "full")[number % 2],
            crashed_at=NOW - number % 4, received_at=NOW + number % 3, size=number % 2, image_id=UUID(int=number % 3),
        )  # fmt: skip
        dumps.add(connection, dump, sender.number, b"sealed")
        image = replace(
            update_play.image(UUID(int=900 + number * 7 % 11)), name=("Heart", "beat", "heart")[number % 3],
            size=number % 4, uploaded_at=NOW + number % 2, uploaded_by=("ana", "Bob")[number % 2],
            architecture=("arm", "any")[number % 2], component_id=UUID(int=500 + number),
        )  # fmt: skip
        image_rows.add(connection, image)
        hub_rows.put_identity(connection, hub_device(number), is_new=True)
        hub_rows.put_identity(
            connection, replace(hub_device(number), identity=f"press-{number:02d}/module"), is_new=True
        )
        if number % 2:
            name_rows.put(connection, f"press-{number:02d}", OWNER, ('Press "x"', "press " + "y" * 200)[number % 3 > 0])


def dumps_of(connection: Connection, order: str, after: str | None) -> Page[Any]:
    asked: dict[str, Any] = {"catalog_id": OWNER, "device_id": None, "image_id": None}
    return dumps.page(connection, **asked, limit=2, order=order, after=after)


ASKS: dict[str, Ask] = {
    "cases": lambda c, order, after: cases.page(c, OWNER, is_open=None, limit=2, order=order, after=after),
    "actions": lambda c, order, after: actions.page(c, catalog_id=OWNER, limit=2, order=order, after=after),
    "crash dumps": dumps_of,
    "images": lambda c, order, after: image_rows.page(c, OWNER, limit=2, order=order, after=after),
    "hub devices": lambda c, order, after: hub_rows.sorted_identities(c, OWNER, order, limit=2, after=after),
}
ORDERS = {
    "cases": (order_words.CASES, cases.ORDERS),
    "actions": (order_words.ACTIONS, actions.ORDERS),
    "crash dumps": (order_words.CRASH_DUMPS, dumps.ORDERS),
    "images": (order_words.IMAGES, image_rows.ORDERS),
    "hub devices": (order_words.HUB_DEVICES, hub_rows.ORDERS),
}
EVERY = [(what, word) for what, (words, _) in ORDERS.items() for word in words]
KEYS: dict[str, Callable[[Any], Any]] = {
    "cases": lambda each: each.number,
    "actions": lambda each: each.action_id,
    "crash dumps": lambda each: each.dump_id,
    "images": lambda each: each.image_id,
    "hub devices": lambda each: each.identity,
}
# What rows are compared by, of those orders whose word is no field, or whose order is of another kind.
COMPARED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("cases", "title"): lambda each: each.title.lower(),
    ("cases", "state"): lambda each: each.closed_at or 0,
    ("cases", "aware_at"): lambda each: (each.case_id.int - 1) % 4,
    ("actions", "asked_by"): lambda each: each.asked_by.lower(),
    ("crash dumps", "image"): lambda each: each.image_id,
    ("images", "name"): lambda each: each.name.lower(),
    ("images", "uploaded_by"): lambda each: each.uploaded_by.lower(),
    ("hub devices", "device_id"): lambda each: each.identity,
    ("hub devices", "enabled"): lambda each: each.is_enabled,
}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    engine = dialect.open_writer(tmp_path_factory.mktemp("ordered") / "records.db")
    with engine.begin() as connection:
        fill(connection)
        yield connection
    engine.dispose()


def walked(connection: Connection, what: str, order: str) -> list[Any]:
    found: list[Any] = []
    after = None
    while True:
        page = ASKS[what](connection, order, after)
        found += page.items
        after = page.next_cursor
        if after is None:
            return found
        assert len(after) <= ordered.MAX_CURSOR_CHARACTERS


@pytest.mark.parametrize("what", list(ORDERS))
def test_every_order_has_its_word(what: str) -> None:
    words, orders = ORDERS[what]
    assert words == tuple(orders)


@pytest.mark.parametrize(("what", "word"), EVERY)
def test_each_row_comes_once_in_order_over_all_pages(embedded: Connection, what: str, word: str) -> None:
    rising, falling = walked(embedded, what, word), walked(embedded, what, f"-{word}")
    keys = [KEYS[what](each) for each in rising]
    assert len(set(keys)) == len(keys) >= ROWS
    assert sorted(KEYS[what](each) for each in falling) == sorted(keys)
    if (what, word) in (("hub devices", "name"), ("crash dumps", "device")):
        return  # by a name that is not in the row: below
    compared = COMPARED.get((what, word), lambda each: getattr(each, word))
    values = [compared(each) for each in rising]
    assert values == sorted(values)
    assert [compared(each) for each in falling] == values[::-1]


@pytest.mark.parametrize(
    ("what", "word"), [(w, o) for w, o in EVERY if w in ("images", "hub devices") and (w, o) != ("hub devices", "name")]
)
def test_rows_of_one_value_have_an_order_of_their_own(embedded: Connection, what: str, word: str) -> None:
    compared = COMPARED.get((what, word), lambda each: getattr(each, word))
    for order in (word, f"-{word}"):
        for one, other in pairwise(walked(embedded, what, order)):
            assert compared(one) != compared(other) or KEYS[what](one) < KEYS[what](other)


def test_devices_are_in_the_order_of_the_names_that_are_shown(embedded: Connection) -> None:
    query = select(schema.device_name.c.identity, schema.device_name.c.name)
    names = {each.identity: each.name for each in embedded.execute(query)}
    shown = [
        names.get(each.identity, each.identity).lower()[: ordered.MAX_TEXT]
        for each in walked(embedded, "hub devices", "name")
    ]
    assert shown == sorted(shown)
    assert shown[0] == 'press "x"'
    named = [each.device_id for each in walked(embedded, "crash dumps", "-device")]
    assert named[:4] == [update_play.device_id(2)] * 4  # Ä comes after every letter of the default names


def test_a_search_holds_over_all_pages_of_an_order(embedded: Connection) -> None:
    found, after = [], None
    while True:
        page = hub_rows.sorted_identities(
            embedded, OWNER, "-created_at", limit=1, after=after, prefix="press-1", named=["press-03", "press-05"]
        )
        found += [each.identity for each in page.items]
        after = page.next_cursor
        if after is None:
            break
    assert found == ["press-03", "press-10", "press-05"]
    assert hub_rows.sorted_identities(embedded, OWNER, "name", limit=9, after=None, named=[]).items == ()


@pytest.mark.parametrize(("what", "order"), [(what, words[0]) for what, (words, _) in ORDERS.items()])
@pytest.mark.parametrize(
    "bad", ["", "1", "[]", '["a"]', '["a", true]', "[1, 2]", '["\\u0000", 1]', '["a", null]', "[" * 300]
)
def test_a_cursor_that_is_none_is_one_error(embedded: Connection, what: str, order: str, bad: str) -> None:
    with pytest.raises(InvalidArgumentError, match="after: expected `next` of the page before"):
        ASKS[what](embedded, order, bad)


@pytest.mark.parametrize("what", list(ORDERS))
def test_what_is_no_order_is_one_error_that_names_those_there_are(embedded: Connection, what: str) -> None:
    for bad in ("nonsense", "--" + ORDERS[what][0][0], "-"):
        with pytest.raises(InvalidArgumentError, match=f"sort: expected {ORDERS[what][0][0]}, "):
            ASKS[what](embedded, bad, None)


def test_more_than_are_sorted_is_one_error_that_says_what_to_do(embedded: Connection) -> None:
    key, by = ordered.Key(schema.reported_case.c.number), cases.ORDERS["title"]
    with pytest.raises(InvalidArgumentError, match=f"at most {ROWS - 1} cases that match") as caught:
        ordered.rows(
            embedded,
            select(schema.reported_case),
            by,
            key,
            falls=False,
            limit=1,
            after=None,
            what="cases",
            most=ROWS - 1,
        )
    assert "filter" in caught.value.remedy


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def test_postgresql_pages_as_well(server: postgresql.Server, embedded: Connection) -> None:
    engine = create_engine(server.database("ordered").replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        fill(connection)
        for what, word in EVERY:
            for order in (word, f"-{word}"):
                seen = [KEYS[what](each) for each in walked(connection, what, order)]
                assert seen == [KEYS[what](each) for each in walked(embedded, what, order)], (what, order)
    engine.dispose()
