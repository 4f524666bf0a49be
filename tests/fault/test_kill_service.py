# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a real service process: what was acknowledged is there, whenever it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fixtures.processes import OwnProcess, killed_process
from tests.fixtures.waiting import wait_until

from armillary.engines.records.queries import check_ins as check_in_rows, devices as device_rows
from armillary.errors import ServiceUnreachableError
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.certificates.certificate import parse_device_certificate
from armillary.wire.device.checkin import parse_reply

ROUNDS = 4
DEVICES = 4

# The service, and an operator that makes and claims devices; a line is printed only after the call has returned.
SERVICE = """
import asyncio, os, sys, threading
from pathlib import Path
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request

async def main(data):
    service = SecurityService.open(Settings(data=Path(data), device_port=0, hub_port=0, api_port=0))
    await service.start()
    print("port", service.device_address.port, flush=True)
    def operate():
        while True:
            reply = service.factory.enrol(certificate_request(os.urandom(32)), "mt3620", "operator")
            print("made", reply.device_id, flush=True)
            service.registry.devices.claim("Contoso", [reply.device_id], actor="operator")
            print("claimed", reply.device_id, flush=True)
    threading.Thread(target=operate, daemon=True).start()
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""


@dataclass
class Acknowledged:
    """What somebody was told."""

    serials: list[tuple[str, str]] = field(default_factory=list)  # device id, certificate serial
    proofs: list[tuple[WireDevice, bytes]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    claimed: list[str] = field(default_factory=list)


def settings(data: Path) -> Settings:
    return Settings(data=data, device_port=0, hub_port=0, api_port=0)


def drive(device: WireDevice, told: Acknowledged, stop: threading.Event) -> None:
    """Check in until the service dies; note only what a whole reply says."""
    with contextlib.suppress(OSError, ServiceUnreachableError), device:
        while not stop.is_set():
            body = device.request_body()
            answer = device.exchange("POST", "/v1/check-in", body)
            assert answer.status == 200, answer
            reply = parse_reply(answer.body)
            device.challenge = reply.challenge
            serial = parse_device_certificate(reply.certificate_chain[0]).serial
            told.serials.append((device.device_id, f"{serial:034X}"))
            told.proofs.append((device, body))


def follow(process: OwnProcess, told: Acknowledged) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        word, _, device_id = line.strip().partition(" ")
        if word in ("made", "claimed") and len(device_id) == 128:  # the last line may be cut
            getattr(told, word).append(device_id)


@pytest.mark.timeout(180)
def test_nothing_acknowledged_is_lost_when_the_service_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServiceHost(data) as host:
        host.catalog()
        devices = [host.claimed(bytes([n]) * 32, group="Production") for n in range(DEVICES)]
    told, chance = Acknowledged(), random.Random(7)  # noqa: S311 - reproducible, not secret
    for round_number in range(ROUNDS):
        before = len(told.serials)
        command = [sys.executable, "-c", SERVICE, str(data)]
        with killed_process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            port = int(process.readline().split()[1])
            stop = threading.Event()
            threads = [threading.Thread(target=follow, args=(process, told))]
            for device in devices:
                device.port, device.challenge = port, b""
                device.prover.boot()
                threads.append(threading.Thread(target=drive, args=(device, told, stop)))
            for thread in threads:
                thread.start()
            try:
                wait_until(lambda b=before: len(told.serials) >= b + 20, "twenty check-ins")
                time.sleep(chance.random() / 3)
                process.kill()
            finally:
                stop.set()
            for thread in threads:
                thread.join(30)
        assert len(told.serials) >= before + 20, f"round {round_number}: no load"
        assert_all_there(data, told)
    assert_no_proof_works_again(data, told)


def assert_all_there(data: Path, told: Acknowledged) -> None:
    service = SecurityService.open(settings(data))
    try:
        records = service.context.records
        for device_id, serial in told.serials:
            found = records.read(lambda c, d=device_id: device_rows.enrolled(c, d))
            assert found is not None
            known = records.read(lambda c, n=found.number, s=serial: check_in_rows.has_certificate(c, n, s))
            assert known, f"certificate {serial} was handed out and is not on record"
        for device_id in told.made:
            service.registry.devices.get(device_id)
        for device_id in told.claimed:
            assert service.registry.devices.get(device_id).catalog == "Contoso"
        assert service.audit.verify().broken_at is None
    finally:
        asyncio.run(service.close())


def assert_no_proof_works_again(data: Path, told: Acknowledged) -> None:
    with ServiceHost(data) as host:
        for device, body in told.proofs[:: max(1, len(told.proofs) // 20)]:
            device.port = host.service.device_address.port
            with device:
                assert device.exchange("POST", "/v1/check-in", body).status == 401


@pytest.mark.timeout(180)
def test_a_first_start_that_is_killed_is_begun_again(tmp_path: Path) -> None:
    chance, finished, unfinished = random.Random(3), 0, 0  # noqa: S311 - reproducible, not secret
    for attempt in range(6):
        data = tmp_path / f"data{attempt}"
        command = [sys.executable, "-c", SERVICE, str(data)]
        with killed_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            wait_until((data / "lock").exists, "the lock")
            time.sleep(chance.random() * 0.12)
        finished += (data / "format").exists()
        unfinished += not (data / "format").exists()
        service = SecurityService.open(settings(data))
        assert service.releases.list(chip="mt3620")
        assert service.audit.verify().broken_at is None
        asyncio.run(service.close())
        assert (data / "format").exists()
    assert unfinished, "the kill always came too late: this test proved nothing"


def test_two_processes_cannot_hold_one_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServiceHost(data):
        second = subprocess.run(
            [sys.executable, "-c", SERVICE, str(data)], capture_output=True, text=True, timeout=60, check=False
        )
        assert second.returncode != 0
        assert "DataFolderInUseError" in second.stderr
        assert str(os.getpid()) in second.stderr
    with ServiceHost(data) as again:
        assert again.service.first_token is None


def test_devices_made_in_another_life_check_in(tmp_path: Path) -> None:
    """The positive control of this file: factory reply and secret are all a device needs, across restarts."""
    with ServiceHost(tmp_path / "data") as host:
        host.catalog()
        device = host.claimed(b"z" * 32)
    with ServiceHost(tmp_path / "data") as host, replace(device, port=host.service.device_address.port) as again:
        assert again.check_in().verdict == "attested"
