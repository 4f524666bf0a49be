# SPDX-License-Identifier: Apache-2.0
"""Removes the groups of devices that were killed: those that nobody holds a lock of."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from armillary.engines.sandbox.control_groups.controllers import processes_in
from armillary.engines.sandbox.control_groups.hierarchies import Found

# Of the name of every device's group; the rest is chance. Services of other names begin like it.
PREFIX, CHANCE_BYTES = "armillary-", 8
NAME = re.compile(rf"{PREFIX}[0-9a-f]{{{2 * CHANCE_BYTES}}}")
POLLS, POLL_S = 100, 0.002


def remove_leftovers(found: Found) -> tuple[str, ...]:
    """End what is left in the groups of dead devices and remove them; returns the names of these groups."""
    removed = []
    for name in sorted({entry for each in found.hierarchies for entry in _groups(each.base)}):
        with _dead([each.base / name for each in reversed(found.hierarchies)]) as places:
            for place in places:
                _remove(place)
            if places:
                removed.append(name)
    return tuple(removed)


def _groups(base: Path) -> list[str]:
    try:
        names = [entry.name for entry in base.iterdir()]
    except OSError:
        return []
    return [name for name in names if NAME.fullmatch(name)]


@contextlib.contextmanager
def _dead(groups: Iterable[Path]) -> Iterator[list[Path]]:
    """Those of a device's groups that are there, held meanwhile; none if the device holds any of them, so lives.

    One hierarchy is not enough: devices of different sessions can share one and have others apart.
    """
    places: list[Path] = []
    with contextlib.ExitStack() as held:
        for group in groups:
            try:
                descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                continue
            except OSError:
                places = []
                break
            places.append(group)
        yield places


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
