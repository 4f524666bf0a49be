# SPDX-License-Identifier: Apache-2.0
"""What actions are aimed at: queries of devices' row numbers, each of one catalog alone, and roll-outs of images."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, func, select

from armillary.engines.records.queries import images as image_rows, rollouts as rollout_rows
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rollout_rows import Rollout

_device, _status, _concerned = schema.device, schema.device_status, schema.finding_device
_kept, _part = schema.device_software, schema.software_part


def _of(catalog_id: UUID, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(_device.c.number).where(_device.c.catalog_id == catalog_id, *conditions)


def by_ids(catalog_id: UUID, device_ids: Collection[str]) -> Select[Any]:
    """Devices of these ids, a few hundred at most; ids of other catalogs find nothing."""
    return _of(catalog_id, _device.c.device_id.in_(device_ids))


def by_group(catalog_id: UUID, group_id: UUID) -> Select[Any]:
    """Devices of a group."""
    return _of(catalog_id, _device.c.group_id == group_id)


def by_finding(catalog_id: UUID, finding_id: UUID) -> Select[Any]:
    """Devices that a finding names."""
    named = select(_concerned.c.device_id).where(_concerned.c.finding_id == finding_id)
    return _of(catalog_id, _device.c.device_id.in_(named))


def by_image(catalog_id: UUID, image_id: UUID) -> Select[Any]:
    """Devices that report an image."""
    sets = select(_part.c.set_id).where(_part.c.image_id == image_id)
    having = select(_kept.c.device_number).where(_kept.c.set_id.in_(sets))
    return _of(catalog_id, _device.c.number.in_(having))


def by_sets(catalog_id: UUID, group_id: UUID, set_ids: Collection[int]) -> Select[Any]:
    """Devices of a group that run one of these sets of software."""
    having = select(_kept.c.device_number).where(_kept.c.set_id.in_(set_ids))
    return _of(catalog_id, _device.c.group_id == group_id, _device.c.number.in_(having))


def below_floor(chip: str, image_type: int, minimum: int) -> Select[Any]:
    """Devices of a chip that run a release of which a component of a type has a lower security version."""
    release, component = schema.os_release, schema.os_component
    low = (
        select(release.c.version)
        .join(component, component.c.release_id == release.c.release_id)
        .where(release.c.chip == chip, component.c.image_type == image_type, component.c.security_version < minimum)
    )
    running = select(_status.c.device_number).where(_status.c.os_version.in_(low))
    return select(_device.c.number).where(_device.c.chip == chip, _device.c.number.in_(running))


def count(connection: Connection, chosen: Select[Any]) -> int:
    """How many devices a query finds."""
    return int(connection.execute(select(func.count()).select_from(chosen.subquery())).scalar_one())


def first_ids(connection: Connection, chosen: Select[Any], limit: int) -> tuple[str, ...]:
    """Ids of the first devices that a query finds, by their row numbers."""
    query = select(_device.c.device_id).where(_device.c.number.in_(chosen)).order_by(_device.c.number).limit(limit)
    return tuple(connection.execute(query).scalars())


def fleet(connection: Connection, catalog_id: UUID | None) -> int:
    """How many devices a catalog has, or (None) all have; without those that are revoked."""
    query = select(func.count()).select_from(_device).where(_device.c.revoked_at.is_(None))
    if catalog_id is not None:
        query = query.where(_device.c.catalog_id == catalog_id)
    return int(connection.execute(query).scalar_one())


def rollouts_of(connection: Connection, catalog_id: UUID | None) -> list[Rollout]:
    """The living roll-outs of a catalog (None: of all); those of an OS release for all catalogs are nobody's."""
    return [one for one in rollout_rows.living(connection) if catalog_id is None or one.catalog_id == catalog_id]


def images_of(connection: Connection, rollout: Rollout) -> frozenset[UUID]:
    """The images that a roll-out brings."""
    found = {part.deployment_id: image_rows.deployment(connection, part.deployment_id) for part in rollout.parts}
    return frozenset(image.image_id for each in found.values() if each is not None for image in each.images)


def started(connection: Connection, rollout_ids: Collection[UUID]) -> int:
    """How many devices roll-outs have started."""
    table = schema.rollout_device
    query = select(func.count()).select_from(table).where(table.c.rollout_id.in_(rollout_ids))
    return int(connection.execute(query).scalar_one())
