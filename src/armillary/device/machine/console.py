# SPDX-License-Identifier: Apache-2.0
"""Lines on the machine's console: one for each thing that happens, so that whoever looks at a serial port sees it."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    r"""Write one line. What is not printable in it is written out, as ``\n``: no application forges another line."""
    sys.stdout.write(f"armillary: {text if text.isprintable() else ''.join(map(_shown, text))}\n")
    sys.stdout.flush()


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def since_start() -> float:
    """Seconds since the kernel began."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
