# SPDX-License-Identifier: Apache-2.0
"""Cores for a machine in QEMU: starts the process that stands in for them, and says how they are attached."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from armillary.device_image import tools
from armillary.device_image.cores import machine
from armillary.device_image.cores.board import COMPILER
from armillary.engines.host.ended_with import ended_with_us
from armillary.engines.real_time.channels import PORT_PREFIX
from armillary.errors import HostError

_END_WITHIN_S: Final = 10.0


@contextlib.contextmanager
def attached_cores(number: int) -> Iterator[tuple[str, ...]]:
    """QEMU's words for so many cores; they are there until the block ends. None for no cores.

    Raises:
        HostError: the host lacks what stands in for them, or it does not start.
    """
    if not number:
        yield ()
        return
    tools.require(COMPILER, machine.NEEDED)
    with tempfile.TemporaryDirectory(prefix="armillary-cores-") as folder, contextlib.ExitStack() as stack:
        process = subprocess.Popen(  # noqa: S603 - our own module; it ends with this process
            [
                *ended_with_us(signal.SIGTERM),
                *(sys.executable, "-m", "armillary.device_image.cores", folder, str(number)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        stack.callback(tools.end_process, process, within_s=_END_WITHIN_S)
        if process.stdout is None or machine.WHAT.encode() not in process.stdout.readline():
            raise HostError("the stand-in for real-time cores does not start", remedy="Look at what it printed above.")
        yield words(Path(folder), number)


def words(folder: Path, number: int) -> tuple[str, ...]:
    """How QEMU is told of so many channels, whose sockets are in ``folder``."""
    found = ["-device", "virtio-serial-pci,id=cores"]
    for each in range(number):
        found += ["-chardev", f"socket,id=core{each},path={folder / str(each)}"]
        found += ["-device", f"virtserialport,bus=cores.0,chardev=core{each},name={PORT_PREFIX}{each}"]
    return tuple(found)
