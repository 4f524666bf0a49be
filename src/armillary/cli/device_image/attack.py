# SPDX-License-Identifier: Apache-2.0
"""``armillary image attack``: plays attacks on a built device image, each on a machine of its own in QEMU."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from armillary.cli.device_image.build import ArchitectureName
from armillary.cli.device_image.trial_keys import KeysOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, noun, table

if TYPE_CHECKING:
    from armillary.device_image.tampering.listing import Attacks

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
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same flips the same bits; what is expected was seen with 1.")
    ] = 1,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="TEXT", help="Attacks whose name contains this; repeatable. All if not given."),
    ] = None,
    keys: KeysOption = None,
    list_alone: Annotated[
        bool, typer.Option("--list", help="Print the attacks, what each changes and what is expected; play none.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Attack the device image on this host.

    Boots a fresh disk as it is, then fresh disks with changed bytes in a slot: what was changed must
    never run, and the other slot has to come up. Then, where UEFI firmware starts the image, changes
    the firmware's variables, the partition table and the OS of a machine that is a device of a
    service of its own: it must not be attested with anything that was changed. Takes half a minute
    for each attack of the first kind, one to three for each of the others, and up to ten for an older
    OS, which needs the keys that signed the image. Exits with 1 if one is
    accepted or has another outcome than expected, if the machine is not attested again once what was
    changed was put right, or if it does not come up before anything is changed.
    """
    from armillary.device_image.architecture.table import ARCHITECTURES, architecture_of  # noqa: PLC0415
    from armillary.device_image.power.later import signing_key  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415 - for this verb only
    from armillary.device_image.tampering.listing import every_attack  # noqa: PLC0415

    built = image or recipe_folder().parent / ".image" / arch
    if list_alone and image is None:
        target = ARCHITECTURES[arch]
    else:
        target = architecture_of(built, wanted=None if image else arch)
    chosen = every_attack(target, seed).chosen(only or [])
    if list_alone:
        _list(chosen).show(as_json=as_json)
        return
    if chosen.by_older_os:
        signing_key(built, keys)  # without it the last attacks could not be played, an hour later
    found = [*_on_slots(built, chosen), *_on_device(built, chosen, keys)]
    accepted = sum(one["accepted"] for one in found)
    lost = sum(not one.get("came_back", True) for one in found)
    others = sum(not one["as_expected"] for one in found)

    def print_text() -> None:
        more = f", {others} with another outcome than expected" if others else ""
        more += f", {lost} times the machine did not come back" if lost else ""
        sys.stdout.write(f"{len(found)} attacks, {accepted} accepted{more}\n")

    exit_code = 1 if accepted or others or lost else 0
    Shown({"attacks": found, "accepted": accepted}, print_text, exit_code).show(as_json=as_json)


def _list(chosen: Attacks) -> Shown:
    columns = ("name", "changes", "expected")
    rows = [{column: getattr(each, column) for column in columns} for each in chosen.listed()]
    return table(rows, columns, empty="No attacks.")


def _on_slots(image: Path, chosen: Attacks) -> Iterator[dict[str, Any]]:
    from armillary.device_image.attacks import check_unchanged, play  # noqa: PLC0415 - for this verb only
    from armillary.device_image.tampering.listing import comes_up  # noqa: PLC0415

    if not chosen.on_slots:
        return
    control = check_unchanged(image, within_s=WITHIN_S)
    _tell(control.seconds, "control", f"nothing is changed; slot {control.started} came up")
    expected = {each.name: each.comes_up for each in chosen.on_slots}
    for outcome in play(image, within_s=WITHIN_S, attacks=chosen.on_slots):
        came_up = f"slot {outcome.started} came up" if outcome.started else "nothing came up"
        other = _other_than(comes_up(expected[outcome.name]), comes_up(outcome.started))
        _tell(outcome.seconds, _came_of(accepted=outcome.accepted), f"{outcome.name}; {came_up}{other}")
        kept = {name: getattr(outcome, name) for name in ("name", "started", "accepted", "seconds")}
        yield kept | {"as_expected": not other}


def _on_device(image: Path, chosen: Attacks, keys: Path | None) -> Iterator[dict[str, Any]]:
    from armillary.cli.device_image.attacked_device import play_on_device  # noqa: PLC0415 - for this verb only

    if not chosen.on_device and not chosen.by_older_os:
        return
    expected = {each.name: each.expected for each in chosen.listed()}
    with tempfile.TemporaryDirectory(prefix="armillary-attacked-") as folder:
        for outcome in play_on_device(image, Path(folder), chosen, within_s=WITHIN_S, keys=keys):
            back = "" if outcome.came_back else "; DID NOT COME BACK"
            other = _other_than(expected[outcome.name], outcome.end.value)
            said = f"{outcome.name}; {outcome.end.value}{other}{back}"
            _tell(outcome.seconds, _came_of(accepted=outcome.accepted), said)
            kept = {name: getattr(outcome, name) for name in ("name", "accepted", "seconds", "came_back")}
            yield kept | {"started": outcome.end.value, "as_expected": not other}


def _other_than(expected: str, found: str) -> str:
    """What is said where something else came of an attack."""
    return "" if found == expected else f" (expected: {expected})"


def _came_of(*, accepted: bool) -> str:
    return "ACCEPTED" if accepted else "stopped"


def _tell(seconds: float, word: str, said: str) -> None:
    sys.stderr.write(f"{seconds:6.1f} s  {word:<8}  {said}\n")
