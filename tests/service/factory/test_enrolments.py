# SPDX-License-Identifier: Apache-2.0
"""Enrolment tokens: what they open, how often, until when, and for whom again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import enrolments as enrolment_rows
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    RateLimitedError,
    RevokedDeviceError,
    UnauthenticatedError,
    WrongCatalogError,
)
from armillary.service.factory.enrolments import ANSWERS_AGAIN, NewEnrolmentToken
from armillary.service.verifier.device_rates import Meter
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, certificate_request


def made(host: ServiceHost, **options: object) -> NewEnrolmentToken:
    chosen = {"product": "Kettle", "group": "Production", **options}
    return host.service.enrolments.create("Contoso", actor="op", **chosen)  # type: ignore[arg-type]


def enrol(host: ServiceHost, token: EnrolmentToken | str, uds: bytes, chip: str = "mt3620") -> str:
    enrolments = host.service.enrolments
    known = enrolments.authenticate(token) if isinstance(token, str) else token
    return enrolments.enrol(known, certificate_request(uds), chip).device_id


def device_count(host: ServiceHost) -> int:
    return len(host.service.context.records.read(lambda c: c.exec_driver_sql("SELECT number FROM device").all()))


def test_a_token_makes_and_claims_a_device_that_checks_in(host: ServiceHost) -> None:
    token = made(host)
    known = host.service.enrolments.authenticate(token.secret)
    port = host.service.device_address.port
    with WireDevice.make(b"g" * 32, lambda it: host.service.enrolments.enrol(known, it, "mt3620"), port=port) as device:
        assert device.check_in().verdict == "attested"
    row = host.service.registry.devices.get(device.device_id)
    assert (row.catalog, row.product, row.group, row.trust_tier) == ("Contoso", "Kettle", "Production", "software")
    (listed,) = host.service.enrolments.list("Contoso")
    assert (listed.used, listed.uses, listed.group) == (1, 1, "Production")
    assert token.secret not in repr(token)
    lines = {line.operation: line for line in host.service.audit.list().items}
    assert {"enrolment-token.create", "device.manufacture", "device.claim"} <= set(lines)
    assert lines["device.claim"].actor == f"enrolment-token {listed.token_id}"
    assert token.secret not in str(lines)


def test_the_secret_is_nowhere_in_the_data_folder_nor_in_the_log(
    host: ServiceHost, capsys: pytest.CaptureFixture[str]
) -> None:
    token = made(host)
    enrol(host, token.secret, b"1" * 32)
    with pytest.raises(ConflictError) as refused:
        enrol(host, token.secret, b"2" * 32)
    assert token.secret not in str(refused.value)
    for file in host.service.context.settings.data.rglob("*"):
        if file.is_file():
            assert token.secret.encode() not in file.read_bytes(), file
    printed = capsys.readouterr()
    assert token.secret not in printed.out + printed.err


def test_a_token_is_spent_once_and_answers_its_own_device_again(host: ServiceHost) -> None:
    token = made(host)
    device_id = enrol(host, token.secret, b"1" * 32)
    for _ in range(3):  # the reply was lost: the same key is the same device
        assert enrol(host, token.secret, b"1" * 32) == device_id
    with pytest.raises(ConflictError, match="used 1 of 1"):
        enrol(host, token.secret, b"2" * 32)
    assert device_count(host) == 1  # the refused one left nothing behind
    assert host.service.enrolments.list("Contoso")[0].used == 1


def kept_for_good(host: ServiceHost) -> tuple[int, int]:
    """How many certificates and how many lines of the audit log there are."""
    return host.service.context.records.read(
        lambda c: (
            len(c.exec_driver_sql("SELECT serial FROM certificate").all()),
            len(c.exec_driver_sql("SELECT number FROM audit_line").all()),
        )
    )


def test_who_has_a_spent_token_and_its_device_cannot_fill_the_records(host: ServiceHost, clock: Clock) -> None:
    token = made(host, uses=2)
    device_id = enrol(host, token.secret, b"1" * 32)
    for _ in range(ANSWERS_AGAIN.burst):
        assert enrol(host, token.secret, b"1" * 32) == device_id
    before = kept_for_good(host)
    for _ in range(3):
        with pytest.raises(RateLimitedError, match="answered by this enrolment token too often") as refused:
            enrol(host, token.secret, b"1" * 32)
        assert refused.value.retry_after_s == ANSWERS_AGAIN.period_s
    assert kept_for_good(host) == before
    enrol(host, token.secret, b"2" * 32)  # another device of the token does not wait
    clock.now += ANSWERS_AGAIN.period_s
    assert enrol(host, token.secret, b"1" * 32) == device_id
    with pytest.raises(RateLimitedError):
        enrol(host, token.secret, b"1" * 32)


def test_without_the_allowance_each_answer_would_be_kept_for_good(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutation: the records above grow no more because of the allowance, and of nothing else."""
    monkeypatch.setattr(Meter, "wait_s", lambda *_: 0)
    token = made(host)
    enrol(host, token.secret, b"1" * 32)
    before = kept_for_good(host)
    for _ in range(ANSWERS_AGAIN.burst + 3):
        enrol(host, token.secret, b"1" * 32)
    assert kept_for_good(host) == tuple(each + ANSWERS_AGAIN.burst + 3 for each in before)


def test_many_at_once_spend_no_more_than_there_is(host: ServiceHost) -> None:
    token = made(host, uses=3)

    def attempt(number: int) -> str | ArmillaryError:
        try:
            return enrol(host, token.secret, bytes([number]) * 32)
        except ArmillaryError as error:
            return error

    with ThreadPoolExecutor(12) as threads:
        results = list(threads.map(attempt, range(12)))
    assert len({one for one in results if isinstance(one, str)}) == 3
    assert sum(isinstance(one, ConflictError) for one in results) == 9
    assert device_count(host) == 3


def test_one_machine_that_asks_many_times_at_once_is_one_device_of_one_owner(host: ServiceHost) -> None:
    """Its own token from all sides, and that of another catalog: one of the two owners has it, the other is refused."""
    host.catalog("Fabrikam")
    tokens = [made(host), host.service.enrolments.create("Fabrikam", actor="op")]

    def attempt(number: int) -> str | ArmillaryError:
        try:
            return enrol(host, tokens[number % 2].secret, b"1" * 32)
        except ArmillaryError as error:
            return error

    with ThreadPoolExecutor(12) as threads:
        results = list(threads.map(attempt, range(12)))
    (device_id,) = {one for one in results if isinstance(one, str)}
    owner = host.service.registry.devices.get(device_id).catalog
    other = {"Contoso": "Fabrikam", "Fabrikam": "Contoso"}[str(owner)]
    assert [isinstance(one, str) for one in results].count(True) == 6
    assert all(isinstance(one, str | WrongCatalogError) for one in results)
    used = {catalog: host.service.enrolments.list(catalog)[0].used for catalog in ("Contoso", "Fabrikam")}
    assert used == {str(owner): 1, other: 0}
    assert device_count(host) == 1
    claims = [line for line in host.service.audit.list(limit=100).items if line.operation == "device.claim"]
    assert len(claims) == 1


def test_without_the_count_a_spent_token_would_open(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: the refusal above comes from this check and from nothing else."""
    token = made(host)
    enrol(host, token.secret, b"1" * 32)
    monkeypatch.setattr(enrolment_rows, "spend", lambda *_args, **_now: True)
    enrol(host, token.secret, b"2" * 32)
    assert device_count(host) == 2


def test_expired_revoked_and_unknown_tokens_open_nothing(host: ServiceHost, clock: Clock) -> None:
    expiring, revoked = made(host, lifetime_s=60), made(host)
    for secret in (expiring.secret, revoked.secret):
        host.service.enrolments.authenticate(secret)
    stale = host.service.enrolments.authenticate(revoked.secret)
    host.service.enrolments.revoke("Contoso", revoked.token.token_id, actor="op")
    clock.now += 60
    refused = {expiring.secret: r"expired at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"}
    for secret in (expiring.secret, revoked.secret, f"{expiring.secret}x", "arme_x", ""):
        with pytest.raises(UnauthenticatedError, match=refused.get(secret, "not valid")) as error:
            host.service.enrolments.authenticate(secret)
        assert "armillary enrolment-token create" in error.value.remedy
    with pytest.raises(UnauthenticatedError):  # revoked between the guard and the transaction
        enrol(host, stale, b"3" * 32)
    assert device_count(host) == 0


def test_a_token_of_one_chip_one_catalog_one_group(host: ServiceHost) -> None:
    host.catalog("Fabrikam")
    token = made(host, chip="mt3620", uses=9)
    with pytest.raises(ConflictError, match="for chip mt3620"):
        enrol(host, token.secret, b"4" * 32, chip="imx8mp")
    theirs = host.claimed(b"5" * 32, catalog="Fabrikam")
    with pytest.raises(WrongCatalogError):
        enrol(host, token.secret, b"5" * 32)
    assert host.service.registry.devices.get(theirs.device_id).catalog == "Fabrikam"
    host.claimed(b"6" * 32)
    with pytest.raises(ConflictError, match="already"):
        enrol(host, token.secret, b"6" * 32)
    unclaimed = host.device(b"7" * 32)
    assert enrol(host, token.secret, b"7" * 32) == unclaimed.device_id
    assert host.service.registry.devices.get(unclaimed.device_id).group == "Production"
    with pytest.raises(NotFoundError):
        host.service.enrolments.revoke("Fabrikam", token.token.token_id, actor="op")
    with pytest.raises(NotFoundError):
        host.service.enrolments.revoke("Contoso", uuid4(), actor="op")


def test_a_group_that_is_gone_takes_no_device(host: ServiceHost) -> None:
    host.service.registry.groups.create("Contoso", "Kettle", "Pilot", actor="op")
    token = made(host, group="Pilot")
    host.service.registry.groups.delete("Contoso", "Kettle", "Pilot", actor="op")
    with pytest.raises(ConflictError, match="does not exist any more"):
        enrol(host, token.secret, b"8" * 32)
    assert device_count(host) == 0


def test_a_revoked_device_does_not_come_back_by_a_token(host: ServiceHost) -> None:
    token = made(host, uses=2)
    device_id = enrol(host, token.secret, b"9" * 32)
    host.service.registry.lifecycle.revoke(device_id, reason="lost", actor="op")
    with pytest.raises(RevokedDeviceError):
        enrol(host, token.secret, b"9" * 32)


@pytest.mark.parametrize("wrong", [{"uses": 0}, {"uses": 10_001}, {"lifetime_s": 0}, {"lifetime_s": 31 * 86400}])
def test_what_a_token_cannot_be(host: ServiceHost, wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError, match="expected 1 to"):
        made(host, **wrong)


def test_names_that_do_not_exist(host: ServiceHost) -> None:
    for wrong in ({"group": "None"}, {"product": "None"}, {"chip": "z80"}):
        with pytest.raises(NotFoundError):
            made(host, **wrong)
