# SPDX-License-Identifier: Apache-2.0
"""Actions and playbooks as JSON documents, and whose some kinds of actions are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from armillary.api.http.documents import row_document
from armillary.api.http.route import ADMINISTRATOR, RANK
from armillary.errors import PermissionDeniedError

if TYPE_CHECKING:
    from armillary.engines.records.schema.security.response_rows import Action
    from armillary.response.playbook import Playbook
    from armillary.service.assemble import SecurityService
    from armillary.service.response.playbooks import PlaybookUse

Document = dict[str, Any]


def action(row: Action) -> Document:
    """An action with what its kind does."""
    from armillary.response.action import KINDS  # noqa: PLC0415 - memory: where nothing is done it is not used

    kind = KINDS[row.kind]
    return {**row_document(row), "does": kind.does, "can_be_undone": not kind.final}


def of_catalog(service: SecurityService, action_id: UUID, catalog: str | None) -> Action:
    """An action; with ``catalog`` one that is not of it is as good as none. Raises NotFoundError."""
    from armillary.service.response.actions import no_such_action  # noqa: PLC0415 - memory, as above

    found = service.response.actions.get(action_id)
    if catalog is not None and found.catalog_id != service.registry.catalogs.get(catalog).catalog_id:
        raise no_such_action(action_id)
    return found


def check_role(kind: str, role: str) -> None:
    """Floors are an administrator's, as they are where they are raised directly. Raises PermissionDeniedError."""
    if kind == "raise-floor" and RANK[role] < RANK[ADMINISTRATOR]:
        raise PermissionDeniedError("raising a floor needs the role Administrator", remedy="Ask an administrator.")


def playbook(found: Playbook) -> Document:
    """A playbook: what it is about, what it does, what it proposes."""
    return {**row_document(found), "kinds": sorted(found.kinds), "catalogs": sorted(found.catalogs)}


def playbook_use(each: PlaybookUse) -> Document:
    """A playbook with where it is from and whether it is used."""
    return {
        **playbook(each.playbook),
        "source": each.source,
        "is_enabled": each.is_enabled,
        "said_by_operator": each.said_by_operator,
    }
