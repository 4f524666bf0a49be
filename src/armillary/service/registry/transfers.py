# SPDX-License-Identifier: Apache-2.0
"""Transfer of devices between catalogs: the owner offers, the other accepts, one transaction moves the device.

The rules are the table in ``identity/transfer.py``. From the acceptance on, the device is the new owner's alone: it
is in no device group until the new owner assigns it to one, certificates of the old catalog are refused (the hub
demands one of the new owner's authority), and its open connections are closed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    transfers as transfer_rows,
)
from armillary.engines.records.queries.transfers import Transfer
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP, Device, Page
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.identity.transfer import TransferEvent, TransferState, settle, standing
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.registry.devices import Devices
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.wire.hub.credentials import UNATTESTED

DEFAULT_LIFETIME_S: Final = 7 * 86400
MAX_LIFETIME_S: Final = 90 * 86400


class Transfers:
    """Offers, acceptances and their ends. ``catalog`` is always the one for which the caller acts.

    An unknown catalog raises NotFoundError.
    """

    def __init__(self, context: Context, devices: Devices, notices: Notices) -> None:
        self._context = context
        self._devices = devices
        self._notices = notices

    def offer(
        self, catalog: str, device_id: str, to_catalog: UUID, *, actor: str, lifetime_s: int = DEFAULT_LIFETIME_S
    ) -> Transfer:
        """Offer a device of ``catalog`` to another catalog, named by its id: other owners' names are not shown.

        Raises:
            NotFoundError: the catalog has no such device, or there is no catalog of that id.
            ConflictError: the device is offered already, is revoked, or is offered to its own catalog.
            InvalidArgumentError: the lifetime.
        """
        if not 1 <= lifetime_s <= MAX_LIFETIME_S:
            raise InvalidArgumentError(
                f"lifetime: expected 1 to {MAX_LIFETIME_S} s, got {lifetime_s}", remedy="Use such a number."
            )
        now = self._context.now()

        def change(connection: Connection) -> Transfer:
            owner = catalog_or_raise(connection, catalog)
            device = self._owned(connection, owner.catalog_id, owner.name, device_id)
            if catalog_rows.catalog_by_id(connection, to_catalog) is None:
                raise NotFoundError(
                    f"there is no catalog {to_catalog}",
                    remedy="Ask the new owner for his catalog's id: armillary catalog show.",
                )
            if to_catalog == owner.catalog_id:
                raise ConflictError("the device is in this catalog", remedy="Name the new owner's catalog id.")
            earlier = transfer_rows.open_of(connection, device.device_id)
            if earlier is not None and now < earlier.expires_at:
                raise ConflictError(
                    f"the device is offered already: transfer {earlier.transfer_id}",
                    remedy="Cancel that offer first: armillary device transfer cancel.",
                )
            if earlier is not None:
                transfer_rows.settle(
                    connection, earlier.transfer_id, state=TransferState.EXPIRED.value, now=now, actor="service"
                )
            transfer_id = uuid4()
            transfer_rows.add(
                connection,
                transfer_id=transfer_id,
                device_id=device.device_id,
                from_catalog_id=owner.catalog_id,
                to_catalog_id=to_catalog,
                now=now,
                actor=actor,
                expires_at=now + lifetime_s,
            )
            made = self._transfer(connection, transfer_id)
            self._note(connection, actor, "device.transfer-offer", made)
            return made

        return self._context.records.write(change)

    def accept(self, catalog: str, transfer_id: UUID, *, actor: str) -> Transfer:
        """Take a device that was offered to ``catalog``.

        Raises:
            NotFoundError: nothing with this id was offered to this catalog.
            ConflictError: the offer is settled or over, or the device was revoked or has left its owner meanwhile.
        """

        def change(connection: Connection) -> Transfer:
            transfer = self._settle(connection, catalog, transfer_id, TransferEvent.ACCEPT, actor)
            device = self._devices.in_transaction(connection, transfer.device_id)
            if device.revoked_at is not None or device.catalog_id != transfer.from_catalog_id:
                raise ConflictError(
                    "the device was revoked or has left its owner since it was offered",
                    remedy="Ask the owner for a new offer.",
                )
            target = group_or_raise(connection, catalog, DEFAULT_PRODUCT, UNASSIGNED_GROUP)
            device_rows.claim(
                connection,
                device.device_id,
                catalog_id=transfer.to_catalog_id,
                group_id=target.group_id,
                now=self._context.now(),
            )
            self._note(connection, actor, "device.transfer-out", transfer, catalog=transfer.from_catalog)
            self._note(connection, actor, "device.transfer-in", transfer, catalog=transfer.to_catalog)
            return transfer

        transfer = self._context.records.write(change)
        self._notices.device_revoked(transfer.device_id)  # connections that it made under the old owner are closed
        return transfer

    def decline(self, catalog: str, transfer_id: UUID, *, actor: str) -> Transfer:
        """Refuse a device that was offered to ``catalog``; raises what :meth:`accept` does."""
        return self._end(catalog, transfer_id, TransferEvent.DECLINE, actor)

    def cancel(self, catalog: str, transfer_id: UUID, *, actor: str) -> Transfer:
        """Take back an offer that ``catalog`` made.

        Raises:
            NotFoundError: this catalog made no such offer.
            ConflictError: it is settled or over.
        """
        return self._end(catalog, transfer_id, TransferEvent.CANCEL, actor)

    def of_device(self, device: Device) -> Transfer | None:
        """The open offer of a device, else the transfer that brought it to its present catalog."""

        def query(connection: Connection) -> Transfer | None:
            found = transfer_rows.open_of(connection, device.device_id)
            if found is not None and self._standing(found).state == TransferState.OFFERED.value:
                return found
            if device.catalog_id is None:
                return None
            return transfer_rows.brought(connection, device.device_id, device.catalog_id)

        return self._context.records.read(query)

    def list(
        self, catalog: str, *, limit: int = 100, after: str | None = None, pending: bool = False
    ) -> Page[Transfer]:
        """Offers from and to a catalog, newest first; with ``pending`` only those that can still be accepted."""
        before = number_after(after)

        def query(connection: Connection) -> Page[Transfer]:
            owner = catalog_or_raise(connection, catalog)
            pending_at = self._context.now() if pending else None
            found = transfer_rows.page(
                connection, owner.catalog_id, limit=bounded(limit), before=before, pending_at=pending_at
            )
            return Page(tuple(self._standing(one) for one in found.items), found.next_cursor)

        return self._context.records.read(query)

    def _end(self, catalog: str, transfer_id: UUID, event: TransferEvent, actor: str) -> Transfer:
        def change(connection: Connection) -> Transfer:
            transfer = self._settle(connection, catalog, transfer_id, event, actor)
            self._note(connection, actor, f"device.transfer-{event.value}", transfer)
            return transfer

        return self._context.records.write(change)

    def _settle(
        self, connection: Connection, catalog: str, transfer_id: UUID, event: TransferEvent, actor: str
    ) -> Transfer:
        """Record the new state of a transfer; the caller does the rest in the same transaction."""
        speaker = catalog_or_raise(connection, catalog)
        found = transfer_rows.by_id(connection, transfer_id)
        now = self._context.now()
        if found is None:
            raise NotFoundError("there is no such transfer", remedy="List them: armillary device transfer list.")
        after = settle(
            TransferState(found.state),
            event,
            speaker=speaker.catalog_id,
            giver=found.from_catalog_id,
            taker=found.to_catalog_id,
            now=now,
            expires_at=found.expires_at,
        )
        if not transfer_rows.settle(connection, transfer_id, state=after.value, now=now, actor=actor):
            raise ConflictError("the transfer is settled already", remedy="Nothing was changed.")
        return self._transfer(connection, transfer_id)

    def _owned(self, connection: Connection, catalog_id: UUID, name: str, device_id: str) -> Device:
        absent = NotFoundError(f"catalog {name} has no such device", remedy="List them: armillary device list.")
        try:
            device = self._devices.in_transaction(connection, device_id)
        except NotFoundError as error:
            raise absent from error
        if device.catalog_id != catalog_id:
            raise absent
        if device.revoked_at is not None:
            raise ConflictError("the device is revoked", remedy="Restore it first: armillary device restore.")
        if device.trust_tier == UNATTESTED:
            raise ConflictError(
                "a bridged device is its catalog's: it has no identity that another owner could verify",
                remedy="Remove it here, and have the new owner make it: armillary bridge device create.",
            )
        return device

    def _transfer(self, connection: Connection, transfer_id: UUID) -> Transfer:
        found = transfer_rows.by_id(connection, transfer_id)
        if found is None:
            raise AssertionError("a transfer of this transaction is gone")
        return found

    def _standing(self, transfer: Transfer) -> Transfer:
        state = standing(TransferState(transfer.state), now=self._context.now(), expires_at=transfer.expires_at)
        return replace(transfer, state=state.value)

    def _note(
        self, connection: Connection, actor: str, operation: str, transfer: Transfer, *, catalog: str | None = None
    ) -> None:
        detail = {
            "transfer": str(transfer.transfer_id),
            "from": transfer.from_catalog or str(transfer.from_catalog_id),
            "to": transfer.to_catalog or str(transfer.to_catalog_id),
        }
        if catalog is not None:
            detail["catalog"] = catalog
        self._context.audit(connection, actor, operation, transfer.device_id, detail)
