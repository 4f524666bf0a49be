# SPDX-License-Identifier: Apache-2.0
"""Delays that people and devices notice, each against its limit: a revocation, a template's first values, a check.

They are no tests: how long something takes says as much of the host as of the product. What has to happen is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.content import application_templates as shipped
from armillary.roles.whole import Parts, Whole, running_whole
from armillary.settings import Settings
from armillary.sim.device.wire_device import WireDevice
from armillary.sim.templates.plans import shapes, wanted_devices
from armillary.sim.templates.shape import Shape, parts_of
from armillary.twin.template.json_form import parse_template
from armillary.twin.template.payload import PayloadTable
from bench.result import result

REVOCATION_LIMIT_S, REVOCATIONS = 1.0, 20
LIVE_LIMIT_S = 10.0
CHECK_LIMIT_US, CHECKS = 200.0, 20_000

CHECKED = {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:bench:sensor;1",
    "@type": "Interface",
    "contents": [
        {"@type": "Telemetry", "name": name, "schema": schema}
        for name, schema in (("t", "double"), ("count", "integer"), ("on", "boolean"), ("s", "string"))
    ],
}


def run() -> list[dict[str, object]]:
    """The delays, one service for those that need one."""
    return [*asyncio.run(_of_a_service()), _check()]


async def _of_a_service() -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="armillary-bench-") as folder:
        settings = Settings(data=Path(folder) / "data", api_port=0, device_port=0, hub_port=0)
        async with running_whole(settings, Parts(console=False)) as whole:
            return [await asyncio.to_thread(_revocation, whole), await asyncio.to_thread(_template, whole)]


def _revocation(whole: Whole) -> dict[str, object]:
    """From the call that revokes a device until its open connection is closed."""
    registry, times = whole.service.registry, []
    registry.catalogs.create("bench", actor="bench")
    registry.products.create("bench", "Kettle", actor="bench")
    registry.groups.create_defaults("bench", "Kettle", actor="bench")
    for _ in range(REVOCATIONS):
        device = WireDevice.make(
            os.urandom(32), lambda request: whole.service.factory.enrol(request, "mt3620", "bench")
        )
        registry.devices.claim("bench", [device.device_id], product="Kettle", group="Production", actor="bench")
        with device:
            device.check_in()
            connection = device._socket  # noqa: SLF001 - the connection that is to be closed
            begun = time.perf_counter()
            registry.lifecycle.revoke(device.device_id, reason="bench", actor="bench")
            with contextlib.suppress(OSError):
                while connection is not None and connection.recv(4096):
                    pass
            times.append(time.perf_counter() - begun)
    median = statistics.median(times)
    return result("revocation", median, "s", ("limit", REVOCATION_LIMIT_S), f"median of {REVOCATIONS} devices")


def _template(whole: Whole) -> dict[str, object]:
    """From the use of the largest application template until every modelled value of all its devices is there."""
    template = max((shipped.load(name) for name in shipped.names()), key=lambda each: len(wanted_devices(each, None)))
    modelled = {name: _values(shape) for name, shape in dict(shapes(template)).items()}
    roles = {str(table["role"]): str(table["template"]) for table in template.devices}
    begun = time.perf_counter()
    devices = whole.api.state.applications.use(template.name, actor="bench")["devices"]

    def waiting(device: Mapping[str, Any]) -> set[str]:
        return modelled[roles[device["role"]]] - {each.metric for each in whole.hub.series.last_values(device["id"])}

    while any(waiting(device) for device in devices):
        time.sleep(0.01)
        if time.perf_counter() - begun > 10 * LIVE_LIMIT_S:
            raise RuntimeError(f"{template.name}: not live")
    took = time.perf_counter() - begun
    conditions = f"{template.name}, {len(devices)} simulated devices"
    return result("template-live", took, "s", ("limit", LIVE_LIMIT_S), conditions)


def _values(shape: Shape) -> set[str]:
    found = set[str]()
    for name, content in shape.telemetry.items():
        parts = parts_of(content.schema)
        found |= {f"{name}.{part}" for part in parts} if parts else {name}
    return found


def _check() -> dict[str, object]:
    """One message against the model of its device's template."""
    table = PayloadTable(parse_template({"display_name": "Bench", "root": CHECKED["@id"], "models": [CHECKED]}))
    values: dict[str, float | str | bool] = {"t": 1.5, "count": 3.0, "on": True, "s": "x", "extra": 1.0}
    begun = time.perf_counter()
    for _ in range(CHECKS):
        table.judge(values)
    took = (time.perf_counter() - begun) / CHECKS * 1e6
    return result("message-check", took, "us", ("limit", CHECK_LIMIT_US), f"{len(values)} values, mean of {CHECKS:,}")
