# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog reaches that catalog and what is in it now, over the real API; and the transfer by two."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request
from tests.api.mqtt_device import Connected
from tests.api.running_service import CATALOGS, VERSION
from tests.attacks.owners import Owner

from armillary.api.azure import names, operations
from armillary.api.http import auth, routes
from armillary.api.http.route import Route
from armillary.errors import ConflictError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice


def see(who: Owner, device: WireDevice) -> list[int]:
    """What somebody gets of a device, of every kind."""
    place = f"/devices/{device.device_id}"
    parts = ("", "/check-ins", "/telemetry", "/twin", "/outcomes", "/error-reports", "/deployment", "/refusals")
    return [who.call("GET", place + part).status for part in parts]


def test_each_sees_and_changes_his_own(alice: Owner, bob: Owner) -> None:
    for mine, theirs in ((alice, bob), (bob, alice)):
        assert set(see(mine, mine.device)) == {200}
        assert set(see(mine, theirs.device)) == {404}
        assert mine.call("GET", f"/devices?catalog={mine.name}").body["items"][0]["device_id"] == mine.device.device_id
        assert mine.call("GET", f"/devices?catalog={theirs.name}").status == 404
        assert mine.call("GET", "/me").status == 200
        revoke = f"/devices/{theirs.device.device_id}/revoke"
        assert mine.call("POST", revoke, {"reason": "mine now"}).status == 404
        assert mine.call("POST", f"/catalogs/{theirs.name}/enrolment-tokens", {}).status == 404
        assert mine.call("POST", f"/catalogs/{mine.name}/enrolment-tokens", {}).status == 201
        azure = f"{CATALOGS}/{{}}/products?{VERSION}"
        assert mine.service.call("GET", azure.format(mine.name), token=mine.token).status == 200
        assert mine.service.call("GET", azure.format(theirs.name), token=mine.token).status == 404


def test_an_administrator_of_one_catalog_makes_no_token_of_all(
    alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "boss", "role": "Administrator", "catalog": alice.name}
    boss = alice.service.call("POST", "/api/v1/tokens", body).body["secret"]
    wanted = {"name": "everything", "role": "Administrator"}
    for path in ("/api/v1/tokens", f"/api/v1/tokens?catalog={alice.name}"):
        assert alice.service.call("POST", path, wanted, token=boss).status == 403
    for query in (f"{alice.name}&catalog={bob.name}", f"{bob.name}&catalog={alice.name}"):
        assert alice.service.call("GET", f"/api/v1/devices?catalog={query}", token=boss).status == 400
    # Mutation: with the name in the query taken at its word, on a route that reads none, the token would be made.
    monkeypatch.setattr(routes, "check_names", lambda *_: None)
    check_scope = auth.check_scope

    def narrowed(request: Request, row: Route, *given: Any) -> Any:
        return check_scope(request, replace(row, narrowed=True), *given)

    monkeypatch.setattr(auth, "check_scope", narrowed)
    assert alice.service.call("POST", f"/api/v1/tokens?catalog={alice.name}", wanted, token=boss).status == 201


def test_a_made_up_operation_shows_nothing_of_another_catalog(alice: Owner, bob: Owner) -> None:
    """An operation's id carries the resource that is its result, and anybody can write one."""
    for who, status in ((alice, 200), (bob, 404)):
        resource = names.resource_id(
            names.DEVICE,
            subscription=str(uuid.uuid4()),
            resource_group="rg",
            catalog=who.name,
            product="Coffee",
            device_group="Production",
            device=who.device.device_id,
        )
        made = operations.encode(operations.new_operation(resource, at=1, has_result=True))
        result = f"{names.OPERATION_RESULT}?{VERSION}".format(
            subscription=uuid.uuid4(), location="GLOBAL", operation=made
        )
        assert alice.service.call("GET", result).status == 200  # a token of all catalogs
        reply = alice.service.call("GET", result, token=alice.token)
        assert reply.status == status, reply.raw
        assert (who.device.device_id.encode() in reply.raw) == (who is alice)
        done = operations.encode(operations.new_operation(resource, at=1, has_result=False))
        empty = result.replace(made, done)
        assert (alice.service.call("GET", empty, token=alice.token).status, made != done) == (204, True)


def test_without_the_check_the_other_device_would_be_seen(
    alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: the refusals above come from this check and from nothing else."""
    monkeypatch.setattr(auth, "check_scope", lambda *_: None)
    assert set(see(alice, bob.device)) == {200}


def test_two_owners_hand_a_device_over_and_the_old_one_loses_sight_of_it(alice: Owner, bob: Owner) -> None:
    device = alice.device
    with device:
        device.check_in()
    offer = {"device_id": device.device_id, "to_catalog_id": bob.catalog_id}
    assert bob.call("POST", f"/catalogs/{alice.name}/transfers", offer).status == 404
    assert bob.call("POST", f"/catalogs/{bob.name}/transfers", offer).status == 404
    made = alice.call("POST", f"/catalogs/{alice.name}/transfers", offer)
    assert (made.status, made.body["state"]) == (201, "offered"), made.body
    place = f"/catalogs/{{}}/transfers/{made.body['transfer_id']}/{{}}"
    assert alice.call("POST", place.format(bob.name, "accept")).status == 404  # not in another's name
    assert alice.call("POST", place.format(alice.name, "accept")).status == 404  # not for the other
    assert set(see(bob, device)) == {404}
    taken = bob.call("POST", place.format(bob.name, "accept"))
    assert (taken.status, taken.body["state"]) == (200, "accepted"), taken.body
    assert bob.call("POST", place.format(bob.name, "accept")).status == 409
    device.challenge = b""
    with device:
        device.check_in()
    assert set(see(alice, device)) == {404}
    assert set(see(bob, device)) == {200}
    for one in (alice, bob):
        (listed,) = one.call("GET", f"/catalogs/{one.name}/transfers").body["items"]
        assert (listed["state"], listed["from_catalog"], listed["to_catalog"]) == ("accepted", alice.name, bob.name)


def test_open_connections_of_the_old_owner_end_with_the_transfer(alice: Owner, bob: Owner) -> None:
    """The device's to the hub, with the old catalog's certificate; and the old owner's to what the device sends."""
    service, device = alice.service, alice.device
    before = Connected(service, device)
    closed = threading.Event()
    before.client.on_disconnect = lambda *_: closed.set()
    watching = service.connection()
    path = f"/api/v1/devices/{device.device_id}/telemetry/stream"
    watching.request("GET", path, headers={"Authorization": f"Bearer {alice.token}"})
    stream = watching.getresponse()
    assert stream.readline() == b": listening\n"
    before.send({"temperature": 12})
    assert b"temperature" in b"".join(stream.readline() for _ in range(3))
    alice.give_device(bob)
    assert closed.wait(20), "the hub closes what the old certificate opened"
    before.client.disconnect()  # it would try for ever, and be refused
    before.client.loop_stop()
    device.challenge = b""
    after = Connected(service, device)
    after.send({"secret": 1})
    assert b"secret" not in stream.read(), "the stream ends before the new owner's first value"
    seen = bob.call("GET", f"/devices/{device.device_id}/telemetry").raw
    assert b"secret" in seen
    after.client.disconnect()
    after.client.loop_stop()


def test_an_offer_is_declined_or_taken_back(alice: Owner, bob: Owner) -> None:
    offer = {"device_id": alice.device.device_id, "to_catalog_id": bob.catalog_id, "lifetime_s": 60}
    for who, verb in ((bob, "decline"), (alice, "cancel")):
        made = alice.call("POST", f"/catalogs/{alice.name}/transfers", offer)
        other = alice if who is bob else bob
        place = f"/catalogs/{{}}/transfers/{made.body['transfer_id']}/{verb}"
        assert other.call("POST", place.format(other.name)).status == 404
        assert who.call("POST", place.format(who.name)).status == 200
        assert bob.call("POST", place.format(bob.name).replace(verb, "accept")).status == 409
    assert set(see(alice, alice.device)) == {200}


def test_a_restricted_administrator_is_not_the_last_administrator(host: ServiceHost) -> None:
    tokens = host.service.tokens
    (first,) = tokens.list()
    only = tokens.create("c", "Administrator", actor="t", catalog="Contoso").token
    with pytest.raises(ConflictError, match="last administrator"):
        tokens.revoke(first.token_id, actor="t")
    tokens.revoke(only.token_id, actor="t")


def test_life_over_the_api(alice: Owner) -> None:
    place = f"/api/v1/devices/{alice.device.device_id}"
    call = alice.service.call
    assert call("POST", place + "/decommission", {"reason": "scrap"}).body["catalog"] is None
    assert set(see(alice, alice.device)) == {404}
    assert call("POST", place + "/restore").status == 409
    allowed = call("POST", place + "/allow-reprovision", {"lifetime_s": 60})
    assert (allowed.status, allowed.body["reprovision_until"] is not None) == (200, True)
    assert call("POST", place + "/allow-reprovision", {"lifetime_s": 0}).status == 400
    refused = call("POST", place + "/manufacturing-state", {"state": "Module1Complete"})
    assert (refused.status, refused.body["code"]) == (409, "device.state")
