# SPDX-License-Identifier: Apache-2.0
"""IoT Hub topics: any text is a topic of the device or a WireError; what is accepted can be built again."""

from __future__ import annotations

import contextlib

from armillary.errors import WireError
from armillary.wire.hub import topics as hub_topics

DEVICE = "ab" * 64


def seeds() -> list[bytes]:
    prefix = hub_topics.telemetry_prefix(DEVICE)
    return [
        each.encode()
        for each in (
            prefix,
            prefix + "%24.mid=m-1&$.ct=application%2Fjson&a.b=x%20y%26z%3D1%2F2/",
            hub_topics.twin_get_topic("1"),
            hub_topics.twin_report_topic("5d1d-4c"),
            hub_topics.method_answer_topic(200, "7"),
            f"devices/{DEVICE}/messages/devicebound/#",
            "$iothub/methods/POST/#",
        )
    ]


def fuzz(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        topic = hub_topics.parse_topic(text, DEVICE)
    except WireError:
        pass
    else:
        assert hub_topics.parse_topic(rebuilt(topic), DEVICE) == topic
    with contextlib.suppress(WireError):
        assert hub_topics.parse_filter(text, DEVICE) in hub_topics.Inbox
    try:
        bag = hub_topics.parse_bag(text)
    except WireError:
        pass
    else:
        assert hub_topics.parse_bag(hub_topics.encode_bag(bag)) == bag
    with contextlib.suppress(WireError):
        hub_topics.check_username(text, DEVICE)


def rebuilt(topic: hub_topics.DeviceTopic) -> str:
    match topic:
        case hub_topics.TelemetryTopic():
            return hub_topics.telemetry_topic(DEVICE, topic.properties)
        case hub_topics.TwinGet():
            return hub_topics.twin_get_topic(topic.request_id)
        case hub_topics.TwinReport():
            return hub_topics.twin_report_topic(topic.request_id)
        case hub_topics.MethodAnswer():
            return hub_topics.method_answer_topic(topic.status, topic.request_id)
