# SPDX-License-Identifier: Apache-2.0
"""Devices that check in as fast as they can, in a process of their own.

``python -m bench.checkin_load DEVICES.BIN PORT MODE TOTAL``: MODE ``kept`` uses one connection per device for all its
check-ins, ``new`` opens one for each. Every reply is parsed and must say "attested". Prints how many were made.
"""

from __future__ import annotations

import pickle
import ssl
import sys
import threading
import time
from pathlib import Path

from armillary.sim.prover import Prover
from armillary.sim.wire_device import WireDevice, components_of


def main(file: Path, port: int, mode: str, total: int) -> None:
    devices = []
    for uds, reply in pickle.loads(file.read_bytes()):
        prover = Prover(
            uds=uds,
            components=components_of(reply.boot_packages),
            service_name=reply.service_name,
            os_version=reply.os_version,
            boot_count=int(time.time()),  # every run is a new boot, and boots only count up
        )
        devices.append(WireDevice(prover=prover, factory=reply, port=port))
    contexts = [device.tls_context() for device in devices]
    for device, context in zip(devices, contexts, strict=True):
        device.connect(context)
        device.check_in()
    print("ready", flush=True)
    sys.stdin.readline()
    each = total // len(devices)
    done: list[int] = []
    threads = [
        threading.Thread(target=drive, args=(device, context, mode, each, done))
        for device, context in zip(devices, contexts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if sum(done) != each * len(devices):
        raise SystemExit(f"{len(devices) - len(done)} devices failed")
    print(sum(done), flush=True)


def drive(device: WireDevice, context: ssl.SSLContext, mode: str, times: int, done: list[int]) -> None:
    """Check in ``times`` times; a failure ends the thread and is missing in ``done``."""
    for _ in range(times):
        if mode == "new":
            device.connect(context)
        reply = device.check_in()
        if reply.verdict != "attested":
            raise AssertionError(f"not attested: {reply.steps}")
    done.append(times)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
