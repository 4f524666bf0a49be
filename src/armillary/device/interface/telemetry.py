# SPDX-License-Identifier: Apache-2.0
"""Methods of telemetry: an application hands its readings to the device, which sends them to the hub as its own.

They need DeviceAuthentication: in Azure Sphere's manifests that is what lets an application speak for the device. With
it the application could connect itself; this is for those that have nothing to say but what they measure.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

from armillary.device.interface.allowance import Allowance
from armillary.device.interface.method import Call, Method
from armillary.device.interface.session import Session
from armillary.device.state.clock import DeviceClock
from armillary.device.telemetry.sender import Sender
from armillary.device.telemetry.waiting import MESSAGE_LIMIT_BYTES, Message
from armillary.errors import WireError

# Of one run of an application: what has gathered at a start, then ten a second, more than a chart shows.
BURST: Final = 100
PER_SECOND: Final = 10.0
# As DTDL has for names of components.
_COMPONENT: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]{0,62}[A-Za-z0-9])?")
# What the hub reads of a message (``wire/hub/telemetry.py``), and ours: which application it is from.
_JSON: Final = (("$.ct", "application/json"), ("$.ce", "utf-8"))
_FROM_COMPONENT: Final = "$.sub"
_MEASURED_AT: Final = "iothub-creation-time-utc"
_APPLICATION: Final = "application"


class Telemetry:
    """Hands messages to the sender, so many in a time."""

    def __init__(self, sender: Sender, clock: DeviceClock, monotonic: Callable[[], float]) -> None:
        self._sender = sender
        self._clock = clock
        self._monotonic = monotonic
        self._allowances: WeakKeyDictionary[Session, Allowance] = WeakKeyDictionary()

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("telemetry.send", "DeviceAuthentication", self._send),
            Method("telemetry.status", "DeviceAuthentication", self._status),
        )

    async def _send(self, call: Call) -> Mapping[str, Any]:
        values = call.parameters.mapping("values")
        component = call.parameters.optional_text("component", most=64)
        call.parameters.finish()
        if component is not None and not _COMPONENT.fullmatch(component):
            raise call.parameters.refused("component", "letters, digits and _ as DTDL has them", component)
        body, properties = _body(values), self._properties(call.session, component)
        _check_kept(body, properties, self._clock.now_ns() // 1_000_000)
        self._take(call.session)
        component_id = call.session.application.component_id
        self._sender.send(Message(component_id, properties, body))
        return self._sender.counts(component_id)

    async def _status(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        counts = self._sender.counts(call.session.application.component_id)
        return {**counts, "problem": self._sender.refusal}

    def _properties(self, session: Session, component: str | None) -> tuple[tuple[str, str], ...]:
        found = [*_JSON, (_APPLICATION, session.application.name)]
        if component is not None:
            found.append((_FROM_COMPONENT, component))
        if self._clock.signed:  # an unsigned time may be years off: the hub's own is better
            moment = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)
            found.append((_MEASURED_AT, moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")))
        return tuple(found)

    def _take(self, session: Session) -> None:
        """Count a message; OSError (EAGAIN) where there were too many."""
        allowance = self._allowances.get(session)
        if allowance is None:
            allowance = Allowance(burst=BURST, per_second=PER_SECOND, monotonic=self._monotonic)
            self._allowances[session] = allowance
        seconds = allowance.peek()
        if seconds > 0:
            raise OSError(
                errno.EAGAIN, f"an application sends {PER_SECOND:g} messages a second: again in {seconds:.1f} s"
            )
        allowance.take()


def _body(values: Mapping[str, Any]) -> bytes:
    if not values:
        raise OSError(errno.EINVAL, "values: expected at least one")
    try:
        body = json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # NaN and infinities are no JSON; a lone surrogate is no text
        raise OSError(errno.EINVAL, f"values: expected JSON as in RFC 8259: {error}"[:200]) from error
    if len(body) > MESSAGE_LIMIT_BYTES:
        raise OSError(errno.EMSGSIZE, f"values: expected at most {MESSAGE_LIMIT_BYTES} bytes of JSON, got {len(body)}")
    return body


def _check_kept(body: bytes, properties: tuple[tuple[str, str], ...], now_ms: int) -> None:
    """Read a message as the hub will; OSError (EINVAL) for one that it would not keep."""
    from armillary.wire.hub.telemetry import decode  # noqa: PLC0415 - takes memory, and few devices have readings

    try:
        decode(body, dict(properties), now_ms)
    except WireError as error:
        raise OSError(errno.EINVAL, f"values: {error.message}"[:200]) from error
