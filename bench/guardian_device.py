# SPDX-License-Identifier: Apache-2.0
"""A guardian that is measured: ``python -m bench.guardian_device FOLDER MODBUS_PORT HUB_PORT SECONDS``.

The process of ``armillary.guardian`` as it is, on one core, with ten machines on Modbus TCP, 50 points each, polled ten
times a second; every value of every read is worth sending. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from armillary.engines.equipment.modbus_tcp import ModbusTcpLink
from armillary.guardian.configuration import EquipmentEntry, GuardianConfiguration
from armillary.guardian.process import serve
from armillary.guardian.surroundings import Surroundings
from armillary.wire.equipment.files.signing import sign
from armillary.wire.equipment.profile_reader import canonical, profile_document, read_profile
from armillary.wire.equipment.signed_file import PROFILE

MACHINES, POINTS, PERIOD_S = 10, 50, 0.1
WARM_UP_S = 5.0


class TimedLink:
    """Notes how long each exchange of every link took, seconds."""

    def __init__(self) -> None:
        self.times: list[float] = []
        exchange, times = ModbusTcpLink.exchange, self.times

        async def timed(link: ModbusTcpLink, permit: Any) -> Any:
            begun = time.perf_counter()
            reply = await exchange(link, permit)
            times.append(time.perf_counter() - begun)
            return reply

        ModbusTcpLink.exchange = timed  # type: ignore[method-assign] # the benchmark's own process


def main(folder: Path, modbus_port: int, hub_port: int, seconds: float) -> None:
    """Be a guardian for so long."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    key = Ed25519PrivateKey.generate()
    (folder / "image" / "profiles").mkdir(parents=True)
    (folder / "image" / "profiles" / "machine.dsse").write_bytes(
        sign(PROFILE, canonical(profile_document(read_profile(_profile(modbus_port)))), key)
    )
    entries = tuple(EquipmentEntry(name=f"machine{each}", profile="profiles/machine.dsse") for each in range(MACHINES))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    around = Surroundings(
        image=folder / "image",
        data=folder / "data",
        device_id="bench",
        hub_host="127.0.0.1",
        hub_port=hub_port,
        authentication=folder / "authentication",
    )
    configuration = GuardianConfiguration(equipment=entries, profile_keys=(public,))
    print(json.dumps(asyncio.run(_measured(configuration, around, seconds))), flush=True)


def _profile(port: int) -> dict[str, object]:
    points = {
        f"value{each}": {
            "table": "input",
            "address": each,
            "raw": "u16",
            "scale": 0.1,
            "unit": "degreeCelsius",
            "group": "fast",
        }
        for each in range(POINTS)
    }
    return {
        "profile": "bench/machine",
        "version": 1,
        "title": "Machine",
        "manufacturer": "Bench",
        "model": "Machine",
        "link": {"protocol": "modbus-tcp", "host": "127.0.0.1", "port": port, "timeout_s": 1},
        "groups": {"fast": PERIOD_S},
        "points": points,
    }


async def _measured(configuration: GuardianConfiguration, around: Surroundings, seconds: float) -> dict[str, float]:
    timed = TimedLink()
    guardian = asyncio.create_task(serve(configuration, around))
    await asyncio.sleep(WARM_UP_S)
    timed.times.clear()
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    cpu, wall, reads = time.process_time() - cpu, time.monotonic() - wall, list(timed.times)
    os.kill(os.getpid(), signal.SIGTERM)
    await guardian
    points = len(reads) * POINTS
    return {
        "points": points,
        "points_per_s": points / wall,
        "cpu_us": cpu / points * 1e6,
        "read_p99_ms": statistics.quantiles(reads, n=100)[98] * 1000,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
