# SPDX-License-Identifier: Apache-2.0
"""Logs of devices as JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import row_document

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService
    from armillary.service.device_logs.device_logs import LogStanding

Document = dict[str, Any]
_INNER = ("request_id", "catalog_id")  # fields of rows that say nothing to people


def standing(service: SecurityService, device_id: str) -> Document:
    """Where a device's log stands. Raises NotFoundError."""
    return _standing(service.device_logs.standing(device_id))


def asked(service: SecurityService, device_id: str, *, actor: str) -> Document:
    """Ask a device for its log; where it stands then. Raises NotFoundError, ConflictError."""
    return _standing(service.device_logs.ask(device_id, actor=actor))


def lines(service: SecurityService, device_id: str, *, actor: str) -> Document:
    """The newest answer with its lines; the reading is audited. Raises NotFoundError."""
    found = service.device_logs.read(device_id, actor=actor)
    return {"device_id": found.device_id, **_outer(row_document(found.answer)), "lines": list(found.lines)}


def _standing(found: LogStanding) -> Document:
    document = row_document(found)
    return {name: _outer(each) if isinstance(each, dict) else each for name, each in document.items()}


def _outer(document: Document) -> Document:
    return {name: value for name, value in document.items() if name not in _INNER}
