# SPDX-License-Identifier: Apache-2.0
"""Sanitiser dispensers of two wards: use, compliance, refill, battery, nobody's name, and a night without a network."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from armillary.cli.guardian.story.pieces import Piece
from armillary.cli.guardian.story.setting import Setting, alerts, raw_values, values
from armillary.cli.guardian.story.site import GUARDIAN, Site, made_in
from armillary.cli.story.playing import Story, require
from armillary.content.equipment import load
from armillary.wire.equipment.profile_reader import canonical, profile_document

EAST, WEST = "dispenser1", "dispenser2"
WARDS: Final = {EAST: "Ward East", WEST: "Ward West"}
VISITS: Final = 18
# A night: who comes is played in so many seconds; a real one is ten hours.
NIGHT_ROUNDS: Final = 6
NIGHT_STEP_S: Final = 0.5
DOSE_ML: Final = 1.2

SETTING: Final = Setting(
    pieces=(
        Piece(EAST, "dispenser", "UART1", ("--seed", "1"), (("Ward", WARDS[EAST]), ("Place", "Door 3"))),
        Piece(WEST, "dispenser", "UART2", ("--seed", "2"), (("Ward", WARDS[WEST]), ("Place", "Door 11"))),
    ),
    words="two dispensers of two wards on framed serial lines",
)


def begin_the_shift(stage: Site) -> str:
    """Until somebody passes nothing is known of opportunities: a first one at each."""
    for name in WARDS:
        stage.tell(name, "visit 1")
        stage.tell(name, "dose")
    heard = SETTING.hear(stage)
    stage.notes["before"] = {name: _counts(stage, name) for name in WARDS}
    return heard


def use_them(stage: Site) -> str:
    """People pass; some take a dose. Compliance is dispenses an opportunity, of a ward."""
    stage.tell(EAST, f"visit {VISITS}")
    stage.tell(WEST, f"visit {VISITS // 3}")
    stage.tell(WEST, f"pass {VISITS - VISITS // 3}")
    ratios = {}
    for name, ward in WARDS.items():
        stage.wait(f"the uses of {name}", lambda name=name: _agrees(stage, name))  # type: ignore[misc]
        doses, passages = (
            now - before for now, before in zip(_counts(stage, name), stage.notes["before"][name], strict=True)
        )
        require(passages == VISITS, f"{name} counted {passages} of {VISITS}")
        ratios[ward] = doses / passages
    members = {ward: stage.client.get(f"/groups/dispensers-{_slug(ward)}/members")["items"] for ward in ratios}
    require(all(len(each) == 1 for each in members.values()), f"the wards' groups: {members}")
    shown = ", ".join(f"{ward} {100 * ratio:.0f} %" for ward, ratio in ratios.items())
    return f"{VISITS} opportunities in each ward: {shown} took a dose"


def _slug(ward: str) -> str:
    return ward.lower().replace(" ", "-")


def _counts(stage: Site, name: str) -> tuple[int, int]:
    """Dispenses and opportunities as the hub has them."""
    found = values(stage, name)
    return int(found["dispenseCount"]), int(found["opportunityCount"])


def _truth(stage: Site, name: str) -> tuple[int, int]:
    """The same as the machine has them."""
    found = stage.tell(name, "show")["values"]
    return int(found["dispenseCount"]), int(found["opportunityCount"])


def _agrees(stage: Site, name: str) -> bool:
    return _counts(stage, name) == _truth(stage, name)


def run_low(stage: Site) -> str:
    """Refill and battery go down: alerts for the round of the day."""
    stage.tell(EAST, "refill 8")
    stage.tell(WEST, "battery 4.6")
    found = {rule: stage.wait(rule, lambda rule=rule: alerts(stage, rule)) for rule in _LOW}  # type: ignore[misc]
    to_refill = stage.client.get("/groups/dispensers-to-refill/members")["items"]
    require(len(to_refill) == 1, f"{len(to_refill)} dispensers are to be refilled")
    said = ", ".join(str(each[0]["rule_name"]).lower() for each in found.values())
    stage.tell(EAST, "refill 100")
    return f"alerts: {said}; one dispenser is in the group of those to refill"


_LOW: Final = ("dispenser-refill-low", "dispenser-battery-low")


def set_the_dose(stage: Site) -> str:
    """A dose in its range is set and shown by the dispenser; one out of it is refused."""
    device = stage.devices[GUARDIAN].device_id
    answer = stage.command("guardian", "command", device, EAST, "setDose", DOSE_ML)
    require(answer["verified"] is True, f"it was not shown: {answer}")
    said = stage.refused("guardian", "command", device, EAST, "setDose", 5)
    require("rule value" in said, f"5 ml were not refused by the value: {said}")
    return f"setDose {DOSE_ML:g} ml done and shown; 5 ml refused by rule value"


def name_nobody(stage: Site) -> str:
    """A profile whose point names a person is refused, before it comes near a guardian."""
    profile = load("dispenser")
    first, *others = profile.points
    wrong = replace(profile, points=(replace(first, name="staffName"), *others))
    file = stage.folder / "persons.json"
    file.write_bytes(canonical(profile_document(wrong)))
    said = stage.refused("guardian", "profile", "check", file)
    require("staffName (rule person-data)" in said, f"the profile was not refused by its rule: {said}")
    names = {each for name in WARDS for each in values(stage, name)}
    require(not any("name" in each.lower() or "badge" in each.lower() for each in names), f"values: {names}")
    return (
        f"a profile with the point staffName is refused; the {len(names)} values of both wards say nothing of persons"
    )


def last_a_night(stage: Site) -> str:
    """The network is gone for a night: everything is kept, and comes later, once."""
    began = {name: _truth(stage, name)[0] for name in WARDS}
    stage.stop_service()
    for _ in range(NIGHT_ROUNDS):
        for name in WARDS:
            stage.tell(name, "visit 2")
            stage.tell(name, "dose")
        time.sleep(NIGHT_STEP_S)
    truth = {name: _truth(stage, name)[0] for name in WARDS}
    require(all(truth[name] > began[name] for name in WARDS), "nobody came in the night")
    stage.start_service()
    for name in WARDS:
        stage.wait(f"the night of {name}", lambda name=name: _whole(stage, name, truth[name]))  # type: ignore[misc]
    kept = sum(truth[name] - began[name] for name in WARDS)
    doubles = {name: _doubles(raw_values(stage, name, "dispenseCount")) for name in WARDS}
    require(not any(doubles.values()), f"came twice: {doubles}")
    told = ", ".join(f"{ward} {values(stage, name)['complianceRatio']:.2f}" for name, ward in WARDS.items())
    return (
        f"{kept} dispenses of a night that was played in {NIGHT_ROUNDS * NIGHT_STEP_S:.0f} s, without the service: "
        f"each in the hub, none twice; compliance of the hour: {told}"
    )


def _whole(stage: Site, name: str, last: int) -> bool:
    """Whether every dispense since the first that the hub knows is there."""
    found = {int(value) for _, value in raw_values(stage, name, "dispenseCount")}
    return bool(found) and found >= set(range(min(found), last + 1))


def _doubles(found: list[tuple[int, Any]]) -> list[int]:
    """Counts of dispenses that came more than once: each is said by one frame alone."""
    return [value for value, times in Counter(int(value) for _, value in found).items() if times > 1]


SCENES: tuple[tuple[str, Callable[[Site], str]], ...] = (
    ("service started", SETTING.start_the_service),
    ("dispensers plugged in", SETTING.plug_in),
    ("guardian installed in its sandbox", SETTING.install),
    ("dispensers registered in the hub", SETTING.register),
    ("every point live", begin_the_shift),
    ("compliance by ward", use_them),
    ("refill and battery run low", run_low),
    ("dose set in its range alone", set_the_dose),
    ("nobody is named", name_nobody),
    ("a night without a network", last_a_night),
)
STORY: Final = Story("dispenser", made_in, SCENES)
