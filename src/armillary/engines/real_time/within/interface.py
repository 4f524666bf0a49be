# SPDX-License-Identifier: Apache-2.0
"""The application interface of the device, at which a core asks as its application: requests, answers, descriptors."""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from armillary.errors import WireError
from armillary.wire.device.interface.frame import FrameReader, encode_frame

READ_BYTES: Final = 16 * 1024
DESCRIPTORS_LIMIT: Final = 16
# Is called with the error's number, 0 for none, and the descriptor that came with the answer, or None.
OnAnswer = Callable[[int, int | None], None]


class Interface:
    """A connection to the device that never waits; ``path`` is None where the device has no interface."""

    def __init__(self, path: str | None) -> None:
        self.stream: socket.socket | None = None if path is None else _connected(path)
        self._frames = FrameReader()
        self._descriptors: deque[int] = deque()
        self._unsent = bytearray()
        self._asked: dict[int, OnAnswer] = {}
        self._number = 0

    def ask(self, method: str, parameters: Mapping[str, Any], on_answer: OnAnswer) -> None:
        """Send a request with the next :meth:`exchange`."""
        self._number += 1
        self._asked[self._number] = on_answer
        self._unsent += encode_frame({"id": self._number, "method": method, "parameters": parameters})

    def exchange(self) -> None:
        """Send and take what can be. Without a connection nothing is answered any more."""
        if self.stream is None:
            return
        try:
            with contextlib.suppress(BlockingIOError):
                while self._unsent:
                    del self._unsent[: self.stream.send(self._unsent)]
            with contextlib.suppress(BlockingIOError):
                self._take(self.stream)
        except (OSError, WireError):  # the device ends the application with its connection; till then it is alone
            self.stream.close()
            self.stream = None

    def _take(self, stream: socket.socket) -> None:
        while True:
            data, descriptors, _, _ = socket.recv_fds(stream, READ_BYTES, DESCRIPTORS_LIMIT)
            self._descriptors += descriptors
            if not data:
                raise ConnectionResetError
            for message in self._frames.feed(data):
                self._hear(message)

    def _hear(self, message: Mapping[str, Any]) -> None:
        """An answer; its descriptors are the next ones that came (a descriptor travels with its frame's first byte)."""
        count = message.get("descriptors", 0)
        given = [self._descriptors.popleft() for _ in range(count)]
        on_answer = self._asked.pop(message.get("id", -1), None)
        for spare in given[1:] if on_answer is not None else given:
            os.close(spare)
        if on_answer is not None:
            on_answer(message.get("error", {}).get("errno", 0), given[0] if given else None)


def _connected(path: str) -> socket.socket | None:
    stream = socket.socket(socket.AF_UNIX)
    try:
        stream.connect(path)
    except OSError:
        stream.close()
        return None
    stream.setblocking(False)
    return stream
