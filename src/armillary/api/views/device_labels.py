# SPDX-License-Identifier: Apache-2.0
"""Pages whose rows are about devices, with what these are called: one read a page, and no other owner's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def with_names(service: SecurityService, page: Document, catalog_id: UUID | None) -> Document:
    """A page whose items have a ``device_id``, each with ``device_name``.

    It is None for a device that who speaks for one catalog (None: for all) may not see.
    """
    known = names_of(service, [each["device_id"] for each in page["items"] if each.get("device_id")], catalog_id)
    return {
        **page,
        "items": [
            {**each, "device_name": known.get(each["device_id"])} if each.get("device_id") else each
            for each in page["items"]
        ],
    }


def names_of(service: SecurityService, device_ids: Iterable[str], catalog_id: UUID | None) -> dict[str, str]:
    """What devices are called, of those that the caller may see; of a module its device's name and its own."""
    asked = list(device_ids)
    found = service.registry.names.described(list({each.partition("/")[0]: None for each in asked}))
    known = {each.device_id: each.name for each in found if catalog_id is None or each.catalog_id == catalog_id}
    parts = ((each, *each.partition("/")) for each in asked)
    return {each: f"{known[device]}{slash}{module}" for each, device, slash, module in parts if device in known}
