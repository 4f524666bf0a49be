# SPDX-License-Identifier: Apache-2.0
"""A device's host and a client, each in a network of its own, joined by a wire: the device's private network."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fixtures.namespaces import Namespace, network_namespace

PRIVATE, CLIENT = "priv0", "eq0"
DEVICE_ADDRESS = "192.168.100.1"
CLIENT_HARDWARE = "02:00:00:00:00:02"
PLAN = {
    "first_address": "192.168.100.10",
    "count": 2,
    "netmask": "255.255.255.0",
    "gateway": "192.168.100.254",
    "dns_servers": ["192.168.100.53", "192.168.100.54"],
    "ntp_servers": [DEVICE_ADDRESS],
    "lease_hours": 2,
}
# What busybox's client tells its script of this plan.
LEASED = {
    "ip": "192.168.100.10",
    "subnet": "255.255.255.0",
    "router": "192.168.100.254",
    "dns": "192.168.100.53 192.168.100.54",
    "ntpsrv": DEVICE_ADDRESS,
    "lease": "7200",
    "serverid": DEVICE_ADDRESS,
}


@dataclass
class Wire:
    """The two networks."""

    device: Namespace
    client: Namespace
    folder: Path

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the device's host."""
        return self.device.run(coroutine)

    async def leased(self, *options: str, tries: int = 20) -> dict[str, str] | None:
        """What busybox's DHCP client gets, as its script is told; None for nothing."""
        script = self.folder / "leased"
        script.write_text('#!/bin/sh\n[ "$1" = bound ] && env >"$0.env"\nexit 0\n')
        script.chmod(0o755)
        words = ["busybox", "udhcpc", "-i", CLIENT, "-n", "-q", "-f", "-t", str(tries), "-T", "1", "-A", "0"]
        if await self.foreign(*words, "-s", str(script), *options) is None:
            return None
        lines = Path(f"{script}.env").read_text().splitlines()
        told = dict(line.split("=", 1) for line in lines if "=" in line)
        return {name: told[name] for name in LEASED if name in told}

    async def foreign(self, *words: str) -> str | None:
        """The output of a program on the client's side; None if it failed."""
        process = await asyncio.create_subprocess_exec(
            *self.client.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return output.decode() if process.returncode == 0 else None


@contextlib.contextmanager
def wire(folder: Path) -> Iterator[Wire]:
    """Both networks, for the length of a block; the device has its address, the client none."""
    with network_namespace() as device, network_namespace() as client:
        there = f"/proc/{os.getpid()}/fd/{client._descriptor}"
        commands = [
            (device, f"ip link add {PRIVATE} type veth peer name {CLIENT}"),
            (device, f"ip link set {CLIENT} address {CLIENT_HARDWARE} netns {there}"),
            (device, f"ip address add {DEVICE_ADDRESS}/24 dev {PRIVATE}"),
            (device, f"ip link set {PRIVATE} up"),
            (client, f"ip link set {CLIENT} up"),
        ]
        for namespace, command in commands:
            subprocess.run(namespace.command(*command.split()), check=True)
        yield Wire(device, client, folder)
