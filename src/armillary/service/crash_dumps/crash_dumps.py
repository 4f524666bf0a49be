# SPDX-License-Identifier: Apache-2.0
"""What operators do with dumps: list, read, delete, erase all of a group, and set what a group collects.

Each reading is an audit entry in the transaction that reads: nobody sees a dump without leaving a trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from armillary.engines.records.crashes import dumps as dump_rows
from armillary.engines.records.crashes.dumps import CrashDumpRow
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.engines.records.schema.rows import CRASH_DUMP_STACKS, DeviceGroup, Page
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.context.paging import bounded, number_after
from armillary.service.crash_dumps import sealing
from armillary.service.crash_dumps.ending import delete_ended_keys
from armillary.service.crash_dumps.intake import context_of
from armillary.service.registry.crash_consent import check_region
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.wire.device.crash_dump import CrashDump, parse_dump

MAX_DAYS: Final = 366  # a dump of a year ago is of a program that nobody runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What a group collects, and what it has."""

    is_on: bool
    stacks: str  # ``scrubbed`` or ``full``
    days: int
    data_boundary: str  # ``None`` or ``EU``
    dumps: int
    size: int  # bytes


class CrashDumps:
    """Operations on dumps; with ``catalog``, of that catalog's alone."""

    def __init__(self, context: Context, keys: KeyStore, notices: Notices) -> None:
        self._context = context
        self._keys = keys
        self._notices = notices

    def list(
        self,
        catalog: str | None,
        *,
        device_id: str | None = None,
        image_id: UUID | None = None,
        limit: int = 50,
        after: str | None = None,
        order: str = "",
    ) -> Page[CrashDumpRow]:
        """Dumps without their contents, the newest first or in an order."""
        before = None if order else number_after(after)

        def query(connection: Connection) -> Page[CrashDumpRow]:
            owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
            return dump_rows.page(
                connection,
                catalog_id=owner,
                device_id=None if device_id is None else device_id.lower(),
                image_id=image_id,
                limit=bounded(limit),
                before=before,
                order=order,
                after=after,
            )

        return self._context.records.read(query)

    def read(self, dump_id: UUID, *, catalog: str | None, actor: str) -> tuple[CrashDumpRow, bytes]:
        """A dump and its bytes; the reading is audited before anything is returned.

        Raises:
            NotFoundError: there is none of this id in the catalog, or it was erased.
            DataFolderError: it is damaged.
        """

        def change(connection: Connection) -> tuple[CrashDumpRow, bytes]:
            row, sealed = _of_catalog(connection, dump_id, catalog)
            detail = {"device_id": row.device_id, "image_id": str(row.image_id), "stack": row.stack}
            self._context.audit(connection, actor, "crash-dump.read", str(dump_id), detail)
            return row, sealed

        row, sealed = self._context.records.write(change)
        return row, sealing.unseal(self._keys, row.key_id, sealed, context_of(row))

    def parsed(self, dump_id: UUID, *, catalog: str | None, actor: str) -> tuple[CrashDumpRow, CrashDump]:
        """As :meth:`read`, parsed."""
        row, data = self.read(dump_id, catalog=catalog, actor=actor)
        return row, parse_dump(data)

    def delete(self, dump_id: UUID, *, catalog: str | None, actor: str) -> None:
        """Delete a dump; NotFoundError if there is none of this id in the catalog."""

        def change(connection: Connection) -> None:
            row, _ = _of_catalog(connection, dump_id, catalog)
            dump_rows.remove(connection, dump_id)
            self._context.audit(connection, actor, "crash-dump.delete", str(dump_id), {"device_id": row.device_id})

        self._context.records.write(change)

    # -- of a group -----------------------------------------------------------------------------------------------

    def collection(self, catalog: str, product: str, group: str) -> Collection:
        """What a group collects."""
        return self._context.records.read(lambda c: _collection(c, group_or_raise(c, catalog, product, group)))

    def collect(
        self,
        catalog: str,
        product: str,
        group: str,
        *,
        actor: str,
        is_on: bool | None = None,
        stacks: str | None = None,
        days: int | None = None,
    ) -> Collection:
        """Set what a group collects; None leaves a value as it is. Devices hear of it at their next check-in.

        Raises:
            InvalidArgumentError: a value that is not allowed.
            ConflictError: the group keeps its data in a region that this service does not promise.
        """
        values = _checked(is_on=is_on, stacks=stacks, days=days)

        def change(connection: Connection) -> Collection:
            before = group_or_raise(connection, catalog, product, group)
            catalog_rows.change_group(connection, before.group_id, values)
            after = group_or_raise(connection, catalog, product, group)
            if is_on:
                check_region(after, self._context.settings.data_region)
            self._context.audit(connection, actor, "device-group.set-crash-dumps", _path(after), values)
            return _collection(connection, after)

        made = self._context.records.write(change)
        self._notices.groups_changed()
        return made

    def erase(self, catalog: str, product: str, group: str, *, actor: str) -> int:
        """Delete all dumps of a group and the key that opens them; returns how many there were.

        Copies of the database hold nothing that could be opened from then on. The next dump gets a new key.
        """

        def change(connection: Connection) -> int:
            found = group_or_raise(connection, catalog, product, group)
            count = dump_rows.remove_of_group(connection, found.group_id)
            dump_rows.end_key(connection, found.group_id)
            self._context.audit(connection, actor, "device-group.erase-crash-dumps", _path(found), {"dumps": count})
            return count

        count = self._context.records.write(change)
        delete_ended_keys(self._context.records, self._keys)
        return count


def _of_catalog(connection: Connection, dump_id: UUID, catalog: str | None) -> tuple[CrashDumpRow, bytes]:
    found = dump_rows.one(connection, dump_id)
    owner = None if catalog is None else catalog_or_raise(connection, catalog).catalog_id
    if found is None or owner not in (None, found[0].catalog_id):
        raise NotFoundError(f"crash dump {dump_id} does not exist", remedy="List them: armillary crash-dump list.")
    return found


def _collection(connection: Connection, group: DeviceGroup) -> Collection:
    return Collection(
        is_on=group.allow_crash_dumps == "Enabled",
        stacks=group.crash_dump_stacks,
        days=group.crash_dump_days,
        data_boundary=group.regional_data_boundary,
        dumps=dump_rows.count_of_group(connection, group.group_id),
        size=dump_rows.size_of_group(connection, group.group_id),
    )


def _checked(*, is_on: bool | None, stacks: str | None, days: int | None) -> dict[str, object]:
    values: dict[str, object] = {}
    if is_on is not None:
        values["allow_crash_dumps"] = "Enabled" if is_on else "Disabled"
    if stacks is not None:
        if stacks not in CRASH_DUMP_STACKS:
            raise InvalidArgumentError(
                f"stacks: expected {' or '.join(CRASH_DUMP_STACKS)}, got {stacks!r:.40}",
                remedy="scrubbed keeps pointers alone, full keeps what the application worked on.",
            )
        values["crash_dump_stacks"] = stacks
    if days is not None:
        if not 1 <= days <= MAX_DAYS:
            raise InvalidArgumentError(
                f"days: expected 1 to {MAX_DAYS}, got {days}", remedy="29 is usual, as on Azure Sphere."
            )
        values["crash_dump_days"] = days
    return values


def _path(group: DeviceGroup) -> str:
    return f"{group.catalog}/{group.product}/{group.name}"
