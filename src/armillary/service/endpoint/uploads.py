# SPDX-License-Identifier: Apache-2.0
"""Crash dumps that devices send: each is kept in a thread, few at a time, one of a device."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog

from armillary.errors import ArmillaryError, QuarantinedDeviceError, RateLimitedError
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.peers import Peer

# Dumps are rare, and no device waits for one: check-ins keep the threads and the disk.
MAX_AT_ONCE: Final = 4
BUSY_RETRY_S: Final = 60
# Encryption, and two transactions of a busy disk.
KEEP_S: Final = 60.0

_log = structlog.get_logger(__name__)

# Keeps a dump, the bytes that a device of an id sends, and returns its id. Blocks: not for the event loop.
KeepDump = Callable[[str, bytes], UUID]


@dataclass(eq=False)
class Uploads:
    """Takes dumps, in one event loop."""

    _states: DeviceStates
    _keep: KeepDump
    _counts: Counter[str]
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    async def close(self) -> None:
        """Wait for what is being kept."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def take(self, connection: DeviceConnection, peer: Peer, body: bytes) -> None:
        """Begin to keep a dump; the reply is its id.

        Raises:
            DeviceFault: the device is not admitted, or in quarantine.
            RateLimitedError: another one of this device is being kept, or several of others.
        """
        state = self._states.admitted(peer.device_id)
        if state.is_quarantined:
            raise QuarantinedDeviceError("a device in quarantine sends no crash dumps")
        if peer.device_id in self._under_way or len(self._under_way) >= MAX_AT_ONCE:
            raise RateLimitedError("other crash dumps are being kept", retry_after_s=BUSY_RETRY_S)
        connection.wait(KEEP_S)
        task = asyncio.get_running_loop().create_task(self._take(connection, peer.device_id, body))
        self._under_way[peer.device_id] = task

    async def _take(self, connection: DeviceConnection, device_id: str, body: bytes) -> None:
        try:
            dump_id = await self._kept(device_id, body)
        except ArmillaryError as error:
            self._counts["crash dumps refused"] += 1
            connection.fail(error)
        except Exception:  # noqa: BLE001 - outermost of this task: a bug must not keep the device waiting
            _log.exception("a crash dump could not be kept", device=device_id)
            connection.abort()
        else:
            from armillary.wire.device.crash_dump import encode_receipt  # noqa: PLC0415 - memory: dumps are rare

            self._counts["crash dumps"] += 1
            connection.reply_ok(encode_receipt(dump_id))

    async def _kept(self, device_id: str, body: bytes) -> UUID:
        """Keep it; whoever hears of it afterwards may send the next at once."""
        try:
            return await asyncio.to_thread(self._keep, device_id, body)
        finally:
            del self._under_way[device_id]
