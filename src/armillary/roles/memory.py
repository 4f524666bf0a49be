# SPDX-License-Identifier: Apache-2.0
"""Limits the memory of the service's process: one heap, freed memory returned, program pages of the start released.

Linux and glibc only; elsewhere every function does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Freed memory and program pages are returned to the system when work is over, and at this interval in it (seconds):
# glibc keeps freed memory below any block in use, and code that ran once stays in memory. It costs 10 ms, and what is
# used again comes back in 1 ms.
TRIM_INTERVAL_S = 20.0
# Interval of checks (seconds); CPU time between two checks below which no work is under way; CPU time since the last
# return that makes another one worthwhile (seconds): answering a status page does not.
LOOK_INTERVAL_S = 0.5
QUIET_S = 0.05
SPELL_S = 0.2
# Program pages that came back make it worthwhile too, after little work (bytes): one handshake brings 10 MB, and after
# it the process may be idle for an hour.
BACK_BYTES = 4 * 1024 * 1024
# It is not done more often than this (seconds): in a minute of short spells it was 4 % of all work.
MIN_INTERVAL_S = 5.0
# Loading a library takes milliseconds; a mapping that has existed for this long is complete (seconds).
LOADED_AFTER_S = 0.25

_M_ARENA_MAX = -8  # mallopt(3)
_MADV_DONTNEED = 4  # madvise(2)
_SMAPS = Path("/proc/self/smaps")  # proc_pid_smaps(5)
_STATM = Path("/proc/self/statm")  # proc_pid_statm(5)


class _Mapping(NamedTuple):
    """Program pages that are in memory and were never written; addresses and sizes in bytes."""

    start: int
    size: int
    resident: int


def keep_one_heap() -> None:
    """Have all threads allocate from one heap: glibc gives each its own, and they share no freed memory (3 MB)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


async def give_back_memory() -> None:
    """Return unused memory when work is over: 5 MB after 300 devices were made, 14 MB of programs after a start."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # a C library without it (musl) returns memory by itself
    while True:
        await asyncio.to_thread(unmap_program_pages)
        if trim is not None:
            await asyncio.to_thread(trim, 0)
        begun, worked, resident = time.monotonic(), time.process_time(), _program_bytes()
        latest, is_due = worked, False
        while not is_due:
            await asyncio.sleep(LOOK_INTERVAL_S)
            before, latest = latest, time.process_time()
            back = _program_bytes() - resident
            is_due = trim_is_due(time.monotonic() - begun, latest - worked, latest - before, back)


def trim_is_due(elapsed_s: float, worked_s: float, lately_s: float, back_bytes: int = 0) -> bool:
    """Whether memory should be returned now.

    Since the last time: ``elapsed_s`` of time, ``worked_s`` of the process's CPU time (``lately_s`` of it since the
    last call), and ``back_bytes`` of program pages that were loaded again.
    """
    if elapsed_s < MIN_INTERVAL_S:
        return False
    is_quiet = lately_s < QUIET_S
    if is_quiet and back_bytes >= BACK_BYTES:
        return True
    if worked_s < SPELL_S:
        return False  # little has come back since
    return is_quiet or elapsed_s >= TRIM_INTERVAL_S


def _program_bytes() -> int:
    """Resident pages of files: programs and libraries, and little else here; 0 where they are not reported."""
    try:
        return int(_STATM.read_text("ascii").split()[2]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def unmap_program_pages() -> int:
    """Release the pages of programs and libraries; how many bytes of them were resident.

    Pages that are used again come back from the system's cache. Most of what a start touches (building models, creating
    types) is never run again: 9 MB. A device's enrolment or a handshake runs rarely as well.
    """
    madvise = getattr(ctypes.CDLL(None), "madvise", None)
    if madvise is None or not _SMAPS.exists():
        return 0
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    before = _SMAPS.read_text("utf-8", "replace")
    time.sleep(LOADED_AFTER_S)
    found = _settled(before, _SMAPS.read_text("utf-8", "replace"))
    return sum(one.resident for one in found if madvise(one.start, one.size, _MADV_DONTNEED) == 0)


def _settled(before: str, now: str) -> list[_Mapping]:
    """Mappings that existed before and were never written: no other thread is loading that library now.

    While a library is being loaded, its mapping is clean for a moment before its own pages are written; releasing it
    then would lose them.
    """
    known = {(one.start, one.size) for one in _clean_program_mappings(before)}
    return [one for one in _clean_program_mappings(now) if (one.start, one.size) in known]


def _clean_program_mappings(smaps: str) -> Iterator[_Mapping]:
    """Mappings of files that cannot be written and have no private page: relocated pages would lose their contents.

    ``smaps`` is as in proc_pid_smaps(5).
    """
    start = end = resident = 0
    is_program = False
    for line in smaps.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):  # "from-to rights offset device inode path"
            fields = rest.split(maxsplit=4)
            is_program = len(fields) == 5 and fields[4].startswith("/") and "w" not in fields[0]
            with contextlib.suppress(ValueError):
                start, end = (int(address, 16) for address in name.split("-"))
        elif name == "Rss:":
            resident = 1024 * int(rest.split()[0])
        elif name == "Anonymous:" and is_program and resident and int(rest.split()[0]) == 0:
            yield _Mapping(start, end - start, resident)
