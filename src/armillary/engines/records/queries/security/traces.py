# SPDX-License-Identifier: Apache-2.0
"""What was signed by a key: the queries of traces that no other room has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Select, func, select

from armillary.engines.records.queries.pages import portions
from armillary.engines.records.schema import schema

_image, _catalog = schema.image, schema.catalog
_certificate, _device, _line = schema.certificate, schema.device, schema.audit_line


class SignedImage(NamedTuple):
    """An application image and the catalog, by name, that has it; ``uploaded_at`` in Unix seconds."""

    image_id: UUID
    catalog: str
    name: str
    uploaded_at: int
    version: str


def images_signed_by(connection: Connection, serial: str) -> tuple[SignedImage, ...]:
    """The images that the key of a certificate signed, oldest first."""
    query = (
        select(_image.c.image_id, _catalog.c.name, _image.c.name, _image.c.uploaded_at, _image.c.version)
        .join(_catalog, _catalog.c.catalog_id == _image.c.catalog_id)
        .where(_image.c.signer == serial)
        .order_by(_image.c.uploaded_at, _image.c.image_id)
    )
    return tuple(SignedImage(*row) for row in connection.execute(query))


class Identity(NamedTuple):
    """A device identity certificate: whose, and when it was issued, Unix seconds."""

    device_id: str
    issued_at: int


def identities_until(
    connection: Connection, not_after: int, chips: Collection[str], *, limit: int
) -> tuple[Identity, ...]:
    """The newest identity certificates of devices of some chips that end at ``not_after``: with who signed them."""
    query = _identities(not_after, chips, _certificate.c.subject, _certificate.c.issued_at)
    query = query.order_by(_certificate.c.issued_at.desc(), _certificate.c.subject).limit(limit)
    return tuple(Identity(*row) for row in connection.execute(query))


def count_identities_until(connection: Connection, not_after: int, chips: Collection[str]) -> int:
    """How many of them there are."""
    return int(connection.execute(_identities(not_after, chips, func.count())).scalar_one())


def _identities(not_after: int, chips: Collection[str], *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(_certificate.join(_device, _device.c.device_id == _certificate.c.subject))
        .where(
            _certificate.c.kind == "identity", _certificate.c.not_after == not_after, _device.c.chip.in_(sorted(chips))
        )
    )


def catalog_name(connection: Connection, catalog_id: UUID) -> str:
    """The name of a catalog; empty for one that is gone."""
    query = select(_catalog.c.name).where(_catalog.c.catalog_id == catalog_id)
    return connection.execute(query).scalar_one_or_none() or ""


def actors(connection: Connection, targets: Sequence[str], operations: Collection[str]) -> dict[str, str]:
    """Target -> who did the last of these operations to it."""
    found: dict[str, str] = {}
    for some in portions(targets):
        query = (
            select(_line.c.target, _line.c.actor)
            .where(_line.c.target.in_(some), _line.c.operation.in_(sorted(operations)))
            .order_by(_line.c.number)
        )
        found |= {row.target: row.actor for row in connection.execute(query)}
    return found
