# SPDX-License-Identifier: Apache-2.0
"""Shows on a terminal how far a command is, once it takes more than two seconds; elsewhere what has a time limit alone.

In percent where it is known how much there is.

One line on stderr, written over again and taken away at the end.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

# What is done sooner needs no line.
SILENT_S: Final = 2.0
# Between two versions of the line.
EVERY_S: Final = 0.5
# What took no time at all counts as this (seconds).
_SHORTEST_S: Final = 0.001
# What has the line now: its parts, such as each request of an upload, have none of their own.
_under_way: list[str] = []
# Told how much more there is.
Further = Callable[[int], None]
# To the line's beginning, and away with what stands there (ECMA-48 §8.3.41).
_CLEAR: Final = "\r\x1b[K"


@contextlib.contextmanager
def waiting(what: str, at_most_s: float | None = None) -> Iterator[None]:
    """Says ``what`` is waited for, and for how long, while the block goes on.

    Where the block gives up after ``at_most_s`` seconds that is said, too: without a terminal in one line, for a script
    would seem to hang.
    """
    is_terminal = sys.stderr.isatty()
    if _under_way or (not is_terminal and at_most_s is None):
        yield
        return
    limit = "" if at_most_s is None else f", at most {at_most_s:.0f} s"
    ended = threading.Event()
    tell = _tell if is_terminal else _tell_once
    teller = threading.Thread(target=tell, args=(what + limit, ended), daemon=True)
    _under_way.append(what)
    teller.start()
    try:
        yield
    finally:
        _under_way.clear()
        ended.set()
        teller.join()


def arriving(parts: Iterable[bytes], what: str = "received", total: int | None = None) -> Iterator[bytes]:
    """The same parts; says how much of them there is so far, of ``total`` bytes where that is known, and how fast."""
    with megabytes(what, total) as further:
        for part in parts:
            yield part
            further(len(part))


def megabytes(what: str, total: int | None) -> contextlib.AbstractContextManager[Further]:
    """Says how many megabytes are ``what``, such as sent; the block calls what it is given with so many bytes more."""

    def line(done: int, elapsed_s: float) -> str:
        speed = done / max(elapsed_s, _SHORTEST_S) / 1e6
        if total is None:
            return f"{done / 1e6:,.1f} MB {what}, {speed:,.1f} MB/s"
        return f"{done / 1e6:,.1f} of {total / 1e6:,.1f} MB {what} ({_percent(done, total)} %), {speed:,.1f} MB/s"

    return _progress(what, line)


def counting(what: str, total: int) -> contextlib.AbstractContextManager[Further]:
    """Says how many of ``total``, in the plural ``what``, are done; the block calls what it is given with more."""
    return _progress(what, lambda done, _: f"{done:,} of {total:,} {what} ({_percent(done, total)} %)")


@contextlib.contextmanager
def _progress(what: str, line: Callable[[int, float], str]) -> Iterator[Further]:
    if not sys.stderr.isatty() or _under_way:
        yield _untold
        return
    began = told = time.monotonic()
    done, shown = 0, False
    _under_way.append(what)

    def further(more: int) -> None:
        nonlocal told, done, shown
        done += more
        now = time.monotonic()
        if now - began >= SILENT_S and now - told >= EVERY_S:
            sys.stderr.write(_CLEAR + line(done, now - began))
            sys.stderr.flush()
            told, shown = now, True

    try:
        yield further
    finally:
        _under_way.clear()
        if shown:
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


def _untold(_: int) -> None:
    """No terminal is there to be told."""


def _percent(done: int, total: int) -> int:
    return 100 if total <= 0 else min(100, done * 100 // total)


def _tell_once(what: str, ended: threading.Event) -> None:
    if not ended.wait(SILENT_S):
        sys.stderr.write(f"waiting for {what}\n")
        sys.stderr.flush()


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
