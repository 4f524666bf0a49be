# SPDX-License-Identifier: Apache-2.0
"""The device endpoint with what devices ask besides proofs and images.

============================  ===========================================================================
GET /v1/trust-anchors         the service's living roots and what vouches for each
(``wire/certificates/trust_anchor.py``) GET /v1/identity-certificate  a new identity certificate, for a device whose
present one ends soon
============================  ===========================================================================

Any device with a living identity certificate is told the roots, claimed or not: they are public, and a device that was
away for years must be able to follow before anything else is right with it. A new certificate is for devices that may
check in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from armillary.errors import ArmillaryError
from armillary.service.endpoint.connection import DeviceConnection
from armillary.service.endpoint.endpoint import DeviceEndpoint
from armillary.service.endpoint.problem import RequestRefusedError
from armillary.service.verifier.peers import Peer

TRUST_ANCHORS: Final = b"/v1/trust-anchors"
TARGETS: Final = frozenset({TRUST_ANCHORS, b"/v1/identity-certificate"})


class DeviceFront(DeviceEndpoint):
    """The server that devices reach. One event loop; built by ``assemble.py`` and by device workers.

    Args:
        trust_anchors: Makes the message of trust anchors.
        renew_identity: Makes the message with a new identity certificate for a chip, a device id and the end, Unix
            seconds UTC, of its present one.
        parts: Of :class:`DeviceEndpoint`.
    """

    def __init__(
        self,
        *,
        trust_anchors: Callable[[], bytes],
        renew_identity: Callable[[str, str, int], bytes],
        **parts: Any,
    ) -> None:
        super().__init__(**parts)
        self._trust_anchors = trust_anchors
        self._renew_identity = renew_identity

    def handle(self, connection: DeviceConnection, method: bytes, target: bytes, body: bytes) -> None:
        """Route a request.

        Raises:
            ArmillaryError: it is refused.
        """
        if target not in TARGETS:
            super().handle(connection, method, target, body)
            return
        if connection.peer is None:
            raise RequestRefusedError(403, "no client certificate")
        connection.peer.check_valid(self._now())
        if method != b"GET":
            raise RequestRefusedError(405, "method: expected GET")
        if target == TRUST_ANCHORS:
            connection.reply_ok(self._trust_anchors())
            return
        chip = self._states.admitted(connection.peer.device_id).chip
        task = asyncio.get_running_loop().create_task(self._give_identity(connection, connection.peer, chip))
        self._transfers.add(task)
        task.add_done_callback(self._transfers.discard)

    async def _give_identity(self, connection: DeviceConnection, peer: Peer, chip: str) -> None:
        """Sign and record outside the event loop."""
        try:
            message = await asyncio.to_thread(self._renew_identity, chip, peer.device_id, peer.not_after)
        except ArmillaryError as error:
            connection.fail(error)
        else:
            connection.reply_ok(message)
