# SPDX-License-Identifier: Apache-2.0
"""Starts that cannot be: one clear error with code and remedy, and the folder starts afterwards as if nothing was."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import running_service as started_here
from tests.e2e.armillary_processes import PORTS, armillary_here, running_service, up
from tests.e2e.conftest import Ended

from armillary.errors import HostError

pytestmark = pytest.mark.e2e


def refused(data: Path, **settings: Any) -> HostError:
    """The error of a start in this process, joined as ``armillary up`` joins it."""
    with pytest.raises(HostError) as found, started_here(data.parent, **settings):
        pytest.fail("it started")
    return found.value


def test_a_port_that_is_taken_is_named_and_nothing_is_half_done(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for name, what in PORTS.items():
            error = refused(tmp_path / "here" / "data", **{f"{name}_port": port})
            assert str(error).startswith(f"{what}: 127.0.0.1:{port} is in use by another process"), name
            assert error.code == "host.port-in-use"
        code, said = up(tmp_path / "data", hub=port)
    assert code == 1
    assert said.startswith(f"error: {PORTS['hub']}: 127.0.0.1:{port} is in use by another process [host.port-in-use]")
    assert "hint: " in said
    with running_service(tmp_path / "data") as service:
        assert service.ready["token"], "nobody saw the first token: there must be a new one"
        assert armillary_here("status", env=service.env).returncode == 0


def test_an_address_that_is_not_here_is_named(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "no.such.host.invalid"):
        error = refused(tmp_path / "here" / "data", host=host)
        assert f"cannot listen on {host}:0 (" in str(error)
        assert error.remedy.startswith("Choose an address of this host")
    code, said = up(tmp_path / "data", "--host", "192.0.2.1")
    assert (code, "cannot listen on 192.0.2.1:0 (" in said) == (1, True), said
    assert "hint: Choose an address of this host" in said


def test_half_written_files_are_named_and_left_as_they_are(ended: Ended, copied: Callable[[], Path]) -> None:
    data = copied()
    for name in ("records.db", "hub/hub.db", "keys/challenge.bin"):
        path = data / name
        whole = path.read_bytes()
        half = whole[: len(whole) // 2]
        path.write_bytes(half)
        error = refused(data)
        assert name in str(error)
        assert error.code == "host.data-folder"
        assert "backup" in error.remedy
        if name == "records.db":
            code, said = up(data)
            assert (code, name in said, "[host.data-folder]" in said, "backup" in said) == (1, True, True, True), said
        assert path.read_bytes() == half
        path.write_bytes(whole)
    with running_service(data, token=ended.token) as service:
        assert armillary_here("status", env=service.env).returncode == 0
