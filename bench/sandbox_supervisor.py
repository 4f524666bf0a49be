# SPDX-License-Identifier: Apache-2.0
"""Memory of a device's own process without an application, against its limit.

A real device on this host: made at a running service, claimed, booted as ``armillary device boot`` boots it, attested,
with its certificate. Its own API has answered once, and it has given back what its start alone needed.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from armillary.cli.terminal.connection import make_connection
from armillary.cli.terminal.remote import RemoteService
from bench.memory import CATALOG
from bench.result import result
from bench.sandbox_many import LIMIT_MB
from bench.service_process import RunningService, cpu_seconds, memory_mb, running_service

# Until memory is given back: 5 s after the start, and again 5 s later at the earliest.
SETTLE_S = 20.0
STOP_S = 20.0


def run() -> list[dict[str, object]]:
    """Memory of the process once it has settled."""
    with running_service() as service, tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        data = Path(folder) / "device"
        _make_device(service, data)
        with _booted(data) as process:
            seen = _told(process, "rest-listening", "check-in")
            if not seen["check-in"].get("verdict") == "attested":
                raise RuntimeError(f"the device was not attested: {seen['check-in']}")
            worked = cpu_seconds(process.pid)
            _ask(str(seen["rest-listening"]["url"]), str(seen["rest-listening"]["ca"]))
            time.sleep(SETTLE_S)
            value, peak = memory_mb(process.pid), memory_mb(process.pid, "VmHWM")
            anonymous = memory_mb(process.pid, "RssAnon")
    conditions = (
        f"attested, with its certificate, its API served, no application; {anonymous:.1f} MB of it its own, the rest "
        f"programs; {peak:.1f} MB at most during the start, which took {worked:.2f} CPU s to the first check-in; "
        "without processes that start applications"
    )
    return [result("sandbox-supervisor", value, "MB resident", ("limit", LIMIT_MB), conditions)]


def _make_device(service: RunningService, data: Path) -> None:
    """Make a device by the command and claim it."""
    environment = {
        **os.environ,
        "XDG_CONFIG_HOME": str(data.parent),
        "ARMILLARY_SERVICE": str(service.ready["api"]),
        "ARMILLARY_TOKEN": str(service.ready["token"]),
        "ARMILLARY_CA": str(service.ready["root_ca"]),
    }
    command = [sys.executable, "-m", "armillary", "device", "create", "--data", str(data), "--json"]
    made = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    pem = Path(str(service.ready["root_ca"])).read_text("ascii")
    with RemoteService(make_connection(str(service.ready["api"]), str(service.ready["token"]), pem)) as remote:
        remote.management.call("PUT", CATALOG, {"location": "Global"})
        remote.management.call("PUT", f"{CATALOG}/products/Bench", {"properties": {}})
        remote.management.call("POST", f"{CATALOG}/products/Bench/generateDefaultDeviceGroups")
        group = f"{CATALOG}/products/Bench/deviceGroups/Production/claimDevices"
        remote.management.call("POST", group, {"deviceIdentifiers": [made["device_id"]]})


@contextmanager
def _booted(data: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "armillary", "device", "boot", "--data", str(data), "--rest", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _told(process: subprocess.Popen[str], *events: str) -> Mapping[str, Mapping[str, object]]:
    """These events of the device's log, once it has written all of them."""
    seen: dict[str, Mapping[str, object]] = {}
    assert process.stdout is not None
    for line in process.stdout:
        entry = json.loads(line)
        seen.setdefault(str(entry["event"]), entry)
        if all(event in seen for event in events):
            return seen
    raise RuntimeError(f"the device ended before {', '.join(set(events) - set(seen))}")


def _ask(url: str, ca: str) -> None:
    """Ask the device's API for its status."""
    context = ssl.create_default_context(cafile=ca)
    with urllib.request.urlopen(f"{url}/status", context=context, timeout=STOP_S) as answer:
        answer.read()
