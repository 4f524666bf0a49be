# SPDX-License-Identifier: Apache-2.0
"""How much memory processes hold, with all that they have started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SIZES = ("VmRSS", "RssAnon", "RssShmem")  # of /proc/PID/status, in KiB
_PARENT_FIELD = 1  # of /proc/PID/stat, after the name in brackets: state, parent


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes in memory: all of it, and the part that is the programs' own (data, heap, stacks, shared memory)."""

    total: int = 0
    own: int = 0

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.total + other.total, self.own + other.own)


def memory_of(roots: Iterable[int]) -> Memory:
    """What these processes and their descendants hold now; pages that several map count for each."""
    children: dict[int, list[int]] = {}
    for each in _PROC.iterdir():
        if each.name.isdigit() and (parent := _parent(int(each.name))) is not None:
            children.setdefault(parent, []).append(int(each.name))
    found, waiting, seen = Memory(), list(roots), set[int]()
    while waiting:
        process = waiting.pop()
        if process not in seen:
            seen.add(process)
            found += _memory(process)
            waiting += children.get(process, ())
    return found


def _parent(process: int) -> int | None:
    try:
        text = (_PROC / str(process) / "stat").read_text(errors="replace")
    except OSError:  # it has ended
        return None
    return int(text.rpartition(")")[2].split()[_PARENT_FIELD])


def _memory(process: int) -> Memory:
    try:
        lines = (_PROC / str(process) / "status").read_text(errors="replace").splitlines()
    except OSError:
        return Memory()
    named = (line.partition(":") for line in lines)
    size = {name: int(value.split()[0]) * 1024 for name, _, value in named if name in _SIZES}
    return Memory(size.get("VmRSS", 0), size.get("RssAnon", 0) + size.get("RssShmem", 0))
