# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from armillary.errors import WireError
from armillary.wire.hub import topics as hub_topics
from armillary.wire.hub.topics import Inbox, MethodAnswer, TelemetryTopic, TwinGet, TwinReport

DEVICE = "ab" * 64
OTHER = "cd" * 64
EVENTS = f"devices/{DEVICE}/messages/events/"

# As azure-iot-device sends it, and as other clients do.
ENCODED_BAG = "%24.mid=m-1&%24.ct=application%2Fjson&%24.ce=utf-8&%24.sub=thermo&a.b=x%20y%26z%3D1%2F2"
RAW_BAG = "$.mid=m-1&$.ct=application/json&$.ce=utf-8&$.sub=thermo&a.b=x y%26z%3D1/2"
BAG = (("$.mid", "m-1"), ("$.ct", "application/json"), ("$.ce", "utf-8"), ("$.sub", "thermo"), ("a.b", "x y&z=1/2"))


@pytest.mark.parametrize("bag", [ENCODED_BAG, RAW_BAG, ENCODED_BAG + "/"])
def test_property_bags_encoded_and_raw(bag: str) -> None:
    assert hub_topics.parse_topic(EVENTS + bag, DEVICE) == TelemetryTopic(BAG)


def test_bags_are_written_as_the_sdk_does() -> None:
    assert hub_topics.encode_bag(BAG) == ENCODED_BAG


@pytest.mark.parametrize(
    ("topic", "parsed"),
    [
        (EVENTS, TelemetryTopic(())),
        (EVENTS[:-1], TelemetryTopic(())),
        (EVENTS + "flag", TelemetryTopic((("flag", ""),))),
        ("$iothub/twin/GET/?$rid=d5c5-1", TwinGet("d5c5-1")),
        ("$iothub/twin/PATCH/properties/reported/?$rid=2", TwinReport("2")),
        ("$iothub/methods/res/200/?$rid=7", MethodAnswer("7", 200)),
    ],
)
def test_topics_from_devices(topic: str, parsed: object) -> None:
    assert hub_topics.parse_topic(topic, DEVICE) == parsed


def test_topics_to_devices() -> None:
    assert hub_topics.twin_answer_topic(204, "2", 5) == "$iothub/twin/res/204/?$rid=2&$version=5"
    assert hub_topics.twin_answer_topic(200, "2") == "$iothub/twin/res/200/?$rid=2"
    assert hub_topics.twin_desired_topic(3) == "$iothub/twin/PATCH/properties/desired/?$version=3"
    assert hub_topics.method_topic("brew*now", "7") == "$iothub/methods/POST/brew*now/?$rid=7"
    assert hub_topics.method_answer_topic(200, "7") == "$iothub/methods/res/200/?$rid=7"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a/b",
        "$SYS/x",
        "$iothub/twin/GET/",
        "$iothub/twin/GET/?$rid=",
        "$iothub/twin/GET/?$rid=a/b",
        "$iothub/twin/GET/?$rid=a&$version=1",
        "$iothub/twin/GET/?$rid=" + "1" * 129,
        "$iothub/twin/PATCH/properties/desired/?$rid=1",
        "$iothub/methods/res/abc/?$rid=1",
        "$iothub/methods/res/9999999999/?$rid=1",
        "$iothub/methods/POST/m/?$rid=1",
        EVENTS + "a=%zz",
        EVENTS + "a=%ff",
        EVENTS + "a=1&a=2",
        EVENTS + "=1",
        EVENTS + "&".join(f"k{n}=1" for n in range(65)),
    ],
)
def test_refused_topics(topic: str) -> None:
    with pytest.raises(WireError):
        hub_topics.parse_topic(topic, DEVICE)


@pytest.mark.parametrize(
    "topic",
    [
        f"devices/{OTHER}/messages/events/",
        f"devices/{DEVICE}x/messages/events/",
        f"devices/{DEVICE}/messages/devicebound/",
        "devices//",
    ],
)
def test_topics_of_other_devices_have_their_own_code(topic: str) -> None:
    with pytest.raises(WireError) as refused:
        hub_topics.parse_topic(topic, DEVICE)
    assert refused.value.code == "wire.hub-topic-foreign"


def test_filters() -> None:
    assert hub_topics.parse_filter("$iothub/twin/res/#", DEVICE) is Inbox.TWIN_ANSWERS
    assert hub_topics.parse_filter("$iothub/twin/PATCH/properties/desired/#", DEVICE) is Inbox.TWIN_DESIRED
    assert hub_topics.parse_filter("$iothub/methods/POST/#", DEVICE) is Inbox.METHODS
    assert hub_topics.parse_filter(f"devices/{DEVICE}/messages/devicebound/#", DEVICE) is Inbox.DEVICEBOUND


@pytest.mark.parametrize(
    "topic_filter",
    [
        "#",
        "+/#",
        "$iothub/#",
        "$SYS/#",
        "devices/#",
        f"devices/{OTHER}/messages/devicebound/#",
        "devices/+/messages/devicebound/#",
        EVENTS + "#",
    ],
)
def test_refused_filters(topic_filter: str) -> None:
    with pytest.raises(WireError):
        hub_topics.parse_filter(topic_filter, DEVICE)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a+b", "a#b", "é", "x" * 101])
def test_refused_method_names(name: str) -> None:
    with pytest.raises(WireError):
        hub_topics.method_topic(name, "1")


def test_user_names() -> None:
    pnp = f"h/{DEVICE}/?api-version=2020-09-30&model-id=dtmi%3Acom%3Ax%3B1"
    assert hub_topics.check_username(pnp, DEVICE) == "dtmi:com:x;1"
    for lenient in (None, "", "h", f"h/{DEVICE}", f"h/{DEVICE}/api-version=2016-11-14"):
        assert hub_topics.check_username(lenient, DEVICE) is None
    with pytest.raises(WireError):
        hub_topics.check_username(f"h/{OTHER}/?api-version=2019-10-01", DEVICE)
