# SPDX-License-Identifier: Apache-2.0
"""Notification channels as JSON documents, and the forms they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import as_page, row_document
from armillary.engines.records.schema.security.notification_rows import Channel, Delivery
from armillary.identity.operator import Operator
from armillary.service.notifications.channels import ChannelForm
from armillary.wire.notification import event as notification

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]
_INNER = frozenset({"number", "catalog_id", "channel_number"})  # fields of rows that say nothing to people


def channels(service: SecurityService, catalog: str | None) -> Document:
    """The channels of a catalog; with None all."""
    found = service.notifications.channels.list(catalog)
    return {"items": _documents(service, found), "next": None}


def channel(service: SecurityService, channel_id: UUID, catalog: str | None) -> Document:
    """A channel. Raises NotFoundError."""
    (found,) = _documents(service, [service.notifications.channels.get(channel_id, catalog)])
    return found


def create(service: SecurityService, form: ChannelForm, catalog: str | None, *, operator: Operator) -> Document:
    """A new channel."""
    (made,) = _documents(service, [service.notifications.channels.create(form, catalog, operator=operator)])
    return made


def choose(
    service: SecurityService, channel_id: UUID, catalog: str | None, given: Document, *, operator: Operator
) -> Document:
    """A channel that is told something else from now on; ``given`` has what changes."""
    changed = service.notifications.channels.choose(
        channel_id,
        catalog,
        topics=given.get("topics"),
        finding_kinds=given.get("finding_kinds"),
        min_severity=given.get("min_severity"),
        operator=operator,
    )
    (found,) = _documents(service, [changed])
    return found


def test(service: SecurityService, channel_id: UUID, catalog: str | None, *, operator: Operator) -> Document:
    """What came back of a test: ``ok``, ``said``, ``seconds``."""
    return row_document(service.notifications.channels.test(channel_id, catalog, operator=operator))


def given_up(
    service: SecurityService, channel_id: UUID, catalog: str | None, *, limit: int, after: str | None
) -> Document:
    """A page of what a channel was not told."""
    found = service.notifications.channels.given_up(channel_id, catalog, limit=limit, after=after)
    return as_page(found, _delivery)


def _documents(service: SecurityService, found: Iterable[Channel]) -> list[Document]:
    rows = list(found)
    names = service.notifications.channels.catalog_names(rows)
    return [{"catalog": names.get(each.catalog_id), **_without_inner(row_document(each))} for each in rows]


def _delivery(row: Delivery) -> Document:
    return {
        "sequence": row.sequence,
        "attempts": row.attempts,
        "kept_at": row.kept_at,
        "error": row.error,
        "event": notification.to_json(row.event),
    }


def _without_inner(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _INNER}
