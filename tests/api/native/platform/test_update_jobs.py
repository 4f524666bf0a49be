# SPDX-License-Identifier: Apache-2.0
"""Jobs that move attested devices to a device group: real check-ins say what they run, and what was taken back."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService, application, wait_until
from tests.fixtures.reports import installed, reverted

from armillary.engines.records.schema.rows import Image
from armillary.platform.jobs import jobs
from armillary.sim.device.wire_device import WireDevice
from armillary.twin.author.job import DeviceState

GROUP = "Coffee/Field Test"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "WAITING_LOOK_S", 0.05)


def deployed(service: RunningService, catalog: str, group: str = "Field Test") -> Image:
    image = service.service.updates.images.upload(catalog, application()[1], actor="test")
    service.service.updates.deployments.create(catalog, "Coffee", group, [image.image_id], actor="test")
    return image


def begun(service: RunningService, catalog: str, group: str = GROUP) -> tuple[str, int]:
    """A job over all devices of a catalog; its id and its run."""
    name = f"u-{uuid.uuid4().hex[:8]}"
    assert service.call("PUT", f"/api/v1/groups/{name}", {"name": name, "catalog": catalog}).status == 200
    body = {"name": name, "group": name, "catalog": catalog, "action": {"kind": "update", "device_group": group}}
    assert service.call("PUT", f"/api/v1/jobs/{name}", body).status == 200
    return name, service.call("POST", f"/api/v1/jobs/{name}/runs", {}).body["number"]


def results(service: RunningService, number: int) -> dict[str, Any]:
    return {each.device_id: each for each in service.platform.jobs.store.devices.results(number)}


def came(service: RunningService, number: int, device: WireDevice, state: DeviceState) -> Any:
    wait_until(lambda: results(service, number)[device.device_id].state is state, f"{state}")
    return results(service, number)[device.device_id]


def test_devices_are_moved_and_each_has_succeeded_when_it_said_what_it_runs(
    service: RunningService, catalog: str
) -> None:
    image = deployed(service, catalog)
    good, bad, silent = (service.claimed(catalog) for _ in range(3))
    for each in (good, bad, silent):
        each.check_in()
    name, number = begun(service, catalog)
    for each in (good, bad, silent):
        came(service, number, each, DeviceState.WAITING)
        assert service.service.registry.devices.get(each.device_id).group == "Field Test"
    page = service.call("GET", f"/api/v1/jobs/{name}/runs/{number}").body
    assert (page["state"], page["done"], page["counts"]["waiting"]) == ("running", 0, 3)

    offer = good.check_in().offer
    assert offer is not None
    assert [each.image_id for each in offer.images] == [image.image_id]
    good.installed = (installed(image, "trial"),)
    good.check_in()
    standing = service.service.hub_access.updates.standings(GROUP, {good.device_id: (catalog, 0)})[good.device_id]
    assert standing.event is None  # a trial is no success
    good.installed = (installed(image),)
    good.check_in()
    assert "runs deployment" in came(service, number, good, DeviceState.SUCCEEDED).answer

    taken_back = reverted(image, offer_id=offer.offer_id, reason="crashed three times", at=int(time.time()))
    bad.check_in(outcomes=(taken_back,))
    assert "crashed three times" in came(service, number, bad, DeviceState.FAILED).answer

    service.service.registry.devices.move(catalog, silent.device_id, product="Coffee", group="Development", actor="t")
    assert "moved to Coffee/Development" in came(service, number, silent, DeviceState.FAILED).answer
    wait_until(
        lambda: service.call("GET", f"/api/v1/jobs/{name}/runs/{number}").body["state"] == "completed", "its end"
    )
    lines = service.service.audit.list(limit=100).items
    assert {each.actor for each in lines if each.operation == "device.move" and each.target == good.device_id} == {
        f"job {name}"
    }

    # Again: who is there and runs it already has succeeded at once, and is not moved again.
    _, again = begun(service, catalog)
    came(service, again, good, DeviceState.SUCCEEDED)
    moves = [each for each in service.service.audit.list(limit=100).items if each.operation == "device.move"]
    assert [each.target for each in moves].count(good.device_id) == 1
    service.call("POST", f"/api/v1/jobs/{name}/runs/{again}/cancel", {})


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("Coffee/Production", "nothing is deployed"),
        ("Coffee/None", "does not exist"),
        ("Tea/Field Test", "does not exist"),
    ],
)
def test_a_device_group_that_gives_nothing_is_said_at_once(
    service: RunningService, catalog: str, group: str, words: str
) -> None:
    device = service.claimed(catalog)
    _, number = begun(service, catalog, group)
    assert words in came(service, number, device, DeviceState.FAILED).answer


def test_a_device_that_changes_hands_while_it_is_waited_for_is_skipped(service: RunningService, catalog: str) -> None:
    deployed(service, catalog)
    device = service.claimed(catalog)
    _, number = begun(service, catalog)
    came(service, number, device, DeviceState.WAITING)
    service.service.registry.lifecycle.decommission(device.device_id, reason="sold", actor="t")
    assert "no longer the catalog's" in came(service, number, device, DeviceState.SKIPPED).answer
