# SPDX-License-Identifier: Apache-2.0
"""Statements over many rows at once do what the same statements do row by row."""

from __future__ import annotations

import sqlite3

from hypothesis import given, strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table

from armillary.engines.records.schema import dialect

TABLE = Table(
    "kettle", MetaData(), Column("number", Integer, primary_key=True), Column("at", Integer), Column("key", String)
)
ROWS = st.dictionaries(st.integers(0, 300), st.tuples(st.integers(0, 9), st.text(max_size=3)), max_size=120)


@given(rows=ROWS, others=ROWS)
def test_many_rows_are_inserted_and_updated_as_one_by_one(
    rows: dict[int, tuple[int, str]], others: dict[int, tuple[int, str]]
) -> None:
    insert = dialect.insert_rows(TABLE, ("number", "at", "key"))
    update = dialect.update_rows(TABLE, ("at", "key"), "number")
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE kettle (number INTEGER PRIMARY KEY, at INTEGER, key TEXT)")
    for text, values in dialect.in_portions(insert, [(number, *row) for number, row in rows.items()]):
        database.execute(text, values)
    for text, values in dialect.in_portions(update, [(*row, number) for number, row in others.items()]):
        database.execute(text, values)
    expected = {number: others.get(number, row) for number, row in rows.items()}
    assert {number: (at, key) for number, at, key in database.execute("SELECT * FROM kettle")} == expected


def test_few_statements_are_enough_for_any_number_of_rows() -> None:
    insert = dialect.insert_rows(TABLE, ("number",))
    texts = {text for count in range(200) for text, _ in dialect.in_portions(insert, [(1,)] * count)}
    assert len(texts) == len(dialect.ROWS_AT_ONCE)
