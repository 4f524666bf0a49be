# SPDX-License-Identifier: Apache-2.0
"""Feeds of advisories: whose keys may sign them, their editions, and their records in every edition.

A row of a record or statement holds from the edition that brought it until the one that changed or left it out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from armillary.engines.records.advisories.software import portions
from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import advisory_tables, dialect
from armillary.engines.records.schema.advisory_rows import (
    AdvisoryVersion,
    Exploitation,
    Feed,
    FeedEdition,
    FeedKey,
    VexStatement,
)
from armillary.engines.records.schema.rows import from_row, to_row

_key, _feed, _edition = advisory_tables.feed_key, advisory_tables.advisory_feed, advisory_tables.feed_edition
_version, _alias, _package = (
    advisory_tables.advisory_version,
    advisory_tables.advisory_alias,
    advisory_tables.advisory_package,
)
_exploitation, _vex = advisory_tables.exploitation, advisory_tables.vex_statement
_pair = advisory_tables.component_advisory

# -- keys -------------------------------------------------------------------------------------------------------------


def change_key(connection: Connection, key_id: str, values: Mapping[str, object]) -> None:
    """Set columns of a key: name, feed, revoked_at."""
    connection.execute(update(_key).where(_key.c.key_id == key_id).values(dict(values)))


def add_key(connection: Connection, key: FeedKey) -> None:
    """Register a new key."""
    connection.execute(insert(_key).values(to_row(_key, key)))


def key(connection: Connection, key_id: str) -> FeedKey | None:
    """A key, revoked or not."""
    return first(connection, select(_key).where(_key.c.key_id == key_id), _as_key)


def keys(connection: Connection) -> tuple[FeedKey, ...]:
    """All keys, the oldest first."""
    return every(connection, select(_key).order_by(_key.c.added_at, _key.c.key_id), _as_key)


def _as_key(row: Row[Any]) -> FeedKey:
    return from_row(FeedKey, row, public_key=bytes(row.public_key))


# -- feeds and editions -----------------------------------------------------------------------------------------------


def feed(connection: Connection, name: str) -> Feed | None:
    """A feed with its edition in force."""
    return first(connection, _feeds().where(_feed.c.name == name), _as_feed)


def feeds(connection: Connection, at: int | None = None) -> tuple[Feed, ...]:
    """All feeds with their editions in force now, or at a time, by name."""
    return every(connection, _feeds(at).order_by(_feed.c.name), _as_feed)


def add_feed(connection: Connection, name: str, kind: str, *, max_age_s: int) -> None:
    """Record a feed that has no edition yet."""
    connection.execute(insert(_feed).values(name=name, kind=kind, edition=0, max_age_s=max_age_s))


def set_max_age(connection: Connection, name: str, max_age_s: int) -> None:
    """Set after how many seconds a feed is stale."""
    connection.execute(update(_feed).where(_feed.c.name == name).values(max_age_s=max_age_s))


def _feeds(at: int | None = None) -> Any:
    query = select(_feed.c.name, _feed.c.kind, _feed.c.max_age_s, _edition)
    if at is None:
        here = (_edition.c.feed == _feed.c.name) & (_edition.c.edition == _feed.c.edition)
        return query.join(_edition, here, isouter=True)
    held = held_at(at)
    query = query.select_from(_feed).join(held, held.c.name == _feed.c.name, isouter=True)
    here = (_edition.c.feed == held.c.name) & (_edition.c.edition == held.c.edition)
    return query.join(_edition, here, isouter=True)


def _as_feed(row: Row[Any]) -> Feed:
    current = None if row.begun_at is None else _as_edition(row)
    return Feed(name=row.name, kind=row.kind, max_age_s=row.max_age_s, current=current)


def _as_edition(row: Row[Any]) -> FeedEdition:
    return from_row(FeedEdition, row, sha256=bytes(row.sha256), ecosystems=tuple(json.loads(row.ecosystems)))


def editions(connection: Connection, name: str) -> tuple[FeedEdition, ...]:
    """All imports of a feed, the newest first."""
    query = select(_edition).where(_edition.c.feed == name).order_by(_edition.c.edition.desc())
    return every(connection, query, _as_edition)


def begin_edition(connection: Connection, made: FeedEdition) -> None:
    """Record that an import has begun: what it writes is seen by nobody yet."""
    connection.execute(insert(_edition).values(to_row(_edition, made, ecosystems=json.dumps(list(made.ecosystems)))))


def complete_edition(connection: Connection, name: str, edition: int, *, refused: int, now: int) -> None:
    """Put an edition in force."""
    here = (_edition.c.feed == name) & (_edition.c.edition == edition)
    connection.execute(update(_edition).where(here).values(whole_at=now, refused=refused))
    connection.execute(update(_feed).where(_feed.c.name == name).values(edition=edition))


def cut_short(connection: Connection) -> tuple[tuple[str, int], ...]:
    """Editions whose import was cut short: feed and number."""
    rows = connection.execute(select(_edition.c.feed, _edition.c.edition).where(_edition.c.whole_at.is_(None)))
    return tuple((row.feed, row.edition) for row in rows)


def undo_records(connection: Connection, name: str, edition: int, *, limit: int) -> int:
    """Take back some of what an edition wrote that is not in force; how many rows, 0 when nothing is left."""
    undone = 0
    mine = select(_version.c.version_id).where(_version.c.feed == name, _version.c.from_edition == edition)
    gone = connection.execute(mine.limit(limit)).scalars().all()
    for some in portions(gone):
        for table in (_alias, _package, _pair, _version):
            connection.execute(delete(table).where(table.c.version_id.in_(some)))
    undone += len(gone)
    for table, number in ((_version, _version.c.version_id), (_vex, _vex.c.statement_id)):
        ended = select(number).where(table.c.feed == name, table.c.until_edition == edition).limit(limit)
        again = connection.execute(ended).scalars().all()
        for some in portions(again):
            connection.execute(update(table).where(number.in_(some)).values(until_edition=None))
        undone += len(again)
    made = delete(_vex).where(_vex.c.feed == name, _vex.c.from_edition == edition)
    return undone + connection.execute(made).rowcount


def remove_edition(connection: Connection, name: str, edition: int) -> None:
    """Delete the row of an import of which nothing is left."""
    connection.execute(delete(_edition).where(_edition.c.feed == name, _edition.c.edition == edition))


# -- records ----------------------------------------------------------------------------------------------------------


def held_at(at: int | None) -> FromClause:
    """Feeds (``name``) with the ``edition`` that is in force now, or was at a time; those without one then are not."""
    if at is None:
        return _feed
    whole = select(_edition.c.feed.label("name"), func.max(_edition.c.edition).label("edition"))
    return whole.where(_edition.c.whole_at <= at).group_by(_edition.c.feed).subquery("held")


def in_force(table: Table, held: FromClause = _feed) -> ColumnElement[bool]:
    """Rows of ``advisory_version`` or ``vex_statement`` that hold in their feed's edition; join ``held``."""
    ended = or_(table.c.until_edition.is_(None), table.c.until_edition > held.c.edition)
    return and_(held.c.name == table.c.feed, table.c.from_edition <= held.c.edition, ended)


def open_digests(connection: Connection, name: str, ids: Sequence[str], edition: int) -> dict[str, tuple[int, bytes]]:
    """What is held of some records before an edition: id -> version and digest."""
    found: dict[str, tuple[int, bytes]] = {}
    query = select(_version.c.advisory_id, _version.c.version_id, _version.c.digest)
    open_now = (_version.c.feed == name) & _version.c.until_edition.is_(None) & (_version.c.from_edition < edition)
    for some in portions(ids):
        for row in connection.execute(query.where(open_now, _version.c.advisory_id.in_(some))):
            found[row.advisory_id] = (row.version_id, bytes(row.digest))
    return found


def end_versions(connection: Connection, version_ids: Sequence[int], edition: int) -> None:
    """Say that these versions hold no more from an edition on."""
    for some in portions(version_ids):
        here = _version.c.version_id.in_(some)
        connection.execute(update(_version).where(here).values(until_edition=edition))


def open_ids(connection: Connection, name: str, *, before: int, after: int, limit: int) -> list[tuple[int, str]]:
    """Versions of earlier editions that hold still, above a number: number and record's id."""
    query = select(_version.c.version_id, _version.c.advisory_id).where(
        _version.c.feed == name,
        _version.c.until_edition.is_(None),
        _version.c.from_edition < before,
        _version.c.version_id > after,
    )
    return [
        (row.version_id, row.advisory_id)
        for row in connection.execute(query.order_by(_version.c.version_id).limit(limit))
    ]


def add_version(
    connection: Connection,
    values: Mapping[str, object],
    *,
    aliases: Iterable[str],
    packages: Iterable[tuple[str, str]],
    affected: Sequence[Mapping[str, object]],
) -> int:
    """Record a version of an advisory and its pairs with components (columns of that table); its number."""
    made = connection.execute(insert(_version).values(dict(values))).inserted_primary_key
    if made is None:
        raise AssertionError("an insert gave no row number")
    number = int(made[0])
    for table, rows in (
        (_alias, [{"alias": each, "version_id": number} for each in sorted(set(aliases))]),
        (
            _package,
            [{"ecosystem": one, "package": other, "version_id": number} for one, other in sorted(set(packages))],
        ),
        (_pair, [{**each, "version_id": number} for each in affected]),
    ):
        if rows:
            connection.execute(insert(table), rows)
    return number


def documents_about(connection: Connection, packages: Collection[tuple[str, str]]) -> list[tuple[int, str, bytes]]:
    """Records in force about some packages (ecosystem, package): version, feed and deflated document."""
    found: dict[int, tuple[int, str, bytes]] = {}
    by_ecosystem: dict[str, list[str]] = {}
    for ecosystem, package in packages:
        by_ecosystem.setdefault(ecosystem, []).append(package)
    for ecosystem, names in by_ecosystem.items():
        for some in portions(names):
            query = (
                select(_version.c.version_id, _version.c.feed, _version.c.document)
                .join(_package, _package.c.version_id == _version.c.version_id)
                .join(_feed, in_force(_version))
                .where(_package.c.ecosystem == ecosystem, _package.c.package.in_(some))
                .where(_version.c.withdrawn_at.is_(None))
            )
            for row in connection.execute(query):
                found[row.version_id] = (row.version_id, row.feed, bytes(row.document))
    return list(found.values())


def versions_named(
    connection: Connection, name: str, *, held: bool = True, at: int | None = None
) -> tuple[AdvisoryVersion, ...]:
    """Versions of the records of this id or alias: in force now, at a time, or all that were ever held; by number."""
    here = or_(
        _version.c.advisory_id == name,
        _version.c.version_id.in_(select(_alias.c.version_id).where(_alias.c.alias == name)),
    )
    query = _versions().where(here)
    if held:
        feeds_then = held_at(at)
        query = query.join(feeds_then, in_force(_version, feeds_then))
    return every(connection, query.order_by(_version.c.version_id), _as_version)


def first_editions(connection: Connection, name: str, advisory_id: str) -> tuple[FeedEdition, ...]:
    """The import that brought a record of a feed first, in any of its versions; empty if there is none."""
    oldest = select(func.min(_version.c.from_edition)).where(
        _version.c.feed == name, _version.c.advisory_id == advisory_id
    )
    query = select(_edition).where(_edition.c.feed == name, _edition.c.edition == oldest.scalar_subquery())
    return every(connection, query, _as_edition)


def grave(connection: Connection, severity: str) -> tuple[AdvisoryVersion, ...]:
    """Versions in force that affect a component, and are of this severity or known to be exploited."""
    listed = select(_exploitation.c.cve).where(_exploitation.c.kev_added_at.is_not(None))
    named = select(_alias.c.version_id).where(_alias.c.alias.in_(listed))
    query = (
        _versions()
        .join(_feed, in_force(_version))
        .where(_version.c.withdrawn_at.is_(None))
        .where(select(_pair.c.component_id).where(_pair.c.version_id == _version.c.version_id).exists())
        .where(
            or_(_version.c.severity == severity, _version.c.advisory_id.in_(listed), _version.c.version_id.in_(named))
        )
    )
    return every(connection, query.order_by(_version.c.version_id), _as_version)


def versions(connection: Connection, numbers: Sequence[int]) -> tuple[AdvisoryVersion, ...]:
    """Versions of some numbers, in force."""
    found: list[AdvisoryVersion] = []
    for some in portions(numbers):
        query = _versions().join(_feed, in_force(_version)).where(_version.c.version_id.in_(some))
        found += every(connection, query, _as_version)
    return tuple(found)


def aliases_of(connection: Connection, numbers: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """The other names of versions: number -> aliases, in order."""
    found: dict[int, tuple[str, ...]] = {}
    for some in portions(numbers):
        query = select(_alias).where(_alias.c.version_id.in_(some)).order_by(_alias.c.alias)
        for row in connection.execute(query):
            found[row.version_id] = (*found.get(row.version_id, ()), row.alias)
    return found


def document_of(connection: Connection, version_id: int) -> bytes:
    """The deflated record of a version."""
    return bytes(
        connection.execute(select(_version.c.document).where(_version.c.version_id == version_id)).scalar_one()
    )


def count_versions(connection: Connection, name: str) -> int:
    """How many records of a feed are in force."""
    query = select(func.count()).select_from(_version).join(_feed, in_force(_version)).where(_version.c.feed == name)
    return int(connection.execute(query).scalar_one())


def _versions() -> Any:
    return select(*(column for column in _version.c if column.name != "document"))


def _as_version(row: Row[Any]) -> AdvisoryVersion:
    fixed = {package: tuple(found) for package, found in json.loads(row.fixed).items()}
    return from_row(AdvisoryVersion, row, digest=bytes(row.digest), fixed=fixed)


# -- exploitation, VEX ------------------------------------------------------------------------------------------------


def put_exploited(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record what KEV or EPSS say of some CVEs, beside what the other says; each row has ``cve``."""
    dialect.insert_new(connection, _exploitation, [{"cve": row["cve"]} for row in rows])
    for row in rows:
        values = {name: value for name, value in row.items() if name != "cve"}
        connection.execute(update(_exploitation).where(_exploitation.c.cve == row["cve"]).values(values))


def end_known_exploited(connection: Connection, edition: int) -> None:
    """Forget that CVEs are known to be exploited which the newest catalogue no longer lists."""
    gone = _exploitation.c.kev_edition.is_not(None) & (_exploitation.c.kev_edition < edition)
    values = {"kev_added_at": None, "kev_due_at": None, "kev_edition": None}
    connection.execute(update(_exploitation).where(gone).values(values))


def exploited(connection: Connection, names: Collection[str]) -> dict[str, Exploitation]:
    """What is known of the exploitation of some CVEs."""
    found: dict[str, Exploitation] = {}
    for some in portions(sorted(names)):
        query = select(_exploitation).where(_exploitation.c.cve.in_(some))
        found |= {row.cve: from_row(Exploitation, row) for row in connection.execute(query)}
    return found


def open_statements(connection: Connection, name: str, edition: int) -> dict[bytes, int]:
    """VEX statements of a feed that hold before an edition: digest -> number."""
    query = select(_vex.c.digest, _vex.c.statement_id).where(
        _vex.c.feed == name, _vex.c.until_edition.is_(None), _vex.c.from_edition < edition
    )
    return {bytes(row.digest): row.statement_id for row in connection.execute(query)}


def add_statements(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record VEX statements."""
    if rows:
        connection.execute(insert(_vex), [dict(row) for row in rows])


def end_statements(connection: Connection, numbers: Sequence[int], edition: int) -> None:
    """Say that these statements hold no more from an edition on."""
    for some in portions(numbers):
        connection.execute(update(_vex).where(_vex.c.statement_id.in_(some)).values(until_edition=edition))


def statements(
    connection: Connection, vulnerabilities: Collection[str], at: int | None = None
) -> tuple[VexStatement, ...]:
    """What VEX documents that are in force now, or were at a time, say of these vulnerabilities, the oldest first."""
    found: list[VexStatement] = []
    held = held_at(at)
    for some in portions(sorted(vulnerabilities)):
        query = select(_vex).join(held, in_force(_vex, held)).where(_vex.c.vulnerability.in_(some))
        found += every(
            connection, query.order_by(_vex.c.stated_at, _vex.c.statement_id), partial(from_row, VexStatement)
        )
    return tuple(found)
