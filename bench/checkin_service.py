# SPDX-License-Identifier: Apache-2.0
"""The service under measurement: the whole security service with prepared devices, nothing else in its process.

``python -m bench.checkin_service DATA DEVICES [OTHERS [WORKERS]]``: makes the devices, writes what they need into
DATA/devices.bin, registers so many others beside them that never come, prints the port, serves until its standard
input ends.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import structlog
import uvloop
from sqlalchemy import Connection

from armillary.engines.records.schema import schema
from armillary.service.assemble import SecurityService
from armillary.service.factory.reply import FactoryReply
from armillary.service.verifier import device_rates
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request
from bench.bare_handshake import TLS_FILE

# Devices that one claim may name.
CLAIM_BATCH = 500
# Devices made at a time: one computes while another waits for the disk.
AT_ONCE = 4


def register(connection: Connection, others: int) -> None:
    """Copies of the newest device under ids of their own: claimed, and attested just now."""
    number, claimed = "number + i.n", "strftime('%s')"
    numbers = f"WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i LIMIT {others})"
    for table, changed in (
        (schema.device, {"number": number, "device_id": "hex(randomblob(64))", "claimed_at": claimed}),
        (
            schema.device_status,
            {"device_number": f"device_{number}", "checked_in_at": claimed, "verdict": "'attested'"},
        ),
    ):
        key = "number" if table is schema.device else "device_number"
        names = [column.name for column in table.columns]
        columns, values = ", ".join(names), ", ".join(changed.get(name, name) for name in names)
        newest = f"(SELECT * FROM {table.name} ORDER BY {key} DESC LIMIT 1)"
        made = connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({columns}) {numbers} SELECT {values} FROM {newest}, i"
        )
        if made.rowcount != others:
            raise RuntimeError(f"{made.rowcount} of {others} devices were registered")


async def serve(data: Path, devices: int, others: int = 0, workers: int = 0) -> None:
    device_rates.CHECK_INS = device_rates.Allowance(10**9, 60.0)  # devices here come as often as they are served
    settings = Settings(data=data, device_port=0, hub_port=0, api_port=0, device_workers=str(workers))
    service = SecurityService.open(settings)
    await service.start()
    service.registry.catalogs.create("Bench", actor="bench")

    def manufactured(_: int) -> tuple[bytes, FactoryReply]:
        uds = os.urandom(32)
        reply = service.factory.enrol(certificate_request(uds), "mt3620", "bench")
        # all get the same boot packages: one copy in the file
        return uds, replace(reply, boot_packages=first.boot_packages)

    first = service.factory.enrol(certificate_request(os.urandom(32)), "mt3620", "bench")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        made = list(pool.map(manufactured, range(devices)))
    ids = [reply.device_id for _, reply in made]
    for start in range(0, devices, CLAIM_BATCH):
        service.registry.devices.claim("Bench", ids[start : start + CLAIM_BATCH], actor="bench")
    (data / "devices.bin").write_bytes(pickle.dumps(made))
    files = service.authority.server.files()
    tls = files.certificate, files.key, service.authority.silicon.certificates()
    (data / TLS_FILE).write_bytes(pickle.dumps(tls))
    if others:
        service.context.records.write(lambda connection: register(connection, others))
    print(service.device_address.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await service.close()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:])))
