# SPDX-License-Identifier: Apache-2.0
"""What a hostile controller, a hostile tenant and a hostile operator of another catalog try on the bridge.

Each has its control: the same request by whom it is for is answered, or the attack works once the check is taken out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, own_service
from tests.fixtures.controllers import Controller, artifact, bridged_catalog, deploy, service_admission

from armillary.errors import ConflictError, RateLimitedError, UnknownDeviceError
from armillary.service.bridge.callers import BridgeCallers
from armillary.service.bridge.rates import READS, REQUESTS, WRITES
from armillary.service.verifier.device_states import DeviceStates
from armillary.wire.hawkbit.artifact import CHIP

service = own_service()
CONTENT = os.urandom(5000)


@pytest.fixture(scope="module")
def mine(service: RunningService) -> Controller:
    return Controller.made(service, bridged_catalog(service))


@pytest.fixture(scope="module")
def theirs(service: RunningService) -> Iterator[Controller]:
    """A device of another catalog with an open action and an artifact."""
    catalog = bridged_catalog(service)
    device = Controller.made(service, catalog)
    deploy(service, catalog, artifact(service, catalog, CONTENT)["image_id"])
    device.links()
    return device


def addresses(device: Controller) -> list[tuple[str, str, Any]]:
    """Every request that a device can make about its open action."""
    number = device.actions()[0]["action"]
    said = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}
    image = device.service.call("GET", f"/api/v1/catalogs/{device.catalog}/bridge-artifacts").body["items"][0][
        "image_id"
    ]
    file = f"/softwaremodules/{image}/artifacts/gateway.swu"
    return [
        ("GET", "", None), ("GET", f"/deploymentBase/{number}", None),
        ("POST", f"/deploymentBase/{number}/feedback", said), ("PUT", "/configData", {"data": {}}),
        ("GET", file, None), ("HEAD", file, None), ("GET", f"{file}.MD5SUM", None), ("GET", "/confirmationBase", None),
        ("GET", f"/softwaremodules/{image}/artifacts", None),
    ]  # fmt: skip


def test_only_the_device_itself_is_answered(service: RunningService, mine: Controller, theirs: Controller) -> None:
    """Another tenant's token, another device's of the same catalog, an operator's, none: all get the same 401."""
    sibling = Controller.made(service, theirs.catalog)
    headers = (
        mine.header, sibling.header, f"Bearer {service.token}", f"TargetToken {service.token}", "", "TargetToken",
        "TargetToken ", f"{theirs.header}x", theirs.header[:-1], f"Basic {theirs.header.split()[1]}", "x" * 1000,
    )  # fmt: skip
    answers = set()
    for method, path, body in addresses(theirs):
        for header in headers:
            attacker = Controller(service, theirs.catalog, theirs.controller, header)
            answer = attacker.ask(method, path, body)
            answers.add(
                (answer.status, answer.raw if method != "HEAD" else b"", answer.headers.get("www-authenticate"))
            )
        assert theirs.ask(method, path, body).status == 200, (method, path)
    assert len({each for each in answers if each[1]}) == 1
    assert {each[0] for each in answers} == {401}


def test_what_is_not_there_and_what_is_not_admitted_look_the_same(
    service: RunningService, mine: Controller, theirs: Controller
) -> None:
    catalog = service.make_catalog(fresh("closed"))  # it admits nobody
    for tenant, controller in (
        (theirs.catalog, fresh("nobody")), (fresh("nowhere"), theirs.controller), (catalog, "x"), ("..", "x"),
        (theirs.catalog, "%2e%2e"), (theirs.catalog, "a%00b"), ("a%20b", "x"),
    ):  # fmt: skip
        answer = Controller(service, tenant, controller, mine.header).ask("GET", "")
        assert (answer.status, answer.body["message"]) == (401, mine_refused(service, mine)), (tenant, controller)


def mine_refused(service: RunningService, mine: Controller) -> str:
    """What a device with a wrong token is told."""
    return str(Controller(service, mine.catalog, mine.controller, "TargetToken wrong").ask("GET", "").body["message"])


def test_one_device_sees_no_action_and_no_artifact_of_another(
    service: RunningService, mine: Controller, theirs: Controller
) -> None:
    mine.links()
    for method, path, body in addresses(theirs):
        if path in ("", "/configData", "/confirmationBase"):
            continue
        assert mine.ask(method, path, body).status == 404, path
        assert theirs.ask(method, path, body).status == 200, path


def test_two_headers_or_doubled_parameters_are_refused(theirs: Controller) -> None:
    connection = theirs.service.connection()
    connection.putrequest("GET", theirs.root)
    for header in (theirs.header, "TargetToken other"):
        connection.putheader("Authorization", header)
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()
    answer = theirs.ask("GET", "?actionHistory=1&actionHistory=2")
    assert (answer.status, answer.body["errorCode"]) == (400, "request.invalid")
    assert theirs.ask("GET", "?actionHistory=1").status == 200


def test_feedback_that_is_too_large_or_none_is_refused_with_its_reason(theirs: Controller) -> None:
    number = theirs.actions()[0]["action"]
    place = f"/deploymentBase/{number}/feedback"
    good = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}
    before = len(theirs.said(number))
    for body, status, words in (
        (b"{" + b" " * (200 << 10) + b"}", 413, "larger"),
        (b"[" * 5000, 400, "JSON"),
        (b'{"status": 1, "status": 2}', 400, "twice"),
        (b'{"status": NaN}', 400, "NaN"),
        ({"status": {"execution": "closed", "result": {}}}, 400, "finished"),
        ({"status": {**good["status"], "details": ["x"] * 51}}, 400, "at most 50"),
    ):
        raw = body if isinstance(body, bytes) else None
        answer = theirs.service.call(
            "POST", theirs.root + place, raw if raw is not None else body, token=None,
            headers={"Authorization": theirs.header, "Content-Type": "application/json"},
        )  # fmt: skip
        assert (answer.status, words in answer.body["message"]) == (status, True), (words, answer.raw)
    assert len(theirs.said(number)) == before, "nothing of it was kept"
    long = {"status": {**good["status"], "details": ["\x1b[2J" + "x" * 10_000]}}
    assert theirs.ask("POST", place, long).status == 200
    assert theirs.said(number)[-1]["messages"] == ["[2J" + "x" * 508]


def test_what_a_device_tells_is_bounded_in_number_and_in_length(theirs: Controller) -> None:
    number = theirs.actions()[0]["action"]
    for _ in range(110):
        assert theirs.say(f"/deploymentBase/{number}", "proceeding").status == 200
    assert len(theirs.said(number)) == 100
    lines = [f"{each:02}" + "x" * 400 for each in range(50)]
    assert theirs.say(f"/deploymentBase/{number}", "proceeding", "none", *lines).status == 200
    kept = theirs.said(number)[-1]["messages"]
    assert kept == lines[-len(kept) :]
    assert 7000 < sum(map(len, kept)) <= 8192


def test_a_device_that_asks_without_end_is_told_when_to_come_back(service: RunningService) -> None:
    device = Controller.made(service, bridged_catalog(service))
    body, bridge = {"data": {"n": "1"}}, service.service.bridge
    assert device.ask("PUT", "/configData", body).status == 200
    number = bridge.devices.get(device.catalog, device.controller).number
    for _ in range(WRITES.burst):
        with contextlib.suppress(RateLimitedError):
            bridge.rates.take(number, writes=True)
    answer = device.ask("PUT", "/configData", body)
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= WRITES.period_s
    assert device.ask("GET", "").status == 200, "it may still ask what there is to do"
    assert Controller.made(service, device.catalog).ask("PUT", "/configData", {"data": {}}).status == 200


def test_reads_of_artifacts_are_bounded_apart_from_the_rest(theirs: Controller) -> None:
    """RAUC that streams a bundle reads it in thousands of ranges, and tells meanwhile how it goes."""
    device, bridge = Controller.made(theirs.service, theirs.catalog), theirs.service.service.bridge
    device.links()
    file = addresses(device)[4][1]
    number = bridge.devices.get(device.catalog, device.controller).number
    for _ in range(REQUESTS.burst + 1):
        bridge.rates.take_read(number)
    assert device.ask("GET", file, headers={"Range": "bytes=0-0"}).status == 206
    for _ in range(READS.burst):
        with contextlib.suppress(RateLimitedError):
            bridge.rates.take_read(number)
    for method in ("GET", "HEAD"):
        answer = device.ask(method, file)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1"), "in time for the next try of RAUC"
    assert device.ask("GET", "").status == 200


def test_odd_ranges_cost_nothing(theirs: Controller) -> None:
    file = addresses(theirs)[4][1]
    many = ",".join(f"{each}-{each + 1}" for each in range(0, 2000, 2))
    for given in (
        "bytes=0-1,2-3", f"bytes={many}", "bytes=5-1", "bytes=5000-", "bytes=-0", "bytes=-", "bytes=a-b", "items=0-1",
        "bytes=99999999999999999999999999-", "bytes=0-1, 1-2",
    ):  # fmt: skip
        answer = theirs.ask("GET", file, headers={"Range": given})
        assert (answer.status, answer.raw) == (416, b""), given
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert theirs.ask("GET", file, headers={"Range": "bytes=0-0"}).status == 206


def test_an_operator_of_one_catalog_reaches_no_other(
    service: RunningService, mine: Controller, theirs: Controller
) -> None:
    boss = service.token_for(mine.catalog, "Administrator")
    place = f"/api/v1/catalogs/{theirs.catalog}"
    image = service.call("GET", f"{place}/bridge-artifacts").body["items"][0]["image_id"]
    for method, path, body in (
        ("GET", "bridge-admission", None), ("PATCH", "bridge-admission", {"target_tokens": False}),
        ("GET", "bridge-authorities", None), ("GET", "bridge-devices", None),
        ("GET", f"bridge-devices/{theirs.controller}", None), ("DELETE", f"bridge-devices/{theirs.controller}", None),
        ("GET", f"bridge-devices/{theirs.controller}/actions", None), ("GET", "bridge-artifacts", None),
        ("GET", f"bridge-artifacts/{image}", None), ("DELETE", f"bridge-artifacts/{image}", None),
    ):  # fmt: skip
        assert service.call(method, f"{place}/{path}", body, token=boss).status == 404, path
    with pytest.raises(Exception, match="does not exist in this catalog"):
        deploy(service, mine.catalog, image)
    assert service.call("GET", f"/api/v1/catalogs/{mine.catalog}/bridge-devices", token=boss).status == 200


def test_a_revoked_device_is_out(service: RunningService) -> None:
    device = Controller.made(service, bridged_catalog(service))
    device_id = device.shown()["device_id"]
    service.service.registry.lifecycle.revoke(device_id, reason="stolen", actor="test")
    assert device.ask("GET", "").status == 401
    service.service.registry.lifecycle.restore(device_id, actor="test")
    assert device.ask("GET", "").status == 200


def test_a_bridged_device_is_nobody_at_the_device_endpoint(service: RunningService, mine: Controller) -> None:
    """It has no identity key; and if somebody had a certificate for its id, it would still be unknown there."""
    context = service.service.context
    states = DeviceStates(context.records, context.now)
    with pytest.raises(UnknownDeviceError):
        states.admitted(mine.shown()["device_id"])
    assert states.admitted(service.claimed(mine_products(service)).device_id).chip != CHIP
    other = service.make_catalog(fresh("other"))
    to = service.service.registry.catalogs.get(other).catalog_id
    with pytest.raises(ConflictError, match="bridged device"):
        service.service.registry.transfers.offer(mine.catalog, mine.shown()["device_id"], to, actor="test")


def mine_products(service: RunningService) -> str:
    return service.make_catalog(fresh("attesting"), product="Coffee")


def test_a_token_never_appears_again(service: RunningService, caplog: pytest.LogCaptureFixture) -> None:
    catalog = bridged_catalog(service)
    token = service_admission(service, catalog, gateway_token="new")["token"]
    device = Controller.made(service, catalog)
    secret = device.header.split()[1]
    device.links()
    shown = "".join(
        str(service.call("GET", path).raw)
        for path in (
            f"/api/v1/catalogs/{catalog}/bridge-admission", f"/api/v1/catalogs/{catalog}/bridge-devices",
            "/api/v1/audit?limit=1000", f"/api/v1/catalogs/{catalog}/bridge-devices/{device.controller}",
        )
    )  # fmt: skip
    assert token not in shown
    assert secret not in shown
    assert secret not in caplog.text
    database = service.service.context.folder.database.read_bytes()
    assert token.encode() not in database
    assert secret.encode() not in database


def test_without_the_check_another_tenants_token_opens_everything(
    service: RunningService, mine: Controller, theirs: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: what is refused above is refused by this check alone."""
    attacker = Controller(service, theirs.catalog, theirs.controller, mine.header)
    assert attacker.ask("GET", "").status == 401
    monkeypatch.setattr(BridgeCallers, "_check", lambda *_: None)
    assert attacker.ask("GET", "").status == 200
