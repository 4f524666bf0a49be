# SPDX-License-Identifier: Apache-2.0
"""A device changes hands only when both owners say so, and takes nothing of the old owner along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock

from armillary.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    RevokedDeviceError,
    ServiceUnreachableError,
    WrongCatalogError,
)
from armillary.identity import transfer as rules
from armillary.service.registry import transfers
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, certificate_request
from armillary.wire.device.problem import parse_problem


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0) as running:
        for name in ("Contoso", "Fabrikam", "Mallory"):
            running.catalog(name)
        yield running


@pytest.fixture
def device(host: ServiceHost) -> WireDevice:
    return host.claimed(b"t" * 32)


def catalog_id(host: ServiceHost, name: str) -> UUID:
    return host.service.registry.catalogs.get(name).catalog_id


def offered(host: ServiceHost, device: WireDevice, **options: int) -> UUID:
    target = catalog_id(host, "Fabrikam")
    made = host.service.registry.transfers.offer("Contoso", device.device_id, target, actor="alice", **options)
    return made.transfer_id


def sold(host: ServiceHost, device: WireDevice, giver: str, taker: str) -> None:
    """Offered by the one and accepted by the other."""
    offers = host.service.registry.transfers
    offer = offers.offer(giver, device.device_id, catalog_id(host, taker), actor="giver")
    offers.accept(taker, offer.transfer_id, actor="taker")


def owner(host: ServiceHost, device: WireDevice) -> str | None:
    return host.service.registry.devices.get(device.device_id).catalog


def test_both_say_yes_and_the_device_moves_with_nothing_of_the_old_owner(
    host: ServiceHost, device: WireDevice, clock: Clock
) -> None:
    closed: list[str] = []
    host.service.notices.on_cut.append(closed.append)
    with device:
        old = device.check_in().certificate_chain[0]
    assert host.service.hub_access.authenticate(old) == device.device_id
    clock.now += 60
    done = host.service.registry.transfers.accept("Fabrikam", offered(host, device), actor="bob")
    assert (done.state, done.settled_by, owner(host, device)) == ("accepted", "bob", "Fabrikam")
    row = host.service.registry.devices.get(device.device_id)
    assert (row.product, row.group, row.claimed_at) == (".default", ".unassigned", int(clock.now))
    assert closed == [device.device_id]
    with pytest.raises(WrongCatalogError):
        host.service.hub_access.authenticate(old)
    device.challenge = b""
    with device:
        new = device.check_in()
    assert host.service.hub_access.authenticate(new.certificate_chain[0]) == device.device_id
    assert new.catalog_id == catalog_id(host, "Fabrikam")
    lines = {line.operation: line for line in host.service.audit.list().items}
    assert lines["device.transfer-offer"].actor == "alice"
    assert lines["device.transfer-out"].detail["catalog"] == "Contoso"
    assert lines["device.transfer-in"].detail["catalog"] == "Fabrikam"


def test_there_and_back_again_the_first_certificates_stay_dead(
    host: ServiceHost, device: WireDevice, clock: Clock
) -> None:
    """The issuer is the right one again; the certificate is of an earlier ownership."""
    with device:
        old = device.check_in().certificate_chain[0]
    clock.now += 60
    sold(host, device, "Contoso", "Fabrikam")
    clock.now += 60
    sold(host, device, "Fabrikam", "Contoso")
    assert owner(host, device) == "Contoso"
    with pytest.raises(Exception, match="not on record"):
        host.service.hub_access.authenticate(old)


def test_an_offer_alone_moves_nothing(host: ServiceHost, device: WireDevice) -> None:
    transfer = offered(host, device)
    assert owner(host, device) == "Contoso"
    with device:
        assert device.check_in().catalog_id == catalog_id(host, "Contoso")
    with pytest.raises(NotFoundError):  # the giver cannot say yes for the other
        host.service.registry.transfers.accept("Contoso", transfer, actor="alice")
    assert owner(host, device) == "Contoso"


def test_an_acceptance_alone_moves_nothing(host: ServiceHost, device: WireDevice) -> None:
    with pytest.raises(NotFoundError):
        host.service.registry.transfers.accept("Fabrikam", uuid4(), actor="bob")
    with pytest.raises(NotFoundError):  # nor can a stranger offer what is not his
        host.service.registry.transfers.offer("Mallory", device.device_id, catalog_id(host, "Mallory"), actor="m")
    with pytest.raises(NotFoundError):
        host.service.registry.transfers.offer("Fabrikam", device.device_id, catalog_id(host, "Mallory"), actor="bob")
    assert owner(host, device) == "Contoso"


def test_a_stranger_can_neither_accept_nor_decline_nor_see(host: ServiceHost, device: WireDevice) -> None:
    transfer, offers = offered(host, device), host.service.registry.transfers
    for verb in (offers.accept, offers.decline, offers.cancel):
        with pytest.raises(NotFoundError):
            verb("Mallory", transfer, actor="m")
    assert offers.list("Mallory").items == ()
    assert owner(host, device) == "Contoso"
    assert offers.accept("Fabrikam", transfer, actor="bob").state == "accepted"


def test_without_the_table_the_stranger_would_get_it(
    host: ServiceHost, device: WireDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: the refusal above comes from this check and from nothing else."""
    transfer = offered(host, device)
    monkeypatch.setattr(transfers, "settle", lambda *_, **__: rules.TransferState.ACCEPTED)
    host.service.registry.transfers.accept("Mallory", transfer, actor="m")
    assert host.service.registry.devices.get(device.device_id).group == ".unassigned"


def test_an_acceptance_is_good_once(host: ServiceHost, device: WireDevice) -> None:
    transfer = offered(host, device)
    host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob")
    for verb, catalog in (("accept", "Fabrikam"), ("decline", "Fabrikam"), ("cancel", "Contoso")):
        with pytest.raises(ConflictError, match="accepted"):
            getattr(host.service.registry.transfers, verb)(catalog, transfer, actor="x")
    # Sold on: the old yes does not bring it back.
    sold(host, device, "Fabrikam", "Mallory")
    with pytest.raises(ConflictError):
        host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob")
    assert owner(host, device) == "Mallory"


def test_a_device_that_was_revoked_meanwhile_stays_where_it_is(host: ServiceHost, device: WireDevice) -> None:
    transfer = offered(host, device)
    host.service.registry.lifecycle.revoke(device.device_id, reason="stolen", actor="alice")
    with pytest.raises(ConflictError, match="revoked"):
        host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob")
    assert owner(host, device) == "Contoso"
    with pytest.raises(ConflictError, match="revoked"):
        offered(host, device)
    host.service.registry.lifecycle.restore(device.device_id, actor="alice")
    assert host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob").state == "accepted"


def test_a_device_that_was_decommissioned_meanwhile_is_nobodys(host: ServiceHost, device: WireDevice) -> None:
    transfer = offered(host, device)
    host.service.registry.lifecycle.decommission(device.device_id, reason="scrap", actor="alice")
    with pytest.raises(ConflictError):
        host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob")
    assert owner(host, device) is None


def test_an_offer_ends_by_time_by_its_maker_and_by_its_receiver(
    host: ServiceHost, device: WireDevice, clock: Clock
) -> None:
    transfer = offered(host, device, lifetime_s=60)
    with pytest.raises(ConflictError, match="offered already"):
        offered(host, device)
    clock.now += 60
    with pytest.raises(ConflictError, match="expired"):
        host.service.registry.transfers.accept("Fabrikam", transfer, actor="bob")
    assert host.service.registry.transfers.list("Fabrikam").items[0].state == "expired"
    second = offered(host, device)
    assert host.service.registry.transfers.decline("Fabrikam", second, actor="bob").state == "declined"
    third = offered(host, device)
    assert host.service.registry.transfers.cancel("Contoso", third, actor="alice").state == "cancelled"
    with pytest.raises(ConflictError, match="cancelled"):
        host.service.registry.transfers.accept("Fabrikam", third, actor="bob")
    states = [one.state for one in host.service.registry.transfers.list("Contoso").items]
    assert states == ["cancelled", "declined", "expired"]
    assert owner(host, device) == "Contoso"


def test_what_cannot_be_offered(host: ServiceHost, device: WireDevice) -> None:
    transfers_of = host.service.registry.transfers
    with pytest.raises(NotFoundError, match="no catalog"):
        transfers_of.offer("Contoso", device.device_id, uuid4(), actor="a")
    with pytest.raises(ConflictError, match="in this catalog"):
        transfers_of.offer("Contoso", device.device_id, catalog_id(host, "Contoso"), actor="a")
    for lifetime in (0, 91 * 86400):
        with pytest.raises(InvalidArgumentError):
            offered(host, device, lifetime_s=lifetime)
    with pytest.raises(NotFoundError, match="no device"):  # a claim is no way around it
        host.service.registry.devices.claim("Fabrikam", [device.device_id], actor="bob")


def test_a_device_out_of_service_opens_nothing_and_comes_back_only_when_allowed(
    host: ServiceHost, device: WireDevice, clock: Clock
) -> None:
    registry = host.service.registry
    with device:
        old = device.check_in().certificate_chain[0]
        registry.lifecycle.decommission(device.device_id, reason="scrap", actor="alice")
        with pytest.raises((OSError, ServiceUnreachableError)):  # its open connection was closed
            device.check_in()
    with device:
        answer = device.exchange("GET", "/v1/challenge")
    assert (answer.status, parse_problem(answer.body).code) == (403, "device.revoked")
    with pytest.raises(RevokedDeviceError):
        host.service.hub_access.authenticate(old)
    for attempt in (
        lambda: registry.lifecycle.restore(device.device_id, actor="m"),
        lambda: registry.devices.claim("Mallory", [device.device_id], actor="m"),
        lambda: registry.lifecycle.decommission(device.device_id, reason="again", actor="m"),
    ):
        with pytest.raises(ConflictError, match="decommissioned"):
            attempt()
    with pytest.raises(RevokedDeviceError, match="decommissioned"):
        host.device(b"t" * 32)
    assert len(registry.history.check_ins(device.device_id).items) == 1, "history stays"

    registry.lifecycle.allow_reprovision(device.device_id, actor="alice", lifetime_s=60)
    clock.now += 60
    with pytest.raises(RevokedDeviceError, match="decommissioned"):  # the permission is over
        host.device(b"t" * 32)
    registry.lifecycle.allow_reprovision(device.device_id, actor="alice", lifetime_s=60)
    again = host.device(b"t" * 32)
    row = registry.devices.get(again.device_id)
    assert (again.device_id, row.catalog, row.revoked_at, row.decommissioned_at) == (device.device_id, None, None, None)
    with pytest.raises(ConflictError, match="not decommissioned"):
        registry.lifecycle.allow_reprovision(device.device_id, actor="alice")
    registry.devices.claim("Contoso", [device.device_id], actor="alice")
    with pytest.raises(Exception, match="not on record"):  # its own catalog's, of before
        host.service.hub_access.authenticate(old)
    operations = [line.operation for line in host.service.audit.list().items]
    assert {"device.decommission", "device.allow-reprovision", "device.reprovision"} <= set(operations)


def test_a_token_brings_back_what_may_come_back(host: ServiceHost, device: WireDevice) -> None:
    enrolments, registry = host.service.enrolments, host.service.registry
    token = enrolments.authenticate(enrolments.create("Fabrikam", actor="bob").secret)

    def enrol() -> str:
        return enrolments.enrol(token, certificate_request(b"t" * 32), "mt3620").device_id

    registry.lifecycle.decommission(device.device_id, reason="sold", actor="alice")
    with pytest.raises(RevokedDeviceError, match="decommissioned"):
        enrol()
    registry.lifecycle.allow_reprovision(device.device_id, actor="alice")
    assert enrol() == device.device_id
    assert owner(host, device) == "Fabrikam"
