# SPDX-License-Identifier: Apache-2.0
"""Applications that reach for serial ports: those that are not theirs, and more of theirs than its line."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.engines.sandbox.conftest import namespaces, sandbox, stage
from tests.engines.sandbox.sandbox_stage import Stage, own_network

from armillary.capability.grant import Peripheral
from armillary.capability.seccomp import Policy, compile_filter
from armillary.engines.sandbox.linux import LinuxSandbox
from armillary.engines.sandbox.network import kernel
from armillary.engines.sandbox.port import Sandbox
from armillary.errors import InstallError

__all__ = ["namespaces", "sandbox", "stage"]

GRANTED = frozenset({Peripheral(kind="Uart", name="UART2"), Peripheral(kind="Uart", name="UART3")})


@dataclass
class Line:
    """A pseudo-terminal: our end, and the node of the other."""

    outer: int
    node: Path

    def answer(self) -> None:
        """Send back in capitals what comes until the application is gone."""
        try:
            while data := os.read(self.outer, 64):
                os.write(self.outer, data.upper())
        except OSError:
            return


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    pairs = [os.openpty() for _ in range(2)]
    found = [Line(outer, Path(os.ttyname(inner))) for outer, inner in pairs]
    for line in found:
        threading.Thread(target=line.answer, daemon=True).start()
    yield found
    for outer, inner in pairs:
        os.close(inner)
        os.close(outer)


# As a driver opens a line: exclusive, raw, 19,200 baud (parity is nothing that a pseudo-terminal has); drops old bytes, sends, waits, reads.
SPEAK = """
import fcntl, os, termios, tty
print(sorted(name for name in os.environ if name.startswith("ARMILLARY_UART")))
line = os.open(os.environ["ARMILLARY_UART_UART2"], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
mode = termios.tcgetattr(line)
mode[0] = mode[1] = mode[3] = 0
mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
mode[4] = mode[5] = termios.B19200
for when in (termios.TCSANOW, termios.TCSADRAIN, termios.TCSAFLUSH):
    termios.tcsetattr(line, when, mode)
print(termios.tcgetattr(line)[4] == termios.B19200)
termios.tcflush(line, termios.TCIOFLUSH)
os.write(line, b"hello")
termios.tcdrain(line)
got = b""
while len(got) < 5:
    got += os.read(line, 5)
print(got)
"""


def test_a_granted_port_is_a_line_to_speak_on(stage: Stage, sandbox: Sandbox, lines: list[Line]) -> None:
    """In every engine that encloses; a granted port that no node stands for has no variable."""
    outcome = stage.run(sandbox, SPEAK, serial_ports={"UART2": lines[0].node}, peripherals=GRANTED)
    assert outcome.lines == ["['ARMILLARY_UART_UART2']", "True", "b'HELLO'"], outcome.errors


OPEN = """
import os
for path in os.environ["PATHS"].split():
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
        print("opened")
    except OSError as error:
        print("refused")
"""


def test_a_port_of_somebody_else_cannot_be_opened(stage: Stage, sandbox: Sandbox, lines: list[Line]) -> None:
    inside = own_network(sandbox)
    own = "/dev/UART2" if inside else str(lines[0].node)
    paths = f"{own} {lines[1].node} /dev/UART3 /dev/ptmx /dev/pts/ptmx"
    options: dict[str, Any] = {"environment": {"PATHS": paths}, "peripherals": GRANTED}
    outcome = stage.run(sandbox, OPEN, **options)
    assert outcome.lines == ["refused"] * 5, outcome.errors
    outcome = stage.run(sandbox, OPEN, serial_ports={"UART2": lines[0].node}, **options)
    assert outcome.lines == ["opened"] + ["refused"] * 4, outcome.errors  # the control


def test_a_port_that_was_not_granted_is_handed_to_nobody(stage: Stage, sandbox: Sandbox, lines: list[Line]) -> None:
    with pytest.raises(InstallError, match="granted no Uart UART2"):
        stage.run(sandbox, OPEN, serial_ports={"UART2": lines[0].node})


# Typing into it, taking the console's output, another line discipline (back to the usual one, which is always there),
# making it the controlling terminal, the UART's addresses, the pseudo-terminal's other end.
BEYOND = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
line = os.open(os.environ["ARMILLARY_UART_UART2"], os.O_RDWR | os.O_NOCTTY)
number = {"x86_64": 16, "aarch64": 29}[os.uname().machine]
value = ctypes.c_int(0)
for request in (0x5412, 0x541D, 0x5423, 0x540E, 0x541F, 0x5441, 1 << 32 | 0x5423):
    ctypes.set_errno(0)
    libc.syscall(number, line, ctypes.c_ulong(request), ctypes.byref(value))
    print(errno.errorcode.get(ctypes.get_errno(), "done"))
"""


def test_a_port_is_its_line_and_no_terminal_of_the_host(
    stage: Stage, namespaces: LinuxSandbox, lines: list[Line]
) -> None:
    options: dict[str, Any] = {"serial_ports": {"UART2": lines[0].node}, "peripherals": GRANTED}
    assert stage.run(namespaces, BEYOND, **options).lines == ["EPERM"] * 7

    class WithoutRule(LinuxSandbox):
        def plan(self, *arguments: Any) -> Any:
            program = compile_filter(kernel.machine(), Policy(without=frozenset({"ioctl"})))
            return dataclasses.replace(super().plan(*arguments), filter=program)

    control = WithoutRule(namespaces.bubblewrap, namespaces.own_user)
    seen = stage.run(control, BEYOND, **options).lines
    assert (seen[2], seen[6]) == ("done", "done")  # another line discipline
