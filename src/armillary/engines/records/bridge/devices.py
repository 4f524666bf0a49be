# SPDX-License-Identifier: Apache-2.0
"""Bridged devices, what catalogs admit of them, and artifacts; actions are in ``actions.py``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, insert, select, update

from armillary.engines.records.queries.pages import every, first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.bridge_rows import BridgeAdmission, BridgeArtifact, BridgeAuthority, BridgeDevice
from armillary.engines.records.schema.rows import Page, from_row, to_row

_admission, _authority = schema.bridge_admission, schema.bridge_authority
_bridged, _artifact = schema.bridge_device, schema.bridge_artifact
_device, _status, _image = schema.device, schema.device_status, schema.image
_group, _product = schema.device_group, schema.product
_as_admission, _as_authority = partial(from_row, BridgeAdmission), partial(from_row, BridgeAuthority)

# -- what catalogs admit ----------------------------------------------------------------------------------------------


def admission(connection: Connection, catalog_id: UUID) -> BridgeAdmission | None:
    """What a catalog admits; None where it never set it."""
    return first(connection, select(_admission).where(_admission.c.catalog_id == catalog_id), _as_admission)


def admission_of_tenant(connection: Connection, tenant: str) -> BridgeAdmission | None:
    """What the catalog admits that controllers call ``tenant`` (lower case)."""
    return first(connection, select(_admission).where(_admission.c.tenant == tenant), _as_admission)


def set_admission(connection: Connection, admitted: BridgeAdmission) -> None:
    """Store what a catalog admits; the database refuses a tenant that another has."""
    connection.execute(delete(_admission).where(_admission.c.catalog_id == admitted.catalog_id))
    connection.execute(insert(_admission).values(**dataclasses.asdict(admitted)))


def authorities(connection: Connection, catalog_id: UUID | None) -> tuple[BridgeAuthority, ...]:
    """The authorities of a catalog's controllers, or of all catalogs that admit certificates."""
    query = select(_authority).order_by(_authority.c.subject, _authority.c.fingerprint)
    if catalog_id is not None:
        return every(connection, query.where(_authority.c.catalog_id == catalog_id), _as_authority)
    admits = select(_admission.c.catalog_id).where(_admission.c.certificates)
    return every(connection, query.where(_authority.c.catalog_id.in_(admits)), _as_authority)


def authorities_named(connection: Connection, subject: str) -> tuple[BridgeAuthority, ...]:
    """The authorities of all catalogs that have this subject."""
    return every(connection, select(_authority).where(_authority.c.subject == subject), _as_authority)


def add_authority(connection: Connection, authority: BridgeAuthority) -> None:
    """Record an authority in place of the same one."""
    remove_authority(connection, authority.catalog_id, authority.fingerprint)
    connection.execute(insert(_authority).values(**dataclasses.asdict(authority)))


def remove_authority(connection: Connection, catalog_id: UUID, fingerprint: bytes) -> bool:
    """Delete an authority; False when there is none."""
    here = (_authority.c.catalog_id == catalog_id) & (_authority.c.fingerprint == fingerprint)
    return connection.execute(delete(_authority).where(here)).rowcount == 1


def remove_catalog(connection: Connection, catalog_id: UUID) -> None:
    """Delete what a catalog admits; its bridged devices and artifacts must be gone."""
    for table in (_admission, _authority):
        connection.execute(delete(table).where(table.c.catalog_id == catalog_id))


# -- devices ----------------------------------------------------------------------------------------------------------


def add_device(
    connection: Connection, number: int, catalog_id: UUID, controller: str, token_hash: bytes | None, *, now: int
) -> None:
    """Record a bridged device whose rows in ``device`` and ``device_status`` are there."""
    connection.execute(
        insert(_bridged).values(
            device_number=number,
            catalog_id=catalog_id,
            controller=controller,
            token_hash=token_hash,
            attributes="{}",
            attributes_at=None,
            created_at=now,
            changed_at=now,
        )
    )


def device(connection: Connection, catalog_id: UUID, controller: str) -> BridgeDevice | None:
    """A catalog's bridged device of this controller id."""
    here = (_bridged.c.catalog_id == catalog_id) & (_bridged.c.controller == controller)
    return first(connection, _devices().where(here), _as_device)


def device_numbered(connection: Connection, number: int) -> BridgeDevice | None:
    """The bridged device of a row number."""
    return first(connection, _devices().where(_bridged.c.device_number == number), _as_device)


def devices(
    connection: Connection, catalog_id: UUID, *, prefix: str, limit: int, after: str | None
) -> Page[BridgeDevice]:
    """A catalog's bridged devices by controller id, those that begin with ``prefix``."""
    query = _devices().where(_bridged.c.catalog_id == catalog_id).order_by(_bridged.c.controller).limit(limit + 1)
    if prefix:  # DEL is above every character that a controller id may have
        query = query.where(_bridged.c.controller >= prefix, _bridged.c.controller < prefix + "\x7f")
    if after is not None:
        query = query.where(_bridged.c.controller > after)
    found = every(connection, query, _as_device)
    return Page(found[:limit], found[limit - 1].controller if len(found) > limit else None)


def count(connection: Connection, catalog_id: UUID) -> int:
    """How many bridged devices a catalog has."""
    query = select(func.count()).select_from(_bridged).where(_bridged.c.catalog_id == catalog_id)
    return int(connection.execute(query).scalar_one())


def token_hash(connection: Connection, number: int) -> bytes | None:
    """The hash of a device's token; None where it has none."""
    query = select(_bridged.c.token_hash).where(_bridged.c.device_number == number)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def change_device(connection: Connection, number: int, values: Mapping[str, object]) -> None:
    """Set columns of a bridged device: token_hash, attributes, attributes_at."""
    connection.execute(update(_bridged).where(_bridged.c.device_number == number).values(dict(values)))


def remove_device(connection: Connection, number: int) -> None:
    """Delete what makes a device a bridged one; its rows in ``device`` and ``device_status`` stay, with its history."""
    connection.execute(delete(_bridged).where(_bridged.c.device_number == number))


def polled(connection: Connection, times: Sequence[tuple[int, int]], verdict: str) -> None:
    """Store when devices polled last: row number and Unix seconds."""
    if not times:
        return
    here = _status.c.device_number == bindparam("numbered")
    statement = update(_status).where(here).values(checked_in_at=bindparam("at"), verdict=verdict)
    connection.execute(statement, [{"numbered": number, "at": at} for number, at in times])


def set_status(connection: Connection, number: int, values: Mapping[str, object], *, now: int) -> None:
    """Set columns of a bridged device in ``device_status``, whose one writer the bridge is: installed, offered..."""
    connection.execute(update(_status).where(_status.c.device_number == number).values(dict(values)))
    connection.execute(update(_bridged).where(_bridged.c.device_number == number).values(changed_at=now))


# -- artifacts --------------------------------------------------------------------------------------------------------


def add_artifact(connection: Connection, artifact: BridgeArtifact) -> None:
    """Record an artifact whose image is there."""
    connection.execute(insert(_artifact).values(to_row(_artifact, artifact)))


def artifacts(
    connection: Connection, catalog_id: UUID, image_ids: Sequence[UUID] | None = None
) -> tuple[BridgeArtifact, ...]:
    """A catalog's artifacts, newest first; those of a few ids, or all."""
    query = _artifacts().where(_artifact.c.catalog_id == catalog_id)
    if image_ids is not None:
        query = query.where(_artifact.c.image_id.in_(list(image_ids)))
    return every(connection, query.order_by(_image.c.uploaded_at.desc(), _image.c.image_id), _as_artifact)


def artifact(connection: Connection, catalog_id: UUID, image_id: UUID) -> BridgeArtifact | None:
    """A catalog's artifact of an id."""
    here = (_artifact.c.catalog_id == catalog_id) & (_artifact.c.image_id == image_id)
    return first(connection, _artifacts().where(here), _as_artifact)


def remove_artifact(connection: Connection, catalog_id: UUID, image_id: UUID) -> None:
    """Delete what makes an image an artifact; the image comes next."""
    here = (_artifact.c.catalog_id == catalog_id) & (_artifact.c.image_id == image_id)
    connection.execute(delete(_artifact).where(here))


def _devices() -> Select[Any]:
    return (
        select(
            _bridged,
            _device.c.number,
            _device.c.device_id,
            _device.c.group_id,
            _device.c.revoked_at,
            _group.c.name.label("group"),
            _product.c.name.label("product"),
            _status.c.checked_in_at.label("polled_at"),
            _status.c.offered_deployment_id,
            _status.c.installed,
        )
        .join(_device, _device.c.number == _bridged.c.device_number)
        .join(_status, _status.c.device_number == _device.c.number)
        .join(_group, _group.c.group_id == _device.c.group_id)
        .join(_product, _product.c.product_id == _group.c.product_id)
    )


def _as_device(row: Row[Any]) -> BridgeDevice:
    return from_row(
        BridgeDevice,
        row,
        has_token=row.token_hash is not None,
        attributes=json.loads(row.attributes),
        revoked=row.revoked_at is not None,
    )


def _artifacts() -> Select[Any]:
    return select(
        _artifact,
        _image.c.component_id,
        _image.c.name,
        _image.c.version,
        _image.c.size,
        _image.c.sha256,
        _image.c.uploaded_at,
        _image.c.uploaded_by,
    ).join(_image, (_image.c.catalog_id == _artifact.c.catalog_id) & (_image.c.image_id == _artifact.c.image_id))


def _as_artifact(row: Row[Any]) -> BridgeArtifact:
    return from_row(BridgeArtifact, row, sha256=bytes(row.sha256), sha1=bytes(row.sha1), md5=bytes(row.md5))
