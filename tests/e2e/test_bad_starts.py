# SPDX-License-Identifier: Apache-2.0
"""Starts that cannot be: one clear error with code and remedy, and the folder starts afterwards as if nothing was."""

from __future__ import annotations

import resource
import socket
from pathlib import Path

import pytest
from tests.e2e.armillary_processes import PORTS, armillary, running_service, up

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("name", PORTS)
def test_a_port_that_is_taken_is_named_and_nothing_is_half_done(tmp_path: Path, name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = up(tmp_path / "data", **{name: port})
    assert code == 1
    assert said.startswith(f"error: {PORTS[name]}: 127.0.0.1:{port} is in use by another process [host.port-in-use]")
    assert "hint: " in said
    with running_service(tmp_path / "data") as service:
        assert service.ready["token"], "nobody saw the first token: there must be a new one"
        assert armillary("status", env=service.env).returncode == 0


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_here_is_named(tmp_path: Path, host: str) -> None:
    code, said = up(tmp_path / "data", "--host", host)
    assert code == 1
    assert f"cannot listen on {host}:0 (" in said
    assert "hint: Choose an address of this host" in said


def test_half_written_files_are_named_and_left_as_they_are(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        token = service.ready["token"]
    for name in ("records.db", "hub/hub.db", "keys/challenge.bin"):
        path = tmp_path / "data" / name
        whole = path.read_bytes()
        half = whole[: len(whole) // 2]
        path.write_bytes(half)
        code, said = up(tmp_path / "data")
        assert code == 1, name
        assert name in said
        assert "[host.data-folder]" in said
        assert "backup" in said
        assert path.read_bytes() == half
        path.write_bytes(whole)
    with running_service(tmp_path / "data", token=token) as service:
        assert armillary("status", env=service.env).returncode == 0


def test_the_service_opens_as_many_files_as_it_may(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running_service(tmp_path / "data") as service:
        soft, _ = resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard or soft >= 65_536
