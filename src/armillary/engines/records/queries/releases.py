# SPDX-License-Identifier: Apache-2.0
"""OS releases with their measured components, and the security versions below which nothing is accepted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import OsComponent, OsRelease, SecurityFloor, from_row

_release, _component, _floor = schema.os_release, schema.os_component, schema.security_floor


def add(connection: Connection, release: OsRelease) -> None:
    """Record a release and its components."""
    connection.execute(
        insert(_release).values(
            release_id=release.release_id,
            chip=release.chip,
            version=release.version,
            feed=release.feed,
            created_at=release.created_at,
            expires_at=release.expires_at,
            imported_from=release.imported_from,
        )
    )
    for position, one in enumerate(release.components):
        connection.execute(
            insert(_component).values(
                release_id=release.release_id,
                position=position,
                name=one.name,
                image_type=one.image_type,
                component_id=one.component_id,
                image_id=one.image_id,
                digest=one.digest,
                security_version=one.security_version,
                size=one.size,
            )
        )


def has_image(connection: Connection, image_id: UUID) -> bool:
    """Whether a boot component of any release has this image id."""
    query = select(_component.c.image_id).where(_component.c.image_id == image_id).limit(1)
    return connection.execute(query).first() is not None


def every(connection: Connection) -> tuple[OsRelease, ...]:
    """All releases, by chip, then oldest first."""
    components: dict[UUID, list[OsComponent]] = {}
    for row in connection.execute(select(_component).order_by(_component.c.release_id, _component.c.position)):
        components.setdefault(row.release_id, []).append(_os_component(row))
    query = select(_release).order_by(_release.c.chip, _release.c.created_at, _release.c.version)
    return tuple(
        from_row(OsRelease, row, components=tuple(components.get(row.release_id, ())))
        for row in connection.execute(query)
    )


def set_expiry(connection: Connection, release_id: UUID, expires_at: int | None) -> None:
    """Record until when a release is good."""
    connection.execute(update(_release).where(_release.c.release_id == release_id).values(expires_at=expires_at))


def withdraw(connection: Connection, release_id: UUID, *, at: int, reason: str) -> None:
    """Record that a release was taken back."""
    connection.execute(
        update(_release).where(_release.c.release_id == release_id).values(withdrawn_at=at, withdrawn_reason=reason)
    )


def floors(connection: Connection) -> tuple[SecurityFloor, ...]:
    """All security floors."""
    query = select(_floor).order_by(_floor.c.chip, _floor.c.image_type)
    return tuple(from_row(SecurityFloor, row) for row in connection.execute(query))


def raise_floor(connection: Connection, floor: SecurityFloor) -> SecurityFloor:
    """Raise a floor; a lower value changes nothing, whoever asks. Returns what holds afterwards."""
    key = {"chip": floor.chip, "image_type": floor.image_type}
    dialect.insert_new(connection, _floor, [{**key, "minimum": floor.minimum, "changed_at": floor.changed_at}])
    here = (_floor.c.chip == floor.chip) & (_floor.c.image_type == floor.image_type)
    connection.execute(
        update(_floor)
        .where(here, _floor.c.minimum < floor.minimum)
        .values(minimum=floor.minimum, changed_at=floor.changed_at)
    )
    row = connection.execute(select(_floor).where(here)).one()
    return from_row(SecurityFloor, row)


def _os_component(row: Row[Any]) -> OsComponent:
    return from_row(OsComponent, row, digest=bytes(row.digest))
