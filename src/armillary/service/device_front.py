# SPDX-License-Identifier: Apache-2.0
"""The device endpoint with what devices ask besides proofs and images.

========================  ==============================================================================
GET /v1/trust-anchors     the service's living roots and what vouches for each (``wire/trust_anchor.py``)
========================  ==============================================================================

Any device with a living identity certificate is answered, claimed or not: what is said is public, and a device that was
away for years must be able to follow before anything else is right with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from armillary.service.endpoint import DeviceEndpoint
from armillary.service.endpoint_connection import DeviceConnection
from armillary.service.endpoint_problem import RequestRefusedError

TRUST_ANCHORS: Final = b"/v1/trust-anchors"


class DeviceFront(DeviceEndpoint):
    """The server that devices reach. One event loop; built by ``assemble.py`` and by device workers.

    Args:
        trust_anchors: Makes the message of trust anchors.
        parts: Of :class:`DeviceEndpoint`.
    """

    def __init__(self, *, trust_anchors: Callable[[], bytes], **parts: Any) -> None:
        super().__init__(**parts)
        self._trust_anchors = trust_anchors

    def handle(self, connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
        """Route a request.

        Raises:
            ArmillaryError: it is refused.
        """
        if target != TRUST_ANCHORS:
            super().handle(connection, method, target, body)
            return
        if connection.peer is None:
            raise RequestRefusedError(403, "no client certificate")
        connection.peer.check_valid(self._now())
        if method != b"GET":
            raise RequestRefusedError(405, "method: expected GET")
        connection.reply_ok(self._trust_anchors())
