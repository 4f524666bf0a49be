# SPDX-License-Identifier: Apache-2.0
"""Waiting for a device to be there: a direct method's time-out for the connection, apart from that for the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from armillary.errors import InvalidArgumentError
from armillary.wire.hub.topics import Inbox

if TYPE_CHECKING:
    from armillary.hub.hub import Hub

# IoT Hub: at most five minutes.
MAX_CONNECT_TIMEOUT_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.1


async def wait_for_methods(hub: Hub, device_id: str, timeout_s: float) -> None:
    """Wait until a device is connected and takes direct methods, or the time is over; the call itself says which.

    Raises:
        InvalidArgumentError: a timeout that makes no sense.
    """
    if not 0 <= timeout_s <= MAX_CONNECT_TIMEOUT_S:
        raise InvalidArgumentError(
            f"connect_timeout_s: expected 0 to {MAX_CONNECT_TIMEOUT_S:g}, got {timeout_s}", remedy="Correct it."
        )
    end = asyncio.get_running_loop().time() + timeout_s
    while asyncio.get_running_loop().time() < end:
        connection = hub.front.sessions.get(device_id)
        if connection is not None and connection.inboxes & Inbox.METHODS:
            return
        await asyncio.sleep(_LOOK_EVERY_S)
