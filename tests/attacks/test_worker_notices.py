# SPDX-License-Identifier: Apache-2.0
"""Two device workers as real processes: what one accepted, was told or found out holds at the other at once.

Each attack has its positive control: with the notices dropped it gets through, so it is the notices that stop it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.attacks.test_copies import copied
from tests.attacks.test_workers import post
from tests.fixtures.waiting import wait_until
from tests.service.workers.worker_places import at_each, check_in, pids, verdicts, workers_of

from armillary.errors import AppraisalError, ServiceUnreachableError
from armillary.service.workers.device_workers import DeviceWorkers
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.problem import parse_problem

CLOSED = (OSError, ServiceUnreachableError)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceHost]:
    """One service with its two workers for all: each test has devices of its own."""
    data = tmp_path_factory.mktemp("workers") / "data"
    with ServiceHost(data, device_workers="2", planner_interval_s=3600.0) as running:
        running.catalog()
        yield running


@pytest.fixture
def closed(host: ServiceHost) -> Iterator[list[str]]:
    """Devices whose connections the service has closed, as the hub is told."""
    told: list[str] = []
    host.service.notices.on_cut.append(told.append)
    yield told
    host.service.notices.on_cut.remove(told.append)


# -- replay ---------------------------------------------------------------------------------------------------------


def test_a_proof_is_good_once_whichever_worker_gets_it(host: ServiceHost) -> None:
    here, there = devices = at_each(host, host.claimed(b"r" * 32))
    assert verdicts(devices) == ["attested", "attested"]  # both remember the device
    body = here.request_body(here.fetch_challenge())
    assert post(here, body)[0] == 200
    assert [post(one, body) for one in (there, here, there)] == [(401, "device.challenge")] * 3
    assert len(host.service.registry.history.check_ins(here.device_id).items) == 3


# -- revocation -----------------------------------------------------------------------------------------------------


def test_a_revocation_has_cut_the_connections_at_both_when_the_call_returns(host: ServiceHost) -> None:
    devices = at_each(host, host.claimed(b"v" * 32))
    other = at_each(host, host.claimed(b"w" * 32))
    assert verdicts(devices) == verdicts(other) == ["attested", "attested"]
    host.service.registry.lifecycle.revoke(devices[0].device_id, reason="stolen", actor="t")
    for device in devices:
        with pytest.raises(CLOSED):
            device.exchange("GET", "/v1/challenge")
    for device in devices * 4:  # wherever a new connection arrives
        device.connect()
        answer = device.exchange("GET", "/v1/challenge")
        assert (answer.status, parse_problem(answer.body).code) == (403, "device.revoked")
    assert verdicts(other) == ["attested", "attested"]  # nobody else is cut


def test_mutation_of_the_notices_of_a_revocation(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = at_each(host, host.claimed(b"m" * 32))
    assert verdicts(devices) == ["attested", "attested"]
    monkeypatch.setattr(DeviceWorkers, "_send", lambda *_, **__: None)
    host.service.registry.lifecycle.revoke(devices[0].device_id, reason="stolen", actor="t")
    assert verdicts(devices) == ["attested", "attested"]  # each believes what it remembers


def test_mutation_of_the_notices_of_a_policy(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = at_each(host, host.claimed(b"p" * 32))
    host.service.attestation.policies.revise("Contoso", {"minimum_tier": "tpm"}, actor="t")
    assert verdicts(devices) == ["update-only", "update-only"]
    host.service.attestation.policies.revise("Contoso", {"minimum_tier": "software"}, actor="t")
    with monkeypatch.context() as without:
        without.setattr(DeviceWorkers, "_send", lambda *_, **__: None)
        host.service.attestation.policies.revise("Contoso", {"minimum_tier": "tpm"}, actor="t")
        assert verdicts(devices) == ["attested", "attested"]
    host.service.attestation.policies.revise("Contoso", {"minimum_tier": "software"}, actor="t")  # as others found it


# -- copies ---------------------------------------------------------------------------------------------------------


def held_by_the_second(host: ServiceHost) -> tuple[WireDevice, WireDevice, bytes]:
    """A new device whose copy was found at worker 1 while it is connected to worker 0; its last client certificate."""
    device = replace(host.claimed(os.urandom(32)), lineage=b"")
    here, there = devices = at_each(host, device)
    check_in(here, devices)
    copy = copied(there)
    copy._socket, there._socket = there._socket, None  # the copy speaks to worker 1
    for _ in range(2):
        good = here.check_in()
    assert host.service.hub_access.authenticate(good.certificate_chain[0]) == device.device_id
    found = copy.check_in()
    assert (found.verdict, [step.name for step in found.steps if step.result == "fail"]) == (
        "update-only",
        ["lineage"],
    )
    return here, copy, good.certificate_chain[0]


def test_a_device_that_one_worker_holds_is_cut_everywhere(host: ServiceHost, closed: list[str]) -> None:
    here, copy, certificate = held_by_the_second(host)
    wait_until(lambda: closed == [here.device_id], "the hub's notice")
    with pytest.raises(CLOSED):  # the other worker cut the original before the hub was told
        here.exchange("GET", "/v1/challenge")
    with pytest.raises(AppraisalError, match="held"):
        host.service.hub_access.authenticate(certificate)
    for machine in (here, copy) * 3:
        machine.challenge = b""
        machine.connect()
        reply = machine.check_in()
        assert (reply.verdict, reply.purpose) == ("update-only", "update")
    host.service.registry.lifecycle.release(here.device_id, actor="t")
    here.challenge = b""
    assert here.check_in().verdict == "attested"


def test_mutation_of_the_report_of_a_held_device(
    host: ServiceHost, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(DeviceWorkers, "_held", lambda _, device_id, __: told.append(device_id))
    here, _, _ = held_by_the_second(host)
    wait_until(lambda: told == [here.device_id], "the report")
    assert here.exchange("GET", "/v1/challenge").status == 200  # still connected, as it would be to the hub
    assert closed == []


def test_what_a_worker_did_not_live_to_report_is_told_all_the_same(
    host: ServiceHost, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeviceWorkers, "_held", lambda *_: None)  # killed after its commit, before its report
    here, _, _ = held_by_the_second(host)
    os.kill(pids(host)[1], signal.SIGKILL)
    wait_until(lambda: here.device_id in closed, "the hub's notice")
    wait_until(lambda: workers_of(host).is_whole, "another worker")
