# SPDX-License-Identifier: Apache-2.0
"""Starts and ends the demo's processes (a service, devices), with a client of the service, in one temporary folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from armillary.cli.story.service_process import Ports, end, start_service
from armillary.cli.terminal.connection import CA_VARIABLE, SERVICE_VARIABLE, TOKEN_VARIABLE, make_connection
from armillary.cli.terminal.remote import RemoteService
from armillary.errors import ArmillaryError, HostError

T = TypeVar("T")

WAIT_S = 60.0  # no single thing the demo waits for takes longer; it fails with what it saw last
POLL_S = 0.1
# Devices of the demo check in this often, so that the story moves: seconds instead of an hour.
CHECK_IN_INTERVAL_S = 1
PLANNER_INTERVAL_S = 0.5
FACTORY_LINES = 3  # devices made at a time
# A new application must stay healthy this long before it is kept; ten seconds outside the demo. What the demo lets fail
# fails at its first import, long before.
TRIAL_S = 2


@dataclass(slots=True)
class DeviceOnStage:
    """One virtual device: its folder and, while it is powered, its process; ``options`` are those of its boot."""

    name: str
    data: Path
    device_id: str
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Stage:
    """Everything the demo started; :meth:`close` ends it all.

    ``ready`` is what the ``armillary up`` process printed when it was ready: addresses, token, root certificate file.
    ``notes`` are facts that one scene leaves for a later one. ``making`` are devices that are manufactured beside the
    scenes. ``ports`` are those of API, devices and hub; 0 takes a free one at the first start.
    """

    folder: Path
    service: subprocess.Popen[str] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    remote: RemoteService | None = None
    devices: dict[str, DeviceOnStage] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    making: Future[list[DeviceOnStage]] | None = None
    check_in_interval_s: int = CHECK_IN_INTERVAL_S
    ports: Ports = field(default_factory=Ports)
    chip: str = "mt3620"

    @property
    def client(self) -> RemoteService:
        """The operator API's client; only after the service is ready."""
        if self.remote is None:
            raise HostError("the service of the demo is not running", remedy="Run armillary demo again.")
        return self.remote

    def start_service(self) -> None:
        """Start ``armillary up`` on loopback ports and wait until it says that it is ready."""
        settings = {
            "ARMILLARY_CHECK_IN_INTERVAL_S": str(self.check_in_interval_s),
            "ARMILLARY_PLANNER_INTERVAL_S": str(PLANNER_INTERVAL_S),
            # Deltas are made by processes that give way to all others: on a busy host a story would wait for them,
            # and from this host a whole image is fetched in a moment.
            "ARMILLARY_DELTA_CACHE_MB": "0",
        }
        data, log = self.folder / "service", self.folder / "service.log"
        self.service, said, self.ports = start_service(data, log, ports=self.ports, settings=settings)
        self.ready |= said  # the token is said the first time only
        ca_pem = Path(self.ready["root_ca"]).read_text("ascii")
        self.remote = RemoteService(make_connection(self.ready["api"], self.ready["token"], ca_pem))

    def stop_service(self) -> None:
        """End the service. Started again, it is where it was, on the same folder."""
        if self.service is not None:
            end(self.service)
            self.service = None

    def create_devices(self, names: Iterable[str]) -> None:
        """Manufacture devices with ``armillary device create``, side by side."""
        self.devices |= {device.name: device for device in self._manufacture(names)}

    def begin_devices(self, names: Iterable[str]) -> None:
        """Manufacture devices while scenes go on that wait for others; :meth:`take_devices` brings them on stage."""
        factory = ThreadPoolExecutor(max_workers=1)
        self.making = factory.submit(self._manufacture, tuple(names))
        factory.shutdown(wait=False)

    def take_devices(self) -> list[DeviceOnStage]:
        """The devices that :meth:`begin_devices` has begun, once they are made."""
        made = [] if self.making is None else self.making.result()
        self.devices |= {device.name: device for device in made}
        return made

    def _manufacture(self, names: Iterable[str]) -> list[DeviceOnStage]:
        with ThreadPoolExecutor(max_workers=FACTORY_LINES) as lines:
            return list(lines.map(self._create_device, names))

    def _create_device(self, name: str) -> DeviceOnStage:
        data = self.folder / "devices" / name
        return DeviceOnStage(
            name, data, self.command("device", "create", "--data", data, "--chip", self.chip)["device_id"]
        )

    def power_on(self, device: DeviceOnStage) -> None:
        """Start the device's process: ``armillary device boot``."""
        options = ["--data", str(device.data), "--trial", str(TRIAL_S), "--json", *device.options]
        with (self.folder / f"{device.name}.log").open("ab") as log:
            device.process = subprocess.Popen(  # noqa: S603 - this interpreter, this package
                [sys.executable, "-m", "armillary", "device", "boot", *options],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def power_off(self, device: DeviceOnStage) -> None:
        """Stop the device's process and wait until it is gone."""
        if device.process is not None:
            end(device.process)
            device.process = None

    def show(self, device: DeviceOnStage) -> dict[str, Any]:
        """What the service knows of a device now."""
        shown: dict[str, Any] = self.client.get(f"/devices/{device.device_id}")
        return shown

    def wait(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something to see. Raises HostError if it takes longer than :data:`WAIT_S`."""
        deadline = time.monotonic() + WAIT_S
        last = ""
        while time.monotonic() < deadline:
            try:
                seen = look()
            except ArmillaryError as error:
                seen, last = None, error.message
            if seen is not None and seen is not False:
                return seen
            time.sleep(POLL_S)
        raise HostError(f"not seen within {WAIT_S:.0f} s: {what} {last}".rstrip(), remedy=f"Look into {self.folder}.")

    def command(self, *arguments: object) -> Any:
        """What an ``armillary`` command prints as JSON. Raises HostError if it fails."""
        done = self._run(*arguments, "--json")
        if done.returncode != 0:
            command = " ".join(map(str, arguments))
            raise HostError(f"armillary {command}: {done.stderr.strip()}", remedy="See the cause.")
        return json.loads(done.stdout)

    def refused(self, *arguments: object) -> str:
        """What a command that must fail prints on stderr; empty if it did not fail."""
        done = self._run(*arguments)
        return done.stderr if done.returncode else ""

    def _run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run an ``armillary`` command to its end, signed in to this play's service."""
        try:
            return subprocess.run(  # noqa: S603 - this interpreter, this package
                [sys.executable, "-m", "armillary", *map(str, arguments)],
                env=self._signed_in(),
                capture_output=True,
                text=True,
                check=False,
                timeout=WAIT_S,
            )
        except subprocess.TimeoutExpired as error:
            command = " ".join(map(str, arguments))
            raise HostError(
                f"armillary {command}: no end within {WAIT_S:.0f} s", remedy="Run the demo again."
            ) from error

    def _signed_in(self) -> dict[str, str]:
        own = {
            SERVICE_VARIABLE: self.ready["api"],
            TOKEN_VARIABLE: self.ready["token"],
            CA_VARIABLE: self.ready["root_ca"],
        }
        return {**os.environ, **own}

    def linger(self) -> None:
        """Go on after the story, for whoever looks at it, until Ctrl-C."""
        signal.pause()

    def close(self) -> None:
        """End every process of this play."""
        if self.making is not None:
            wait([self.making])  # it ends by itself
        for device in self.devices.values():
            if device.process is not None:
                device.process.send_signal(signal.SIGTERM)
        for device in self.devices.values():
            self.power_off(device)
        self.stop_service()
