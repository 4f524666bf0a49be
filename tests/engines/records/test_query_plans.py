# SPDX-License-Identifier: Apache-2.0
"""How the database goes about the lists of a large catalog: in the order of the tables, not by a look-up a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, event

from armillary.engines.records.queries import (
    audit as audit_rows,
    device_lists,
    devices as device_rows,
    names as name_rows,
)
from armillary.engines.records.queries.audit import AuditFilter
from armillary.engines.records.schema.rows import DeviceFilter
from armillary.engines.records.store import Records

SUMMARY = "ix_device_catalog_id_trust_tier_revoked_at"
PAGE = "ix_device_catalog_id_device_id"
TIME: dict[str, int] = {"now": 1_790_000_000, "silent_after_s": 9000}


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    Records.open(tmp_path / "records.db", fresh=True).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'records.db'}")
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def plan(connection: Connection, query: Callable[[Connection], object]) -> str:
    """What the database says it does for the first statement of ``query``."""
    asked: list[tuple[str, Any]] = []

    def noted(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", noted)
    query(connection)
    event.remove(connection, "before_cursor_execute", noted)
    statement, parameters = asked[0]
    return "; ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))


def test_a_catalogs_summary_reads_no_row_of_the_device_table(connection: Connection) -> None:
    said = plan(connection, lambda c: device_rows.summary(c, UUID(int=1), **TIME))
    assert f"USING COVERING INDEX {SUMMARY} (catalog_id=?)" in said


def test_a_catalogs_devices_are_counted_in_the_order_of_the_tables(connection: Connection) -> None:
    said = plan(connection, lambda c: device_lists.count(c, DeviceFilter(catalog="c"), **TIME))
    assert f"USING COVERING INDEX {SUMMARY} (catalog_id=?)" in said


def test_a_page_of_a_catalogs_devices_is_not_sorted(connection: Connection) -> None:
    said = plan(connection, lambda c: device_lists.page(c, DeviceFilter(catalog="c"), limit=50, after=None, **TIME))
    assert PAGE in said
    assert "ORDER BY" not in said


def test_a_search_by_name_reads_a_range_of_an_index(connection: Connection) -> None:
    for owner, index in ((None, "ix_device_name_word_tail"), (UUID(int=1), "ix_device_name_word_catalog_id_tail")):
        said = plan(connection, lambda c, o=owner: name_rows.matching(c, "hall", catalog_id=o, limit=1000))
        assert f"USING INDEX {index}" in said
        assert "ORDER BY" not in said


@pytest.mark.parametrize("before", [None, 1000])
@pytest.mark.parametrize("rising", [False, True])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AuditFilter(target="a1" * 64), "ix_audit_line_target_number (target=?"),
        (AuditFilter(actor="somebody"), "ix_audit_line_actor_number (actor=?"),
        (AuditFilter(operation="device.revoke"), "ix_audit_line_operation_number (operation=?"),
    ],
)
def test_audit_lines_of_a_target_a_person_or_an_operation_are_read_by_an_index_and_not_sorted(
    connection: Connection, wanted: AuditFilter, index: str, before: int | None, *, rising: bool
) -> None:
    said = plan(connection, lambda c: audit_rows.page(c, limit=50, before=before, wanted=wanted, rising=rising))
    assert f"USING INDEX {index}" in said
    assert "ORDER BY" not in said
