# SPDX-License-Identifier: Apache-2.0
"""Whether there is a feed: asked at every start, without loading what reads feeds."""

from __future__ import annotations

from sqlalchemy import Connection, select

from armillary.engines.records.schema import schema


def has_feed(connection: Connection) -> bool:
    """Whether a feed was imported, or an import of one has begun."""
    return connection.execute(select(schema.advisory_feed.c.name).limit(1)).first() is not None
