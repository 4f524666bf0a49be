# SPDX-License-Identifier: Apache-2.0
"""``armillary up`` as an operator meets it: ready line, bad ports and folders, restart, stop."""

from __future__ import annotations

import json
import os
import resource
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.armillary_processes import PORTS, Service, armillary, armillary_here, running_service, up
from tests.e2e.conftest import Ended
from tests.fixtures.processes import killed_process

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One that runs, for who only looks at it."""
    with running_service(tmp_path_factory.mktemp("up") / "data") as running:
        yield running


def test_ready_line_names_every_address_and_the_token_once(service: Service, ended: Ended) -> None:
    assert service.ready["ready"] is True
    assert service.ready["token"].startswith("arm_")
    status = armillary("status", "--json", env=service.env)
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["status"] == "ok"
    secret = ended.token.encode()
    assert secret not in ended.log.read_bytes(), "the token reached the log"
    for path in ended.data.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), f"the token lies in clear in {path}"


def test_a_folder_is_started_again_and_its_token_still_opens(ended: Ended, copied: Callable[[], Path]) -> None:
    with running_service(copied(), token=ended.token) as again:
        assert again.ready["token"] == ended.token, "a second start makes no other"
        assert armillary_here("status", env=again.env).returncode == 0


def test_private_keys_are_for_the_owner_only(ended: Ended) -> None:
    keys = [path for path in ended.data.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) >= 5
    assert {oct(path.stat().st_mode & 0o777) for path in keys} == {"0o600"}


def test_second_service_on_one_folder_is_refused_and_harms_nothing(service: Service) -> None:
    code, said = up(service.data)
    assert (code, "host.data-folder-in-use" in said, "hint:" in said) == (1, True, True), said
    assert armillary_here("status", env=service.env).returncode == 0


def test_folder_of_another_version_is_left_alone(copied: Callable[[], Path]) -> None:
    data = copied()
    marker = next(path for path in data.iterdir() if path.suffix == ".json" or path.name in ("format", "version"))
    before = marker.read_bytes()
    marker.write_bytes(before.replace(b"1", b"9"))
    code, said = up(data)
    assert (code, "host.data-folder" in said) == (1, True), said
    assert marker.read_bytes() == before.replace(b"1", b"9")


def test_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    code, said = up(blocker / "data")
    assert (code, "host.data-folder" in said) == (1, True), said


def test_first_start_cut_short_is_begun_again(tmp_path):
    data = tmp_path / "data"
    for delay_entries in (1, 4, 8):
        process = _start_and_kill_after(data, delay_entries)
        assert process != 0
    with running_service(data) as service:
        assert service.ready["token"], "a first start that was cut short makes a new token"
        assert armillary_here("status", env=service.env).returncode == 0


def _start_and_kill_after(data, entries: int) -> int:
    """Start ``armillary up`` and kill it once its folder has so many entries."""
    ports = [f"--{name}-port=0" for name in PORTS]
    command = [sys.executable, "-m", "armillary", "up", "--data", str(data), *ports]
    with killed_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and process.poll() is None:
                # os.walk passes over what vanishes while it looks: files are being renamed into place
                if sum(len(folders) + len(files) for _, folders, files in os.walk(data)) >= entries:
                    break
        finally:
            process.kill()
        return process.wait()


def test_stops_in_order_on_sigterm(ended: Ended) -> None:
    assert ended.code == 0


def test_wrong_setting_is_named(tmp_path):
    done = armillary("up", "--data", tmp_path / "d", env={"ARMILLARY_API_PORT": "eighty"})
    assert done.returncode == 1
    assert "ARMILLARY_API_PORT" in done.stderr
    assert not (tmp_path / "d").exists()


def test_console_and_api_answer_on_one_port(service: Service) -> None:
    context = ssl.create_default_context(cafile=service.ready["root_ca"])
    with urllib.request.urlopen(service.ready["api"] + "/api/v1/health", context=context) as response:
        assert response.status == 200
    with urllib.request.urlopen(service.ready["console"] + "sign-in", context=context) as response:
        assert b"<html" in response.read()


def test_the_service_opens_as_many_files_as_it_may(service: Service) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, _ = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= 65_536
