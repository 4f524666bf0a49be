# SPDX-License-Identifier: Apache-2.0
"""Ends an exchange after a time, whatever comes meanwhile.

A socket's own timeout is from byte to byte: who sends one now and then would hold a thread that others wait for.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def cut_after(seconds: float, channel: Callable[[], socket.socket | None]) -> Iterator[None]:
    """Shut down what ``channel`` returns after so many seconds: who reads or writes then gets an OSError, or an end."""
    end = threading.Timer(seconds, _cut, (channel,))
    end.daemon = True
    end.start()
    try:
        yield
    finally:
        end.cancel()


def _cut(channel: Callable[[], socket.socket | None]) -> None:
    open_channel = channel()
    if open_channel is not None:
        with contextlib.suppress(OSError):  # it is closed already
            open_channel.shutdown(socket.SHUT_RDWR)
