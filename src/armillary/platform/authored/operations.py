# SPDX-License-Identifier: Apache-2.0
"""Operations on organisations: each checks whose they are, and writes a line of the audit log.

Methods block for the disk. ``catalog`` is the one that the caller is limited to: None for no limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.engines.database.outbox import AuditEntry
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.operator import Operator
from armillary.platform.authored.documents import AuthoredDocuments, check_catalog, document_of
from armillary.platform.authored.organisations import KIND, Organisations
from armillary.platform.ports import Directory, Registry
from armillary.twin.author.organisation import parse_organisation


@dataclass(eq=False)
class OrganisationOperations:
    """Operations on organisations."""

    _organisations: Organisations
    _documents: AuthoredDocuments
    _directory: Directory
    _registry: Registry

    def show(self, organisation: str, catalog: str | None) -> dict[str, Any]:
        """An organisation, with the ids of those below it as ``below``."""
        document = document_of(self._documents.visible(KIND, organisation, catalog))
        return {**document, "below": sorted(self._organisations.subtree(organisation) - {organisation})}

    def put(
        self, actor: Operator, organisation: str, body: Mapping[str, Any], catalog: str | None, if_match: str | None
    ) -> dict[str, Any]:
        """Make or change an organisation; its catalog never changes, and the tree has at most five levels."""
        wanted = {**({} if catalog is None else {"catalog": catalog}), **body}
        parsed = parse_organisation(wanted)
        check_catalog(KIND, parsed.catalog, catalog)
        owner = self._registry.catalog_name(parsed.catalog)
        self._documents.check_free(KIND, organisation, catalog, if_match)
        self._organisations.check(organisation, parsed)
        return self._documents.put(actor, KIND, organisation, {**wanted, "catalog": owner}, catalog, if_match)

    def delete(self, actor: Operator, organisation: str, catalog: str | None, if_match: str | None) -> dict[str, Any]:
        """Delete an organisation that has nothing below it, no devices and no token that is still good."""
        self._documents.owned(KIND, organisation, catalog)
        if self._organisations.has_devices(organisation):
            raise ConflictError(
                f"organisation {organisation[:64]!a} has devices",
                remedy="Put them elsewhere: armillary organisation assign.",
            )
        if self._registry.has_tokens_of(organisation):
            raise ConflictError(
                f"organisation {organisation[:64]!a} has tokens or people",
                remedy="Revoke them first: armillary token revoke, armillary person revoke.",
            )
        self._organisations.check(organisation, None)
        return self._documents.delete(actor, KIND, organisation, catalog, if_match)

    def devices(
        self, organisation: str, catalog: str | None, *, limit: int, after: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Devices of an organisation and of those below it by id, and where the next page begins."""
        self._documents.visible(KIND, organisation, catalog)
        return self._organisations.devices(organisation, after=after, limit=limit)

    def assign(self, actor: Operator, device_id: str, organisation: str | None) -> None:
        """Put a device into an organisation of its catalog, or into none.

        Raises:
            NotFoundError: its catalog has no such organisation.
        """
        if "/" in device_id:
            raise InvalidArgumentError("a module is where its device is", remedy="Name the device.")
        if organisation is not None:
            found = self._organisations.all().get(organisation)
            owner = self._directory.of((device_id,)).get(device_id, {}).get("catalog")
            if found is None or str(owner or "").lower() != found.catalog.lower():
                raise NotFoundError(
                    f"the device's catalog has no organisation {organisation!a:.80}",
                    remedy="List them: armillary organisation list.",
                )
        self.assign_checked(actor, device_id, organisation)

    def assign_checked(self, actor: Operator, device_id: str, organisation: str | None) -> None:
        """As :meth:`assign`, of a device and an organisation that the caller has looked at."""
        entry = AuditEntry(actor.name, "device.organisation", device_id, {"organisation": organisation or ""})
        self._organisations.assign(device_id, organisation, by=entry)
