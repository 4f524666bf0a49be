# SPDX-License-Identifier: Apache-2.0
"""Logs that devices were asked for: of each device the request that waits, and the newest answer.

Every query names the catalog: what was asked or sent under another owner is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from armillary.engines.records.queries.pages import first
from armillary.engines.records.schema import schema
from armillary.engines.records.schema.rows import from_row, to_row
from armillary.engines.records.schema.security import device_log_tables as tables

_request, _log, _device = tables.device_log_request, tables.device_log, schema.device


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """A request for a device's log; times in Unix seconds UTC."""

    request_id: UUID
    catalog_id: UUID
    asked_at: int
    asked_by: str
    ends_at: int  # an answer that comes later is refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnswer:
    """The newest answer of a device, without its lines."""

    catalog_id: UUID
    asked_at: int
    asked_by: str
    answered_at: int
    kept_until: int
    line_count: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Owned:
    """A device by its number, and the catalog that it is in now."""

    number: int
    catalog_id: UUID | None


def owned(connection: Connection, device_id: str) -> Owned | None:
    """The device of an id."""
    query = select(_device.c.number, _device.c.catalog_id).where(_device.c.device_id == device_id)
    return first(connection, query, partial(from_row, Owned))


def sender(connection: Connection, device_id: str) -> Owned | None:
    """The device of an id; None for one that was revoked."""
    here = (_device.c.device_id == device_id) & _device.c.revoked_at.is_(None)
    return first(connection, select(_device.c.number, _device.c.catalog_id).where(here), partial(from_row, Owned))


def request_of(connection: Connection, device: Owned) -> LogRequest | None:
    """The newest request of a device's present owner that was not answered; its time may be over."""
    mine = (_request.c.device_number == device.number) & (_request.c.catalog_id == device.catalog_id)
    return first(connection, select(_request).where(mine), partial(from_row, LogRequest))


def answer_of(connection: Connection, device: Owned, *, now: int) -> LogAnswer | None:
    """The newest answer to a device's present owner that is still kept."""
    mine = (_log.c.device_number == device.number) & (_log.c.catalog_id == device.catalog_id)
    return first(connection, select(_log).where(mine, _log.c.kept_until > now), partial(from_row, LogAnswer))


def content_of(connection: Connection, device: Owned) -> bytes:
    """The lines of the newest answer; empty where there is none."""
    mine = (_log.c.device_number == device.number) & (_log.c.catalog_id == device.catalog_id)
    return bytes(connection.execute(select(_log.c.content).where(mine)).scalar_one_or_none() or b"")


def ask(connection: Connection, device: Owned, request: LogRequest) -> None:
    """Note a request instead of the one before."""
    connection.execute(delete(_request).where(_request.c.device_number == device.number))
    connection.execute(insert(_request).values(to_row(_request, request, device_number=device.number)))


def answer(connection: Connection, device: Owned, answered: LogAnswer, content: bytes) -> None:
    """Keep an answer instead of the one before; its request waits no more."""
    connection.execute(delete(_request).where(_request.c.device_number == device.number))
    connection.execute(delete(_log).where(_log.c.device_number == device.number))
    values = to_row(_log, answered, device_number=device.number, content=content)
    connection.execute(insert(_log).values(values))


def remove_ended(connection: Connection, *, kept: int, asked: int) -> None:
    """Delete answers that are kept until ``kept`` or less, and requests whose time was over at ``asked``."""
    connection.execute(delete(_log).where(_log.c.kept_until <= kept))
    connection.execute(delete(_request).where(_request.c.ends_at <= asked))
