# SPDX-License-Identifier: Apache-2.0
"""Shows on a terminal that a command goes on, once it takes more than two seconds; elsewhere nothing.

One line on stderr, written over again and taken away at the end.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final

# What is done sooner needs no line.
SILENT_S: Final = 2.0
# Between two versions of the line.
EVERY_S: Final = 0.5
# To the line's beginning, and away with what stands there (ECMA-48 §8.3.41).
_CLEAR: Final = "\r\x1b[K"


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says ``what`` is waited for, and for how long, while the block goes on."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    teller = threading.Thread(target=_tell, args=(what, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def arriving(parts: Iterable[bytes], what: str = "received") -> Iterator[bytes]:
    """The same parts; says how much of them there is so far, and how fast they come."""
    if not sys.stderr.isatty():
        yield from parts
        return
    began = told = time.monotonic()
    size, shown = 0, False
    try:
        for part in parts:
            yield part
            size += len(part)
            now = time.monotonic()
            if now - began >= SILENT_S and now - told >= EVERY_S:
                sys.stderr.write(f"{_CLEAR}{size / 1e6:,.1f} MB {what}, {size / (now - began) / 1e6:,.1f} MB/s")
                sys.stderr.flush()
                told, shown = now, True
    finally:
        if shown:
            sys.stderr.write(_CLEAR)


def _tell(what: str, ended: threading.Event) -> None:
    began = time.monotonic()
    if ended.wait(SILENT_S):
        return
    while True:
        sys.stderr.write(f"{_CLEAR}waiting for {what}, {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
        if ended.wait(EVERY_S):
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()
            return
