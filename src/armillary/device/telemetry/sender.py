# SPDX-License-Identifier: Apache-2.0
"""Sends what waits: a connection is opened when something does, and closed when nothing more comes.

The hub has one connection for each device, and the newer one ends the older. Where the hub ends this one, an
application has probably connected itself: the device gives way for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from uuid import UUID

from cryptography.x509 import load_pem_x509_certificate

from armillary.device.network.proxy import FindProxy
from armillary.device.state.hub_address import HubAddress
from armillary.device.state.journal import Journal
from armillary.device.telemetry.waiting import Message, Waiting
from armillary.errors import ArmillaryError

if TYPE_CHECKING:
    from armillary.device.telemetry.hub_link import HubLink

# A connection costs a handshake: one that is used each minute stays. Shorter than what any keep-alive would be.
LINGER_S: Final = 90.0
# First and longest wait after a connection that failed.
RETRY_S: Final = (2.0, 300.0)
# First wait after one that the hub ended: an application that connects itself is not put out every moment.
GIVE_WAY_S: Final = 60.0
BATCH: Final = 16  # messages that are under way at once


class Sender:
    """The device's own way to the hub for what its applications measure; use as an async context manager.

    Args:
        hub: Where the hub is; None while no check-in has said so.
        authentication: Folder of the device's certificate (``checkin/daa.py``).
    """

    def __init__(
        self,
        device_id: str,
        hub: Callable[[], HubAddress | None],
        authentication: Path,
        find_proxy: FindProxy,
        journal: Journal,
        *,
        linger_s: float = LINGER_S,
        retry_s: tuple[float, float] = RETRY_S,
        give_way_s: float = GIVE_WAY_S,
    ) -> None:
        self.refusal = ""  # why nothing is sent now; empty while all is well
        self._device_id = device_id
        self._hub = hub
        self._authentication = authentication
        self._find_proxy = find_proxy
        self._journal = journal
        self._linger_s, self._retry_s, self._give_way_s = linger_s, retry_s, give_way_s
        self._waiting = Waiting()
        self._comes = asyncio.Event()
        self._owner: bytes | None = None  # who the certificate says that the device belongs to
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def send(self, message: Message) -> None:
        """Have a message sent as soon as possible."""
        self._waiting.add(message)
        self._comes.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="telemetry of applications")

    def counts(self, component_id: UUID) -> dict[str, int]:
        """How many messages of an application wait, were sent and were dropped."""
        return self._waiting.counts(component_id)

    async def _run(self) -> None:
        wait_s = self._retry_s[0]
        while True:
            await self._comes.wait()
            try:
                await self._once()
                wait_s = self._retry_s[0]
                continue
            except ConnectionResetError as error:
                reason, least_s = str(error), self._give_way_s
            except (OSError, TimeoutError, ArmillaryError) as error:
                reason, least_s = str(error) or "no answer in time", 0.0
            if reason != self.refusal and self._waiting:
                self._journal.write("telemetry-not-sent", reason=reason[:200])
            self.refusal = reason
            await asyncio.sleep(max(wait_s, least_s))
            wait_s = min(wait_s * 2, self._retry_s[1])

    async def _once(self) -> None:
        """Connect, send what waits and what comes, and close the connection when nothing has come for a while."""
        from armillary.device.telemetry.hub_link import open_link  # noqa: PLC0415 - with the first message

        hub = self._hub()
        if hub is None or not self._belongs_to(await asyncio.to_thread(self._read_owner)):
            raise ConnectionError("the device has no certificate for the hub yet")
        async with open_link(self._device_id, hub, self._authentication, self._find_proxy) as link:
            self.refusal = ""
            while await self._more(link):
                taken = self._waiting.take(BATCH)
                try:
                    await link.send(taken)
                finally:
                    for message in taken:
                        if message not in link.unacknowledged:
                            self._waiting.sent(message)
                    self._waiting.put_back(link.unacknowledged)

    async def _more(self, link: HubLink) -> bool:
        """Whether something waits, now or within a while.

        Raises:
            ConnectionResetError: the hub ended the connection.
        """
        if self._waiting:
            return True
        self._comes.clear()
        ended = asyncio.ensure_future(link.ended())
        comes = asyncio.ensure_future(self._comes.wait())
        try:
            await asyncio.wait({ended, comes}, timeout=self._linger_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (ended, comes):
                each.cancel()
            await asyncio.gather(ended, comes, return_exceptions=True)
        if ended.done() and not ended.cancelled() and not self._waiting:
            self._comes.clear()
            raise ConnectionResetError("the hub ended the connection")
        return bool(self._waiting)

    def _read_owner(self) -> bytes | None:
        """Whose the device is by its certificate; None without one."""
        with contextlib.suppress(OSError, ValueError):
            certificate = load_pem_x509_certificate((self._authentication / "certificate.pem").read_bytes())
            return certificate.issuer.public_bytes()
        return None

    def _belongs_to(self, owner: bytes | None) -> bool:
        """Whether the device is somebody's; what waited for another owner is dropped."""
        if owner is None:
            return False
        if self._owner not in (None, owner):
            self._journal.write("telemetry-dropped", reason="another owner", count=self._waiting.clear())
        self._owner = owner
        return True
