# SPDX-License-Identifier: Apache-2.0
"""Talks to the device that runs this application, over its application interface. One file, no dependency.

::

    from armillary_application import Device

    with Device() as device:
        device.log("pump on")
        device.watch(within_s=30)
        while True:
            work()
            device.beat()

What the device refuses is an :class:`DeviceError`: an OSError with Linux's number (``errno.EACCES`` where the manifest
does not name the capability), and with what to do. A Device is used by one thread at a time; others open their own.

Methods and their parameters: docs/reference/application-interface.md.
"""

from __future__ import annotations

import collections
import errno
import json
import os
import re
import select
import socket
import time
from typing import Any

SOCKET_VARIABLE = "ARMILLARY_APPLICATION_SOCKET"
FRAME_LIMIT_BYTES = 64 * 1024
DESCRIPTORS_LIMIT = 16
_SURROGATE = re.compile("[\ud800-\udfff]")


class DeviceError(OSError):
    """The device refused a request, or cannot be reached."""

    def __init__(self, number: int, message: str, *, remedy: str = "", code: str = "", error_id: int = 0) -> None:
        super().__init__(number, message)
        self.remedy = remedy  # what to do; empty if there is nothing to say
        self.code = code  # stable code of Armillary's errors
        self.error_id = error_id  # Azure Sphere's id of the capability that is missing, 0 for none


class Event:
    """Something that the device tells: ``kind`` such as ``update``, and ``data``."""

    def __init__(self, kind: str, data: dict[str, Any], lost: int) -> None:
        self.kind = kind
        self.data = data
        self.lost = lost  # events before it that were dropped because nobody read them

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.data!r})"


class Device:
    """A connection to the device; ``path`` is where its socket is, by default where the environment says.

    Raises:
        DeviceError: there is no application interface, or nobody answers at it.
    """

    def __init__(self, path: str | None = None) -> None:
        path = path or os.environ.get(SOCKET_VARIABLE)
        if not path:
            raise DeviceError(2, f"{SOCKET_VARIABLE} is not set: this device has no application interface")
        self._stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._stream.connect(path)
        except OSError as error:
            self._stream.close()
            raise DeviceError(error.errno or 5, f"{path}: {error.strerror}") from error
        self._received = bytearray()
        self._descriptors: list[int] = []
        self._events: collections.deque[Event] = collections.deque()
        self._number = 0
        self._ended = ""  # why the connection has ended, once it has

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it what was asked for on it."""
        self._stream.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def fileno(self) -> int:
        """For ``select`` and event loops: when it is readable, call :meth:`event` with ``timeout_s=0``."""
        return self._stream.fileno()

    # any method

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and wait for its answer; DeviceError if the device refuses."""
        return self.ask_with_descriptors(method, **parameters)[0]

    def ask_with_descriptors(self, method: str, **parameters: Any) -> tuple[dict[str, Any], list[int]]:
        """The same for a method that answers with descriptors, which are the caller's to close."""
        if self._ended:
            raise DeviceError(errno.ENOTCONN, self._ended, remedy="Make a new Device, and ask and subscribe anew.")
        self._number += 1
        request = {"id": self._number, "method": method, "parameters": parameters}
        try:
            text = json.dumps(request, ensure_ascii=False, allow_nan=False)
        except ValueError as error:  # the device would end the connection: it is no JSON
            raise DeviceError(errno.EINVAL, f"{method}: expected JSON, without NaN and infinities: {error}") from error
        body = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()  # it is no text, and the device refuses it
        if len(body) > FRAME_LIMIT_BYTES:
            raise DeviceError(7, f"{method}: the request has {len(body)} bytes, at most {FRAME_LIMIT_BYTES} are sent")
        try:
            self._stream.sendall(len(body).to_bytes(4, "big") + body)
            while True:
                message = self._message(None)
                if message is not None and "event" not in message:
                    return self._answer(message)
        except DeviceError:
            raise
        except OSError as error:
            self._ended = f"the connection to the device has ended: {error.strerror}"
            raise DeviceError(error.errno or 5, f"the device does not answer: {error.strerror}") from error

    def _answer(self, message: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
        refused = message.get("error")
        if refused is not None:
            raise DeviceError(
                refused["errno"],
                refused["message"],
                remedy=refused.get("remedy", ""),
                code=refused.get("code", ""),
                error_id=refused.get("error_id", 0),
            )
        count = message.get("descriptors", 0)
        given, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message["result"], given

    # log, health

    def log(self, text: str, level: str = "info") -> None:
        """Write a line into the device's log: level ``debug``, ``info``, ``warning`` or ``error``."""
        self.ask("log.write", text=text, level=level)

    def watch(self, within_s: int) -> None:
        """Have the device start this application again if :meth:`beat` is not called within so many seconds."""
        self.ask("health.watch", within_s=within_s)

    def beat(self) -> None:
        """Say that the application works. Call it where the work is done, not in a thread of its own."""
        self.ask("health.beat")

    # events, updates

    def subscribe(self, *kinds: str) -> dict[str, Any]:
        """Hear of events of these kinds (all if none is named); returns the last of each."""
        return self.ask("events.subscribe", **({"kinds": list(kinds)} if kinds else {}))

    def event(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None if none came in time. Without a time it waits."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._events:
            message = self._message(until)
            if message is None:
                return None
        return self._events.popleft()

    def defer_update(self, minutes: int) -> None:
        """Have no update begin for so many minutes; 0 takes it back."""
        self.ask("update.defer", minutes=minutes)

    # telemetry

    def send_telemetry(self, values: dict[str, Any], component: str | None = None) -> dict[str, Any]:
        """Have the device send readings to the hub; returns how many wait, were sent and were dropped so far.

        They are on their way, not there: the device keeps them in memory while the hub is out of reach.
        """
        return self.ask("telemetry.send", values=values, **({} if component is None else {"component": component}))

    # what is read from the stream

    def _message(self, until: float | None) -> dict[str, Any] | None:
        """The next message; an event is kept as well. None if none came by then (seconds, monotonic)."""
        while (message := self._whole()) is None:
            if until is not None:
                readable, _, _ = select.select([self._stream], [], [], max(0.0, until - time.monotonic()))
                if not readable:
                    return None
            data, descriptors, _, _ = socket.recv_fds(self._stream, 65536, DESCRIPTORS_LIMIT)
            self._descriptors += descriptors
            if not data:
                self._ended = "the device has closed the connection"
                raise DeviceError(errno.ECONNRESET, self._ended)
            self._received += data
        if "event" in message:
            self._events.append(Event(message["event"], message["data"], message.get("lost", 0)))
        return message

    def _whole(self) -> dict[str, Any] | None:
        """The first whole message of what was received."""
        size = int.from_bytes(self._received[:4], "big")
        if len(self._received) < 4 or len(self._received) < 4 + size:
            return None
        body = bytes(self._received[4 : 4 + size])
        del self._received[: 4 + size]
        found = json.loads(body)
        if "event" not in found and found.get("id") is None:  # it could not read what was sent
            self._ended = f"the device has closed the connection: {found['error']['message']}"
            raise DeviceError(found["error"]["errno"], found["error"]["message"])
        return found
