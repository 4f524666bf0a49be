# SPDX-License-Identifier: Apache-2.0
"""What happens in simulated machines when time passes and when something befalls them."""

from __future__ import annotations

import pytest

from armillary.errors import InvalidArgumentError
from armillary.sim.equipment.cable import PITCH_M, ZONES, SensingCable, zone_at
from armillary.sim.equipment.coffee import FOLLOWS, SHOTS_TO_CLEANING, CoffeeMachine, State
from armillary.sim.equipment.dispenser import FAULT_MOTOR, Dispenser
from armillary.sim.equipment.machine import Machine, advance, befall


def state_after(machine: CoffeeMachine, seconds: float) -> State:
    advance(machine, seconds)
    return State(int(machine.values()["state"]))


def test_a_shot_is_ground_brewed_and_counted() -> None:
    machine = CoffeeMachine(1)
    before = machine.values()
    befall(machine, "brew", 0)
    assert state_after(machine, 1) is State.GRINDING
    assert state_after(machine, 8) is State.BREWING
    assert 4 < machine.values()["brewPressure"] <= 9.1
    assert state_after(machine, 60) is State.IDLE
    after = machine.values()
    assert after["shotVolume"] == pytest.approx(36, abs=0.5)
    assert after["doseWeight"] == pytest.approx(18, abs=0.5)
    assert 15 < after["shotTime"] < 45
    assert 60 < after["cupTemp"] < 75
    assert after["shotsTotal"] == before["shotsTotal"] + 1
    assert after["scaleFilterLeft"] < before["scaleFilterLeft"]
    assert after["shotsToClean"] == before["shotsToClean"] - 1
    assert not machine.harmed


def test_cleaning_counts_and_begins_anew() -> None:
    machine = CoffeeMachine(1)
    machine.command("startClean", True)
    assert state_after(machine, 1) is State.CLEANING
    befall(machine, "brew", 0)  # nobody brews while it is cleaned
    assert state_after(machine, 60) is State.IDLE
    assert machine.values()["shotsToClean"] == SHOTS_TO_CLEANING
    assert machine.values()["cleanCycles"] == CoffeeMachine(1).values()["cleanCycles"] + 1


@pytest.mark.parametrize("state", list(FOLLOWS))
def test_every_state_that_ends_by_itself_ends(state: State) -> None:
    machine = CoffeeMachine(1)
    if state is State.HEATING:
        machine.restart()
    elif state is State.CLEANING:
        machine.command("startClean", True)
    else:
        befall(machine, "brew", 0)
    assert state_after(machine, 120) is State.IDLE


def test_a_machine_is_the_same_however_often_one_looks() -> None:
    often, seldom = CoffeeMachine(3), CoffeeMachine(3)
    for machine in (often, seldom):
        befall(machine, "brew", 0)
    for _ in range(400):
        advance(often, 0.05)
    advance(seldom, 20)
    assert often.values()["shotVolume"] == pytest.approx(seldom.values()["shotVolume"])


def test_damage_heats_its_zone_and_is_located_within_a_metre() -> None:
    for seed in range(200):
        cable = SensingCable(seed)
        place = 37.4
        befall(cable, "damage", place)
        values = cable.values()
        assert abs(values["damagePosition"] - place) < 1
        hot = [zone for zone in range(ZONES) if values[f"zone{zone}_temperature"] > 90]
        assert hot == [zone_at(place)]
        assert abs((hot[0] + 0.5) * PITCH_M - place) <= PITCH_M / 2
        befall(cable, "mend", 0)
        assert cable.values()["damage"] == 0


def test_a_cable_warms_with_its_current_and_stays_below_its_limits() -> None:
    cable = SensingCable(1)
    advance(cable, 300)
    values = cable.values()
    assert all(25 < values[f"zone{zone}_temperature"] < 60 for zone in range(ZONES))
    assert all(abs(values[f"zone{zone}_strain"]) < 1000 for zone in range(ZONES))


def test_a_dispenser_counts_passages_and_doses_and_runs_empty() -> None:
    dispenser = Dispenser(1, compliance=0.7)
    before = dispenser.values()
    befall(dispenser, "visit", 500)
    after = dispenser.values()
    assert after["opportunityCount"] - before["opportunityCount"] == 500
    assert 300 < after["dispenseCount"] - before["dispenseCount"] < 400
    assert after["refillLeft"] < before["refillLeft"]
    befall(dispenser, "refill", 0)
    befall(dispenser, "dose", 0)
    assert dispenser.values()["dispenseCount"] == after["dispenseCount"]


def test_a_dispenser_says_how_it_is_and_that_it_is_simulated() -> None:
    dispenser = Dispenser(1)
    advance(dispenser, 0.1)
    assert [name for name, _ in dispenser.take_frames()] == ["status"]
    befall(dispenser, "jam", 1)
    advance(dispenser, 0.1)
    (name, values), *_ = dispenser.take_frames()
    assert (name, values["simulated"]) == ("status", True)
    assert values["faultBits"] == 1 << FAULT_MOTOR
    befall(dispenser, "visit", 1)
    assert {name for name, _ in dispenser.take_frames()} <= {"opportunity", "dispense"}


@pytest.mark.parametrize("machine", [CoffeeMachine(1), SensingCable(1), Dispenser(1)])
def test_an_event_that_no_machine_knows_is_refused_with_those_that_are(machine: Machine) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        befall(machine, "explode", 1)
    assert set(refused.value.remedy.removeprefix("Use one of: ").rstrip(".").split(", ")) == set(machine.events())


@pytest.mark.parametrize("machine", [CoffeeMachine(1), SensingCable(1), Dispenser(1)])
def test_a_restart_goes_on_with_the_counters(machine: Machine) -> None:
    def counters() -> dict[str, object]:
        return {name: value for name, value in machine.values().items() if name.endswith(("Total", "Count", "Cycles"))}

    before = counters()
    machine.restart()
    advance(machine, 1)
    assert counters() == before != {}
