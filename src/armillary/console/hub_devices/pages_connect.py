# SPDX-License-Identifier: Apache-2.0
"""How a client that speaks Azure IoT connects: files and commands with a device's own values, and what came. Pure.

Device ids, host names and keys hold no character that a string of Python or a word of a shell would have to escape but
``@``, ``=`` and ``+``, which neither does within quotes (``wire/hub/credentials.py``).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from armillary.console.device.pages_device_data import place
from armillary.console.frame.states import ATTENTION, GOOD, UNKNOWN, State
from armillary.console.frame.values import value_text
from armillary.console.frame.words import Moment, joined, moment
from armillary.console.language.say import say
from armillary.twin.template.value_names import from_fields
from armillary.wire.hub.sas_token import decode_key, sign_sas_token

# Where the file is that clients verify the service with, and what it is called on their disk.
ROOT_HREF: Final = "/service-root.pem"
ROOT_FILE: Final = "root.pem"
# azure-iot-device connects to this port and no other.
AZURE_PORT: Final = 8883
# A token that stands in a command is good for a day: long enough to try it, too short to be shipped in a device.
TOKEN_S: Final = 86_400
# Values of the first message that are named.
NAMED_VALUES: Final = 3
NO_KEY: Final = "KEY"
_API_VERSION: Final = "2021-04-12"
_PYTHON: Final = """\
import json
import time

from azure.iot.device import IoTHubDeviceClient, Message

with open("{root}") as file:
    root = file.read()
client = IoTHubDeviceClient.create_from_connection_string(
    "{connection_string}",
    server_verification_cert=root,
)
client.connect()
for number in range(60):
    message = Message(json.dumps({{"temperature": 21.5 + number / 10}}))
    message.content_type, message.content_encoding = "application/json", "utf-8"
    client.send_message(message)
    print("sent", message.data, flush=True)
    time.sleep(5)
client.shutdown()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What the service has of a device so far; ``detail`` is what came first, ``at`` when the newest did."""

    state: State
    detail: str
    at: Moment | None
    is_over: bool


def python_client(host: str, device_id: str, key: str = NO_KEY) -> str:
    """A file of Python that sends a temperature every five seconds, with azure-iot-device."""
    connection_string = f"HostName={host};DeviceId={device_id};SharedAccessKey={key}"
    return _PYTHON.format(root=ROOT_FILE, connection_string=connection_string)


def mqtt_command(host: str, port: int, device_id: str, key: str, now: int) -> str:
    """A command that sends one message by plain MQTT; its token ends a day after ``now`` (Unix seconds)."""
    token = sign_sas_token(f"{host}/devices/{device_id}", decode_key(key), now + TOKEN_S)
    lines = (
        ("mosquitto_pub",),
        ("-h", host, "-p", str(port), "--cafile", ROOT_FILE, "-V", "mqttv311"),
        ("-i", device_id, "-u", username(host, device_id)),
        ("-P", token),
        ("-t", topic(device_id), "-q", "1", "-m", json.dumps({"temperature": 21.5})),
    )
    return " \\\n  ".join(shlex.join(each) for each in lines) + "\n"


def username(host: str, device_id: str) -> str:
    """The user name of a connection."""
    return f"{host}/{device_id}/?api-version={_API_VERSION}"


def topic(device_id: str) -> str:
    """Where a device's messages go."""
    return f"devices/{device_id}/messages/events/"


def heard(
    values: Sequence[Mapping[str, Any]], called: Mapping[str, Mapping[str, Any]], *, connected: bool, now: int
) -> Heard:
    """What came of a device: ``values`` are its last ones, ``called`` what they are called."""
    if not values:
        word = say("Connected, no message yet") if connected else say("Waiting for its first message")
        detail = "" if connected else say("This page says so as soon as it comes.")
        return Heard(state=State(ATTENTION if connected else UNKNOWN, word), detail=detail, at=None, is_over=False)
    newest = max(values, key=lambda each: each["at_ms"])
    parts = []
    for each in values[:NAMED_VALUES]:
        name = from_fields(called[each["metric"]])
        parts.append(f"{name.display_name} {value_text(each['value'], name.symbol)}")
    at = moment(newest["at_ms"] // 1000, now)
    return Heard(
        state=State(GOOD, say("First message received")),
        detail=say("{values}.", values=joined(parts)),
        at=at,
        is_over=True,
    )


def page(
    found: Mapping[str, Any],
    came: Heard,
    address: tuple[str, int],
    *,
    made: Mapping[str, Any] | None,
    catalog: str,
    is_admitted: bool,
    may_admit: bool,
    now: int,
) -> dict[str, Any]:
    """The page of a hub device with a symmetric key; ``made`` has its keys where they were just made."""
    device_id, (host, port) = found["device_id"], address
    key = made["primary_key"] if made is not None else NO_KEY
    return {
        "title": say("Connect {name}", name=found["name"]),
        "device_id": device_id,
        "device_href": place(device_id),
        "catalog": catalog,
        "heard_href": place(device_id, "connect"),
        "heard": came,
        "made": made,
        "refused": ""
        if is_admitted
        else say("{catalog} blocks hub devices that show a symmetric key.", catalog=catalog),
        "admit_href": f"/hub-catalogs/{catalog}/admission/symmetric-keys/admit" if may_admit else "",
        "root_href": ROOT_HREF,
        "root_file": ROOT_FILE,
        "python": python_client(host, device_id, key),
        "other_port": say(
            "azure-iot-device connects to port {azure} only, and this service listens on {port}: start it with "
            "--hub-port {azure}, or use plain MQTT below.",
            azure=AZURE_PORT,
            port=port,
        )
        if port != AZURE_PORT
        else "",
        "mqtt": mqtt_command(host, port, device_id, key, now) if made is not None else "",
        "ends": moment(now + TOKEN_S, now),
        "facts": (
            (say("Host and port"), say("{host}, {port} (TLS 1.2 or 1.3)", host=host, port=port)),
            (say("Client id"), device_id),
            (say("User name"), username(host, device_id)),
            (say("Password"), say("a shared access signature, made of the key")),
            (say("Topic"), topic(device_id)),
        ),
        "keys_href": place(device_id, "new-keys"),
    }
