# SPDX-License-Identifier: Apache-2.0
"""The coffee machines of a store: shots, what is due, commands that are allowed and one that is not.

Time in the machines passes SPEED times faster; each step that depends on it says so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from armillary.cli.guardian.recipe import desired_recipe
from armillary.cli.guardian.story.pieces import Piece
from armillary.cli.guardian.story.setting import Setting, alerts, reported, values
from armillary.cli.guardian.story.site import GUARDIAN, Site, made_in
from armillary.cli.story.catalog import CATALOG
from armillary.cli.story.playing import Story, require
from armillary.content.equipment import load
from armillary.sim.equipment.layout import words_of
from armillary.wire.equipment.files.recipe_file import RecipeFile
from armillary.wire.equipment.files.signing import read_private_key, sign
from armillary.wire.equipment.modbus import write_register_request
from armillary.wire.equipment.modbus_framing import tcp_frame
from armillary.wire.equipment.profile import ModbusAddress
from armillary.wire.equipment.signed_file import RECIPE

SPEED: Final = 10
FIRST, SECOND = "espresso1", "espresso2"
UNGUARDED: Final = "espresso3"
LEAST_POINTS: Final = 12  # of a shot
SHOTS: Final = 3
ALLOWED_C: Final = 93.5
HARMFUL_C: Final = 140.0
COMMAND: Final = "setBrewTemp"
GROUP, JOB = "espresso-machines", "espresso-recipe"
RECIPE_SLOT: Final = 3
RECIPE_VALUES: Final[Mapping[str, float]] = {
    "recipeNumber": 12, "brewTemp": 91.5, "preInfusionTime": 4, "preInfusionPressure": 2.5, "brewPressure": 8.5,
    "doseWeight": 18.5, "grindTime": 3.1, "shotVolume": 38, "shotTime": 28, "flowLimit": 6, "milkTemp": 60,
    "beanHopper": 2,
}  # fmt: skip
_OPTIONS: Final = ("--speed", str(SPEED))

_FIRST_DUE: Final = ("cleaning 13", "filter 59.55")
SETTING: Final = Setting(
    pieces=(
        Piece(FIRST, "coffee", "UART1", (*_OPTIONS, "--seed", "1"), (("Store", "Harbour"),), _FIRST_DUE),
        Piece(SECOND, "coffee", "UART2", (*_OPTIONS, "--seed", "2"), (("Store", "Station"),)),
    ),
    words="two espresso machines on Modbus RTU",
)


def pull_shots(stage: Site) -> str:
    """Shots are events with what was measured of them."""
    for _ in range(SHOTS):
        before = values(stage, FIRST).get("shotsTotal")
        for name in (FIRST, SECOND):
            stage.tell(name, "brew")
        stage.wait("a shot", lambda before=before: _idle_after(stage, before))  # type: ignore[misc]
    shot = stage.wait("the shot", lambda: _shot(values(stage, FIRST)))
    require(len(shot) > LEAST_POINTS, f"a shot has {len(shot)} values")
    return (
        f"{SHOTS} shots of each, {len(shot)} values of each shot: {shot['shotVolume']:g} ml in {shot['shotTime']:g} s "
        f"at {shot['brewTemp']:g} °C, {shot['doseWeight']:g} g (time passes {SPEED} times faster)"
    )


def _idle_after(stage: Site, before: Any) -> bool:
    found = values(stage, FIRST), values(stage, SECOND)
    return found[0].get("shotsTotal") != before and all(each.get("state") == "idle" for each in found)


def _shot(found: dict[str, Any]) -> dict[str, Any] | None:
    shot = {name.removeprefix("shot."): value for name, value in found.items() if name.startswith("shot.")}
    return shot if len(shot) > LEAST_POINTS else None


def predict(stage: Site) -> str:
    """Cleaning and filter are predicted from how fast what is left goes down; the hub's rules say so."""
    due = stage.wait("the predictions", lambda: _due(values(stage, FIRST)))
    alert = stage.wait("the alert", lambda: alerts(stage, "coffee-cleaning-due"))[0]
    return (
        f"{due['shotsToClean']:g} shots to cleaning, due in {due['cleaningDue']:.0f} s; filter has "
        f"{due['scaleFilterLeft']:g} l, due in {due['filterDue']:.0f} s (at {SPEED} times the speed); "
        f"alert: {alert['rule_name']}"
    )


def _due(found: dict[str, Any]) -> dict[str, Any] | None:
    names = ("shotsToClean", "cleaningDue", "scaleFilterLeft", "filterDue")
    return {name: found[name] for name in names} if all(name in found for name in names) else None


def command(stage: Site) -> str:
    """A command within its range is done and read back."""
    device = stage.devices[GUARDIAN].device_id
    answer = stage.command("guardian", "command", device, FIRST, COMMAND, ALLOWED_C)
    stands = stage.tell(FIRST, "show")["settings"][COMMAND]
    require(answer["verified"] is True, f"it was not read back: {answer}")
    require(abs(stands - ALLOWED_C) < 0.05, f"the machine is set to {stands}")
    return f"{COMMAND} {ALLOWED_C:g}: done, read back; the machine stands at {stands:g} °C"


def refuse(stage: Site) -> str:
    """One that would hurt the machine is refused, whoever asks, and stands in the audit of attempts."""
    device = stage.devices[GUARDIAN].device_id
    said = stage.refused("guardian", "command", device, SECOND, COMMAND, HARMFUL_C)
    require("rule value" in said, f"it was not refused by its value: {said}")
    attempt = stage.wait("the attempt", lambda: _refused(stage))
    stage.wait("the alert", lambda: alerts(stage, "coffee-refused"))
    shown = stage.tell(SECOND, "show")
    require("harmed" not in shown, f"the machine was harmed: {shown.get('harmed')}")
    require(shown["settings"][COMMAND] != HARMFUL_C, "the machine took the value")
    return f"{COMMAND} {HARMFUL_C:g}: refused by rule {attempt['rule']}, in the audit, an alert; nothing was sent"


def _refused(stage: Site) -> dict[str, Any] | None:
    section = reported(stage, None).get("guardian", {}).get("equipment", {}).get(SECOND, {})
    found = (each for each in section.get("attempts", ()) if each["outcome"] == "refused")
    return next(found, None)


def wanted_recipe(stage: Site) -> dict[str, Any]:
    """The desired properties that bring a machine the winter's recipe, signed with this play's key."""
    key = read_private_key((stage.folder / "developer" / "signing.pem").read_bytes())
    recipe = RecipeFile(profile=load("coffee").name, name="Winter", version=1, slot=RECIPE_SLOT, values=RECIPE_VALUES)
    return {"recipe": desired_recipe(sign(RECIPE, recipe.payload, key))}


def push_a_recipe(stage: Site) -> str:
    """A signed recipe goes to the group of machines by a job; each takes it when it is idle, and reads it back."""
    job = {
        "name": "Winter recipe",
        "group": GROUP,
        "catalog": CATALOG,
        "action": {"kind": "set-property", "properties": wanted_recipe(stage)},
    }
    stage.client.put(f"/jobs/{JOB}", job)
    run = stage.client.post(f"/jobs/{JOB}/runs", {})["number"]
    over = stage.wait("the end of the job", lambda: _over(stage.client.get(f"/jobs/{JOB}/runs/{run}")))
    require(over["counts"]["succeeded"] == len(SETTING.pieces), f"the job: {over['counts']}")
    for piece in SETTING.pieces:
        stage.wait(f"the recipe of {piece.name}", lambda name=piece.name: _taken(stage, name))  # type: ignore[misc]
    stands = stage.tell(SECOND, "show")["settings"][COMMAND]
    require(abs(stands - RECIPE_VALUES["brewTemp"]) < 0.05, f"the machine brews at {stands}")
    return (
        f"one signed recipe to the {over['counts']['succeeded']} machines of {GROUP}; each brews at {stands:g} °C by it"
    )


def _over(run: dict[str, Any]) -> dict[str, Any] | None:
    return None if run["state"] in ("running", "waiting") else run


def _taken(stage: Site, name: str) -> bool:
    return recipe_taken(reported(stage, name))


def recipe_taken(properties: Mapping[str, Any]) -> bool:
    """Whether a machine reports that it has the recipe. Raises SceneError if it has refused it."""
    told = properties.get("recipe", {})
    require(told.get("ac") in (None, 200, 202), f"the recipe was not taken: {told.get('ad')}")
    return bool(told.get("ac") == 200 and told["value"]["version"] == 1)


def go_back(stage: Site) -> str:
    """What stands in the slot is read; the recipe before comes back when somebody says so."""
    device = stage.devices[GUARDIAN].device_id
    read = stage.command("guardian", "recipe", "show", device, FIRST, "--slot", RECIPE_SLOT)["values"]
    require(
        all(abs(float(read[name]) - value) < 0.05 for name, value in RECIPE_VALUES.items()), f"the slot holds {read}"
    )
    stage.command("guardian", "recipe", "rollback", device, FIRST)
    after = stage.command("guardian", "recipe", "show", device, FIRST, "--slot", RECIPE_SLOT)["values"]
    require(after["brewTemp"] != read["brewTemp"], "the recipe before did not come back")
    return (
        f"slot {RECIPE_SLOT} of {FIRST} read back: {len(read)} values; rolled back: brewTemp {read['brewTemp']:g} -> "
        f"{after['brewTemp']:g} °C"
    )


def hurt_without_a_guard(stage: Site) -> str:
    """The control: the same value, written to a machine that anybody on its network reaches."""
    stage.begin_equipment(UNGUARDED, "coffee", "--tcp", "0", *_OPTIONS)
    where = stage.where(UNGUARDED)
    place = next(each for each in load("coffee").commands if each.name == COMMAND)
    if not isinstance(place.address, ModbusAddress):
        raise TypeError("the command is on no register")
    word = words_of(place.raw, HARMFUL_C, place.scale)[0]
    with socket.create_connection((where["host"], where["port"]), 10) as wire:
        wire.sendall(tcp_frame(1, where["unit"], write_register_request(place.address.address, word)))
        wire.recv(300)
    harmed = stage.wait("the harm", lambda: stage.tell(UNGUARDED, "show").get("harmed"))
    return f"the same value written to a third machine without a guardian: {harmed}"


SCENES: tuple[tuple[str, Callable[[Site], str]], ...] = (
    ("service started", SETTING.start_the_service),
    ("machines plugged in", SETTING.plug_in),
    ("guardian installed in its sandbox", SETTING.install),
    ("machines registered in the hub", SETTING.register),
    ("every point live", SETTING.hear),
    ("shots pulled", pull_shots),
    ("cleaning and filter predicted", predict),
    ("command in its range done and read back", command),
    ("command out of its range refused", refuse),
    ("recipe pushed to a group by a job", push_a_recipe),
    ("recipe read back and rolled back", go_back),
    ("control: without a guardian it is done", hurt_without_a_guard),
)
STORY: Final = Story("coffee", made_in, SCENES)
