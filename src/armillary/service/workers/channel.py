# SPDX-License-Identifier: Apache-2.0
"""One end of the socket pair between the service and a device worker: whole messages in and out, from any thread."""

from __future__ import annotations

import socket
import threading
from typing import Final

from armillary.wire.device.worker_message import Message, Stream, encode

_CHUNK_BYTES: Final = 64 * 1024


class Channel:
    """Sends from any thread, one message at a time; receives in one thread.

    ``end`` is a connected stream socket, closed with the channel. Sending waits at most ``patience_s`` seconds for the
    other side to read; None for ever.
    """

    def __init__(self, end: socket.socket, *, patience_s: float | None = None) -> None:
        self._end = end
        self._end.settimeout(patience_s)
        self._lock = threading.Lock()
        self._stream = Stream()

    def fileno(self) -> int:
        """For a selector."""
        return self._end.fileno()

    def send(self, message: Message) -> None:
        """Send a message; OSError, after which the channel is useless, if the other side is gone or does not read."""
        data = encode(message)
        with self._lock:
            self._end.sendall(data)

    def receive(self) -> list[Message]:
        """Wait for bytes; the messages that they complete, often one, sometimes none.

        Raises:
            EOFError: the other side has closed.
            OSError: the channel broke.
            WireError: the other side does not follow the protocol.
        """
        data = self._end.recv(_CHUNK_BYTES)
        if not data:
            raise EOFError
        return self._stream.feed(data)

    def close(self) -> None:
        """Close this end; the other one reads an end of file."""
        self._end.close()
