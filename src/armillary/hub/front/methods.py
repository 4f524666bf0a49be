# SPDX-License-Identifier: Apache-2.0
"""Direct methods: calls that wait for a device's answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from armillary.errors import DeviceOfflineError, DeviceTimeoutError, InvalidArgumentError, RateLimitedError
from armillary.hub.link.counters import Counters
from armillary.hub.link.limits import MAX_ANSWER_DEPTH, MAX_METHOD_PAYLOAD_BYTES, MAX_METHOD_TIMEOUT_S, MAX_OPEN_METHODS


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A device's answer.

    Attributes:
        status: The application's own number; 200 by convention when it went well.
        payload: Decoded JSON; None when the answer was empty; text when it was no JSON.
    """

    status: int
    payload: Any


class OpenMethods:
    """Calls that have no answer yet, by device and request id. Lives in the hub's loop."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._open: dict[str, dict[str, asyncio.Future[MethodResult]]] = {}
        self._last = 0

    def open(self, device_id: str) -> tuple[str, asyncio.Future[MethodResult]]:
        """A new request id and the future of its answer.

        Raises:
            RateLimitedError: too many calls of this device are open.
        """
        calls = self._open.setdefault(device_id, {})
        if len(calls) >= MAX_OPEN_METHODS:
            raise RateLimitedError(f"device {device_id[:16]}... has {len(calls)} open calls", retry_after_s=1)
        self._last += 1
        request_id = str(self._last)
        future: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        calls[request_id] = future
        return request_id, future

    async def wait(
        self, device_id: str, request_id: str, future: asyncio.Future[MethodResult], timeout_s: float
    ) -> MethodResult:
        """Wait for an answer.

        Raises:
            DeviceTimeoutError: none in time.
            DeviceOfflineError: the device went away.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self._counters.methods_timed_out += 1
            raise DeviceTimeoutError(
                f"device {device_id[:16]}...: expected an answer within {timeout_s:g} s, got none"
            ) from None
        finally:
            self.forget(device_id, request_id)

    def answer(self, device_id: str, request_id: str, status: int, payload: bytes) -> None:
        """An answer came; one to no open call (it came too late) says nothing to anybody."""
        future = self._open.get(device_id, {}).get(request_id)
        if future is not None and not future.done():
            future.set_result(MethodResult(status, decode_answer(payload)))

    def abandon(self, device_id: str) -> None:
        """The device's connection is gone: its calls fail at once."""
        for future in self._open.get(device_id, {}).values():
            if not future.done():
                future.set_exception(DeviceOfflineError(f"device {device_id[:16]}... went away before it answered"))

    def forget(self, device_id: str, request_id: str) -> None:
        """A call is over, or was never sent."""
        calls = self._open.get(device_id)
        if calls is not None:
            calls.pop(request_id, None)
            if not calls:
                del self._open[device_id]


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
