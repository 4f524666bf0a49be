# SPDX-License-Identifier: Apache-2.0
"""Commands to a simulated coffee machine: done and read back, refused, failed, and what is recorded of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.fixtures.waiting import until
from tests.guardian.guardian_stage import NAME, Stage, fresh, staged

from armillary.content.equipment import load
from armillary.guard.situation import CommandHistory, Moment
from armillary.guardian import commands
from armillary.guardian.history import KeptHistory, kept_history
from armillary.guardian.polling import Poller
from armillary.sim.equipment.faults import Fault
from armillary.wire.equipment.faults import ReadBackError
from armillary.wire.equipment.reading import Quality, Reading


def play(tmp_path: Path, scene: Any, **options: Any) -> Any:
    async def run() -> Any:
        async with staged(tmp_path, **options) as stage:
            await stage.settled()
            await stage.sent()
            return await scene(stage)

    return asyncio.run(run())


def test_a_command_in_range_is_done_read_back_and_recorded(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        assert await stage.equipment.call("setBrewTemp", fresh(93.5)) == (200, {"value": 93.5, "verified": True})
        assert stage.life.machine.settings()["setBrewTemp"] == pytest.approx(93.5)
        assert await stage.attempts() == [
            {"command": "setBrewTemp", "value": 93.5, "outcome": "done", "by": "hub"},
        ]
        assert [each["outcome"] for each in stage.equipment.attempts] == ["done"]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("name", "payload", "rule"),
    [
        ("setBrewTemp", lambda: fresh(140), "value"),
        ("setBrewTemp", lambda: fresh(95.9), "step"),
        ("setBrewTemp", lambda: fresh(93.5, seconds=-1), "expired"),
        ("setBrewTemp", lambda: {"value": 93.5}, "expired"),
        ("setBrewTemp", lambda: 93.5, "value"),
        ("setSteam", lambda: fresh(1), "not-listed"),
        ("startClean", fresh, "consent"),
        ("rollbackRecipe", fresh, "not-listed"),
        ("rollbackRecipe", lambda: None, "value"),
    ],
)
def test_what_the_guard_refuses_reaches_nothing_and_is_recorded(
    tmp_path: Path, name: str, payload: Callable[[], object], rule: str
):
    async def scene(stage: Stage) -> None:
        before = dict(stage.life.machine.settings())
        status, answer = await stage.equipment.call(name, payload())  # Fresh now, and not when tests were collected
        assert (status, answer["rule"]) == (403, rule)
        assert answer["remedy"]
        assert stage.life.machine.settings() == before
        (attempt,) = await stage.attempts()
        assert (attempt["outcome"], attempt["rule"]) == ("refused", rule)
        assert stage.equipment.status(20)["link"] == "up"

    play(tmp_path, scene)


def test_the_same_command_twice_is_refused_also_after_a_restart(tmp_path: Path):
    payload = fresh(93.0)

    async def first(stage: Stage) -> None:
        assert (await stage.equipment.call("setBrewTemp", payload))[0] == 200
        assert (await stage.equipment.call("setBrewTemp", payload))[1]["rule"] == "replayed"

    async def again(stage: Stage) -> None:
        assert (await stage.equipment.call("setBrewTemp", payload))[1]["rule"] == "replayed"
        assert (await stage.equipment.call("setBrewTemp", fresh(92.0)))[1]["rule"] == "rate"

    play(tmp_path, first)
    play(tmp_path, again)


def test_a_refused_command_is_spent_also_after_a_restart(tmp_path: Path):
    """Whoever kept a copy tries it again when the reason is gone; here the profile might allow more."""
    payload = fresh(140)

    async def first(stage: Stage) -> None:
        assert (await stage.equipment.call("setBrewTemp", payload))[1]["rule"] == "value"

    async def again(stage: Stage) -> None:
        assert (await stage.equipment.call("setBrewTemp", payload))[1]["rule"] == "replayed"

    play(tmp_path, first)
    play(tmp_path, again)


def test_where_the_kernel_tells_no_boot_every_start_is_one_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else a clock that began anew would be compared with one of the boot before."""
    monkeypatch.setattr("armillary.guardian.history.machine_id", lambda: "")
    history = CommandHistory(last={"setBrewTemp": 90_000.0})
    path = tmp_path / "espresso1.commands"
    KeptHistory(path, history).keep(Moment(1_000_000.0, 90_000.0, synced=True), None)
    found = kept_history(path, Moment(1_000_010.0, 5.0, synced=True)).history
    assert found.last == {"setBrewTemp": -5.0}


def test_an_attempt_that_a_killed_guardian_left_is_recorded_at_its_next_start(tmp_path: Path):
    async def killed(stage: Stage) -> None:
        path = stage.means.folder / f"{NAME}.commands"
        stage.means.folder.mkdir(exist_ok=True)
        assert (await stage.equipment.call("setBrewTemp", fresh(93.0)))[0] == 200
        document = json.loads(path.read_bytes())
        assert document["pending"] is None
        path.write_text(json.dumps({**document, "pending": commands.pending("setBrewTemp", 93.0)}))

    async def next_start(stage: Stage) -> list[dict[str, Any]]:
        return list(stage.equipment.attempts)

    play(tmp_path, killed)
    (attempt,) = play(tmp_path, next_start)
    assert (attempt["outcome"], attempt["rule"]) == ("failed", "interrupted")
    assert play(tmp_path, next_start) == [], "once"


def test_consent_of_a_person_is_used_once(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        agreed = stage.means.around.data / "consent" / f"{NAME}.startClean"
        agreed.write_bytes(b"")
        assert (await stage.equipment.call("startClean", fresh()))[0] == 200
        assert not agreed.exists()
        assert stage.life.machine.settings()["startClean"] is True

    play(tmp_path, scene)


def test_equipment_that_does_not_answer_is_a_failure_and_not_a_success(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        stage.life.faults.plan(Fault.SILENCE, 100)
        status, answer = await stage.equipment.call("setBrewTemp", fresh(93.0))
        assert (status, answer["reason"]) in ((504, "timeout"), (504, "unreachable"))
        (attempt,) = await stage.attempts()
        assert attempt["outcome"] == "failed"

    play(tmp_path, scene)


def test_equipment_that_cannot_be_served_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: object) -> bool:
        raise RuntimeError("the cable bit the dog")

    async def scene(stage: Stage) -> None:
        monkeypatch.setattr(Poller, "_cycle", broken)
        await until(lambda: stage.equipment.problem, "it to end")
        assert stage.equipment.status(1)["problem"] == "RuntimeError: the cable bit the dog"
        status, answer = await stage.equipment.call("setBrewTemp", fresh(93.0))
        assert (status, "bit the dog" in answer["error"]) == (503, True)

    play(tmp_path, scene)


def test_what_cannot_be_kept_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def scene(stage: Stage) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("armillary.guardian.history.write_file", full)
        before = dict(stage.life.machine.settings())
        assert (await stage.equipment.call("setBrewTemp", fresh(93.0)))[0] == 403
        assert stage.life.machine.settings() == before

    play(tmp_path, scene)


def shown(*values: float) -> tuple[Any, Any]:
    """A commander whose equipment shows these values, one after the other; the last stays."""
    left = list(values)

    class Latest:
        def get(self, _point: str) -> Any:
            value = left.pop(0) if len(left) > 1 else left[0]
            return SimpleNamespace(monotonic=11.0, reading=Reading("doseSetting", value, Quality.GOOD, 1.0))

    poller = SimpleNamespace(latest=Latest())
    command = next(each for each in load("dispenser").commands if each.name == "setDose")
    return SimpleNamespace(served=SimpleNamespace(poller=poller)), command


def test_a_frame_that_was_under_way_shows_the_value_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "SHOWN_WITHIN_S", 0.1)
    monkeypatch.setattr(commands, "SHOWN_LOOK_S", 0.01)
    commander, command = shown(0.9, 0.9, 1.2)
    assert asyncio.run(commands.Commander._shown(commander, "doseSetting", command, 1.2, 10.0)) == 1.2
    commander, command = shown(0.9)
    with pytest.raises(ReadBackError, match=r"1.2 was set by setDose, and doseSetting shows 0.9"):
        asyncio.run(commands.Commander._shown(commander, "doseSetting", command, 1.2, 10.0))
