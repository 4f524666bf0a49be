# SPDX-License-Identifier: Apache-2.0
"""What is mapped in a process, and which files: proc_pid_maps(5), and the ELF headers in its memory."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.errors import WireError
from armillary.wire.device.crash_dump import MAX_MODULES, Module
from armillary.wire.device.crash_record import MAX_BUILD_ID_BYTES, MAX_MODULE_BYTES
from armillary.wire.encoding.clip import clip_text
from armillary.wire.image.elf_loaded import LoadedElf, ReadMemory, read_loaded

MAX_MAPPINGS: Final = 4096  # an application with thousands of threads has as many; the rest is not looked at
MAX_MAP_BYTES: Final = 1024 * 1024
READ_LIMIT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Mapping:
    """A range of addresses."""

    begin: int
    end: int
    executable: bool
    offset: int
    path: str  # of a file, ``[stack]``, ``[heap]``, ``[vdso]`` or nothing


@dataclass(frozen=True, slots=True)
class MappedModule:
    """A module, with what unwinding needs of it."""

    module: Module
    elf: LoadedElf | None


class Memory:
    """The memory of a stopped process."""

    def __init__(self, process: int) -> None:
        self._descriptor = os.open(f"/proc/{process}/mem", os.O_RDONLY | os.O_CLOEXEC)

    def read(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes from an address on; fewer, or none, where no more is mapped."""
        if not 0 <= address < 1 << 63 or size <= 0:
            return b""
        try:
            return os.pread(self._descriptor, min(size, READ_LIMIT_BYTES), address)
        except OSError:
            return b""

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


def mappings(process: int) -> tuple[Mapping, ...]:
    """What is mapped, by rising address."""
    with open(f"/proc/{process}/maps", "rb") as file:  # noqa: PTH123 - a kernel file
        text = file.read(MAX_MAP_BYTES).decode("utf-8", "replace")
    return tuple(_mapping(line) for line in text.splitlines()[:MAX_MAPPINGS] if line.count("-") and len(line) > 40)


def _mapping(line: str) -> Mapping:
    addresses, rights, offset, _, _, *path = line.split(maxsplit=5)
    begin, _, end = addresses.partition("-")
    return Mapping(int(begin, 16), int(end, 16), "x" in rights, int(offset, 16), path[0] if path else "")


def mapping_at(found: Sequence[Mapping], address: int) -> Mapping | None:
    """The mapping that has an address."""
    index = bisect_right(found, address, key=lambda one: one.begin) - 1
    return found[index] if index >= 0 and address < found[index].end else None


def modules(found: Sequence[Mapping], read: ReadMemory) -> tuple[MappedModule, ...]:
    """The files with code among some mappings, by rising address.

    A module is all mappings of a file that follow one another, from the one with its beginning.
    """
    groups: list[list[Mapping]] = []
    for one in found:
        is_file = one.path.startswith("/") or one.path == "[vdso]"
        if is_file and groups and groups[-1][0].path == one.path and one.offset:
            groups[-1].append(one)
        elif is_file and not one.offset:
            groups.append([one])
    with_code = [group for group in groups if any(one.executable for one in group)]
    return tuple(_module(group, read) for group in with_code[:MAX_MODULES])


def _module(group: list[Mapping], read: ReadMemory) -> MappedModule:
    begin, end = group[0].begin, group[-1].end
    name = clip_text(group[0].path.removesuffix(" (deleted)").rpartition("/")[2] or group[0].path, MAX_MODULE_BYTES)
    try:
        elf = read_loaded(begin, read)
    except WireError:
        return MappedModule(Module(name, b"", begin, end - begin, begin), None)
    return MappedModule(Module(name, elf.build_id[:MAX_BUILD_ID_BYTES], begin, end - begin, elf.bias), elf)
