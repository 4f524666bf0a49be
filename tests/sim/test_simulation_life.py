# SPDX-License-Identifier: Apache-2.0
"""A simulation's life: it survives a restart, obeys, stops for who was revoked, and plays nobody it may not."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from pathlib import Path

import pytest
from tests.api.running_service import wait_until
from tests.fixtures.waiting import DEADLINE_S
from tests.sim.playing import Playing, playing

from armillary.engines.documents.store import DocumentStore
from armillary.errors import DeviceOfflineError, InvalidArgumentError
from armillary.hub.front.in_process import InProcessChannel
from armillary.sim.device.wire_device import certificate_request
from armillary.sim.templates.applications import Applications
from armillary.wire.mqtt.codec import encode_packet
from armillary.wire.mqtt.packet import Connect

NAME = "water-consumption-monitoring"


def latest(found: Playing, device_id: str) -> dict[str, object]:
    return {each.metric: each.value for each in found.running.hub.series.last_values(device_id)}


def device_of(found: Playing, role: str) -> str:
    devices = found.applications.describe(NAME)["devices"]
    return next(str(each["id"]) for each in devices if each["role"] == role)


def test_a_closed_valve_stops_the_flow_also_after_a_restart(tmp_path: Path):
    with playing(tmp_path) as first:
        first.applications.use(NAME, actor="test")
        valve = device_of(first, "valve")
        wait_until(lambda: latest(first, valve).get("Flow", 0), "something flows")
        result = first.in_loop(first.running.hub.invoke_method(valve, "CloseValve", None, 5.0))
        assert (result.status, result.payload) == (200, {"ValvePosition": 0})
        wait_until(lambda: latest(first, valve)["Flow"] == 0.0, "nothing flows")
        wait_until(lambda: first.applications.describe(NAME)["state"] == "running", "history", 60)
        began = first.applications.describe(NAME)["began_ms"]
    with playing(tmp_path) as second:
        described = second.applications.describe(NAME)
        assert described["began_ms"] == began
        assert device_of(second, "valve") == valve
        seen = second.running.hub.now_ms()
        wait_until(
            lambda: any(each.at_ms > seen for each in second.running.hub.series.last_values(valve)), "it is back", 10
        )
        assert latest(second, valve)["Flow"] == 0.0
        second.in_loop(second.running.hub.invoke_method(valve, "SetValvePosition", 50, 5.0))
        wait_until(lambda: latest(second, valve)["Flow"], "half of it flows")
        refused = second.in_loop(second.running.hub.invoke_method(valve, "SetValvePosition", 150, 5.0))
        assert refused.status == 400
        assert second.running.hub.twins.get(valve).reported.properties["ValveState"] == "throttled"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> object:
    with playing(tmp_path_factory.mktemp("life")) as service:
        service.applications.use(NAME, actor="test")
        yield service


def test_a_desired_property_is_taken_and_acknowledged(found: Playing):
    meter = device_of(found, "flow-meter")
    twins = found.running.hub.twins
    twin = twins.change(meter, desired={"ReadingInterval": 30, "Flow": 7, "NoSuch": True})

    def reported() -> object:
        return twins.get(meter).reported.properties.get("ReadingInterval")

    wanted = {"value": 30, "ac": 200, "av": twin.desired.version}
    wait_until(lambda: reported() == wanted, "the property is acknowledged")
    assert "NoSuch" not in twins.get(meter).reported.properties


def test_a_revoked_device_goes_silent_and_comes_back_when_restored(found: Playing):
    meter = device_of(found, "flow-meter")
    running = found.running
    wait_until(lambda: meter in running.hub.connected(), "it is connected")
    running.service.registry.lifecycle.revoke(meter, reason="test", actor="test")
    wait_until(lambda: meter not in running.hub.connected(), "it is gone")
    time.sleep(1.0)  # a few rounds of the loop: it does not come back by itself
    assert meter not in running.hub.connected()
    running.service.registry.lifecycle.restore(meter, actor="test")
    wait_until(lambda: meter in running.hub.connected(), "it is back")


def foreign_device(found: Playing, tier: str, number: int = 2) -> str:
    """A device of somebody, written into the simulation's document as if it were one of its own."""
    service = found.running.service
    made = service.factory.enrol(certificate_request(os.urandom(32)), "mt3620", "test", trust_tier=tier)
    service.registry.devices.claim("Simulated", [made.device_id], actor="test")
    store: DocumentStore = found.running.platform.documents
    body = store.get("simulation", NAME).content
    entry = {"id": made.device_id, "role": "valve", "number": number, "name": "foreign"}
    store.put("simulation", NAME, {**body, "devices": [*body["devices"], entry]}, by="attacker")
    return made.device_id


@pytest.mark.parametrize(("tier", "played"), [("software", False), ("simulated", True)])
def test_a_device_of_another_tier_is_never_played(found: Playing, tier: str, played: bool):
    """Who can write the simulation's document cannot have a real device played by it; the control may be."""
    device_id = foreign_device(found, tier)
    found.applications.use(NAME, actor="test", devices=4)
    if played:
        wait_until(lambda: device_id in found.running.hub.connected(), "the control is played")
    else:
        time.sleep(1.0)
        assert device_id not in found.running.hub.connected()
    body = dict(found.running.platform.documents.get("simulation", NAME).content)
    body["devices"] = [each for each in body["devices"] if each["id"] != device_id]
    found.running.platform.documents.put("simulation", NAME, body, by="test")


def test_that_attack_gets_through_without_the_check(found: Playing, monkeypatch: pytest.MonkeyPatch):
    device_id = foreign_device(found, "software")
    monkeypatch.setattr(Applications, "_may_play", lambda *_: True)
    found.applications.use(NAME, actor="test", devices=4)
    wait_until(lambda: device_id in found.running.hub.connected(), "it is played")


def test_a_device_of_another_tier_is_not_taken_out_of_service(found: Playing):
    """What the simulation's document calls its own is believed only as far as the registry agrees."""
    real, own = foreign_device(found, "software", 8), foreign_device(found, "simulated", 9)
    found.applications.use(NAME, actor="test", devices=2)
    registry = found.running.service.registry
    assert registry.devices.get(real).decommissioned_at is None
    assert registry.devices.get(own).decommissioned_at is not None  # the control


def test_a_channel_is_for_the_identity_that_it_was_opened_for(found: Playing):
    front, closed = found.running.hub.front, threading.Event()
    answers: list[bytes] = []

    def attack() -> None:
        channel = InProcessChannel(front, "a" * 128, answers.append, closed.set)
        channel.send(encode_packet(Connect(client_id="b" * 128)))

    found.running.hub.soon(attack)
    assert closed.wait(DEADLINE_S)
    assert "b" * 128 not in found.running.hub.connected()
    opened = threading.Event()

    def honest() -> None:
        channel = InProcessChannel(front, "a" * 128, lambda _: opened.set(), lambda: None)
        channel.send(encode_packet(Connect(client_id="a" * 128)))

    found.running.hub.soon(honest)
    assert opened.wait(DEADLINE_S)
    found.running.hub.disconnect("a" * 128)


def test_fewer_devices_than_kinds_are_refused(found: Playing):
    with pytest.raises(InvalidArgumentError) as caught:
        found.applications.use(NAME, actor="test", devices=1)
    assert "at least 2" in caught.value.message


def test_a_silent_device_cannot_be_called(found: Playing):
    """An incident that takes a device's connection takes its methods as well."""
    valve = device_of(found, "valve")
    device = found.applications._devices[valve]
    always = {"first_s": 0, "every_s": 1e6, "lasts_s": 1e6, "ramp_s": 0, "stagger_s": 0, "silent": True}
    incident = dataclasses.replace(device.plan.behaviour.incidents[0], **always)
    quiet = dataclasses.replace(device.plan.behaviour, incidents=(incident,))
    before, device.plan = device.plan, dataclasses.replace(device.plan, behaviour=quiet)
    device.due_s = 0.0
    wait_until(lambda: valve not in found.running.hub.connected(), "it is silent")
    with pytest.raises(DeviceOfflineError):
        found.in_loop(found.running.hub.invoke_method(valve, "OpenValve", None, 2.0))
    device.plan = before
    device.due_s = 0.0
    wait_until(lambda: valve in found.running.hub.connected(), "it is back")
