# SPDX-License-Identifier: Apache-2.0
"""A token of one catalog reaches that catalog and what is in it now, over the real API; and the transfer by two."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from tests.api.native.hub.test_native_hub import Connected
from tests.api.running_service import CATALOGS, VERSION, RunningService, running_service

from armillary.api.app import SHAPES
from armillary.api.azure import names, operations
from armillary.api.central import table as central_table
from armillary.api.http import auth, routes
from armillary.api.http.route import FACTORY, RANK, Reach, Route
from armillary.api.iot_hub import call as iot_hub_call
from armillary.errors import UnauthenticatedError
from armillary.sim.device.wire_device import WireDevice


@dataclass(frozen=True)
class Owner:
    service: RunningService
    name: str
    catalog_id: str
    token: str
    device: WireDevice

    def call(self, method: str, path: str, body: object = None):
        return self.service.call(method, "/api/v1" + path, body, token=self.token)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("owners")) as running:
        yield running


def owner(service: RunningService) -> Owner:
    name, registry = f"O-{uuid.uuid4().hex[:10]}", service.service.registry
    registry.catalogs.create(name, actor="test", resource_group="rg")
    registry.products.create(name, "Coffee", actor="test")
    registry.groups.create_defaults(name, "Coffee", actor="test")
    made = service.call("POST", "/api/v1/tokens", {"name": name, "role": "Contributor", "catalog": name})
    assert made.status == 201, made.body
    device = service.make_device()
    registry.devices.claim(name, [device.device_id], product="Coffee", group="Production", actor="test")
    return Owner(service, name, made.body["catalog_id"], made.body["secret"], device)


@pytest.fixture
def alice(service: RunningService) -> Owner:
    return owner(service)


@pytest.fixture
def bob(service: RunningService) -> Owner:
    return owner(service)


@pytest.fixture(scope="module")
def refused(service: RunningService) -> Owner:
    """Who asks for everything and gets nothing: being refused changes nobody, so that all routes take one owner."""
    return owner(service)


@pytest.fixture(scope="module")
def untouched(service: RunningService) -> Owner:
    return owner(service)


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


def of_the_tokens_catalog(key: str) -> bool:
    """Whether a route names no catalog and is about the token's own: those in IoT Hub's and IoT Central's shape."""
    return f" {iot_hub_call.ROOT}/" in key or central_table.is_central(key.partition(" ")[2])


def shows_nothing_of(other: Owner, asker: Owner, method: str, path: str) -> bool:
    """Whether a route in IoT Hub's or IoT Central's shape, asked for another owner's device, names or changes nothing of that owner."""
    theirs = other.device.device_id
    place, version = path.replace("0" * 128, theirs), VERSION
    if central_table.is_central(path):
        version = "api-version=2022-10-31-preview"
    for catalog in ("", f"&catalog={other.name}"):
        body = {"query": "SELECT * FROM devices"} if path.endswith("/devices/query") else {}
        sent = body if method != "GET" else None
        reply = asker.service.call(method, f"{place}?{version}{catalog}", sent, token=asker.token)
        named = theirs in path or (theirs.encode() in reply.raw and reply.status < 400)
        if named or (theirs in place and reply.status < 400) or other.name.encode() in reply.raw:
            return False
    return asker.service.service.registry.devices.get(theirs).revoked_at is None


def test_if_the_routes_of_these_shapes_did_not_keep_to_the_tokens_catalog_it_would_be_seen(
    alice: Owner, bob: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"{root}/devices/{'0' * 128}" for root in (iot_hub_call.ROOT, central_table.ROOT)]
    assert all(shows_nothing_of(bob, alice, "GET", path) for path in paths)
    theirs = alice.service.service.registry.catalogs.get(bob.name)
    monkeypatch.setattr(iot_hub_call, "catalog_of", lambda _: theirs)
    assert not any(shows_nothing_of(bob, alice, "GET", path) for path in paths)


@pytest.mark.parametrize(
    "key", sorted(key for key, row in SHAPES.routes.items() if row.role in RANK and "{rest" not in key)
)
def test_no_route_about_everything_answers_it(refused: Owner, untouched: Owner, key: str) -> None:
    """Every route of the table, whoever adds the next: about another catalog, or about none, it says no.

    Routes in IoT Hub's and IoT Central's shape name no catalog: they answer about the token's own (``iot_hub/call.py``).
    """
    method, template = key.split(" ", 1)
    filled = template.replace("{catalog}", "Somebody").replace("{device_id}", "0" * 128)
    path = re.sub(r"\{[a-z_:]+\}", str(uuid.uuid4()), filled)
    reply = refused.service.call(method, f"{path}?{VERSION}", {} if method != "GET" else None, token=refused.token)
    if SHAPES.routes[key].reach is Reach.CALLER:
        assert reply.status in (200, 400, 404)  # 400: it reads its own body and nothing else
    elif of_the_tokens_catalog(key):
        assert shows_nothing_of(untouched, refused, method, path)
    else:
        assert reply.status in (403, 404), (key, reply.raw)


@pytest.mark.parametrize(
    "key",
    sorted(
        key
        for key, row in SHAPES.routes.items()
        if (row.role in RANK or row.role == FACTORY) and row.reach is not Reach.CALLER and not row.narrowed
    ),
)
def test_the_own_catalogs_name_in_the_query_opens_no_route(refused: Owner, untouched: Owner, key: str) -> None:
    """``catalog=`` counts where it narrows what is answered; elsewhere nobody reads it."""
    method, template = key.split(" ", 1)
    filled = template.replace("{catalog}", "Somebody").replace("{device_id}", "0" * 128)
    path = re.sub(r"\{[a-z_:]+\}", str(uuid.uuid4()), filled)
    place = f"{path}?{VERSION}&catalog={refused.name}"
    reply = refused.service.call(method, place, {} if method != "GET" else None, token=refused.token)
    if of_the_tokens_catalog(key):
        assert shows_nothing_of(untouched, refused, method, path)
        return
    assert reply.status in (403, 404), (key, reply.raw)


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
    offer = {"device_id": device.device_id, "to_catalog_id": bob.catalog_id}
    number = alice.call("POST", f"/catalogs/{alice.name}/transfers", offer).body["transfer_id"]
    assert bob.call("POST", f"/catalogs/{bob.name}/transfers/{number}/accept").status == 200
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


def test_the_console_takes_no_token_of_one_catalog(alice: Owner) -> None:
    tokens = alice.service.service.tokens
    with pytest.raises(UnauthenticatedError):
        tokens.authenticate(alice.token)
    assert tokens.authenticate(alice.token, takes_restricted=True).name == alice.name
    with pytest.raises(UnauthenticatedError):  # remembered now, and still not
        tokens.authenticate(alice.token)


def test_a_restricted_administrator_is_not_the_last_administrator(tmp_path: Path) -> None:
    from armillary.errors import ConflictError  # noqa: PLC0415 - beside its use
    from armillary.sim.device.service_host import ServiceHost  # noqa: PLC0415

    with ServiceHost(tmp_path / "data") as host:
        host.catalog()
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
