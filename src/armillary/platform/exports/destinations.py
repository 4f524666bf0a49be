# SPDX-License-Identifier: Apache-2.0
"""Where data exports go: a webhook, files, an MQTT broker, S3-like storage, a Kafka cluster (``kafka.py``).

``deliver`` returns when the other side has everything.
Methods block: call them from threads.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.exports.files import JsonLines
from armillary.engines.outbound import webhook as rule_webhook
from armillary.engines.outbound.attempts import NeverError, NotNowError, brief, check_status
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import DataFolderError, PermissionDeniedError
from armillary.platform.exports.kafka import Kafka
from armillary.platform.exports.port import DestinationPort, Outgoing
from armillary.twin.author.export_destination import Destination, DestinationKind

if TYPE_CHECKING:
    from paho.mqtt.client import Client

# Statuses that are about this batch, which another attempt would not change (RFC 9110 §15.5). All others are about the
# destination: it is tried again until somebody has put it right.
BATCH_STATUSES: Final = frozenset({400, 413, 415, 422})
# JSON lines: https://jsonlines.org; there is no registered type.
JSON_LINES: Final = "application/x-ndjson"
# How long a broker may take to accept a connection or a message (seconds).
MQTT_TIMEOUT_S: Final = 15.0


def open_destination(
    destination: Destination, *, secret: str | None, allowed: AllowedHosts, folder: Path
) -> DestinationPort:
    """The destination of an export.

    ``secret`` signs webhooks, or is a broker's password or a secret access key. Files go to ``folder``.

    Raises:
        InvalidArgumentError: an extra that it needs is not installed.
    """
    options = destination.options
    if destination.kind is DestinationKind.FILE:
        return _Files(folder, options)
    if destination.kind is DestinationKind.WEBHOOK:
        return _Webhook(options, secret, allowed)
    if destination.kind is DestinationKind.S3:
        return _S3(options, secret, allowed)
    if destination.kind is DestinationKind.KAFKA:
        return Kafka(options, secret, allowed)
    return _Mqtt(options, secret, allowed)


def _present(secret: str | None) -> str:
    if secret is None:
        raise NotNowError("its secret is not here: give the destination its secret again")
    return secret


def _send(method: str, url: str, body: bytes, headers: dict[str, str], allowed: AllowedHosts) -> None:
    import http.client  # noqa: PLC0415 - only with webhooks and such storage

    try:
        check_status(*rule_webhook.post(url, body, headers, allowed, content_type=JSON_LINES, method=method))
    except PermissionDeniedError as error:
        raise NotNowError(error.message) from error
    except (OSError, http.client.HTTPException) as error:
        raise NotNowError(f"no answer ({brief(error)})") from error


def _json_lines(records: Sequence[Outgoing]) -> bytes:
    return b"".join(each.line + b"\n" for each in records)


class _Files(DestinationPort):
    def __init__(self, folder: Path, options: Any) -> None:
        self._lines = JsonLines(folder, rotate_bytes=options["rotate_bytes"], keep_files=options["keep_files"])

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:  # noqa: ARG002 - each record has its id
        try:
            self._lines.append([each.line for each in records])
        except DataFolderError as error:
            raise NotNowError(error.message) from error


class _Webhook(DestinationPort):
    def __init__(self, options: Any, secret: str | None, allowed: AllowedHosts) -> None:
        self._url: str = options["url"]
        self._signed: bool = options["signed"]
        self._secret = secret
        self._allowed = allowed

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:
        body = _json_lines(records)
        headers = {"User-Agent": "armillary", "Armillary-Batch": batch_id, "Armillary-Records": str(len(records))}
        if self._signed:
            signature = rule_webhook.sign(_present(self._secret), body, int(time.time()))
            headers[rule_webhook.SIGNATURE_HEADER] = signature
        try:
            _send("POST", self._url, body, headers, self._allowed)
        except NeverError as error:
            if error.status in BATCH_STATUSES:
                raise
            raise NotNowError(str(error)) from error


@dataclass(eq=False)
class _S3(DestinationPort):
    """An object a batch; the same batch has the same name, so that what is sent again replaces itself."""

    _options: Any
    _secret: str | None
    _allowed: AllowedHosts

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:
        from armillary.wire.export.sigv4 import encode_path, signed_headers  # noqa: PLC0415 - only with such storage

        secret, options = _present(self._secret), self._options
        body = _json_lines(records)
        parts = [options["bucket"], *options["prefix"].split("/"), f"{batch_id}.jsonl"]
        path = encode_path("/" + "/".join(part for part in parts if part))
        host = options["endpoint"].partition("://")[2]
        headers = signed_headers(
            "PUT",
            host,
            path,
            body,
            {},
            access_key=options["access_key"],
            secret_key=secret,
            region=options["region"],
            now_s=int(time.time()),
        )
        try:
            _send("PUT", options["endpoint"] + path, body, headers, self._allowed)
        except NeverError as error:  # about the storage, never about the records
            raise NotNowError(str(error)) from error


class _Mqtt(DestinationPort):
    """One connection that is kept; messages go out with QoS 1, one after the other in the window of the client."""

    def __init__(self, options: Any, secret: str | None, allowed: AllowedHosts) -> None:
        self._options = options
        self._secret = secret
        self._allowed = allowed
        self._client: Client | None = None

    def deliver(self, records: Sequence[Outgoing], batch_id: str) -> None:  # noqa: ARG002 - each record has its id
        deadline = time.monotonic() + MQTT_TIMEOUT_S
        try:
            client = self._connected(deadline)
            sent = [client.publish(self._options["topic"], record.line, qos=1) for record in records]
            for each in sent:
                each.wait_for_publish(max(0.1, deadline - time.monotonic()))
            taken = all(each.is_published() for each in sent)
        except PermissionDeniedError as error:
            raise NotNowError(error.message) from error
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise NotNowError(f"the broker does not take it ({brief(error)})") from error
        if not taken:
            self.close()
            raise NotNowError("the broker has not acknowledged everything in time")

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _connected(self, deadline: float) -> Client:
        import socket  # noqa: PLC0415 - only with MQTT
        import ssl  # noqa: PLC0415 - as above

        from paho.mqtt.client import Client  # noqa: PLC0415 - a megabyte that few hubs need
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415 - as above

        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        options = self._options
        host, port = options["host"], options["port"]
        place = rule_webhook.resolve(f"{'https' if options['tls'] else 'http'}://{host}:{port}/", self._allowed)

        class Checked(Client):
            """Goes to the address that was looked at: the name may mean another one by now."""

            def _create_socket_connection(self) -> socket.socket:
                return socket.create_connection(place, timeout=MQTT_TIMEOUT_S)

        client = Checked(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        if options["tls"]:
            client.tls_set_context(ssl.create_default_context())
        if options["username"]:
            client.username_pw_set(options["username"], self._secret)
        client.connect(host, port, keepalive=60)
        client.loop_start()
        self._client = client
        while not client.is_connected():
            if time.monotonic() > deadline:
                raise TimeoutError("no CONNACK")
            time.sleep(0.01)
        return client
