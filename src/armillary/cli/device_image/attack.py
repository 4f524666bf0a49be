# SPDX-License-Identifier: Apache-2.0
"""``armillary image attack``: plays attacks on a built device image, each on a machine of its own in QEMU."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.device_image.build import ArchitectureName
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)

# For one attack: two starts of an emulated machine, on a host that does much else.
WITHIN_S = 600.0


@app.command("attack")
def attack(
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    image: Annotated[
        Path | None, typer.Option("--image", metavar="DIR", help="A built image, .image/ARCHITECTURE if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Attack the device image on this host.

    Changes bytes of a slot of a fresh disk and boots it: what was changed must never run, and the
    other slot has to come up. Takes half a minute for each attack. Exits with 1 if one is accepted.
    """
    from armillary.device_image.attacks import play  # noqa: PLC0415 - for this verb only
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415

    outcomes = []
    for outcome in play(image or recipe_folder().parent / ".image" / arch, within_s=WITHIN_S):
        came_up = f"slot {outcome.started} came up" if outcome.started else "nothing came up"
        word = "ACCEPTED" if outcome.accepted else "stopped"
        sys.stderr.write(f"{outcome.seconds:6.1f} s  {word:<8}  {outcome.name}; {came_up}\n")
        outcomes.append(outcome)
    accepted = sum(outcome.accepted for outcome in outcomes)
    found = {
        "attacks": [
            {name: getattr(outcome, name) for name in ("name", "started", "accepted", "seconds")}
            for outcome in outcomes
        ],
        "accepted": accepted,
    }

    def print_text() -> None:
        sys.stdout.write(f"{len(outcomes)} attacks, {accepted} accepted\n")

    Shown(found, print_text, 1 if accepted else 0).show(as_json=as_json)
