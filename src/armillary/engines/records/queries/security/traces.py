# SPDX-License-Identifier: Apache-2.0
"""What was signed by a key: the queries of traces that no other room has."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, select

from armillary.engines.records.schema import schema

_image, _catalog = schema.image, schema.catalog


class SignedImage(NamedTuple):
    """An application image and the catalog, by name, that has it; ``uploaded_at`` in Unix seconds."""

    image_id: UUID
    catalog: str
    name: str
    uploaded_at: int


def images_signed_by(connection: Connection, serial: str) -> tuple[SignedImage, ...]:
    """The images that the key of a certificate signed, oldest first."""
    query = (
        select(_image.c.image_id, _catalog.c.name, _image.c.name, _image.c.uploaded_at)
        .join(_catalog, _catalog.c.catalog_id == _image.c.catalog_id)
        .where(_image.c.signer == serial)
        .order_by(_image.c.uploaded_at, _image.c.image_id)
    )
    return tuple(SignedImage(*row) for row in connection.execute(query))
