# SPDX-License-Identifier: Apache-2.0
"""Three networks in namespaces: equipment, guardian and uplink, both neighbours hostile, and sockets in each of them.

The guardian's namespace forwards (``ip_forward=1``) and filters no sources, and both neighbours have routes through it:
what keeps them apart is the isolation alone.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from tests.fixtures.namespaces import refusal

CLONE_NEWNET = 0x40000000
IP_TRANSPARENT = 19  # linux/in.h: a source that is not one's own
LIBC = ctypes.CDLL(None, use_errno=True)
PORT = 7000
# How long a packet that should arrive may take on a busy host, and how long is waited for others after the last of them:
# all were sent in one go, over the same wires.
ARRIVAL_LIMIT_S, SETTLE_S = 20.0, 0.3

EQUIPMENT, GUARDIAN, UPLINK = "equipment", "guardian", "uplink"
EQUIPMENT_MAC = "02:00:00:00:00:02"
# Each machine's address on its own network, and the guardian's on both.
ADDRESSES = {
    EQUIPMENT: ("10.9.0.2", "fd09::2"),
    UPLINK: ("192.0.2.2", "fd02::2"),
    "guardian-equipment": ("10.9.0.1", "fd09::1"),
    "guardian-uplink": ("192.0.2.1", "fd02::1"),
}
SETUP = """
set -e
ip -n {e} link add eq type veth peer name geq netns {g}
ip -n {u} link add far type veth peer name gup netns {g}
ip -n {e} link set eq address 02:00:00:00:00:02
ip -n {u} link set far address 02:00:00:00:01:02
for one in "{e} lo" "{u} lo" "{g} lo" "{e} eq" "{u} far" "{g} geq" "{g} gup"; do
    set -- $one; ip -n $1 link set $2 up
done
ip -n {e} address add 10.9.0.2/24 dev eq; ip -n {e} address add fd09::2/64 dev eq nodad
ip -n {g} address add 10.9.0.1/24 dev geq; ip -n {g} address add fd09::1/64 dev geq nodad
ip -n {u} address add 192.0.2.2/24 dev far; ip -n {u} address add fd02::2/64 dev far nodad
ip -n {g} address add 192.0.2.1/24 dev gup; ip -n {g} address add fd02::1/64 dev gup nodad
ip -n {e} route add default via 10.9.0.1; ip -n {e} -6 route add default via fd09::1
ip -n {u} route add 10.9.0.0/24 via 192.0.2.1; ip -n {u} -6 route add fd09::/64 via fd02::1
ip netns exec {g} sh -c 'cd /proc/sys/net
    echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding
    for one in all geq gup; do echo 0 >ipv4/conf/$one/rp_filter; done'
"""


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where this is not root or a program is missing, and say what to do."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in ("ip", "nft", *programs) if shutil.which(name, path=path) is None]
    packages = {
        "ip": "iproute2",
        "nft": "nftables",
        "dnsmasq": "dnsmasq-base",
        "busybox": "busybox",
        "ntpdig": "ntpsec-ntpdig",
        "socat": "socat",
    }
    if missing:
        wanted = " ".join(packages[name] for name in missing)
        return pytest.mark.skip(reason=f"{', '.join(missing)} missing; to enable: sudo apt-get install {wanted}")
    return pytest.mark.skipif(bool(refusal()), reason=refusal() or "networks can be made")


@dataclass
class Probe:
    """One try: who sends, where to, how, and what is reached where nothing prevents it."""

    source: str
    target: str  # An address
    at: str  # In which namespace that address is
    kind: str = "tcp"
    spoofed: str = ""  # The source address that it claims

    def __str__(self) -> str:
        claimed = f" as {self.spoofed}" if self.spoofed else ""
        return f"{self.source}{claimed} to {self.target} by {self.kind}"


@dataclass
class Networks:
    """The three namespaces. A context manager: they are gone at its end."""

    folder: Path  # For what programs inside write
    mark: str = field(
        default_factory=lambda: f"arm{os.getpid()}-{threading.get_native_id()}-{time.monotonic_ns() % 10**6}"
    )
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        for name in (EQUIPMENT, GUARDIAN, UPLINK):
            subprocess.run(["ip", "netns", "add", self.name(name)], check=True)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self) -> None:
        names = {name[0]: self.name(name) for name in (EQUIPMENT, GUARDIAN, UPLINK)}
        subprocess.run(["sh", "-c", SETUP.format(**names)], check=True)

    def __exit__(self, *error: object) -> None:
        for each in self._open:
            each.close()
        for name in (EQUIPMENT, GUARDIAN, UPLINK):
            subprocess.run(["ip", "netns", "delete", self.name(name)], check=False)

    def name(self, namespace: str) -> str:
        return f"{self.mark}-{namespace}"

    def command(self, namespace: str, *words: str) -> list[str]:
        """A command in a namespace."""
        return ["ip", "netns", "exec", self.name(namespace), *words]

    def run(self, namespace: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(namespace, *words), capture_output=True, text=True, check=check, timeout=60)

    def inside(self, namespace: str, action: Callable[[], Any]) -> Any:
        """The result of an action of a thread that is in the namespace; a socket made there stays there."""
        found: list[Any] = []

        def work() -> None:
            descriptor = os.open(Path("/run/netns", self.name(namespace)), os.O_RDONLY)
            try:
                if LIBC.setns(descriptor, CLONE_NEWNET) != 0:
                    found.append(OSError(ctypes.get_errno(), "setns"))
                    return
                found.append(action())
            except OSError as error:
                found.append(error)
            finally:
                os.close(descriptor)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def socket(self, namespace: str, family: int, kind: int, protocol: int = 0) -> socket.socket:
        made: socket.socket = self.inside(namespace, lambda: socket.socket(family, kind, protocol))
        made.setblocking(False)
        self._open.append(made)
        return made

    def reached(self, probes: Sequence[Probe], *, expected: Sequence[Probe]) -> set[str]:
        """Which probes arrive, tried all at once; some of them are expected to."""
        tries = [_Try(self, probe) for probe in probes]
        wanted = texts(expected)
        for each in tries:
            each.begin()
        _look([each for each in tries if str(each.probe) in wanted], ARRIVAL_LIMIT_S)
        _look([each for each in tries if str(each.probe) not in wanted], SETTLE_S)
        for each in tries:
            each.close()
        return {str(each.probe) for each in tries if each.arrived}

    def crossed(self) -> set[str]:
        """Which probes of :func:`crossing` arrive where none should; the guardian's own must, or this fails."""
        own = own_business()
        found = self.reached([*crossing(), *own], expected=own)
        assert texts(own) <= found
        return found - texts(own)

    def is_open(self) -> bool:
        """Whether everything arrives."""
        everything = [*crossing(), *own_business()]
        return self.reached(everything, expected=everything) == texts(everything)


def _look(tries: Sequence[_Try], limit_s: float) -> None:
    """Until all have arrived, or so long."""
    deadline = time.monotonic() + limit_s
    while (waiting := [each for each in tries if not each.arrived]) and time.monotonic() < deadline:
        select.select([each.receiver for each in waiting], [], [], 0.05)
        for each in waiting:
            each.look()


class _Try:
    """One probe under way: a connection accepted, or a datagram received, is an arrival."""

    def __init__(self, networks: Networks, probe: Probe) -> None:
        self.probe = probe
        self.arrived = False
        family = socket.AF_INET6 if ":" in probe.target else socket.AF_INET
        kind = socket.SOCK_STREAM if probe.kind == "tcp" else socket.SOCK_DGRAM
        self.receiver = networks.socket(probe.at, family, kind)
        self.receiver.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
        self.sender = networks.socket(probe.source, family, kind)
        if kind == socket.SOCK_STREAM:
            self.receiver.listen()

    def begin(self) -> None:
        if self.probe.spoofed:
            self.sender.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
            self.sender.bind((self.probe.spoofed, PORT))
        where = (self.probe.target, self.receiver.getsockname()[1])
        if self.probe.kind == "tcp":
            self.sender.connect_ex(where)
        else:
            try:
                self.sender.sendto(b"probe", where)
            except OSError:  # refused at home: an output rule, as no route would be
                return

    def look(self) -> None:
        try:
            if self.probe.kind == "tcp":
                self.receiver.accept()[0].close()
            else:
                self.receiver.recv(64)
            self.arrived = True
        except BlockingIOError:
            return

    def close(self) -> None:
        self.receiver.close()
        self.sender.close()


def crossing() -> list[Probe]:
    """Every way from one side to the other, to the guardian's own addresses, and false sources; none may arrive."""
    found = []
    for version in (0, 1):
        for kind in ("tcp", "udp"):
            for source, other in ((EQUIPMENT, UPLINK), (UPLINK, EQUIPMENT)):
                found += [
                    Probe(source, ADDRESSES[other][version], other, kind),
                    Probe(source, ADDRESSES[f"guardian-{other}"][version], GUARDIAN, kind),
                    Probe(source, ADDRESSES[f"guardian-{source}"][version], GUARDIAN, kind),
                ]
    return [
        *found,
        Probe(EQUIPMENT, "10.9.0.1", GUARDIAN, "udp", spoofed="192.0.2.2"),
        Probe(EQUIPMENT, "10.9.0.1", GUARDIAN, "udp", spoofed="10.9.0.77"),
        Probe(EQUIPMENT, "192.0.2.2", UPLINK, "udp", spoofed="192.0.2.77"),
        Probe(UPLINK, "10.9.0.1", GUARDIAN, "udp", spoofed="10.9.0.2"),
        Probe(UPLINK, "10.9.0.2", EQUIPMENT, "udp", spoofed="10.9.0.77"),
    ]


def own_business() -> list[Probe]:
    """What the guardian asks of both sides: it must arrive always."""
    return [
        Probe(GUARDIAN, ADDRESSES[EQUIPMENT][0], EQUIPMENT, "tcp"),
        Probe(GUARDIAN, ADDRESSES[EQUIPMENT][0], EQUIPMENT, "udp"),
        *(Probe(GUARDIAN, address, UPLINK, kind) for address in ADDRESSES[UPLINK] for kind in ("tcp", "udp")),
    ]


def texts(probes: Sequence[Probe]) -> set[str]:
    return {str(probe) for probe in probes}
