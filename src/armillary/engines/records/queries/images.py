# SPDX-License-Identifier: Apache-2.0
"""Images and the deployments that name them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from armillary.engines.records import ordered
from armillary.engines.records.queries.pages import every, first, newest_first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import Deployment, Image, Page, from_row, to_row
from armillary.engines.records.schema.update_rows import BillRow
from armillary.engines.records.transparency import release_log
from armillary.wire.hawkbit.artifact import IMAGE_TYPE as BRIDGE_IMAGE

_image, _deployment, _part = schema.image, schema.deployment, schema.deployment_image
_product, _group, _bill = schema.product, schema.device_group, schema.bill_of_materials
# The columns that name blobs.
_BLOBS = (
    _image.c.sha256,
    _bill.c.sha256,
    schema.os_component.c.digest,
    schema.trust_package.c.sha256,
    schema.dossier.c.sha256,
)


def add(connection: Connection, image: Image) -> None:
    """Record an image."""
    allowed = json.dumps(list(image.allowed_connections))
    connection.execute(insert(_image).values(to_row(_image, image, allowed_connections=allowed)))
    release_log.of_image(connection, release_log.UPLOADED, image, at=image.uploaded_at)


def one(connection: Connection, catalog_id: UUID, image_id: UUID) -> Image | None:
    """A catalog's image of an id."""
    query = select(_image).where(_image.c.catalog_id == catalog_id, _image.c.image_id == image_id)
    return first(connection, query, _as_image)


def of_id(connection: Connection, image_id: UUID) -> tuple[Image, ...]:
    """The images of an id, one for each catalog that has it."""
    query = select(_image).where(_image.c.image_id == image_id).order_by(_image.c.catalog_id)
    return every(connection, query, _as_image)


def some(connection: Connection, catalog_id: UUID, image_ids: Collection[UUID]) -> tuple[Image, ...]:
    """Those of some images that a catalog has."""
    query = select(_image).where(_image.c.catalog_id == catalog_id, _image.c.image_id.in_(list(image_ids)))
    return every(connection, query, _as_image)


def names_blob(connection: Connection, digest: bytes) -> bool:
    """Whether anything is kept under this SHA-256: an image of any catalog, a bill, an OS component...

    All of them: a file for bridged devices can be a copy of whatever another catalog or the service itself has.
    """
    named = (select(column).where(column == digest).limit(1) for column in _BLOBS)
    return any(connection.execute(query).first() is not None for query in named)


def named_blobs(connection: Connection) -> frozenset[bytes]:
    """Every SHA-256 under which something is kept."""
    return frozenset(bytes(digest) for column in _BLOBS for digest in connection.execute(select(column)).scalars())


class Artifact(NamedTuple):
    """The package of an image, as it is fetched."""

    catalog_id: UUID
    image_id: UUID
    size: int  # bytes
    sha256: bytes


def artifacts(connection: Connection) -> list[Artifact]:
    """The packages of all images of all catalogs; files for bridged devices are not packages."""
    columns = (_image.c.catalog_id, _image.c.image_id, _image.c.size, _image.c.sha256)
    return [
        Artifact(row.catalog_id, row.image_id, row.size, bytes(row.sha256))
        for row in connection.execute(select(*columns).where(_image.c.image_type != BRIDGE_IMAGE))
    ]


def of_blob(connection: Connection, catalog_id: UUID, digest: bytes) -> frozenset[UUID]:
    """The ids of a catalog's images whose package has this SHA-256."""
    query = select(_image.c.image_id).where(_image.c.catalog_id == catalog_id, _image.c.sha256 == digest)
    return frozenset(connection.execute(query).scalars())


# Word of an order -> what images are sorted by (``order_words.IMAGES``).
ORDERS: Final[Mapping[str, ordered.Order]] = MappingProxyType(
    {
        "name": ordered.by_text(_image.c.name),
        "architecture": ordered.by_text(_image.c.architecture),
        "size": ordered.by_number(_image.c.size),
        "uploaded_at": ordered.by_number(_image.c.uploaded_at),
        "uploaded_by": ordered.by_text(_image.c.uploaded_by),
    }
)


def page(connection: Connection, catalog_id: UUID, *, limit: int, after: str | None, order: str = "") -> Page[Image]:
    """A catalog's images, newest first, where the cursor is ``time:image id``; or in an ``order``."""
    query = select(_image).where(_image.c.catalog_id == catalog_id)
    if order:
        key = ordered.Key(_image.c.image_id, UUID)
        return ordered.page(connection, query, order, ORDERS, key, _as_image, limit=limit, after=after, what="images")
    if after is not None:
        at, _, image_id = after.partition(":")
        stamp, last = int(at), UUID(image_id)
        query = query.where(
            (_image.c.uploaded_at < stamp) | ((_image.c.uploaded_at == stamp) & (_image.c.image_id > last))
        )
    rows = connection.execute(query.order_by(_image.c.uploaded_at.desc(), _image.c.image_id).limit(limit + 1)).all()
    items = tuple(_as_image(row) for row in rows[:limit])
    return Page(items, f"{items[-1].uploaded_at}:{items[-1].image_id}" if len(rows) > limit else None)


def remove(connection: Connection, image: Image, *, at: int) -> None:
    """Delete a catalog's image and its bill of materials; refused by the database while a deployment names it."""
    catalog_id, image_id = image.catalog_id, image.image_id
    release_log.of_image(connection, release_log.DELETED, image, at=at)
    connection.execute(delete(_bill).where(_is_of(None, catalog_id, image_id)))
    connection.execute(delete(_image).where(_image.c.catalog_id == catalog_id, _image.c.image_id == image_id))


def replace_package(connection: Connection, before: Image, after: Image, *, at: int) -> bool:
    """Record that an image was signed again; False where its package is not the one of before any more."""
    here = (_image.c.catalog_id == before.catalog_id) & (_image.c.image_id == before.image_id)
    values = {"sha256": after.sha256, "size": after.size, "signer": after.signer}
    query = update(_image).where(here, _image.c.sha256 == before.sha256).values(values)
    if not connection.execute(query).rowcount:
        return False
    release_log.of_image(connection, release_log.SIGNED_AGAIN, after, at=at, before=before.sha256.hex())
    return True


def give_version(connection: Connection, catalog_id: UUID, image_id: UUID, version: str) -> bool:
    """Record the version of an image that has none; False where it has one."""
    here = (_image.c.catalog_id == catalog_id) & (_image.c.image_id == image_id) & (_image.c.version == "")
    return bool(connection.execute(update(_image).where(here).values(version=version)).rowcount)


def is_deployed(connection: Connection, catalog_id: UUID, image_id: UUID) -> bool:
    """Whether a deployment of the catalog names the image."""
    query = select(_part.c.image_id).where(_part.c.catalog_id == catalog_id, _part.c.image_id == image_id).limit(1)
    return connection.execute(query).first() is not None


def add_deployment(connection: Connection, deployment: Deployment) -> None:
    """Record a deployment and its images."""
    connection.execute(insert(_deployment).values(to_row(_deployment, deployment)))
    for position, image in enumerate(deployment.images):
        part = to_row(_part, image, deployment_id=deployment.deployment_id, position=position)
        connection.execute(insert(_part).values(part))


def put_in_force(connection: Connection, deployment_id: UUID | None, group_id: UUID, *, now: int) -> None:
    """Make a deployment (or none) the group's."""
    if deployment_id is not None:
        connection.execute(
            update(_deployment).where(_deployment.c.deployment_id == deployment_id).values(in_force_at=now)
        )
    connection.execute(update(_group).where(_group.c.group_id == group_id).values(deployment_id=deployment_id))


def deployment(connection: Connection, deployment_id: UUID) -> Deployment | None:
    """A deployment with its images."""
    row = connection.execute(_deployments().where(_deployment.c.deployment_id == deployment_id)).first()
    return None if row is None else _with_images(connection, [row])[0]


def deployments(
    connection: Connection,
    catalog_id: UUID,
    *,
    product_id: UUID | None,
    group_id: UUID | None,
    limit: int,
    before: int | None,
) -> Page[Deployment]:
    """Deployments, newest first."""
    query = _deployments().where(_product.c.catalog_id == catalog_id)
    if product_id is not None:
        query = query.where(_product.c.product_id == product_id)
    if group_id is not None:
        query = query.where(_deployment.c.group_id == group_id)
    found = newest_first(connection, query, _deployment, lambda row: row, limit=limit, before=before)
    return Page(tuple(_with_images(connection, found.items)), found.next_cursor)


def remove_deployment(connection: Connection, deployment_id: UUID) -> None:
    """Delete a deployment; refused by the database while a roll-out names it."""
    connection.execute(delete(_part).where(_part.c.deployment_id == deployment_id))
    connection.execute(delete(_deployment).where(_deployment.c.deployment_id == deployment_id))


def newest_in_force(connection: Connection, group_id: UUID, *, except_for: UUID) -> UUID | None:
    """The newest deployment of a group that was in force, except one."""
    query = select(_deployment.c.deployment_id).where(
        _deployment.c.group_id == group_id,
        _deployment.c.in_force_at.is_not(None),
        _deployment.c.deployment_id != except_for,
    )
    return connection.execute(query.order_by(_deployment.c.number.desc()).limit(1)).scalar()


def usage(connection: Connection, catalog_id: UUID) -> tuple[int, int]:
    """How many images a catalog has, and their bytes."""
    query = select(func.count(), func.coalesce(func.sum(_image.c.size), 0)).where(_image.c.catalog_id == catalog_id)
    images, size = connection.execute(query).one()
    return int(images), int(size)


def _deployments() -> Select[Any]:
    return (
        select(_deployment, _product.c.catalog_id)
        .join(_group, _group.c.group_id == _deployment.c.group_id)
        .join(_product, _product.c.product_id == _group.c.product_id)
    )


def _with_images(connection: Connection, rows: Sequence[Row[Any]]) -> list[Deployment]:
    images: dict[UUID, list[Image]] = {row.deployment_id: [] for row in rows}
    query = (
        select(_part.c.deployment_id, _image)
        .join(_image, (_image.c.catalog_id == _part.c.catalog_id) & (_image.c.image_id == _part.c.image_id))
        .where(_part.c.deployment_id.in_(list(images)))
        .order_by(_part.c.deployment_id, _part.c.position)
    )
    for row in connection.execute(query):
        images[row.deployment_id].append(_as_image(row))
    return [from_row(Deployment, row, images=tuple(images[row.deployment_id])) for row in rows]


def _as_image(row: Row[Any]) -> Image:
    return from_row(
        Image, row, sha256=bytes(row.sha256), allowed_connections=tuple(json.loads(row.allowed_connections))
    )


def put_bill(connection: Connection, bill: BillRow) -> None:
    """Record a bill of materials in the place of the one before."""
    connection.execute(delete(_bill).where(_is_of(bill.release_id, bill.catalog_id, bill.image_id)))
    connection.execute(insert(_bill).values(to_row(_bill, bill)))


def bill_of_release(connection: Connection, release_id: UUID) -> BillRow | None:
    """The bill of materials of a release."""
    return first(connection, select(_bill).where(_is_of(release_id, None, None)), partial(from_row, BillRow))


def bill_of_image(connection: Connection, catalog_id: UUID, image_id: UUID) -> BillRow | None:
    """The bill of materials of an image of a catalog."""
    return first(connection, select(_bill).where(_is_of(None, catalog_id, image_id)), partial(from_row, BillRow))


def bills_of_releases(connection: Connection) -> tuple[BillRow, ...]:
    """The bills of materials of all releases."""
    return every(connection, select(_bill).where(_bill.c.release_id.is_not(None)), partial(from_row, BillRow))


def bills_of_images(connection: Connection, catalog_id: UUID, image_ids: Collection[UUID]) -> tuple[BillRow, ...]:
    """The bills of materials of some images of a catalog."""
    here = (_bill.c.catalog_id == catalog_id) & _bill.c.image_id.in_(image_ids)
    return every(connection, select(_bill).where(here), partial(from_row, BillRow))


def without_bill(connection: Connection, catalog_id: UUID, image_ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of some images of a catalog that have no bill of materials."""
    here = (_bill.c.catalog_id == catalog_id) & _bill.c.image_id.in_(image_ids)
    return frozenset(image_ids) - frozenset(connection.execute(select(_bill.c.image_id).where(here)).scalars())


def _is_of(release_id: UUID | None, catalog_id: UUID | None, image_id: UUID | None) -> ColumnElement[bool]:
    if release_id is not None:
        return _bill.c.release_id == release_id
    return (_bill.c.catalog_id == catalog_id) & (_bill.c.image_id == image_id)
