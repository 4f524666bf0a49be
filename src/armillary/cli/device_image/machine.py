# SPDX-License-Identifier: Apache-2.0
"""``armillary device boot --machine``: a machine in QEMU that boots the device image, its console on this terminal."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from armillary.cli.device_image.handed_board import board_words
from armillary.cli.device_image.machine_options import MachineChoice
from armillary.cli.terminal.output import inert, note
from armillary.device_image.cores.attached import attached_cores
from armillary.device_image.cores.machine import WHAT
from armillary.device_image.recipe import recipe_folder
from armillary.device_image.service_link.link import ServiceLink, service_link
from armillary.device_image.virtual_machine import HOST_ADDRESS, MachineSettings, VirtualMachine, running

# A machine that runs is watched for so long at a time; nothing ends it but its own end, or Ctrl-C.
_LOOK_S = 3600.0


def be_machine(data: Path, choice: MachineChoice, *, board: bytes | None = None, as_json: bool) -> None:
    """Boot a machine whose disk is in ``data`` until it switches itself off, or until Ctrl-C."""
    handed = board_words(data.absolute(), choice.machine, board)
    image = choice.image or recipe_folder().parent / ".image" / choice.machine
    settings = MachineSettings(
        folder=data.absolute(), image=image, machine=choice.machine, tpm=choice.tpm, enrolment=choice.enrolment
    )
    note(f"emulated without KVM: it starts slowly; services of this host are at {HOST_ADDRESS} for it")
    if choice.cores:
        note(f"beside it: {choice.cores} real-time cores, each {WHAT}")
    begun = time.monotonic()
    with (
        _link(data, choice) as link,
        attached_cores(choice.cores) as words,
        _switched_on(replace(settings, attached=(*handed, *words, *_words(link))), choice) as virtual,
    ):
        while virtual.is_on:
            for said in virtual.lines(within_s=_LOOK_S):
                line = said if link is None else link.hear(said) or said
                seconds = round(time.monotonic() - begun, 1)
                text = json.dumps({"s": seconds, "line": line}) if as_json else f"{seconds:6.1f}  {inert(line)}"
                sys.stdout.write(text + "\n")
                sys.stdout.flush()


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
