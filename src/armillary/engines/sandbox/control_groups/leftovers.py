# SPDX-License-Identifier: Apache-2.0
"""Removes the groups of devices that were killed: those that nobody holds a lock of."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from armillary.engines.sandbox.control_groups.controllers import processes_in
from armillary.engines.sandbox.control_groups.hierarchies import ASIDE, Found

# Of the name of every device's group; the rest is chance.
PREFIX = "armillary-"
POLLS, POLL_S = 100, 0.002


def remove_leftovers(found: Found) -> tuple[str, ...]:
    """End what is left in the groups of dead devices and remove them; returns the names of these groups."""
    removed = []
    for name in sorted({entry for each in found.hierarchies for entry in _groups(each.base)}):
        with _dead(found.hierarchies[0].base / name) as is_dead:
            if is_dead:
                for hierarchy in reversed(found.hierarchies):
                    _remove(hierarchy.base / name)
                removed.append(name)
    return tuple(removed)


def _groups(base: Path) -> list[str]:
    try:
        names = [entry.name for entry in base.iterdir()]
    except OSError:
        return []
    return [name for name in names if name.startswith(PREFIX) and name != ASIDE]


@contextlib.contextmanager
def _dead(group: Path) -> Iterator[bool]:
    """Whether no device holds this group; held meanwhile. One that was never made in the first hierarchy is dead."""
    try:
        descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield not group.exists()
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _remove(group: Path) -> None:
    """End the processes of a group and of those below it, then remove all of them."""
    below = [entry for entry in group.iterdir() if entry.is_dir()] if group.is_dir() else []
    for place in (*below, group):
        for _ in range(POLLS):
            processes = processes_in(place)
            if not processes:
                break
            for process in processes:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(POLL_S)
        with contextlib.suppress(OSError):
            place.rmdir()
