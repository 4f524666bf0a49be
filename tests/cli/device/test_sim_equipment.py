# SPDX-License-Identifier: Apache-2.0
"""``armillary sim equipment``: a machine on a port or a line, obedient on standard input, gone with SIGTERM."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fixtures.processes import OwnProcess

from armillary.wire.equipment.modbus import read_request
from armillary.wire.equipment.modbus_framing import tcp_frame
from armillary.wire.equipment.profile import Table

COMMAND = [sys.executable, "-m", "armillary", "sim", "equipment"]


def test_a_machine_on_a_port_answers_and_obeys() -> None:
    machine = OwnProcess(
        [*COMMAND, "cable", "--tcp", "0", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    with machine:
        assert machine.stdin is not None
        assert machine.stdout is not None
        began = json.loads(machine.stdout.readline())
        assert (began["equipment"], began["simulated"]) == ("guard/cable", True)
        with socket.create_connection((began["host"], began["port"]), 10) as client:
            client.sendall(tcp_frame(1, began["unit"], read_request(Table.INPUT, 204, 2)))
            assert client.recv(100)[-4:] == bytes(4)  # no damage
            machine.stdin.write("damage 37.4\n")
            machine.stdin.flush()
            assert json.loads(machine.stdout.readline()) == {"done": "damage 37.4"}
            client.sendall(tcp_frame(2, began["unit"], read_request(Table.INPUT, 204, 2)))
            place, damage = struct.unpack(">HH", client.recv(100)[-4:])
            assert abs(place / 100 - 37.4) < 1
            assert damage == 2  # crushed
        machine.stdin.write("explode\n")
        machine.stdin.flush()
        assert "Use one of: damage, heat" in json.loads(machine.stdout.readline())["remedy"]


def test_a_machine_on_a_line_leaves_no_link_behind(tmp_path: Path) -> None:
    link = tmp_path / "line"
    with OwnProcess([*COMMAND, "dispenser", "--pty", str(link)], stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        assert "guard/dispenser" in machine.stdout.readline()
        assert link.resolve().is_char_device()
        machine.terminate()
        assert machine.wait(20) == 0
    assert not link.is_symlink()


@pytest.mark.parametrize("options", [["coffee"], ["coffee", "--tcp", "0", "--pty", "x"]])
def test_one_way_is_named(options: list[str]) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "give one of --tcp and --pty" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["kettle", "--tcp", "0"], "Use one of: coffee, dispenser, cable."),
        (["dispenser", "--tcp", "0"], "Serve it with --pty PATH."),
        (["coffee", "--tcp", "0", "--profile", "/nowhere.yaml"], "Name a file that can be read."),
    ],
)
def test_what_is_no_machine_is_refused(options: list[str], said: str) -> None:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
