# SPDX-License-Identifier: Apache-2.0
"""The character device of a modem: bytes come and go, and whoever waits for them can be woken, or told to stop."""

from __future__ import annotations

import os
import select
import time
from typing import Final

from armillary.engines.modem.port import ModemGoneError, ModemStoppedError
from armillary.engines.modem.waking import Waking

READ_BYTES: Final = 4096


class ModemLine:
    """Opened and not blocking; closing it is up to whoever opened it.

    ``was_rung`` is whether it was woken while an answer was waited for: the next wait ends at once.
    """

    def __init__(self, descriptor: int, waking: Waking) -> None:
        self._descriptor = descriptor
        self._waking = waking
        self.was_rung = False

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether the modem has said something. ModemStoppedError: told to stop."""
        if self._waking.is_stopping:
            raise ModemStoppedError("told to stop")
        readable, _, _ = select.select([self._descriptor, self._waking.fileno()], [], [], seconds)
        if self._waking.fileno() in readable:
            self.was_rung |= self._waking.heard()
        if self._waking.is_stopping:
            raise ModemStoppedError("told to stop")
        return self._descriptor in readable

    def read(self) -> bytes:
        """What has come, empty if nothing has; ModemGoneError: it was pulled out."""
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise ModemGoneError(f"the modem was pulled out: {error.strerror or error}") from error
        if not data:
            raise ModemGoneError("the modem was pulled out: its line has ended")
        return data

    def write(self, data: bytes, ends_at: float) -> None:
        """Write all of it until this time of the monotonic clock; ModemGoneError if the modem does not take it."""
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                _, writable, _ = select.select([], [self._descriptor], [], max(ends_at - time.monotonic(), 0))
                if not writable:
                    raise ModemGoneError("the modem takes nothing") from None
            except OSError as error:
                raise ModemGoneError(f"the modem was pulled out: {error.strerror or error}") from error
