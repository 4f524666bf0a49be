# SPDX-License-Identifier: Apache-2.0
"""The device process of a machine of our own: enrols it where it is no device yet, then is the device.

``image/init/init.c`` has named the other slot as the next one. A device names its own again once it has counted its
start and verified its OS (``device/boot/slot_choice.py``); a machine that is no device yet names the one that runs
(:func:`keep_slot`), and one whose data are out of reach none: the other slot may be able to read them.

It is started before the data is mounted, and emulated processors are slow: each part of it is loaded when it is needed.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from armillary.device.loading import UNUSED, hollow, no_authorities
from armillary.device.machine.console import say
from armillary.device.machine.reporting import report, told_by_process_1
from armillary.device.machine.words import DISK_VARIABLE, Word, Words
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.os_disk import OsDisk, open_os_disk
from armillary.errors import ArmillaryError, BootRefusedError, DataFolderError

if TYPE_CHECKING:
    from armillary.device.machine.beforehand import Beforehand

FOLDER: Final = Path("/data/device")
# One of the places that ``enrolling`` reads, which is not loaded by a device.
ENROLMENT: Final = FOLDER.parent / "enrolment.json"
# What the disk of every device image has in each slot; the firmware starts the first one.
COMPONENTS: Final = ("unified-kernel-image", "root-fs")
# While it loads, who answers the sandbox's self-test gets a turn sooner than after Python's 5 ms: it waits often.
_TURN_S: Final = 0.001
_AGAIN_FIRST_S: Final = 1.0
_AGAIN_LIMIT_S: Final = 60.0


def keep_slot(disk: OsDisk) -> None:
    """Have the firmware start the slot that runs at the next start, too; what hinders it is said on the console."""
    try:
        booted = disk.slots.booted()
        disk.slots.start_next(booted, settled=booted)
    except ArmillaryError as error:
        say(f"the next start may be of the other slot: {error.message}")


def forget_enrolment() -> None:
    """Remove what a device was told on its disk: the token in it may be good for others."""
    try:
        ENROLMENT.unlink(missing_ok=True)
    except OSError as error:
        say(f"{ENROLMENT} with the token in it stays on the disk: {error.strerror or error}")


def become_device(folder: DeviceFolder, words: Words, disk: OsDisk, *, keeps: bool = True) -> None:
    """Enrol, again and again until it is done; what goes wrong is said on the console.

    Where nothing that is written is kept (``keeps``) it is not tried: the device would be lost with the next start,
    which process 1 brings after a while.
    """
    if folder.is_finished():
        forget_enrolment()  # power went before it was forgotten
        return
    from armillary.device.machine import network  # noqa: PLC0415 - once in a device's life
    from armillary.device.machine.cellular import online  # noqa: PLC0415 - as above

    with online(network.modem_card()):
        _enrol(folder, words, disk, keeps=keeps)


def _enrol(folder: DeviceFolder, words: Words, disk: OsDisk, *, keeps: bool) -> None:
    from armillary.device.machine.enrolling import enrol, read_enrolment  # noqa: PLC0415 - once in a device's life

    wait_s, said = _AGAIN_FIRST_S, ""
    while not folder.is_finished():
        try:
            if not keeps:
                raise DataFolderError(
                    "what an enrolment makes could not be kept: the data partition is missing or does not mount",
                    remedy="Write the device image to the disk again, or replace the disk.",
                )
            told = read_enrolment()
            if told is not None:
                say(f"enrols at {told['service']}, root of trust {told['root_of_trust']}")
                enrol(folder, told, disk)
                say("enrolled: this machine is a device now")
                forget_enrolment()
                return
            reason = "nobody has told this machine whose device it shall be"
        except ArmillaryError as error:
            reason = f"not enrolled: {error.message} ({error.remedy})"
        if reason != said:
            say(reason)
        said = reason
        words.say(Word.WAITING, before=lambda: keep_slot(disk) if keeps else None)
        words.beat()
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _AGAIN_LIMIT_S)


def begin_beforehand(folder: DeviceFolder, disk: OsDisk) -> Beforehand:
    """Begin what can run beside the loading of all else."""
    from armillary.device.machine.beforehand import Beforehand  # noqa: PLC0415 - each part is loaded when it is needed

    begun = Beforehand(folder, disk)
    begun.read(COMPONENTS)
    return begun


def main() -> None:
    """Be the device process."""
    words = Words(os.environ)
    node = os.environ.pop(DISK_VARIABLE, "")
    if not words.wait_for_data():
        sys.exit(1)
    folder, told = DeviceFolder(FOLDER), told_by_process_1()
    report(folder, told.faults)
    is_device = folder.is_finished()

    def lost(sentence: str) -> None:
        """A machine that is no device yet may be on firmware that has never heard of its disk."""
        say(sentence)
        report(folder, [sentence] if is_device else [])

    try:
        disk = open_os_disk(Path(node), COMPONENTS, lost=lost)
        become_device(folder, words, disk, keeps=told.keeps)
        waits_s = sys.getswitchinterval()
        sys.setswitchinterval(_TURN_S)
        gc.disable()  # searches among what is loaded are a tenth of loading it, and nothing of it is garbage
        with no_authorities(), hollow(*UNUSED):
            begun = begin_beforehand(folder, disk)
            from armillary.device.machine.being import be_device  # noqa: PLC0415 - see the line above
        gc.freeze()
        gc.enable()
        sys.setswitchinterval(waits_s)
        be_device(FOLDER, disk, words, begun)
    except ArmillaryError as error:
        say(f"the device does not start: {error.message} ({error.remedy})")
        if not isinstance(error, BootRefusedError):  # the device has reported that itself
            report(folder, [f"the device did not start: {error.message}"])
        sys.exit(1)


if __name__ == "__main__":
    main()
