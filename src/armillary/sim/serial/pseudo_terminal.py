# SPDX-License-Identifier: Apache-2.0
"""A pseudo-terminal that stands for a serial line: the simulator has one end, whoever opens its name has the other.

It has no baud rate: what is written arrives at once. Bytes that nobody reads are lost when its buffer is full, as on a
line with nobody at the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.errors import HostError

CHUNK_BYTES: Final = 4096


class PseudoTerminal:
    """The simulator's end.

    Args:
        link: Where a symbolic link to the other end is put; a link that is there already is replaced.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._own, self._other = os.openpty()
        tty.setraw(self._other)
        os.set_blocking(self._own, False)
        self.path = Path(os.ttyname(self._other))
        self._link = link
        if link is not None:
            self._put(link)

    def _put(self, link: Path) -> None:
        try:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.path)
        except OSError as error:
            self.close()
            raise HostError(f"no link at {link}: {error.strerror}", remedy="Name a path that is free.") from error

    def listen(self, take: Callable[[bytes], None]) -> None:
        """Hand on what comes, in the running event loop."""
        asyncio.get_running_loop().add_reader(self._own, lambda: take(self.read()))

    def fileno(self) -> int:
        """To wait for; -1 after the end of the line."""
        return self._own

    def read(self) -> bytes:
        """What has come; nothing after the end of the line."""
        if self._own < 0:
            return b""
        try:
            return os.read(self._own, CHUNK_BYTES)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> None:
        """Send; what does not fit is lost, and what is sent after the end of the line."""
        if self._own < 0:
            return
        try:
            os.write(self._own, data)
        except BlockingIOError:
            return

    def close(self) -> None:
        """End the line; may be called more than once."""
        if self._own < 0:
            return
        with contextlib.suppress(RuntimeError):  # no loop runs any more, and with it no reader
            asyncio.get_running_loop().remove_reader(self._own)
        os.close(self._own)
        os.close(self._other)
        self._own = self._other = -1
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()
