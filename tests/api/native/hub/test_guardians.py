# SPDX-License-Identifier: Apache-2.0
"""Guardians over the API: listed by catalog and organisation, shown with points, quality, attempts and commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.api.mqtt_device import MqttDevice
from tests.api.running_service import RunningService, fresh, wait_until
from tests.console.guardian_scene import ATTEMPTS, MACHINE, Guarded

from armillary.sim.device.wire_device import WireDevice

PATH = "/api/v1/guardians"


@pytest.fixture
def catalog(service: RunningService) -> str:
    return service.make_catalog(fresh("Stores"), product="Coffee")


@pytest.fixture
def guarded(service: RunningService, catalog: str) -> Iterator[Guarded]:
    made = Guarded(service, service.claimed(catalog), fresh("coffee"))
    yield made
    made.close()


def test_a_guardian_is_listed_and_shown(service: RunningService, catalog: str, guarded: Guarded) -> None:
    page = service.call("GET", f"{PATH}?catalog={catalog}").body
    assert page["next"] is None
    (listed,) = page["items"]
    assert (listed["device_id"], listed["connected"], listed["clock"]) == (guarded.device_id, True, "synced")
    assert [(each["name"], each["link"], each["refused"]) for each in listed["equipment"]] == [
        (MACHINE, "up", 3),
        ("grinder", "down", 0),
    ]
    found = service.call("GET", f"{PATH}/{guarded.device_id}").body
    assert found["queue"] == {"messages": 3, "bytes": 81920, "oldest_s": 4, "dropped": {"telemetry": 12, "alarm": 0}}
    machine, grinder = found["equipment"]
    assert (machine["registered"], machine["simulated"], machine["connected"]) == (True, True, True)
    assert [each["outcome"] for each in machine["attempts"]] == [each["outcome"] for each in ATTEMPTS]
    points = {each["name"]: each for each in machine["points"]}
    assert list(points)[:2] == ["brewTemp", "brewPressure"]  # in the order of the profile, which its template has
    assert (points["brewTemp"]["value"], points["brewTemp"]["quality"]) == (92.5, "good")
    assert points["brewTemp"]["label"]["symbol"] == "°C"
    assert points["brewPressure"]["quality"] == "bad"
    command = next(each for each in machine["commands"] if each["name"] == "setBrewTemp")
    assert command["value"] == "double"
    assert command["bounds"].startswith("85 to 96 °C, by at most 2 °C, once in 60 s")
    assert command["symbol"] == "°C"
    assert (grinder["registered"], grinder["problem"], grinder["points"]) == (False, "its profile is not signed", [])


def test_a_good_value_ends_what_was_bad_and_a_link_that_is_down_leaves_the_last_known(
    service: RunningService, guarded: Guarded
) -> None:
    def quality() -> str:
        machine = service.call("GET", f"{PATH}/{guarded.device_id}").body["equipment"][0]
        return str(next(each["quality"] for each in machine["points"] if each["name"] == "brewPressure"))

    guarded.machine.send({"brewPressure": 9.0})
    wait_until(lambda: quality() == "good", "a good value")
    guarded.guardian.report({"guardian": {"equipment": {MACHINE: {"link": "down"}}}})
    wait_until(lambda: quality() == "last-known", "the link to be down")


def test_values_of_a_guardian_that_is_gone_are_the_last_known(service: RunningService, guarded: Guarded) -> None:
    """It said that its link is up, and cannot say any more that it is not."""

    def machine() -> tuple[str, set[str]]:
        found = service.call("GET", f"{PATH}/{guarded.device_id}").body["equipment"][0]
        return found["link"], {each["quality"] for each in found["points"]}

    assert "good" in machine()[1]
    guarded.close()
    wait_until(lambda: machine() == ("up", {"last-known", "bad"}), "the values to be the last known")


def test_pages_of_guardians_go_on_where_the_last_ended(service: RunningService, catalog: str) -> None:
    """Devices with several modules, and one that is no guardian between them."""
    expected = []
    for number in range(4):
        device = service.claimed(catalog)
        for module in ("a", "b"):
            service.call("POST", f"/api/v1/hub-devices/{device.device_id}/modules", {"module_id": module})
        if number != 2:
            _report(service, device)
            expected.append(device.device_id)
    seen: list[str] = []
    after = ""
    while True:
        page = service.call("GET", f"{PATH}?catalog={catalog}&limit=1{after}").body
        seen += [each["device_id"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == sorted(expected)


def test_what_is_no_guardian_is_not_found(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog).device_id
    assert service.call("GET", f"{PATH}/{device}").body["code"] == "request.not-found"
    assert service.call("GET", f"{PATH}/{'0' * 128}").status == 404
    assert service.call("GET", f"{PATH}?catalog={catalog}").body["items"] == []


def test_a_new_owner_sees_nothing_of_the_guardian_before(service: RunningService, catalog: str) -> None:
    wired = service.claimed(catalog)
    device = wired.device_id
    _report(service, wired)
    service.call("POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "a"})
    later = service.make_catalog(fresh("Later"))
    token = service.token_for(later, "Reader")
    owner = service.service.registry.catalogs.get(later).catalog_id
    offer = service.service.registry.transfers.offer(catalog, device, owner, actor="test")
    service.service.registry.transfers.accept(later, offer.transfer_id, actor="test")
    service.call("POST", f"/api/v1/hub-devices/{device}/modules", {"module_id": "a"})
    assert service.call("GET", f"{PATH}?catalog={later}", token=token).body["items"] == []
    assert service.call("GET", f"{PATH}/{device}", token=token).status == 404
    assert service.call("GET", f"{PATH}/{device}").status == 200  # the control: who sees all catalogs


def _report(service: RunningService, device: WireDevice) -> None:
    """As the device does over MQTT."""
    with MqttDevice(service, device.device_id, service.client_context(device)) as connected:
        connected.report({"guardian": {"boot": "1", "equipment": {}}})
