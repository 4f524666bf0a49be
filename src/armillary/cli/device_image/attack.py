# SPDX-License-Identifier: Apache-2.0
"""``armillary image attack``: plays attacks on a built device image, each on a machine of its own in QEMU."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

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
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed flips the same bits.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Attack the device image on this host.

    Changes bytes of a slot of a fresh disk and boots it: what was changed must never run, and the
    other slot has to come up. Then, where UEFI firmware starts the image, changes the firmware's
    variables, the partition table and the OS of a machine that is a device of a service of its own:
    it must not be attested with anything that was changed. Takes half a minute for each attack of
    the first kind, one to two for each of the others. Exits with 1 if one is accepted, or if the
    machine is not attested again once what was changed was put right.
    """
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415 - for this verb only

    built = image or recipe_folder().parent / ".image" / arch
    found = [*_on_slots(built), *_on_device(built, seed)]
    accepted = sum(one["accepted"] for one in found)
    lost = sum(not one["came_back"] for one in found)

    def print_text() -> None:
        more = f", {lost} times the machine did not come back" if lost else ""
        sys.stdout.write(f"{len(found)} attacks, {accepted} accepted{more}\n")

    Shown({"attacks": found, "accepted": accepted}, print_text, 1 if accepted or lost else 0).show(as_json=as_json)


def _on_slots(image: Path) -> Iterator[dict[str, Any]]:
    from armillary.device_image.attacks import play  # noqa: PLC0415 - for this verb only

    for outcome in play(image, within_s=WITHIN_S):
        came_up = f"slot {outcome.started} came up" if outcome.started else "nothing came up"
        _tell(outcome.seconds, accepted=outcome.accepted, said=f"{outcome.name}; {came_up}")
        yield {name: getattr(outcome, name) for name in ("name", "started", "accepted", "seconds")} | {
            "came_back": True
        }


def _on_device(image: Path, seed: int) -> Iterator[dict[str, Any]]:
    from armillary.cli.device_image.attacked_device import play_on_device  # noqa: PLC0415 - for this verb only
    from armillary.device_image.architecture.table import architecture_of  # noqa: PLC0415
    from armillary.device_image.tampering.attacks import attacks_on_device  # noqa: PLC0415

    if not architecture_of(image).has_uefi:
        return
    with tempfile.TemporaryDirectory(prefix="armillary-attacked-") as folder:
        for outcome in play_on_device(image, Path(folder), attacks_on_device(seed), within_s=WITHIN_S):
            back = "" if outcome.came_back else "; DID NOT COME BACK"
            _tell(outcome.seconds, accepted=outcome.accepted, said=f"{outcome.name}; {outcome.end.value}{back}")
            kept = {name: getattr(outcome, name) for name in ("name", "accepted", "seconds", "came_back")}
            yield kept | {"started": outcome.end.value}


def _tell(seconds: float, *, accepted: bool, said: str) -> None:
    word = "ACCEPTED" if accepted else "stopped"
    sys.stderr.write(f"{seconds:6.1f} s  {word:<8}  {said}\n")
