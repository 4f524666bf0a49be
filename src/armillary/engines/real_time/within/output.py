# SPDX-License-Identifier: Apache-2.0
"""What the process of one core says: the core's serial line as lines, and its exit code."""

from __future__ import annotations

import os
from typing import Final

LINE_LIMIT_BYTES: Final = 1024  # a longer line is cut
FAULT_EXIT_CODE: Final = 70  # it stopped by a fault: sysexits.h, "internal software error"


class Output:
    """Gathers the serial line's bytes into lines on standard output; waits while nobody takes them."""

    def __init__(self) -> None:
        self._line = bytearray()

    def __call__(self, data: bytes) -> None:
        """Bytes that the core wrote."""
        self._line += data
        if self._line.endswith(b"\n") or len(self._line) >= LINE_LIMIT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Print what there is, as a whole line."""
        if self._line:
            line = bytes(self._line.removesuffix(b"\n")) + b"\n"
            self._line.clear()
            while line:
                line = line[os.write(1, line) :]
