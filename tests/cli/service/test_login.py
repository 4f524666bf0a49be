# SPDX-License-Identifier: Apache-2.0
"""``armillary login``, and what commands say that reach no service."""

from __future__ import annotations

import ssl
import uuid
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_login_checks_the_token_and_remembers_it(bare: Command, service: RunningService, tmp_path: Path) -> None:
    options = ("--service", service.address, "--ca", str(service.root))
    wrong = bare("login", *options, "--token", "arm_wrong")
    assert (wrong.code, wrong.err.splitlines()[0]) == (1, "error: the token is not valid [request.unauthenticated]")
    assert not (tmp_path / "config").exists()
    ran = bare("login", *options, "--token", service.token)
    assert ran.out == f"service  {service.address}\nname     first-start\nrole     Administrator\n"
    assert ran.err == f"remembered in {tmp_path}/config/armillary/service.json\n"
    assert bare("token", "list").code == 0
    assert bare("login", *options).err.startswith("error: --token: nothing given [request.invalid]")


def test_a_server_with_another_root_is_not_trusted(bare: Command, service: RunningService, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    der = service.service.registry.catalogs.create(f"O-{uuid.uuid4().hex[:8]}", actor="test")
    certificate = service.service.authority.catalogs.get(der.name, ".default").der
    other.write_text(ssl.DER_cert_to_PEM_cert(certificate))
    ran = bare("catalog", "list", "--service", service.address, "--token", service.token, "--ca", str(other))
    assert ran.code == 1
    assert "the server's certificate is not trusted" in ran.err
    assert "[host.service-unreachable]" in ran.err


def test_a_service_that_is_not_there(bare: Command, service: RunningService) -> None:
    ran = bare("catalog", "list", "--service", "https://localhost:1", "--token", "arm_x", "--ca", str(service.root))
    assert ran.code == 1
    assert ran.err.startswith("error: https://localhost:1: no answer (")
    assert ran.err.endswith("\nhint: Check the address and that the service runs: armillary status.\n")
    ran = bare("catalog", "list")
    assert ran.err.startswith("error: no service is known [request.invalid]")
