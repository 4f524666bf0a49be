# SPDX-License-Identifier: Apache-2.0
"""The other end of the mailbox: the application interface of the device, at which the core asks as its application.

So the device decides about every message as it does for high-level applications, and sees each refusal. One message is
asked for at a time, and only while the core has room for it: what arrives meanwhile waits at the device, in bounds.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import socket
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from armillary.engines.real_time.within.mailbox import QUEUE_LIMIT, Letter, Mailbox
from armillary.errors import WireError
from armillary.wire.device.interface.frame import FrameReader, encode_frame

SEND, RECEIVE = "channel.send", "channel.receive"
READ_BYTES: Final = 16 * 1024


class Partners:
    """Carries messages between a mailbox and the device; ``path`` is None where the device has no interface."""

    def __init__(self, path: str | None, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._frames = FrameReader()
        self._unsent = bytearray()
        self._number = 0
        self._sends: set[int] = set()  # requests that are under way
        self._receive: int | None = None
        self.stream: socket.socket | None = None if path is None else _connected(path)

    def exchange(self) -> None:
        """Send and take what can be, without waiting."""
        if self.stream is None:
            self._refuse_all(errno.ENOTCONN)
            return
        try:
            self._take()
            self._ask()
            self._send()
        except (OSError, WireError):  # the device ends the application with its connection; till then it is alone
            self.stream.close()
            self.stream = None

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.stream is not None:
                data = self.stream.recv(READ_BYTES)
                if not data:
                    raise ConnectionResetError
                for message in self._frames.feed(data):
                    self._hear(message)

    def _ask(self) -> None:
        while self._mailbox.outgoing and len(self._sends) < QUEUE_LIMIT:
            letter = self._mailbox.outgoing.popleft()
            content = base64.b64encode(letter.content).decode()
            self._sends.add(self._request(SEND, {"to": str(letter.partner), "data": content}))
        if self._receive is None and self._mailbox.has_room:
            self._receive = self._request(RECEIVE, {})

    def _request(self, method: str, parameters: Mapping[str, Any]) -> int:
        self._number += 1
        self._unsent += encode_frame({"id": self._number, "method": method, "parameters": parameters})
        return self._number

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._unsent and self.stream is not None:
                del self._unsent[: self.stream.send(self._unsent)]

    def _hear(self, message: Mapping[str, Any]) -> None:
        number, problem = message.get("id"), message.get("error")
        if number in self._sends:
            self._sends.discard(number)
            self._mailbox.settled(0 if problem is None else int(problem["errno"]))
        elif number is not None and number == self._receive and problem is None:  # refused: it does not ask again
            self._receive = None
            found = message["result"]
            self._mailbox.deliver(Letter(UUID(found["from"]), base64.b64decode(found["data"])))

    def _refuse_all(self, code: int) -> None:
        while self._mailbox.outgoing:
            self._mailbox.outgoing.popleft()
            self._mailbox.settled(code)


def _connected(path: str) -> socket.socket | None:
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.connect(path)
    except OSError:
        stream.close()
        return None
    stream.setblocking(False)
    return stream
