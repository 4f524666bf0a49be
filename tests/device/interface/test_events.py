# SPDX-License-Identifier: Apache-2.0
"""Events of the device: who listens hears of them, with what was last; an update waits for those who may put it off."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.device.interface.asking import Host, application
from tests.fixtures.waiting import until

from armillary.device.interface.events import ANNOUNCED_S, KINDS, SystemEvents
from armillary.device.interface.updates import Updates
from armillary.update.schedule.deferral import MAX_MINUTES
from armillary.wire.device.checkin import Offer

pytestmark = pytest.mark.anyio
OFFER = Offer(offer_id=uuid4(), deployment_id=UUID(int=1), images=(), os_version="27.1")


class Facts:
    signed = ready = False


def opened(folder: Path, facts: type[Facts] = Facts) -> tuple[Host, SystemEvents]:
    events = SystemEvents(lambda: facts.signed, lambda: facts.ready)
    return Host(folder, lambda _: (*events.methods, *Updates().methods)), events


async def test_who_listens_hears_what_it_asked_for(tmp_path: Path) -> None:
    host, events = opened(tmp_path)
    async with host.open(application(SystemEventNotifications=True)) as asked:
        every, network = asked.client(), asked.client()
        assert await every.ask("events.subscribe") == {
            "update": {"state": "none"},
            "network": {"service": "unknown"},
            "time": {"signed": False},
            "authentication": {"ready": False},
            "restart": {"state": "none"},
        }
        assert await network.ask("events.subscribe", kinds=["network"]) == {"network": {"service": "unknown"}}
        assert (await network.ask("events.subscribe", kinds=["weather"]))["name"] == "EINVAL"
        for entry in (
            {"event": "output", "text": "nothing"},
            {"event": "update-waits", "reason": "window", "until": 7, "at": 1},
            {"event": "update-offered", "os_version": "", "images": ["tap"], "offer_id": "x"},
            {"event": "update-started", "os_version": "", "images": ["tap"]},
            {"event": "update-confirmed", "images": ["tap"]},
            {"event": "check-in-failed"},
            {"event": "check-in-failed"},
            {"event": "check-in"},
            {"event": "restarting"},
        ):
            events.hear(entry)
        assert [await every.take() for _ in range(7)] == [
            {"event": "update", "data": {"state": "waits", "reason": "window", "until": 7}},
            {"event": "update", "data": {"state": "started", "os_version": "", "images": ["tap"]}},
            {"event": "update", "data": {"state": "trial", "os_version": "", "images": ["tap"]}},
            {"event": "update", "data": {"state": "confirmed"}},
            {"event": "network", "data": {"service": "not reached"}},
            {"event": "network", "data": {"service": "reached"}},
            {"event": "restart", "data": {"state": "restarting"}},
        ]
        assert [await network.take() for _ in range(2)] == [
            {"event": "network", "data": {"service": "not reached"}},
            {"event": "network", "data": {"service": "reached"}},
        ]
        assert await network.ask("events.unsubscribe") == {}
        events.hear({"event": "check-in-failed"})
        assert (await every.take() or {})["data"] == {"service": "not reached"}
        assert (await network.ask("update.defer", minutes=1))["name"] == "EACCES", "nothing stands before the answer"


async def test_the_time_and_the_certificate_are_told_when_they_come(tmp_path: Path) -> None:
    class Now(Facts):
        pass

    host, events = opened(tmp_path, Now)
    async with host.open(application(SystemEventNotifications=True)) as asked:
        client = asked.client()
        await client.ask("events.subscribe", kinds=["time", "authentication"])
        Now.signed = Now.ready = True
        events.hear({"event": "check-in"})
        assert await client.take() == {"event": "time", "data": {"signed": True}}
        assert await client.take() == {"event": "authentication", "data": {"ready": True}}


async def test_an_update_is_held_for_those_alone_who_listen_and_may_put_it_off(tmp_path: Path) -> None:
    host, events = opened(tmp_path)
    listens = application(1, SystemEventNotifications=True)
    may = application(2, SystemEventNotifications=True, SoftwareUpdateDeferral=True)
    async with host.open(listens) as one, host.open(may) as two:
        first, second = one.client(), two.client()
        await first.ask("events.subscribe")
        await second.ask("events.subscribe", kinds=["network"])
        assert events.announce(OFFER) == 0
        assert await first.take() == {
            "event": "update",
            "data": {"state": "pending", "os_version": "27.1", "images": []},
        }
        await second.ask("events.subscribe", kinds=["update"])
        assert events.announce(OFFER) == ANNOUNCED_S
        assert ((await second.take() or {})["data"])["state"] == "pending"
        assert await second.ask("update.defer", minutes=60) == {"minutes": 60}
        assert await second.ask("update.defer", minutes=0) == {"minutes": 0}
        assert (await second.ask("update.defer", minutes=MAX_MINUTES + 1))["name"] == "EINVAL"
        assert two.deferred == [60, 0]
        second.close()
        await until(lambda: events.announce(OFFER) == 0, "nobody is left who may")


def test_the_kinds_are_those_of_the_reference() -> None:
    reference = Path(__file__).resolve().parents[3] / "docs/reference/application-interface.md"
    text = reference.read_text("utf-8")
    for kind in KINDS:
        assert f"| `{kind}` |" in text, kind
