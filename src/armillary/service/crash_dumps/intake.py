# SPDX-License-Identifier: Apache-2.0
"""Takes dumps from devices: asks the group's consent again, holds the limits, encrypts, keeps each once.

What the group says is read in the transaction that keeps the dump, so that consent that was taken back holds from its
commit on. Blocks (disk, database): not for an event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.crashes import dumps as dump_rows
from armillary.engines.records.crashes.dumps import DAY_S, CrashDumpRow, DumpKeyRow
from armillary.engines.records.queries import catalogs as catalog_rows
from armillary.errors import CrashDumpRefusedError, RateLimitedError
from armillary.service.authority.key_store import KeyStore
from armillary.service.context.context import Context
from armillary.service.crash_dumps import sealing
from armillary.service.registry.crash_consent import consent_of
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS
from armillary.wire.device.crash_dump import MAX_DUMP_BYTES, CrashDump, parse_dump

MAX_PER_DAY: Final = 5  # of one device: a bug says the same each time
MAX_OF_GROUP_BYTES: Final = 256 << 20  # about 5,000 of the largest
# A key that was deleted while a dump was sealed to it: seal to the next one.
ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a dump of a device belongs now. ``key`` is None before the group's first dump."""

    device_number: int
    catalog_id: UUID
    group_id: UUID
    key: DumpKeyRow | None
    has_it: bool  # the dump is kept already


class DumpIntake:
    """Takes dumps."""

    def __init__(self, context: Context, keys: KeyStore) -> None:
        self._context = context
        self._keys = keys

    def take(self, device_id: str, data: bytes) -> UUID:
        """Keep a dump that a device sends; returns its id, which is the same when it is sent again.

        Raises:
            WireError: it is no dump.
            CrashDumpRefusedError: the device's group does not want it.
            RateLimitedError: the device has sent as many as it may today, or its group has no more room.
        """
        dump = parse_dump(data)
        dump_id = _id_of(device_id, data)
        for _ in range(ATTEMPTS):
            place = self._context.records.read(lambda c: self._place(c, device_id, dump, dump_id))
            if place.has_it:
                return dump_id
            key = place.key or self._make_key(place.group_id)
            row = self._row(dump_id, device_id, place, key, dump, len(data))
            sealed = sealing.seal(key.public_key, data, context_of(row))
            if self._context.records.write(partial(self._keep, row, dump, sealed)):
                return dump_id
        raise RateLimitedError("the key of this device's group is being changed", retry_after_s=1)

    def _place(self, connection: Connection, device_id: str, dump: CrashDump, dump_id: UUID) -> _Place:
        """Where a dump belongs; raises what :meth:`take` does for one that is not wanted there."""
        device = dump_rows.sender(connection, device_id)
        group = (
            None if device is None or device.group_id is None else catalog_rows.group_by_id(connection, device.group_id)
        )
        consent = NO_DUMPS if group is None else consent_of(group, self._context.settings.data_region)
        if device is None or group is None or consent == NO_DUMPS:
            raise CrashDumpRefusedError("this device's group collects no crash dumps")
        stack = dump.state.stack
        if stack is not None and not stack.scrubbed and consent != FULL_DUMPS:
            raise CrashDumpRefusedError("this device's group collects crash dumps with scrubbed stacks only")
        has_it = dump_rows.has(connection, dump_id)
        if not has_it:
            self._check_limits(connection, device.number, group.group_id)
        key = dump_rows.key_of(connection, group.group_id)
        return _Place(device.number, group.catalog_id, group.group_id, key, has_it)

    def _check_limits(self, connection: Connection, device_number: int, group_id: UUID) -> None:
        if dump_rows.count_since(connection, device_number, self._context.now() - DAY_S) >= MAX_PER_DAY:
            raise RateLimitedError(f"{MAX_PER_DAY} crash dumps of this device in a day", retry_after_s=DAY_S)
        if dump_rows.size_of_group(connection, group_id) > MAX_OF_GROUP_BYTES - MAX_DUMP_BYTES:
            raise RateLimitedError("this device's group has no more room for crash dumps", retry_after_s=DAY_S)

    def _make_key(self, group_id: UUID) -> DumpKeyRow:
        """The key of a group; another process may make one at the same time, then the first one counts."""
        key_id = uuid4()
        public_key = sealing.make_key(self._keys, key_id)
        made = DumpKeyRow(key_id=key_id, group_id=group_id, public_key=public_key, created_at=self._context.now())
        if not self._context.records.write(lambda c: dump_rows.add_key(c, made)):
            sealing.delete_key(self._keys, key_id)
        return self._context.records.read(lambda c: dump_rows.key_of(c, group_id)) or made

    def _row(
        self, dump_id: UUID, device_id: str, place: _Place, key: DumpKeyRow, dump: CrashDump, size: int
    ) -> CrashDumpRow:
        stack = dump.state.stack
        return CrashDumpRow(
            dump_id=dump_id,
            device_id=device_id,
            catalog_id=place.catalog_id,
            group_id=place.group_id,
            key_id=key.key_id,
            received_at=self._context.now(),
            crashed_at=dump.at,
            component_id=dump.component_id,
            image_id=dump.image_id,
            signal=dump.state.signal,
            stack="none" if stack is None else "scrubbed" if stack.scrubbed else "full",
            size=size,
        )

    def _keep(self, row: CrashDumpRow, dump: CrashDump, sealed: bytes, connection: Connection) -> bool:
        """Keep a dump; False if it was sealed to a key that is not its group's any more."""
        place = self._place(connection, row.device_id, dump, row.dump_id)
        if place.has_it:
            return True
        if place.key is None or (place.key.key_id, place.catalog_id) != (row.key_id, row.catalog_id):
            return False
        dump_rows.add(connection, row, place.device_number, sealed)
        return True


def context_of(row: CrashDumpRow) -> bytes:
    """What a sealed dump is bound to: it opens for the device, catalog and group that it came from, and no other."""
    return f"crash dump {row.dump_id} of {row.device_id} in {row.group_id} of {row.catalog_id}".encode()


def _id_of(device_id: str, data: bytes) -> UUID:
    """The id of a dump: of its device and content, so that one that is sent again is the same."""
    return UUID(bytes=sha256(b"crash dump\0" + device_id.encode() + data).digest()[:16])
