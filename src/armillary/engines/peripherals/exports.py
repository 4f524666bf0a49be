# SPDX-License-Identifier: Apache-2.0
"""Which PWM channels a device has exported, in a file: what it left when it was killed is let go at its next start.

An export outlives the process that made it and ends with the host's boot: what an earlier boot recorded is not touched.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Collection
from pathlib import Path

from armillary.engines.durable import write_file
from armillary.engines.peripherals.kernel import Kernel
from armillary.errors import DataFolderError

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class PwmExports:
    """The channels that one device has exported; without a ``file`` nobody else learns of them."""

    def __init__(self, kernel: Kernel, file: Path | None = None) -> None:
        self._kernel = kernel
        self._file = file
        self._held: set[tuple[str, int]] = set()
        self._one_at_a_time = threading.Lock()  # controllers are used in several threads

    def let_go_what_is_left(self, chips: Collection[str]) -> None:
        """End the outputs of these controllers that a process before this one has left."""
        for chip, channel in self._left():
            if chip in chips:
                let_go(self._kernel, chip, channel)
        self._write()

    def add(self, chip: str, channel: int) -> None:
        """Note that a channel was exported."""
        with self._one_at_a_time:
            self._held.add((chip, channel))
            self._write()

    def discard(self, chip: str, channel: int) -> None:
        """Note that a channel was let go."""
        with self._one_at_a_time:
            self._held.discard((chip, channel))
            self._write()

    def _left(self) -> list[tuple[str, int]]:
        """What the file says of this boot of the host; nothing for a file that cannot be read."""
        if self._file is None:
            return []
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            found = json.loads(self._file.read_bytes())
            if found["boot"] == self._kernel.read_text(BOOT_ID):
                return [(str(chip), int(channel)) for chip, channel in found["channels"]]
        return []

    def _write(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError, DataFolderError):  # a full disk: the output works, its record is missing
            if not self._held:
                self._file.unlink(missing_ok=True)
                return
            record = {"boot": self._kernel.read_text(BOOT_ID), "channels": sorted(self._held)}
            write_file(self._file, json.dumps(record).encode(), mode=0o600)


def let_go(kernel: Kernel, chip: str, channel: int) -> None:
    """End the output of a channel and its export, as far as the controller is there."""
    for path, text in ((f"{chip}/pwm{channel}/enable", "0"), (f"{chip}/unexport", str(channel))):
        with contextlib.suppress(OSError):  # it is off already, or the controller is gone
            kernel.write_text(path, text)
