# SPDX-License-Identifier: Apache-2.0
"""``armillary image power-cuts``: cuts the power of a machine in QEMU again and again while it takes OS updates."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from armillary.cli.device_image.build import ArchitectureName
from armillary.cli.device_image.trial_keys import KeysOption
from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import Shown, note, noun
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.cli.device_image.trial_service import TrialService
    from armillary.device_image.power.cuts import Round

app = noun("Images of a catalog.")
app.callback(help="Images of a catalog.")(lambda: None)

# For one wait: an update and its start on an emulated machine, on a host that does much else.
WITHIN_S = 900.0
ROUNDS, CONSOLE, PLAN = "rounds.jsonl", "console.log", "plan.json"


class _Plan(msgspec.Struct):
    """What a folder was begun with: the seed of its cuts, SHA-256 of ``image.json``."""

    seed: int
    image_sha256: str


class _Kept(_Plan):
    """What is counted of a round that was kept, and of which plan it is."""

    phase: str
    came_back: bool
    taken_back: bool


@app.command("power-cuts")
def power_cuts(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="The machine, its service and the rounds that were played.")
    ] = Path("power-cuts"),
    times: Annotated[int, typer.Option("--times", min=1, metavar="N", help="Rounds in all.")] = 20,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="The same seed plans the same cuts.")] = 1,
    arch: Annotated[ArchitectureName, typer.Option("--arch", help="Architecture of the device.")] = "x86_64",
    image: Annotated[
        Path | None, typer.Option("--image", metavar="DIR", help="A built image, .image/ARCHITECTURE if not given.")
    ] = None,
    keys: KeysOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cut the power of a machine while it takes OS updates.

    A machine in QEMU enrols at a service that is started for it, and takes one update after the
    other. In each round machine and TPM are killed at a random instant, spread evenly over the
    phases of an update, and switched on again: the device has to run and to be attested. It takes
    one to two minutes for each round, and goes on where it stopped when it is started with the same
    folder, image and seed again. Exits with 1 if the machine does not come back, or does not get
    to the phase that was planned.
    """
    from armillary.cli.device_image.trial_service import TrialService  # noqa: PLC0415 - for this verb only
    from armillary.device_image.architecture import description  # noqa: PLC0415
    from armillary.device_image.architecture.table import architecture_of  # noqa: PLC0415
    from armillary.device_image.power.later import signing_key  # noqa: PLC0415
    from armillary.device_image.power.phases import CUT  # noqa: PLC0415
    from armillary.device_image.recipe import recipe_folder  # noqa: PLC0415
    from armillary.device_image.tools import digest_of  # noqa: PLC0415

    rounds = _known(folder / ROUNDS)
    begun = [*_begun(folder / PLAN), *rounds]
    _check_same(folder, begun, {"seed": seed})
    if len(rounds) < times:
        built = image or recipe_folder().parent / ".image" / arch
        architecture_of(built, wanted=None if image else arch)  # before a folder is made
        signing_key(built, keys)
        plan = {"seed": seed, "image_sha256": digest_of(built / description.FILE)}
        _check_same(folder, begun, plan)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        service = TrialService(folder.absolute() / "service", built, keys=keys)  # it refuses a folder of another's
        (folder / PLAN).write_text(json.dumps(plan), "utf-8")
        note(f"round {len(rounds) + 1} of {times}, seed {seed}, in {folder}")
        _play(folder.absolute(), built, service, plan, times, rounds)
    back = sum(each["came_back"] for each in rounds)
    found = {
        "rounds": len(rounds),
        "came_back": back,
        "by_phase": dict.fromkeys((phase.value for phase in CUT), 0) | Counter(each["phase"] for each in rounds),
        "taken_back": sum(each["taken_back"] for each in rounds),
    }

    def print_text() -> None:
        phases = ", ".join(f"{name} {count}" for name, count in found["by_phase"].items())
        sys.stdout.write(f"{back} of {len(rounds)} came back and were attested; cut in {phases}\n")

    Shown(found, print_text, 0 if back == len(rounds) else 1).show(as_json=as_json)


def _begun(file: Path) -> list[dict[str, Any]]:
    """What the folder was begun with, if it was; InvalidArgumentError if the file does not say it."""
    try:
        return [msgspec.to_builtins(msgspec.json.decode(file.read_bytes(), type=_Plan))]
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise InvalidArgumentError(
            f"{file}: expected the seed and the image that its folder was begun with: {error}",
            remedy="Name another folder: --folder DIR.",
        ) from error


def _check_same(folder: Path, begun: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
    """Rounds of one folder are of one plan and one image; InvalidArgumentError if it was begun with another."""
    for each in begun:
        for name, value in wanted.items():
            if each[name] != value:
                raise InvalidArgumentError(
                    f"{folder}: was begun with another {name}: expected {value}, got {each[name]}",
                    remedy="Give what it was begun with, or name another folder: --folder DIR.",
                )


def _play(
    folder: Path, image: Path, service: TrialService, plan: dict[str, Any], times: int, rounds: list[dict[str, Any]]
) -> None:
    from armillary.device_image.architecture.table import architecture_of  # noqa: PLC0415 - for this verb only
    from armillary.device_image.power.cuts import Bench, play  # noqa: PLC0415
    from armillary.device_image.virtual_machine import MachineSettings, prepare  # noqa: PLC0415
    from armillary.errors import HostError  # noqa: PLC0415

    told, target = folder / "enrolment.json", architecture_of(image)
    settings = MachineSettings(folder=folder / "machine", image=image, machine=target.name, enrolment=told)
    prepare(settings)
    with contextlib.ExitStack() as stack:
        stack.callback(service.close)
        console = stack.enter_context((folder / CONSOLE).open("a", encoding="utf-8", buffering=1))
        bench = Bench(settings, service, within_s=WITHIN_S, heard=lambda line: console.write(f"{line}\n"))
        stack.callback(bench.close)
        service.start()
        service.prepare(settings.folder, told)
        if not bench.come_up():
            when = f"after its power went with the command of round {len(rounds)}" if rounds else "before any cut"
            raise HostError(f"the machine is not attested {when}", remedy=f"Look into {folder / CONSOLE}.")
        for played in play(bench, seed=plan["seed"], begin=len(rounds), times=times):
            rounds.append(_kept(played) | plan)
            with (folder / ROUNDS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(rounds[-1]) + "\n")
            _tell(played)


def _tell(played: Round) -> None:
    word = "back" if played.came_back else "NOT BACK"
    came = f"slot {played.slot or '-'}, {played.verdict or 'not attested'} after {played.back_s:.1f} s"
    if not played.reached:
        came = f"not cut, it did not get to {played.planned.value}"
    taken_back = ", update reverted" if played.taken_back else ""
    when = f"{played.phase.value:<8} + {played.after_s:5.1f} s"
    sys.stderr.write(f"{played.number + 1:4d}  {when}  {word}: {came}{taken_back}\n")
    if not played.came_back:
        sys.stderr.write("".join(f"      {line}\n" for line in played.lines))


def _kept(played: Round) -> dict[str, Any]:
    """A round as it is kept: without the console's lines of one that came back."""
    values = dataclasses.asdict(played) | {"came_back": played.came_back}
    if played.came_back:
        del values["lines"]
    return {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}


def _known(file: Path) -> list[dict[str, Any]]:
    """Rounds that were played before; InvalidArgumentError if the folder is none, or a line is no round."""
    if file.parent.exists() and not file.parent.is_dir():
        raise InvalidArgumentError(f"--folder {file.parent}: expected a folder, got a file", remedy="Name a folder.")
    if not file.exists():
        return []
    rounds = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            rounds.append(msgspec.json.decode(line, type=dict[str, Any]))
            msgspec.convert(rounds[-1], _Kept)
        except msgspec.MsgspecError as error:
            raise InvalidArgumentError(
                f"{file}:{number}: expected a round that was played, got {line[:80]!r}: {error}",
                remedy="Remove the line, or name another folder: --folder DIR.",
            ) from error
    return rounds
