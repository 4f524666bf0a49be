# SPDX-License-Identifier: Apache-2.0
"""Answers about guardians and the equipment behind them, and commands to that equipment."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime

from armillary.api.views import guardian as views
from armillary.console.sources.request_context import RequestContext
from armillary.console.sources.signed_in import Document

# A guardian takes commands that end within 300 s. This one is sent now: it must not be carried out later.
COMMAND_LIFE_S = 60
NONCE_BYTES = 16  # 22 characters: no guardian meets one twice
# A command waits so long for an answer (seconds): the guardian asks the equipment, and reads it back.
ANSWER_S = 15.0


def list_guardians(by: RequestContext, limit: int, after: str | None) -> Document:
    """A page of guardians with their links, queues and refused attempts."""
    return views.listed(by.service, by.hub, by.platform, by.operator, by.catalog, limit=limit, after=after)


def show_guardian(by: RequestContext, device_id: str) -> Document:
    """A guardian with points, counters, attempts and commands of its equipment."""
    known = by.service.hub_access.known(device_id)
    return views.shown(by.service, by.hub, by.platform, known, by.since_ms(known))


def command_equipment(by: RequestContext, device_id: str, equipment: str, command: str, value: object) -> Document:
    """Ask a guardian for a command of its equipment: ``status`` and ``payload`` of what it answers; no value is None.

    Raises:
        NotFoundError: there is no such guardian or equipment.
        DeviceOfflineError: the guardian is not connected.
        DeviceTimeoutError: it did not answer.
    """
    identity = by.service.hub_access.identities.get(f"{by.service.hub_access.known(device_id)}/{equipment}").identity
    expires = datetime.fromtimestamp(int(time.time()) + COMMAND_LIFE_S, UTC).isoformat().replace("+00:00", "Z")
    asked: Document = {"nonce": secrets.token_urlsafe(NONCE_BYTES), "expires": expires}
    if value is not None:
        asked["value"] = value
    result = asyncio.run(by.hub.operations.invoke_method(by.operator, identity, command, asked, ANSWER_S))
    return {"status": result.status, "payload": result.payload}
