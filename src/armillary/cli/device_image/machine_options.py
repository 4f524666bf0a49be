# SPDX-License-Identifier: Apache-2.0
"""The options of ``armillary device boot`` by which it boots a machine with the device image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from armillary.cli.terminal.together import Together

_OPTIONS: dict[str, tuple[Any, object]] = {
    "machine": (
        Annotated[
            Literal["x86_64", "arm64", "imx8mp", "armhf"] | None,
            typer.Option("--machine", help="Boot the device image in QEMU; --data is the machine's folder then."),
        ],
        None,
    ),
    "image": (
        Annotated[
            Path | None,
            typer.Option("--image", metavar="DIR", help="With --machine: a built image, .image/MACHINE if not given."),
        ],
        None,
    ),
    "enrolment": (
        Annotated[
            Path | None,
            typer.Option("--enrolment", metavar="FILE", help="With --machine: JSON that says whose device it becomes."),
        ],
        None,
    ),
    "cores": (
        Annotated[
            int,
            typer.Option(
                "--cores",
                min=0,
                max=4,
                metavar="NUMBER",
                help="With --machine: real-time cores beside it, a stand-in for a chip's.",
            ),
        ],
        0,
    ),
    "modem": (
        Annotated[
            bool,
            typer.Option("--modem", help="With --machine: its only network is that of a simulated cellular modem."),
        ],
        False,
    ),
    "service_link": (
        Annotated[
            bool,
            typer.Option(
                "--service-link", help="With --machine: its own API for tools of this host, as by a cable to it."
            ),
        ],
        False,
    ),
    "tpm": (Annotated[bool, typer.Option("--tpm/--no-tpm", help="With --machine: whether it has a TPM.")], True),
}


@dataclass(frozen=True, slots=True)
class MachineChoice:
    """Which machine to boot, and with what."""

    machine: str
    image: Path | None
    enrolment: Path | None
    tpm: bool
    cores: int
    modem: bool
    service_link: bool = False


def _choice(
    _: object,
    *,
    machine: str | None,
    image: Path | None,
    enrolment: Path | None,
    tpm: bool,
    cores: int,
    modem: bool,
    service_link: bool,
) -> MachineChoice | None:
    if machine is None:
        if image is not None or enrolment is not None or cores or modem or service_link:
            raise typer.BadParameter("--image, --enrolment, --cores, --service-link and --modem go with --machine")
        return None
    return MachineChoice(machine, image, enrolment, tpm, cores, modem, service_link)


MachineOptions = Annotated[MachineChoice | None, Together(_OPTIONS, _choice)]
