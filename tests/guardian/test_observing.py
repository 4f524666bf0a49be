# SPDX-License-Identifier: Apache-2.0
"""Readings become messages: telemetry, events and alarms, also of derived values; alarms outlive the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.guardian.guardian_stage import NAME, staged

from armillary.content.equipment import load
from armillary.guard.clock import Pair
from armillary.guard.compiling import compile_profile
from armillary.guardian.clocks import GuardianClock
from armillary.guardian.messages import Stamping
from armillary.guardian.observing import Observer
from armillary.wire.equipment.message import MessageKind, Outgoing
from armillary.wire.equipment.reading import Quality, Reading, Value

DISPENSER = compile_profile(load("dispenser"))


def observer(folder: Path) -> Observer:
    return Observer(DISPENSER, Stamping("ward3", GuardianClock()), folder)


def seen(by: Observer, second: float, **values: Value) -> list[Outgoing]:
    readings = [Reading(point, value, Quality.GOOD, 1000.0 + second) for point, value in values.items()]
    found = by.take(readings, Pair(1000.0 + second, second))
    by.remember(by.raised)
    return found


def alarms(messages: list[Outgoing]) -> list[tuple[str, str]]:
    bodies = [json.loads(each.body)["alarm"] for each in messages if each.kind is MessageKind.ALARM]
    return [(body["name"], body["state"]) for body in bodies]


def test_an_alarm_may_be_about_a_derived_value(tmp_path: Path) -> None:
    follows = observer(tmp_path)
    seen(follows, 0, dispenseCount=100, opportunityCount=1000)
    (telemetry,) = seen(follows, 60, dispenseCount=103, opportunityCount=1010)
    assert json.loads(telemetry.body)["complianceRatio"] == 0.3
    assert alarms(seen(follows, 600, opportunityCount=1010)) == []
    assert alarms(seen(follows, 660, opportunityCount=1010)) == [("complianceLow", "raised")]
    # The process starts anew: the alarm stands, and is not raised again
    follows = observer(tmp_path)
    seen(follows, 700, dispenseCount=103, opportunityCount=1010)
    assert alarms(seen(follows, 760, dispenseCount=110, opportunityCount=1015)) == [("complianceLow", "cleared")]


def test_a_derived_value_that_came_too_early_is_sent_with_the_next_readings(tmp_path: Path) -> None:
    """Nobody passes for hours: what the last who did came to is said all the same."""
    follows = observer(tmp_path)
    seen(follows, 0, dispenseCount=100, opportunityCount=1000)
    seen(follows, 60, dispenseCount=103, opportunityCount=1010)
    (early,) = seen(follows, 61, dispenseCount=110, opportunityCount=1014)
    assert "complianceRatio" not in json.loads(early.body)
    (later,) = seen(follows, 75, batteryVoltage=5.9)
    assert json.loads(later.body) == {"batteryVoltage": 5.9, "complianceRatio": pytest.approx(10 / 14)}
    (after,) = seen(follows, 90, batteryVoltage=5.0)
    assert json.loads(after.body) == {"batteryVoltage": 5.0}  # once


def test_which_alarms_stand_is_said_again_with_their_last_value(tmp_path: Path) -> None:
    follows = observer(tmp_path)
    now = Pair(3000.0, 2000.0)
    assert follows.standing(now) == []
    seen(follows, 0, batteryVoltage=2.0, refillLeft=80)
    seen(follows, 3600, batteryVoltage=1.9, refillLeft=80)
    said = follows.standing(now)
    assert alarms(said) == [("batteryLow", "raised")]
    assert json.loads(said[0].body)["alarm"]["value"] == 1.9
    assert (said[0].at, said[0].monotonic) == (3000.0, 2000.0)
    seen(follows, 3700, batteryVoltage=5.9)
    assert follows.standing(now) == []


def test_an_alarm_is_remembered_when_its_message_is_kept_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a guardian that is killed in between would never tell of it."""
    remembered: list[bool] = []

    async def scene() -> None:
        async with staged(tmp_path) as stage:
            await stage.settled()
            path = stage.means.folder / f"{NAME}.alarms"
            put = stage.means.queue.put

            async def kept(messages: Sequence[Outgoing]) -> None:
                await put(messages)
                if alarms(list(messages)):
                    remembered.append(path.exists())

            monkeypatch.setattr(stage.means.queue, "put", kept)
            assert stage.equipment._observer is not None
            now = stage.means.clock.now()
            hot = [Reading("steamTemp", 160.0, Quality.GOOD, now.wall)]
            stage.equipment._observer.take(hot, now)
            await stage.equipment._take(hot, Pair(now.wall + 6, now.monotonic + 6), kept=True)
            assert json.loads(path.read_bytes()) == [["boilerHot", "steamTemp"]]

    asyncio.run(scene())
    assert remembered == [False]
