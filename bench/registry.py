# SPDX-License-Identifier: Apache-2.0
"""A registry of 1,000,000 devices: made once for all benchmarks of a run, and copied."""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, func, select

from armillary.engines.records.advisories import software
from armillary.engines.records.schema import schema
from armillary.service.assemble import SecurityService
from armillary.service.authority.key_store import PASSPHRASE_SUFFIX
from armillary.settings import Settings
from armillary.sim.device.wire_device import certificate_request

REGISTERED: Final = 1_000_000
# Catalog, product and group that have them all.
PLACE: Final = ("Bench", "Kettle", "Production")


def copy_registry(data: Path) -> None:
    """Make a data folder whose service knows :data:`REGISTERED` devices in :data:`PLACE`, which run nothing."""
    made = _registry()
    shutil.copytree(made, data)
    shutil.copy2(made.with_name(made.name + PASSPHRASE_SUFFIX), data.with_name(data.name + PASSPHRASE_SUFFIX))


@functools.cache
def _registry() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="armillary-bench-registry-"))
    weakref.finalize(_registry, shutil.rmtree, folder)  # at the end of the process
    print(f"  registering {REGISTERED} devices (half a minute)", file=sys.stderr)
    service, (catalog, product, group) = SecurityService.open(Settings(data=folder / "data")), PLACE
    service.registry.catalogs.create(catalog, actor="bench")
    service.registry.products.create(catalog, product, actor="bench")
    service.registry.groups.create_defaults(catalog, product, actor="bench")
    made = service.factory.enrol(certificate_request(os.urandom(32)), "mt3620", "bench")
    service.registry.devices.claim(catalog, [made.device_id], product=product, group=group, actor="bench")
    service.context.records.write(lambda connection: _register(connection, REGISTERED - 1))
    service.context.records.write(_take_stock)
    service.context.records.close()
    return folder / "data"


def _register(connection: Connection, others: int) -> None:
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


def _take_stock(connection: Connection) -> None:
    """What they run is known, as in a service that has them for a while: it would find out while others measure."""
    second = schema.device.c.number == connection.execute(select(func.max(schema.device.c.number))).scalar_one()
    software.place(connection, second, now=int(time.time()))
    connection.exec_driver_sql(
        "INSERT INTO device_software (device_number, group_id, set_id) SELECT d.device_number, k.group_id, k.set_id"
        " FROM device_status d, (SELECT * FROM device_software) k WHERE d.verdict IS NOT NULL"
        " AND d.device_number <> k.device_number"
    )
    connection.exec_driver_sql("UPDATE software_count SET devices = (SELECT count(*) FROM device_software)")
