# SPDX-License-Identifier: Apache-2.0
"""What a start of a device begins while most of its code is not loaded yet.

The sandbox's self-test waits for other processes, and reading and hashing the slots' packages, tens of MB, leaves
Python to others. So both run beside the loading, which keeps one processor busy for seconds where it is emulated.
The device takes the test's outcome where it would have begun one, and verifies each package as ever. One thing is
decided here: that the package which is verified and measured as the one that was started is of the OS that runs. A
partition table can lead the firmware to an older OS, rightly signed, and the device to a newer one's packages; but the
command line that the older one's signature covers binds another root. Two kernels over the same root bind the same: the
service alone tells them apart, by the log of the machine's firmware (``attest/started_systems.py``).

The test comes first, because it takes longest: all else that a start does is done before it ends. It is of the engine
that the device was made with, and a machine of our own settles for no other (``device/boot/late_sandbox.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from armillary.device.boot.image_kind import command_line, root_word
from armillary.device.boot.late_sandbox import test_or_wait
from armillary.device.boot.sandbox_test import begin_sandbox_test
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.engines.sandbox.port import Sandbox, SandboxReport
from armillary.errors import ArmillaryError, BootRefusedError

if TYPE_CHECKING:
    from armillary.boot.chain import BootRecord
    from armillary.boot.profile import ChipProfile
    from armillary.wire.image.package import BegunHash

# One for the test; packages are read one after the other, so that the disk is.
_THREADS: Final = 2


class _OfRunningOs(Mapping[str, bytes]):
    """Packages, of which ``started`` has to contain the word that binds the running root: its command line does."""

    def __init__(self, packages: Mapping[str, bytes], started: str, word: str) -> None:
        self._packages, self._started, self._word = packages, started, word

    def __getitem__(self, name: str) -> bytes:
        data = self._packages[name]
        if data and name == self._started and self._word.encode() not in data:
            raise BootRefusedError(
                f"{name}: expected the OS that runs, which was started with {self._word}, got another"
            )
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)


class Beforehand:
    """Begun once, when the machine is a device and its data is there."""

    def __init__(self, folder: DeviceFolder, disk: OsDisk) -> None:
        """Begin the self-test of the sandbox that the device was made with."""
        self._disk, self._flash = disk, disk.flash(FileFlash(folder.flash))
        self._hashes: dict[str, BegunHash] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "beforehand")
        self._sandbox = ""
        self._test: Future[tuple[Sandbox, SandboxReport]] | None = None
        with contextlib.suppress(ArmillaryError):  # the device finds the same in a moment, and says it
            self._sandbox = load_configuration(self._flash).sandbox
            self._test = self._threads.submit(test_or_wait, self._sandbox)

    def read(self, components: Sequence[str]) -> None:
        """Begin to read and to hash the packages of the OS in force."""
        from armillary.device.install.installer import Installer  # noqa: PLC0415 - the test has begun by now
        from armillary.update.install.component import os_region  # noqa: PLC0415 - as above

        try:
            record = Installer(self._flash, int).record
        except ArmillaryError:
            return  # as above
        for name in components:
            region = os_region(name, record.os_slot(name))
            self._disk.ahead[region] = self._threads.submit(self._hashed, name, region)

    def _hashed(self, name: str, region: str) -> bytes | None:
        from armillary.engines.flash.partition import read_package  # noqa: PLC0415 - as above
        from armillary.wire.image.package import begin_hash  # noqa: PLC0415 - as above

        data = read_package(self._flash.partitions[region])
        if data is not None:
            self._hashes[name] = begin_hash(data)
        return data

    def boot_rom(self, chip: ChipProfile, packages: Mapping[str, bytes], **named: Any) -> BootRecord:
        """The verifying stage (``boot.chain.boot``), which goes on with the hashes that were begun.

        BootRefusedError also where the package of what was started is not of the OS that runs.
        """
        from armillary.boot import chain  # noqa: PLC0415 - as above

        running = _OfRunningOs(packages, self._disk.started, root_word(command_line()))
        return chain.boot(chip, running, **named, begun=self._hashes)

    def begin_test(self, sandbox: Sandbox | None, name: str) -> asyncio.Future[tuple[Sandbox, SandboxReport]]:
        """The test that has begun, once; any other is begun now (``sandbox_test.BeginTest``)."""
        begun, self._test = self._test, None
        if sandbox is not None:
            return begin_sandbox_test(sandbox, name)
        if begun is None or name != self._sandbox:
            begun = self._threads.submit(test_or_wait, name)
        return asyncio.wrap_future(begun)
