# SPDX-License-Identifier: Apache-2.0
"""A charging cable that feels itself: 32 zones, alarms with hysteresis, damage that is located. Read only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from armillary.cli.guardian.story.pieces import Piece
from armillary.cli.guardian.story.setting import Setting, alerts, values
from armillary.cli.guardian.story.site import GUARDIAN, Site, made_in
from armillary.cli.story.playing import Story, require
from armillary.content.equipment import load
from armillary.guard.compiling import compile_profile
from armillary.sim.equipment.cable import PITCH_M, ZONES

CABLE: Final = "cable1"
WARMED_M: Final = 61.0
DAMAGED_M: Final = 37.4
WITHIN_M: Final = 1.0
WITHIN_S: Final = 2.0
WATCHED_S: Final = 1.5  # how long an alarm is watched that must stay as it is
GIVEN_UP_S: Final = 20.0
LOOK_S: Final = 0.01

SETTING: Final = Setting(
    pieces=(Piece(CABLE, "cable", cloud=(("Site", "Harbour"), ("Charger", "7"))),),
    words="a sensing cable of 80 m on Modbus TCP",
)


def show_the_zones(stage: Site) -> str:
    """Every zone has its temperature, strain, moisture and signal."""
    found = values(stage, CABLE)
    warmest = max(range(ZONES), key=lambda zone: float(found[f"zone{zone}_temperature"]))
    strained = max(range(ZONES), key=lambda zone: float(found[f"zone{zone}_strain"]))
    return (
        f"{ZONES} zones of {PITCH_M:g} m; warmest: zone {warmest}, {found[f'zone{warmest}_temperature']:g} °C; "
        f"most strained: zone {strained}, {found[f'zone{strained}_strain']:g} microstrain"
    )


def raise_and_clear(stage: Site) -> str:
    """An alarm is raised above its limit, stays while it is only a little cooler, and is cleared below the other."""
    stage.tell(CABLE, f"heat {WARMED_M:g}")
    alarm = stage.wait("the alarm", lambda: _alarm(stage, "hot", "raised"))
    require(abs(alarm["position"] - WARMED_M) <= PITCH_M / 2, f"the alarm is at {alarm['position']} m")
    stage.tell(CABLE, f"warm {WARMED_M:g}")
    zone = int(WARMED_M / PITCH_M)
    stage.wait("the cooler zone", lambda: float(values(stage, CABLE)[f"zone{zone}_temperature"]) < alarm["limit"])
    watched = time.monotonic() + WATCHED_S
    while time.monotonic() < watched:
        require(_alarm(stage, "hot", "raised") is not None, "the alarm was cleared between its two limits")
        time.sleep(LOOK_S)
    stage.tell(CABLE, "mend")
    stage.wait("the end of the alarm", lambda: _alarm(stage, "hot", "cleared"))
    stage.wait("the alert", lambda: alerts(stage, "cable-hot"))
    return f"raised at {alarm['value']:g} °C at {alarm['position']:g} m, kept at 87 °C, cleared below 85 °C"


def locate_damage(stage: Site) -> str:
    """Something falls onto the cable: the hub knows within two seconds, and where to a metre."""
    before = len(alerts(stage, "cable-hot") or ())
    began = time.monotonic()
    stage.tell(CABLE, f"damage {DAMAGED_M:g}")
    while not _is_raised(values(stage, CABLE)):
        require(time.monotonic() < began + GIVEN_UP_S, f"no alarm within {GIVEN_UP_S:g} s")
        time.sleep(LOOK_S)
    told_s = time.monotonic() - began
    located = stage.wait("the place", lambda: values(stage, CABLE).get("damagePosition") or None)
    off = abs(float(located) - DAMAGED_M)
    require(off < WITHIN_M, f"located at {located} m, it is at {DAMAGED_M} m")
    require(told_s < WITHIN_S, f"the alarm took {told_s:.2f} s")
    stage.wait("the alerts", lambda: alerts(stage, "cable-damaged") and len(alerts(stage, "cable-hot") or ()) > before)
    return f"alarm in the hub after {told_s:.2f} s, hold included; located at {located:g} m, {off * 100:.0f} cm off"


def _is_raised(found: dict[str, Any]) -> bool:
    return found.get("alarm.state") == "raised" and found.get("damage") not in (None, "none")


def _alarm(stage: Site, name: str, state: str) -> dict[str, Any] | None:
    found = {
        key.removeprefix("alarm."): value for key, value in values(stage, CABLE).items() if key.startswith("alarm.")
    }
    return found if (found.get("name"), found.get("state")) == (name, state) else None


def never_write(stage: Site) -> str:
    """The profile has no command: nothing is let through that is not a read."""
    allow = compile_profile(load("cable")).allow
    require(not allow.writes, f"the profile lets writes through: {allow.writes}")
    said = stage.refused("guardian", "command", stage.devices[GUARDIAN].device_id, CABLE, "setCurrent", 10)
    require("rule read-only" in said, f"a command was not refused as read-only: {said}")
    return "no write is on the allow-list; a command that somebody makes up is refused by rule read-only"


SCENES: tuple[tuple[str, Callable[[Site], str]], ...] = (
    ("service started", SETTING.start_the_service),
    ("cable plugged in", SETTING.plug_in),
    ("guardian installed in its sandbox", SETTING.install),
    ("cable registered in the hub", SETTING.register),
    ("every point live", SETTING.hear),
    ("32 zones shown", show_the_zones),
    ("alarm with hysteresis", raise_and_clear),
    ("damage heard of and located", locate_damage),
    ("nothing is ever written", never_write),
)
STORY: Final = Story("cable", made_in, SCENES)
