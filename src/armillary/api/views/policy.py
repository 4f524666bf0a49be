# SPDX-License-Identifier: Apache-2.0
"""What a catalog demands of its devices beyond a good boot, as a JSON-able dict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from armillary.attest import policy as rules

if TYPE_CHECKING:
    from armillary.engines.records.queries.policies import CatalogPolicy
    from armillary.service.assemble import SecurityService

Document = dict[str, Any]


def document(catalog: str, row: CatalogPolicy) -> Document:
    """A version of a catalog's policy as JSON; version 0, which demands nothing, where none was set."""
    return {
        "catalog": catalog,
        "version": row.version,
        **rules.to_json(row.policy),
        "changed_at": row.changed_at,
        "changed_by": row.changed_by,
    }


def policy(service: SecurityService, catalog: str) -> Document:
    """The policy that holds in a catalog, as JSON."""
    return document(service.registry.catalogs.get(catalog).name, service.attestation.policies.get(catalog))
