# SPDX-License-Identifier: Apache-2.0
"""The queries of advisories and of what runs where: what SQLite answers and stores, PostgreSQL does as well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, create_engine, delete, select
from tests import postgresql
from tests.engines.records import update_play

from armillary.engines.records.advisories import components, feeds, own_statements, software
from armillary.engines.records.queries import devices as device_rows, findings as finding_rows, images as image_rows
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.advisory_rows import AFFECTED, FeedEdition, FeedKey
from armillary.engines.records.schema.update_rows import BillRow

NOW = update_play.NOW
KEY = FeedKey(key_id="ab" * 32, name="packer", feed="", public_key=b"k", added_at=NOW, added_by="ana")
EDITION = FeedEdition(
    feed="osv", edition=1, source_url="u", as_of=NOW, sha256=b"s" * 32, records=2, refused=0, ecosystems=("PyPI",),
    signer=KEY.key_id, begun_at=NOW, whole_at=None, imported_by="ana",
)  # fmt: skip
# Tables that the play writes.
WRITTEN = (
    "software_set", "software_part", "device_software", "software_count", "software_move", "feed_key", "advisory_feed",
    "feed_edition", "advisory_version", "advisory_alias", "advisory_package", "exploitation", "bill_content", "component",
    "bill_component", "component_advisory", "vex_statement", "own_statement", "software_past",
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[postgresql.Server]:
    running = postgresql.Server()
    yield running
    running.close()


def version(name: str, edition: int, digest: bytes = b"d") -> dict[str, object]:
    return {
        "feed": "osv", "advisory_id": name, "digest": digest * 32, "published_at": None, "modified_at": NOW,
        "withdrawn_at": None, "summary": name, "severity": "high", "cvss": 7.5, "cvss_vector": "", "fixed": "{}",
        "from_edition": edition, "document": b"z",
    }  # fmt: skip


def component(package: str, unassessed: str = "") -> dict[str, str]:
    return {
        "ecosystem": "" if unassessed else "PyPI", "release": "", "package": package, "version": "1",
        "purl": f"pkg:pypi/{package}@1", "unassessed": unassessed,
    }  # fmt: skip


def bills(connection: Connection) -> dict[str, Any]:
    """Bills of materials of an image and of a release, read and compared."""
    bill = BillRow(
        release_id=None, catalog_id=update_play.CATALOG, image_id=update_play.OLD, sha256=b"i" * 32, size=1,
        spec_version="1.6", components=2, added_at=NOW, added_by="ana",
    )  # fmt: skip
    image_rows.put_bill(connection, bill)
    seen: dict[str, Any] = {"unread": components.unread_bill(connection) is not None}
    made = components.add_components(connection, [component("django"), component("own", "no package URL")])
    again = components.add_components(connection, [component("django"), component("flask")])
    seen["components"] = [
        (each.package, each.compared) for each in sorted((*made, *again), key=lambda one: one.package)
    ]
    ids = {each.package: each.component_id for each in (*made, *again)}
    values = {"sha256": b"i" * 32, "components": 2, "unassessed": 1, "fault": "", "read_at": NOW}
    for _ in range(2):  # the second time nothing
        components.add_content(connection, values, [ids["django"], ids["own"]])
    components.set_compared(connection, list(ids.values()))
    seen["of packages"] = [each.package for each in components.of_packages(connection, {("PyPI", "django")})]
    seen["after"] = len(components.after(connection, 0, limit=10))
    return seen | {"ids": ids}


def imports(connection: Connection, ids: dict[str, int]) -> dict[str, Any]:
    """Two editions, of which the second is taken back and made again."""
    feeds.add_key(connection, KEY)
    feeds.add_feed(connection, "osv", "osv", max_age_s=60)
    feeds.begin_edition(connection, EDITION)
    pair = {"component_id": ids["django"], "answer": AFFECTED, "goarch": ""}
    about = {"aliases": ["CVE-1"], "packages": [("PyPI", "django")], "affected": [pair]}
    first = feeds.add_version(connection, version("A", 1), **about)
    feeds.add_version(connection, version("B", 1), aliases=[], packages=[("PyPI", "flask")], affected=[])
    feeds.complete_edition(connection, "osv", 1, refused=0, now=NOW)
    seen: dict[str, Any] = {"in force": [each.advisory_id for each in feeds.versions_named(connection, "CVE-1")]}
    for _ in range(2):
        feeds.begin_edition(connection, replace(EDITION, edition=2, as_of=NOW + 1))
        held = feeds.open_digests(connection, "osv", ["A", "B"], 2)
        seen["held"] = sorted((name, digest) for name, (_, digest) in held.items())
        feeds.end_versions(connection, [held["A"][0]], 2)
        feeds.add_version(connection, version("A", 2, b"e"), **about)
        seen["cut short"] = feeds.cut_short(connection)
        left = feeds.open_ids(connection, "osv", before=2, after=0, limit=10)
        seen["left"] = [name for _, name in left]
        if not seen.setdefault("undone", 0):
            while undone := feeds.undo_records(connection, "osv", 2, limit=1):
                seen["undone"] += undone
            feeds.remove_edition(connection, "osv", 2)
    feeds.complete_edition(connection, "osv", 2, refused=1, now=NOW + 2)
    components.put_pairs(connection, [{**pair, "version_id": first}])
    seen["feeds"] = feeds.feeds(connection)
    seen["editions"] = feeds.editions(connection, "osv")
    seen["first"] = [each.edition for each in feeds.first_editions(connection, "osv", "A")]
    seen["all"] = [(e.from_edition, e.until_edition) for e in feeds.versions_named(connection, "A", held=False)]
    seen["documents"] = len(feeds.documents_about(connection, {("PyPI", "django"), ("PyPI", "flask")}))
    seen["count"] = feeds.count_versions(connection, "osv")
    return seen


def asked(connection: Connection) -> dict[str, Any]:
    """Exploitation, VEX, and what is affected."""
    rows = [{"cve": "CVE-1", "epss": 0.5, "epss_percentile": 0.9, "epss_as_of": NOW}]
    feeds.put_exploited(connection, rows)
    feeds.put_exploited(connection, [{"cve": "CVE-1", "kev_added_at": NOW, "kev_due_at": None, "kev_edition": 1}])
    seen: dict[str, Any] = {"exploited": feeds.exploited(connection, ["CVE-1", "CVE-2"])}
    feeds.end_known_exploited(connection, 2)
    seen["no longer"] = feeds.exploited(connection, ["CVE-1"])
    said = {
        "feed": "osv", "digest": b"v" * 32, "vulnerability": "CVE-1", "product": "p", "component": "", "state": "fixed",
        "justification": "", "author": "a", "stated_at": NOW, "from_edition": 1,
    }  # fmt: skip
    feeds.add_statements(connection, [said])
    seen["statements"] = feeds.statements(connection, ["CVE-1"])
    numbers = list(feeds.open_statements(connection, "osv", 2).values())
    feeds.end_statements(connection, numbers, 2)
    seen["ended"] = feeds.statements(connection, ["CVE-1"])
    versions = sorted(components.affecting(connection))
    seen["affecting"] = [each.advisory_id for each in feeds.versions(connection, versions)]
    pairs = components.pairs_of(connection, versions)
    seen["pairs"] = [(each.purl, each.answer, each.goarch) for each in pairs]
    contents = {each.content_id for each in pairs}
    seen["only"] = components.affecting(connection, contents) == set(versions)
    seen["listing"] = components.listing(connection, versions) == contents
    seen["having"] = [(each.artifact_id, each.name) for each in components.having(connection, contents)]
    seen["artifacts"] = [(each.artifact_id, each.content is None) for each in components.artifacts(connection)]
    seen["mine"] = len(components.artifacts(connection, update_play.CATALOG))
    seen["unassessed"] = [each.package for one in contents for each in components.unassessed(connection, one, limit=9)]
    seen["ecosystems"] = list(components.ecosystems(connection).values())
    seen["grave"] = [each.advisory_id for each in feeds.grave(connection, "high")]
    seen["none grave"] = feeds.grave(connection, "critical")
    seen["newest content"] = components.newest_content(connection)
    seen["own"] = own_said(connection)
    seen["then"] = [feeds.feeds(connection, at)[0].current is None for at in (NOW - 1, NOW + 9)]
    seen["named then"] = [len(feeds.versions_named(connection, "A", at=at)) for at in (NOW - 1, NOW + 1, NOW + 9)]
    seen["said then"] = [len(feeds.statements(connection, ["CVE-1"], at)) for at in (NOW - 1, NOW + 1, NOW + 9)]
    seen["gravest"] = finding_rows.gravest(connection, "none")
    return seen


def own_said(connection: Connection) -> list[Any]:
    """Statements of operators: one of the whole service, one that is taken back."""
    for number, catalog in enumerate((None, update_play.CATALOG)):
        own_statements.add(
            connection, statement_id=UUID(int=number), catalog_id=catalog, vulnerability="CVE-1", stated_at=NOW + number,
            signed=b"s", made_by="ana",
        )  # fmt: skip
    own_statements.take_back(connection, UUID(int=0), by="ana", reason="wrong", now=NOW + 5)
    return [
        own_statements.one(connection, UUID(int=0)),
        [each.number for each in own_statements.holding(connection, ["CVE-1", "CVE-2"])],
        [len(own_statements.holding(connection, ["CVE-1"], at)) for at in (NOW - 1, NOW, NOW + 1, NOW + 5)],
        own_statements.names(connection, None),
        [own_statements.count(connection, catalog) for catalog in (None, update_play.CATALOG)],
        own_statements.page(connection, update_play.CATALOG, vulnerability="CVE-1", limit=1, before=None),
        own_statements.page(connection, None, vulnerability=None, limit=9, before=None),
    ]


def running(connection: Connection) -> dict[str, Any]:
    """All devices are taken in, some change what they run and their group, and some are forgotten."""
    everybody = software.by_number(0, 10**6)
    seen: dict[str, Any] = {"moved": software.has_moved(connection, everybody)}
    seen["taken in"] = software.take_in(connection, everybody, now=NOW)
    seen["placed"] = software.place(connection, everybody, now=NOW)
    device_rows.change(connection, update_play.device_id(1), {"group_id": update_play.EVAL})
    mine = schema.device_status.c.device_number == 2
    connection.execute(schema.device_status.update().where(mine).values(installed="[]", verdict="update-only"))
    seen["again"] = software.place(
        connection, software.by_id([update_play.device_id(n) for n in (1, 2, 3)]), now=NOW + 60
    )
    seen["checked in"] = software.has_moved(connection, software.by_check_in(0, 10**6))
    sets = software.sets_after(connection, 0)
    seen["sets"] = sorted((each.attested, each.os_version, sorted(each.image_ids)) for each in sets)
    pairs = software.pairs(connection)
    seen["pairs"] = sorted((each.group_id, each.devices) for each in pairs)
    seen["some"] = software.pairs(connection, [each.set_id for each in sets]) == pairs
    moves = software.moves(connection, [each.set_id for each in sets], since=0)
    seen["moves"] = sorted((each.at, each.group_id, each.devices) for each in moves)
    listed = [
        n for each in pairs for n in software.devices_of(connection, each.set_id, each.group_id, after=0, limit=99)
    ]
    seen["listed"] = sorted(listed)
    seen["described"] = software.described(connection, sorted(listed)[:3])
    seen["counted"] = software.count_pairs(connection)
    seen["held"] = [
        None if (one := software.held_at(connection, 1, at)) is None else (one.group_id, one.since, one.until)
        for at in (NOW - 1, NOW, NOW + 59, NOW + 60, NOW + 99)
    ]
    seen["pairs then"] = [
        sum(each.devices for each in software.pairs_at(connection, at)) for at in (NOW - 10, NOW, NOW + 60)
    ]
    seen["noted"] = (software.noted_since(connection), software.number_of(connection, update_play.device_id(1)))
    seen["newest"] = software.newest(connection)[0]
    seen["pruned"] = software.prune(connection, before=NOW + 1)
    return seen


def played(connection: Connection) -> tuple[dict[str, Any], dict[str, int]]:
    schema.metadata.create_all(connection)
    update_play.fill(connection)
    seen = bills(connection)
    seen |= imports(connection, seen.pop("ids"))
    seen |= asked(connection)
    seen |= running(connection)
    tables = schema.metadata.tables
    rows = {name: len(connection.execute(select(tables[name])).all()) for name in WRITTEN}
    connection.execute(delete(tables["bill_of_materials"]).where(tables["bill_of_materials"].c.image_id.is_not(None)))
    seen["unnamed"] = components.remove_unnamed(connection)
    return seen, rows


def test_both_engines_say_and_store_the_same(server: postgresql.Server, tmp_path: Path) -> None:
    engine = dialect.open_writer(tmp_path / "records.db")
    with engine.begin() as connection:
        embedded = played(connection)
    engine.dispose()
    assert all(embedded[1].values()), "the play writes every table"
    assert embedded[0]["in force"] == ["A"]
    assert embedded[0]["all"] == [(1, 2), (2, None)]
    engine = create_engine(server.database("advisories").replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        seen, rows = played(connection)
    engine.dispose()
    assert {what for what, found in seen.items() if found != embedded[0][what]} == set()
    assert rows == embedded[1]
