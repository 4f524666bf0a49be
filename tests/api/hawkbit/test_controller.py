# SPDX-License-Identifier: Apache-2.0
"""A controller of hawkBit's DDI over the API: polls, installs, fails, is canceled, fetches with ranges."""

from __future__ import annotations

import datetime as dt
import os
from hashlib import md5

import pytest
from tests.api.running_service import RunningService, application, fresh
from tests.fixtures.controllers import PRODUCT, Controller, artifact, bridged_catalog, deploy, service_admission

from armillary.service.context.context import Context

CONTENT = os.urandom(300_000)


@pytest.fixture
def catalog(service: RunningService) -> str:
    return bridged_catalog(service)


@pytest.fixture
def device(service: RunningService, catalog: str) -> Controller:
    return Controller.made(service, catalog)


def test_a_new_device_is_asked_for_its_attributes_once(service: RunningService, device: Controller) -> None:
    assert set(device.links()) == {"configData"}
    assert device.ask("PUT", "/configData", {"mode": "merge", "data": {"hw": "2", "kernel": "6.12"}}).status == 200
    assert device.links() == {}
    shown = device.shown()
    assert shown["attributes"] == {"hw": "2", "kernel": "6.12"}
    assert (shown["trust_tier"], shown["product"], shown["installed"]) == ("unattested", PRODUCT, [])
    found = service.service.registry.devices.get(shown["device_id"])
    assert (found.health, found.trust_tier, found.name) == ("unattested", "unattested", device.controller)
    assert found.certificate_serial == ""


def test_it_installs_what_its_group_is_given_and_no_more(service: RunningService, device: Controller) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deployment = deploy(service, device.catalog, image["image_id"])
    assert device.install() == CONTENT
    (action,) = device.actions()
    assert (action["state"], action["deployment_id"], action["reason"]) == ("finished", deployment, "")
    events = [each["event"] for each in device.said(action["action"])]
    assert events == ["offer", "retrieve", "proceed", "succeed"]
    assert [each["image_id"] for each in device.shown()["installed"]] == [image["image_id"]]
    assert set(device.links()) == {"installedBase"}
    assert device.ask("GET", f"/installedBase/{action['action']}").body["deployment"]["chunks"][0]["version"] == "1.0"
    device_id = device.shown()["device_id"]
    outcomes = service.call("GET", f"/api/v1/devices/{device_id}/outcomes").body["items"]
    assert [(each["outcome"], each["image_id"]) for each in outcomes] == [("confirmed", image["image_id"])]
    told = service.call("GET", f"/api/v1/devices/{device_id}/deployment").body
    assert told["status"] == "up-to-date"
    newer = artifact(service, device.catalog, b"new", version="2.0")
    deploy(service, device.catalog, newer["image_id"])
    assert device.install() == b"new"
    assert len(device.actions()) == 2


def test_what_closes_an_action_wakes_the_watch_and_a_poll_that_changes_nothing_is_noted(
    service: RunningService, device: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    news: list[None] = []
    monkeypatch.setattr(service.service.notices, "on_news", [lambda: news.append(None)])
    deploy(service, device.catalog, artifact(service, device.catalog, CONTENT)["image_id"])
    device.links()
    assert news == []
    device.install()
    assert len(news) == 1
    later = service.service.context.now() + 60
    monkeypatch.setattr(Context, "now", lambda _: later)
    device.links()
    assert service.service.bridge.devices.get(device.catalog, device.controller).polled_at == later


def test_what_failed_is_not_offered_again_until_an_operator_says_so(
    service: RunningService, device: Controller
) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    device.install("failure", "flash is full", "slot b: no space left on device")
    (action,) = device.actions()
    assert (action["state"], action["reason"]) == ("error", "slot b: no space left on device")
    device_id = device.shown()["device_id"]
    (outcome,) = service.call("GET", f"/api/v1/devices/{device_id}/outcomes").body["items"]
    assert (outcome["outcome"], outcome["reason"]) == ("failed", "slot b: no space left on device")
    assert device.links() == {}
    assert device.shown()["installed"] == []
    place = f"/api/v1/catalogs/{device.catalog}/bridge-devices/{device.controller}/retry"
    assert service.call("POST", place, {}).status == 200
    assert device.install() == CONTENT
    assert service.call("POST", place, {}).status == 409


def test_feedback_on_a_closed_action_is_gone(service: RunningService, device: Controller) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    device.install()
    number = device.actions()[0]["action"]
    answer = device.say(f"/deploymentBase/{number}", "proceeding")
    assert (answer.status, answer.body["errorCode"]) == (410, "bridge.action-closed")
    assert device.ask("GET", f"/deploymentBase/{number}").status == 404


def test_an_operator_cancels(service: RunningService, device: Controller) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    link = device.links()["deploymentBase"]
    assert device.ask("GET", link).status == 200
    number = device.actions()[0]["action"]
    place = f"/api/v1/catalogs/{device.catalog}/bridge-devices/{device.controller}/actions/{number}/cancel"
    assert service.call("POST", place, {}).body["state"] == "canceling"
    assert device.ask("GET", link).status == 404
    links = device.links()
    assert set(links) == {"cancelAction", "configData"}
    assert device.ask("GET", links["cancelAction"]).body == {
        "id": str(number), "cancelAction": {"stopId": str(number)},
    }  # fmt: skip
    assert device.say(f"/cancelAction/{number}", "closed", "success", "cancellation acknowledged.").status == 200
    assert device.actions()[0]["state"] == "canceled"
    assert set(device.links()) == {"configData"}, "what an operator canceled is not offered again"
    assert service.call("POST", place, {}).status == 410


def test_a_device_may_reject_a_cancellation_and_finish(service: RunningService, device: Controller) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    device.links()
    number = device.actions()[0]["action"]
    place = f"/api/v1/catalogs/{device.catalog}/bridge-devices/{device.controller}/actions/{number}/cancel"
    assert service.call("POST", place, {}).status == 200
    assert device.say(f"/cancelAction/{number}", "rejected").status == 200
    assert "deploymentBase" in device.links()
    device.install()
    assert device.actions()[0]["state"] == "finished"


def test_a_newer_deployment_cancels_the_one_under_way(service: RunningService, device: Controller) -> None:
    first = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, first["image_id"])
    old = device.ask("GET", device.links()["deploymentBase"]).body["id"]
    second = artifact(service, device.catalog, b"two", version="2.0")
    deploy(service, device.catalog, second["image_id"])
    assert device.links()["cancelAction"].endswith(f"/cancelAction/{old}")
    assert device.say(f"/cancelAction/{old}", "closed", "success").status == 200
    assert device.install() == b"two"
    assert [each["state"] for each in device.actions()] == ["finished", "canceled"]
    assert device.actions()[1]["reason"] == "another deployment is wanted"


def test_ranges_and_heads(service: RunningService, device: Controller) -> None:
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    body = device.ask("GET", device.links()["deploymentBase"]).body
    links = body["deployment"]["chunks"][0]["artifacts"][0]["_links"]
    file = links["download"]["href"]
    head = device.ask("HEAD", file)
    assert (head.status, head.headers["content-length"], head.raw) == (200, str(len(CONTENT)), b"")
    assert head.headers["accept-ranges"] == "bytes"
    for given, first, last in (
        ("bytes=100000-", 100_000, 299_999), ("bytes=0-9", 0, 9), ("bytes=-5", 299_995, 299_999),
        ("bytes=299999-400000", 299_999, 299_999),
    ):  # fmt: skip
        part = device.ask("GET", file, headers={"Range": given})
        assert (part.status, part.raw) == (206, CONTENT[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert device.ask("HEAD", file, headers={"Range": "bytes=0-9"}).headers["content-length"] == "10"
    etag = head.headers["etag"]
    assert device.ask("GET", file, headers={"Range": "bytes=0-9", "If-Range": etag}).status == 206
    assert device.ask("GET", file, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).raw == CONTENT
    sums = device.ask("GET", links["md5sum"]["href"])
    assert sums.raw.decode() == f"{md5(CONTENT, usedforsecurity=False).hexdigest()}  gateway.swu"
    module = device.ask("GET", f"/softwaremodules/{image['image_id']}/artifacts").body
    assert [each["filename"] for each in module] == ["gateway.swu"]


def test_maintenance_windows_of_the_group_hold(service: RunningService, device: Controller) -> None:
    """What a device has begun goes on when its window ends; what is urgent does not wait for one."""
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=12)
    window = f"daily {later:%H:%M}-{later + dt.timedelta(hours=1):%H:%M}"
    schedules, place = service.service.updates.schedules, (device.catalog, PRODUCT, "Production")
    usual = {"actor": "test", "check_interval_s": None, "zone": "UTC", "max_deferral_s": 0}
    schedules.put(*place, windows=[window], **usual)
    image = artifact(service, device.catalog, CONTENT)
    deploy(service, device.catalog, image["image_id"])
    assert "deploymentBase" not in device.links()
    schedules.urge(*place, reason="a hole", actor="test")
    link = device.links()["deploymentBase"]
    assert device.ask("GET", link).status == 200
    schedules.end_urgency(*place, actor="test")
    assert device.links()["deploymentBase"] == link
    assert device.install() == CONTENT


def test_the_gateway_token_registers_devices_where_the_catalog_says(service: RunningService, catalog: str) -> None:
    token = service_admission(service, catalog, gateway_token="new")["token"]
    stranger = Controller(service, catalog, fresh("new"), f"GatewayToken {token}")
    assert stranger.ask("GET", "").status == 401, "nobody registers before the catalog says where to"
    service_admission(service, catalog, registers_into=f"{PRODUCT}/Field Test", polling_s=60)
    answer = stranger.ask("GET", "")
    assert answer.body["config"] == {"polling": {"sleep": "00:01:00"}}
    assert stranger.shown()["group"] == "Field Test"
    known = Controller.made(service, catalog)
    known.header = stranger.header
    assert known.ask("GET", "").status == 200
    service_admission(service, catalog, gateway_token="off")
    assert stranger.ask("GET", "").status == 401


def test_a_token_that_devices_have_is_taken_over(service: RunningService, catalog: str) -> None:
    body = {"controller": "old-fleet-1", "product": PRODUCT, "group": "Production", "token": "0123456789abcdef"}
    made = service.call("POST", f"/api/v1/catalogs/{catalog}/bridge-devices", body)
    assert (made.status, "token" in made.body) == (200, False)
    device = Controller(service, catalog, "old-fleet-1", "TargetToken 0123456789abcdef")
    assert device.ask("GET", "").status == 200
    place = f"/api/v1/catalogs/{catalog}/bridge-devices/old-fleet-1/token"
    token = service.call("PUT", place, {}).body["token"]
    assert device.ask("GET", "").status == 401
    device.header = f"TargetToken {token}"
    assert device.ask("GET", "").status == 200


def test_a_tenant_of_another_name_is_set_for_the_whole_service_only(service: RunningService, catalog: str) -> None:
    tenant = fresh("TENANT")
    place = f"/api/v1/catalogs/{catalog}/bridge-admission"
    boss = service.token_for(catalog, "Administrator")
    assert service.call("PATCH", place, {"tenant": tenant}, token=boss).status == 403
    assert service.call("PATCH", place, {"tenant": tenant}).body["tenant"] == tenant.lower()
    device = Controller.made(service, catalog)
    assert device.ask("GET", "").status == 401, "the catalog's name is its tenant no more"
    device.tenant = tenant
    assert device.ask("GET", "").status == 200
    other = bridged_catalog(service)
    assert service.call("PATCH", f"/api/v1/catalogs/{other}/bridge-admission", {"tenant": tenant}).status == 409
    assert service.call("PATCH", f"/api/v1/catalogs/{other}/bridge-admission", {"tenant": catalog}).status == 409


def test_a_removed_device_is_out_and_may_come_again(service: RunningService, device: Controller) -> None:
    place = f"/api/v1/catalogs/{device.catalog}/bridge-devices/{device.controller}"
    before = device.shown()["device_id"]
    assert service.call("DELETE", place).status == 200
    assert device.ask("GET", "").status == 401
    assert service.call("GET", place).status == 404
    assert service.service.registry.devices.get(before).catalog is None
    again = Controller.made(service, device.catalog, name=device.controller)
    assert again.ask("GET", "").status == 200
    assert again.shown()["device_id"] == before


def test_what_devices_of_two_kinds_cannot_share_is_refused(service: RunningService, device: Controller) -> None:
    """A package goes to no bridged device, an artifact to no device that attests, and no deployment has both."""
    file = artifact(service, device.catalog, CONTENT)["image_id"]
    package = service.service.updates.images.upload(device.catalog, application()[1], actor="test")
    for images, words in (([str(package.image_id)], "bridged devices"), ([str(package.image_id), file], "got both")):
        with pytest.raises(Exception, match=words):
            deploy(service, device.catalog, *images)
    attesting = service.make_device()
    service.service.registry.devices.claim(
        device.catalog, [attesting.device_id], actor="test", product=PRODUCT, group="Field Test"
    )
    with pytest.raises(Exception, match="is for bridge"):
        deploy(service, device.catalog, file, group="Field Test")


def test_the_console_and_the_lists_say_that_it_attests_nothing(service: RunningService, device: Controller) -> None:
    device.links()
    found = service.call("GET", f"/api/v1/devices?catalog={device.catalog}&health=unattested").body["items"]
    assert [(each["name"], each["trust_tier"]) for each in found] == [(device.controller, "unattested")]
    summary = service.call("GET", f"/api/v1/fleet?catalog={device.catalog}").body
    assert (summary["health"]["unattested"], summary["tiers"]) == (1, {"unattested": 1})
    assert summary["health"]["attested"] == 0
