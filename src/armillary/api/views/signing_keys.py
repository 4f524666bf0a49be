# SPDX-License-Identifier: Apache-2.0
"""What is said of the keys that sign releases and images, and of the trust stores by which devices learn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def signing_keys(service: SecurityService) -> Document:
    """The ``keys`` that devices are to trust, and the ``stores`` with how many devices have each."""
    stores = service.updates.trust_stores
    return {
        "keys": [one._asdict() for one in stores.signing_keys()],
        "stores": [
            {
                "kind": one.store.kind,
                "number": one.store.number,
                "created_at": one.store.created_at,
                "in_force_at": one.store.in_force_at,
                "trusted": {purpose: list(serials) for purpose, serials in one.store.trusted.items()},
                "devices": one.devices._asdict(),
            }
            for one in stores.stores()
        ],
    }
