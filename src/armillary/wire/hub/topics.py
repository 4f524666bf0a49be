# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's MQTT topics: which there are, what they carry, and what a device may publish and subscribe to.

Source: Microsoft's public description of IoT Hub's MQTT interface, and what its client SDKs send. Most topics
name no device: the connection is the identity. Where a topic does name one, it must be the connection's own.

===================  ==================================================================  =========
what                 topic                                                               direction
===================  ==================================================================  =========
telemetry            ``devices/{id}/messages/events/{property bag}``                     from device
twin, get            ``$iothub/twin/GET/?$rid={request}``                                from device
twin, report         ``$iothub/twin/PATCH/properties/reported/?$rid={request}``          from device
twin, answer         ``$iothub/twin/res/{status}/?$rid={request}[&$version={n}]``        to device
twin, desired        ``$iothub/twin/PATCH/properties/desired/?$version={n}``             to device
method, call         ``$iothub/methods/POST/{name}/?$rid={request}``                     to device
method, answer       ``$iothub/methods/res/{status}/?$rid={request}``                    from device
message to device    ``devices/{id}/messages/devicebound/{property bag}``                to device
message to module    ``devices/{id}/modules/{module}/inputs/{input}/{property bag}``     to device
===================  ==================================================================  =========

A module of a device is the identity ``{id}/{module}``: it connects with that client id, has a twin and methods of its
own, and where a topic names the device it also says ``/modules/{module}``.

A property bag is ``key=value&key=value``, percent-encoded. System properties start with ``$.``; some clients
send that raw, others as ``%24.``: both are read.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from armillary.errors import WireError

FORMAT = "hub-topic"

# Properties of one message: IoT Hub has some ten of its own and applications add a few.
MAX_PROPERTIES = 64

# A request identifier is echoed in the answer's topic: short, and free of what means something in a topic.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~%:{}()@!*,;-]{1,128}")

# IoT Hub's method names: ASCII letters, digits and the marks that mean nothing in a URL.
METHOD_NAME = re.compile(r"[A-Za-z0-9!#%&'*+._`|~^-]{1,100}")


_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

_TWIN_GET = "$iothub/twin/GET/?$rid="
_TWIN_REPORT = "$iothub/twin/PATCH/properties/reported/?$rid="
_METHOD_ANSWER = re.compile(r"\$iothub/methods/res/([0-9]{1,9})/\?\$rid=(.*)", re.DOTALL)

Bag = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TelemetryTopic:
    """A message from the device, with its property bag in the order sent."""

    properties: Bag


@dataclass(frozen=True, slots=True)
class TwinGet:
    """The device asks for its twin."""

    request_id: str


@dataclass(frozen=True, slots=True)
class TwinReport:
    """The device reports properties."""

    request_id: str


@dataclass(frozen=True, slots=True)
class MethodAnswer:
    """The device answers a direct method; ``status`` is the application's own number."""

    request_id: str
    status: int


DeviceTopic = TelemetryTopic | TwinGet | TwinReport | MethodAnswer


class Inbox(enum.IntFlag):
    """What a device can subscribe to. The values are kept in storage: never renumber."""

    TWIN_ANSWERS = 1
    TWIN_DESIRED = 2
    METHODS = 4
    DEVICEBOUND = 8
    DEVICEBOUND_ONCE = 16  # with DEVICEBOUND: subscribed with QoS 0


_INBOXES = {
    "$iothub/twin/res/#": Inbox.TWIN_ANSWERS,
    "$iothub/twin/PATCH/properties/desired/#": Inbox.TWIN_DESIRED,
    "$iothub/methods/POST/#": Inbox.METHODS,
}


def device_address(identity: str) -> str:
    """How topics name a device (``devices/{id}``) or a module (``devices/{id}/modules/{module}``)."""
    return f"devices/{identity.replace('/', '/modules/')}"


def telemetry_prefix(device_id: str) -> str:
    """The part of a telemetry topic before the property bag."""
    if "/" in device_id:
        return f"{device_address(device_id)}/messages/events/"
    return f"devices/{device_id}/messages/events/"  # for every message: 90 ns instead of 170


def parse_topic(topic: str, device_id: str) -> DeviceTopic:
    """Read a topic that the device ``device_id`` publishes to.

    Raises WireError for a topic that it may not publish to, with code ``wire.hub-topic-foreign`` for another device's.
    """
    prefix = telemetry_prefix(device_id)
    if topic.startswith(prefix):
        return TelemetryTopic(parse_bag(topic[len(prefix) :]))
    if topic == prefix[:-1]:
        return TelemetryTopic(())
    if topic.startswith(_TWIN_GET):
        return TwinGet(_request_id(topic[len(_TWIN_GET) :]))
    if topic.startswith(_TWIN_REPORT):
        return TwinReport(_request_id(topic[len(_TWIN_REPORT) :]))
    if answer := _METHOD_ANSWER.fullmatch(topic):
        return MethodAnswer(_request_id(answer[2]), int(answer[1]))
    if topic.startswith("devices/"):
        raise _foreign(topic, device_id)
    raise WireError(
        FORMAT,
        expected="a topic of IoT Hub that devices publish to",
        got=ascii(topic[:96]),
        remedy="Publish telemetry to devices/{device id}/messages/events/; devices cannot publish to each other.",
    )


def parse_filter(topic_filter: str, device_id: str) -> Inbox:
    """Read a topic filter that the device ``device_id`` subscribes to.

    Raises WireError if it is none of IoT Hub's, with code ``wire.hub-topic-foreign`` for another device's.
    """
    inbox = _INBOXES.get(topic_filter)
    if inbox is not None:
        return inbox
    if topic_filter == f"{device_address(device_id)}/messages/devicebound/#":
        return Inbox.DEVICEBOUND
    if "/" in device_id and topic_filter == f"{device_address(device_id)}/inputs/#":
        return Inbox.DEVICEBOUND
    if topic_filter.startswith("devices/"):
        raise _foreign(topic_filter, device_id)
    raise WireError(
        FORMAT,
        expected=f"one of {', '.join(_INBOXES)} or devices/{{device id}}/messages/devicebound/#",
        got=ascii(topic_filter[:96]),
        remedy="Subscribe to IoT Hub's own filters only; there is no general publish and subscribe.",
    )


def check_username(username: str | None, device_id: str) -> str | None:
    """The model id, if any, in a user name of the form ``{host}/{device id}/?api-version=...``.

    The name may be absent or end early (the certificate is the identity); raises WireError if it names another device.
    """
    if not username:
        return None
    names = device_id.split("/")
    parts = username.split("/", 1 + len(names))
    if any(given != name for given, name in zip(parts[1:], names, strict=False)):
        raise _foreign(username, device_id)
    if len(parts) < 2 + len(names):
        return None
    for pair in parts[-1].lstrip("?").split("&"):
        key, _, value = pair.partition("=")
        if key == "model-id":
            return unquote(value)
    return None


def parse_bag(text: str) -> Bag:
    """Read a property bag; a slash at its end is ignored, a key without ``=`` has an empty value.

    Raises WireError for a broken percent escape, bytes that are no UTF-8, an empty or repeated key, or too many keys.
    """
    text = text.removesuffix("/")
    if not text:
        return ()
    pairs = text.split("&", MAX_PROPERTIES)
    if len(pairs) > MAX_PROPERTIES:
        raise _bad_bag(f"at most {MAX_PROPERTIES} properties", "more")
    found: dict[str, str] = {}
    for pair in pairs:
        if not pair:
            continue
        raw_key, _, raw_value = pair.partition("=")
        key = _unquote(raw_key)
        if not key or key in found:
            raise _bad_bag("each key once and not empty", ascii(raw_key[:64]))
        found[key] = _unquote(raw_value)
    return tuple(found.items())


def encode_bag(properties: Bag) -> str:
    """Write a property bag as the SDKs do: everything but letters, digits and ``.~-_`` percent-encoded."""
    return "&".join(f"{quote(key, safe='.~-_')}={quote(value, safe='.~-_')}" for key, value in properties)


def telemetry_topic(device_id: str, properties: Bag = ()) -> str:
    """Topic for a message from the device."""
    return telemetry_prefix(device_id) + encode_bag(properties)


def twin_get_topic(request_id: str) -> str:
    """Topic on which a device asks for its twin."""
    return _TWIN_GET + _request_id(request_id)


def twin_report_topic(request_id: str) -> str:
    """Topic on which a device reports properties."""
    return _TWIN_REPORT + _request_id(request_id)


def twin_answer_topic(status: int, request_id: str, version: int | None = None) -> str:
    """Topic of the answer to a twin request."""
    suffix = "" if version is None else f"&$version={version}"
    return f"$iothub/twin/res/{status}/?$rid={_request_id(request_id)}{suffix}"


def twin_desired_topic(version: int) -> str:
    """Topic on which a device learns of new desired properties."""
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}"


def method_topic(name: str, request_id: str) -> str:
    """Topic of a direct method call; raises WireError for characters that method names may not have."""
    if not METHOD_NAME.fullmatch(name) or set(name) & set("+#"):
        raise WireError(
            FORMAT,
            expected="a method name of 1 to 100 letters, digits and !%&'*._`|~^-",
            got=ascii(name[:64]),
            remedy="Rename the method.",
        )
    return f"$iothub/methods/POST/{name}/?$rid={_request_id(request_id)}"


def method_answer_topic(status: int, request_id: str) -> str:
    """Topic on which a device answers a direct method."""
    return f"$iothub/methods/res/{status}/?$rid={_request_id(request_id)}"


def _request_id(text: str) -> str:
    if not _REQUEST_ID.fullmatch(text):
        raise WireError(
            FORMAT,
            expected="a request id ($rid) of 1 to 128 characters without / + # & and spaces",
            got=ascii(text[:64]),
            remedy="Use a number or a UUID as request id.",
        )
    return text


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    if _PERCENT.search(text):
        raise _bad_bag("percent escapes of two hex digits", ascii(text[:64]))
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _bad_bag("percent-encoded UTF-8", ascii(text[:64])) from None


def _bad_bag(expected: str, got: str) -> WireError:
    return WireError(
        FORMAT, expected=f"a property bag with {expected}", got=got, remedy="Percent-encode the properties."
    )


def _foreign(text: str, device_id: str) -> WireError:
    return WireError(
        FORMAT,
        expected=f"the connected device {device_id[:16]}...",
        got=ascii(text[:96]),
        remedy="Use the id of the device that the client certificate names.",
        code="wire.hub-topic-foreign",
    )
