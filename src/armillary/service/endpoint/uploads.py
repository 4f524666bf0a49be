# SPDX-License-Identifier: Apache-2.0
"""What devices send beside check-ins (crash dumps, logs, statuses of modems): kept in threads, one of a device.

A device sends them after a check-in, so the allowance of each kind is that of check-ins, or less; one that is malformed
or not wanted is charged as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from armillary.errors import ArmillaryError, NotFoundError, QuarantinedDeviceError, RateLimitedError
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.verifier.device_rates import CHECK_INS, Meter
from armillary.service.verifier.device_states import DeviceState, DeviceStates
from armillary.service.verifier.peers import Peer

# They are rare, and no device waits for one: check-ins keep the threads and the disk.
MAX_AT_ONCE: Final = 4
BUSY_RETRY_S: Final = 60
# Encryption, and two transactions of a busy disk.
KEEP_S: Final = 60.0

_log = structlog.get_logger(__name__)

# A device sends its modem's status after a check-in: a session that comes and goes is told at every other time.
LEAST_STATUS_S: Final = 30

# Keeps what a device of an id sends, and returns its receipt. Blocks: not for the event loop.
Keep = Callable[[str, bytes], bytes]


@dataclass(frozen=True, slots=True)
class UploadKind:
    """A kind of upload: what it is called, what keeps it, and what charges for it or refuses it before it is read."""

    name: str
    keep: Keep
    check: Callable[[DeviceState], None]


@dataclass(eq=False)
class Uploads:
    """Takes uploads of one kind, in one event loop."""

    _states: DeviceStates
    _kind: UploadKind
    _counts: Counter[str]
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    async def close(self) -> None:
        """Wait for what is being kept."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def take(self, connection: DeviceConnection, peer: Peer, body: bytes) -> None:
        """Begin to keep an upload; the reply is its receipt.

        Raises:
            DeviceFault: the device is not admitted, or may not send this.
            NotFoundError: nobody asked it for this.
            RateLimitedError: another one of this device is being kept, or several of others, or it sends too many.
        """
        state = self._states.admitted(peer.device_id)
        if peer.device_id in self._under_way or len(self._under_way) >= MAX_AT_ONCE:
            raise RateLimitedError(f"other {self._kind.name}s are being kept", retry_after_s=BUSY_RETRY_S)
        self._kind.check(state)  # last, because it may charge the device
        connection.wait(KEEP_S)
        task = asyncio.get_running_loop().create_task(self._take(connection, peer.device_id, body))
        self._under_way[peer.device_id] = task

    async def _take(self, connection: DeviceConnection, device_id: str, body: bytes) -> None:
        try:
            receipt = await self._kept(device_id, body)
        except ArmillaryError as error:
            self._counts[f"{self._kind.name}s refused"] += 1
            connection.fail(error)
        except Exception:  # noqa: BLE001 - outermost of this task: a bug must not keep the device waiting
            _log.exception("an upload could not be kept", kind=self._kind.name, device=device_id)
            connection.abort()
        else:
            self._counts[f"{self._kind.name}s"] += 1
            connection.reply_ok(receipt)

    async def _kept(self, device_id: str, body: bytes) -> bytes:
        """Keep it; whoever hears of it afterwards may send the next at once."""
        try:
            return await asyncio.to_thread(self._kind.keep, device_id, body)
        finally:
            del self._under_way[device_id]
            self._states.mark_stale(device_id)  # what was asked of it may be answered now


def crash_dumps(keep: Keep, now: Callable[[], int]) -> UploadKind:
    """Crash dumps, where the device's group collects them; ``now`` gives Unix seconds UTC."""
    meter = Meter(CHECK_INS)

    def check(state: DeviceState) -> None:
        meter.charge(state.number, now(), "this device sends too many crash dumps")
        if state.is_quarantined:
            raise QuarantinedDeviceError("a device in quarantine sends no crash dumps")

    return UploadKind("crash dump", keep, check)


def device_logs(keep: Keep, now: Callable[[], int]) -> UploadKind:
    """Logs, where somebody asked for the device's; a device in quarantine, too, tells what it did. ``now`` as above."""
    meter = Meter(CHECK_INS)

    def check(state: DeviceState) -> None:
        meter.charge(state.number, now(), "this device sends its log too often")
        if state.log_request is None:  # no disk is read for whoever sends what nobody asked for
            raise NotFoundError("nobody asked for this device's log", remedy="See docs/reference/device-protocol.md.")

    return UploadKind("device log", keep, check)


def cellular_statuses(keep: Keep, now: Callable[[], int]) -> UploadKind:
    """Statuses of modems, not too often; ``now`` gives Unix seconds UTC."""

    def check(state: DeviceState) -> None:
        wait_s = state.cellular_status_at + LEAST_STATUS_S - now()
        if wait_s > 0:  # no disk is written for whoever says it all the time
            raise RateLimitedError("the status before came a moment ago", retry_after_s=min(wait_s, LEAST_STATUS_S))
        state.cellular_status_at = now()

    return UploadKind("cellular status", keep, check)
