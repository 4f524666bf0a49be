# SPDX-License-Identifier: Apache-2.0
"""ThingsBoard's IoT gateway on the machines of ``bench/guardian_point.py``: what a point costs it.

It is asked for the same: ten machines, 50 values each, ten times a second, kept in SQLite. Its north side is a broker
without the cloud that it belongs to, so that it reads and stores and publishes nothing. It installs its Modbus library
by itself at its first start.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from armillary.wire.equipment.modbus import read_request, register_bytes
from armillary.wire.equipment.modbus_framing import TcpFrames, tcp_frame
from armillary.wire.equipment.profile import Table
from bench.guardian_device import MACHINES, PERIOD_S, POINTS

# Names the Python of a virtual environment that has it.
VARIABLE = "THINGSBOARD_GATEWAY"
START_LIMIT_S, WARM_UP_S = 120.0, 5.0


def peer(folder: Path, modbus: int, broker: int, seconds: float) -> dict[str, float]:
    """Points a second, and CPU microseconds of all its processes for each."""
    settings = folder / "peer"
    settings.mkdir()
    _configure(settings, modbus, broker)
    start = (
        "from thingsboard_gateway.gateway.tb_gateway_service import TBGatewayService as G; import sys; G(sys.argv[1])"
    )
    process = subprocess.Popen(
        [os.environ[VARIABLE], "-c", start, settings / "tb_gateway.json"],
        cwd=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),  # noqa: PLW1509 - no thread here
    )
    try:
        end = time.monotonic() + START_LIMIT_S
        while _served(modbus) == 0:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("bench guardian-point: the gateway of ThingsBoard did not begin to read")
            time.sleep(0.5)
        time.sleep(WARM_UP_S)
        cpu, served, wall = _cpu_s(process.pid), _served(modbus), time.monotonic()
        time.sleep(seconds)
        cpu, served, wall = _cpu_s(process.pid) - cpu, _served(modbus) - served, time.monotonic() - wall
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    return {"points_per_s": served / wall, "cpu_us": cpu / max(1, served) * 1e6}


def _configure(folder: Path, modbus: int, broker: int) -> None:
    (folder / "data").mkdir()
    values = [
        {"tag": f"value{each}", "type": "16uint", "functionCode": 4, "objectsCount": 1, "address": each, "divider": 10}
        for each in range(POINTS)
    ]
    slaves = [
        {
            "host": "127.0.0.1",
            "port": modbus,
            "type": "tcp",
            "method": "socket",
            "unitId": 1,
            "deviceName": f"machine{each}",
            "deviceType": "default",
            "timeout": 5,
            "byteOrder": "BIG",
            "wordOrder": "BIG",
            "retries": 3,
            "retryOnEmpty": True,
            "retryOnInvalid": True,
            "pollPeriod": int(PERIOD_S * 1000),
            "connectAttemptTimeMs": 1000,
            "connectAttemptCount": 5,
            "waitAfterFailedAttemptsMs": 10000,
            "attributes": [],
            "timeseries": values,
            "attributeUpdates": [],
            "rpc": [],
        }
        for each in range(MACHINES)
    ]
    gateway = {
        "thingsboard": {
            "host": "127.0.0.1",
            "port": broker,
            "remoteShell": False,
            "remoteConfiguration": False,
            "checkConnectorsConfigurationInSeconds": 60,
            "security": {"type": "accessToken", "accessToken": "bench"},
            "qos": 1,
        },
        "storage": {"type": "sqlite", "data_file_path": "./data/data.db", "messages_ttl_in_days": 7},
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "Modbus", "configuration": "modbus.json"}],
    }
    (folder / "modbus.json").write_text(json.dumps({"master": {"slaves": slaves}}))
    (folder / "tb_gateway.json").write_text(json.dumps(gateway))
    (folder / "logs.json").write_text(json.dumps({"version": 1, "root": {"level": "ERROR"}}))


def _served(port: int) -> int:
    """How many input registers the machines were asked for."""
    frames = TcpFrames()
    with socket.create_connection(("127.0.0.1", port), 5) as asked:
        asked.sendall(tcp_frame(1, 1, read_request(Table.HOLDING, 0, 2)))
        while not (found := frames.feed(asked.recv(300))):
            pass
    return int.from_bytes(register_bytes(found[0].pdu))


def _cpu_s(group: int) -> float:
    """CPU seconds of all processes of a group."""
    ticks = 0
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = each.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(parts[2]) == group:
            ticks += int(parts[11]) + int(parts[12])
    return ticks / os.sysconf("SC_CLK_TCK")
