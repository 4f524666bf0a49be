# SPDX-License-Identifier: Apache-2.0
"""A device process with its API, and Azure Sphere's public client ``azuresphere-device-api`` as it is on PyPI.

The client is told the address and the certificate to trust by its own two variables (docs/reference/device-rest.md);
nothing of it is changed. It asks for a ``requests`` of its own time, so it lives in an environment of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.azure_sdk import environment
from tests.device.tiny_service import TinyService
from tests.fixtures.processes import OwnProcess, killed_process

from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import begin_state
from armillary.engines.flash.file import FileFlash
from armillary.identity.manufacturing import ManufacturingState

# 1.1.1 imports packaging and does not say so.
PACKAGES = ("azuresphere-device-api==1.1.1", "packaging==25.0")
SCRIPT = """
import importlib, json, sys
from azuresphere_device_api import utils
from azuresphere_device_api.exceptions import AzureSphereDeviceApiException
asked = json.load(sys.stdin)
utils._CERT_PATH = asked["ca"]
made = utils._create_url
utils._create_url = lambda api="": made(api).replace("https://192.168.35.2", asked["url"])
if asked["list"]:
    plain = utils.requests.get
    utils.requests.get = lambda url, **rest: plain(url.replace("http://localhost:48938", asked["list"]), **rest)
found = []
for module, name, arguments in asked["calls"]:
    call = getattr(importlib.import_module("azuresphere_device_api." + module), name)
    try:
        value = call(**arguments)
        found.append(value.decode("latin-1") if isinstance(value, bytes) else value)
    except AzureSphereDeviceApiException as error:
        found.append([type(error).__name__, str(error)])
print(json.dumps(found))
"""
CLIENT_LIMIT_S = 60


class PublicClient:
    """Calls of the public client against one device."""

    def __init__(self, python: Path, folder: Path, address: dict[str, Any]) -> None:
        self._python = python
        self._address = address
        self._sdk = folder / "sdk"
        self._sdk.mkdir(exist_ok=True)
        (self._sdk / "VERSION").write_text("24.06")

    def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """What these calls return, in order; ``module.function`` with its arguments. An error is its name and text."""
        listed = [[*name.split("."), arguments] for name, arguments in calls]
        listing = (self._address["list"] or "").removesuffix("/api/service/devices")
        asked = {"url": self._address["url"], "ca": self._address["ca"], "list": listing, "calls": listed}
        done = subprocess.run(
            [self._python, "-c", SCRIPT],
            input=json.dumps(asked),
            env={**os.environ, "AzureSphereDefaultSDKDir": str(self._sdk)},
            capture_output=True,
            text=True,
            timeout=CLIENT_LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def call(self, name: str, **arguments: Any) -> Any:
        """What one call returns."""
        return self.calls((name, arguments))[0]


class Attached:
    """The process of one device with its API; ``address`` is what the process says of it."""

    def __init__(self, folder: Path, service: TinyService, process: OwnProcess) -> None:
        self.folder = folder
        self.service = service
        self._process = process
        self.address = self.wait_for("rest-listening")

    def wait_until_updated(self) -> None:
        """Until the service knows that what it deployed is confirmed: from then on tools may load."""
        self.wait_for("update-confirmed")
        self.wait_for("check-in")

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """The next event of this kind with these fields that the process prints."""
        while True:
            found = json.loads(self._process.readline() or "{}")
            assert found, f"the device has ended before {event}"
            if found["event"] == event and fields.items() <= found.items():
                return found


@contextlib.contextmanager
def served() -> Iterator[TinyService]:
    """The small service in a thread of its own."""
    service, loop = TinyService(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(service.start(), loop).result(20)
        yield service
        asyncio.run_coroutine_threadsafe(service.close(), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def attached(
    folder: Path,
    service: TinyService,
    state: ManufacturingState,
    options: Sequence[str] = (),
    *,
    sandbox: str = "process",
) -> Iterator[Attached]:
    """Boot a new device in this state, with its API at a free port."""
    service.provision(folder, sandbox=sandbox)
    begin_state(FileFlash(DeviceFolder(folder).flash), state)
    command = [
        sys.executable, "-m", "armillary", "device", "boot", "--data", folder, "--json",
        "--rest", "127.0.0.1:0", "--rest-list-port", "0", "--trial", "0.5", *options,
    ]  # fmt: skip
    errors = folder.parent / f"{folder.name}.stderr"
    with (
        errors.open("w") as stderr,
        killed_process([str(each) for each in command], stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        yield Attached(folder, service, process)
        process.terminate()
        process.communicate(timeout=30)


def public_client(device: Attached, address: dict[str, Any] | None = None) -> PublicClient:
    """The public client, told where this device is (now); skips where it cannot be installed."""
    return client_at(device.folder.parent, address or device.address)


def client_at(folder: Path, address: dict[str, Any]) -> PublicClient:
    """The public client for a device at an address (``url``, ``ca``, ``list``), with a folder for its files."""
    return PublicClient(environment(PACKAGES, "azure-sphere-device"), folder, address)
