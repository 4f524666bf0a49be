# SPDX-License-Identifier: Apache-2.0
"""Two workers on the same records, each with its own memory of devices: what one accepted, the other refuses."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from armillary.engines.delta.cache import DeltaCache
from armillary.engines.records.queries import check_ins as check_in_rows
from armillary.engines.records.store import Records
from armillary.service.context.blobs import Blobs
from armillary.service.endpoint.endpoint import DeviceEndpoint, server_context
from armillary.service.repository.director import Director
from armillary.service.updates.deltas import Deltas
from armillary.service.verifier.device_states import DeviceStates
from armillary.service.verifier.verifier import Verifier
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import parse_reply
from armillary.wire.device.problem import parse_problem


@contextlib.contextmanager
def second_worker(host: ServiceHost) -> Iterator[int]:
    """Another verifier and device endpoint over the same database, through connections of its own; gives the port."""
    service = host.service
    context = service.context
    records = Records.open(context.folder.database, fresh=False)
    states = DeviceStates(records, context.now)
    endpoint = DeviceEndpoint(
        records=records,
        verifier=Verifier(
            context,
            service.authority,
            service.releases,
            service.attestation.policies,
            service.updates.offers,
            Director(records, service.authority.keys, service.repository.files),
            states,
            hub=service.hub_address,
        ),
        states=states,
        offers=service.updates.offers,
        blobs=Blobs(context.folder.blobs),
        repository=service.repository.files,
        deltas=Deltas(records, Blobs(context.folder.blobs), DeltaCache(context.folder.deltas, limit_bytes=0)),
        notices=service.notices,
        now=context.now,
        trust_anchors=lambda: b"",
        renew_identity=lambda *_: b"",
        keep_dump=lambda *_: b"",
        keep_log=lambda *_: b"",
        keep_cellular=lambda *_: b"",
        held_hints=context.settings.check_now_connections,
    )
    files = service.authority.server.files()
    tls = server_context(files.certificate, files.key, service.authority.silicon.certificates())

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, host._loop).result(30)

    port = run(endpoint.start(tls, "127.0.0.1", 0))
    try:
        yield port
    finally:
        run(endpoint.close())
        records.close()


def post(device: WireDevice, body: bytes) -> tuple[int, str]:
    answer = device.exchange("POST", "/v1/check-in", body)
    return answer.status, "" if answer.status == 200 else parse_problem(answer.body).code


def test_a_proof_is_good_once_whichever_worker_gets_it(host: ServiceHost) -> None:
    with second_worker(host) as port, host.claimed(b"w" * 32) as here, replace(here, port=port) as there:
        assert there.check_in().verdict == "attested"  # both workers remember the device from now on
        here.challenge = there.challenge = b""
        assert here.check_in().verdict == "attested"
        body = here.request_body(here.fetch_challenge())
        assert post(here, body)[0] == 200
        assert post(there, body) == (401, "device.challenge")  # refused by the database: this worker never saw it
        assert post(there, body) == (401, "device.challenge")
        assert post(here, body) == (401, "device.challenge")
        there.challenge = b""
        assert there.check_in().verdict == "attested"
        assert len(host.service.registry.history.check_ins(here.device_id).items) == 4


def test_mutation_of_the_database_that_refuses_a_spent_challenge(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checks stop it: the challenge is unique, and the worker that is behind changes nothing."""
    genuine, status = check_in_rows._row, check_in_rows._status

    def forgetful(write: check_in_rows.CheckInWrite, steps_id: int) -> tuple[Any, ...]:
        return genuine(write._replace(challenge_id=os.urandom(16)), steps_id)

    monkeypatch.setattr(check_in_rows, "_row", forgetful)
    with second_worker(host) as port, host.claimed(b"m" * 32) as here, replace(here, port=port) as there:
        assert there.check_in().verdict == "attested"
        body = here.request_body(here.fetch_challenge())
        assert post(here, body)[0] == 200
        assert post(there, body)[0] == 401
        monkeypatch.setattr(check_in_rows, "_status", lambda row, write: status(row, write._replace(after=None)))
    with second_worker(host) as port, replace(here, port=port) as there, here:
        there.challenge = here.challenge = b""
        assert there.check_in().verdict == "attested"
        body = here.request_body(here.fetch_challenge())
        assert post(here, body)[0] == 200
        assert post(there, body)[0] == 200


def test_copies_that_stay_with_a_worker_each_are_found(host: ServiceHost) -> None:
    """Each worker remembers its machine's last reply and would believe it; the records know better."""
    with (
        second_worker(host) as port,
        replace(host.claimed(b"2" * 32), lineage=b"") as here,
        replace(here, port=port) as there,
    ):
        assert here.check_in().verdict == "attested"
        there.lineage = here.lineage  # a copy, with all that is in memory
        verdicts = []
        for machine in (there, here, there, here):
            status = machine.exchange("POST", "/v1/check-in", machine.request_body())
            if status.status == 401:  # asks for another challenge, as every device does
                machine.challenge = b""
                status = machine.exchange("POST", "/v1/check-in", machine.request_body())
            reply = parse_reply(status.body)
            machine.lineage = machine.challenge = reply.challenge
            verdicts.append(reply.verdict)
        assert verdicts == ["attested", "attested", "update-only", "update-only"]


def test_a_device_may_change_between_workers_and_its_copy_may_not(host: ServiceHost) -> None:
    with (
        second_worker(host) as port,
        replace(host.claimed(b"c" * 32), lineage=b"") as here,
        replace(here, port=port) as there,
    ):
        kept: list[bytes | None] = []
        for turn in range(6):
            mine, other = (here, there) if turn % 2 else (there, here)
            assert mine.check_in().verdict == "attested", turn
            kept.append(mine.lineage)
            other.lineage, other.challenge = mine.lineage, mine.challenge
        there.lineage, there.challenge = kept[1], b""  # an earlier state of the storage
        restarted = there.check_in()
        assert [step.name for step in restarted.steps if step.result == "fail"] == ["lineage"]
        assert here.check_in().verdict == "update-only"
