# SPDX-License-Identifier: Apache-2.0
"""The queries of products, traces and disclosure: what SQLite answers and stores, PostgreSQL does as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, insert, update
from tests import postgresql
from tests.engines.records.test_update_queries import rows_of

from armillary.engines.database.outbox import AuditEntry
from armillary.engines.records.advisories import components as component_rows
from armillary.engines.records.queries import (
    audit as audit_rows,
    catalogs as catalog_rows,
    certificates as certificate_rows,
    device_lists,
    devices as device_rows,
    findings as finding_rows,
)
from armillary.engines.records.queries.security import disclosure, presence, product_traces, traces
from armillary.engines.records.schema import advisory_tables, dialect, schema
from armillary.engines.records.schema.rows import Catalog, DeviceFilter, DeviceGroup, Product
from armillary.engines.records.schema.security.disclosure_rows import PolicyRow, ReportEntryRow, ReportRow

CATALOG, PRODUCT, GROUP, OTHER = (UUID(int=number) for number in range(1, 5))
IMAGES = tuple(UUID(int=100 + number) for number in range(3))
NOW, DAY = 1_800_000_000, 86_400
AS_OF = {"now": NOW, "silent_after_s": 3600}
DEVICES = 5


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def fill(connection: Connection) -> None:
    catalog_rows.add_catalog(
        connection, Catalog(catalog_id=CATALOG, name="Contoso", resource_group="rg", tags={}, created_at=1)
    )
    product = Product(
        product_id=PRODUCT, catalog_id=CATALOG, catalog="Contoso", name="Kettle", description="", created_at=1
    )
    catalog_rows.add_product(connection, product)
    catalog_rows.change_product(
        connection, PRODUCT, {"support_ends": NOW + 10 * DAY, "placed_on_market": 1, "contact": "x"}
    )
    group = DeviceGroup(
        group_id=GROUP, product_id=PRODUCT, catalog_id=CATALOG, catalog="Contoso", product="Kettle", name="Lab",
        description="", os_feed="Retail", update_policy="UpdateAll", allow_crash_dumps="Disabled",
        regional_data_boundary="None", deployment_id=None, created_at=1, country="DE",
    )  # fmt: skip
    catalog_rows.add_group(connection, group)
    for number in range(DEVICES):
        _add_device(connection, number)
    _add_software(connection)
    audit_rows.append(
        connection,
        *(AuditEntry("ann", f"image.{verb}", target, {}, NOW) for verb in ("upload", "sign-again") for target in "abc"),
    )


def _add_device(connection: Connection, number: int) -> None:
    device_id = f"{number:0128x}"
    device_rows.enrol(
        connection, device_id=device_id, chip="mt3620", chip_sku="x", trust_tier="software",
        manufacturing_state="DeviceComplete", now=NOW,
    )  # fmt: skip
    here = schema.device.c.device_id == device_id
    revoked_at = NOW if number == DEVICES - 1 else None  # its certificate is in force for nobody
    values = {"catalog_id": CATALOG, "group_id": GROUP, "revoked_at": revoked_at}
    connection.execute(update(schema.device).where(here).values(values))
    ends = NOW + number * 3600 if number else None
    status = {"checked_in_at": NOW, "verdict": "attested", "certificate_not_after": ends}
    connection.execute(
        update(schema.device_status).where(schema.device_status.c.device_number == number + 1).values(status)
    )
    certificate_rows.add(
        connection,
        certificate_rows.CertificateRecord(
            serial=f"{number:034X}", kind="identity", catalog_id=None, subject=device_id, thumbprint="x", not_before=1,
            not_after=NOW + DAY, revoked_at=None, der=b"x", issued_at=NOW + number,
        ),
    )  # fmt: skip


def _add_software(connection: Connection) -> None:
    for place, image_id in enumerate(IMAGES[:2], 1):
        connection.execute(
            insert(schema.software_set).values(
                set_id=place, digest=bytes([place]), attested=place == 1, chip="mt3620", os_version="1", installed="[]"
            )
        )
        connection.execute(insert(schema.software_part).values(set_id=place, image_id=image_id))
        connection.execute(insert(schema.software_count).values(set_id=place, group_id=GROUP, devices=place))
    _add_components(connection)


def _add_components(connection: Connection) -> None:
    """Two documents: both list ``b``, one ``a``, one ``c``."""
    for number, name in enumerate("abc", 1):
        values = {
            "component_id": number,
            "digest": bytes([number]),
            "ecosystem": "PyPI",
            "release": "",
            "package": name,
        }
        values |= {"version": "1", "purl": f"pkg:pypi/{name}@1", "unassessed": "", "compared": True}
        connection.execute(insert(advisory_tables.component).values(values))
    for content, listed in ((1, (1, 2)), (2, (2, 3))):
        values = {"content_id": content, "sha256": bytes([content]), "components": 2, "unassessed": 0, "fault": ""}
        connection.execute(insert(advisory_tables.bill_content).values(values | {"read_at": 1}))
        for each in listed:
            connection.execute(insert(advisory_tables.bill_component).values(component_id=each, content_id=content))


def report(reference: str, at: int) -> ReportRow:
    return ReportRow(
        number=0, reference=reference, received_at=at, state="new", catalog_id=None, product_id=None,
        acknowledged_at=None, told_at=None, closed_at=None, sealed=b"sealed",
    )  # fmt: skip


def play(connection: Connection) -> dict[str, Any]:
    seen: dict[str, Any] = {"nothing is published": presence.has_disclosure(connection)}
    disclosure.put_policy(connection, PolicyRow(document="{}", changed_at=NOW, changed_by="ann"))
    made = [disclosure.add(connection, report(f"VR-{word}", NOW + place)) for place, word in enumerate("ABC")]
    disclosure.change(connection, made[0].number, {"state": "closed", "closed_at": NOW})
    disclosure.change(connection, made[1].number, {"catalog_id": CATALOG, "product_id": PRODUCT})
    entry = ReportEntryRow(number=1, at=NOW, actor="ann", action="tell", state="new", sealed=b"x")
    disclosure.add_entry(connection, made[1].number, entry)
    page = disclosure.page(connection, None, state="open", limit=1, before=None)
    seen |= {
        "is published": presence.has_disclosure(connection),
        "policy": disclosure.policy(connection),
        "open": [each.reference for each in disclosure.open_reports(connection)],
        "page": ([each.reference for each in page.items], page.next_cursor is not None),
        "of a catalog": [
            each.reference for each in disclosure.page(connection, CATALOG, state=None, limit=9, before=None).items
        ],
        "counts": disclosure.counts(connection),
        "entries": disclosure.entries(connection, made[1].number),
        "reports of a product": product_traces.reports(connection, PRODUCT, limit=9),
        "cases of a product": product_traces.cases(connection, CATALOG, PRODUCT, limit=9),
        "support is declared": presence.has_declared_support(connection),
        "products": catalog_rows.every_product(connection),
        "devices of products": catalog_rows.devices_of_products(connection, [PRODUCT, OTHER]),
        "by support": {
            state: device_lists.count(connection, DeviceFilter(support=state), **AS_OF)
            for state in ("undeclared", "supported", "ending", "ended")
        },
        "kinds": sorted(product_traces.devices(connection, PRODUCT, **AS_OF)),
        "running os": product_traces.running_os(connection, PRODUCT),
        "running images": product_traces.running_images(connection, PRODUCT),
        "deployed images": product_traces.deployed_images(connection, PRODUCT),
        "images": product_traces.images(connection, CATALOG, IMAGES),
        "components": product_traces.components(connection, [1, 2], limit=9),
        "first component": product_traces.components(connection, [1, 2], limit=1),
        "ecosystems": component_rows.ecosystems(connection, [2]),
        "identities": traces.identities_until(connection, NOW + DAY, ["mt3620"], limit=2),
        "count of identities": traces.count_identities_until(connection, NOW + DAY, ["mt3620"]),
        "actors": traces.actors(connection, ["a", "b", "z"], {"image.upload"}),
        "name": traces.catalog_name(connection, CATALOG),
        "lines": [line.number for line in audit_rows.of_targets(connection, ["a", "c"], limit=3)],
        "living": finding_rows.living_of_kind(connection, "support-ending"),
    }
    disclosure.put_policy(connection, None)
    seen["cleared"] = disclosure.policy(connection)
    return seen


def played(connection: Connection) -> tuple[dict[str, Any], dict[str, list[tuple[Any, ...]]]]:
    schema.metadata.create_all(connection)
    fill(connection)
    seen = play(connection)
    return seen, rows_of(connection)


@pytest.fixture
def embedded(tmp_path: Path) -> tuple[dict[str, Any], Any]:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        found = played(connection)
    engine.dispose()
    return found


def test_what_is_seen_of_the_play_is_what_happened(embedded: tuple[dict[str, Any], Any]) -> None:
    """The control: the questions have answers."""
    seen, _ = embedded
    assert (seen["nothing is published"], seen["is published"], seen["cleared"]) == (False, True, None)
    assert seen["open"] == ["VR-B", "VR-C"]
    assert (seen["page"], seen["of a catalog"]) == ((["VR-C"], True), ["VR-B"])
    assert seen["counts"] == {"new": 2, "closed": 1}
    assert [each["reference"] for each in seen["reports of a product"]] == ["VR-B"]
    assert seen["devices of products"] == {PRODUCT: DEVICES}
    assert seen["by support"] == {"undeclared": 0, "supported": 0, "ending": DEVICES, "ended": 0}
    assert {each.health: each[4:] for each in seen["kinds"]} == {
        "attested": (4, 3, NOW + 3600, NOW + 3 * 3600),
        "revoked": (1, 0, None, None),
    }
    assert [(each.attested, each.devices) for each in seen["running os"]] == [(False, 2), (True, 1)]
    listed = {each.package: documents for each, documents in seen["components"].items()}
    assert listed == {"a": [1], "b": [1, 2], "c": [2]}
    assert [each.package for each in seen["first component"]] == ["a"]
    assert seen["ecosystems"] == {2: frozenset({("PyPI", "")})}
    assert seen["running images"] == {IMAGES[0]: 1, IMAGES[1]: 2}
    assert [each.issued_at for each in seen["identities"]] == [NOW + 4, NOW + 3]
    assert (seen["count of identities"], seen["name"], seen["actors"]) == (5, "Contoso", {"a": "ann", "b": "ann"})
    assert seen["lines"] == [6, 4, 3]


def test_both_engines_say_and_store_the_same(server: postgresql.Server, embedded: tuple[Any, Any]) -> None:
    url = server.database("security").replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.begin() as connection:
        seen, rows = played(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[0][what]} == set()
    assert {name for name, found in rows.items() if found != embedded[1][name]} == set()
