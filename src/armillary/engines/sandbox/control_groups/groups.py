# SPDX-License-Identifier: Apache-2.0
"""The groups of a device's applications: made before a start, entered before the program, ended and removed after it.

A device has one group in each hierarchy while one of its applications runs, named by chance and locked for as long as
the device lives; each application has a group in it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from armillary.capability.application_limits import ApplicationLimits
from armillary.engines.sandbox.control_groups import controllers, device_program
from armillary.engines.sandbox.control_groups.controllers import MECHANISMS, Setting
from armillary.engines.sandbox.control_groups.hierarchies import DEVICES, Found, Hierarchy, find
from armillary.engines.sandbox.control_groups.leftovers import CHANCE_BYTES, PREFIX, remove_leftovers
from armillary.engines.sandbox.port import Usage
from armillary.errors import SandboxUnavailableError

# Moves itself into each group named, then becomes what is to be started, where no fork server does (``crun``): the
# program is in its groups before it makes its namespaces, so that it does not see the host's groups.
ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 126; shift; done; shift; exec "$@"'
# A killed process leaves its group within one scheduling; a group that stays is removed at the next start.
END_POLLS, END_POLL_S = 500, 0.002


@dataclass(slots=True)
class ApplicationGroup:
    """The groups of one run of one application."""

    _device: DeviceGroups
    places: dict[Hierarchy, Path]
    missing: dict[str, str] = field(default_factory=dict)  # Mechanism -> why it does not hold here
    _last: Usage | None = None
    _ended: bool = False

    @property
    def entry(self) -> tuple[str, ...]:
        """What stands before a command so that it runs in the groups."""
        born, files = self.entrances
        moved = (f"{born}/cgroup.procs",) if born else ()
        return (self._device.shell, "-c", ENTER, "armillary-enter", *moved, *files, "--")

    @property
    def entrances(self) -> tuple[str, tuple[str, ...]]:
        """The group of version 2 that a process is born in ("" where there is none), and the files it writes 0 to.

        A process of one thread moves itself by that: to move a process as a whole waits for every processor.
        """
        born = next((str(place) for hierarchy, place in self.places.items() if hierarchy.version == 2), "")
        return born, tuple(str(place / "tasks") for hierarchy, place in self.places.items() if hierarchy.version == 1)

    def usage(self) -> Usage:
        """What it uses, or what it had used when it ended."""
        if self._ended and self._last is not None:
            return self._last
        by_controller = {
            name: (hierarchy.version, place)
            for hierarchy, place in self.places.items()
            for name in (*hierarchy.controllers, *(("core",) if hierarchy.version == 2 else ()))
        }
        self._last = controllers.usage(by_controller)
        return self._last

    def restart_memory_peak(self) -> bool:
        """Have the peak of its memory start over; False where the kernel does not: in version 2 it stays."""
        for hierarchy, place in self.places.items():
            if hierarchy.version == 1 and "memory" in hierarchy.controllers and not self._ended:
                with contextlib.suppress(OSError):
                    controllers.write(place, controllers.PEAK_AGAIN)
                    return True
        return False

    def kill(self) -> None:
        """End every process of it, whatever session or parent it has."""
        for hierarchy, place in self.places.items():
            if hierarchy.version == 2:
                with contextlib.suppress(OSError):
                    (place / "cgroup.kill").write_text("1")
                    return
        for hierarchy, place in self.places.items():
            if "pids" in hierarchy.controllers:  # so that none can be made faster than they are ended
                with contextlib.suppress(OSError):
                    controllers.write(place, Setting("pids.max", "0"))
        for place in self.places.values():
            for process in controllers.processes_in(place):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)

    @property
    def is_empty(self) -> bool:
        """Whether no process is in it: who enters its groups begins with the first, and leaves all at once."""
        return not controllers.processes_in(next(iter(self.places.values()))) if self.places else True

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`end` was called."""
        return self._ended

    def end(self) -> None:
        """Remember what it used, end what is left of it and remove the groups."""
        if self._ended:
            return
        self.usage()
        self._ended = True
        for _ in range(END_POLLS):
            if self.is_empty:
                break
            self.kill()
            time.sleep(END_POLL_S)
        self._device.remove(self)


@dataclass(slots=True)
class DeviceGroups:
    """Makes groups for applications in one process."""

    found: Found
    shell: str  # "" on a host without: only what the fork server does not start needs it
    processors: int = field(default_factory=lambda: os.cpu_count() or 1)
    _name: str = ""
    _own: list[Path] = field(default_factory=list)  # The device's groups
    _held: list[int] = field(default_factory=list)  # Descriptors of them, by which they are locked
    _applications: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def reason(self) -> str:
        """Why there are no groups, or ""."""
        return self.found.reason

    def mechanisms(self) -> tuple[str, ...]:
        """What groups can hold on this host, by name; a self-test shows whether they do."""
        held = self.found.controllers() if not self.reason else frozenset()
        return tuple(name for controller, name in MECHANISMS.items() if controller in held)

    def open(
        self, name: str, limits: ApplicationLimits, nodes: Iterable[Path], required: Iterable[str] = ()
    ) -> ApplicationGroup | None:
        """Make the groups of an application, or None on a host without.

        ``nodes`` are the devices of the host that it may open.

        Raises:
            SandboxUnavailableError: a mechanism of ``required`` does not hold any more.
        """
        if self.reason:
            return None
        group = ApplicationGroup(self, {})
        try:
            with self._guard:
                self._applications += 1
                self._hold()
                self._make(group, f"{name}-{secrets.token_hex(4)}")
            self._bound(group, limits, controllers.device_rules(nodes))
        except OSError as error:
            group.missing |= dict.fromkeys(self.mechanisms(), str(error))
        lost = {mechanism: group.missing[mechanism] for mechanism in required if mechanism in group.missing}
        if lost:
            group.end()
            raise SandboxUnavailableError(
                f"control groups held at the start and do not now: {'; '.join(f'{k} ({v})' for k, v in lost.items())}",
                remedy="Look at what changed on this host, or restart the device to use what is left.",
            )
        return group

    def remove(self, group: ApplicationGroup) -> None:
        """Remove an application's groups, and the device's with the last."""
        with self._guard:
            _remove(group.places.values())  # what a process that the kernel holds is in is removed at the next start
            self._applications -= 1
            if self._applications == 0:
                self._release()

    def _make(self, group: ApplicationGroup, name: str) -> None:
        for hierarchy in self.found.hierarchies:
            place = hierarchy.base / self._name / name
            if hierarchy.version == 2:
                for controller in sorted(hierarchy.controllers - {DEVICES}):
                    controllers.write(place.parent, Setting("cgroup.subtree_control", f"+{controller}"))
            place.mkdir()
            group.places[hierarchy] = place

    def _bound(self, group: ApplicationGroup, limits: ApplicationLimits, devices: Iterable[str]) -> None:
        for hierarchy, place in group.places.items():
            for controller in sorted(hierarchy.controllers):
                try:
                    if (hierarchy.version, controller) == (2, DEVICES):
                        device_program.attach(place, devices)
                        continue
                    for each in controllers.settings(hierarchy.version, controller, limits, devices, self.processors):
                        controllers.write(place, each)
                except OSError as error:
                    group.missing[MECHANISMS[controller]] = str(error)

    def _hold(self) -> None:
        """Make and lock this device's groups; another device may take one for a dead one's until it is locked."""
        while not self._held:
            self._name = f"{PREFIX}{secrets.token_hex(CHANCE_BYTES)}"
            try:
                for hierarchy in self.found.hierarchies:
                    own = hierarchy.base / self._name
                    own.mkdir()
                    self._own.append(own)
                    self._held.append(_locked(own))
            except BlockingIOError:
                self._release()
            except OSError:
                self._release()
                raise

    def _release(self) -> None:
        _remove(reversed(self._own))
        for descriptor in self._held:
            os.close(descriptor)
        self._own, self._held, self._name = [], [], ""


def _remove(groups: Iterable[Path]) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.rmdir(group)  # noqa: PTH106 - some with each end


def _locked(group: Path) -> int:
    """A descriptor of a new group, which locks it. BlockingIOError when another device was faster."""
    descriptor = -1
    try:
        descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.stat(group)  # noqa: PTH116 - whether it is still there
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, FileNotFoundError):
            raise BlockingIOError(errno.EAGAIN, "removed by another device") from error
        raise
    return descriptor


@cache
def device_groups() -> DeviceGroups:
    """The groups of this process; what dead devices left is removed the first time."""
    found = find()
    remove_leftovers(found)
    return DeviceGroups(found, shutil.which("sh", path="/bin:/usr/bin") or "")
