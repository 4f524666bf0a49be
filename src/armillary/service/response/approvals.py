# SPDX-License-Identifier: Apache-2.0
"""What catalogs ask of actions: beyond how many devices a second person, and after how long one expires."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.response import playbooks as playbook_rows
from armillary.engines.records.schema.security.response_rows import ActionApproval
from armillary.errors import InvalidArgumentError
from armillary.response.action import KINDS
from armillary.response.playbook import MAX_EXPIRY_S, MIN_EXPIRY_S
from armillary.service.context.context import Context
from armillary.service.registry.names import catalog_or_raise

# What one person alone may touch, and how long an action waits, where a catalog says nothing else.
SECOND_PERSON_ABOVE: Final = 100
EXPIRES_AFTER_S: Final = 86_400
MAX_SECOND_PERSON_ABOVE: Final = 1_000_000


class Approvals:
    """What each catalog asks of actions; NotFoundError for one that is not there."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, catalog: str) -> ActionApproval:
        """What a catalog asks."""
        return self._context.records.read(lambda c: self.of(c, catalog_or_raise(c, catalog).catalog_id))

    def set(self, catalog: str, *, second_person_above: int, expires_after_s: int, actor: str) -> ActionApproval:
        """Say beyond how many devices an action of a catalog needs a second person, and when it expires."""
        for name, value, low, high in (
            ("second_person_above", second_person_above, 0, MAX_SECOND_PERSON_ABOVE),
            ("expires_after_s", expires_after_s, MIN_EXPIRY_S, MAX_EXPIRY_S),
        ):
            if not low <= value <= high:
                raise InvalidArgumentError(
                    f"{name}: expected {low} to {high}, got {value}", remedy="Use such a number."
                )

        def change(connection: Connection) -> ActionApproval:
            owner = catalog_or_raise(connection, catalog)
            asked = ActionApproval(
                second_person_above=second_person_above,
                expires_after_s=expires_after_s,
                changed_at=self._context.now(),
                changed_by=actor,
            )
            playbook_rows.set_approval(connection, owner.catalog_id, asked)
            detail = {"second_person_above": second_person_above, "expires_after_s": expires_after_s}
            self._context.audit(connection, actor, "action.approval-policy", owner.name, detail)
            return asked

        return self._context.records.write(change)

    def of(self, connection: Connection, catalog_id: UUID | None) -> ActionApproval:
        """What a catalog asks, or (None) what holds for the whole service."""
        usual = ActionApproval(second_person_above=SECOND_PERSON_ABOVE, expires_after_s=EXPIRES_AFTER_S)
        return usual if catalog_id is None else playbook_rows.approval(connection, catalog_id) or usual

    def needs_second(self, connection: Connection, catalog_id: UUID | None, kind: str, devices: int) -> bool:
        """Whether one person alone is not enough: halts and notices never wait, as they take nothing away."""
        if not KINDS[kind].touches_devices:
            return False
        return devices > self.of(connection, catalog_id).second_person_above
