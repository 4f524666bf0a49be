# SPDX-License-Identifier: Apache-2.0
"""The device process of a machine of our own: enrols it where it is no device yet, then is the device.

``image/init/init.c`` has named the other slot as the next one. The device process names the wanted one again as soon as
it boots (``device/boot/slot_choice.py``); a machine that is no device yet names the one that runs (:func:`keep_slot`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from armillary.device.machine.console import say
from armillary.device.machine.enrolling import enrol, read_enrolment
from armillary.device.machine.first import DATA, DISK_VARIABLE, WORDS_VARIABLE, Word
from armillary.device.process import Device
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.log_lines import plain_line
from armillary.engines.flash.os_disk import OsDisk, open_os_disk
from armillary.errors import ArmillaryError

FOLDER: Final = Path(DATA, "device")
# What the disk of every device image has in each slot; the firmware starts the first one.
COMPONENTS: Final = ("unified-kernel-image", "root-fs")
_AGAIN_FIRST_S: Final = 1.0
_AGAIN_LIMIT_S: Final = 60.0


class Words:
    """What this process says to process 1; nothing where it was started by somebody else."""

    def __init__(self, descriptor: str | None) -> None:
        self._descriptor = -1 if descriptor is None else int(descriptor)
        self._said: set[Word] = set()

    def say(self, word: Word, *, before: Callable[[], None] = lambda: None) -> None:
        """Say a word, once; ``before`` is done first."""
        if word in self._said:
            return
        self._said.add(word)
        before()
        if self._descriptor >= 0:
            os.write(self._descriptor, word.value.encode() + b"\n")


def keep_slot(disk: OsDisk) -> None:
    """Have the firmware start the slot that runs at the next start, too; what hinders it is said on the console."""
    try:
        booted = disk.slots.booted()
        disk.slots.start_next(booted, settled=booted)
    except ArmillaryError as error:
        say(f"the next start may be of the other slot: {error.message}")


def become_device(folder: DeviceFolder, words: Words, disk: OsDisk) -> None:
    """Enrol, again and again until it is done; what goes wrong is said on the console."""
    wait_s, said = _AGAIN_FIRST_S, ""
    while not folder.is_finished():
        try:
            told = read_enrolment()
            if told is not None:
                say(f"enrols at {told['service']}, root of trust {told['root_of_trust']}")
                enrol(folder, told, disk)
                say("enrolled: this machine is a device now")
                return
            reason = "nobody has told this machine whose device it shall be"
        except ArmillaryError as error:
            reason = f"not enrolled: {error.message} ({error.remedy})"
        if reason != said:
            say(reason)
        said = reason
        words.say(Word.WAITING, before=lambda: keep_slot(disk))
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _AGAIN_LIMIT_S)


def main() -> None:
    """Be the device process."""
    words = Words(os.environ.pop(WORDS_VARIABLE, None))
    node = os.environ.pop(DISK_VARIABLE, "")
    try:
        disk = open_os_disk(Path(node), COMPONENTS)
        become_device(DeviceFolder(FOLDER), words, disk)
        asyncio.run(_be_device(Device(FOLDER, disk=disk), words))
    except ArmillaryError as error:
        say(f"the device does not start: {error.message} ({error.remedy})")
        sys.exit(1)


async def _be_device(device: Device, words: Words) -> None:
    def hear(entry: dict[str, object]) -> None:
        say(plain_line(entry))
        weaker = entry.get("weaker")
        for sentence in weaker if isinstance(weaker, list) else ():
            say(f"weaker sandbox: {sentence}")
        if entry.get("event") == "sandbox":  # the last of the start: from here on it runs applications and checks in
            words.say(Word.READY)

    device.journal.listen(hear)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, device.stop)
    loop.add_signal_handler(signal.SIGTERM, device.stop)
    await device.run()
    if device.restarts_machine:
        words.say(Word.RESTART)


if __name__ == "__main__":
    main()
