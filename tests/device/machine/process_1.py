# SPDX-License-Identifier: Apache-2.0
"""Process 1 of a device image, whole, as a process of its own: the kernel, the disk and the network are pretended.

It prints what it does to them, beside what it says on the console. Its device process is a shell, started beside it as
the first program would. It looks at nothing by itself for ten minutes: what it does, it was woken for. With the word
``hangs=1`` on its command line its device process hangs, and it looks often.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from armillary.device.machine import addresses, data_partition, development, first, kernel_calls, network
from armillary.engines.host.addressing import ETHERNET_METRIC
from armillary.wire.device_image.address_lease import ACKNOWLEDGE, Lease

# It waits for the data, reads what process 1 found, is ready, waits for two more lines, and has the machine restart.
DEVICE = """
read go <&{go} || exit
{{ cat '{faults}'; echo; }} | sed 's/^/device process is told: /'
echo ready >&{words}
read address <&{more} && read shell <&{more} || exit
echo restart >&{words}
read end <&{more}
"""
# It says nothing, and ends for no SIGTERM, only with process 1.
HANGS = "trap '' TERM; read go <&{go}; read end <&{more}"
ADDRESS = IPv4Address("10.0.2.15")
LEASE = Lease(ACKNOWLEDGE, ADDRESS, IPv4Address("255.255.255.0"), ADDRESS.packed, None, (), 3600)


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Watchdog:
    """It is fed while data is repaired, and whenever process 1 has looked."""

    is_there = True
    said = ""

    def feed(self) -> None:
        if self.said != (said := "fed while it repairs" if Data.is_repaired else "fed while it runs"):
            tell(said)
        Watchdog.said = said


class Data:
    """A partition that was damaged, and is full."""

    is_repaired = False

    @classmethod
    def mount(cls, _node: str, _target: str, *, alive: object) -> str:
        cls.is_repaired = True
        if callable(alive):
            alive()
        cls.is_repaired = False
        return "it was damaged and repaired"


class Request:
    """It asks again when its time has come, and then gets a packet with the lease."""

    def __init__(self, interface: str, *, metric: int) -> None:
        assert metric == ETHERNET_METRIC
        tell(f"asks for an address of {interface}")
        self.socket, self._server = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ask_again_at = time.monotonic() + 0.1
        self._looks = 0

    def look(self, now: float) -> Lease | None:
        self._looks += 1
        if now >= self.ask_again_at:
            self.ask_again_at = math.inf
            self._server.send(b"lease")
            return None
        if self._looks == 1:
            return None
        os.write(MORE, b"address\n")
        return LEASE

    def close(self) -> None:
        self.socket.close()


class Shells:
    """A shell that ends at once."""

    def start(self) -> None:
        self._shell = os.posix_spawn("/bin/true", ["true"], {})

    def ended(self, child: int) -> None:
        if child == self._shell:
            tell("its shell has ended")
            os.write(MORE, b"shell\n")


def ended(how: str) -> None:
    tell(how)
    sys.exit(0)


def main(folder: Path, command_line: dict[str, str]) -> None:
    """Be process 1."""
    first.FAULTS = str(folder / "faults")  # type: ignore[misc]
    first.GROUPS = str(folder / "groups")  # type: ignore[misc]
    first.DATA = str(folder)  # type: ignore[misc]
    first._LOOK_EVERY_S = 600.0  # type: ignore[misc]
    hangs = bool(command_line.pop("hangs", ""))
    if hangs:
        first._LOOK_EVERY_S, first._SILENT_S, first._STOP_WITHIN_S = 0.02, 0.3, 0.1  # type: ignore[misc]
    first.Watchdog = Watchdog  # type: ignore[misc,assignment]
    first.mount_data = Data.mount  # type: ignore[assignment]
    first.boot_words = lambda: command_line
    data_partition._free = lambda _target: 12_288
    development.Shells = Shells  # type: ignore[misc,assignment]
    addresses.bring_up = lambda interface: tell(f"switches {interface} on")
    addresses.leave_lost_links = lambda: None
    network.first_ethernet = lambda: "eth0"
    network.AddressRequest = Request  # type: ignore[misc,assignment]
    kernel_calls.unmount = lambda _target: tell("data is unmounted")
    kernel_calls.restart_machine = lambda: ended("the kernel restarts the machine")
    kernel_calls.power_off = lambda: ended("the kernel switches off")
    go, let_go = os.pipe()
    hears, words = os.pipe()
    text = (HANGS if hangs else DEVICE).format(go=go, words=words, more=HEARS_MORE, faults=first.FAULTS)
    for each in (go, words, HEARS_MORE):
        os.set_inheritable(each, True)
    device = os.posix_spawn("/bin/sh", ["sh", "-c", text], {**os.environ})
    for each in (go, words, HEARS_MORE):
        os.close(each)
    sys.argv[1:] = ["a", "/dev/vda", "/dev/vda5", "0", str(device), str(hears), str(let_go)]
    first.main()


HEARS_MORE, MORE = -1, -1
if __name__ == "__main__":
    HEARS_MORE, MORE = os.pipe()
    main(Path(sys.argv[1]), dict(word.split("=") for word in sys.argv[2:]))
