# SPDX-License-Identifier: Apache-2.0
"""Which control groups the host has, and where this device may make its own.

Version 1 has a tree for each controller; groups are made at the top of each, which needs root. Version 2 has one tree,
in which a group either holds processes or divides itself; groups are made in the nearest one, from this process
upwards, that divides itself already and may be written: a service with ``Delegate=yes``, or what systemd gives to a
user. A process that is alone in its group steps aside into a group below it, as systemd asks of services. Hosts may
have both versions, with each controller in one of them.

Sources: cgroups(7), the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/, systemd's CGROUP_DELEGATION.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from armillary.engines.sandbox.control_groups.device_program import can_load

# What bounds an application. Version 2 has no controller for devices: it takes a program (``device_program``) instead.
DEVICES = "devices"
CONTROLLERS_V1 = ("memory", "pids", "cpu", DEVICES)
CONTROLLERS_V2 = ("memory", "pids", "cpu")
# Group below its own into which a device steps aside.
ASIDE = "armillary-device"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One tree of control groups.

    Attributes:
        version: 1 or 2.
        base: Group in which the device makes its own.
        controllers: Those of ours that hold for groups made there; none where it only ends groups.
    """

    version: int
    base: Path
    controllers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """What a host has.

    Attributes:
        hierarchies: With the one first in which a device's group is locked.
        reason: Why there is none, or "".
    """

    hierarchies: tuple[Hierarchy, ...]
    reason: str = ""

    def controllers(self) -> frozenset[str]:
        """Those of all hierarchies."""
        return frozenset(name for each in self.hierarchies for name in each.controllers)


def find(process: Path = Path("/proc/self"), root: Path = Path("/")) -> Found:
    """Look at the mounts and groups of this process; mount points are below ``root``."""
    try:
        mounts = (process / "mountinfo").read_text("utf-8", "replace").splitlines()
        own = (process / "cgroup").read_text("utf-8", "replace").splitlines()
    except OSError as error:
        return Found((), f"the groups of this process cannot be read: {error}")
    second: list[Hierarchy] = []
    first: list[Hierarchy] = []
    seen: set[str] = set()
    for line in mounts:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        seen.add(kind)
        point = root / _unescaped(before.split(" ")[4]).lstrip("/")
        found = _second(point, own) if kind == "cgroup2" else _first(point, options)
        if found is not None:
            (second if kind == "cgroup2" else first).append(found)
    hierarchies = _with_devices(_distinct([*second, *first]))
    if hierarchies:
        return Found(hierarchies)
    if not seen:
        return Found((), "none are mounted")
    return Found((), "this user may not make groups; start the device as root, or by systemd-run --user --scope")


def _distinct(found: list[Hierarchy]) -> tuple[Hierarchy, ...]:
    """Each controller once, and no tree that is of no use: one that only ends groups is of use when it is the first."""
    kept: list[Hierarchy] = []
    taken: set[str] = set()
    for each in found:
        fresh = each.controllers - taken
        if fresh or (each.version == 2 and not kept):
            kept.append(Hierarchy(each.version, each.base, fresh))
            taken |= fresh
    return tuple(kept) if taken else ()


def _with_devices(found: tuple[Hierarchy, ...]) -> tuple[Hierarchy, ...]:
    """With a list of devices in version 2, where version 1 has none and the kernel takes our program."""
    if not found or found[0].version == 1 or any(DEVICES in each.controllers for each in found) or not can_load():
        return found
    return Hierarchy(2, found[0].base, found[0].controllers | {DEVICES}), *found[1:]


def _first(point: Path, options: str) -> Hierarchy | None:
    """A tree of version 1, if it has a controller of ours and may be written."""
    named = frozenset(options.replace(" ", ",").split(",")) & frozenset(CONTROLLERS_V1)
    return Hierarchy(1, point, named) if named and os.access(point, os.W_OK | os.X_OK) else None


def _second(point: Path, own: list[str]) -> Hierarchy | None:
    """The tree of version 2, if this process may make groups somewhere above itself."""
    path = next((line.removeprefix("0::") for line in own if line.startswith("0::")), "/..")
    if path.startswith("/.."):  # this process's group is outside of what is mounted here
        return None
    here = point / path.lstrip("/")
    above = [here, *(each for each in here.parents if each == point or point in each.parents)]
    places = [(each, _divided(each)) for each in above if _may_make(each)]
    if not places:
        return None
    whole = next((place for place in places if place[1] == frozenset(CONTROLLERS_V2)), None)
    if whole is None and places[0][0] == here and _step_aside(here):
        whole = here, _divided(here)
    base, controllers = whole or max(places, key=lambda place: len(place[1]))
    return Hierarchy(2, base, controllers)


def _may_make(group: Path) -> bool:
    return os.access(group, os.W_OK | os.X_OK) and os.access(group / "cgroup.procs", os.W_OK)


def _divided(group: Path) -> frozenset[str]:
    """The controllers of ours that a group divides among the groups below it."""
    try:
        return frozenset((group / "cgroup.subtree_control").read_text().split()) & frozenset(CONTROLLERS_V2)
    except OSError:
        return frozenset()


def _step_aside(group: Path) -> bool:
    """Leave a group in which this process is alone, and let it divide its controllers; whether that was done."""
    try:
        had = set((group / "cgroup.controllers").read_text().split()) & set(CONTROLLERS_V2)
        if not had or (group / "cgroup.procs").read_text().split() != [str(os.getpid())]:
            return False
        (group / ASIDE).mkdir(exist_ok=True)
        (group / ASIDE / "cgroup.procs").write_text(str(os.getpid()))
        for controller in sorted(had):
            with contextlib.suppress(OSError):
                (group / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return False
    return True


def _unescaped(text: str) -> str:
    """A path of mountinfo, in which spaces and the like are written as octal numbers (proc_pid_mountinfo(5))."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text
