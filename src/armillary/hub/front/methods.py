# SPDX-License-Identifier: Apache-2.0
"""Direct methods: calls that wait for a device's answer, and before it, where asked, for its connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from armillary.errors import DeviceOfflineError, DeviceTimeoutError, InvalidArgumentError, RateLimitedError
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import MAX_ANSWER_DEPTH, MAX_METHOD_PAYLOAD_BYTES, MAX_METHOD_TIMEOUT_S, MAX_OPEN_METHODS
from armillary.wire.hub.topics import Inbox, method_answer_topic, method_topic
from armillary.wire.mqtt.fields import Properties, Property
from armillary.wire.mqtt.packet import LEVEL_5, Publish

if TYPE_CHECKING:
    from armillary.hub.front.connection import HubConnection

# How long a call may wait for the device to connect (seconds; IoT Hub: five minutes), and how often that is looked at.
MAX_CONNECT_TIMEOUT_S: Final = 300.0
LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A device's answer."""

    status: int  # The application's own number; 200 by convention when it went well
    payload: Any  # Decoded JSON; None when the answer was empty; text when it was no JSON


class DirectMethods:
    """Calls of connected devices' direct methods. Lives in the hub's loop."""

    def __init__(self, sessions: Mapping[str, HubConnection], counters: Counters) -> None:
        self._sessions = sessions
        self._counters = counters
        self._open: dict[str, dict[str, asyncio.Future[MethodResult]]] = {}  # no answer yet: device -> request id
        self._last = 0

    async def wait_for(self, device_id: str, timeout_s: float) -> None:
        """Wait until a device is connected and takes calls, or the time is over; then :meth:`invoke` fails.

        Raises:
            InvalidArgumentError: a timeout that makes no sense.
        """
        if not 0 <= timeout_s <= MAX_CONNECT_TIMEOUT_S:
            raise InvalidArgumentError(
                f"connect_timeout_s: expected 0 to {MAX_CONNECT_TIMEOUT_S:g}, got {timeout_s}", remedy="Correct it."
            )
        end = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < end:
            if self._taking(device_id) is not None:
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def invoke(self, device_id: str, name: str, body: bytes, timeout_s: float) -> MethodResult:
        """Call a method and wait for its answer.

        Raises:
            WireError: the name is not allowed.
            RateLimitedError: too many calls of this device are open.
            DeviceTimeoutError: no answer in time.
            DeviceOfflineError: the device is not connected, takes no calls, or went away.
        """
        calls = self._open.setdefault(device_id, {})
        if len(calls) >= MAX_OPEN_METHODS:
            raise RateLimitedError(f"device {device_id[:16]}... has {len(calls)} open calls", retry_after_s=1)
        self._last += 1
        request_id = str(self._last)
        future: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        calls[request_id] = future
        try:
            self._send(device_id, method_topic(name, request_id), body, request_id)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self._counters.methods_timed_out += 1
            raise DeviceTimeoutError(
                f"device {device_id[:16]}...: expected an answer within {timeout_s:g} s, got none"
            ) from None
        finally:
            del calls[request_id]
            if not calls:
                self._open.pop(device_id, None)

    def answer(self, device_id: str, request_id: str, status: int, payload: bytes) -> None:
        """An answer came; one to no open call (it came too late) is ignored."""
        future = self._open.get(device_id, {}).get(request_id)
        if future is not None and not future.done():
            future.set_result(MethodResult(status, decode_answer(payload)))

    def abandon(self, device_id: str) -> None:
        """The device's connection is gone: its calls fail at once."""
        for future in self._open.get(device_id, {}).values():
            if not future.done():
                future.set_exception(DeviceOfflineError(f"device {device_id[:16]}... went away before it answered"))

    def _taking(self, device_id: str) -> HubConnection | None:
        """The connection of a device that takes calls."""
        connection = self._sessions.get(device_id)
        return connection if connection is not None and connection.inboxes & Inbox.METHODS else None

    def _send(self, device_id: str, topic: str, body: bytes, request_id: str) -> None:
        connection = self._taking(device_id)
        if connection is None:
            raise DeviceOfflineError(f"device {device_id[:16]}... is not connected, or takes no direct methods")
        self._counters.methods_invoked += 1
        properties: Properties = ()
        if connection.level >= LEVEL_5:  # §4.10: any client that knows requests can answer, with status 200 at least
            properties = (
                (Property.CONTENT_TYPE, "application/json"),
                (Property.RESPONSE_TOPIC, method_answer_topic(200, request_id)),
                (Property.CORRELATION_DATA, request_id.encode()),
            )
        connection.send(Publish(topic=topic, payload=body, properties=properties))


def encode_call(payload: object, timeout_s: float) -> bytes:
    """The body of a call: JSON, ``null`` for None, as IoT Hub's devices expect it: their parsers take no empty text.

    Raises:
        InvalidArgumentError: not JSON, too large, or a timeout that makes no sense.
    """
    if not 0 < timeout_s <= MAX_METHOD_TIMEOUT_S:
        raise InvalidArgumentError(
            f"timeout_s: expected above 0 to {MAX_METHOD_TIMEOUT_S:g}, got {timeout_s}", remedy="Correct the timeout."
        )
    try:
        body = json.dumps(payload, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"payload: expected JSON ({error})", remedy="Correct the payload.") from None
    if len(body) > MAX_METHOD_PAYLOAD_BYTES:
        raise InvalidArgumentError(
            f"payload: expected at most {MAX_METHOD_PAYLOAD_BYTES} bytes, got {len(body)}", remedy="Send less."
        )
    return body


def decode_answer(payload: bytes) -> Any:
    """A device's answer as a value that can be sent on as JSON, else as text; never raises, whatever it sent."""
    if not payload.strip():
        return None
    text = payload[:MAX_METHOD_PAYLOAD_BYTES].decode("utf-8", "replace")
    try:
        value = json.loads(text)
        # NaN, 1e999 and lone surrogates are read, and cannot be written.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        return text
    return text if _is_deep(value) else value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_ANSWER_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        if not level:
            return False
    return True
