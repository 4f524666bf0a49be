# SPDX-License-Identifier: Apache-2.0
"""Roll-outs over bridged devices: a bad release is held in the first cohort by itself, and one call takes it back."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.fixtures.controllers import GROUP, PRODUCT, Controller, artifact, bridged_catalog, deploy

from armillary.rollout.policy import RolloutPolicy

POLICY = RolloutPolicy(cohorts=(50, 100), soak_s=0, min_failures=1, failure_percent=10, hold_on_severity="")


@pytest.fixture
def fleet(service: RunningService) -> list[Controller]:
    catalog = bridged_catalog(service)
    found = [Controller.made(service, catalog) for _ in range(4)]
    deploy(service, catalog, artifact(service, catalog, b"first")["image_id"])
    for device in found:
        assert device.install() == b"first"
    return found


def start(service: RunningService, catalog: str, content: bytes, policy: RolloutPolicy = POLICY) -> str:
    image = UUID(artifact(service, catalog, content, version=content.decode())["image_id"])
    rollouts = service.service.updates.rollouts
    return str(rollouts.start(catalog, PRODUCT, GROUP, [image], actor="test", policy=policy).rollout_id)


def state(service: RunningService, rollout: str) -> str:
    return str(service.call("GET", f"/api/v1/rollouts/{rollout}").body["state"])


def offered(fleet: list[Controller]) -> list[Controller]:
    return [device for device in fleet if "deploymentBase" in device.links()]


def cohort(fleet: list[Controller], size: int) -> list[Controller]:
    """Wait until so many devices are offered something."""
    return list(wait_until(lambda: found if len(found := offered(fleet)) == size else None, what=f"{size} offers"))


def test_a_good_release_reaches_every_device_cohort_by_cohort(service: RunningService, fleet: list[Controller]) -> None:
    rollout = start(service, fleet[0].catalog, b"second")
    first = cohort(fleet, 2)
    for device in first:
        assert device.install() == b"second"
    rest = cohort(fleet, 2)
    assert {each.controller for each in first} & {each.controller for each in rest} == set()
    for device in rest:
        assert device.install() == b"second"
    wait_until(lambda: state(service, rollout) == "completed", what="the roll-out to complete")


def test_a_bad_release_is_held_in_the_first_cohort_and_taken_back_in_one_call(
    service: RunningService, fleet: list[Controller]
) -> None:
    rollout = start(service, fleet[0].catalog, b"bad")
    bad, slow = cohort(fleet, 2)
    slow_link = slow.links()["deploymentBase"]
    slow_action = slow_link.rsplit("/", 1)[1]
    assert slow.ask("GET", slow_link).status == 200, "it begins before the roll-out is held"
    bad.install("failure", "the new system does not boot")
    wait_until(lambda: state(service, rollout) == "held", what="the roll-out to be held")
    rest = [device for device in fleet if device not in (bad, slow)]
    assert offered(rest) == [], "nobody else is offered it"
    assert slow.links()["deploymentBase"] == slow_link, "who has begun goes on"
    answer = service.call("POST", f"/api/v1/rollouts/{rollout}/roll-back", {"reason": "it does not boot"})
    assert answer.status == 200
    # Who was at it is asked to cancel, and has what it had; who failed has it already.
    wait_until(lambda: "cancelAction" in slow.links(), what="the cancellation")
    assert slow.say(f"/cancelAction/{slow_action}", "closed", "success").status == 200
    wait_until(
        lambda: [device.links() for device in fleet] and state(service, rollout) == "rolled-back", what="it back"
    )
    for device in fleet:
        assert [each["name"] for each in device.shown()["installed"]] == ["gateway"]
        assert set(device.links()) == {"installedBase"}
    shown = {
        each["device_id"]: each for each in service.call("GET", f"/api/v1/rollouts/{rollout}/devices").body["items"]
    }
    assert shown[bad.shown()["device_id"]]["reason"] == "the new system does not boot"


def test_a_halt_ends_what_was_granted_and_not_begun(service: RunningService, fleet: list[Controller]) -> None:
    rollout = start(service, fleet[0].catalog, b"halted")
    begun, waiting = cohort(fleet, 2)
    link = waiting.links()["deploymentBase"]
    assert begun.ask("GET", begun.links()["deploymentBase"]).status == 200
    place = f"/api/v1/rollouts/{rollout}"
    assert service.call("POST", f"{place}/halt", {"reason": "wait"}).status == 200
    assert "deploymentBase" not in waiting.links()
    assert waiting.ask("GET", link).status == 404, "an address that was told before opens nothing, either"
    assert begun.install() == b"halted"
    assert service.call("POST", f"{place}/resume", {}).status == 200
    assert wait_until(lambda: waiting.links().get("deploymentBase"), what="it may again") == link
    assert waiting.install() == b"halted"


def test_a_first_release_that_is_taken_back_leaves_what_is_on_a_device_and_says_so(service: RunningService) -> None:
    """DDI has no word for removing an artifact: the service forgets it, so that the roll-out can end."""
    catalog = bridged_catalog(service)
    device = Controller.made(service, catalog)
    rollout = start(service, catalog, b"first", replace(POLICY, soak_s=3600))
    wait_until(lambda: "deploymentBase" in device.links(), what="the offer")
    device.install()
    service.call("POST", f"/api/v1/rollouts/{rollout}/roll-back", {"reason": "not this one"})
    wait_until(lambda: device.links() and state(service, rollout) == "rolled-back", what="its end")
    assert device.shown()["installed"] == []
