# SPDX-License-Identifier: Apache-2.0
"""Answers the service's requests for the device's log: one message for one request, named by the reply to a check-in.

Nothing of it is kept: the service repeats a request until it has the answer, and then refuses another one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from armillary.device.state.journal import Journal
from armillary.device.state.log_lines import newest_lines
from armillary.errors import ArmillaryError, RateLimitedError, ServiceUnreachableError
from armillary.wire.device.device_log import DeviceLog, encode_log


class LogEndpoint(Protocol):
    """Where logs are sent."""

    async def send_log(self, data: bytes) -> UUID:
        """Send a log; returns the id of the request that it answers. Raises as ``device/checkin/endpoint.py``."""
        ...


class LogAnswers:
    """What a device does about requests for its log; ``now`` gives Unix seconds."""

    def __init__(self, journal: Journal, now: Callable[[], int]) -> None:
        self._journal = journal
        self._now = now
        self._asked: UUID | None = None
        self._answered: UUID | None = None

    def hear(self, request_id: UUID | None, catalog_id: UUID) -> None:
        """Take what a reply says: whose device this is, and the request that waits.

        A new owner finds no log of the one before. Where that cannot be made sure, nothing is answered.
        """
        is_own = self._journal.belongs_to(str(catalog_id))
        self._asked = request_id if is_own and request_id != self._answered else None

    async def send(self, endpoint: LogEndpoint) -> None:
        """Answer the request that waits; one that cannot be answered now is asked again with the next check-in."""
        asked, self._asked = self._asked, None
        if asked is None:
            return
        self._journal.write("log-asked", request_id=asked)
        try:
            data = await asyncio.to_thread(self._answer, asked)
            await endpoint.send_log(data)
        except (RateLimitedError, ServiceUnreachableError) as error:
            self._journal.write("log-waits", reason=error.message)
            return
        except ArmillaryError as error:
            self._journal.write("log-refused", code=error.code, reason=error.message)
        else:
            self._journal.write("log-sent", request_id=asked, size=len(data))
        self._answered = asked

    def _answer(self, request_id: UUID) -> bytes:
        lines, left_out = newest_lines(self._journal.entries())
        return encode_log(DeviceLog(request_id=request_id, at=self._now(), left_out=left_out, lines=lines))
