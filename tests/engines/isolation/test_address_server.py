# SPDX-License-Identifier: Apache-2.0
"""What serves the equipment's addresses where the host is short of something: one error, nothing left, a next try."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.engines.isolation import address_server
from armillary.engines.isolation.address_server import AddressServer
from armillary.errors import HostError

pytestmark = pytest.mark.anyio


async def test_a_program_that_cannot_be_executed_is_an_error_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """``Keeping`` starts it again after one; any other would end that for good."""
    monkeypatch.setattr(address_server, "program", lambda _: "/nonexistent/dnsmasq")
    with pytest.raises(HostError, match=r"dnsmasq: .*No such file"):
        await AddressServer("eth1", "", lambda _: None).start()


async def test_one_whose_number_cannot_be_kept_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dnsmasq"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    monkeypatch.setattr(address_server, "program", lambda _: str(program))
    monkeypatch.setattr(address_server, "NUMBERS", tmp_path / "absent")
    server = AddressServer("eth1", "", lambda _: None)
    with pytest.raises(HostError, match="dnsmasq: "):
        await server.start()
    assert await server.ended() is not None
