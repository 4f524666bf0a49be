# SPDX-License-Identifier: Apache-2.0
"""The machine is a device: what runs from its enrolment on. Loading this module loads all that a device needs."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Final, cast

from armillary.device.boot.startup import refused_starts
from armillary.device.boot.trust_guard import TrustGuard
from armillary.device.machine import network
from armillary.device.machine.attached_computer import attached_computer
from armillary.device.machine.beforehand import Beforehand
from armillary.device.machine.console import say
from armillary.device.machine.reporting import report
from armillary.device.machine.slot_state import mend_record
from armillary.device.machine.wired_board import serial_ports_of, wired_board
from armillary.device.machine.words import BEAT_S, RESTARTS_APART_S, Word, Words
from armillary.device.process import Device
from armillary.device.settings import DeviceSettings
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.log_lines import plain_line
from armillary.device.state.reports import ReportQueue
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.os_disk import OsDisk
from armillary.errors import BootRefusedError
from armillary.wire.device_image import service_link

if TYPE_CHECKING:
    from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust

# Before a machine whose OS may not boot is started again. Long enough to read on the console what is wrong; a medium
# that failed once costs no more than that.
REFUSED_REST_S: Final = 30.0
# One that is failing goes on for ever. So after so many refused starts of which the service has not heard yet it rests
# longer: as many as both slots need to give each other up, and some more.
REFUSED_QUICKLY: Final = 10


def be_device(folder: Path, disk: OsDisk, words: Words, begun: Beforehand) -> None:
    """Be the device of this folder until a signal comes, or until the machine has to start again.

    ``begun`` is what was begun while this was loaded. A machine whose OS may not boot is started again after a while:
    what was read wrongly may be read rightly then, and the other slot gets its turn to give up this one
    (``device/boot/slot_choice.py``).

    Raises:
        ArmillaryError: the device does not start.
    """
    place = DeviceFolder(folder)
    told = wired_board(load_configuration(FileFlash(place.flash)).chip)
    for sentence in filter(None, (mend_record(place, disk), told.fault)):
        say(sentence)
        report(place, [sentence])
    settings = replace(settings_of_machine(), begin_test=begun.begin_test)
    if told.board is not None:
        settings = replace(settings, board=told.board, serial_ports=serial_ports_of(told.board))
    guard = TrustGuard()
    device = Device(folder, settings=settings, disk=replace(disk, over=guard.over), boot_rom=begun.boot_rom)
    if device.root_of_trust.kind == "tpm2":
        guard.begin(FileFlash(place.flash), cast("Tpm2RootOfTrust", device.root_of_trust).trust)
    events = set[object]()
    device.journal.listen(lambda entry: events.add(entry["event"]))
    try:
        asyncio.run(_be_device(device, words))
    except BootRefusedError as error:
        say(f"the device does not start: {error.message} ({error.remedy})")
        rest_s = refused_rest_s(place, counts="report-not-kept" not in events)
        say(f"the machine starts again after {rest_s:g} s")
        words.beat()
        time.sleep(rest_s)
        words.say(Word.RESTART)


def refused_rest_s(folder: DeviceFolder, *, counts: bool) -> float:
    """Seconds to rest before the machine starts again, by the refused starts that wait to be reported.

    Where the data took no report of this one (``counts``) there may be any number of them.
    """
    refused = refused_starts(ReportQueue(FileFlash(folder.flash), int, 0))
    return REFUSED_REST_S if counts and refused <= REFUSED_QUICKLY else RESTARTS_APART_S


def settings_of_machine() -> DeviceSettings:
    """The device's settings on this machine: with its Wi-Fi radio, modem and service link, where it has them."""
    settings = DeviceSettings(rest=attached_computer())
    radio, modem = network.first_radio(), network.modem_card()
    if radio is not None:
        from armillary.device.machine.wireless import open_radio  # noqa: PLC0415 - most machines have none

        settings = replace(settings, radio=lambda: open_radio(radio))
    if modem is not None:
        from armillary.device.machine.cellular import open_uplink  # noqa: PLC0415 - most machines have none

        settings = replace(settings, uplink=lambda flash: open_uplink(modem, flash))
    return settings


async def _be_device(device: Device, words: Words) -> None:
    is_ready = asyncio.Event()

    def hear(entry: dict[str, object]) -> None:
        say(plain_line(entry))
        weaker = entry.get("weaker")
        for sentence in weaker if isinstance(weaker, list) else ():
            say(f"weaker sandbox: {sentence}")
        if entry.get("event") == "rest-listening":
            say(service_link.line_of(PEM_cert_to_DER_cert(Path(str(entry["ca"])).read_text("ascii"))))
        if entry.get("event") == "sandbox":  # the last of the start: from here on it runs applications and checks in
            words.say(Word.READY)
            is_ready.set()

    async def beat() -> None:
        await is_ready.wait()  # a start that does not come to its end hangs, too
        while True:
            words.beat()
            await asyncio.sleep(BEAT_S)

    device.journal.listen(hear)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, device.stop)
    loop.add_signal_handler(signal.SIGTERM, device.stop)
    beats = asyncio.create_task(beat(), name="beats")
    try:
        await device.run()
    finally:
        beats.cancel()
    if device.restarts_machine:
        words.say(Word.RESTART)
