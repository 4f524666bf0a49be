# SPDX-License-Identifier: Apache-2.0
"""``armillary device boot --machine``: a machine in QEMU that boots the device image, its console on this terminal."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import typer

from armillary.cli.device_image.handed_board import board_words
from armillary.cli.device_image.machine_options import MachineChoice
from armillary.cli.device_image.told import check_enrolment
from armillary.cli.terminal.output import inert, note, print_error
from armillary.device_image import tools
from armillary.device_image.architecture.hardware import HARDWARE
from armillary.device_image.cores.attached import attached_cores
from armillary.device_image.cores.machine import WHAT
from armillary.device_image.machine_folder.checks import check_image, is_made
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.service_link.link import ServiceLink, service_link
from armillary.device_image.virtual_machine import HOST_ADDRESS, MachineSettings, VirtualMachine, check, running
from armillary.errors import HostError, InvalidArgumentError

# Lines of the emulator that are said again where it ended by itself: its reason is in the last ones.
_LAST_LINES: Final = 3
_BY_SIGNAL: Final = 128  # as a shell counts: 137 is SIGKILL


def be_machine(data: Path, choice: MachineChoice, *, board: bytes | None = None, as_json: bool) -> None:
    """Boot a machine whose disk is in ``data`` until it switches itself off, or until Ctrl-C.

    Raises:
        ArmillaryError: something of what is given is wrong; nothing was made or started.
        typer.Exit: the emulator ended by itself, with its code.
    """
    settings = _checked(data.absolute(), choice)
    handed = board_words(settings.folder, choice.machine, board)
    note(f"emulated without KVM: it starts slowly; services of this host are at {HOST_ADDRESS} for it")
    if choice.cores:
        note(f"beside it: {choice.cores} real-time cores, each {WHAT}")
    begun, emulators = time.monotonic(), deque[str](maxlen=_LAST_LINES)
    with (
        _link(data, choice) as link,
        attached_cores(choice.cores) as words,
        _switched_on(replace(settings, attached=(*handed, *words, *_words(link))), choice) as virtual,
    ):
        for said in virtual.lines_to_its_end():
            if said.startswith(HARDWARE[choice.machine].program):
                emulators.append(said)
            line = said if link is None else link.hear(said) or said
            seconds = round(time.monotonic() - begun, 1)
            text = json.dumps({"s": seconds, "line": line}) if as_json else f"{seconds:6.1f}  {inert(line)}"
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        ended = virtual.ended_with()
    if ended:
        _say_why(ended, emulators)
        raise typer.Exit(ended if ended > 0 else _BY_SIGNAL - ended)


def _checked(folder: Path, choice: MachineChoice) -> MachineSettings:
    """The machine that was chosen, if it can be switched on: looked at before anything is made or started."""
    if choice.service_link and not HARDWARE[choice.machine].has_fw_cfg:
        raise InvalidArgumentError(
            f"--service-link: expected a machine that its host can hand a secret, {choice.machine} is none",
            remedy="Boot another one with it: x86_64 or arm64.",
        )
    image = choice.image or recipe_folder().parent / ".image" / choice.machine
    settings = MachineSettings(
        folder=folder, image=image, machine=choice.machine, tpm=choice.tpm, enrolment=choice.enrolment
    )
    tools.require(tools.MACHINE, tools.MACHINE_FOR[choice.machine])
    check(settings, has_devices=bool(choice.cores) or choice.modem or choice.service_link)
    if choice.image is not None and is_made(folder, choice.machine):
        check_image(choice.image, choice.machine, folder)
        note(f"{folder} has its machine already: --image is for a first start, and not read")
    if choice.enrolment is not None:
        check_enrolment(choice.enrolment)
    return settings


def _say_why(ended: int, said: Iterable[str]) -> None:
    how = f"with code {ended}" if ended > 0 else f"by signal {-ended}"
    words = " | ".join(said)
    error = HostError(
        f"the machine's emulator (QEMU) ended by itself, {how}" + (f": {words}" if words else ""),
        remedy="Mend what it says. What the machine had written to its disk is there: boot it again.",
    )
    print_error(error)


def _link(data: Path, choice: MachineChoice) -> contextlib.AbstractContextManager[ServiceLink | None]:
    """The machine's service link, if it shall have one."""
    return service_link(data) if choice.service_link else contextlib.nullcontext()


def _words(link: ServiceLink | None) -> tuple[str, ...]:
    return () if link is None else link.words


@contextlib.contextmanager
def _switched_on(settings: MachineSettings, choice: MachineChoice) -> Iterator[VirtualMachine]:
    if not choice.modem:
        with running(settings) as virtual:
            yield virtual
        return
    from armillary.cli.device_image import modem  # noqa: PLC0415 - most machines have none

    note(f"its only network is that of {modem.WHAT}")
    with modem.running_with_modem(settings) as (virtual, _):
        yield virtual
