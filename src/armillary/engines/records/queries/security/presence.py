# SPDX-License-Identifier: Apache-2.0
"""Whether a case is open: the one question that is asked where nobody has any."""

from __future__ import annotations

from sqlalchemy import Connection, select

from armillary.engines.records.schema import schema

_case = schema.reported_case


def has_open_case(connection: Connection) -> bool:
    """Whether a case is open."""
    return connection.execute(select(_case.c.number).where(_case.c.closed_at.is_(None)).limit(1)).first() is not None
