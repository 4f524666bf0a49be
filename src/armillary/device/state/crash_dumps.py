# SPDX-License-Identifier: Apache-2.0
"""Crash dumps that wait for the service, and whether the device may make any: both in one region of flash.

The service's reply to a check-in says what dumps may hold, and whose device this is. When it says less than before,
what waits is deleted or scrubbed in the same write; when the device has another owner, everything is deleted. Nothing
is sent before a reply of this boot has said that it may be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID

from armillary.device.state.journal import Journal
from armillary.engines.flash.port import Flash, read_or_none, replace_region
from armillary.errors import (
    ArmillaryError,
    DataFolderError,
    QuarantinedDeviceError,
    RateLimitedError,
    ServiceUnreachableError,
    WireError,
)
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS
from armillary.wire.device.crash_dump import MAX_DUMP_BYTES, CrashDump, MachineState, encode_dump, parse_dump, scrubbed
from armillary.wire.encoding import cbor

# The first ones say what is wrong; a program in a loop of crashes makes the same again.
MAX_WAITING: Final = 4
_MAX_REGION_BYTES: Final = MAX_WAITING * MAX_DUMP_BYTES + 1024
_REGION: Final = "device/crash-dumps"


class DumpEndpoint(Protocol):
    """Where dumps are sent."""

    async def send_crash_dump(self, data: bytes) -> UUID:
        """Send a dump; returns its id. Raises as ``device/checkin/endpoint.py``."""
        ...


class DumpQueue:
    """The dumps of a device on flash; ``now`` gives Unix seconds."""

    def __init__(self, flash: Flash, journal: Journal, now: Callable[[], int], boot_count: int) -> None:
        self._flash = flash
        self._journal = journal
        self._now = now
        self._boot_count = boot_count
        self._consent, self._catalog_id, self._waiting = _load(flash)
        self._is_heard = False  # whether a reply of this boot has said what may be sent

    def __len__(self) -> int:
        return len(self._waiting)

    def hear(self, consent: int, catalog_id: UUID) -> None:
        """Take what a reply says; durable when it returns. Raises DataFolderError if the flash refuses."""
        kept = self._waiting if consent and catalog_id.bytes == self._catalog_id else ()
        if consent < FULL_DUMPS:
            kept = tuple(encode_dump(_without_data(parse_dump(one))) for one in kept)
        if (consent, catalog_id.bytes, kept) != (self._consent, self._catalog_id, self._waiting):
            if len(kept) < len(self._waiting):
                self._journal.write("crash-dumps-deleted", count=len(self._waiting) - len(kept))
            self._store(consent, catalog_id.bytes, kept)
        self._is_heard = True

    def add(self, component_id: UUID, image_id: UUID, state: MachineState) -> None:
        """Keep a dump of a crash, where that is allowed and there is room. Raises DataFolderError."""
        if self._consent == NO_DUMPS:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._journal.write("crash-dump-not-kept", image_id=image_id, waiting=len(self._waiting))
            return
        dump = CrashDump(
            component_id=component_id, image_id=image_id, boot_count=self._boot_count, at=self._now(), state=state
        )
        if self._consent < FULL_DUMPS:
            dump = _without_data(dump)
        self._store(self._consent, self._catalog_id, (*self._waiting, encode_dump(dump)))
        self._journal.write("crash-dump-kept", image_id=image_id, waiting=len(self._waiting))

    async def send(self, endpoint: DumpEndpoint) -> None:
        """Send what waits, oldest first; what cannot be sent now waits on. Raises DataFolderError."""
        while self._waiting and self._is_heard and self._consent != NO_DUMPS:
            data = self._waiting[0]
            try:
                dump_id = await endpoint.send_crash_dump(data)
            except (RateLimitedError, ServiceUnreachableError) as error:
                self._journal.write("crash-dump-waits", reason=error.message)
                return
            except ArmillaryError as error:
                if error.code == QuarantinedDeviceError.code:
                    return
                self._journal.write("crash-dump-refused", code=error.code, reason=error.message)
            else:
                self._journal.write("crash-dump-sent", dump_id=dump_id, size=len(data))
            self._store(self._consent, self._catalog_id, tuple(one for one in self._waiting if one is not data))

    def _store(self, consent: int, catalog_id: bytes, waiting: tuple[bytes, ...]) -> None:
        if not consent and not waiting and self._is_absent():
            self._consent, self._catalog_id, self._waiting = consent, catalog_id, waiting
            return  # most devices never make a dump, and have no such region
        replace_region(self._flash, _REGION, cbor.encode({1: consent, 2: catalog_id, 3: list(waiting)}))
        self._consent, self._catalog_id, self._waiting = consent, catalog_id, waiting

    def _is_absent(self) -> bool:
        """Whether there is no region; one that cannot be read may have dumps that are to go."""
        try:
            return self._flash.read(_REGION) is None
        except DataFolderError:
            return False


def _without_data(dump: CrashDump) -> CrashDump:
    stack = dump.state.stack
    if stack is None or stack.scrubbed:
        return dump
    return replace(dump, state=replace(dump.state, stack=scrubbed(stack, dump.state.modules)))


def _load(flash: Flash) -> tuple[int, bytes, tuple[bytes, ...]]:
    """What may be kept, whose device it is, and what waits.

    A damaged region is as good as none: it is replaced atomically, so only failing flash does that, and dumps are not
    worth a device that does not start.
    """
    data = read_or_none(flash, _REGION)
    if data is None:
        return NO_DUMPS, b"", ()
    try:
        value: Any = cbor.decode(data, what="crash dump queue", limit=_MAX_REGION_BYTES)
        waiting = tuple(bytes(one) for one in value[3][:MAX_WAITING])
        for one in waiting:
            parse_dump(one)
        return min(int(value[1]), FULL_DUMPS), bytes(value[2]), waiting
    except (WireError, KeyError, TypeError, ValueError, IndexError):
        return NO_DUMPS, b"", ()
