# SPDX-License-Identifier: Apache-2.0
"""The kernel's files of a control group, in both versions: how limits are set and how use is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from armillary.capability.application_limits import ApplicationLimits
from armillary.engines.sandbox.port import Usage

# In which processor time is divided, microseconds: who has used its part waits no longer than this.
PERIOD_US = 20_000
# The least that the kernel takes as a part of a period.
QUOTA_MINIMUM_US = 1_000
# What stands for the weight 100 of version 2 in version 1.
SHARES_OF_WEIGHT_100 = 1024

# The files of a group are short, but for the list of its processes.
READ_BYTES = 4096
PROCESSES = "cgroup.procs"

# What each controller holds, by the name that reports use
MECHANISMS = {
    "memory": "memory-limit",
    "pids": "process-limit",
    "cpu": "processor-limit",
    "devices": "device-list",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One value to write; an optional one may have no file on a kernel."""

    file: str
    value: str
    optional: bool = False


# Has version 1 measure the peak of memory from now on.
PEAK_AGAIN = Setting("memory.max_usage_in_bytes", "0")


def device_rules(nodes: Iterable[Path]) -> tuple[str, ...]:
    """What version 1 takes for these nodes of the host: to open, read and write them, not to make them."""
    rules = []
    for node in nodes:
        found = node.stat()
        kind = "b" if stat.S_ISBLK(found.st_mode) else "c"
        rules.append(f"{kind} {os.major(found.st_rdev)}:{os.minor(found.st_rdev)} rw")
    return tuple(dict.fromkeys(rules))


def settings(
    version: int, controller: str, limits: ApplicationLimits, devices: Iterable[str], processors: int
) -> tuple[Setting, ...]:
    """What bounds an application by one controller, in the order of writing, on a machine of so many processors."""
    quota = max(QUOTA_MINIMUM_US, PERIOD_US * processors * limits.processor_percent // 100)
    most = str(limits.memory_bytes)
    known: Mapping[tuple[int, str], tuple[Setting, ...]] = {
        (1, "memory"): (
            Setting("memory.limit_in_bytes", most),
            Setting("memory.memsw.limit_in_bytes", most, optional=True),  # memory and swap together
            Setting("memory.swappiness", "0", optional=True),
        ),
        (2, "memory"): (Setting("memory.max", most), Setting("memory.swap.max", "0", optional=True)),
        (1, "cpu"): (
            Setting("cpu.cfs_period_us", str(PERIOD_US)),
            Setting("cpu.cfs_quota_us", str(quota)),
            Setting("cpu.shares", str(limits.processor_weight * SHARES_OF_WEIGHT_100 // 100)),
        ),
        (2, "cpu"): (
            Setting("cpu.max", f"{quota} {PERIOD_US}"),
            Setting("cpu.weight", str(limits.processor_weight)),
        ),
        (1, "devices"): (
            Setting("devices.deny", "a"),
            *(Setting("devices.allow", rule) for rule in devices),
        ),
    }
    if controller == "pids":
        return (Setting("pids.max", str(limits.processes)),)
    return known[version, controller]


def write(group: Path, setting: Setting) -> None:
    """Set a value; raises OSError where the kernel refuses."""
    path = f"{group}/{setting.file}"
    if setting.optional and not os.path.exists(path):  # noqa: PTH110 - many are written with each start
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, setting.value.encode())
    finally:
        os.close(descriptor)


def read(group: Path, file: str) -> str:
    """What the kernel says in a file of a group."""
    descriptor = os.open(f"{group}/{file}", os.O_RDONLY | os.O_CLOEXEC)
    said = b""
    try:
        while part := os.read(descriptor, READ_BYTES):
            said += part
            if len(part) < READ_BYTES and file != PROCESSES:  # of a list alone may be more
                break
    finally:
        os.close(descriptor)
    return said.decode("ascii", "replace")


def usage(groups: Mapping[str, tuple[int, Path]]) -> Usage:
    """What an application uses, by controller: the version of its hierarchy and its group there.

    ``core`` stands for a tree of version 2, which counts processor time without a controller.
    """
    memory = groups.get("memory")
    processes = groups.get("pids")
    processor = groups.get("cpu")
    in_memory = {} if memory is None else _table(memory, "memory.oom_control", "memory.events")
    in_processor = {} if processor is None else _table(processor, "cpu.stat", "cpu.stat")
    in_processes = {} if processes is None else _table(processes, "pids.events", "pids.events")
    spent = _table(groups["core"], "", "cpu.stat").get("usage_usec") if "core" in groups else None
    return Usage(
        memory_bytes=_number(memory, "memory.usage_in_bytes", "memory.current"),
        memory_own_bytes=_own_memory(memory),
        memory_peak_bytes=_number(memory, "memory.max_usage_in_bytes", "memory.peak"),
        processes=_number(processes, "pids.current", "pids.current"),
        processor_s=None if spent is None else spent / 1e6,
        killed_for_memory=in_memory.get("oom_kill", 0),
        processes_refused=in_processes.get("max"),
        processor_periods=in_processor.get("nr_periods", 0),
        processor_periods_used_up=in_processor.get("nr_throttled", 0),
    )


def processes_in(group: Path) -> tuple[int, ...]:
    """The processes of a group that have a number here; none when it is gone.

    The kernel says 0 of one in another namespace, which to ``kill`` would mean this process and all of its group.
    """
    try:
        return tuple(number for line in read(group, PROCESSES).split() if (number := int(line)) > 0)
    except OSError:
        return ()


def _own_memory(memory: tuple[int, Path] | None) -> int | None:
    """Private and shared memory of a group, of ``memory.stat``; version 1 has it of the whole tree as ``total_``."""
    found = {} if memory is None else _table(memory, "memory.stat", "memory.stat")
    names = ("total_rss", "total_shmem") if memory is not None and memory[0] == 1 else ("anon", "shmem")
    return sum(found.get(name, 0) for name in names) if names[0] in found else None


def _number(place: tuple[int, Path] | None, first: str, second: str) -> int | None:
    if place is None:
        return None
    version, group = place
    try:
        return int(read(group, first if version == 1 else second))
    except (OSError, ValueError):
        return None


def _table(place: tuple[int, Path], first: str, second: str) -> dict[str, int]:
    version, group = place
    try:
        lines = read(group, first if version == 1 else second).splitlines()
    except OSError:
        return {}
    pairs = (line.split(" ") for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
