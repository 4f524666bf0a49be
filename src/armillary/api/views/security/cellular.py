# SPDX-License-Identifier: Apache-2.0
"""What devices say of their cellular modems as JSON documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.api.http.documents import row_document

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService


def newest(service: SecurityService, device_id: str) -> dict[str, Any]:
    """What a device has said last; ``status`` is null where it has said nothing."""
    found = service.cellular.newest(device_id)
    return {"device_id": device_id, "status": None if found is None else row_document(found)}
