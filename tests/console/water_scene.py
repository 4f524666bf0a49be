# SPDX-License-Identifier: Apache-2.0
"""A scene for tests of the hub's pages: a real service, three pumps that speak MQTT, a day of values, a dashboard."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from typing import Any
from urllib.parse import quote

from tests.api.mqtt_device import Connected
from tests.api.running_service import RunningService, wait_until
from tests.console.scene import Scene

PICTURE = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 300" width="600" height="300">
<rect x="4" y="4" width="592" height="292" fill="none" stroke="#7a828c" stroke-width="3"/>
<path d="M220 4v180M220 240v56M400 4v90M400 150v146M4 184h216" stroke="#7a828c" stroke-width="3" fill="none"/></svg>"""
MODEL = {
    "@context": "dtmi:dtdl:context;2",
    "@id": "dtmi:northwind:pump;1",
    "@type": "Interface",
    "displayName": "Pump",
    "contents": [
        {"@type": "Telemetry", "name": "flow", "schema": "double", "displayName": "Flow"},
        {
            "@type": ["Telemetry", "Pressure"],
            "name": "pressure_bar",
            "schema": "double",
            "unit": "bar",
            "displayName": "Pressure",
        },
        {"@type": "Telemetry", "name": "open", "schema": "boolean"},
        {"@type": "Property", "name": "mode", "schema": "string", "writable": True},
        {"@type": "Command", "name": "flush"},
    ],
}
NAMES = ("Pump north", "Pump south", "Booster")
SPOTS = ((47.376, 8.541), (47.352, 8.558), (47.391, 8.512))
PLACES = ((0.17, 0.3), (0.5, 0.45), (0.82, 0.6))


class WaterScene(Scene):
    """Three pumps of one template in one group, and the dashboard ``water`` over them."""

    def __init__(self, running: RunningService) -> None:
        super().__init__(running, "Pumps")
        self._template()
        self.pumps = [self._pump(number) for number in range(len(NAMES))]
        store = running.platform.documents
        store.put("group", "pumps", {"name": "Pumps", "template": "pump", "match": "all", "filters": []}, by="test")
        self.reset()
        self._day()

    def _template(self) -> None:
        files = [{"name": "pump.json", "content": json.dumps(MODEL)}]
        for verb, body in (("import", {"documents": files}), ("publish", None)):
            answer = self.running.call("POST", f"/api/v1/templates/pump/{verb}", body)
            assert answer.status == 200, answer.body

    def _pump(self, number: int) -> Connected:
        device = self.claimed()
        body = {
            "template": "pump",
            "version": 1,
            "cloud": {"name": NAMES[number], "Crew": "blue", "Limit": 40 + number},
        }
        self.running.platform.documents.put("device", device.device_id, body, by="test")
        self.running.service.registry.names.rename(device.device_id, NAMES[number], actor="test")
        return Connected(self.running, device)

    def _day(self) -> None:
        now = time.time()
        for number, pump in enumerate(self.pumps):
            for step in range(96):
                at = now - 86_400 + step * 900
                flow = 22 + 4 * number + 14 * math.sin(2 * math.pi * (step + 6 * number) / 96)
                self.send(number, {"flow": round(flow, 2), "pressure_bar": round(3 + flow / 30, 2)}, at)
            lat, lon = SPOTS[number]
            self.send(
                number, {"flow": 20 + number, "pressure_bar": 3.5, "open": number != 1, "at": {"lat": lat, "lon": lon}}
            )
            self.running.hub.twins.change(pump.device_id, desired={"mode": "auto"})
        hub = self.running.hub
        ids = [pump.device_id for pump in self.pumps]
        wait_until(lambda: len(hub.series.fleet.latest(ids, "at.lon", 9)) == len(ids), "the day of values")

    def send(self, number: int, values: dict[str, Any], at: float | None = None) -> None:
        """One message of a pump."""
        pump = self.pumps[number]
        bag = ""
        if at is not None:
            bag = "iothub-creation-time-utc=" + quote(
                dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds")
            )
        sent = pump.client.publish(f"devices/{pump.device_id}/messages/events/{bag}", json.dumps(values), qos=1)
        if at is None:
            sent.wait_for_publish(20)

    def reset(self) -> None:
        """The dashboard as it was at the beginning."""
        self.running.platform.documents.put("dashboard", "water", self.body(), by="test")

    def body(self) -> dict[str, Any]:
        """A dashboard with every kind of tile."""
        pumps, one = {"group": "pumps"}, {"device": self.pumps[0].device_id}
        limits = [{"from": 0, "state": "good"}, {"from": 40, "state": "attention"}, {"from": 60, "state": "bad"}]
        places = [
            {"device": pump.device_id, "label": NAMES[at], "x": PLACES[at][0], "y": PLACES[at][1]}
            for at, pump in enumerate(self.pumps)
        ]
        rows: list[tuple[str, str, str, tuple[int, int, int, int], dict[str, Any]]] = [
            ("north", "kpi", "Flow, pump north", (0, 0, 3, 2), {"source": one, "value": "flow", "unit": "l/min", "thresholds": limits}),
            ("mean", "kpi", "Flow, all pumps", (3, 0, 3, 2), {"source": pumps, "value": "flow", "aggregate": "avg", "unit": "l/min", "decimals": 1, "sparkline": True}),
            ("open", "kpi", "Valves open", (6, 0, 3, 2), {"source": pumps, "value": "open"}),
            ("flush", "command", "After service", (9, 0, 3, 2), {"source": one, "command": "flush", "label": "Flush the pump", "parameters": {"s": 3}}),
            ("day", "line", "Flow and pressure over the day", (0, 2, 8, 4), {"source": one, "values": ["flow", "pressure_bar"], "range_s": 86_400}),
            ("note", "text", "", (8, 2, 4, 4), {"text": "## Shift\n\n- **Ada** has the keys.\n- Flush *after* service.\n\nThe [fleet](/fleet) says who is silent. <b>No markup</b>"}),
            ("by-hour", "bar", "Water moved", (0, 6, 4, 4), {"source": pumps, "values": ["flow"], "aggregate": "sum", "unit": "l"}),
            ("by-pump", "bar", "Flow now", (4, 6, 4, 4), {"source": pumps, "values": ["flow", "pressure_bar"], "aggregate": "last"}),
            ("heat", "heatmap", "Flow by the hour", (8, 6, 4, 4), {"source": pumps, "value": "flow", "bucket_s": 3600}),
            ("where", "map", "Where the pumps are", (0, 10, 6, 5), {"source": pumps, "location": "at", "value": "flow", "unit": "l/min", "thresholds": limits}),
            ("plan", "floor-plan", "Pump house", (6, 10, 6, 5), {"source": pumps, "image": "water/house.svg", "value": "flow", "places": places, "thresholds": limits}),
            ("last", "last-values", "Right now", (0, 15, 6, 3), {"source": pumps, "values": ["flow", "pressure_bar", "open"]}),
            ("kept", "property", "Crew and limits", (6, 15, 4, 3), {"source": pumps, "names": ["Crew", "Limit", "mode"]}),
            ("logo", "image", "", (10, 15, 2, 2), {"image": "water/house.svg", "alt": "The pump house"}),
            ("way", "link", "", (10, 17, 2, 1), {"label": "All devices", "target": "/fleet"}),
            ("gone", "kpi", "A group that is gone", (0, 18, 4, 2), {"source": {"group": "never-made"}, "value": "flow"}),
            ("gauge", "gauge", "Flow on its scale", (0, 22, 3, 3), {"source": one, "value": "flow", "low": 0, "high": 80, "unit": "l/min", "thresholds": limits}),
            ("alarms", "alerts", "Open alerts", (3, 22, 5, 3), {"source": pumps}),
            ("doing", "commands", "After service", (8, 22, 4, 3), {"source": one, "buttons": [{"label": "Rinse", "command": "flush", "parameters": {"s": 9}}, {"label": "Rinse for", "command": "flush", "parameters": {"s": 5}, "ask": True}]}),
            ("mute", "line", "What nobody has sent", (4, 18, 4, 2), {"source": pumps, "values": ["unheard"]}),
        ]  # fmt: skip
        tiles = [
            {"id": name, "kind": kind, "title": title, "x": x, "y": y, "w": w, "h": h, **fields}
            for name, kind, title, (x, y, w, h), fields in rows
        ]
        return {
            "name": "Water network",
            "description": "Three pumps and a tank.",
            "template": "pump",
            "columns": 12,
            "tiles": tiles,
        }

    def close(self) -> None:
        """End the pumps."""
        for pump in self.pumps:
            pump.close()
