# SPDX-License-Identifier: Apache-2.0
"""Sums for dossiers that no other room has: clients of the hub, outcomes of updates, error reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Connection, func, select

from armillary.engines.records.schema import schema

_identity, _device = schema.hub_identity, schema.device
_outcome, _report = schema.outcome, schema.error_report


def hub_clients(connection: Connection, catalog_id: UUID | None) -> dict[str, int]:
    """Clients of the hub that do not attest, by how they authenticate; of a catalog or (None) of all."""
    query = select(_identity.c.authentication, func.count()).group_by(_identity.c.authentication)
    if catalog_id is not None:
        query = query.where(_identity.c.catalog_id == catalog_id)
    return {str(word): int(number) for word, number in connection.execute(query)}


def outcomes(connection: Connection, group_ids: Collection[UUID]) -> dict[str, int]:
    """Outcomes of updates that devices of some groups reported and that are kept, by their word."""
    found: Counter[str] = Counter()
    for group_id in group_ids:
        query = (
            select(_outcome.c.outcome, func.count())
            .join(_device, _device.c.number == _outcome.c.device_number)
            .where(_device.c.group_id == group_id)
            .group_by(_outcome.c.outcome)
        )
        found.update({str(word): int(number) for word, number in connection.execute(query)})
    return dict(sorted(found.items()))


def error_reports(connection: Connection, group_ids: Collection[UUID]) -> dict[str, int]:
    """Events that devices of some groups reported and that are kept, by their type."""
    found: Counter[str] = Counter()
    for group_id in group_ids:
        query = (
            select(_report.c.event_type, func.sum(_report.c.count))
            .join(_device, _device.c.number == _report.c.device_number)
            .where(_device.c.group_id == group_id)
            .group_by(_report.c.event_type)
        )
        found.update({str(word): int(number) for word, number in connection.execute(query)})
    return dict(sorted(found.items()))
