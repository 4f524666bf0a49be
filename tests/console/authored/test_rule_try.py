# SPDX-License-Identifier: Apache-2.0
"""A rule with quiet times, tried on the past from its form: it fires at their end, if it is still met then."""

from __future__ import annotations

import datetime as dt
import json
import time
from urllib.parse import quote

import pytest
from tests.api.mqtt_device import Connected
from tests.console.water_scene import WaterScene

from armillary.console.authored.rule_fields import body_of, filled_rows

MINUTE = 60
SURGE = 900.0


def clock(at: float) -> str:
    return f"{dt.datetime.fromtimestamp(at, dt.UTC):%H:%M}"


@pytest.fixture(scope="module")
def surge(built_water: WaterScene) -> tuple[str, int]:
    """A device with a value that was high for an hour, and when that began: two hours ago, at a whole minute."""
    began = int(time.time()) // MINUTE * MINUTE - 120 * MINUTE
    device = built_water.claimed()
    with Connected(built_water.running, device) as connected:
        for at, value in ((began, SURGE), (began + 60 * MINUTE, 1.0)):
            stamp = quote(dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds"))
            topic = f"devices/{device.device_id}/messages/events/iothub-creation-time-utc={stamp}"
            connected.client.publish(topic, json.dumps({"surge": value}), qos=1).wait_for_publish(20)
    return device.device_id, began


@pytest.mark.parametrize(
    ("quiet_min", "fires_after_min"),
    [(0, 0), (30, 30), (90, None)],
    ids=["without", "over-while-it-is-met", "over-when-it-is-cleared"],
)
def test_quiet_times_count_where_a_rule_is_tried(
    scene: WaterScene, surge: tuple[str, int], quiet_min: int, fires_after_min: int | None
) -> None:
    device_id, began = surge
    times = f"daily {clock(began - MINUTE)}-{clock(began + quiet_min * MINUTE)}"
    quiet = {"quiet_times": times, "quiet_zone": "UTC"} if quiet_min else {}
    sent = {"name": "Surge", "severity": "low", "match": "all", "catalog": "northwind", "devices": device_id,
            "name_0": "surge", "op_0": ">", "value_0": "500", "stretch": "day", **quiet}  # fmt: skip
    browser = scene.browser()
    browser.get("/rules/new")
    tried = browser.post("/rules/new", do="try", **sent)
    assert tried.status == 200, tried.text
    assert f"Surge would have fired {0 if fires_after_min is None else 1} time" in tried.text
    assert f"{times}</textarea>" in tried.text or not quiet  # what was typed stays
    assert "Surge" not in browser.get("/rules").text

    body, _ = body_of(filled_rows(sent), {})
    range_ms = {"start_ms": (began - MINUTE) * 1000, "end_ms": (began + 110 * MINUTE) * 1000}
    answer = scene.running.call("POST", "/api/v1/rule-test", {"rule": body, "devices": [device_id], **range_ms})
    assert answer.status == 200, answer.body
    fired = [each["now_ms"] for device in answer.body["devices"] for each in device["fired"]]
    assert fired == ([] if fires_after_min is None else [(began + fires_after_min * MINUTE) * 1000])
