# SPDX-License-Identifier: Apache-2.0
"""A guardian in the field: a service, a device to which the guardian was deployed, the coffee machine before it.

The machine is simulated and says so. Everything else is real: processes, TLS, attestation, the sandbox, the disk.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.armillary_processes import Service, armillary_here, running_service
from tests.fixtures.waiting import wait_until
from tests.guardian.equipment_stage import SimulatedCoffee, coffee_machine

from armillary.content import equipment as profiles
from armillary.engines.sandbox.selection import open_sandbox
from armillary.errors import SandboxUnavailableError
from armillary.wire.equipment.profile_reader import profile_document

GROUP = ("--product", "Coffee", "--device-group", "Production")
PERIOD_S = 0.5  # Of the profile's fast group
UNHEARD_AT_MOST = 2  # answers that nobody took: at a guardian's death, and one that a busy host handed on too late


@dataclass
class Field:
    """A service, a device that is to run a guardian, and the machine before which it stands."""

    service: Service
    machine: SimulatedCoffee
    device_id: str
    folder: Path

    @property
    def boot(self) -> list[str]:
        """The command that is the device."""
        data = str(self.folder / "device")
        return [sys.executable, "-m", "armillary", "device", "boot", "--data", data, "--trial", "1", "--json"]

    def cli(self, *arguments: object, fails: bool = False) -> Any:
        done = armillary_here(*arguments, env=self.service.env)
        assert bool(done.returncode) is fails, done.stderr
        return done.stderr if fails else json.loads(done.stdout)

    def get(self, path: str, **query: object) -> Any:
        address = f"{self.service.ready['api']}/api/v1/devices/{self.device_id}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.service.ready['token']}"})
        context = ssl.create_default_context(cafile=self.service.ready["root_ca"])
        with urllib.request.urlopen(request, context=context, timeout=30) as reply:
            return json.load(reply)

    def values(self) -> dict[str, Any]:
        return {each["metric"]: each["value"] for each in self.get("/telemetry", module="espresso1")["items"]}

    def reported(self) -> Any:
        return self.get("/twin")["properties"]["reported"].get("guardian", {})

    def journal(self, event: str) -> list[dict[str, Any]]:
        lines = (self.folder / "device.log").read_text("utf-8").splitlines()
        found = [json.loads(each) for each in lines if each.startswith("{")]
        return [each for each in found if each["event"] == event]

    def readings(self, since_ms: int) -> list[tuple[int, float]]:
        """The kept brewing temperatures, each with when it was read."""
        found = self.get(
            "/telemetry/raw", module="espresso1", metric="brewTemp", start_ms=since_ms, end_ms=10**13, limit=10_000
        )
        return [(at_ms, value) for at_ms, value in found["items"]]

    def times(self, since_ms: int) -> list[int]:
        """When the kept values of one point were read."""
        return [at_ms for at_ms, _ in self.readings(since_ms)]

    def check_that_each_reading_came_once(self) -> None:
        """Silence the machine for good; what it had said came, but for what nobody took, and nothing came twice."""
        said = {*self.machine.falls_silent()}

        def kept() -> list[float]:
            return [value for _, value in self.readings(0)]

        wait_until(lambda: len(said - {*kept()}) <= UNHEARD_AT_MOST, "what the machine had said", 90)
        values = kept()
        assert {*values} <= said
        assert len(values) == len({*values}), f"a value came twice: {values}"


def reported(field: Field, path: str, module: str) -> dict[str, Any]:
    found: dict[str, Any] = field.get(path, module=module)["properties"]["reported"]
    return found


def enabled() -> None:
    try:
        open_sandbox("linux")
    except SandboxUnavailableError as error:
        pytest.skip(f"this host contains no application: {error.message}; to enable: sudo apt-get install bubblewrap")


@contextlib.contextmanager
def deployed(folder: Path) -> Iterator[Field]:
    """A guardian that was deployed to a device that does not run yet; each poll of its fast group is worth a message."""
    enabled()
    settings = {"check_in_interval_s": 2, "planner_interval_s": 0.5}
    profile = profile_document(profiles.load("coffee"))
    profile["points"]["brewTemp"]["report"] = {"max_s": 0.1}
    (folder / "coffee.json").write_text(json.dumps(profile))
    with coffee_machine() as machine, running_service(folder / "service", **settings) as service:
        found = Field(service, machine, "", folder)
        catalog = found.cli("catalog", "create", "--catalog", "C", "--json")["properties"]["tenantId"]
        found.cli("product", "create", "--product", "Coffee", "--json")
        found.cli("device-group", "create-defaults", "--product", "Coffee", "--json")
        data = folder / "device"
        made = found.cli("device", "create", "--data", data, "--chip", "imx8mp", "--json")
        found.device_id = made["device_id"]
        armillary_here("device", "claim", "--data", data, *GROUP, env=service.env)
        (folder / "guardian.yaml").write_text(
            f"name: corner\ncatalog: {catalog}\nhub: localhost\nequipment:\n"
            f"  - {{name: espresso1, profile: coffee.json,"
            f" link: {{protocol: modbus-tcp, host: 127.0.0.1, port: {machine.port}}}}}\n"
        )
        package = folder / "guardian.imagepackage"
        found.cli("guardian", "image", "--config", folder / "guardian.yaml", "--package", package, "--json")
        image = found.cli("image-package", "show", "--image-package", package, "--json")["image_id"]
        found.cli("image", "add", "--image-path", package, "--json")
        found.cli("deployment", "create", *GROUP, "--images", image, "--json")
        found.cli("guardian", "equipment", "add", made["device_id"], "espresso1", "--profile", "guard/coffee", "--json")
        yield found
