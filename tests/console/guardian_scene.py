# SPDX-License-Identifier: Apache-2.0
"""A scene for tests of guardians: a real service, a device that reports as a guardian, and a machine behind it.

The machine's module has the template of the shipped coffee profile and answers commands as a guardian does.
"""

from __future__ import annotations

from typing import Any

from tests.api.mqtt_device import MqttDevice
from tests.api.running_service import RunningService, wait_until

from armillary.content import equipment
from armillary.guard.interface import dtdl_interface
from armillary.sim.device.wire_device import WireDevice

MACHINE = "espresso1"
ATTEMPTS: list[dict[str, Any]] = [
    {"command": "setBrewTemp", "value": 93, "outcome": "done", "by": "ada", "at": 1_800_000_000.5},
    {
        "command": "setBrewTemp",
        "value": 140,
        "outcome": "refused",
        "rule": "value",
        "by": "mallory",
        "at": 1_800_000_060,
    },
]
SECTION: dict[str, Any] = {
    "format": 1,
    "boot": "5f2c",
    "clock": "synced",
    "queue": {"messages": 3, "bytes": 81_920, "dropped": {"telemetry": 12, "alarm": 0}, "oldest_s": 4},
    "equipment": {
        MACHINE: {
            "profile": "guard/coffee",
            "version": 3,
            "link": "up",
            "counters": {"exchanges": 900, "timeouts": 1},
            "refused": {"value": 1, "step": 2},
            "attempts": ATTEMPTS,
        },
        "grinder": {"profile": None, "version": None, "link": "down", "problem": "its profile is not signed"},
    },
}


class Machine(MqttDevice):
    """The module of the machine; ``asked`` are the commands that came, with their parameters."""

    asked: list[tuple[str, Any]]

    def answer(self, name: str, payload: Any) -> tuple[int, dict[str, Any]]:
        self.asked.append((name, payload))
        value = payload.get("value")
        if name == "setBrewTemp" and not 85 <= value <= 96:
            return 403, {"rule": "value", "error": "140 is not in 85 to 96", "remedy": "Choose another value."}
        return 200, {"value": value, "verified": True}


class Guarded:
    """A guardian of a catalog that the caller has made, connected with its equipment."""

    def __init__(self, running: RunningService, device: WireDevice, template: str) -> None:
        self.running, self.device_id = running, device.device_id
        self.identity = f"{self.device_id}/{MACHINE}"
        root = dtdl_interface(equipment.load("coffee"))
        body = {"display_name": root["displayName"], "root": root["@id"], "models": [root]}
        self.call("PUT", f"/templates/{template}", body)
        self.call("POST", f"/templates/{template}/publish")
        self.call("POST", f"/hub-devices/{self.device_id}/modules", {"module_id": MACHINE})
        self.call("PUT", f"/devices/{self.device_id}/template?module={MACHINE}", {"template": template})
        context = running.client_context(device)
        self.guardian = MqttDevice(running, self.device_id, context)
        Machine.asked = []
        self.machine = Machine(running, self.identity, context)
        assert (self.guardian.connack, self.machine.connack) == ([0], [0])
        self.guardian.report({"guardian": SECTION})
        self.machine.report({"simulated": True, "profile": "guard/coffee"})
        self.machine.send({"brewTemp": 92.5, "brewPressure": 9.1, "state": "idle", "shotTime": 27.1})
        self.machine.send(
            {
                "quality": {"brewPressure": "bad"},
                "alarm": {"name": "hot", "state": "raised", "point": "brewTemp", "value": 97, "limit": 96},
                "shot": {"brewTemp": 91.5, "seconds": 27.4},
            }
        )
        wait_until(self._is_told, "what the guardian told")

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = self.running.call(method, f"/api/v1{path}", body)
        assert answer.status in (200, 201), (path, answer.raw)
        return answer.body

    def close(self) -> None:
        self.machine.close()
        self.guardian.close()

    def _is_told(self) -> bool:
        reported = self.running.hub.twins.get(self.device_id).reported.properties
        names = {each.metric for each in self.running.hub.series.last_values(self.identity)}
        simulated = self.running.hub.twins.get(self.identity).reported.properties
        return "guardian" in reported and "simulated" in simulated and {"brewTemp", "alarm.state"} <= names
