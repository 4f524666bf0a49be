# SPDX-License-Identifier: Apache-2.0
"""When devices update, where each stands, check now, drafts and bills of materials, over the operator API."""

from __future__ import annotations

import base64
import json

import pytest
from tests.api.running_service import RunningService, application, fresh_os_version

BILL = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": []}).encode()
CYCLONEDX = {"Content-Type": "application/vnd.cyclonedx+json"}


def schedule_of(catalog: str, group: str = "Production") -> str:
    return f"/api/v1/catalogs/{catalog}/products/Coffee/device-groups/{group}/update-schedule"


def test_the_schedule_of_a_group(service: RunningService, catalog: str) -> None:
    service.claimed(catalog)
    usual = service.call("GET", schedule_of(catalog)).body
    assert (usual["check_interval_s"], usual["windows"], usual["zone"]) == (None, [], "UTC")
    assert usual["max_deferral_s"] == 86_400
    body = {"check_interval_s": 7200, "zone": "Asia/Tokyo", "windows": ["Sat,Sun 01:00-05:00"], "max_deferral_s": 0}
    made = service.call("PUT", schedule_of(catalog), body).body
    assert {name: made[name] for name in body} == body
    assert service.call("GET", schedule_of(catalog.lower(), "production")).body == made
    urgent = service.call("POST", schedule_of(catalog) + "/urgent", {"reason": "the lock opens", "lifetime_s": 600})
    assert urgent.body["urgent_reason"] == "the lock opens"
    assert service.call("DELETE", schedule_of(catalog) + "/urgent").body["urgent_until"] is None
    assert service.call("DELETE", schedule_of(catalog) + "/urgent").status == 409


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"windows": ["Mon 01:00-03:00", "Mon 02:00-04:00"]}, "overlap"),
        ({"windows": ["at night"]}, "maintenance window"),
        ({"zone": "Mars/Olympus"}, "time zone"),
        ({"check_interval_s": 86_400 * 2}, "check interval"),
        ({"max_deferral_s": 86_400 * 15}, "max_deferral_s"),
        ({"window": []}, "window"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    service: RunningService, catalog: str, body: dict[str, object], named: str
) -> None:
    service.claimed(catalog)
    refused = service.call("PUT", schedule_of(catalog), body)
    assert refused.status in (400, 422)
    assert named in json.dumps(refused.body)
    assert service.call("GET", schedule_of(catalog)).body["windows"] == []


def test_where_a_device_stands_and_check_now(service: RunningService, catalog: str) -> None:
    device = service.claimed(catalog)
    path = f"/api/v1/devices/{device.device_id}"
    assert service.call("GET", path + "/update-status").body["code"] == "never-seen"
    with device:
        device.check_in()
        image = service.service.updates.images.upload(catalog, application()[1], actor="test")
        service.service.updates.deployments.create(catalog, "Coffee", "Production", [image.image_id], actor="test")
        standing = service.call("GET", path + "/update-status").body
        assert (standing["code"], standing["lacking"]) == ("check-in-due", [image.name])
        assert standing["meaning"].endswith(".")
        assert standing["remedy"].endswith(".")
        asked = service.call("POST", path + "/check-now").body
        assert asked["check_now_at"] is not None
        assert device.exchange("GET", "/v1/hint").status == 200
        device.check_in()
        assert service.call("GET", path + "/update-status").body["code"] == "offered"
    reader = service.token_of("Reader")
    assert service.call("GET", path + "/update-status", token=reader).status == 200
    assert service.call("POST", path + "/check-now", token=reader).status == 403
    assert service.call("POST", f"/api/v1/devices/{'00' * 64}/check-now").status == 404


def test_from_uploaded_packages_to_a_release_for_everybody(service: RunningService) -> None:
    chip, version = "imx8mp", fresh_os_version()
    newest = service.service.releases.newest(chip)
    packages = {name: base64.b64encode(p).decode() for name, p in service.service.releases.packages(newest).items()}
    body = {"chip": chip, "version": version, "os_abi": 3, "components": packages}
    draft = service.call("POST", "/api/v1/releases/drafts", body)
    assert (draft.status, draft.body["published_at"], draft.body["os_abi"]) == (201, None, 3)
    path = f"/api/v1/releases/{draft.body['release_id']}"
    assert service.call("POST", path + "/sbom", BILL, headers=CYCLONEDX).body["components"] == 0
    answer = service.call("GET", path + "/sbom")
    assert answer.raw == BILL
    assert answer.headers["content-type"] == CYCLONEDX["Content-Type"]
    for step in ("sign", "publish", "promote"):
        assert service.call("POST", f"{path}/{step}", token=service.token_of("Contributor")).status == 403
        assert service.call("POST", f"{path}/{step}").status == 200
        assert service.call("POST", f"{path}/{step}").status in ((200,) if step == "sign" else (409,))
    assert service.call("GET", path).body["feed"] == "Retail"
    half = {**body, "version": version + "-b", "components": dict(list(packages.items())[1:])}
    refused = service.call("POST", "/api/v1/releases/drafts", half)
    assert (refused.status, refused.body["code"]) == (400, "request.invalid")
    wrong = {**body, "version": version + "-c", "components": {**packages, next(iter(packages)): "%%%"}}
    assert "base64" in service.call("POST", "/api/v1/releases/drafts", wrong).body["detail"]


def test_what_is_built_here_has_the_security_version_of_the_last_release_or_the_one_that_is_given(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.service.releases, "highest_security_version", lambda _: 3)
    for given, expected in (({}, 3), ({"security_version": 4}, 4)):
        body = {"chip": "imx8mp", "version": fresh_os_version(), **given}
        draft = service.call("POST", "/api/v1/releases/drafts", body)
        assert draft.status == 201
        assert {one["security_version"] for one in draft.body["components"]} == {expected}


def test_the_bill_of_an_image(service: RunningService, catalog: str) -> None:
    image = service.service.updates.images.upload(catalog, application()[1], actor="test")
    path = f"/api/v1/catalogs/{catalog}/images/{image.image_id}/sbom"
    assert service.call("GET", path).status == 404
    assert service.call("POST", path, b"{}", headers=CYCLONEDX).status == 400
    assert service.call("POST", path, BILL, headers=CYCLONEDX, token=service.token_of("Contributor")).status == 200
    assert service.call("GET", path, token=service.token_of("Reader")).raw == BILL


def test_a_role_that_is_signed_twice_in_one_request_is_refused(service: RunningService) -> None:
    document = {"role": "root", "metadata": {"signed": {}, "signatures": []}}
    made = service.call("POST", "/api/v1/repository/signatures", {"documents": [document, document]})
    assert (made.status, "each role once" in made.body["detail"]) == (400, True)
    alone = service.call("POST", "/api/v1/repository/signatures", {"documents": [document]})
    assert "no metadata of this role waits" in alone.body["detail"]


@pytest.mark.parametrize("is_true", [True, False])
def test_a_truth_value_is_no_number(service: RunningService, catalog: str, is_true: bool) -> None:
    service.claimed(catalog)
    for method, path, body, field in (
        ("POST", "/api/v1/releases/drafts", {"chip": "mt3620", "version": "77.1"}, "security_version"),
        ("POST", "/api/v1/releases", {"chip": "mt3620", "version": "77.1"}, "security_version"),
        ("PUT", schedule_of(catalog), {}, "max_deferral_s"),
        ("POST", schedule_of(catalog) + "/urgent", {"reason": "x"}, "lifetime_s"),
    ):
        refused = service.call(method, path, {**body, field: is_true})
        assert (refused.status, field in refused.body["detail"]) == (400, True), (path, refused.body)
    assert all(one["version"] != "77.1" for one in service.call("GET", "/api/v1/releases").body["items"])


def test_a_reason_has_words(service: RunningService, catalog: str) -> None:
    service.claimed(catalog)
    release = service.call("POST", "/api/v1/releases", {"chip": "mt3620", "version": fresh_os_version()}).body[
        "release_id"
    ]
    for path in (f"/api/v1/releases/{release}/withdraw", schedule_of(catalog) + "/urgent"):
        for blank in (" ", "   "):
            refused = service.call("POST", path, {"reason": blank})
            assert (refused.status, "words" in refused.body["detail"]) == (400, True), (path, refused.body)
    assert service.call("GET", f"/api/v1/releases/{release}").body["withdrawn_at"] is None
