# SPDX-License-Identifier: Apache-2.0
"""kill -9 around an enrolment by token, on either side: a token is spent exactly once, and the device is one device."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, own_service
from tests.fault.device_count import devices_in

from armillary.errors import ConflictError
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import certificate_request

# The service's side: killed at the named commit, before or after it is durable, with the answer never given.
SERVICE = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from armillary.engines.records.queries import enrolments as enrolment_rows
from armillary.service.assemble import SecurityService
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request

data, secret, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
service = SecurityService.open(Settings(data=data, device_port=0, hub_port=0, api_port=0))
token = service.enrolments.authenticate(secret)
if moment == "before the claim":
    spend = enrolment_rows.spend
    def cut(*given, **named):
        spend(*given, **named)
        os.kill(os.getpid(), 9)
    enrolment_rows.spend = cut
service.enrolments.enrol(token, certificate_request(b"k" * 32), "mt3620")
os.kill(os.getpid(), 9)  # durable, and nobody was told
"""

# The device's side: killed where the answer would arrive, or where it has arrived and nothing of it is kept.
DEVICE = """
import os, sys
from pathlib import Path
from armillary.cli.terminal.connection import resolve
from armillary.cli.terminal.remote import RemoteService
from armillary.device.boot import provision
from armillary.device.state.layout import DeviceFolder

folder, moment = DeviceFolder(Path(sys.argv[1])), sys.argv[2]
def cut(*given):
    os.kill(os.getpid(), 9)
if moment == "before it asks":
    factory = cut
else:
    with RemoteService(resolve(None, None, None)) as remote:
        def factory(csr, chip):
            answer = remote.post("/factory/devices", {"csr": csr, "chip": chip})
            if moment == "before the answer":
                cut()
            setattr(provision, {"before the OS": "store_boot_components", "before the mark": "store_configuration"}[moment], cut)
            return answer
        provision.provision(folder, chip="mt3620", root_of_trust="software", sandbox="process",
                            operator_api=remote.address, factory=factory)
provision.provision(folder, chip="mt3620", root_of_trust="software", sandbox="process",
                    operator_api="https://x:1", factory=factory)
"""


def killed(code: str, *arguments: object, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("moment", "used"), [("before the claim", 0), ("after the commit", 1)])
def test_the_service_is_killed_around_the_commit(tmp_path: Path, moment: str, used: int) -> None:
    data = tmp_path / "data"
    with ServiceHost(data) as host:
        host.catalog()
        made = host.service.enrolments.create("Contoso", product="Kettle", group="Production", actor="op")
    killed(SERVICE, data, made.secret, moment)
    service = SecurityService.open(Settings(data=data, device_port=0, hub_port=0, api_port=0))
    try:
        (token,) = service.enrolments.list("Contoso")
        assert token.used == used, "spent and recorded are one step"
        known = service.enrolments.authenticate(made.secret)
        again = service.enrolments.enrol(known, certificate_request(b"k" * 32), "mt3620")
        assert service.registry.devices.get(again.device_id).group == "Production"
        with pytest.raises(ConflictError):
            service.enrolments.enrol(known, certificate_request(b"o" * 32), "mt3620")
        assert service.enrolments.list("Contoso")[0].used == 1
        assert devices_in(service) == 1
        assert service.audit.verify().broken_at is None
    finally:
        asyncio.run(service.close())


service = own_service("Contoso")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", ["before it asks", "before the answer", "before the OS", "before the mark"])
def test_the_device_is_killed_and_the_same_command_goes_on(
    tmp_path: Path, service: RunningService, moment: str
) -> None:
    token = service.service.enrolments.create("Contoso", actor="op")
    env = {
        "ARMILLARY_SERVICE": service.address,
        "ARMILLARY_CA": str(service.root),
        "ARMILLARY_TOKEN": token.secret,
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    before = devices_in(service.service)
    killed(DEVICE, tmp_path / "gateway", moment, env=env)
    command = [sys.executable, "-m", "armillary", "device", "create", "--data", str(tmp_path / "gateway")]
    done = subprocess.run(
        [*command, "--sandbox", "process", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stderr
    assert devices_in(service.service) == before + 1
    used = {one.token_id: one.used for one in service.service.enrolments.list("Contoso")}
    assert used[token.token.token_id] == 1
