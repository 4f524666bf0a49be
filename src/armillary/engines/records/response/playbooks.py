# SPDX-License-Identifier: Apache-2.0
"""Which playbooks are used, and to which findings each was applied; what catalogs ask of actions."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, case, delete, func, insert, select, update

from armillary.engines.records.queries.pages import first
from armillary.engines.records.schema import dialect, schema
from armillary.engines.records.schema.rows import from_row
from armillary.engines.records.schema.security.response_rows import ActionApproval
from armillary.engines.records.schema.security.response_tables import (
    action_approval as _approval,
    playbook_run as _run,
    playbook_setting as _setting,
)
from armillary.wire.device.finding import SEVERITIES

_finding, _concerned = schema.finding, schema.finding_device


def owner_of(catalog_id: UUID | None) -> str:
    """How a catalog, or the whole service, is named in settings."""
    return "" if catalog_id is None else str(catalog_id)


def settings(connection: Connection, playbook: str | None = None) -> dict[tuple[str, str], bool]:
    """Where an operator said whether a playbook is used: (owner, playbook) -> whether it is."""
    query = select(_setting.c.owner, _setting.c.playbook, _setting.c.is_enabled)
    if playbook is not None:
        query = query.where(_setting.c.playbook == playbook)
    return {(row.owner, row.playbook): bool(row.is_enabled) for row in connection.execute(query)}


def set_enabled(
    connection: Connection, catalog_id: UUID | None, playbook: str, *, enabled: bool, at: int, actor: str
) -> None:
    """Store whether a playbook is used for a catalog, or (None) where no catalog says anything else."""
    here = (_setting.c.owner == owner_of(catalog_id)) & (_setting.c.playbook == playbook)
    said = {"is_enabled": enabled, "changed_at": at, "changed_by": actor}
    if not connection.execute(update(_setting).where(here).values(said)).rowcount:
        connection.execute(insert(_setting).values(owner=owner_of(catalog_id), playbook=playbook, **said))


class Unapplied(NamedTuple):
    """An open finding to which a playbook was not applied."""

    finding_id: UUID
    kind: str
    severity: str
    catalog_id: UUID
    title: str
    devices: int


def unapplied(
    connection: Connection,
    playbook: str,
    kinds: Collection[str],
    severities: Collection[str],
    *,
    catalogs: Collection[UUID],
    devices: tuple[int, int | None] = (0, None),
    limit: int,
    past: int,
) -> list[Unapplied]:
    """Open findings of these kinds to which a playbook was not applied, the gravest first, after the first ``past``.

    Only those of these catalogs that name so many ``devices``: at least, and (None: any number) at most. What a
    playbook is not about is left out here, so that however much of it there is hides nothing.
    """
    applied = select(_run.c.finding_id).where(_run.c.playbook == playbook)
    grave = case({name: rank for rank, name in enumerate(SEVERITIES)}, value=_finding.c.severity)
    named = (
        select(func.count())
        .where(_concerned.c.finding_id == _finding.c.finding_id)
        .correlate(_finding)
        .scalar_subquery()
    )
    columns, (at_least, at_most) = _finding.c, devices
    query = (
        select(
            columns.finding_id,
            columns.kind,
            columns.severity,
            columns.catalog_id,
            columns.title,
            named.label("devices"),
        )
        .where(columns.status == "open", columns.kind.in_(kinds), columns.severity.in_(severities))
        .where(columns.finding_id.not_in(applied), columns.catalog_id.in_(catalogs))
        .order_by(grave.desc(), columns.number)
        .limit(limit)
        .offset(past)
    )
    if at_least:
        query = query.where(named >= at_least)
    if at_most is not None:
        query = query.where(named <= at_most)
    return [Unapplied(*row) for row in connection.execute(query)]


def note_run(connection: Connection, playbook: str, finding_id: UUID, *, at: int) -> bool:
    """Note that a playbook was applied to a finding; False if it was before."""
    return bool(dialect.insert_new(connection, _run, [{"playbook": playbook, "finding_id": finding_id, "at": at}]))


def prune_runs(connection: Connection) -> None:
    """Forget to which findings playbooks were applied that are there no more."""
    connection.execute(delete(_run).where(_run.c.finding_id.not_in(select(_finding.c.finding_id))))


def approval(connection: Connection, catalog_id: UUID) -> ActionApproval | None:
    """What a catalog asks of actions; None where it has said nothing."""
    query = select(_approval).where(_approval.c.catalog_id == catalog_id)
    return first(connection, query, lambda row: from_row(ActionApproval, row))


def set_approval(connection: Connection, catalog_id: UUID, asked: ActionApproval) -> None:
    """Store what a catalog asks of actions."""
    connection.execute(delete(_approval).where(_approval.c.catalog_id == catalog_id))
    connection.execute(
        insert(_approval).values(
            catalog_id=catalog_id,
            second_person_above=asked.second_person_above,
            expires_after_s=asked.expires_after_s,
            changed_at=asked.changed_at,
            changed_by=asked.changed_by,
        )
    )
