# SPDX-License-Identifier: Apache-2.0
"""Commands of devices in IoT Central's shape: run one, and what the last run of each answered.

The last run is remembered in memory, a bounded number of them: the audit log has who called what, for good, and without
what was said. A device that has another owner since shows nothing of the time before.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from starlette.concurrency import run_in_threadpool

from armillary.api.central.call import Call, body_object, wrong
from armillary.api.central.devices import find_identity
from armillary.errors import NotFoundError

# IoT Central's limits (seconds).
MAX_CONNECT_S: Final = 30
MIN_RESPONSE_S: Final = 5
MAX_RESPONSE_S: Final = 30
# Runs that are remembered, and the largest (bytes of JSON): 2 MiB in all.
MAX_REMEMBERED: Final = 512
MAX_REMEMBERED_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class _Run:
    owner: UUID
    shown: dict[str, Any]


class LastRuns:
    """The last run of each command of each device; the oldest is forgotten where there is no room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[tuple[str, str], _Run] = OrderedDict()

    def remember(self, identity: str, command: str, owner: UUID, shown: dict[str, Any]) -> None:
        """Keep a run in the place of the one before; what was said in one that is too large is left out."""
        small = len(json.dumps(shown)) <= MAX_REMEMBERED_BYTES
        kept = shown if small else {name: shown[name] for name in ("id", "responseCode")}
        with self._lock:
            self._runs.pop((identity, command), None)
            self._runs[identity, command] = _Run(owner, kept)
            while len(self._runs) > MAX_REMEMBERED:
                self._runs.popitem(last=False)

    def of(self, identity: str, command: str, owner: UUID) -> list[dict[str, Any]]:
        """The last run that this owner began, or none."""
        with self._lock:
            found = self._runs.get((identity, command))
        return [found.shown] if found is not None and found.owner == owner else []


def history(call: Call) -> dict[str, Any]:
    """The last run of a command."""
    identity, command, owner = _about(call)
    return {"value": _runs(call).of(identity, command, owner)}


async def run(call: Call) -> dict[str, Any]:
    """Run a command of a connected device and wait for its answer."""
    body = body_object(call)
    connect = _seconds(body, "connectionTimeout", 0, MAX_CONNECT_S, default=0)
    response = _seconds(body, "responseTimeout", MIN_RESPONSE_S, MAX_RESPONSE_S, default=MAX_RESPONSE_S)
    identity, command, owner = await run_in_threadpool(_about, call)
    result = await call.hub.operations.invoke_method(
        call.actor, identity, command, body.get("request"), float(response), connect_timeout_s=float(connect)
    )
    shown = {"id": str(uuid4()), "response": result.payload, "responseCode": result.status}
    if "request" in body:
        shown["request"] = body["request"]
    _runs(call).remember(identity, command, owner, shown)
    return shown


def _about(call: Call) -> tuple[str, str, UUID]:
    identity, owner = find_identity(call), call.catalog.catalog_id
    component, name = call.parameters.get("component"), call.parameters["command"]
    kept = call.platform.device_templates.get(identity)
    if kept.ready is not None:
        known = kept.ready.template.capabilities.get(f"{component}.{name}" if component else name)
        if known is None or known.kind != "command":
            raise NotFoundError(
                f"the device's template has no command {name!a:.80}",
                remedy="GET /api/deviceTemplates shows what it has.",
            )
    return identity, f"{component}*{name}" if component else name, owner


def _seconds(body: dict[str, Any], name: str, least: int, most: int, *, default: int) -> int:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise wrong(name, f"{least} to {most} seconds", value)
    return value


def _runs(call: Call) -> LastRuns:
    state = call.request.app.state
    if not hasattr(state, "central_runs"):
        state.central_runs = LastRuns()
    found: LastRuns = state.central_runs
    return found
