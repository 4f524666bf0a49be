# SPDX-License-Identifier: Apache-2.0
"""A device and its applications at the application interface: updates put off, the device started again by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.device.interface.asking import Client
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.interface import events, power
from armillary.wire.device.offer_timing import OfferTiming

pytestmark = pytest.mark.anyio


async def running(rig: Rig, **capabilities: Any) -> Client:
    """Deploy an application, start the device, connect as the application."""
    rig.service.deploy(rig.service.application(**capabilities))
    await rig.start()
    await until(lambda: rig.outcomes() and rig.outcomes()[-1][1] == "confirmed", "the application runs")
    return Client(rig.sandbox.runs[-1].launch.interface)


async def test_it_hears_of_an_update_puts_it_off_and_lets_it_come(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "ANNOUNCED_S", 3600)
    client = await running(rig, SystemEventNotifications=True, SoftwareUpdateDeferral=True)
    told = await client.ask("events.subscribe", kinds=["update", "network", "time"])
    assert told == {"update": {"state": "confirmed"}, "network": {"service": "reached"}, "time": {"signed": True}}
    again = rig.service.deploy(rig.service.application(SystemEventNotifications=True))
    rig.service.offer = replace(again, when=OfferTiming(max_deferral_s=7200))
    started = len(rig.events("update-started"))
    rig.device.check_in_now()
    pending = await client.take()
    assert pending is not None
    assert (pending["event"], pending["data"]["state"]) == ("update", "pending")
    assert pending["data"]["images"] == [str(image.image_id) for image in again.images]
    assert await client.ask_past_events("update.defer", minutes=60) == {"minutes": 60}
    await until(lambda: rig.status().get("update", {}).get("detail", "").startswith("component"), "it is put off")
    assert len(rig.events("update-started")) == started
    rig.service.offer = replace(again, when=OfferTiming(urgent=True))
    rig.device.check_in_now()
    await until(lambda: len(rig.events("update-started")) > started, "urgent is not put off")
    client.close()


async def test_it_has_the_device_start_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await running(rig, PowerControls=["ForceReboot", "ForcePowerDown"])
    assert (await client.ask("power.restart"))["name"] == "EAGAIN"
    assert len(rig.events("booted")) == 1
    monkeypatch.setattr(power, "LEAST_UPTIME_S", 0.0)
    assert await client.ask("power.restart") == {"host": "stays on"}
    await until(lambda: len(rig.events("booted")) == 2, "the device boots again")
    await until(lambda: len(rig.sandbox.alive) == 1, "its application runs again")
    assert await client.take() is None
    client.close()
    again = Client(rig.sandbox.runs[-1].launch.interface)
    assert await again.ask("power.rest", seconds=3600) == {"host": "stays on"}
    await until(lambda: rig.status().get("state") == "resting", "it rests")
    assert rig.sandbox.alive == []
    again.close()
    await rig.stop()
    assert rig.status()["state"] == "stopped"
    assert [each["method"] for each in rig.events("power-asked")] == ["power.restart", "power.rest"]
    assert len(rig.events("booted")) == 2


async def test_nothing_is_left_behind(rig: Rig) -> None:
    client = await running(rig)
    socket = Path(rig.sandbox.runs[-1].launch.interface)
    assert socket.exists()
    client.close()
    await rig.stop()
    assert not socket.parent.exists()
