# SPDX-License-Identifier: Apache-2.0
"""Lines on the machine's console: one for each thing that happens, so that whoever looks at a serial port sees it."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    """Write one line."""
    sys.stdout.write(f"armillary: {text}\n")
    sys.stdout.flush()


def since_start() -> float:
    """Seconds since the kernel began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
