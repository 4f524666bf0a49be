# SPDX-License-Identifier: Apache-2.0
"""What bills of materials list, once for each document, and which of it advisories affect."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from armillary.engines.records.advisories.feeds import in_force
from armillary.engines.records.advisories.software import portions
from armillary.engines.records.queries.pages import every
from armillary.engines.records.schema import advisory_tables, dialect, schema
from armillary.engines.records.schema.advisory_rows import Artifact, BillContent, ComponentRow, Pair
from armillary.engines.records.schema.rows import from_row
from armillary.wire.image.naming import image_label

_bill, _content, _component = schema.bill_of_materials, advisory_tables.bill_content, advisory_tables.component
_part, _pair, _version, _feed = (
    advisory_tables.bill_component,
    advisory_tables.component_advisory,
    advisory_tables.advisory_version,
    advisory_tables.advisory_feed,
)
_image, _release = schema.image, schema.os_release


def unread_bill(connection: Connection) -> bytes | None:
    """The SHA-256 of a bill of materials whose components were not read yet; None when there is none."""
    query = select(_bill.c.sha256).join(_content, _content.c.sha256 == _bill.c.sha256, isouter=True)
    found = connection.execute(query.where(_content.c.content_id.is_(None)).limit(1)).scalar_one_or_none()
    return None if found is None else bytes(found)


def add_components(connection: Connection, rows: Sequence[Mapping[str, str]]) -> list[ComponentRow]:
    """Record components that are not there; all of them as they are kept. Rows have the columns of ``component``."""
    found: list[ComponentRow] = []
    named = {digest_of(row): row for row in rows}
    for some in portions(list(named)):
        held = select(_component).where(_component.c.digest.in_(some))
        known = {bytes(row.digest) for row in connection.execute(held)}
        fresh = [{**named[each], "digest": each, "compared": False} for each in some if each not in known]
        if fresh:
            connection.execute(insert(_component), fresh)
        found += every(connection, held, partial(from_row, ComponentRow))
    return found


def set_compared(connection: Connection, component_ids: Sequence[int]) -> None:
    """Say that the pairs of these components are recorded."""
    for some in portions(component_ids):
        here = _component.c.component_id.in_(some)
        connection.execute(update(_component).where(here).values(compared=True))


def digest_of(row: Mapping[str, str]) -> bytes:
    """What a component is the same by."""
    return sha256("\0".join((row["ecosystem"], row["package"], row["version"], row["purl"])).encode()).digest()


def add_content(connection: Connection, values: Mapping[str, object], component_ids: Collection[int]) -> None:
    """Record what was read of a bill of materials, unless another has recorded it meanwhile."""
    if not dialect.insert_new(connection, _content, [values]):
        return
    number = connection.execute(select(_content.c.content_id).where(_content.c.sha256 == values["sha256"])).scalar_one()
    rows = [{"component_id": each, "content_id": number} for each in sorted(component_ids)]
    if rows:
        connection.execute(insert(_part), rows)


def of_packages(connection: Connection, packages: Collection[tuple[str, str]]) -> list[ComponentRow]:
    """Components of some packages (ecosystem, package), in all their versions."""
    found: list[ComponentRow] = []
    by_ecosystem: dict[str, list[str]] = {}
    for ecosystem, package in packages:
        by_ecosystem.setdefault(ecosystem, []).append(package)
    for ecosystem, names in by_ecosystem.items():
        for some in portions(sorted(set(names))):
            query = select(_component).where(_component.c.ecosystem == ecosystem, _component.c.package.in_(some))
            found += every(connection, query, partial(from_row, ComponentRow))
    return found


def after(connection: Connection, component_id: int, *, limit: int) -> tuple[ComponentRow, ...]:
    """Components with a number above ``component_id``, by number."""
    query = select(_component).where(_component.c.component_id > component_id)
    return every(connection, query.order_by(_component.c.component_id).limit(limit), partial(from_row, ComponentRow))


def put_pairs(connection: Connection, rows: Sequence[Mapping[str, int]]) -> None:
    """Record pairs of components and versions of advisories, but for those that are there."""
    if rows:
        present = set()
        for some in portions(sorted({row["version_id"] for row in rows})):
            known = connection.execute(
                select(_pair.c.version_id, _pair.c.component_id).where(_pair.c.version_id.in_(some))
            )
            present |= {(row.version_id, row.component_id) for row in known}
        fresh = [dict(row) for row in rows if (row["version_id"], row["component_id"]) not in present]
        if fresh:
            connection.execute(insert(_pair), fresh)


def pairs_of(connection: Connection, version_ids: Sequence[int]) -> list[Pair]:
    """How what bills of materials list stands to some versions of advisories."""
    found: list[Pair] = []
    for some in portions(version_ids):
        query = (
            select(
                _part.c.content_id,
                _pair.c.version_id,
                _component.c.component_id,
                _component.c.purl,
                _component.c.version,
                _pair.c.answer,
                _pair.c.goarch,
            )
            .join(_component, _component.c.component_id == _pair.c.component_id)
            .join(_part, _part.c.component_id == _pair.c.component_id)
            .where(_pair.c.version_id.in_(some))
        )
        found += [Pair(*row[:6], tuple(row.goarch.split())) for row in connection.execute(query)]
    return found


def listing(connection: Connection, version_ids: Sequence[int]) -> set[int]:
    """Documents that list a package which some versions of advisories are about, in whatever version."""
    about = advisory_tables.advisory_package
    same = (_component.c.ecosystem == about.c.ecosystem) & (_component.c.package == about.c.package)
    found: set[int] = set()
    for some in portions(version_ids):
        query = select(_part.c.content_id).join(_component, _component.c.component_id == _part.c.component_id)
        query = query.join(about, same).where(about.c.version_id.in_(some)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def affecting(connection: Connection, content_ids: Collection[int] | None = None) -> set[int]:
    """Versions of advisories in force that affect, or may affect, one of some documents, or anything a bill lists."""
    query = select(_pair.c.version_id).join(_version, _version.c.version_id == _pair.c.version_id)
    query = query.join(_feed, in_force(_version)).where(_version.c.withdrawn_at.is_(None)).distinct()
    query = query.join(_part, _part.c.component_id == _pair.c.component_id)
    if content_ids is None:
        return set(connection.execute(query).scalars())
    found: set[int] = set()
    for some in portions(sorted(content_ids)):
        found.update(connection.execute(query.where(_part.c.content_id.in_(some))).scalars())
    return found


def newest_content(connection: Connection) -> int:
    """The highest number of a document that was read; 0 before the first."""
    return int(connection.execute(select(func.coalesce(func.max(_content.c.content_id), 0))).scalar_one())


def artifacts(connection: Connection, catalog_id: UUID | None = None) -> tuple[Artifact, ...]:
    """Images of a catalog, or of all, and every published OS release, with what was read of the bill of each."""
    return (*_images(connection, catalog_id), *_releases(connection))


def having(connection: Connection, content_ids: Collection[int]) -> tuple[Artifact, ...]:
    """Images of all catalogs, and releases, whose bill of materials is one of these documents."""
    found: list[Artifact] = []
    for some in portions(sorted(content_ids)):
        here = _content.c.content_id.in_(some)
        found += [_artifact(row) for row in connection.execute(_image_query(isouter=False).where(here))]
        found += [_artifact(row) for row in connection.execute(_release_query(isouter=False).where(here))]
    return tuple(found)


def _images(connection: Connection, catalog_id: UUID | None) -> list[Artifact]:
    query = _image_query()
    if catalog_id is not None:
        query = query.where(_image.c.catalog_id == catalog_id)
    return [_artifact(row) for row in connection.execute(query.order_by(_image.c.catalog_id, _image.c.image_id))]


def _releases(connection: Connection) -> list[Artifact]:
    query = _release_query().where(_release.c.published_at.is_not(None))
    return [_artifact(row) for row in connection.execute(query.order_by(_release.c.chip, _release.c.created_at))]


def _image_query(*, isouter: bool = True) -> Any:
    mine = and_(_bill.c.catalog_id == _image.c.catalog_id, _bill.c.image_id == _image.c.image_id)
    return (
        select(
            _image.c.catalog_id,
            _image.c.image_id.label("artifact_id"),
            _image.c.name,
            _image.c.version,
            _image.c.architecture,
            _image.c.sha256.label("package_sha256"),
            _image.c.uploaded_at.label("known_at"),
            _bill.c.added_at.label("bill_added_at"),
            _content,
        )
        .join(_bill, mine, isouter=isouter)
        .join(_content, _content.c.sha256 == _bill.c.sha256, isouter=isouter)
    )


def _release_query(*, isouter: bool = True) -> Any:
    return (
        select(
            _release.c.release_id.label("artifact_id"),
            _release.c.chip,
            _release.c.version,
            _release.c.published_at.label("known_at"),
            _bill.c.added_at.label("bill_added_at"),
            _content,
        )
        .join(_bill, _bill.c.release_id == _release.c.release_id, isouter=isouter)
        .join(_content, _content.c.sha256 == _bill.c.sha256, isouter=isouter)
    )


def _artifact(row: Row[Any]) -> Artifact:
    content = None if row.content_id is None else from_row(BillContent, row, sha256=bytes(row.sha256))
    named = row._mapping  # noqa: SLF001 - SQLAlchemy's documented name
    release = "chip" in named
    return Artifact(
        catalog_id=None if release else row.catalog_id,
        artifact_id=row.artifact_id,
        name=f"{row.chip} {row.version}" if release else image_label(row.name, row.version),
        architecture="" if release else row.architecture,
        chip=row.chip if release else "",
        version=row.version if release else "",
        content=content,
        sha256=b"" if release else bytes(row.package_sha256),
        known_at=row.known_at or 0,
        bill_added_at=row.bill_added_at,
    )


def unassessed(connection: Connection, content_id: int, *, limit: int) -> tuple[ComponentRow, ...]:
    """Components of a document that cannot be judged, by number."""
    query = (
        select(_component)
        .join(_part, _part.c.component_id == _component.c.component_id)
        .where(_part.c.content_id == content_id, _component.c.unassessed != "")
        .order_by(_component.c.component_id)
        .limit(limit)
    )
    return every(connection, query, partial(from_row, ComponentRow))


def ecosystems(
    connection: Connection, content_ids: Collection[int] | None = None
) -> dict[int, frozenset[tuple[str, str]]]:
    """Whose packages each document, or each of some, lists: content -> ecosystems with their releases."""
    query = (
        select(_part.c.content_id, _component.c.ecosystem, _component.c.release)
        .join(_component, _component.c.component_id == _part.c.component_id)
        .where(_component.c.ecosystem != "")
        .distinct()
    )
    chosen = [query]
    if content_ids is not None:
        chosen = [query.where(_part.c.content_id.in_(some)) for some in portions(sorted(content_ids))]
    found: dict[int, set[tuple[str, str]]] = {}
    for row in (row for each in chosen for row in connection.execute(each)):
        found.setdefault(row.content_id, set()).add((row.ecosystem, row.release))
    return {content: frozenset(each) for content, each in found.items()}


def remove_unnamed(connection: Connection) -> int:
    """Delete what was read of documents that no bill names any more; returns how many there were."""
    query = select(_content.c.content_id).join(_bill, _bill.c.sha256 == _content.c.sha256, isouter=True)
    gone = connection.execute(query.where(_bill.c.number.is_(None))).scalars().all()
    for some in portions(gone):
        connection.execute(delete(_part).where(_part.c.content_id.in_(some)))
        connection.execute(delete(_content).where(_content.c.content_id.in_(some)))
    return len(gone)
