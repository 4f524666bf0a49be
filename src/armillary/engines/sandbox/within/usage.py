# SPDX-License-Identifier: Apache-2.0
"""What an application's processes take of memory."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROCESSES_LIMIT = 256  # more than an application may have
_PROC = Path("/proc")
_RESET_PEAK = b"5\n"  # proc_pid_clear_refs(5): the peak resident set starts over


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Resident memory of an application's processes, bytes; pages that several map count for each."""

    now_bytes: int
    own_bytes: int  # of these, the programs' own: private and shared memory, no files
    peak_bytes: int  # sum of the peaks of the processes that run now
    processes: int


def memory_use(process: int) -> MemoryUse:
    """What a process and its descendants take now; ProcessLookupError if it has ended."""
    found = [use for each in _tree(process) if (use := _memory(each)) is not None]
    if not found:
        raise ProcessLookupError(errno.ESRCH, f"process {process} has ended")
    now, own, peak = (sum(column) for column in zip(*found, strict=True))
    return MemoryUse(now, own, peak, len(found))


def reset_peak(process: int) -> None:
    """Have the peaks of a process and its descendants start over; OSError where the host forbids it."""
    for each in _tree(process):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            (_PROC / str(each) / "clear_refs").write_bytes(_RESET_PEAK)


def _tree(process: int) -> list[int]:
    """A process and its descendants, as far as the limit."""
    found: list[int] = []
    waiting = [process]
    while waiting and len(found) < PROCESSES_LIMIT:
        each = waiting.pop()
        found.append(each)
        waiting += _children(each)
    return found


def _children(process: int) -> Iterable[int]:
    for thread in _entries(_PROC / str(process) / "task"):
        with contextlib.suppress(OSError):
            yield from map(int, (thread / "children").read_text("ascii").split())


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _memory(process: int) -> tuple[int, int, int] | None:
    """Resident memory, the part that is its own, and the peak; None of a process that has ended."""
    try:
        lines = (_PROC / str(process) / "status").read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
    if "VmRSS" not in sizes:
        return None  # it has ended and is waited for
    own = sum(_bytes(sizes[name]) for name in ("RssAnon", "RssShmem") if name in sizes)
    return _bytes(sizes["VmRSS"]), own, _bytes(sizes.get("VmHWM", sizes["VmRSS"]))


def _bytes(size: str) -> int:
    """Of ``  123 kB``."""
    return int(size.split(maxsplit=1)[0]) * 1024
