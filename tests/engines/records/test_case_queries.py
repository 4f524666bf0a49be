# SPDX-License-Identifier: Apache-2.0
"""The queries of cases, dossiers and of sums for them: what SQLite answers and stores, PostgreSQL does as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, select
from tests import postgresql
from tests.engines.records import update_play

from armillary.engines.records.queries import catalogs as catalog_rows, findings as finding_rows
from armillary.engines.records.queries.security import cases, dossiers, evidence, presence
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.security.case_rows import CaseRow, DossierRow
from armillary.regulation.case import CaseEntry
from armillary.regulation.clocks import EXPLOITED
from armillary.service.cases import scope
from armillary.service.dossier import field
from armillary.service.watch.detections import Observation
from armillary.service.watch.watch import record

NOW = update_play.NOW
MINE, THEIRS = UUID(int=71), UUID(int=72)


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def case(number: int, catalog_id: UUID | None) -> CaseRow:
    return CaseRow(
        number=0,
        case_id=UUID(int=number),
        catalog_id=catalog_id,
        product_id=None,
        kind=EXPLOITED,
        title="t",
        closed_at=None,
    )


def dossier(number: int, catalog_id: UUID | None) -> DossierRow:
    return DossierRow(
        number=0, dossier_id=UUID(int=number), catalog_id=catalog_id, product="", made_at=NOW, made_by="ana",
        sha256=bytes([number]) * 32, size=1, states={"present": number},
    )  # fmt: skip


def played(connection: Connection) -> dict[str, Any]:
    seen: dict[str, Any] = {"none": presence.has_open_case(connection)}
    made = [cases.add(connection, case(number, owner)) for number, owner in ((1, MINE), (2, THEIRS), (3, None))]
    for number in (1, 2):
        entry = CaseEntry(number=number, kind="note", recorded_at=NOW, stated_at=NOW, actor="ana", text="x")
        cases.add_entry(connection, made[0].number, entry)
    cases.close(connection, made[1].number, at=NOW)
    seen["cases"] = [each.case_id for each in made]
    seen["entries"] = [each.number for each in cases.entries(connection, [made[0].number])[made[0].number]]
    for is_open in (None, True, False):
        page = cases.page(connection, None, is_open=is_open, limit=2, before=None)
        seen[f"page {is_open}"] = [each.title for each in page.items]
    seen["mine"] = [each.case_id for each in cases.page(connection, MINE, is_open=None, limit=2, before=None).items]
    seen["open"] = [each.case_id for each in cases.open_cases(connection)]
    seen["counts"] = [cases.count_open(connection, each) for each in (MINE, THEIRS, None)]
    seen["some"] = presence.has_open_case(connection)
    for number, owner in ((1, MINE), (2, MINE), (3, None), (4, MINE)):
        dossiers.add(connection, dossier(number, owner))
    seen["gone"] = dossiers.keep_newest(connection, MINE, 2)
    seen["left"] = [each.states for each in dossiers.page(connection, None, limit=9, before=None).items]
    seen["one"] = dossiers.one(connection, UUID(int=1)), getattr(dossiers.one(connection, UUID(int=4)), "size", None)
    seen["clients"] = evidence.hub_clients(connection, None), evidence.hub_clients(connection, MINE)
    groups = [each.group_id for each in catalog_rows.every_group(connection)]
    seen["sums"] = evidence.outcomes(connection, groups), evidence.error_reports(connection, groups)
    owner = update_play.CATALOG
    found = scope.read(connection, owner, None)
    seen["scope"] = (found.catalog, len(found.products), found.device_count, found.countries())
    seen["field"] = field.read(connection, found).devices
    clock = Observation(kind="clock", key=("x",), severity="high", title="t", cause="c", proposed_action="p", at=NOW)
    record(connection, clock, NOW)
    finding_rows.close_open(connection, clock.fingerprint)
    seen["closed"] = connection.execute(select(schema.finding.c.status, schema.finding.c.open_key)).all()
    return seen


def answers(connection: Connection) -> dict[str, Any]:
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    return played(connection)


def test_both_engines_say_the_same(server: postgresql.Server, tmp_path: Path) -> None:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        embedded = answers(connection)
    engine.dispose()
    assert embedded["open"] == [UUID(int=1), UUID(int=3)]
    assert embedded["counts"] == [1, 0, 1]
    assert embedded["gone"] == [b"\1" * 32]
    assert embedded["closed"] == [("closed", None)]
    engine = create_engine(server.database("cases").replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        seen = answers(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[what]} == set()
