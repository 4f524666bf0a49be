# SPDX-License-Identifier: Apache-2.0
"""kill -9 in the middle of what operators do: what was acknowledged is whole, what was not is whole or not there."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from tests.fixtures.processes import killed_process
from tests.service import conftest as packages

from armillary.errors import NotFoundError
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.service_host import ServiceHost

ROUNDS = 5
package = packages.package  # a fixture

# An operator at work; a line is printed only after the call has returned. Packages come from the folder that is named.
OPERATOR = """
import sys
from pathlib import Path
import structlog
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request
import os

data, waiting = map(Path, sys.argv[1:])
service = SecurityService.open(Settings(data=data, device_port=0, hub_port=0, api_port=0))
say = lambda *words: print(*words, flush=True)
say("ready")
for file in sorted(waiting.iterdir()):
    image = service.updates.images.upload("Contoso", file.read_bytes(), actor="op")
    say("image", image.image_id)
    device = service.factory.enrol(certificate_request(os.urandom(32)), "mt3620", "op").device_id
    service.registry.devices.claim("Contoso", [device], product="Kettle", group="Production", actor="op")
    say("claimed", device)
    made = service.updates.deployments.create("Contoso", "Kettle", "Production", [image.image_id], actor="op")
    say("deployment", made.deployment_id)
    rollout = service.updates.rollouts.start("Contoso", "Kettle", "Field Test", [image.image_id], actor="op")
    say("rollout", rollout.rollout_id)
    service.updates.rollouts.cancel(rollout.rollout_id, reason="next", actor="op")
    say("cancelled", rollout.rollout_id)
"""


@pytest.mark.timeout(120)
def test_what_operators_were_told_is_there_and_whole(tmp_path: Path, package: Callable[..., bytes]) -> None:
    chance = random.Random(11)  # noqa: S311 - reproducible, not secret
    data, told = tmp_path / "data", list[list[str]]()
    with ServiceHost(data) as host:
        host.catalog()
    for number in range(ROUNDS):
        waiting = tmp_path / f"waiting{number}"
        waiting.mkdir()
        for each in range(40):
            (waiting / f"{each:03}").write_bytes(package(content=chance.randbytes(60_000)))
        command = [sys.executable, "-c", OPERATOR, str(data), str(waiting)]
        with killed_process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.readline() == "ready\n"
            first = process.readline()
            time.sleep(chance.random() * 0.3)
            process.send_signal(signal.SIGKILL)
            said = [line.split() for line in (first, *process.stdout) if line.endswith("\n")]
        assert said, f"round {number}: it ended before it said anything"
        told += said
        check(data, told)


def check(data: Path, told: list[list[str]]) -> None:
    service = SecurityService.open(Settings(data=data, device_port=0, hub_port=0, api_port=0))
    try:
        for word, name in told:
            if word == "image":
                service.updates.images.read(UUID(name))
            elif word == "claimed":
                assert service.registry.devices.get(name).group == "Production"
            elif word == "deployment":
                assert len(service.updates.deployments.get("Contoso", UUID(name)).images) == 1
            elif word == "rollout":
                assert service.updates.rollouts.get(UUID(name)).state in ("running", "cancelled")
            else:
                assert service.updates.rollouts.get(UUID(name)).state == "cancelled"
        for image in service.updates.images.list("Contoso", limit=1000).items:  # those nobody was told of are whole too
            assert service.updates.images.read(image.image_id)
        for deployment in service.updates.deployments.list("Contoso", "Kettle", "Production", limit=1000).items:
            assert deployment.images
        living = [one for one in service.updates.rollouts.list(limit=1000).items if one.state == "running"]
        for rollout in living:
            assert service.updates.deployments.get("Contoso", rollout.deployment_id).rollout_id == rollout.rollout_id
            service.updates.rollouts.cancel(rollout.rollout_id, reason="the operator is gone", actor="t")
        assert len(living) <= 1
        assert not list(service.context.folder.blobs.rglob("*.partial"))
        assert service.audit.verify().broken_at is None
        with pytest.raises(NotFoundError):
            service.updates.rollouts.get(UUID(int=1))
    finally:
        asyncio.run(service.close())


def test_a_write_that_was_cut_off_is_cleared_away(tmp_path: Path) -> None:
    with ServiceHost(tmp_path / "data") as host:
        whole = sorted(path for path in host.service.context.folder.blobs.rglob("*") if path.is_file())
    partial = whole[0].with_name(whole[0].name + ".77.partial")
    partial.write_bytes(b"half")
    with ServiceHost(tmp_path / "data") as host:
        assert sorted(path for path in host.service.context.folder.blobs.rglob("*") if path.is_file()) == whole
