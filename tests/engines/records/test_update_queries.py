# SPDX-License-Identifier: Apache-2.0
"""The queries of updates (planner, roll-outs, feeds, schedules, bills, bridge) say the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select
from tests import postgresql
from tests.engines.records import notification_play, update_play

from armillary.engines.records.schema import dialect, schema
from armillary.rollout.cohort import order_of


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def rows_of(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but its own number, in an order that does not depend on the engine."""
    columns = {name: [c for c in table.c if c.name != "number"] for name, table in schema.metadata.tables.items()}
    return {
        name: sorted((tuple(row) for row in connection.execute(select(*chosen))), key=repr)
        for name, chosen in columns.items()
    }


def played(connection: Connection) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]]]:
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    seen = update_play.play(connection)
    return seen, rows_of(connection)


@pytest.fixture
def embedded(tmp_path: Path) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]]]:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        found = played(connection)
    engine.dispose()
    return found


def test_what_is_seen_of_the_play_is_what_happened(embedded: tuple[dict[str, Any], Any]) -> None:
    """The control: the questions below have answers, and the database computes places as ``rollout/cohort.py``."""
    seen, rows = embedded
    empty = {what for what, found in seen.items() if not found and found != 0}
    assert empty == {"systems: bridged", "held: overdue", "crashes: none kept", "crashes: of images"}
    assert {one.is_new for one in seen["crashes: devices"]} == {True, False, None}, "None: of a ring"
    assert all(one.counted == one.crashes for one in seen["crashes: again"])
    assert seen["crashes: kept"] == [True, False, True]
    assert seen["releases: order"] == ["1.1", "1.2", "1.3", "3.1"]
    order = order_of(update_play.APPS)
    assert seen["apps: places"] == [
        order.place(number) for number in range(1, update_play.DEVICES + update_play.BRIDGED + 1)
    ]
    assert (len(seen["apps: failures"]), seen["apps: named"], seen["apps: taken back before"]) == (3, 1, (2, 9))
    assert seen["held: itself"].state == "held"
    assert next(found for what, found in seen.items() if what.endswith("names blobs")) == [True, True, False]
    assert [count.have for count in seen["trust: counts"]] == [6, 5], "who has it on trial has not yet"
    assert (seen["trust: counts"][1].refused, sum(seen["trust: counts"][1])) == (1, update_play.DEVICES)
    assert len(seen) > 100
    assert sum(map(len, rows.values())) > 150


def test_both_engines_say_and_store_the_same(server: postgresql.Server, embedded: tuple[Any, Any]) -> None:
    url = server.database("updates").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        seen, rows = played(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[0][what]} == set()
    assert {name for name, found in rows.items() if found != embedded[1][name]} == set()


def test_notifications_are_the_same_on_both_engines(server: postgresql.Server, tmp_path: Path) -> None:
    url = server.database("notifications").replace("postgresql://", "postgresql+psycopg://")
    said = []
    for engine in (create_engine(url), create_engine(f"sqlite:///{tmp_path / 'notifications.db'}")):
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            said.append(notification_play.played(connection))
        engine.dispose()
    assert {what for what, found in said[0].items() if found != said[1][what]} == set()
    assert (said[1]["kept"], said[1]["kept of all"], said[1]["kept by name"]) == ([2] * 5, 2, 1)
    assert [each.attempts for each in said[1]["again"]] == [0, 1, 0]  # what was given up begins anew, in its place
    assert said[1]["left"] == [2, 2, 2]  # of the other catalog and of the grave ones: an event each
