# SPDX-License-Identifier: Apache-2.0
"""Nodes of serial ports: named at the start, held while the device runs, missing without harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from armillary.capability.confine import application_user
from armillary.capability.grant import Grant, Peripheral, PlatformLimits
from armillary.capability.network import allowed_hosts
from armillary.device.applications.serial_ports import hold_serial_ports, parse_peripherals
from armillary.device.state.journal import Journal, read_journal
from armillary.errors import HostError, InvalidArgumentError

PORTS = frozenset({Peripheral(kind="Uart", name="UART2"), Peripheral(kind="Uart", name="UART3")})
BOARD = PlatformLimits(name="a board", peripherals=PORTS)
GRANT = Grant(component_id=UUID(int=7), hosts=allowed_hosts([]), peripherals=PORTS)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "log", lambda: 1_800_000_000)


@pytest.fixture
def terminal() -> Iterator[Path]:
    """The node of a pseudo-terminal."""
    outer, inner = os.openpty()
    yield Path(os.ttyname(inner))
    os.close(outer)
    os.close(inner)


def test_names_and_nodes_are_read() -> None:
    found = parse_peripherals(["Uart:UART2=/dev/ttyS1", "Uart:ISU0=/dev/serial/by-id/usb-a=b"])
    assert dict(found) == {"UART2": Path("/dev/ttyS1"), "ISU0": Path("/dev/serial/by-id/usb-a=b")}


@pytest.mark.parametrize(
    "texts",
    [
        ["UART2=/dev/ttyS1"],
        ["Uart:UART2"],
        ["Uart:UART2=ttyS1"],
        ["Uart:../null=/dev/ttyS1"],
        ["Uart:=/dev/ttyS1"],
        ["Gpio:8=/dev/gpiochip0"],
        ["Uart:UART2=/dev/ttyS1", "Uart:UART2=/dev/ttyS2"],
        ["Uart:UART2=/dev/ttyS1", "Uart:UART3=/dev/ttyS1"],
    ],
)
def test_another_form_is_refused_and_says_which_is_wanted(texts: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"--peripheral.*expected"):
        parse_peripherals(texts)


def test_an_application_gets_the_nodes_of_its_grant(journal: Journal, terminal: Path, tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(terminal)
    with hold_serial_ports({"UART2": link}, BOARD, journal) as ports:
        assert ports.of(GRANT) == {"UART2": terminal}
        assert ports.of(Grant(component_id=UUID(int=8), hosts=allowed_hosts([]))) == {}
        assert ports.status() == [
            {"name": "UART2", "node": str(link), "missing": None},
            {
                "name": "UART3",
                "node": None,
                "missing": "serial port UART3: expected a node that stands for it, got none",
            },
        ]
    assert [entry["name"] for entry in read_journal(tmp_path / "log")] == ["UART3"]


def test_a_port_has_one_device(journal: Journal, terminal: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(terminal)
    with (
        hold_serial_ports({"UART2": terminal}, BOARD, journal),
        pytest.raises(HostError, match="another device"),
        hold_serial_ports({"UART3": link}, BOARD, journal),
    ):
        pass
    with hold_serial_ports({"UART3": link}, BOARD, journal) as ports:  # the control: it was let go
        assert ports.of(GRANT) == {"UART3": terminal}
    both = {"UART2": terminal, "UART3": link}
    with pytest.raises(HostError, match="another port"), hold_serial_ports(both, BOARD, journal):
        pass


@pytest.mark.parametrize("node", ["/dev/null", "/etc/hostname", "/dev"])
def test_what_is_no_serial_port_refuses_the_start(journal: Journal, node: str) -> None:
    nodes = {"UART2": Path(node)}
    with pytest.raises(HostError, match="expected a serial port"), hold_serial_ports(nodes, BOARD, journal):
        pass


def test_a_name_that_the_board_has_not_refuses_the_start(journal: Journal, terminal: Path) -> None:
    known = r"UART9: expected a serial port of a board \(UART2, UART3\)"
    with pytest.raises(InvalidArgumentError, match=known), hold_serial_ports({"UART9": terminal}, BOARD, journal):
        pass


def test_an_adapter_may_come_later_and_go(journal: Journal, tmp_path: Path) -> None:
    node = tmp_path / "adapter"
    with hold_serial_ports({"UART2": node}, BOARD, journal) as ports:
        assert ports.of(GRANT) == {}
        assert "No such file" in str(ports.status()[0]["missing"])
        for _ in range(2):  # the second time it is another one of the same name
            outer, inner = os.openpty()
            node.symlink_to(os.ttyname(inner))
            assert ports.of(GRANT) == {"UART2": Path(os.ttyname(inner))}
            assert ports.status()[0]["missing"] is None
            os.close(outer)
            os.close(inner)
            node.unlink()
        assert ports.of(GRANT) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives nodes away; to enable: sudo make test ARGS=tests/device")
def test_a_node_goes_back_to_its_owner(journal: Journal, terminal: Path) -> None:
    application = application_user(UUID(int=7))
    for before, after in ((4711, 4711), (application, 0)):  # the second was left behind by a device that was killed
        os.chown(terminal, before, -1)
        terminal.chmod(0o620 if before == after else 0o626)
        with hold_serial_ports({"UART2": terminal}, BOARD, journal):
            os.chown(terminal, application, -1)
            terminal.chmod(0o666)  # as the application may, which owns it
        assert terminal.stat().st_uid == after
        assert terminal.stat().st_mode & 0o777 == 0o620
