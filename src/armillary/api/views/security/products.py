# SPDX-License-Identifier: Apache-2.0
"""Products, what is declared of them and where their support stands, as JSON-able dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import row_document

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def listed(service: SecurityService, catalog: str | None = None, support: str | None = None) -> Document:
    """Products by catalog and name with ``support``, ``days_left`` and ``devices``; ``support``: only those."""
    found = service.registry.products.with_support(catalog, state=support)
    items = [
        {
            **row_document(each.product),
            "support": each.support,
            "days_left": each.days_left,
            "devices": each.devices,
        }
        for each in found
    ]
    return {"items": items, "next": None}
