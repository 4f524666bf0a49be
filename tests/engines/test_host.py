# SPDX-License-Identifier: Apache-2.0
"""What a device asks its host: interfaces and their switch, memory of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.namespaces import network_namespace
from tests.fixtures.processes import killed_process

from armillary.engines.host.interfaces import interfaces, switch
from armillary.engines.host.process_memory import memory_of
from armillary.errors import HostError


def test_interfaces_are_those_of_the_host():
    found = {each.name: each for each in interfaces()}
    assert set(found) == {each.name for each in Path("/sys/class/net").iterdir()}
    assert "127.0.0.1" in found["lo"].addresses
    assert found["lo"].is_loopback
    for name, each in found.items():
        assert each.hardware_address == Path("/sys/class/net", name, "address").read_text().strip(), name
    assert not found["lo"].has_address, "nobody else reaches it"


def test_an_interface_is_switched_off_and_on():
    """In a network of its own: a bridge, which needs no hardware."""
    with network_namespace() as inside:
        subprocess.run(inside.command("ip", "link", "add", "bench0", "type", "bridge"), check=True)
        subprocess.run(inside.command("ip", "address", "add", "192.0.2.1/24", "dev", "bench0"), check=True)

        def state() -> tuple[bool, tuple[str, ...]]:
            (found,) = (each for each in interfaces() if each.name == "bench0")
            return found.is_up, found.addresses

        assert inside.call(state) == (False, ("192.0.2.1",))
        for up in (True, False):
            inside.call(lambda up=up: switch("bench0", up=up))
            assert inside.call(state)[0] is up
        with pytest.raises(HostError, match="nobody0"):
            inside.call(lambda: switch("nobody0", up=True))


def test_memory_is_that_of_a_process_and_what_it_started():
    program = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'print(1); input()']).wait())"
    alone = memory_of([os.getpid()])
    with killed_process([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.readline() == "1\n", "the child runs"
        both = memory_of([process.pid])
        assert 0 < both.own <= both.total
        with_it = memory_of([os.getpid()])
        assert with_it.own > alone.own
    assert memory_of([process.pid]).total == 0
    assert memory_of([]).total == 0
