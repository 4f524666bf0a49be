# SPDX-License-Identifier: Apache-2.0
"""The queries of crash dumps and their keys: what SQLite answers and stores, PostgreSQL does as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, select
from tests import postgresql
from tests.engines.records import update_play

from armillary.engines.records.crashes import dumps
from armillary.engines.records.crashes.dumps import DAY_S, CrashDumpRow, DumpKeyRow
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.queries.security import presence
from armillary.engines.records.schema import dialect, schema

NOW = update_play.NOW
GROUP, GONE, IMAGE = update_play.GROUP, UUID(int=99), UUID(int=5)


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def row(number: int, device_id: str, group_id: UUID = GROUP, **changes: Any) -> CrashDumpRow:
    fields: dict[str, Any] = {
        "dump_id": UUID(int=number), "device_id": device_id, "catalog_id": update_play.CATALOG, "group_id": group_id,
        "key_id": UUID(int=1), "received_at": NOW, "crashed_at": NOW, "component_id": UUID(int=4), "image_id": IMAGE,
        "signal": 11, "stack": "scrubbed", "size": 100 * number,
    }  # fmt: skip
    return CrashDumpRow(**{**fields, **changes})


def key(number: int, group_id: UUID) -> DumpKeyRow:
    return DumpKeyRow(key_id=UUID(int=number), group_id=group_id, public_key=b"public", created_at=NOW)


def answers(connection: Connection) -> dict[str, Any]:
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    device_id = connection.execute(select(schema.device.c.device_id).order_by(schema.device.c.number)).scalars().first()
    sender = dumps.sender(connection, device_id)
    assert sender is not None
    seen: dict[str, Any] = {"none": presence.has_dump_keys(connection), "sender": sender}
    seen["keys"] = [dumps.add_key(connection, key(*each)) for each in ((1, GROUP), (2, GROUP), (3, GONE))]
    seen["key"] = dumps.key_of(connection, GROUP), dumps.key_of(connection, UUID(int=98))
    seen["some"] = presence.has_dump_keys(connection)
    made = [
        row(1, device_id, received_at=NOW - 2 * DAY_S), row(2, device_id), row(2, device_id),
        row(3, device_id, GONE), row(4, device_id, image_id=UUID(int=6)),
    ]  # fmt: skip
    seen["added"] = [dumps.add(connection, each, sender.number, b"sealed") for each in made]
    seen["counts"] = (
        dumps.count_since(connection, sender.number, NOW - DAY_S),
        dumps.size_of_group(connection, GROUP),
        dumps.count_of_group(connection, GROUP),
        dumps.size_of_group(connection, UUID(int=98)),
    )
    owner = update_play.CATALOG
    for chosen in ({}, {"catalog_id": owner}, {"device_id": device_id}, {"image_id": IMAGE}, {"catalog_id": GONE}):
        asked: dict[str, Any] = {"catalog_id": None, "device_id": None, "image_id": None, **chosen}
        page = dumps.page(connection, **asked, limit=2, before=None)
        seen[f"page {chosen}"] = [each.dump_id.int for each in page.items], page.next_cursor is None
    seen["one"] = dumps.one(connection, UUID(int=2)), dumps.has(connection, UUID(int=2)), dumps.one(connection, GONE)
    dumps.remove(connection, UUID(int=4))
    catalog_rows.change_group(connection, GROUP, {"crash_dump_days": 2})
    seen["expired"] = dumps.remove_expired(connection, NOW)
    dumps.end_keys_of_nobody(connection)
    seen["ended"] = dumps.ended_keys(connection)
    dumps.end_key(connection, GROUP)
    seen["all ended"] = sorted(each.int for each in dumps.ended_keys(connection))
    dumps.forget_keys(connection, dumps.ended_keys(connection))
    seen["left"] = dumps.every_key(connection), dumps.remove_of_group(connection, GROUP)
    return seen


def test_both_engines_say_the_same(server: postgresql.Server, tmp_path: Path) -> None:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        embedded = answers(connection)
    engine.dispose()
    assert embedded["keys"] == [True, False, True]
    assert embedded["added"] == [True, True, False, True, True]
    assert embedded["counts"] == (3, 700, 3, 0)
    assert (embedded["expired"], embedded["ended"], embedded["all ended"]) == (2, (UUID(int=3),), [1, 3])
    assert embedded["left"] == ((), 1)
    engine = create_engine(server.database("dumps").replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        seen = answers(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[what]} == set()
