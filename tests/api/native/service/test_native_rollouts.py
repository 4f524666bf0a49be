# SPDX-License-Identifier: Apache-2.0
"""Native routes of roll-outs: their life, rings, a second person, and what makes no sense."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService, application, fresh_os_version, wait_until

from armillary.wire.device.update_status import OS, UpdateStatus


def _uploaded(service: RunningService, catalog: str) -> str:
    _, package = application()
    return str(service.service.updates.images.upload(catalog, package, actor="test").image_id)


def test_a_rollout_is_started_halted_resumed_and_rolled_back(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    body = {
        "catalog": catalog,
        "product": "Coffee",
        "group": "Production",
        "image_ids": [_uploaded(service, catalog)],
        "policy": {"cohorts": [50, 100], "soak_s": 0},
    }
    made = service.call("POST", "/api/v1/rollouts", body)
    assert (made.status, made.body["state"]) == (201, "running")
    assert made.body["policy"]["cohorts"] == [50, 100]
    path = f"/api/v1/rollouts/{made.body['rollout_id']}"
    assert service.call("POST", "/api/v1/rollouts", body).status == 409

    def listed_as_shown() -> bool:  # the planner may take it further between the two answers
        listed = service.call("GET", f"/api/v1/rollouts?catalog={catalog}&state=running").body["items"][0]
        return bool(listed == service.call("GET", path).body)

    wait_until(listed_as_shown, "the list to say what the page says")
    assert service.call("POST", f"{path}/halt", {"reason": "look first"}).body["state"] == "held"
    assert service.call("GET", path).body["reason"] == "look first"
    assert service.call("POST", f"{path}/halt", {"reason": "again"}).status == 409
    assert service.call("POST", f"{path}/resume").body["state"] == "running"
    started = wait_until(lambda: service.call("GET", f"{path}/devices").body["items"], "the planner to start a device")
    assert started[0]["device_id"] == device.device_id
    assert service.call("POST", f"{path}/roll-back", {"reason": "bad"}).body["state"] in ("rolling-back", "rolled-back")
    operations = [line["operation"] for line in service.call("GET", "/api/v1/audit?limit=1000").body["items"]
                  if line["target"] == made.body["rollout_id"]]  # fmt: skip
    for operation in ("rollout.start", "rollout.hold", "rollout.resume", "rollout.roll-back"):
        assert operation in operations


def test_a_rollout_is_cancelled(service: RunningService, catalog: str) -> None:
    body = {"catalog": catalog, "product": "Coffee", "group": "Production", "image_ids": [_uploaded(service, catalog)]}
    service.claimed(catalog)  # it never checks in: without it the planner would be done at once
    made = service.call("POST", "/api/v1/rollouts", body).body
    path = f"/api/v1/rollouts/{made['rollout_id']}"
    service.call("POST", f"{path}/halt", {"reason": "wait"})
    assert service.call("POST", f"{path}/cancel", {"reason": "no longer wanted"}).body["state"] == "cancelled"
    second = service.call("POST", "/api/v1/rollouts", body).body
    for order, expected in (("oldest", [made, second]), ("newest", [second, made])):
        found = service.call("GET", f"/api/v1/rollouts?catalog={catalog}&order={order}").body["items"]
        assert [each["rollout_id"] for each in found] == [each["rollout_id"] for each in expected]
    assert service.call("GET", "/api/v1/rollouts?order=up").status == 400


@pytest.mark.parametrize(
    "change",
    [
        {"image_ids": []},
        {"image_ids": ["x"]},
        {"policy": {"cohorts": [100, 50]}},
        {"policy": {"colour": "red"}},
        {"policy": {"soak_s": "1"}},
        {"extra": 1},
        {"catalog": None},
    ],
)
def test_rollouts_that_make_no_sense(service: RunningService, catalog: str, change: dict[str, Any]) -> None:
    body = {"catalog": catalog, "product": "Coffee", "group": "Production", "image_ids": [str(uuid.uuid4())], **change}
    assert service.call("POST", "/api/v1/rollouts", body).status == 400


def test_a_rollout_waits_for_a_second_person_where_the_catalog_asks_for_one(
    service: RunningService, catalog: str
) -> None:
    approval = f"/api/v1/catalogs/{catalog}/rollout-approval"
    assert service.call("GET", approval).body == {"catalog": catalog, "needed": False}
    assert service.call("PUT", approval, {"needed": "yes"}).status == 400
    assert service.call("PUT", approval, {"needed": True}).body == {"catalog": catalog, "needed": True}
    body = {"catalog": catalog, "product": "Coffee", "group": "Production", "image_ids": [_uploaded(service, catalog)]}
    made = service.call("POST", "/api/v1/rollouts", body).body
    assert made["state"] == "proposed"
    path = f"/api/v1/rollouts/{made['rollout_id']}"
    refused = service.call("POST", f"{path}/approve")
    assert (refused.status, refused.body["code"]) == (409, "request.conflict")
    second = {"name": f"second of {catalog}", "role": "Contributor", "catalog": catalog}
    token = service.call("POST", "/api/v1/tokens", second).body["secret"]
    approved = service.call("POST", f"{path}/approve?catalog={catalog}", token=token)
    assert approved.body["state"] in ("running", "completed")  # it has no device
    assert service.call("PUT", approval, {"needed": False}, token=token).status == 403
    first = approved.body["history"][0]
    assert (first["event"], first["actor"]) == ("approve", second["name"])
    assert service.call("PUT", approval, {"needed": False}).status == 200  # roll-outs for all catalogs ask all of them


def test_rings_are_named_devices_and_failures_are_listed_alone(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    body = {
        "catalog": catalog,
        "product": "Coffee",
        "group": "Production",
        "image_ids": [_uploaded(service, catalog)],
        "policy": {"rings": [{"name": "Laboratory", "devices": [device.device_id]}]},
    }
    made = service.call("POST", "/api/v1/rollouts", body)
    assert (made.status, made.body["policy"]["rings"][0]["name"]) == (201, "Laboratory")
    path = f"/api/v1/rollouts/{made.body['rollout_id']}"
    wait_until(lambda: service.call("GET", f"{path}/devices").body["items"], "the ring to be started")
    cohorts = service.call("GET", path).body["cohorts"]
    assert [(cohort["name"], sum(cohort["counts"].values())) for cohort in cohorts] == [("Laboratory", 1)]
    assert service.call("GET", f"{path}/devices?failed=true").body["items"] == []
    service.call("POST", f"{path}/cancel", {"reason": "done"})
    body["policy"] = {"rings": [{"name": "Laboratory", "devices": ["ab" * 64]}]}
    assert service.call("POST", "/api/v1/rollouts", body).status == 400
    body["policy"] = {"rings": [{"name": "Field", "groups": [f"{catalog}/Coffee/Field Test"]}]}
    made = service.call("POST", "/api/v1/rollouts", body)
    assert (made.status, made.body["target"]) == (201, "Coffee/Production and 1 more")
    assert [one["group"] for one in made.body["further"]] == ["Field Test"]
    service.call("POST", f"/api/v1/rollouts/{made.body['rollout_id']}/cancel", {"reason": "done"})


def test_rollouts_that_do_not_exist(service: RunningService) -> None:
    path = f"/api/v1/rollouts/{uuid.uuid4()}"
    assert service.call("GET", path).status == 404
    assert service.call("GET", f"{path}/devices").status == 404
    assert service.call("POST", f"{path}/halt", {"reason": "x"}).status == 404


def test_an_os_release_is_rolled_out_by_who_runs_the_service_alone(service: RunningService, catalog: str) -> None:
    version = fresh_os_version()
    release = service.service.releases.publish("mt3620", version, actor="test", feed="RetailEval")
    path = f"/api/v1/releases/{release.release_id}/rollout"
    with service.claimed(catalog) as device:  # a roll-out that no device can take is over as soon as the planner looks
        device.update_status = UpdateStatus(abilities=(OS,))
        device.check_in()
    mine = {"name": f"admin of {catalog}", "role": "Administrator", "catalog": catalog}
    token = service.call("POST", "/api/v1/tokens", mine).body["secret"]
    assert service.call("POST", path, {"catalog": catalog}, token=token).status == 403
    assert service.call("POST", path, {"feed": "Beta"}).status == 400
    assert service.call("POST", path, {"policy": {"colour": "red"}}).status == 400
    made = service.call("POST", path, {"catalog": catalog, "policy": {"cohorts": [100], "soak_s": 3600}})
    assert made.status == 201
    facts = ("catalog", "group", "release_id", "feed", "chip", "version")
    expected = (catalog, "", str(release.release_id), "Retail", "mt3620", version)
    assert tuple(made.body[name] for name in facts) == expected
    assert service.call("POST", path, {}).status == 409
    rollout = f"/api/v1/rollouts/{made.body['rollout_id']}"
    assert service.call("GET", f"{rollout}?catalog={catalog}", token=token).body["target"] == made.body["target"]
    assert service.call("POST", f"{rollout}/cancel", {"reason": "enough"}).body["state"] == "cancelled"


def test_what_was_promoted_to_all_is_taken_back_by_who_speaks_for_all_alone(
    service: RunningService, catalog: str
) -> None:
    version = fresh_os_version()
    release = service.service.releases.publish("imx8mp", version, actor="test", feed="RetailEval")
    body = {"policy": {"cohorts": [100], "soak_s": 0}}
    made = service.call("POST", f"/api/v1/releases/{release.release_id}/rollout", body)
    path = f"/api/v1/rollouts/{made.body['rollout_id']}"
    wait_until(lambda: service.call("GET", path).body["state"] == "completed", "a roll-out without devices to end")
    mine = {"name": f"one of {catalog}", "role": "Contributor", "catalog": catalog}
    token = service.call("POST", "/api/v1/tokens", mine).body["secret"]
    refused = service.call("POST", f"{path}/roll-back?catalog={catalog}", {"reason": "bad"}, token=token)
    assert (refused.status, refused.body["code"]) == (404, "request.not-found")
    assert service.service.releases.get(release.release_id).feed == "Retail"
    taken = service.call("POST", f"{path}/roll-back", {"reason": "bad"})
    assert taken.body["state"] in ("rolling-back", "rolled-back")
    assert service.service.releases.get(release.release_id).feed == "RetailEval"
