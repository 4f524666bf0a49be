# SPDX-License-Identifier: Apache-2.0
"""What the example applications share: a link to the hub that survives everything but the end.

Waits for the device's certificate, connects with it (MQTT 3.1.1 over TLS), reconnects when the connection or the
certificate changes, sends telemetry, keeps twin properties and answers direct methods. Standard library and
paho-mqtt only. Environment: ARMILLARY_DEVICE_ID, ARMILLARY_HUB_HOST, ARMILLARY_HUB_PORT,
ARMILLARY_DEVICE_AUTHENTICATION (folder with certificate.pem, key.pem, ca.pem).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import paho.mqtt.client as mqtt

API_VERSION = "2021-04-12"
TWIN_ANSWER = "$iothub/twin/res/"
TWIN_DESIRED = "$iothub/twin/PATCH/properties/desired/"
METHOD_CALL = "$iothub/methods/POST/"
KEEPALIVE_S = 30
# Samples that wait for a connection: ten minutes' worth. Later ones are dropped and the log says so.
QUEUE_LIMIT = 600
INTERVAL_LIMITS_S = (0.2, 3600.0)

# paho wakes its own loop through a TCP connection to itself, for Windows' sake. A socket pair needs no network,
# which an application has only for the hosts of its manifest.
mqtt._socketpair_compat = socket.socketpair  # noqa: SLF001 - paho has no setting for it

Method = Callable[[Any], "tuple[int, Any]"]


def log(text: str) -> None:
    """One line on standard output, which the device keeps."""
    print(text, flush=True)


class HubLink:
    """The link. ``reported`` are properties reported with every new connection; applied desired properties join them.

    ``desired`` apply a property and return the value to report, ``methods`` answer with (status, payload), both in the
    network thread.
    """

    def __init__(
        self, *, reported: dict[str, Any], desired: dict[str, Callable[[Any], Any]], methods: dict[str, Method]
    ) -> None:
        self.reported = dict(reported)
        self.device_id = os.environ["ARMILLARY_DEVICE_ID"]
        self.folder = Path(os.environ["ARMILLARY_DEVICE_AUTHENTICATION"])
        self._desired = desired
        self._methods = methods
        self._requests = 0
        self._client: mqtt.Client | None = None
        self._certificate: object = None
        self.stopping = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())

    def certificate_version(self) -> object:
        """Changes with every new certificate; None while there is none."""
        try:
            status = (self.folder / "certificate.pem").stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def keep(self) -> None:
        """Call often: connects when there is a certificate, and anew when it was replaced."""
        version = self.certificate_version()
        if version is None or version == self._certificate:
            return
        try:
            client = self._new_client()
        except (OSError, ssl.SSLError) as error:
            log(f"certificate not usable yet: {error}")
            return
        if self._client is not None:
            log("the certificate was replaced, connecting again")
            self._client.disconnect()
            self._client.loop_stop()
        self._certificate, self._client = version, client
        client.connect_async(os.environ["ARMILLARY_HUB_HOST"], int(os.environ["ARMILLARY_HUB_PORT"]), KEEPALIVE_S)
        client.loop_start()

    def _new_client(self) -> mqtt.Client:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=self.device_id, clean_session=False)
        host = os.environ["ARMILLARY_HUB_HOST"]
        client.username_pw_set(f"{host}/{self.device_id}/?api-version={API_VERSION}")
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "certificate.pem", self.folder / "key.pem")
        client.tls_set_context(context)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        client.max_queued_messages_set(QUEUE_LIMIT)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log(f"the hub refused the connection: {reason}")
            return
        log("connected to the hub")
        for topic in (TWIN_ANSWER, TWIN_DESIRED, METHOD_CALL):
            client.subscribe(f"{topic}#", qos=1)
        self._requests += 1
        client.publish(f"$iothub/twin/GET/?$rid={self._requests}", b"", qos=1)
        self.report({})

    def _on_disconnect(self, _client: mqtt.Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not self.stopping.is_set():
            log(f"connection lost: {reason}")

    def _on_message(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        try:
            document = json.loads(message.payload or b"null")
        except ValueError:
            document = None
        if message.topic.startswith(METHOD_CALL):
            self._answer(client, message.topic, document)
        elif message.topic.startswith(TWIN_DESIRED) and isinstance(document, dict):
            self._apply(document)
        elif message.topic.startswith(f"{TWIN_ANSWER}200/") and isinstance(document, dict):
            self._apply(document.get("desired", {}))

    def _answer(self, client: mqtt.Client, topic: str, document: Any) -> None:
        name, _, query = topic[len(METHOD_CALL) :].partition("/")
        request = parse_qs(query.lstrip("?")).get("$rid", [""])[0]
        method = self._methods.get(name)
        status, payload = (404, {"error": f"no method {name}"}) if method is None else method(document)
        log(f"method {name}: {status}")
        client.publish(f"$iothub/methods/res/{status}/?$rid={request}", json.dumps(payload), qos=1)

    def _apply(self, desired: dict[str, Any]) -> None:
        reported = {}
        for name, apply in self._desired.items():
            if name in desired:
                try:
                    reported[name] = apply(desired[name])
                except (TypeError, ValueError) as error:
                    log(f"desired property {name}: {error}")
        if reported:
            self.report(reported)

    def report(self, properties: dict[str, Any]) -> None:
        """Report twin properties: these and all earlier ones."""
        self.reported |= properties
        if self._client is not None:
            self._requests += 1
            topic = f"$iothub/twin/PATCH/properties/reported/?$rid={self._requests}"
            self._client.publish(topic, json.dumps(self.reported), qos=1)

    def send(self, values: dict[str, Any]) -> None:
        """Send one telemetry message; it waits for a connection, up to QUEUE_LIMIT messages."""
        if self._client is not None:
            topic = f"devices/{self.device_id}/messages/events/$.ct=application%2Fjson&$.ce=utf-8"
            if self._client.publish(topic, json.dumps(values), qos=1).rc == mqtt.MQTT_ERR_QUEUE_SIZE:
                log("no connection for long: a sample was dropped")

    def close(self) -> None:
        """Say goodbye to the hub."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()


class Telemetry:
    """Sends samples at an interval that the twin's ``telemetryIntervalSeconds`` sets; the rest is :class:`HubLink`'s.

    ``sample`` is called with the seconds since the last call and returns the values.
    """

    def __init__(
        self,
        sample: Callable[[float], dict[str, Any]],
        *,
        reported: dict[str, Any],
        methods: dict[str, Method] | None = None,
        desired: dict[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        self._sample = sample
        self.interval_s = 1.0
        known = {"telemetryIntervalSeconds": self._set_interval, **(desired or {})}
        self.link = HubLink(
            reported={"telemetryIntervalSeconds": 1, **reported},
            desired=known,
            methods={"identify": self._identify, **(methods or {})},
        )

    def _set_interval(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError("expected a number of seconds")
        low, high = INTERVAL_LIMITS_S
        self.interval_s = min(max(float(value), low), high)
        return value if low <= value <= high else self.interval_s

    def _identify(self, _payload: Any) -> tuple[int, Any]:
        return 200, {"blinked": True, **self.link.reported}

    def run(self) -> None:
        """Until SIGTERM."""
        log(f"started, Python {sys.version.split()[0]}")
        last = time.monotonic()
        while not self.link.stopping.wait(self.interval_s):
            self.link.keep()
            now = time.monotonic()
            self.link.send(self._sample(now - last))
            last = now
        self.link.close()
        log("stopped")
