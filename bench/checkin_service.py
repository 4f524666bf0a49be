# SPDX-License-Identifier: Apache-2.0
"""The service under measurement: the whole security service with prepared devices, nothing else in its process.

``python -m bench.checkin_service DATA DEVICES [WORKERS]``: makes the devices beside those that the data folder has,
writes what they need into DATA/devices.bin, prints the port, serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import sys
from dataclasses import replace
from pathlib import Path

import structlog
import uvloop
from sqlalchemy import Connection

from armillary.engines.records.queries import devices as device_rows
from armillary.identity import dice
from armillary.identity.device_id import device_id_of_key
from armillary.identity.manufacturing import ManufacturingState
from armillary.service.assemble import SecurityService
from armillary.service.factory.reply import FactoryReply
from armillary.service.verifier import device_rates
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request
from bench.bare_handshake import TLS_FILE
from bench.registry import PLACE

# Devices that one claim may name: as many are made in one transaction.
BATCH = 500
CATALOG = PLACE[0]


def manufacture(service: SecurityService, count: int) -> list[tuple[bytes, FactoryReply]]:
    """Secrets of devices and what the factory gives them, claimed: what it writes of the first is written of all.

    The factory's own route makes each in a transaction of its own, 7 ms of a core; the load's devices are not what is
    measured.
    """
    first_secret = os.urandom(32)
    first = service.factory.enrol(certificate_request(first_secret), "mt3620", "bench")
    profile, made = service.chips.get("mt3620"), [(first_secret, first)]

    def enrol(connection: Connection) -> None:
        for _ in range(count - 1):
            uds = os.urandom(32)
            device_id = device_id_of_key(dice.identity_key(uds).public_key())
            record, chain = service.authority.silicon.identity_certificate(profile.maker, device_id)
            device_rows.enrol(
                connection,
                device_id=device_id,
                chip=profile.name,
                chip_sku=profile.sku,
                trust_tier="software",
                manufacturing_state=ManufacturingState.DEVICE_COMPLETE.value,
                now=service.context.now(),
            )
            service.authority.issued.record(connection, [record])
            made.append((uds, replace(first, device_id=device_id, certificate_chain=chain)))

    service.context.records.write(enrol)
    service.registry.devices.claim(CATALOG, [reply.device_id for _, reply in made], actor="bench")
    return made


async def serve(data: Path, devices: int, workers: int = 0) -> None:
    device_rates.CHECK_INS = device_rates.Allowance(10**9, 60.0)  # devices here come as often as they are served
    settings = Settings(data=data, device_port=0, hub_port=0, api_port=0, device_workers=str(workers))
    service = SecurityService.open(settings)
    await service.start()
    if not service.registry.catalogs.list():
        service.registry.catalogs.create(CATALOG, actor="bench")

    made = [each for start in range(0, devices, BATCH) for each in manufacture(service, min(BATCH, devices - start))]
    (data / "devices.bin").write_bytes(pickle.dumps(made))
    files = service.authority.server.files()
    tls = files.certificate, files.key, service.authority.silicon.certificates()
    (data / TLS_FILE).write_bytes(pickle.dumps(tls))
    print(service.device_address.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await service.close()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:])))
