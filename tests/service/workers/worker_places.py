# SPDX-License-Identifier: Apache-2.0
"""Which device worker has a connection, and copies of a device's connection at chosen workers."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from armillary.service.workers.device_workers import DeviceWorkers
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import CheckinReply


def workers_of(host: ServiceHost) -> DeviceWorkers:
    """The pool of a running service."""
    found = host.service.serving.workers
    assert found is not None
    return found


def pids(host: ServiceHost) -> list[int]:
    """The living workers' processes, in order."""
    return [one.pid for one in workers_of(host)._workers if one.pid is not None]


def pid_of(device: WireDevice, among: list[int]) -> int:
    """The process that has the other end of a device's open connection (proc_net(5) and /proc/PID/fd)."""
    assert device._socket is not None
    ours = f"{device._socket.getsockname()[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    ends = (f":{device.port:04X}", f":{ours}")
    (inode,) = {row[9] for row in rows if (row[1][-5:], row[2][-5:], row[3]) == (*ends, "01")}  # established
    for pid in among:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                if str(Path(entry.path).readlink()) == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:  # closed meanwhile
                continue
    raise AssertionError("nobody has the other end")


def at_each(host: ServiceHost, device: WireDevice) -> list[WireDevice]:
    """Open connections of one device, one at each worker, in the order of the workers.

    The device keeps the challenge of its last reply, as every device does.
    """
    wanted, found = pids(host), {}
    context = device.tls_context()
    for _ in range(64):
        one = replace(device, challenge=b"", lineage=device.lineage or b"", _socket=None)
        one.connect(context)
        one.fetch_challenge()  # answered: so the worker has taken it in
        pid = pid_of(one, wanted)
        if pid in found:
            _leave(one)
        else:
            found[pid] = one
        if len(found) == len(wanted):
            return [found[pid] for pid in wanted]
    raise AssertionError("64 connections at one worker of two: one in 2 ** 63")


def _leave(device: WireDevice) -> None:
    """Close a connection, and return when the worker knows: of very many it would give up the oldest, a chosen one."""
    assert device._socket is not None
    with contextlib.suppress(OSError):  # it closed first
        device._socket.unwrap()
    device.disconnect()


def verdicts(devices: list[WireDevice]) -> list[str]:
    """Check in through one connection after the other, each going on from the reply before."""
    return [check_in(device, devices).verdict for device in devices]


def check_in(device: WireDevice, devices: list[WireDevice]) -> CheckinReply:
    """Check in through one of several connections of one device; all of them keep the reply."""
    reply = device.check_in()
    for other in devices:
        other.challenge, other.lineage = b"", device.lineage
    return reply
