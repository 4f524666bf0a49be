# SPDX-License-Identifier: Apache-2.0
"""``armillary up --device-workers``: real processes; none outlives the service, however that ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from tests.e2e.armillary_processes import Service, armillary_here, running_service
from tests.e2e.guides.blocks import step_of
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.e2e


def workers_of(service: Service) -> list[int]:
    tasks = Path(f"/proc/{service.process.pid}/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text("ascii").split()]
    return [
        pid for pid in children if b"armillary.cli.service.device_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # ended; whoever adopted it has not looked yet


def endpoint_of(service: Service) -> dict[str, str]:
    done = armillary_here("status", "--json", env=service.env)
    return next(one for one in json.loads(done.stdout)["checks"] if one["name"] == "device-endpoint")


def test_status_shows_the_workers_and_a_kill_of_the_service_ends_them_at_once(tmp_path: Path) -> None:
    page = step_of("docs/guides/device-workers.md", "armillary up --device-workers 2")
    told = re.fullmatch(r"armillary up --device-workers (\d)\s+#.*", page.command)
    assert told
    with running_service(tmp_path / "data", device_workers=int(told[1])) as service:
        first = workers_of(service)
        assert len(first) == 2
        assert endpoint_of(service)["status"] == "ok"
        assert "2 of 2 workers, 0 restarted" in endpoint_of(service)["detail"]
        for pid in first:
            assert service.ready["token"].encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        subprocess.run(["kill", "-9", str(first[0])], check=True)
        wait_until(lambda: "2 of 2 workers, 1 restarted" in endpoint_of(service)["detail"], "another worker", 30)
        second = workers_of(service)
        service.kill()
        wait_until(lambda: not any(map(is_alive, second)), "the end of the workers", 2)
    with running_service(tmp_path / "data", token=service.ready["token"], device_workers=2) as again:
        assert endpoint_of(again)["status"] == "ok"
        stopping = workers_of(again)
        again.process.send_signal(signal.SIGTERM)
        again.process.wait(20)
        assert again.process.returncode == 0
        assert not any(map(is_alive, stopping))


def test_a_worker_that_hears_nothing_ends_with_the_service_too(tmp_path: Path) -> None:
    """The system's own kill; that the end of file alone is enough is in tests/service/workers/test_device_workers.py."""
    with running_service(tmp_path / "data", device_workers=1) as service:
        (worker,) = workers_of(service)
        subprocess.run(["kill", "-STOP", str(worker)], check=True)
        service.kill()
        wait_until(lambda: not is_alive(worker), "the system's kill", 2)
